#ifndef SENDAPI_CLOCK_H
#define SENDAPI_CLOCK_H

/* The clock of all that lasts: it never jumps, whatever happens to the time of day; and that time, for
 * what outlives the process. */

#include <time.h> /* clock_gettime(2) */

static inline double clock_now(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Seconds since 1970. */
static inline double clock_wall(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

#endif
