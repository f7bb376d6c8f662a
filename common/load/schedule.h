/* When connections start in an open loop: by a schedule that knows nothing of the server. */
#ifndef SCHEDULE_H
#define SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

struct schedule {
    double spacing; /* mean, in nanoseconds */
    bool fixed;
    uint64_t random;
    int64_t begin;
    uint64_t count; /* how many are behind `next` */
    double next;    /* nanoseconds since `begin` */
};

/*
 * Begins a schedule of `rate` connections a second, above 0, at the time `begin` (nanoseconds on
 * any clock). `fixed` spaces them evenly. Else their distances are exponential, which makes a
 * Poisson process: what comes from many users who know nothing of one another. `seed` decides the
 * distances.
 */
void schedule_begin(struct schedule *schedule, double rate, bool fixed, uint64_t seed,
                    int64_t begin);

/* When the next connection is due; never earlier than the one before. */
int64_t schedule_next(const struct schedule *schedule);

/* Goes on to the one after. */
void schedule_advance(struct schedule *schedule);

#endif
