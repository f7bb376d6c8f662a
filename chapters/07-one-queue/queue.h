/*
 * A pool of workers that all read one channel: the queue.
 *
 *                                .---------.   read_fd
 *     accept   acceptor -------> |  queue  | ----------> whichever worker has waited longest
 *                      write_fd  '---------'
 *
 * The queue is one socketpair(2) of SOCK_SEQPACKET, each message a connection. The acceptor, a
 * process that does nothing else, puts connections in at its first end; its second end all workers
 * share, and the kernel gives each message to one of them. So nobody has to know who is idle, and
 * nobody is asked. The supervisor, who calls queue_run, starts and replaces all of them and sees no
 * connection.
 *
 * Who holds what: the supervisor both ends, to give them to successors; the acceptor the first; a
 * worker the second only. When the supervisor is killed
 * its acceptor is, too (fork_child in process.h), and then workers read end-of-file, after what is
 * in the queue. A worker that kept the first end would never read it.
 *
 * A worker speaks the protocol of pool.h, but has to report twice only: when it has started, and
 * after its first connection, if it is a program of its own; a copy of this one ticks a box in
 * shared memory for that. What it reports more often does no more, so that a program that is a
 * worker of pool.h is one here. The kernel says who reports: SCM_CREDENTIALS in unix(7).
 *
 * To use it elsewhere take fdpass, log, process, procstat, workers and queue, .c and .h, and
 * pool.h, whose pool_config this shares, and whose conditions hold here. In chapter 4's skeleton.c
 * three words change.
 */
#ifndef QUEUE_H
#define QUEUE_H

#include "pool.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How the acceptor puts a connection into the queue, where that is not by write_fd. */
struct queue_way {
    /* Puts it in, and closes it, now or later. Returns 0; or -1 with errno, and then it is the
     * acceptor's still, and is put in again in a moment; EPIPE: the queue is broken. */
    int (*put)(int queue, int connection);

    /* Called when a signal has interrupted accept4 or `put`. NULL: that means nothing. */
    void (*rest)(int queue);
};

/*
 * Runs a pool until config->stop is readable, ends its workers, and returns 0; or returns -1,
 * having said why, as pool_run does, with no worker left. `way` NULL: connections travel by
 * write_fd.
 *
 * The acceptor is started when all workers have been idle, and `ready` is called when it runs.
 * `start` is called in each worker, with the queue as its channel. The listener becomes blocking.
 *
 * Of the connections that wait for a worker about QUEUE_LENGTH are in the queue, accepted; the
 * others in the listener's backlog. A worker that dies loses its connection and none of the queue;
 * the acceptor at most the one in its hands. What is in the queue at the end is lost, and said.
 *
 * A queue that is shut down is replaced, and so is its acceptor; who reads the old one finds its
 * end, and is replaced when it has ended. Against a worker that means harm that is all: it can take
 * connections and keep them, or spoil the queue for the others, but neither confuse the supervisor
 * nor the acceptor by what it sends them. (That of a privileged one may claim to be another's.)
 *
 * Other than with pool_run, `log` is called in the acceptor, too, which ends by a signal: it should
 * write, and not collect; `died` is called for the acceptor, too; and at the end all workers that
 * have not read end-of-file in a twentieth of a second get SIGTERM, since nobody knows who is idle.
 * Each worker costs the caller a descriptor (a pidfd), or its death is noticed by SIGCHLD alone.
 */
int queue_run(const struct pool_config *config, const struct queue_way *way);

enum { QUEUE_LENGTH = 16 };

/*
 * Opens a queue, of which the first end takes so many messages of a few bytes before who writes has
 * to wait, or a few more. SO_SNDBUF has a minimum, of about six messages, and a maximum, which is
 * net.core.wmem_max: socket(7). Both ends are close-on-exec and the caller's. Returns 0, or -1 with
 * errno and nothing open.
 */
int queue_open(int ends[2], int length);

/*
 * The worker's side: pool_work of pool.h, with fewer reports, and the same results. EMFILE: a
 * connection has been lost, since this process may open no more; so it does not go on taking.
 */
int queue_work(int queue, int (*serve)(int connection));

/* The same for who takes connections in another way: `take` waits for one and gives it as read_fd
 * of fdpass.h does. */
int queue_work_by(int queue, ssize_t (*take)(int queue, int *connection),
                  int (*serve)(int connection));

/* Instead: pool_cannot_start of pool.h. */
void queue_cannot_start(int queue, int error);

#ifdef __cplusplus
}
#endif

#endif
