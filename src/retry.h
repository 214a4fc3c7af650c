#ifndef SENDAPI_RETRY_H
#define SENDAPI_RETRY_H

/*
 * Whether, and when, a failed request is sent again. Pure: no clock and no chance of its own.
 * All times are seconds.
 */

#include <stdbool.h>
#include <stddef.h> /* size_t */
#include <time.h>   /* time_t */

#include "failure.h"
#include "visibility.h"

SENDAPI_HIDDEN_BEGIN

struct retry_policy {
    unsigned attempts; /* that count, at most, the first one included; 1: never again, whether it
                          counted or not */
    double first;   /* the longest wait before the second attempt; doubled for each further one */
    double longest; /* the longest wait that doubling leads to */
};

/* What one failed attempt leaves to decide by. */
struct retry_case {
    enum failure_class class;
    unsigned attempts;  /* made so far, 1 or more: the waits grow with them */
    unsigned counted;   /* those of them that the policy counts */
    double left;        /* until the request's deadline */
    double retry_after; /* the server's wish, as retry_after_seconds gives it; < 0: none */
    double chance;      /* evenly from 0 to 1, for the jitter */
};

enum {
    RETRY_AFTER_MAXIMUM = 3600
}; /* seconds; a server's mistake must not silence us for longer */

/*
 * The wait before the next attempt, or a negative number: give up. The jitter is full (anything
 * from nothing to the longest wait), what the server asked for is never undercut, and a wait that
 * would pass the deadline is not begun.
 */
double retry_delay(const struct retry_policy *policy, const struct retry_case *retry);

/*
 * The value of a Retry-After header (RFC 9110, section 10.2.3): seconds or an HTTP date, which
 * counts from `now`. Gives 0 to RETRY_AFTER_MAXIMUM, or -1 when it is neither, or negative.
 */
double retry_after_seconds(const char *text, size_t length, time_t now);

enum { RETRY_TOKENS = 16 }; /* that a bucket holds when all is well */

/*
 * A source's tokens. A failed attempt takes one, a successful one gives one back. While there are
 * none the source is taken for dead: one attempt a second probes it, and everything else waits.
 */
struct retry_bucket {
    unsigned tokens;
    double next_probe; /* time before which nothing is sent while there are no tokens */
    double not_before; /* time before which nothing is sent at all: the server asked for it */
};

void retry_bucket_init(struct retry_bucket *bucket);

/* The earliest time at which a request may be sent: `now` or earlier means at once. */
double retry_bucket_opens(const struct retry_bucket *bucket);

/*
 * A request is sent now. True when it is a probe: the source is taken for dead, so that a failure
 * says nothing new, and nothing of the request.
 */
bool retry_bucket_spend(struct retry_bucket *bucket, double now, double chance);

/*
 * What came of it. `pause`: seconds that the server asked for, or that a throttled source waits; it
 * is kept even when another request succeeds meanwhile.
 */
void retry_bucket_failed(struct retry_bucket *bucket, double now, double pause);
void retry_bucket_succeeded(struct retry_bucket *bucket);

SENDAPI_HIDDEN_END

#endif
