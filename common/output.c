#include "output.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static pid_t speaker; /* the process that says what is wrong; 0 before output_begin */
static bool told;

static void hold_standard_descriptors(void)
{
    int fd;

    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}

/* The one line, unless another process says it, or this one has said it before. */
static void tell(const char *reason)
{
    if (!told && (speaker == 0 || speaker == getpid()))
        warnx("stdout: %s", reason);
    told = true;
}

static void check_at_exit(void)
{
    if (told)
        return;
    if (fflush(stdout) == EOF)
        tell(strerror(errno));
    else if (ferror(stdout)) /* an earlier call met it, and errno is of another one by now */
        tell("not all of it could be written");
    else
        return;
    _exit(EXIT_FAILURE);
}

void output_begin(void)
{
    hold_standard_descriptors();
    signal(SIGPIPE, SIG_IGN);
    speaker = getpid();
    atexit(check_at_exit);
}

void output_check(void)
{
    if (fflush(stdout) == EOF || ferror(stdout)) {
        tell(strerror(errno));
        exit(EXIT_FAILURE);
    }
}
