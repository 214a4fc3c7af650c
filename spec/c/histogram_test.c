#include "histogram.h"

#include <math.h>   /* NAN INFINITY */
#include <stdlib.h> /* qsort(3) */

#include "check.h"
#include "random.h"

enum { VALUES = 5000 };

static double quantile_of_one(double seconds, double part)
{
    struct histogram histogram = {.total = 0};
    histogram_record(&histogram, seconds);
    return histogram_quantile(&histogram, part);
}

static void nothing_recorded(void)
{
    struct histogram histogram = {.total = 0};
    CHECK(histogram_quantile(&histogram, 0) == 0);
    CHECK(histogram_quantile(&histogram, 0.5) == 0);
    CHECK(histogram_quantile(&histogram, 1) == 0);
}

/* The longest is known exactly, so one alone is told exactly. */
static void one_is_told_exactly(void)
{
    static const double values[] = {0, 1e-6, 16e-6, 31e-6, 32e-6, 0.001, 0.25, 1, 59.5, 3600};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        CHECK_NOTE("%g", values[i]);
        CHECK(quantile_of_one(values[i], 0) == values[i]);
        CHECK(quantile_of_one(values[i], 0.5) == values[i]);
        CHECK(quantile_of_one(values[i], 1) == values[i]);
    }
}

static void odd_durations(void)
{
    static const double none[] = {-1, -1e300, -INFINITY, NAN, -0.0};
    static const double huge[] = {1e6, 1e9, 1e18, 1e300, INFINITY};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        CHECK(quantile_of_one(none[i], 1) == 0);
    }
    for (size_t i = 0; i < sizeof huge / sizeof huge[0]; i++) {
        CHECK_NOTE("%g", huge[i]);
        double told = quantile_of_one(huge[i], 1);
        CHECK(told >= 86400 && told <= 1e9);
    }
}

static void total_sum_and_longest(void)
{
    struct histogram histogram = {.total = 0};
    histogram_record(&histogram, 0.5);
    histogram_record(&histogram, 2);
    histogram_record(&histogram, 0.25);
    histogram_record(&histogram, -7);
    CHECK_SIZE(histogram.total, 4);
    CHECK(histogram.sum == 2.75);
    CHECK(histogram.longest == 2);
}

static int compare(const void *one, const void *other)
{
    double a = *(const double *)one;
    double b = *(const double *)other;
    return (a > b) - (a < b);
}

/* Never below the truth, and at most a sixteenth, or a microsecond, above it. */
static void check_quantile(const struct histogram *histogram, const double *sorted, size_t rank)
{
    double truth = sorted[rank - 1];
    double told = histogram_quantile(histogram, (double)rank / VALUES);
    CHECK_NOTE("rank %zu: %.9g told as %.9g", rank, truth, told);
    CHECK(told >= truth && told <= truth * 17 / 16 + 1.001e-6);
}

static double spread(struct random *random)
{
    double seconds = 1e-6 * (double)(1 + random_below(random, 1000));
    for (uint64_t i = random_below(random, 20); i > 0; i--) {
        seconds *= 2;
    }
    return seconds;
}

static void quantiles_against_sorted_values(void)
{
    static double values[VALUES];
    struct random random = {.state = 4096};
    for (int round = 0; round < 5; round++) {
        struct histogram histogram = {.total = 0};
        for (size_t i = 0; i < VALUES; i++) {
            values[i] = spread(&random);
            histogram_record(&histogram, values[i]);
        }
        qsort(values, VALUES, sizeof values[0], compare);
        for (size_t rank = 1; rank <= VALUES; rank += 7) {
            check_quantile(&histogram, values, rank);
        }
        check_quantile(&histogram, values, VALUES);
        CHECK(histogram_quantile(&histogram, 1) == values[VALUES - 1]);
    }
}

/* Every bucket: its ends lie apart by a sixteenth and follow one another. */
static void buckets_leave_no_gap(void)
{
    double before = 0;
    for (uint64_t microseconds = 1; microseconds < UINT64_C(1) << 36;
         microseconds += 1 + microseconds / 64) {
        struct histogram histogram = {.total = 0};
        histogram_record(&histogram, (double)microseconds * 1e-6);
        histogram_record(&histogram, 1e9);
        double end = histogram_quantile(&histogram, 0.5);
        CHECK_NOTE("%" PRIu64 " us: %.9g", microseconds, end);
        CHECK(end >= before && end >= (double)microseconds * 1e-6);
        CHECK(end <= (double)microseconds * 1e-6 * 17 / 16 + 1.001e-6);
        before = end;
    }
}

static const struct check_case cases[] = {
    CHECK_CASE(nothing_recorded),
    CHECK_CASE(one_is_told_exactly),
    CHECK_CASE(odd_durations),
    CHECK_CASE(total_sum_and_longest),
    CHECK_CASE(quantiles_against_sorted_values),
    CHECK_CASE(buckets_leave_no_gap),
};

int main(int count, char **names)
{
    return CHECK_RUN(cases, count, names);
}
