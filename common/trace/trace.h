/* What trace.so writes: a file of events, which the traced processes share as memory. */
#ifndef TRACE_H
#define TRACE_H

#include <stdatomic.h>
#include <stdint.h>

/*
 * One call of one process. It is complete once `end` is not 0, which is written last; the event of
 * a process that was killed while it wrote stays incomplete.
 */
struct trace_event {
    int64_t begin;       /* in ns of CLOCK_MONOTONIC, one clock for all processes */
    _Atomic int64_t end; /* the same as `begin` for a call that does not return */
    uint64_t socket;     /* which socket `other` is: SO_COOKIE, the same in every process; or 0 */
    int32_t pid;         /* who called; the child, too, has an event for fork */
    int32_t descriptor;  /* on which it was called, or -1; of a socketpair the first end */
    int32_t other;       /* opened, accepted, passed by SCM_RIGHTS (the first one) or copied, or -1;
                          * of a socketpair the second end */
    int32_t result;      /* as returned; the status of exit */
    int32_t error;       /* errno, when `result` is -1 */
    char call[12];       /* "accept4"; "memfd" is memfd_create(2), and "exit" is _exit(2), exit(3)
                          * or the end of main */
};

/* The file. It has room for as many events as its size allows; further ones are only counted. */
struct trace {
    _Atomic uint64_t count; /* of all events, with those that found no room */
    struct trace_event events[];
};

#endif
