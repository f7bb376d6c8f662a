/* Latencies, all of them kept: percentiles are read off the samples, not off a histogram. */
#ifndef SAMPLES_H
#define SAMPLES_H

#include <stddef.h>
#include <stdint.h>

struct samples {
    int64_t *ns; /* nanoseconds, in the order of arrival until samples_sort */
    size_t count, room;
};

/* Adds one sample. Returns -1 with errno (ENOMEM), and leaves the others as they were. */
int samples_add(struct samples *samples, int64_t ns);

void samples_sort(struct samples *samples);

/*
 * The nearest-rank percentile of sorted samples: the smallest sample that at least `percent` of
 * them do not exceed. 100 is the maximum. 0 when there are no samples.
 */
int64_t samples_percentile(const struct samples *samples, double percent);

void samples_free(struct samples *samples);

#endif
