/*
 * Ways for a connection to travel through a queue (queue.h), and for workers to wait for it.
 *
 *     rights  the descriptor itself travels (SCM_RIGHTS), and a worker sleeps in recvmsg: the one
 *             that has waited longest is woken
 *     epoll   the same; but a worker sleeps in epoll_wait, exclusively: the one that registered
 *             first is woken, whose memory is in the caches
 *     pidfd   its number travels, and a worker copies the descriptor out of the acceptor:
 *             pidfd_getfd(2). The acceptor keeps its own until it is told that it was copied
 *
 * What `pidfd` cannot do: the connections that wait in the queue are open in the acceptor only, so
 * they die with it. A worker's connection is open there, too, for a tenth of a second or the next
 * eight connections: only then a client sees that its worker has been killed. A worker that is
 * killed between taking a number and saying so keeps its client waiting for one or two seconds, or
 * until there is a moment at which the queue is empty.
 */
#ifndef TRAVEL_H
#define TRAVEL_H

#include "queue.h"

struct travel {
    const char *name;

    /* To be called before queue_run. Returns 0; or -1 with errno: EPERM where one process may not
     * take the descriptors of another (Yama, a container's seccomp filter: pidfd_getfd(2) and
     * ptrace(2), "Ptrace access mode checking"), ENOSYS before Linux 5.6. NULL: nothing to do. */
    int (*open)(void);

    const struct queue_way *way; /* for queue_run */

    /* A worker's work: as queue_work. */
    int (*work)(int queue, int (*serve)(int connection));
};

/* All of them; one without a name ends the list. The first is the default. */
extern const struct travel travels[];

#endif
