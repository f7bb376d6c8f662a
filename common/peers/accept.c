/*
 * A floor to measure against, and no server of the course: workers that block in accept.
 *
 * All workers wait in accept on one listener that they have inherited. No connection has to travel,
 * so nothing that hands connections over can cost less than this on one listener.
 *
 * Who waits is woken one at a time: inet_csk_wait_for_connect() in Linux's
 * net/ipv4/inet_connection_sock.c queues each process as an exclusive waiter ("only one process
 * gets woken up, not the 'whole herd'"), at the tail of the queue (prepare_to_wait_exclusive() in
 * kernel/sched/wait.c), and it is the head that is woken: the worker that has waited longest. With
 * -v one sees them take turns. (Workers that wait in epoll_wait would be woken last come, first
 * served; in select or poll, all of them at once.)
 *
 * What it does not promise: a worker that dies is not replaced; the whole server ends. So it does
 * when descriptors or memory run out. Nor can a master that never sees a connection decide who
 * gets it.
 */
#include "cmdline.h"
#include "echo.h"
#include "listener.h"
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
    cmdline = cmdline_parse(argc, argv, false);
    workers = calloc((size_t)cmdline.workers, sizeof(*workers));
    int signals = signals_open(SIGTERM, SIGINT, SIGCHLD, 0);
    if (!workers || signals == -1)
        err(EXIT_FAILURE, "cannot start");

    int listener = listener_open(cmdline.address, cmdline.port);
    if (listener == -1 || fcntl(listener, F_SETFL, 0) == -1) /* accept is to block */
        err(EXIT_FAILURE, "cannot listen on %s port %d", cmdline.address, cmdline.port);
    for (int i = 0; i < cmdline.workers; i++) {
        workers[i] = fork_child();
        if (workers[i] == -1)
            err(EXIT_FAILURE, "cannot start worker %d of %d", i + 1, cmdline.workers);
        if (workers[i] == 0) {
            close(signals);
            work(listener);
        }
    }

    cmdline_announce(&cmdline, listener);
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
