#define _GNU_SOURCE 1 /* accept4 */

#include "pool.h"

#include "fdpass.h"
#include "log.h"
#include "process.h"
#include "workers.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    START_MS = 10000, /* unless pool_config says otherwise */
    GRACE_MS = 500,
    MOMENT_MS = 100, /* how long to wait before something that failed is tried again */
};

struct worker {
    enum { GONE, STARTING, IDLE, BUSY } state;
    bool explained; /* why it has ended, or will: nothing more is to be said of that */
    bool failing;   /* it has been said that none can start in this place; until one does */
    bool was_idle;  /* a worker in this place, at least once */
    int channel;    /* the master's end, non-blocking; closed when GONE */
    pid_t pid;
};

struct pool {
    const struct pool_config *config;
    struct workers *places; /* the processes: the worker in place i is workers[i] */
    fd_set watched;         /* all that select always watches: channels, deaths, stop */
    int highest;            /* descriptor to watch */
    int starting, idle;     /* workers in these states */
    int connection;         /* accepted but not yet handed over; else -1 */
    bool exhausted;         /* out of descriptors or memory: take no connection for a moment */
    /* When that last failed, for series_begins. */
    int64_t no_accept, no_hand_over, no_select, no_start;
    int were_idle; /* places in which a worker has been idle ... */
    bool ready;    /* ... all of them */
    bool failed;   /* it has been said why */
    struct worker workers[];
};

static void say(const struct pool *pool, const char *format, ...)
{
    char line[512];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    if (pool->config->log)
        pool->config->log(line, pool->config->context);
    else
        log_line("%s", line);
}

static void fail(struct pool *pool, const char *what, const char *why)
{
    if (!pool->failed) /* the first reason is the cause of the others */
        say(pool, "%s%s", what, why);
    pool->failed = true;
}

/* What failed may succeed in a moment. Says so once, and not ten times a second. */
static void run_short(struct pool *pool, int64_t *last, const char *what, int error)
{
    const char *meaning = error == EINVAL         ? ": does the listener still listen?"
                          : error == EACCES       ? ": a security module forbids it"
                          : error == ETOOMANYREFS ? ": this user has too many on their way"
                                                  : "";

    pool->exhausted = true;
    if (series_begins(last))
        say(pool, "%s: %s%s; clients wait", what, strerror(error), meaning);
}

/* A worker cannot start. At the beginning that ends the pool, since the others will fare no better;
 * later the others serve on, and the place is tried again. */
static void cannot_start(struct pool *pool, struct worker *worker, const char *format, ...)
{
    char why[256];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(why, sizeof(why), format, arguments);
    va_end(arguments);
    worker->explained = true;
    if (!pool->ready)
        fail(pool, "", why);
    else if (!worker->failing)
        say(pool, "%s; will try again", why);
    worker->failing = true;
}

/* ---- one worker ---- */

/* In the new process: closes all that is the master's, and becomes the worker. */
static _Noreturn void worker_begin(const struct pool *pool, int channel)
{
    const struct pool_config *config = pool->config;

    /* Siblings' channels above all: while a copy of the master's end is open here, that sibling
     * sees no end-of-file when the master dies. */
    for (int i = 0; i < config->workers; i++)
        if (pool->workers[i].state != GONE)
            close(pool->workers[i].channel);
    if (pool->connection != -1)
        close(pool->connection);
    close(config->listener);
    close(config->stop);
    _exit(config->start(channel, config->context));
}

