/*
 * A floor to measure against: workers that block in accept.
 *
 * All workers wait in accept on one listener that they have inherited. No connection has to travel,
 * so nothing that hands connections over can cost less than this on one listener.
 *
 * Who waits is woken one at a time: inet_csk_wait_for_connect() in Linux's
 * net/ipv4/inet_connection_sock.c queues each process as an exclusive waiter ("only one process
 * gets woken up, not the 'whole herd'"), at the tail of the queue (prepare_to_wait_exclusive() in
 * kernel/sched/wait.c), and it is the head that is woken: the worker that has waited longest
 * (fact: accept-wakes-who-has-waited-longest). With -v one sees them take turns. (In select, poll,
 * or epoll_wait with an instance for each, all are woken at once; with EPOLLEXCLUSIVE the one that
 * registered first of those that wait; in an instance that they share, edge-triggered, the last
 * that came. fact: epoll-own-instances-all-wake, fact: epoll-exclusive-wakes-the-first, fact:
 * epoll-shared-instance-wakes-the-last.)
 */
#include "floor.h"
#include "listener.h"

int floor_listener(const char *address, int port, int worker)
{
    static int listener;

    if (worker == 0)
        listener = listener_open(address, port);
    return listener;
}
