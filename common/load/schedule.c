#include "schedule.h"

#include "random.h"

#include <math.h>

static double distance(struct schedule *schedule)
{
    double uniform = (double)(random_next(&schedule->random) >> 11) * 0x1p-53; /* 0 <= it < 1 */

    return -log1p(-uniform) * schedule->spacing;
}

static void find_next(struct schedule *schedule)
{
    /* A multiple of the spacing, not a sum: over hours a sum of rounded numbers would drift. */
    if (schedule->fixed)
        schedule->next = (double)schedule->count * schedule->spacing;
    else
        schedule->next += distance(schedule);
}

void schedule_begin(struct schedule *schedule, double rate, bool fixed, uint64_t seed,
                    int64_t begin)
{
    *schedule =
        (struct schedule){.spacing = 1e9 / rate, .fixed = fixed, .random = seed, .begin = begin};
    find_next(schedule);
}

int64_t schedule_next(const struct schedule *schedule)
{
    return schedule->begin + (int64_t)schedule->next;
}

void schedule_advance(struct schedule *schedule)
{
    schedule->count++;
    find_next(schedule);
}
