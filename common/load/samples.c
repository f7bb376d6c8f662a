#include "samples.h"

#include <math.h>
#include <stdlib.h>

int samples_add(struct samples *samples, int64_t ns)
{
    if (samples->count == samples->room) {
        size_t room = samples->room ? 2 * samples->room : 4096;
        int64_t *grown = reallocarray(samples->ns, room, sizeof(*grown));
        if (!grown)
            return -1;
        samples->ns = grown;
        samples->room = room;
    }
    samples->ns[samples->count++] = ns;
    return 0;
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

void samples_sort(struct samples *samples)
{
    if (samples->count > 0)
        qsort(samples->ns, samples->count, sizeof(*samples->ns), compare);
}

int64_t samples_percentile(const struct samples *samples, double percent)
{
    if (samples->count == 0)
        return 0;
    /* A hair less, or 99.9 % of 1000, which is not exactly 999 in binary, would be rank 1000. */
    double rank = ceil(percent / 100 * (double)samples->count - 1e-9);
    size_t index = rank < 1 ? 0 : (size_t)rank - 1;
    return samples->ns[index < samples->count ? index : samples->count - 1];
}

void samples_free(struct samples *samples)
{
    free(samples->ns);
    *samples = (struct samples){0};
}
