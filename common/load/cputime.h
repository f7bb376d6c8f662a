/* The CPU time of a process and all its descendants, dead ones included. */
#ifndef CPUTIME_H
#define CPUTIME_H

#include <stdint.h>
#include <sys/types.h>

/*
 * Writes to `*ns` the CPU time, user and system, that `root` and its descendants have used so far:
 * what the living have used themselves (schedstat, in nanoseconds; where the kernel has none,
 * utime and stime), and what they have inherited from children that they waited for (cutime and
 * cstime, in clock ticks of mostly 10 ms). Of a process with several threads only the first one is
 * counted while it lives. See proc(5).
 *
 * Returns -1 with errno when `root` is not there (ESRCH) or /proc cannot be read.
 */
int cputime_tree(pid_t root, int64_t *ns);

#endif
