/*
 * Ways for a worker to wait for its next connection, when nobody hands it one: it accepts itself.
 *
 * What a worker waits at is its gate. The master opens the gate of a worker before it forks it, so
 * that it can say what is wrong, and closes its own copies afterwards: then the gate is the
 * worker's alone, but for the listener and the lock where all workers share them.
 */
#ifndef WAYS_H
#define WAYS_H

#include <pthread.h>
#include <stdbool.h>

struct gate {
    int listener;
    int epoll;             /* -1 but in that way */
    pthread_mutex_t *lock; /* in memory that all workers share */
};

struct way {
    const char *name;
    bool own_listener; /* each worker has a listener of its own, on the same port: SO_REUSEPORT */
    bool blocks;       /* waits in accept4(2), so that the listener must not be O_NONBLOCK */

    /*
     * Opens what else is at the gate whose listener is given. Returns 0; or -1 with errno and
     * nothing opened: ERANGE when select(2) cannot watch the listener (FD_SETSIZE), EOPNOTSUPP
     * where the kernel knows no EPOLLEXCLUSIVE (before Linux 4.5: epoll_ctl(2)), EMFILE, ... NULL:
     * there is nothing else.
     */
    int (*open)(struct gate *gate);

    /*
     * Waits for a connection and accepts it. Returns it, close-on-exec and blocking; or -1 with
     * errno as accept4(2) says: EAGAIN when another worker was faster; EMFILE, ENFILE, ENOBUFS or
     * ENOMEM when something has run out; ECONNABORTED where, on other systems than Linux, the
     * client has gone. No lock is held then.
     */
    int (*next)(const struct gate *gate);
};

/* All of them; one without a name ends the list. The first is the default. */
extern const struct way ways[];

/*
 * Makes a lock for `gate.lock` out of memory that the workers will share. If its holder dies the
 * next one gets it: a robust mutex, pthread_mutexattr_setrobust(3).
 */
void lock_make(pthread_mutex_t *lock);

#endif
