/*
 * Chapter 4 in one file: a pool of workers that are handed their connections, one at a time.
 *
 * The master waits in one select for all that may come: a client at the listener, a report on a
 * worker's channel, a signal. It accepts only while a worker is idle, hands the connection over,
 * and forgets it. A worker is idle when it is born, and says so with one byte after each
 * connection.
 *
 * Begin with struct worker, then read serve() and what it calls. What a library needs beyond this
 * is in chapter 4's server.c, pool.h and workers.h.
 */
#include "cmdline.h"
#include "echo.h"
#include "fdpass.h"
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

struct worker {
    pid_t pid;        /* 0 while the place is vacant */
    int channel;      /* the master's end */
    bool idle;        /* has no connection */
    bool proved;      /* has served one */
    int pause_ms;     /* how long the place stayed vacant the last time ... */
    int64_t start_at; /* ... and until when it does now */
};

static struct cmdline cmdline;
static int signals, listener;
static struct worker *workers; /* cmdline.workers places */
static pid_t *pids;            /* room for as many, for the end */
static int connection = -1;    /* accepted, but not handed over yet */
static bool exhausted;         /* descriptors or memory: try again in a moment */
static int64_t no_accept, no_hand_over, no_select, no_start; /* when that last failed */

/* ---- one worker ---- */

/* In the new process: serves one connection after the other, until the master has gone. */
static _Noreturn void worker_begin(int channel)
{
    char byte;
    int handed;

    for (int i = 0; i < cmdline.workers; i++)
        if (workers[i].pid != 0)
            close(workers[i].channel); /* else that worker sees no end-of-file */
    if (connection != -1)
        close(connection);
    close(listener);
    close(signals);
    while (read_fd(channel, &byte, 1, &handed) == 1) {
        echo(handed); /* a connection that broke is the client's affair */
        close(handed);
        if (send(channel, "", 1, MSG_NOSIGNAL) != 1)
            break;
    }
    close(channel);
    _exit(EXIT_SUCCESS);
}

/* Starts a worker in a vacant place. Returns false when there can be none now. */
static bool worker_start(struct worker *worker)
{
    int channel[2];
    pid_t pid = -1;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel) == -1)
        return false;
    errno = ERANGE;
    if (channel[0] < FD_SETSIZE) /* or select could not watch it */
        pid = fork_child();
    if (pid == 0) {
        close(channel[0]);
        worker_begin(channel[1]);
    }
    close(channel[1]); /* it is the worker's alone */
    if (pid == -1) {
        close(channel[0]);
        return false;
    }
    worker->pid = pid;
    worker->channel = channel[0];
    worker->idle = true; /* what it is sent waits in the channel until it reads */
    worker->proved = false;
    return true;
}

/* The place stays vacant: at least for a moment, and longer each time, if its workers achieve
 * nothing. */
static void worker_put_off(struct worker *worker)
{
    int pause_ms = worker->pause_ms == 0     ? 100
                   : worker->pause_ms < 6400 ? 2 * worker->pause_ms
                                             : 6400;

    if (worker->proved)
        pause_ms = 0;
    *worker = (struct worker){.pause_ms = pause_ms, .start_at = now_ms() + pause_ms};
}

static void worker_lost(struct worker *worker)
{
    if (cmdline.verbose)
        log_line("worker %d is lost", (int)worker->pid);
    close(worker->channel);
    worker_put_off(worker);
}

/* Its channel is of no use any more. Mostly it is dead, and this does nothing. It is not waited
 * for: if somebody traces it, that could take hours. */
static void worker_end(struct worker *worker)
{
    kill(worker->pid, SIGKILL);
    worker_lost(worker);
}

/* Reads what a worker has sent: a byte says that it is idle again. */
static void worker_report(struct worker *worker)
{
    char byte;

    if (read(worker->channel, &byte, 1) == 1)
        worker->idle = worker->proved = true;
    else
        worker_end(worker); /* end-of-file */
}

/* ---- all of them ---- */

static struct worker *idle_worker(void)
{
    for (int i = 0; i < cmdline.workers; i++)
        if (workers[i].idle)
            return &workers[i];
    return NULL;
}

/* What failed may succeed in a moment. Says so once, and not ten times a second. */
static void run_short(const char *what, int64_t *last)
{
    exhausted = true;
    if (series_begins(last))
        log_line("%s: %s; clients wait", what, strerror(errno));
}

/* Starts workers where there is none. Returns false when one cannot be started. */
static bool fill_places(void)
{
    for (int i = 0; i < cmdline.workers; i++) {
        if (workers[i].pid != 0 || now_ms() < workers[i].start_at || worker_start(&workers[i]))
            continue;
        worker_put_off(&workers[i]);
        return false;
    }
    return true;
}

