/*
 * What the floors share: workers that block in accept, and a master that waits for their end.
 *
 * A floor is no server of the course, but something to measure against. What none of them promises:
 * a worker that dies is not replaced; the whole server ends. So it does when descriptors or memory
 * run out. Nor can a master that never sees a connection decide who gets it.
 */
#ifndef FLOOR_H
#define FLOOR_H

/*
 * Each floor's own: gives the listener of the worker with this number, or -1 with errno. It is
 * called in the order of the workers, from 0. The master announces the first listener and keeps it
 * open; any other is the worker's alone.
 */
int floor_listener(const char *address, int port, int worker);

#endif
