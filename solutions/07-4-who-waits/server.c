/*
 * Workers that all read one queue: an acceptor puts each connection in, and whoever is idle takes
 * it out. On SIGUSR1 the supervisor says how many wait.
 */
#include "cmdline.h"
#include "echo.h"
#include "fdpass.h"
#include "listener.h"
#include "log.h"
#include "output.h"
#include "process.h"
#include "queue.h"
#include "workers.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FIRST, SECOND }; /* the ends of the queue: the acceptor's, the workers' */
enum { GRACE_MS = 500, MOMENT_MS = 100 };

static struct cmdline cmdline;
static struct workers *places; /* of the workers, and the last one of the acceptor */
static int listener, signals, queue[2];

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

/* Serves one connection after the other, until a signal ends it, or the acceptor has gone and the
 * queue is empty. */
static _Noreturn void work(void)
{
    close(queue[FIRST]); /* with it, this worker would never read end-of-file */
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
            close(signals);
            if (place == cmdline.workers)
                move_connections();
            work();
        }
}

/* How many connections wait in the queue: accepted, and not taken by a worker. */
static int in_queue(void)
{
    int bytes = 0;

    if (ioctl(queue[SECOND], FIONREAD, &bytes) == -1)
        log_line("FIONREAD: %s", strerror(errno));
    return bytes; /* each message is one */
}

/* How many connections wait in the backlog: established, and not accepted. */
static int in_backlog(void)
{
    struct tcp_info info = {0};
    socklen_t length = sizeof(info);

    if (getsockopt(listener, IPPROTO_TCP, TCP_INFO, &info, &length) == -1)
        log_line("TCP_INFO: %s", strerror(errno));
    return (int)info.tcpi_unacked; /* of a listener that is its backlog */
}

/* Does what the signals that have come ask for. Returns false when one asks to stop. */
static bool heed_signals(void)
{
    int signal_number;

    while ((signal_number = signals_next(signals)) != 0) {
        if (signal_number != SIGUSR1)
            return false;
        log_line("waiting: %d in the queue, %d in the backlog", in_queue(), in_backlog());
    }
    return true;
}

/* Keeps all places filled until a signal asks it to stop. */
static void supervise(void)
{
    struct pollfd news[] = {{.fd = signals, .events = POLLIN},
                            {.fd = workers_descriptor(places), .events = POLLIN}};
    int status;
    pid_t pid;

    do {
        fill_places();
        poll(news, 2, workers_timeout(places));
        while (workers_reap(places, &pid, &status) != -1)
            if (cmdline.verbose)
                log_line("process %d is lost", (int)pid);
    } while (heed_signals());
}

int main(int argc, char **argv)
{
    output_begin();
    cmdline = cmdline_parse(argc, argv, false);
    signals = signals_open(SIGTERM, SIGINT, SIGUSR1, 0);
    listener = listener_open(cmdline.address, cmdline.port);
    if (signals == -1 || listener == -1)
        log_failure("cannot listen on %s port %d", cmdline.address, cmdline.port);
    fcntl(listener, F_SETFL, 0); /* the acceptor waits in accept */
    places = workers_open(cmdline.workers + 1);
    if (!places || queue_open(queue, QUEUE_LENGTH) == -1)
        log_failure("no workers, or no queue");

    fill_places();
    cmdline_announce(&cmdline, listener);
    supervise();
    for (int i = cmdline.workers; i >= 0; i--)
        if (workers_pid(places, i) != 0)
            kill(workers_pid(places, i), SIGTERM);
    workers_close(places, GRACE_MS);
    return EXIT_SUCCESS;
}
