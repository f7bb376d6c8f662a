/*
 * A floor to measure against: one listener a worker, with SO_REUSEPORT.
 *
 * All listeners have the same address and port; the kernel gives each connection to one of them, by
 * a hash of its addresses and ports (socket(7)). Workers share nothing, not even a queue.
 *
 * What it does not promise, besides: a client may wait behind another's connection while workers
 * are idle, since the hash does not know who is busy. A second server of the same user on the same
 * port is no error: the two share the clients.
 */
#include "floor.h"
#include "listener.h"

#include <stdlib.h>
#include <string.h>

static int port_of(int socket)
{
    char name[SOCKET_NAME_MAX];

    return atoi(strrchr(local_name(socket, name), ':') + 1);
}

/* All of them are open before the first client comes: a listener that joins later takes its share
 * of the new connections only. */
int floor_listener(const char *address, int port, int worker)
{
    static int first;
    int listener = listener_open_shared(address, worker == 0 ? port : port_of(first));

    if (worker == 0)
        first = listener;
    return listener;
}
