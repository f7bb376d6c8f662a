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
    int64_t started, finished; /* differ when a failure of load's own has cut connections off */
    int64_t outcomes[OUTCOMES];
    struct samples latencies; /* of those that are OK or TIMED_OUT; not sorted */
    int64_t begin, end;       /* on the monotonic clock, in nanoseconds */
    double cpu_us;            /* that load has taken, user and system */
    bool nobody_listens;      /* all that has happened is that connections were refused */
    const char *failed;       /* the call that has ended the run before its time; NULL for none */
    int error;                /* and its errno */

    /* Of an open loop. */
    struct samples late; /* how much later than due each one started; not sorted */
    int64_t most_at_once;
    int64_t held;           /* waited, when due, until one of the others had ended: see -c */
    int64_t unstarted;      /* were due before the time was over, and never started */
    int64_t due_end;        /* none is due from then on */
    int64_t ok_before_then; /* finished by `due_end` */
};

/*
 * Makes all connections that the options ask for, and waits for their ends.
 *
 * A connection that times out counts among the latencies, with at least the time-out: who waited
 * longest must not be missing in the percentiles.
 *
 * When load itself cannot go on (it has no port left, no descriptor, no memory), no further
 * connection starts, those under way are waited for, and `failed` says what has happened. What
 * keeps it from beginning ends the program: a message, and exit 1.
 */
struct result loop_run(const struct options *options);

void result_free(struct result *result);

#endif
