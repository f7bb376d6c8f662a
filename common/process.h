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
 * fork(2), with differences in the child: no signal is blocked, whatever the parent blocked;
 * SIGTERM, SIGINT and SIGPIPE have their default action; and the kernel ends the child when its
 * parent ends, by kill -9 too (PR_SET_PDEATHSIG in prctl(2)). The "parent" is the thread that
 * forked. This survives execve(2), but a change of user or group, or a set-user-ID program, clears
 * it: whoever drops privileges asks again, with prctl and getppid.
 *
 * Returns the child's process id in the parent, 0 in the child, -1 with errno when fork failed.
 */
pid_t fork_child(void);

#endif