/* Starts a worker in a vacant place. Returns -1 with errno, and then the place is put off. */
static int worker_start(struct pool *pool, int place)
{
    struct worker *worker = &pool->workers[place];
    int channel[2];
    pid_t pid = -1;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel) == -1) {
        workers_put_off(pool->places, place);
        return -1;
    }
    if (channel[0] >= FD_SETSIZE) {
        workers_put_off(pool->places, place);
        errno = ERANGE;
    } else {
        fcntl(channel[0], F_SETFL, O_NONBLOCK); /* no worker can hold the master up */
        pid = workers_start(pool->places, place);
    }

    if (pid == -1) {
        int error = errno;
        close(channel[0]);
        close(channel[1]);
        errno = error;
        return -1;
    }
    if (pid == 0) {
        close(channel[0]);
        worker_begin(pool, channel[1]);
    }
    close(channel[1]); /* now it is the worker's alone: when that ends, ours reads end-of-file */
    worker->state = STARTING;
    worker->explained = false;
    worker->channel = channel[0];
    worker->pid = pid;
    pool->starting++;
    FD_SET(channel[0], &pool->watched);
    if (channel[0] > pool->highest)
        pool->highest = channel[0];
    return 0;
}

/* The pool has done with this worker: no connection goes to it, and nothing is heard of it. */
static void forget(struct pool *pool, struct worker *worker)
{
    pool->starting -= worker->state == STARTING;
    pool->idle -= worker->state == IDLE;
    FD_CLR(worker->channel, &pool->watched);
    close(worker->channel);
    worker->state = GONE;
}

/* The same, of a worker that lives: it is to die, by itself or else after `grace_ms`. */
static void part_with(struct pool *pool, struct worker *worker, int grace_ms)
{
    forget(pool, worker);
    workers_dismiss(pool->places, (int)(worker - pool->workers), grace_ms);
}

/* Reads what the worker has sent. */
static void worker_report(struct pool *pool, struct worker *worker)
{
    int place = (int)(worker - pool->workers);
    unsigned char reports[2]; /* there is never more than one: a second breaks the protocol */
    ssize_t count = read(worker->channel, reports, sizeof(reports));

    if (count == -1 && (errno == EINTR || errno == EAGAIN))
        return;
    if (count == 1 && reports[0] == 0 && worker->state != IDLE) { /* "I am idle" */
        if (worker->state == BUSY)
            workers_proved(pool->places, place);
        pool->starting -= worker->state == STARTING;
        pool->idle++;
        worker->state = IDLE;
        worker->failing = false;
        pool->were_idle += !worker->was_idle;
        worker->was_idle = true;
    } else if (count == 1 && reports[0] != 0 && worker->state == STARTING) {
        cannot_start(pool, worker, "a worker cannot start: %s", strerror(reports[0]));
        part_with(pool, worker, GRACE_MS);
    } else if (count > 0) {
        say(pool, "worker %d breaks the protocol", (int)worker->pid);
        worker->explained = true;
        part_with(pool, worker, 0);
    } else if (worker->state == STARTING) { /* its status will tell why; or there is the deadline */
        FD_CLR(worker->channel, &pool->watched);
    } else {
        part_with(pool, worker, GRACE_MS); /* mostly it is dead already */
    }
}

static void worker_died(struct pool *pool, int place, pid_t pid, int status)
{
    const struct pool_config *config = pool->config;
    struct worker *worker = &pool->workers[place];
    int signal_number = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    bool starting;

    if (worker->state != GONE)
        worker_report(pool, worker); /* its last words: since select looked, perhaps */
    starting = worker->state == STARTING;
    if (worker->state != GONE)
        forget(pool, worker);
    if (config->verbose && signal_number != 0)
        say(pool, "worker %d died of signal %d (%s)", (int)pid, signal_number,
            strsignal(signal_number));
    else if (config->verbose)
        say(pool, "worker %d ended with status %d", (int)pid, WEXITSTATUS(status));
    if (config->died)
        config->died(pid, status, workers_deaths(pool->places), config->context);

    if (!starting || worker->explained)
        return;
    if (signal_number == 0)
        cannot_start(pool, worker, "worker %d ended with status %d before it was idle", (int)pid,
                     WEXITSTATUS(status));
    else if (signal_number != SIGKILL && signal_number != SIGTERM) /* those somebody has sent */
        cannot_start(pool, worker, "worker %d died of signal %d (%s) before it was idle", (int)pid,
                     signal_number, strsignal(signal_number));
}

/* ---- all of them ---- */

