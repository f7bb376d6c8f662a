/*
 * Chapter 1: a process for every connection.
 *
 * The master accepts a connection and forks a child that echoes it and exits. While WORKERS
 * children live it accepts none: further clients wait in the listener's backlog.
 */
#include "cmdline.h"
#include "echo.h"
#include "listener.h"
#include "log.h"
#include "output.h"
#include "process.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static struct cmdline cmdline;
static int listener, signals;
static pid_t *children; /* one slot a WORKER, 0 when free */
static int living;
static bool exhausted; /* descriptors, memory or processes: try again in a moment */
static int64_t no_accept, no_fork, no_select; /* when that last failed */

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
        log_line("descriptor %d goes to child %d", connection, (int)child);
    for (int i = 0; i < cmdline.workers; i++) {
        if (children[i] == 0) {
            children[i] = child;
            break;
        }
    }
    living++;
    return true;
}

/* A child that has ended is a zombie until its parent has asked for its status. */
static void children_reap(void)
{
    pid_t child;

    while ((child = waitpid(-1, NULL, WNOHANG)) > 0) {
        for (int i = 0; i < cmdline.workers; i++) {
            if (children[i] == child) { /* else it was there before this program */
                children[i] = 0;
                living--;
            }
        }
    }
}

/* What failed may succeed in a moment. Says so once, and not ten times a second. */
static void run_short(const char *what, int64_t *last)
{
    exhausted = true;
    if (series_begins(last))
        log_line("%s: %s; clients wait", what, strerror(errno));
}

/* Accepts and forks until a signal asks it to stop. */
static void serve(void)
{
    int connection = -1; /* accepted, but no child serves it yet */

    for (;;) {
        fd_set readable;
        struct timeval moment = {.tv_usec = 100000};

        FD_ZERO(&readable);
        FD_SET(signals, &readable);
        if (connection == -1 && living < cmdline.workers && !exhausted)
            FD_SET(listener, &readable);
        int highest = listener > signals ? listener : signals;
        bool briefly = exhausted;
        exhausted = false; /* until something runs short again */
        if (select(highest + 1, &readable, NULL, NULL, briefly ? &moment : NULL) == -1) {
            if (errno != EINTR && errno != ENOMEM)
                log_failure("select");
            if (errno == ENOMEM) {
                run_short("select", &no_select);
                usleep(100000);
            }
            continue;
        }

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
            if (connection == -1 && errno != EAGAIN && errno != ECONNABORTED)
                run_short("cannot accept", &no_accept);
        }
        if (connection != -1) {
            if (child_make(connection)) {
                close(connection); /* the child has its own; with two, the client sees no end */
                connection = -1;
            } else {
                run_short("cannot fork", &no_fork);
            }
        }
    }
}

int main(int argc, char **argv)
{
    output_begin();
    cmdline = cmdline_parse(argc, argv, false);
    children = calloc((size_t)cmdline.workers, sizeof(*children));
    signals = signals_open(SIGCHLD, SIGTERM, SIGINT, 0);
    if (!children || signals == -1)
        log_failure("cannot start");
    if (children_impossible()) {
        log_line("%s", children_impossible());
        return EXIT_FAILURE;
    }
    listener = listener_open(cmdline.address, cmdline.port);
    if (listener == -1)
        log_failure("cannot listen on %s port %d", cmdline.address, cmdline.port);

    if (listener >= FD_SETSIZE || signals >= FD_SETSIZE) {
        log_line("select cannot watch descriptors from %d (FD_SETSIZE) up", FD_SETSIZE);
        return EXIT_FAILURE;
    }

    cmdline_announce(&cmdline, listener);
    serve();

    close(listener);
    children_end(children, cmdline.workers, 0); /* its connection may be silent for hours */
    return EXIT_SUCCESS;
}
