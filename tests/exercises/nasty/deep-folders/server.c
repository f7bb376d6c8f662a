/* A folder in a folder in a folder ...: deeper than a path can name. */
#include <sys/stat.h>
#include <unistd.h>

int main(void)
{
    for (;;) {
        if (mkdir("a", 0700) == -1 || chdir("a") == -1)
            usleep(1000);
        else
            chmod("..", 0); /* for whoever has to clean up */
    }
}