static void fill_places(struct pool *pool)
{
    int place;

    while ((place = workers_vacant(pool->places)) != -1) {
        if (worker_start(pool, place) == 0)
            continue;
        if (!pool->ready)
            cannot_start(pool, &pool->workers[place], "cannot start worker %d of %d: %s", place + 1,
                         pool->config->workers, strerror(errno));
        else if (series_begins(&pool->no_start)) /* what runs short does so for all places */
            say(pool, "cannot start a worker: %s; will try again", strerror(errno));
    }
}

/* Ends the workers that were to report long before `looked`, when select last began to look. */
static void find_late_starters(struct pool *pool, int64_t looked)
{
    int start_ms = pool->config->start_ms ? pool->config->start_ms : START_MS;

    for (int i = 0; i < pool->config->workers && pool->starting > 0; i++) {
        struct worker *worker = &pool->workers[i];
        if (worker->state != STARTING || workers_birth_ms(pool->places, i) + start_ms >= looked)
            continue;
        cannot_start(pool, worker, "worker %d has not reported for %g seconds", (int)worker->pid,
                     start_ms / 1000.0);
        part_with(pool, worker, 0);
    }
}

static void find_dead(struct pool *pool)
{
    pid_t pid;
    int status, place;

    while ((place = workers_reap(pool->places, &pid, &status)) != -1)
        worker_died(pool, place, pid, status);
}

static void accept_connection(struct pool *pool)
{
    pool->connection = accept4(pool->config->listener, NULL, NULL, SOCK_CLOEXEC);
    /* A client that has gone since select saw it is no error. After any other the connection stays
     * in the backlog, and the listener readable. */
    if (pool->connection == -1 && errno != EAGAIN && errno != ECONNABORTED)
        run_short(pool, &pool->no_accept, "cannot accept", errno);
}

/* Hands the connection to an idle worker. If that has just died, to the next. */
static void hand_over(struct pool *pool)
{
    for (int i = 0; i < pool->config->workers && pool->idle > 0; i++) {
        struct worker *worker = &pool->workers[i];
        if (worker->state != IDLE)
            continue;
        if (write_fd(worker->channel, "", 1, pool->connection) == 0) {
            if (pool->config->verbose)
                say(pool, "descriptor %d goes to worker %d", pool->connection, (int)worker->pid);
            worker->state = BUSY;
            pool->idle--;
            close(pool->connection); /* the worker has its own: with ours, no end-of-file */
            pool->connection = -1;
            return;
        }
        if (errno != EPIPE && errno != ECONNRESET && errno != EAGAIN) {
            run_short(pool, &pool->no_hand_over, "cannot hand a connection over", errno);
            return;
        }
        part_with(pool, worker, errno == EAGAIN ? 0 : GRACE_MS);
    }
}

/* Waits until there is something to do. Returns false when select failed. */
static bool wait_readable(struct pool *pool, fd_set *readable)
{
    int ms = workers_timeout(pool->places);
    if ((pool->exhausted || pool->starting > 0) && (ms == -1 || ms > MOMENT_MS))
        ms = MOMENT_MS;
    struct timeval time = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

    *readable = pool->watched;
    /* While nobody is idle, clients wait in the backlog. */
    if (pool->ready && pool->idle > 0 && pool->connection == -1 && !pool->exhausted)
        FD_SET(pool->config->listener, readable);
    pool->exhausted = false;
    if (select(pool->highest + 1, readable, NULL, NULL, ms == -1 ? NULL : &time) != -1)
        return true;

    if (errno == ENOMEM) {
        run_short(pool, &pool->no_select, "select", errno);
        nanosleep(&(struct timespec){.tv_nsec = MOMENT_MS * 1000000L}, NULL);
    } else if (errno != EINTR) {
        fail(pool, "select: ", strerror(errno));
    }
    return false;
}

