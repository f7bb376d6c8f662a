/* how COMMAND [ARGUMENT...]: runs a command, and says how it ended. */
#include <err.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    if (argc < 2)
        errx(2, "usage: how COMMAND [ARGUMENT...]");
    execvp(argv[1], argv + 1);
    err(127, "%s", argv[1]);
}
