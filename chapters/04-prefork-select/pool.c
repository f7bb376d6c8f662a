#include "pool.h"

#include "fdpass.h"
#include "process.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    START_MS = 10000, /* how long no worker may report at the beginning */
    MOMENT_MS = 100,  /* how long to wait before something that failed is tried again */
    GRACE_MS = 500,   /* how long workers have to end by themselves */
};

struct worker {
    enum { VACANT, STARTING, IDLE, BUSY } state;
    bool proven; /* has finished a connection */
    pid_t pid;
    int channel; /* the master's end, non-blocking */
};

struct pool {
    const struct pool_config *config;
    fd_set channels;   /* of all workers, for select */
    int highest;       /* descriptor to watch */
    int vacant;        /* places without a worker */
    int idle;          /* workers that wait for a connection */
    int connection;    /* accepted but not yet handed over; else -1 */
    bool exhausted;    /* out of descriptors or memory: take no connection for a moment */
    bool ready;        /* all workers have been idle once */
    bool failed;       /* it has been said why */
    int64_t fill_at;   /* vacant places stay so until then */
    int64_t report_at; /* when the last report came */
    struct worker workers[];
};

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void fail(struct pool *pool, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    if (!pool->failed) /* the first reason is the cause of the others */
        vwarnx(format, arguments);
    va_end(arguments);
    pool->failed = true;
}

/* ---- one worker ---- */

/* In the new process: closes all that is the master's, and becomes the worker. */
static _Noreturn void worker_begin(const struct pool *pool, int channel)
{
    const struct pool_config *config = pool->config;

    /* Siblings' channels above all: while a copy of the master's end is open here, that sibling
     * sees no end-of-file when the master dies. */
    for (int i = 0; i < config->workers; i++)
        if (pool->workers[i].state != VACANT)
            close(pool->workers[i].channel);
    if (pool->connection != -1)
        close(pool->connection);
    close(config->listener);
    close(config->stop);
    /* A worker that wakes up waits until the CPU is free, and does not push the master or another
     * worker off it in the middle of their work: fewer switches, less CPU for a connection. */
    if (sched_getscheduler(0) == SCHED_OTHER)
        sched_setscheduler(0, SCHED_BATCH, &(struct sched_param){0});
    /* The channel is not closed here: at its end the master kills what may be left of a worker, and
     * might do so before _exit has said how that ended. */
    _exit(config->start(channel));
}

/* Starts a worker in a vacant place. Returns -1 with errno. */
static int worker_start(struct pool *pool, struct worker *worker)
{
    int channel[2];
    pid_t pid = -1;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel) == -1)
        return -1;
    if (channel[0] >= FD_SETSIZE)
        errno = ERANGE;
    else if (fcntl(channel[0], F_SETFL, O_NONBLOCK) == 0) /* no worker can hold the master up */
        pid = fork_child();

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
    *worker = (struct worker){.state = STARTING, .pid = pid, .channel = channel[0]};
    FD_SET(channel[0], &pool->channels);
    if (channel[0] > pool->highest)
        pool->highest = channel[0];
    pool->vacant--;
    return 0;
}

/* The worker's channel is of no use any more: ends what may be left of it, and frees its place. */
static void worker_lost(struct pool *pool, struct worker *worker)
{
    int status = 0;

    if (pool->config->verbose)
        warnx("worker %d is lost", (int)worker->pid);
    /* Mostly it is dead already, and this does nothing. If not, waitpid must not wait for long. */
    kill(worker->pid, SIGKILL);
    while (waitpid(worker->pid, &status, 0) == -1 && errno == EINTR)
        continue;

    if (worker->state == STARTING) {
        if (WIFEXITED(status))
            fail(pool, "worker %d ended with status %d before it was idle", (int)worker->pid,
                 WEXITSTATUS(status));
        else if (WTERMSIG(status) != SIGKILL && WTERMSIG(status) != SIGTERM)
            fail(pool, "worker %d died of signal %d (%s) before it was idle", (int)worker->pid,
                 WTERMSIG(status), strsignal(WTERMSIG(status)));
    }
    if (worker->state == IDLE)
        pool->idle--;
    if (!worker->proven) /* perhaps its successor fares no better: never in a fast loop */
        pool->fill_at = now_ms() + MOMENT_MS;
    FD_CLR(worker->channel, &pool->channels);
    close(worker->channel);
    worker->state = VACANT;
    pool->vacant++;
}

/* Reads what the worker has sent. */
static void worker_report(struct pool *pool, struct worker *worker)
{
    unsigned char reports[2]; /* there is never more than one: a second breaks the protocol */
    ssize_t count = read(worker->channel, reports, sizeof(reports));

    if (count == -1 && (errno == EINTR || errno == EAGAIN))
        return;
    if (count == 1 && reports[0] == 0 && worker->state != IDLE) {
        worker->proven = worker->state == BUSY;
        worker->state = IDLE;
        pool->idle++;
        pool->report_at = now_ms();
    } else if (count == 1 && reports[0] != 0 && worker->state == STARTING) {
        fail(pool, "a worker cannot start: %s", strerror(reports[0]));
    } else {
        worker_lost(pool, worker);
    }
}

/* ---- all of them ---- */