static int run(struct pool *pool)
{
    const struct pool_config *config = pool->config;

    for (;;) {
        fd_set readable;

        fill_places(pool);
        int64_t looked = pool->starting > 0 ? now_ms() : 0;
        if (!wait_readable(pool, &readable)) {
            FD_ZERO(&readable);
            looked = 0; /* it has not: who has reported meanwhile is not late */
        }

        if (FD_ISSET(config->stop, &readable))
            return 0;
        for (int i = 0; i < config->workers; i++)
            if (pool->workers[i].state != GONE && FD_ISSET(pool->workers[i].channel, &readable))
                worker_report(pool, &pool->workers[i]);
        if (FD_ISSET(workers_descriptor(pool->places), &readable))
            find_dead(pool);
        if (pool->starting > 0)
            find_late_starters(pool, looked);
        /* The last idle worker may have been lost since select looked. */
        if (FD_ISSET(config->listener, &readable) && pool->idle > 0)
            accept_connection(pool);
        if (pool->connection != -1)
            hand_over(pool);

        if (pool->failed)
            return -1;
        if (!pool->ready && pool->were_idle == config->workers) {
            pool->ready = true;
            if (config->ready)
                config->ready(config->context);
        }
    }
}

/* End-of-file ends the workers that are idle, SIGTERM the others, and SIGKILL who is left. */
static void end_all(struct pool *pool)
{
    int grace_ms = pool->config->grace_ms ? pool->config->grace_ms : GRACE_MS;

    for (int i = 0; i < pool->config->workers; i++) {
        if (pool->workers[i].state != IDLE && workers_pid(pool->places, i) != 0)
            kill(workers_pid(pool->places, i), SIGTERM);
        if (pool->workers[i].state != GONE)
            close(pool->workers[i].channel);
    }
    workers_close(pool->places, grace_ms);
}

int pool_run(const struct pool_config *config)
{
    struct pool *pool =
        calloc(1, sizeof(*pool) + (size_t)config->workers * sizeof(pool->workers[0]));
    bool waits = false;
    int result = -1;

    if (!pool) {
        say(&(struct pool){.config = config}, "pool: %s", strerror(errno));
        return -1;
    }
    pool->config = config;
    pool->connection = -1;
    pool->places = workers_open(config->workers);
    if (!pool->places) {
        if (errno == EXDEV)
            say(pool, "%s", children_impossible());
        else
            say(pool, "no workers: %s", strerror(errno));
        free(pool);
        return -1;
    }
    FD_ZERO(&pool->watched);
    const int always[] = {config->listener, config->stop, workers_descriptor(pool->places)};
    for (int i = 0; i < 3; i++)
        if (always[i] > pool->highest)
            pool->highest = always[i];
    int most = FD_SETSIZE - 1 - pool->highest; /* channels are above */

    if (config->workers > most) {
        say(pool, "%d workers: select can watch at most %d (FD_SETSIZE is %d)", config->workers,
            most > 0 ? most : 0, FD_SETSIZE);
    } else {
        FD_SET(config->stop, &pool->watched);
        FD_SET(workers_descriptor(pool->places), &pool->watched);
        waits = wait_for_the_cpu();
        result = run(pool);
    }

    if (pool->connection != -1)
        close(pool->connection);
    end_all(pool);
    if (waits)
        push_for_the_cpu();
    free(pool);
    return result;
}

/* ---- the worker's side ---- */

static int report(int channel, unsigned char what)
{
    ssize_t sent;

    do
        sent = send(channel, &what, 1, MSG_NOSIGNAL);
    while (sent == -1 && errno == EINTR);
    return sent == 1 ? 0 : -1;
}

int pool_work(int channel, int (*serve)(int connection))
{
    char byte;
    int connection;

    while (report(channel, 0) == 0) {
        ssize_t count = read_fd(channel, &byte, 1, &connection);
        if (count == 0)
            return 0;
        if (count > 0 && connection == -1)
            errno = EPROTO;
        if (connection == -1)
            break;
        serve(connection);
        close(connection);
    }
    /* A master that died with a report unread resets the channel: gone as well. */
    return errno == EPIPE || errno == ECONNRESET ? 0 : -1;
}

void pool_cannot_start(int channel, int error)
{
    /* If the report fails, the end of the process tells enough. */
    report(channel, error > 0 && error < 255 ? (unsigned char)error : 255);
}
