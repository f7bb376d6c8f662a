/*
 * A front that looks at the first byte of each connection, without taking it, and hands the
 * connection to the worker that this byte is for. It waits for all of them in one epoll instance.
 *
 * To see: a client that has been handed over says more, and who is woken is the front.
 */
#include "cmdline.h"
#include "echo.h"
#include "fdpass.h"
#include "listener.h"
#include "log.h"
#include "output.h"
#include "process.h"
#include "workers.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FRONT, WORKER }; /* the ends of a channel */
enum { GRACE_MS = 500, MOMENT_MS = 100, EVENTS = 64 };

static struct cmdline cmdline;
static struct workers *places;
static int (*channels)[2]; /* one of each place */
static int listener, stop, epoll;
static int highest; /* descriptor that the front has had open */

/* ---- a worker ---- */

/* Serves one connection after the other, until a signal ends it. */
static _Noreturn void work(int channel)
{
    int connection;
    char byte;

    for (int i = STDERR_FILENO + 1; i <= highest; i++) /* the front's, of which fork made copies */
        if (i != channel)
            close(i);
    while (read_fd(channel, &byte, 1, &connection) == 1 && connection != -1) {
        echo(connection); /* a connection that broke is the client's affair */
        close(connection);
    }
    _exit(EXIT_FAILURE); /* it may open no more: another one takes its place */
}

/* ---- the front ---- */

static void fill_places(void)
{
    int place;

    while ((place = workers_vacant(places)) != -1)
        if (workers_start(places, place) == 0)
            work(channels[place][WORKER]);
}

static void reap(void)
{
    int status;
    pid_t pid;

    while (workers_reap(places, &pid, &status) != -1)
        if (cmdline.verbose)
            log_line("worker %d is lost", (int)pid);
}

static void watch(int descriptor)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = descriptor};

    if (epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event) == -1)
        log_failure("epoll_ctl");
    if (descriptor > highest)
        highest = descriptor;
}

static void take_client(void)
{
    int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

    if (connection != -1)
        watch(connection);
    else if (errno != EAGAIN && errno != ECONNABORTED) /* out of something: in a moment again */
        poll(NULL, 0, MOMENT_MS);
}

/* A client has said something, or has gone. Who has said something is handed over. */
static void look_at(int connection, bool gone)
{
    unsigned char byte;
    ssize_t count = gone ? 0 : recv(connection, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

    if (count == -1 && errno == EAGAIN)
        return;
    if (count == 1) {
        int place = byte % cmdline.workers;
        if (cmdline.verbose)
            log_line("descriptor %d goes to worker %d", connection,
                     (int)workers_pid(places, place));
        write_fd(channels[place][FRONT], "", 1, connection);
    }
    close(connection); /* and so epoll forgets it */
}

/* Goes on until a signal asks it to stop. */
static void serve(void)
{
    struct epoll_event events[EVENTS];

    for (;;) {
        fill_places();
        int count = epoll_wait(epoll, events, EVENTS, workers_timeout(places));
        for (int i = 0; i < count; i++) {
            int descriptor = events[i].data.fd;
            if (descriptor == stop)
                return;
            if (descriptor == workers_descriptor(places))
                reap();
            else if (descriptor == listener)
                take_client();
            else
                look_at(descriptor, events[i].events & (EPOLLERR | EPOLLHUP));
        }
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
    channels = calloc((size_t)cmdline.workers, sizeof(*channels));
    if (!places || !channels)
        log_failure("no workers");
    for (int i = 0; i < cmdline.workers; i++)
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channels[i]) == -1)
            log_failure("socketpair");
    highest = epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll == -1)
        log_failure("epoll_create1");
    watch(stop);
    watch(workers_descriptor(places));
    watch(listener);

    fill_places();
    cmdline_announce(&cmdline, listener);
    serve();
    for (int i = 0; i < cmdline.workers; i++)
        if (workers_pid(places, i) != 0)
            kill(workers_pid(places, i), SIGTERM);
    workers_close(places, GRACE_MS);
    free(channels);
    return EXIT_SUCCESS;
}
