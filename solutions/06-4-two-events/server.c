/*
 * Workers that all watch one listener, and accept from it what they can serve: one connection.
 */
#include "cmdline.h"
#include "echo.h"
#include "listener.h"
#include "log.h"
#include "output.h"
#include "process.h"
#include "workers.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { GRACE_MS = 500, MOMENT_MS = 100 };

static struct cmdline cmdline;
static struct workers *places;
static int listener, stop;

/* ---- a worker ---- */

/* Returns an epoll instance that watches the listener, or ends the program. */
static int watch(void)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLEXCLUSIVE};
    int epoll = epoll_create1(EPOLL_CLOEXEC);

    if (epoll == -1 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) == -1)
        log_failure("worker %d cannot watch the listener", (int)getpid());
    return epoll;
}

/* Serves one connection after the other, until a signal ends it. */
static _Noreturn void work(void)
{
    struct epoll_event event;
    int epoll = watch();

    for (;;) {
        if (epoll_wait(epoll, &event, 1, -1) == -1)
            continue; /* interrupted */
        int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (connection == -1) {
            if (errno != EAGAIN && errno != ECONNABORTED) /* out of something: in a moment again */
                poll(NULL, 0, MOMENT_MS);
            continue;
        }
        if (cmdline.verbose)
            log_line("worker %d accepts descriptor %d", (int)getpid(), connection);
        echo(connection); /* a connection that broke is the client's affair */
        close(connection);
    }
}

/* ---- the master ---- */

static void fill_places(void)
{
    int place;

    while ((place = workers_vacant(places)) != -1)
        if (workers_start(places, place) == 0) {
            close(stop);
            work();
        }
}

/* Keeps all places filled until a signal asks it to stop. */
static void supervise(void)
{
    struct pollfd news[] = {{.fd = stop, .events = POLLIN},
                            {.fd = workers_descriptor(places), .events = POLLIN}};
    int status;
    pid_t pid;

    while (!(news[0].revents & POLLIN)) {
        fill_places();
        poll(news, 2, workers_timeout(places));
        while (workers_reap(places, &pid, &status) != -1)
            if (cmdline.verbose)
                log_line("worker %d is lost", (int)pid);
    }
}

int main(int argc, char **argv)
{
    output_begin();
    cmdline = cmdline_parse(argc, argv, false);
    stop = signals_open(SIGTERM, SIGINT, 0);
    listener = listener_open(cmdline.address, cmdline.port);
    if (stop == -1 || listener == -1)
        log_failure("cannot listen on %s port %d", cmdline.address, cmdline.port);
    places = workers_open(cmdline.workers);
    if (!places)
        log_failure("no workers");

    fill_places();
    cmdline_announce(&cmdline, listener);
    supervise();
    for (int i = 0; i < cmdline.workers; i++)
        if (workers_pid(places, i) != 0)
            kill(workers_pid(places, i), SIGTERM);
    workers_close(places, GRACE_MS);
    return EXIT_SUCCESS;
}
