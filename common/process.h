/* Processes: signals that arrive as data, and children that do not outlive their parent. */
#ifndef PROCESS_H
#define PROCESS_H

#include <sys/types.h>

/*
 * Blocks the signals in the list, which a 0 ends, and returns a descriptor that is readable while
 * one of them is pending: signalfd(2). It is non-blocking, close-on-exec and the caller's.
 * Returns -1 with errno.
 *
 * A handler could run between the test of its flag and the wait; a descriptor has no such gap,
 * and select watches it like everything else.
 */
int signals_open(int signal, ...);

/* Takes one pending signal from `signals` and returns its number, or 0 when none is pending. */
int signals_next(int signals);

/*
 * fork(2), with two differences in the child: no signal is blocked, whatever the parent blocked,
 * and the kernel ends it when its parent ends, by kill -9 too (PR_SET_PDEATHSIG in prctl(2);
 * the "parent" is the thread that forked; this survives execve(2), but not that of a set-user-ID or
 * set-group-ID program, nor a change of effective user or group).
 *
 * Returns the child's process id in the parent, 0 in the child, -1 with errno when fork failed.
 */
pid_t fork_child(void);

#endif
