/*
 * Workers that all read one queue: an acceptor puts each connection in, and whoever is idle takes
 * it out.
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
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FIRST, SECOND }; /* the ends of the queue: the acceptor's, the workers' */
enum { GRACE_MS = 500, MOMENT_MS = 100 };
enum { QUEUE_LENGTH = 16 }; /* connections that are accepted, and that nobody serves yet */

static struct cmdline cmdline;
static struct workers *places; /* of the workers, and the last one of the acceptor */
static int listener, stop, queue[2];

/* ---- the queue ---- */

/* How much room a message of one byte takes up, as the kernel counts: so one is sent. Of a socket
 * TIOCOUTQ is what linux/sockios.h calls SIOCOUTQ. */
static int message_size(void)
{
    int size;
    char byte;

    if (send(queue[FIRST], "", 1, 0) == -1 || ioctl(queue[FIRST], TIOCOUTQ, &size) == -1 ||
        recv(queue[SECOND], &byte, 1, 0) == -1)
        log_failure("queue");
    return size;
}

/* Opens the queue. Who writes to it waits when it is full: then clients wait in the backlog. */
static void queue_make(void)
{
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, queue) == -1)
        log_failure("socketpair");
    /* The kernel doubles what it is told: SO_SNDBUF in socket(7). */
    int room = QUEUE_LENGTH * (message_size() / 2);
    if (setsockopt(queue[FIRST], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room)) == -1)
        log_failure("SO_SNDBUF");
}

/* Says how many connections are lost, since nobody reads the queue any more. */
static void queue_lose(void)
{
    int lost = 0;

    if (ioctl(queue[SECOND], FIONREAD, &lost) == 0 && lost > 0) /* one byte each */
        log_line("%d connections lost, which waited in the queue", lost);
}

/* ---- the acceptor ---- */

/* Puts one connection after the other into the queue, until a signal ends it. */
static _Noreturn void move_connections(void)
{
    close(queue[SECOND]);
    for (;;) {
        int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (connection == -1) { /* nobody any more, or out of something: in a moment again */
            poll(NULL, 0, MOMENT_MS);
            continue;
        }
        if (cmdline.verbose)
            log_line("descriptor %d goes into the queue", connection);
        while (write_fd(queue[FIRST], "", 1, connection) == -1) /* waits while the queue is full */
            poll(NULL, 0, MOMENT_MS);
        close(connection); /* a worker has its own */
    }
}

/* ---- a worker ---- */

/* Serves one connection after the other, until a signal ends it, or the acceptor has gone. */
static _Noreturn void work(void)
{
    close(queue[FIRST]);
    close(listener);
    for (;;) {
        char byte;
        int connection;

        if (read_fd(queue[SECOND], &byte, 1, &connection) == 0)
            _exit(EXIT_SUCCESS);
        if (connection == -1) { /* it may open no more: another one takes its place */
            log_line("worker %d cannot take a connection: %s", (int)getpid(), strerror(errno));
            _exit(EXIT_FAILURE);
        }
        if (cmdline.verbose)
            log_line("worker %d takes descriptor %d", (int)getpid(), connection);
        echo(connection); /* a connection that broke is the client's affair */
        close(connection);
    }
}

/* ---- the supervisor ---- */

static void fill_places(void)
{
    int place;

    while ((place = workers_vacant(places)) != -1)
        if (workers_start(places, place) == 0) {
            close(stop);
            if (place == cmdline.workers)
                move_connections();
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
                log_line("process %d is lost", (int)pid);
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
    fcntl(listener, F_SETFL, 0); /* the acceptor waits in accept */
    places = workers_open(cmdline.workers + 1);
    if (!places)
        log_failure("no workers");
    queue_make();

    fill_places();
    cmdline_announce(&cmdline, listener);
    supervise();
    for (int i = cmdline.workers; i >= 0; i--)
        if (workers_pid(places, i) != 0)
            kill(workers_pid(places, i), SIGTERM);
    workers_close(places, GRACE_MS);
    queue_lose();
    return EXIT_SUCCESS;
}
