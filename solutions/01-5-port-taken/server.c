/*
 * An echo server that opens its listener itself, on the port that it was told and no other.
 */
#include "cmdline.h"
#include "echo.h"
#include "output.h"
#include "process.h"

#include <err.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static struct cmdline cmdline;
static int listener, signals;
static int living; /* children that serve a connection: never more than cmdline.workers */

/* Opens a socket that listens on `address` (numeric) and `port`. Returns -1 with errno. */
static int listen_on(const char *address, int port)
{
    const struct addrinfo wanted = {
        .ai_socktype = SOCK_STREAM,
        .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
    };
    struct addrinfo *info;
    char service[16];

    snprintf(service, sizeof(service), "%d", port);
    if (getaddrinfo(address, service, &wanted, &info) != 0) {
        errno = EINVAL;
        return -1;
    }
    int fd = socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd != -1) {
        /* Connections of the last server may be in TIME_WAIT for a minute: they are no hindrance.
         */
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        /* A socket without a name gets a free port from listen, so bind must have succeeded. */
        if (bind(fd, info->ai_addr, info->ai_addrlen) == -1 || listen(fd, SOMAXCONN) == -1) {
            int error = errno;
            close(fd);
            errno = error;
            fd = -1;
        }
    }
    freeaddrinfo(info);
    return fd;
}

/* Starts a child that serves `connection`. Returns false when there can be no child now. */
static bool child_make(int connection)
{
    pid_t child = fork_child();

    if (child == -1)
        return false;
    if (child == 0) {
        close(listener);
        close(signals);
        echo(connection); /* a connection that broke is the client's affair */
        close(connection);
        _exit(EXIT_SUCCESS);
    }
    if (cmdline.verbose)
        warnx("descriptor %d goes to child %d", connection, (int)child);
    living++;
    return true;
}

/* Takes the status of every child that has ended: one SIGCHLD may stand for many of them. */
static void children_reap(void)
{
    while (waitpid(-1, NULL, WNOHANG) > 0)
        living--;
}

/* Accepts and forks until a signal asks it to stop. */
static void serve(void)
{
    int connection = -1;    /* accepted, but no child serves it yet */
    bool exhausted = false; /* descriptors, memory or processes: try again in a moment */

    for (;;) {
        fd_set readable;
        struct timeval moment = {.tv_usec = 100000};

        FD_ZERO(&readable);
        FD_SET(signals, &readable);
        if (connection == -1 && living < cmdline.workers && !exhausted)
            FD_SET(listener, &readable);
        int highest = listener > signals ? listener : signals;
        if (select(highest + 1, &readable, NULL, NULL, exhausted ? &moment : NULL) == -1) {
            if (errno == EINTR)
                continue;
            err(EXIT_FAILURE, "select");
        }
        exhausted = false;

        if (FD_ISSET(signals, &readable)) {
            int received = signals_next(signals);
            if (received == SIGTERM || received == SIGINT)
                return;
            children_reap();
        }
        if (FD_ISSET(listener, &readable)) {
            /* A client that has gone since select saw it is no error; any other leaves the
             * connection in the backlog, and the listener readable. */
            connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
            exhausted = connection == -1 && errno != EAGAIN && errno != ECONNABORTED;
        }
        if (connection != -1) {
            if (child_make(connection)) {
                close(connection); /* the child has its own; with two, the client sees no end */
                connection = -1;
            } else {
                exhausted = true;
            }
        }
    }
}

int main(int argc, char **argv)
{
    output_begin();
    cmdline = cmdline_parse(argc, argv, false);
    signals = signals_open(SIGCHLD, SIGTERM, SIGINT, 0);
    if (signals == -1)
        err(EXIT_FAILURE, "cannot start");
    listener = listen_on(cmdline.address, cmdline.port);
    if (listener == -1)
        err(EXIT_FAILURE, "cannot listen on %s port %d", cmdline.address, cmdline.port);
    if (listener >= FD_SETSIZE || signals >= FD_SETSIZE)
        errx(EXIT_FAILURE, "select cannot watch descriptors from %d (FD_SETSIZE) up", FD_SETSIZE);

    cmdline_announce(&cmdline, listener);
    serve();
    return EXIT_SUCCESS; /* the children end with their parent: see fork_child */
}
