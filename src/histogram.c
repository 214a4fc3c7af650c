#include "histogram.h"

#include <stddef.h> /* size_t */

static const double LONGEST = 1e9; /* seconds; beyond it nothing is told apart */

/* Below 16 µs a bucket is one microsecond; then sixteen for each power of two. */
static size_t bucket_of(uint64_t microseconds)
{
    unsigned shift = 0;
    while ((microseconds >> shift) >= 2 * HISTOGRAM_STEPS) {
        shift++;
    }
    size_t bucket = shift * HISTOGRAM_STEPS + (size_t)(microseconds >> shift);
    return bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1;
}

/* The first duration that is beyond the bucket, in seconds. */
static double upper_end(size_t bucket)
{
    size_t shift = bucket < 2 * HISTOGRAM_STEPS ? 0 : bucket / HISTOGRAM_STEPS - 1;
    uint64_t step = (uint64_t)(bucket - shift * HISTOGRAM_STEPS) + 1;
    return (double)(step << shift) * 1e-6;
}

void histogram_record(struct histogram *histogram, double seconds)
{
    double counted = seconds > 0 ? (seconds < LONGEST ? seconds : LONGEST) : 0;
    histogram->counts[bucket_of((uint64_t)(counted * 1e6))]++;
    histogram->total++;
    histogram->sum += counted;
    if (counted > histogram->longest) {
        histogram->longest = counted;
    }
}

double histogram_quantile(const struct histogram *histogram, double part)
{
    double wanted = part * (double)histogram->total;
    uint64_t seen = 0;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS && histogram->total > 0; i++) {
        seen += histogram->counts[i];
        if ((double)seen >= wanted && seen > 0) {
            double end = upper_end(i);
            return end < histogram->longest ? end : histogram->longest;
        }
    }
    return histogram->longest;
}
