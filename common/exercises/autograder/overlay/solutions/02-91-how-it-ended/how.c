/* how COMMAND [ARGUMENT...]: runs a command, and says how it ended. */
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NOT_RUN = 127 };

int main(int argc, char **argv)
{
    int status, failed[2];
    char error;

    if (argc < 2)
        errx(2, "usage: how COMMAND [ARGUMENT...]");
    /* A command may end with 127, too: that it was not run, only the child can tell. */
    if (pipe2(failed, O_CLOEXEC) == -1)
        err(1, "pipe2");
    pid_t child = fork();
    if (child == -1)
        err(1, "fork");
    if (child == 0) {
        execvp(argv[1], argv + 1);
        warn("%s", argv[1]);
        _exit(write(failed[1], "", 1) == 1 ? NOT_RUN : 1);
    }
    close(failed[1]);
    if (waitpid(child, &status, 0) == -1)
        err(1, "waitpid");
    if (read(failed[0], &error, 1) == 1)
        return NOT_RUN;
    if (WIFSIGNALED(status))
        printf("signal %d\n", WTERMSIG(status));
    else
        printf("exit status %d\n", WEXITSTATUS(status));
    return 0;
}
