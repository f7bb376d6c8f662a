#include "floor.h"

#include "cmdline.h"
#include "echo.h"
#include "listener.h"
#include "output.h"
#include "process.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static struct cmdline cmdline;
static pid_t *workers;

static _Noreturn void work(int listener)
{
    signal(SIGINT, SIG_IGN); /* Ctrl-C is for the master, who ends all */
    for (;;) {
        int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (connection == -1 && errno == ECONNABORTED)
            continue;
        if (connection == -1)
            err(EXIT_FAILURE, "accept");
        if (cmdline.verbose)
            warnx("worker %d has accepted", (int)getpid());
        echo(connection);
        close(connection);
    }
}

int main(int argc, char **argv)
{
    output_begin();
    cmdline = cmdline_parse(argc, argv, false);
    workers = calloc((size_t)cmdline.workers, sizeof(*workers));
    int signals = signals_open(SIGTERM, SIGINT, SIGCHLD, 0);
    if (!workers || signals == -1)
        err(EXIT_FAILURE, "cannot start");

    int first = -1;
    for (int i = 0; i < cmdline.workers; i++) {
        int listener = floor_listener(cmdline.address, cmdline.port, i);
        if (listener == -1 || fcntl(listener, F_SETFL, 0) == -1) /* accept is to block */
            err(EXIT_FAILURE, "cannot listen on %s port %d", cmdline.address, cmdline.port);
        if (i == 0)
            first = listener;
        workers[i] = fork_child();
        if (workers[i] == -1)
            err(EXIT_FAILURE, "cannot start worker %d of %d", i + 1, cmdline.workers);
        if (workers[i] == 0) {
            close(signals);
            if (listener != first)
                close(first);
            work(listener);
        }
        if (listener != first)
            close(listener);
    }

    cmdline_announce(&cmdline, first);
    struct pollfd readable = {.fd = signals, .events = POLLIN};
    while (poll(&readable, 1, -1) != 1)
        continue;
    bool lost = signals_next(signals) == SIGCHLD;

    for (int i = 0; i < cmdline.workers; i++)
        kill(workers[i], SIGKILL);
    for (int i = 0; i < cmdline.workers; i++)
        waitpid(workers[i], NULL, 0);
    if (lost)
        errx(EXIT_FAILURE, "a worker has ended");
    return EXIT_SUCCESS;
}
