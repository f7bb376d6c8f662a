/* Processes: signals that arrive as data, and children that do not outlive their parent. */
#ifndef PROCESS_H
#define PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Milliseconds on CLOCK_MONOTONIC, which no one sets: clock_gettime(2). */
int64_t now_ms(void);

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
 * Returns NULL when this process can have children that it may rely on, else a line that says why
 * not: they would be born in another PID namespace than their parent's ("unshare -p" without -f).
 * The first of them would be that namespace's init, and with it all others would die, and none
 * could follow. See pid_namespaces(7).
 */
const char *children_impossible(void);

/*
 * fork(2), with differences in the child: no signal is blocked, whatever the parent blocked;
 * SIGTERM, SIGINT and SIGPIPE have their default action; and the kernel ends the child when its
 * parent ends, by kill -9 too (PR_SET_PDEATHSIG in prctl(2)). The "parent" is the thread that
 * forked. This survives execve(2), but a change of the effective user or group, or a program with
 * set-user-ID, set-group-ID or capabilities, clears it: whoever drops privileges asks again, with
 * prctl and getppid.
 *
 * Returns the child's process id in the parent, 0 in the child, -1 with errno when fork failed.
 */
pid_t fork_child(void);

/*
 * Ends children: waits `grace_ms` for them to end by themselves, sends SIGKILL to those that have
 * not, and reaps them. A 0 in the list is nobody; who has been reaped becomes 0.
 *
 * Returns a second after the SIGKILL at the latest: who is traced (ptrace(2)) can be reaped by its
 * tracer only, and who sleeps in the kernel dies when it wakes up. SIGCHLD must be blocked.
 */
void children_end(pid_t children[], int count, int grace_ms);

/*
 * From here on this process, and those that it forks, do not push a running process off its CPU
 * when they wake up, but wait until that sleeps or has had its time: SCHED_BATCH in sched(7). It is
 * allowed to everybody. A process that has another policy than SCHED_OTHER keeps it. Returns
 * whether anything has changed.
 */
bool wait_for_the_cpu(void);

/* Takes that back, for this process: SCHED_OTHER. */
void push_for_the_cpu(void);

#ifdef __cplusplus
}
#endif

#endif
