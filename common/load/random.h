/* Random numbers from a seed: the same seed gives the same run. */
#ifndef RANDOM_H
#define RANDOM_H

#include <stdint.h>

/* splitmix64: small, and good enough for bytes that only have to differ and for arrivals. */
static inline uint64_t random_next(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

#endif