static void fill_places(struct pool *pool)
{
    if (pool->vacant == 0 || now_ms() < pool->fill_at)
        return;
    for (int i = 0; i < pool->config->workers; i++) {
        if (pool->workers[i].state != VACANT || worker_start(pool, &pool->workers[i]) == 0)
            continue;
        if (!pool->ready)
            fail(pool, "cannot start worker %d of %d: %s", i + 1, pool->config->workers,
                 strerror(errno));
        pool->fill_at = now_ms() + MOMENT_MS;
        return;
    }
}

static void accept_connection(struct pool *pool)
{
    pool->connection = accept4(pool->config->listener, NULL, NULL, SOCK_CLOEXEC);
    /* A client that has gone since select saw it is no error. After any other the connection stays
     * in the backlog, and the listener readable. */
    if (pool->connection == -1 && errno != EAGAIN && errno != ECONNABORTED)
        pool->exhausted = true;
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
                warnx("descriptor %d goes to worker %d", pool->connection, (int)worker->pid);
            worker->state = BUSY;
            pool->idle--;
            close(pool->connection); /* the worker has its own: with ours, no end-of-file */
            pool->connection = -1;
            return;
        }
        if (errno != EPIPE && errno != ECONNRESET && errno != EAGAIN) {
            pool->exhausted = true;
            return;
        }
        worker_lost(pool, worker);
    }
}

/* Waits until there is something to do. Returns the number of readable descriptors, or -1. */
static int wait_readable(const struct pool *pool, fd_set *readable)
{
    bool briefly = pool->exhausted || pool->vacant > 0 || !pool->ready;
    struct timeval moment = {.tv_usec = MOMENT_MS * 1000};

    *readable = pool->channels;
    FD_SET(pool->config->stop, readable);
    /* While nobody is idle, clients wait in the backlog. */
    if (pool->ready && pool->idle > 0 && pool->connection == -1 && !pool->exhausted)
        FD_SET(pool->config->listener, readable);
    return select(pool->highest + 1, readable, NULL, NULL, briefly ? &moment : NULL);
}

static int run(struct pool *pool)
{
    const struct pool_config *config = pool->config;

    for (;;) {
        fd_set readable;

        fill_places(pool);
        int count = wait_readable(pool, &readable);
        if (count == -1 && errno != EINTR)
            fail(pool, "select: %s", strerror(errno));
        if (count == -1)
            FD_ZERO(&readable);
        pool->exhausted = false;

        if (FD_ISSET(config->stop, &readable))
            return 0;
        for (int i = 0; i < config->workers; i++)
            if (pool->workers[i].state != VACANT && FD_ISSET(pool->workers[i].channel, &readable))
                worker_report(pool, &pool->workers[i]);
        /* The last idle worker may have been lost since select looked. */
        if (FD_ISSET(config->listener, &readable) && pool->idle > 0)
            accept_connection(pool);
        if (pool->connection != -1)
            hand_over(pool);

        if (!pool->ready && pool->idle == config->workers) {
            pool->ready = true;
            config->ready();
        }
        if (!pool->ready && now_ms() > pool->report_at + START_MS)
            fail(pool, "no worker has reported for %d seconds", START_MS / 1000);
        if (pool->failed)
            return -1;
    }
}

/* End-of-file ends the workers that are idle, SIGTERM the others, and SIGKILL who is left. */
static void workers_end(struct pool *pool)
{
    int workers = pool->config->workers;
    int64_t deadline = now_ms() + GRACE_MS;

    for (int i = 0; i < workers; i++) {
        struct worker *worker = &pool->workers[i];
        if (worker->state == VACANT)
            continue;
        close(worker->channel);
        if (worker->state != IDLE)
            kill(worker->pid, SIGTERM);
    }
    while (pool->vacant < workers) {
        for (int i = 0; i < workers; i++) {
            struct worker *worker = &pool->workers[i];
            if (worker->state == VACANT)
                continue;
            if (now_ms() >= deadline)
                kill(worker->pid, SIGKILL);
            if (waitpid(worker->pid, NULL, WNOHANG) != 0) {
                worker->state = VACANT; /* its id is not ours any more */
                pool->vacant++;
            }
        }
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
}

int pool_run(const struct pool_config *config)
{
    int highest = config->listener > config->stop ? config->listener : config->stop;
    int most = highest < FD_SETSIZE ? FD_SETSIZE - 1 - highest : 0; /* channels are above */

    if (config->workers > most) {
        warnx("%d workers: select cannot watch descriptors from %d (FD_SETSIZE) up; at most %d",
              config->workers, FD_SETSIZE, most);
        return -1;
    }

    signal(SIGCHLD, SIG_DFL); /* ignored, it would free workers' ids before waitpid saw them */
    struct pool *pool = calloc(1, sizeof(*pool) + (size_t)config->workers * sizeof(*pool->workers));
    if (!pool) {
        warn("pool");
        return -1;
    }
    pool->config = config;
    pool->vacant = config->workers;
    pool->connection = -1;
    pool->report_at = now_ms();
    pool->highest = highest;
    FD_ZERO(&pool->channels);

    int result = run(pool);

    if (pool->connection != -1)
        close(pool->connection);
    workers_end(pool);
    free(pool);
    return result;
}

/* ---- the worker's side ---- */

static int report(int channel, char what)
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
    report(channel, (char)error); /* if that fails, the end of the process tells enough */
}
