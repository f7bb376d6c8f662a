/* All processes that descend from this one, however they try to get away. */
#ifndef FAMILY_H
#define FAMILY_H

#include <sys/types.h>

/*
 * This process takes in the orphans among its descendants, as process 1 does: a daemon that has
 * forked twice becomes its child, and can be found, killed and reaped. See PR_SET_CHILD_SUBREAPER
 * in prctl(2). To be called before the first fork.
 */
void family_begin(void);

struct family {
    long processes;   /* threads and zombies included */
    long cpu_seconds; /* user and system, of those that have ended too */
    long memory_mib;  /* resident; a page that several share counts for each */
};

/* What all descendants use together, as /proc has it. */
struct family family_survey(void);

/*
 * Ends all descendants, and reaps them; returns when there are none. `user` is a user id that only
 * they have, or 0.
 */
void family_end(uid_t user);

#endif
