#ifndef SENDAPI_CLOCK_H
#define SENDAPI_CLOCK_H

/* The one clock: it never jumps, whatever happens to the time of day. */

#include <time.h> /* clock_gettime(2) */

static inline double clock_now(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

#endif
