/*
 * relay < FILE > COPY
 *
 * Copies its standard input to its standard output, through two processes, so that it reads even
 * while it cannot write: the parent reads into a socketpair, and the child writes what comes out.
 * On SIGUSR1 each of the two says on stderr how far it has got.
 *
 * To see: the signal makes it end too early, and the copy is not complete.
 */
#include "process.h"

#include <err.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *name; /* of this process */
static long long copied; /* bytes that it has passed on */
static volatile sig_atomic_t asked;

static void on_signal(int number)
{
    (void)number;
    asked = 1;
}

/* Says how far this process has got, if somebody has asked. */
static void report(void)
{
    if (asked) {
        asked = 0;
        fprintf(stderr, "%s: %lld bytes so far\n", name, copied);
    }
}

/* Passes all that comes from `from` on to `to`, until end-of-file. Returns false when it broke. */
static bool copy(int from, int to)
{
    static char buffer[1024 * 1024];
    ssize_t n;

    while ((n = read(from, buffer, sizeof(buffer))) > 0 || (n == -1 && errno == EINTR)) {
        if (n == -1) {
            report();
            continue;
        }
        ssize_t written;
        do {
            written = write(to, buffer, (size_t)n);
            report();
        } while (written != n && (written >= 0 || errno == EINTR));
        if (written == -1) {
            warn("%s: write", name);
            return false;
        }
        copied += n;
        report();
    }
    if (n == -1)
        warn("%s: read", name);
    return n == 0;
}

int main(void)
{
    int ends[2]; /* of the channel: [0] is the parent's, [1] the child's */
    int status;
    /* Without SA_RESTART the signal ends a call that waits, and the report comes at once. */
    struct sigaction action = {.sa_handler = on_signal};

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == -1)
        err(EXIT_FAILURE, "socketpair");
    sigaction(SIGUSR1, &action, NULL);
    pid_t child = fork_child();
    if (child == -1)
        err(EXIT_FAILURE, "fork");
    name = child == 0 ? "writer" : "reader";
    if (child == 0) {
        close(ends[0]);
        return copy(ends[1], STDOUT_FILENO) ? EXIT_SUCCESS : EXIT_FAILURE;
    }
    close(ends[1]);
    bool complete = copy(STDIN_FILENO, ends[0]);
    close(ends[0]); /* end-of-file for the child */
    while (waitpid(child, &status, 0) == -1)
        if (errno != EINTR)
            err(EXIT_FAILURE, "waitpid");
    return complete && status == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
