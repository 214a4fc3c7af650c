#ifndef SENDAPI_HISTOGRAM_H
#define SENDAPI_HISTOGRAM_H

/*
 * Durations, counted in a fixed number of buckets: each power of two of microseconds is cut into
 * sixteen, so a quantile is at most 1/16 above the truth. 4 KB, whatever is recorded.
 */

#include <stdint.h> /* uint64_t */

#include "visibility.h"

SENDAPI_HIDDEN_BEGIN

enum {
    HISTOGRAM_STEPS = 16,
    HISTOGRAM_BUCKETS = 34 * HISTOGRAM_STEPS, /* up to 2^37 µs, more than a day */
};

struct histogram {
    uint64_t counts[HISTOGRAM_BUCKETS];
    uint64_t total;
    double sum;     /* seconds */
    double longest; /* seconds */
};

/* A negative duration counts as none. */
void histogram_record(struct histogram *histogram, double seconds);

/* The duration (seconds) that the given part, 0 to 1, did not pass; 0 when nothing was recorded. */
double histogram_quantile(const struct histogram *histogram, double part);

SENDAPI_HIDDEN_END

#endif
