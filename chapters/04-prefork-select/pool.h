/*
 * A pool of worker processes that are handed their connections as descriptors.
 *
 * The master accepts, and passes each connection to an idle worker over that worker's channel, a
 * socketpair (write_fd, read_fd). Over the same channel the worker sends reports of one byte:
 *
 *     0      "I am idle": once when it has started, and then after each connection
 *     other  "I cannot start", with the errno that says why; only as the first report
 *
 * End-of-file on the channel tells either side that the other has gone. A worker may be any
 * program that speaks this protocol.
 *
 * To use the pool elsewhere take pool.c, fdpass.c and process.c with their headers. It is for
 * processes with one thread, with descriptors 0 to 2 open, in which nobody else waits for the
 * pool's workers: no waitpid(-1), no handler of SIGCHLD.
 */
#ifndef POOL_H
#define POOL_H

#include <stdbool.h>

struct pool_config {
    int listener; /* listening and non-blocking; stays the caller's */
    int stop;     /* the pool ends once this is readable, and does not read it; the caller's */
    int workers;  /* how many, 1 or more */
    bool verbose; /* say each hand-over on stderr */

    /* Called once, when all workers are idle for the first time. */
    void (*ready)(void);

    /*
     * Called in each new process, with its end of the channel (blocking, close-on-exec). Becomes
     * a worker by calling pool_work or execve(2). Returns the status with which the process ends,
     * by _exit(2), since what stdio still holds is the master's. The descriptors of the master that
     * the pool knows of are closed. Where the master runs as SCHED_OTHER, workers run as
     * SCHED_BATCH (sched(7)): `start` may choose again.
     */
    int (*start)(int channel);
};

/*
 * Runs a pool until `stop` is readable, ends its workers, and returns 0.
 *
 * A connection is accepted only while a worker is idle. A worker that ends, or breaks the
 * protocol, loses its connection and is replaced; one that never finished a connection is replaced
 * after a tenth of a second. When the master runs out of descriptors, memory or processes, it
 * waits a tenth of a second and tries again, and drops no connection for it.
 *
 * Returns -1, having said why in one line on stderr (err(3)), with no worker left:
 *   - a worker cannot start: socketpair or fork fails at the beginning; or at any time a new worker
 *     says so, or ends before its first report (one that SIGKILL or SIGTERM ended is replaced: that
 *     was somebody else's doing)
 *   - no worker reports for ten seconds at the beginning
 *   - so many workers need descriptors from FD_SETSIZE up, which select(2) cannot watch
 *
 * At the end idle workers read end-of-file, the others get SIGTERM, and after half a second
 * SIGKILL; what they serve is lost.
 */
int pool_run(const struct pool_config *config);

/*
 * The worker's side. Reports idle, receives a connection, calls `serve` and closes the connection,
 * again and again. What `serve` returns is not looked at: a connection that breaks is its client's
 * affair. Returns 0 when the master has gone; -1 with errno when it cannot receive a connection (as
 * read_fd says; EPROTO when a message came without one). `channel` stays the caller's.
 */
int pool_work(int channel, int (*serve)(int connection));

/* Instead: reports that this worker cannot start, because of `error` (an errno). */
void pool_cannot_start(int channel, int error);

#endif
