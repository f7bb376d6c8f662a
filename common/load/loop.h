/* The connections that load makes, and what has become of them. */
#ifndef LOOP_H
#define LOOP_H

#include "options.h"
#include "samples.h"

#include <stdbool.h>
#include <stdint.h>

/* What can become of a connection. */
enum outcome { OK, REFUSED, RESET, CUT_SHORT, CORRUPT, TIMED_OUT, OUTCOMES };

struct result {
    long started, finished;
    long outcomes[OUTCOMES];
    struct samples latencies; /* of those that are OK; not sorted */
    int64_t begin, end;       /* on the monotonic clock, in nanoseconds */
    double cpu_us;            /* that load has taken, user and system */
    bool nobody_listens;      /* all that has happened is that connections were refused */

    /* Of an open loop. */
    struct samples late; /* how much later than due each one started; not sorted */
    long most_at_once;
    long held;           /* waited, when due, until one of the others had ended: see -c */
    long unstarted;      /* were due before the time was over, and never started */
    int64_t due_end;     /* none is due from then on */
    long ok_before_then; /* finished by `due_end` */
};

/*
 * Makes all connections that the options ask for, and waits for their ends. What keeps load itself
 * from running ends the program: a message, and exit 1.
 */
struct result loop_run(const struct options *options);

void result_free(struct result *result);

#endif
