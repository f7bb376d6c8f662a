#include "ways.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

static int take(const struct gate *gate)
{
    return accept4(gate->listener, NULL, NULL, SOCK_CLOEXEC);
}

/* ---- lock: one waits in accept, the others for the lock ---- */

void lock_make(pthread_mutex_t *lock)
{
    pthread_mutexattr_t attributes;

    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(lock, &attributes);
    pthread_mutexattr_destroy(&attributes);
}

static int lock_next(const struct gate *gate)
{
    /* The last holder was killed. What the lock protects is the listener, which is in order. */
    if (pthread_mutex_lock(gate->lock) == EOWNERDEAD)
        pthread_mutex_consistent(gate->lock);
    int connection = take(gate), error = errno;
    pthread_mutex_unlock(gate->lock);
    errno = error;
    return connection;
}

/* ---- select: all are woken, and one is the fastest ---- */

static int select_open(struct gate *gate)
{
    if (gate->listener < FD_SETSIZE)
        return 0;
    errno = ERANGE;
    return -1;
}

static int select_next(const struct gate *gate)
{
    fd_set readable;

    FD_ZERO(&readable);
    FD_SET(gate->listener, &readable);
    if (select(gate->listener + 1, &readable, NULL, NULL, NULL) == -1)
        return -1;
    return take(gate);
}

/* ---- epoll: "one or more" of those that wait are woken, says epoll_ctl(2) ---- */

static int epoll_open(struct gate *gate)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLEXCLUSIVE};

    gate->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (gate->epoll == -1)
        return -1;
    if (epoll_ctl(gate->epoll, EPOLL_CTL_ADD, gate->listener, &event) == 0) {
        /* A kernel that knows the flag forbids to change it; one that does not ignores it. */
        if (epoll_ctl(gate->epoll, EPOLL_CTL_MOD, gate->listener, &event) == -1)
            return 0;
        errno = EOPNOTSUPP;
    }
    int error = errno;
    close(gate->epoll);
    gate->epoll = -1;
    errno = error;
    return -1;
}

static int epoll_next(const struct gate *gate)
{
    struct epoll_event event;

    if (epoll_wait(gate->epoll, &event, 1, -1) == -1)
        return -1;
    return take(gate);
}

const struct way ways[] = {
    {.name = "accept", .blocks = true, .next = take},
    {.name = "lock", .blocks = true, .next = lock_next},
    {.name = "select", .open = select_open, .next = select_next},
    {.name = "epoll", .open = epoll_open, .next = epoll_next},
    {.name = "reuseport", .own_listener = true, .blocks = true, .next = take},
    {0},
};
