/*
 * A pool of workers that are handed their connections, one at a time.
 *
 * To build: on SIGUSR1 the master says on stderr how many clients wait, and how many workers are
 * busy. So far the signal ends it.
 */
#include "cmdline.h"
#include "echo.h"
#include "fdpass.h"
#include "listener.h"
#include "process.h"

#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct worker {
    pid_t pid;
    int channel; /* the master's end; -1 while the place is vacant */
    bool idle;   /* it has said so, and got no connection since */
    bool busy;   /* it has got one, and has not said since that it is idle */
};

static struct cmdline cmdline;
static int signals, listener = -1;
static struct worker *workers; /* cmdline.workers places */
static int connection = -1;    /* accepted, but not handed over yet */
static bool exhausted;         /* descriptors, memory or processes: try again in a moment */

/* In the new process: says that it is idle, serves a connection, and again. */
static _Noreturn void worker_begin(int channel)
{
    char byte;
    int handed;

    for (int i = 0; i < cmdline.workers; i++)
        if (workers[i].channel != -1)
            close(workers[i].channel); /* or that worker sees no end-of-file */
    if (connection != -1)
        close(connection);
    if (listener != -1)
        close(listener);
    close(signals);
    while (send(channel, "", 1, MSG_NOSIGNAL) == 1 && read_fd(channel, &byte, 1, &handed) == 1) {
        echo(handed); /* a connection that broke is the client's affair */
        close(handed);
    }
    _exit(EXIT_SUCCESS); /* end-of-file: the master has gone */
}

/* Starts a worker in a vacant place. Returns false when there can be none now. */
static bool worker_start(struct worker *worker)
{
    int channel[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel) == -1)
        return false;
    pid_t pid = fork_child();
    if (pid == 0) {
        close(channel[0]);
        worker_begin(channel[1]);
    }
    close(channel[1]); /* the worker's alone now: when that ends, ours reads end-of-file */
    if (pid == -1)
        close(channel[0]);
    else
        *worker = (struct worker){.pid = pid, .channel = channel[0]};
    return pid != -1;
}

static void fill_places(void)
{
    for (int i = 0; i < cmdline.workers; i++)
        if (workers[i].channel == -1 && !worker_start(&workers[i]))
            exhausted = true;
}

/* Ends what is left of a worker, reaps it, and leaves its place vacant. */
static void worker_lost(struct worker *worker)
{
    kill(worker->pid, SIGKILL); /* mostly it is dead already; if not, waitpid must not wait */
    waitpid(worker->pid, NULL, 0);
    close(worker->channel);
    *worker = (struct worker){.channel = -1};
}

/* Reads what a worker has sent: a byte says that it is idle, end-of-file that it has ended. */
static void worker_report(struct worker *worker)
{
    char byte;

    if (read(worker->channel, &byte, 1) == 1) {
        worker->idle = true;
        worker->busy = false;
    } else {
        worker_lost(worker);
    }
}

static struct worker *idle_worker(void)
{
    for (int i = 0; i < cmdline.workers; i++)
        if (workers[i].idle)
            return &workers[i];
    return NULL;
}

static void accept_connection(void)
{
    connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    /* A client that has gone since select saw it is no error; any other leaves the connection in
     * the backlog, and the listener readable. */
    if (connection == -1 && errno != EAGAIN && errno != ECONNABORTED)
        exhausted = true;
}

/* Hands the connection to an idle worker; if that has just died, to the next. */
static void hand_over(void)
{
    struct worker *worker;

    while ((worker = idle_worker()) != NULL) {
        if (write_fd(worker->channel, "", 1, connection) == 0) {
            if (cmdline.verbose)
                warnx("descriptor %d goes to worker %d", connection, (int)worker->pid);
            worker->idle = false;
            worker->busy = true;
            close(connection); /* the worker has its own; with two, the client sees no end */
            connection = -1;
            return;
        }
        if (errno != EPIPE && errno != ECONNRESET)
            return;
        worker_lost(worker);
    }
}

/* Says how many clients wait, and how many workers serve one. */
static void tell_load(void)
{
    struct tcp_info info = {0};
    socklen_t length = sizeof(info);
    int busy = 0;

    for (int i = 0; i < cmdline.workers; i++)
        if (workers[i].busy)
            busy++;
    /* Of a listener, tcpi_unacked is the length of its queue: what `ss -lt` shows as Recv-Q. */
    if (getsockopt(listener, IPPROTO_TCP, TCP_INFO, &info, &length) == -1)
        warn("TCP_INFO");
    else
        warnx("%u waiting, %d of %d busy", info.tcpi_unacked + (connection == -1 ? 0 : 1), busy,
              cmdline.workers);
}

/* Waits until there is something to do; only for a moment when something has to be tried again. */
static void wait_readable(fd_set *readable)
{
    struct timeval moment = {.tv_usec = 100000};
    bool briefly = exhausted || connection != -1;
    int highest = listener > signals ? listener : signals;

    FD_ZERO(readable);
    FD_SET(signals, readable);
    if (connection == -1 && !exhausted && idle_worker()) /* else clients wait in the backlog */
        FD_SET(listener, readable);
    for (int i = 0; i < cmdline.workers; i++) {
        if (workers[i].channel == -1)
            continue;
        FD_SET(workers[i].channel, readable);
        if (workers[i].channel > highest)
            highest = workers[i].channel;
    }
    if (select(highest + 1, readable, NULL, NULL, briefly ? &moment : NULL) == -1) {
        if (errno != EINTR)
            err(EXIT_FAILURE, "select");
        FD_ZERO(readable);
    }
    exhausted = false;
}

/* Serves until a signal asks it to stop. */
static void serve(void)
{
    for (;;) {
        fd_set readable;

        fill_places();
        wait_readable(&readable);
        if (FD_ISSET(signals, &readable)) {
            tell_load();
            return;
        }
        if (FD_ISSET(listener, &readable))
            accept_connection();
        if (connection != -1)
            hand_over();
        for (int i = 0; i < cmdline.workers; i++)
            if (workers[i].channel != -1 && FD_ISSET(workers[i].channel, &readable))
                worker_report(&workers[i]);
    }
}

int main(int argc, char **argv)
{
    cmdline = cmdline_parse(argc, argv, false);
    if (cmdline.workers > FD_SETSIZE / 2)
        errx(EXIT_FAILURE, "select cannot watch so many workers; at most %d", FD_SETSIZE / 2);
    workers = calloc((size_t)cmdline.workers, sizeof(*workers));
    signals = signals_open(SIGTERM, SIGINT, SIGUSR1, 0);
    if (!workers || signals == -1)
        err(EXIT_FAILURE, "cannot start");
    for (int i = 0; i < cmdline.workers; i++)
        workers[i].channel = -1;
    fill_places();
    if (exhausted)
        err(EXIT_FAILURE, "cannot start %d workers", cmdline.workers);
    listener = listener_open(cmdline.address, cmdline.port);
    if (listener == -1)
        err(EXIT_FAILURE, "cannot listen on %s port %d", cmdline.address, cmdline.port);

    cmdline_announce(&cmdline, listener);
    serve();
    return EXIT_SUCCESS; /* the workers end with their master: see fork_child */
}
