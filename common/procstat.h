/* What the kernel says of a process: proc(5), /proc/PID/stat. */
#ifndef PROCSTAT_H
#define PROCSTAT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct procstat {
    pid_t parent;
    char state;             /* R, S, D, T, t, Z, ... */
    int64_t ticks;          /* of CPU time, its own ... */
    int64_t children_ticks; /* ... and that of the children that it has waited for */
    long threads;
    long pages; /* resident */
};

/* Reads it. Returns false when there is no such process, or it has gone meanwhile. */
bool procstat_read(pid_t pid, struct procstat *stat);

#ifdef __cplusplus
}
#endif

#endif