/* Reaps all who have died: as init of a container, strangers too. */
static void children_reap(void)
{
    pid_t child;

    while ((child = waitpid(-1, NULL, WNOHANG)) > 0)
        for (int i = 0; i < cmdline.workers; i++)
            if (workers[i].pid == child)
                worker_lost(&workers[i]);
}

static void accept_connection(void)
{
    connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    /* A client that has gone since select saw it is no error; any other leaves the connection in
     * the backlog, and the listener readable. */
    if (connection == -1 && errno != EAGAIN && errno != ECONNABORTED)
        run_short("cannot accept", &no_accept);
}

/* Hands the connection to an idle worker; if that has just died, to the next. */
static void hand_over(void)
{
    struct worker *worker;

    while ((worker = idle_worker()) != NULL) {
        if (write_fd(worker->channel, "", 1, connection) == 0) {
            if (cmdline.verbose)
                log_line("descriptor %d goes to worker %d", connection, (int)worker->pid);
            worker->idle = false;
            close(connection); /* the worker has its own; with two, the client sees no end */
            connection = -1;
            return;
        }
        if (errno != EPIPE && errno != ECONNRESET) {
            run_short("cannot hand a connection over", &no_hand_over);
            return;
        }
        worker_end(worker);
    }
}

/* Waits until there is something to do; only for a moment when something has to be tried again. */
static void wait_readable(fd_set *readable)
{
    struct timeval moment = {.tv_usec = 100000};
    /* Who holds a connection looks again: a worker that is new is idle, and does not say so. */
    bool briefly = exhausted || connection != -1;
    int highest = listener > signals ? listener : signals;

    FD_ZERO(readable);
    FD_SET(signals, readable);
    if (connection == -1 && !exhausted && idle_worker()) /* else clients wait in the backlog */
        FD_SET(listener, readable);
    for (int i = 0; i < cmdline.workers; i++) {
        if (workers[i].pid == 0) {
            briefly = true;
            continue;
        }
        FD_SET(workers[i].channel, readable);
        if (workers[i].channel > highest)
            highest = workers[i].channel;
    }
    exhausted = false;
    if (select(highest + 1, readable, NULL, NULL, briefly ? &moment : NULL) == -1) {
        if (errno != EINTR && errno != ENOMEM)
            log_failure("select");
        if (errno == ENOMEM) {
            run_short("select", &no_select);
            usleep(100000);
        }
        FD_ZERO(readable);
    }
}

/* Serves until a signal asks it to stop. */
static void serve(void)
{
    for (;;) {
        fd_set readable;

        if (!fill_places() && series_begins(&no_start))
            log_line("cannot start a worker: %s; will try again", strerror(errno));
        wait_readable(&readable);
        for (int i = 0; i < cmdline.workers; i++)
            if (workers[i].pid != 0 && FD_ISSET(workers[i].channel, &readable))
                worker_report(&workers[i]);
        if (FD_ISSET(signals, &readable)) {
            int received = signals_next(signals);
            if (received == SIGTERM || received == SIGINT)
                return;
            children_reap();
        }
        /* The last idle worker may have been lost since select looked. */
        if (FD_ISSET(listener, &readable) && idle_worker())
            accept_connection();
        if (connection != -1)
            hand_over();
    }
}

/* End-of-file ends the workers that are idle, SIGTERM the others, and SIGKILL who is left. */
static void end_all(void)
{
    for (int i = 0; i < cmdline.workers; i++) {
        pids[i] = workers[i].pid;
        if (pids[i] == 0)
            continue;
        close(workers[i].channel);
        if (!workers[i].idle)
            kill(pids[i], SIGTERM);
    }
    children_end(pids, cmdline.workers, 500);
}

int main(int argc, char **argv)
{
    output_begin();
    cmdline = cmdline_parse(argc, argv, false);
    workers = calloc((size_t)cmdline.workers, sizeof(*workers));
    pids = calloc((size_t)cmdline.workers, sizeof(*pids));
    signals = signals_open(SIGCHLD, SIGTERM, SIGINT, 0);
    if (!workers || !pids || signals == -1)
        log_failure("cannot start");
    if (children_impossible()) {
        log_line("%s", children_impossible());
        return EXIT_FAILURE;
    }
    listener = listener_open(cmdline.address, cmdline.port);
    if (listener == -1)
        log_failure("cannot listen on %s port %d", cmdline.address, cmdline.port);
    int most = FD_SETSIZE - 1 - (listener > signals ? listener : signals); /* channels are above */
    if (cmdline.workers > most) {
        log_line("%d workers: select can watch at most %d (FD_SETSIZE is %d)", cmdline.workers,
                 most > 0 ? most : 0, FD_SETSIZE);
        return EXIT_FAILURE;
    }

    wait_for_the_cpu();
    if (!fill_places())
        log_failure("cannot start %d workers", cmdline.workers);
    cmdline_announce(&cmdline, listener);
    serve();
    end_all();
    return EXIT_SUCCESS;
}
