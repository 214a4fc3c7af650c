#ifndef SENDAPI_RANDOM_H
#define SENDAPI_RANDOM_H

/* The same numbers in every run (xorshift64*), so that what failed once fails again. */

#include <stdint.h> /* uint64_t */

struct random {
    uint64_t state; /* never 0 */
};

static inline uint64_t random_next(struct random *random)
{
    random->state ^= random->state >> 12;
    random->state ^= random->state << 25;
    random->state ^= random->state >> 27;
    return random->state * 2685821657736338717u;
}

static inline uint64_t random_below(struct random *random, uint64_t limit)
{
    return random_next(random) % limit;
}

#endif
