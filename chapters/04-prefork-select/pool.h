/*
 * A pool of worker processes that are handed their connections as descriptors.
 *
 * The master accepts, and passes each connection to an idle worker over that worker's channel, a
 * socketpair (write_fd, read_fd). Over the same channel the worker sends reports of one byte:
 *
 *     0      "I am idle": once when it has started, and then after each connection
 *     other  "I cannot start", with the errno that says why; only as the first report
 *
 * End-of-file on the channel tells a worker that the master has gone. The master knows that a
 * worker has gone when it dies (workers.h), and at end-of-file wants nothing more of it. A worker
 * may be any program that speaks this protocol.
 *
 * To use the pool elsewhere take fdpass, log, process, workers and pool, .c and .h; skeleton.c is a
 * server to begin with. The pool is for processes with one thread, with descriptors 0 to 2 open, in
 * which nobody else waits for the pool's workers: no waitpid(-1), no handler of SIGCHLD.
 */
#ifndef POOL_H
#define POOL_H

#include <stdbool.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct pool_config {
    int listener; /* listening and non-blocking; stays the caller's */
    int stop;     /* the pool ends once this is readable, and does not read it; the caller's */
    int workers;  /* how many, 1 or more */
    bool verbose; /* say each hand-over, and each death */
    int start_ms; /* how long a worker has from its birth to its first report; 0: 10000 */
    int grace_ms; /* how long workers have to end when the pool does; 0: 500 */

    void *context; /* what all that is called below gets back */

    /* Called once, when in each place a worker has been idle. May be NULL. */
    void (*ready)(void *context);

    /*
     * Called in each new process, with its end of the channel (blocking, close-on-exec). Becomes
     * a worker by calling pool_work or execve(2). Returns the status with which the process ends,
     * by _exit(2), since what stdio still holds is the master's. The descriptors of the master that
     * the pool knows of are closed.
     */
    int (*start)(int channel, void *context);

    /* Takes what the pool has to say, a line without its newline. NULL: log_line of log.h, which
     * never waits, as this should not. */
    void (*log)(const char *line, void *context);

    /* Called after each death of a worker but for those at the pool's end, with its status as
     * waitpid(2) gives it and how many have died so far. May be NULL. */
    void (*died)(pid_t worker, int status, long deaths, void *context);
};

/*
 * Runs a pool until `stop` is readable, ends its workers, and returns 0.
 *
 * A connection is accepted only while a worker is idle. A worker that ends, breaks the protocol, or
 * has not reported `start_ms` after its birth loses its connection and its place, and is replaced:
 * at once if it ever finished a connection, else after a pause that grows (workers.h). When
 * descriptors, memory or processes run out, the pool says so once, waits a tenth of a second and
 * tries again, and drops no connection for it. So it does when a new worker cannot start, while
 * others serve.
 *
 * Meanwhile the caller runs as SCHED_BATCH if it was SCHED_OTHER (sched(7)), and so do the workers,
 * unless `start` chooses again; and SIGCHLD is blocked.
 *
 * Returns -1, having said why in one line, with no worker left:
 *   - before `ready`, a worker cannot start: socketpair or fork fails, it says so, ends before its
 * first report (one that SIGKILL or SIGTERM ended is replaced: that was somebody else's doing), or
 * does not report in time
 *   - so many workers need descriptors from FD_SETSIZE up, which select(2) cannot watch
 *   - select fails for another reason than memory, or workers_open does
 *
 * At the end idle workers read end-of-file, the others get SIGTERM, and after `grace_ms`
 * SIGKILL; what they serve is lost. Who cannot be reaped even so is left (children_end in
 * process.h).
 */
int pool_run(const struct pool_config *config);

/*
 * The worker's side. Reports idle, receives a connection, calls `serve` and closes the connection,
 * again and again. What `serve` returns is not looked at: a connection that breaks is its client's
 * affair. Returns 0 when the master has gone; -1 with errno when it cannot receive a connection (as
 * read_fd says; EPROTO when a message came without one). `channel` stays the caller's.
 */
int pool_work(int channel, int (*serve)(int connection));

/* Instead: reports that this worker cannot start, because of `error`, an errno. What is none, or
 * does not fit into the byte, arrives as 255. */
void pool_cannot_start(int channel, int error);

#ifdef __cplusplus
}
#endif

#endif
