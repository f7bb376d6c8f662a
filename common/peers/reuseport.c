/*
 * A floor to measure against, and no server of the course: one listener a worker, SO_REUSEPORT.
 *
 * All listeners have the same address and port; the kernel gives each connection to one of them, by
 * a hash of its addresses and ports (socket(7)). Workers share nothing, not even a queue.
 *
 * What it does not promise: a client may wait behind another's connection while workers are idle,
 * since the hash does not know who is busy. A worker that dies is not replaced, what waited at its
 * listener is reset, and the whole server ends; so it does when descriptors or memory run out. A
 * second server of the same user on the same port is no error: the two share the clients.
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
#include <string.h>
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

static int port_of(int socket)
{
    char name[SOCKET_NAME_MAX];

    return atoi(strrchr(local_name(socket, name), ':') + 1);
}

int main(int argc, char **argv)
{
    cmdline = cmdline_parse(argc, argv, false);
    workers = calloc((size_t)cmdline.workers, sizeof(*workers));
    int signals = signals_open(SIGTERM, SIGINT, SIGCHLD, 0);
    if (!workers || signals == -1)
        err(EXIT_FAILURE, "cannot start");

    /* All listeners are open before the first client comes: one that joins later takes its share of
     * the new connections only. The first stays open here, too: the others need its port. */
    int first = -1;
    for (int i = 0; i < cmdline.workers; i++) {
        int port = first == -1 ? cmdline.port : port_of(first);
        int listener = listener_open_shared(cmdline.address, port);
        if (listener == -1 || fcntl(listener, F_SETFL, 0) == -1) /* accept is to block */
            err(EXIT_FAILURE, "cannot listen on %s port %d", cmdline.address, port);
        workers[i] = fork_child();
        if (workers[i] == -1)
            err(EXIT_FAILURE, "cannot start worker %d of %d", i + 1, cmdline.workers);
        if (workers[i] == 0) {
            close(signals);
            if (first != -1)
                close(first);
            work(listener);
        }
        if (first == -1)
            first = listener;
        else
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
