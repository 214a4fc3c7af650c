#include "retry.h"

#include <float.h> /* DBL_MAX */
#include <string.h>

#include "check.h"
#include "exact.h"
#include "random.h"

/* ---- delays ---- */

static const struct retry_policy usual = {.attempts = 4, .first = 0.5, .longest = 3};

/* What one failure comes to under the usual policy. */
static const struct row {
    const char *name;
    enum failure_class class;
    unsigned attempts;
    unsigned counted;
    double left;
    double retry_after;
    double chance;
    double delay;
} rows[] = {
    {"first, whole jitter", CLASS_TRANSIENT, 1, 1, 60, -1, 1, 0.5},
    {"first, half of it", CLASS_TRANSIENT, 1, 1, 60, -1, 0.5, 0.25},
    {"first, none of it", CLASS_TRANSIENT, 1, 1, 60, -1, 0, 0},
    {"doubled", CLASS_TRANSIENT, 2, 2, 60, -1, 1, 1},
    {"doubled again", CLASS_TRANSIENT, 3, 3, 60, -1, 1, 2},
    {"out of attempts", CLASS_TRANSIENT, 4, 4, 60, -1, 1, -1},
    {"long out of attempts", CLASS_TRANSIENT, 4000000000u, 4000000000u, 60, -1, 0, -1},
    {"throttled", CLASS_THROTTLED, 1, 1, 60, -1, 1, 0.5},
    {"delivered", CLASS_NONE, 1, 1, 60, -1, 0, -1},
    {"source", CLASS_SOURCE, 1, 1, 60, 1, 0, -1},
    {"message", CLASS_MESSAGE, 1, 1, 60, 1, 0, -1},
    {"local", CLASS_LOCAL, 1, 1, 60, 1, 0, -1},
    {"asked for", CLASS_TRANSIENT, 1, 1, 60, 10, 0, 10},
    {"asked for, spread", CLASS_TRANSIENT, 1, 1, 60, 10, 0.5, 10.25},
    {"asked for less", CLASS_THROTTLED, 2, 2, 60, 0.25, 0.5, 0.5},
    {"asked for nothing", CLASS_THROTTLED, 2, 2, 60, 0, 0.5, 0.5},
    {"asked for, out of attempts", CLASS_THROTTLED, 4, 4, 60, 1, 0, -1},
    {"just before the deadline", CLASS_TRANSIENT, 1, 1, 0.5, -1, 0.99, 0.495},
    {"upon the deadline", CLASS_TRANSIENT, 1, 1, 0.5, -1, 1, -1},
    {"past the deadline", CLASS_TRANSIENT, 3, 3, 1, -1, 0.75, -1},
    {"asked for too much", CLASS_THROTTLED, 1, 1, 60, 60, 0, -1},
    {"deadline passed already", CLASS_TRANSIENT, 1, 1, -1, -1, 0, -1},
    {"deadline is now", CLASS_TRANSIENT, 1, 1, 0, -1, 0, -1},
    {"none counted", CLASS_TRANSIENT, 4, 0, 60, -1, 1, 3},
    {"all but one counted", CLASS_TRANSIENT, 9, 3, 60, -1, 1, 3},
    {"as many counted as may be", CLASS_TRANSIENT, 9, 4, 60, -1, 0, -1},
    {"none counted of very many", CLASS_TRANSIENT, 4000000000u, 0, 60, -1, 1, 3},
    {"none counted, past the deadline", CLASS_TRANSIENT, 9, 0, 3, -1, 1, -1},
    {"none counted, asked for too much", CLASS_THROTTLED, 9, 0, 60, 60, 0, -1},
    {"none counted, the message's fault", CLASS_MESSAGE, 9, 0, 60, -1, 0, -1},
};

static bool is_near(double actual, double expected)
{
    double difference = actual - expected;
    return difference < 1e-12 && difference > -1e-12;
}

static void delay_of_each_case(void)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct row *row = &rows[i];
        struct retry_case retry = {.class = row->class,
                                   .attempts = row->attempts,
                                   .counted = row->counted,
                                   .left = row->left,
                                   .retry_after = row->retry_after,
                                   .chance = row->chance};
        double delay = retry_delay(&usual, &retry);
        CHECK_NOTE("%s: %g", row->name, delay);
        CHECK(row->delay < 0 ? delay < 0 : is_near(delay, row->delay));
    }
}

static void delays_double_up_to_the_longest(void)
{
    struct retry_policy policy = {.attempts = 5000, .first = 0.5, .longest = 300};
    struct retry_case retry = {
        .class = CLASS_TRANSIENT, .left = DBL_MAX, .retry_after = -1, .chance = 1};
    double expected = 0.5;
    for (retry.attempts = 1; retry.attempts < 5000; retry.attempts++) {
        CHECK_NOTE("attempt %u", retry.attempts);
        retry.counted = retry.attempts;
        CHECK(retry_delay(&policy, &retry) == expected);
        expected = expected * 2 < 300 ? expected * 2 : 300;
    }
    retry.counted = retry.attempts;
    CHECK(retry_delay(&policy, &retry) < 0);
}

static void odd_policies(void)
{
    struct retry_case retry = {.class = CLASS_TRANSIENT,
                               .attempts = 1,
                               .counted = 1,
                               .left = 60,
                               .retry_after = -1,
                               .chance = 1};
    struct retry_policy once = {.attempts = 1, .first = 1, .longest = 1};
    struct retry_policy none = {.attempts = 0};
    struct retry_policy at_once = {.attempts = 3, .first = 0, .longest = 5};
    struct retry_policy shorter = {.attempts = 3, .first = 5, .longest = 2};
    CHECK(retry_delay(&once, &retry) < 0);
    CHECK(retry_delay(&none, &retry) < 0);
    CHECK(retry_delay(&at_once, &retry) == 0);
    CHECK(retry_delay(&shorter, &retry) == 2);
    retry.counted = 0; /* a single attempt is a single attempt */
    CHECK(retry_delay(&once, &retry) < 0);
    CHECK(retry_delay(&none, &retry) < 0);
}

/* The first of `attempts` waits is at most the ceiling; what was asked for is never undercut. */
static void jitter_stays_in_its_bounds(void)
{
    struct random random = {.state = 77};
    for (int i = 0; i < 20000; i++) {
        double asked = random_below(&random, 2) == 0 ? -1 : (double)random_below(&random, 80) / 4;
        struct retry_case retry = {
            .class = CLASS_THROTTLED,
            .attempts = 1 + (unsigned)random_below(&random, 3),
            .counted = (unsigned)random_below(&random, 4),
            .left = (double)random_below(&random, 200) / 10,
            .retry_after = asked,
            .chance = (double)random_below(&random, 1001) / 1000,
        };
        double ceiling = retry.attempts == 1 ? 0.5 : retry.attempts == 2 ? 1 : 2;
        double delay = retry_delay(&usual, &retry);
        double least = asked > 0 ? asked : 0;
        CHECK_NOTE("case %d: %g", i, delay);
        CHECK(delay < 0 || (delay >= least && delay <= least + ceiling && delay < retry.left));
        CHECK(delay >= 0 || retry.left <= least + ceiling);
    }
}

/* ---- Retry-After ---- */

enum { NOW = 784111777 }; /* Sun, 06 Nov 1994 08:49:37 GMT, the example of RFC 9110 */

static const struct {
    const char *text;
    double seconds;
} headers[] = {
    {"0", 0},
    {"1", 1},
    {"120", 120},
    {" 120 ", 120},
    {"\t7\r\n", 7},
    {"007", 7},
    {"3599", 3599},
    {"3600", 3600},
    {"3601", 3600},
    {"86400", 3600},
    {"4294967297", 3600},
    {"18446744073709551617", 3600},
    {"99999999999999999999999999999999999999999999999999999999999999999999999999999999999", 3600},
    {"00000000000000000000000000000000000000000000000000000000000000000000000000000000002", 2},
    {"", -1},
    {"  ", -1},
    {"\r\n", -1},
    {"-1", -1},
    {"-0", -1},
    {"+5", -1},
    {"1.5", -1},
    {"1e3", -1},
    {"0x10", -1},
    {"12 34", -1},
    {"12s", -1},
    {"1,2", -1},
    {"NaN", -1},
    {"Infinity", -1},
    {"soon", -1},
    {"Soon", -1},
    {"\xFF\xFE", -1},
    {"Sun, 06 Nov 1994 08:49:37 GMT", 0},
    {"Sun, 06 Nov 1994 08:49:38 GMT", 1},
    {"Sun, 06 Nov 1994 08:50:37 GMT\r\n", 60},
    {"Sun, 06 Nov 1994 09:49:37 GMT", 3600},
    {"Sun, 06 Nov 1994 09:49:38 GMT", 3600},
    {"Mon, 07 Nov 1994 08:49:37 GMT", 3600},
    {"Thu, 01 Jan 2099 00:00:00 GMT", 3600},
    {"Sun, 06 Nov 1994 08:49:36 GMT", 0},
    {"Thu, 01 Jan 1970 00:00:00 GMT", 0},
    {"Sunday, 06-Nov-94 08:50:37 GMT", 60},
    {"Sun Nov  6 08:50:37 1994", 60},
    {"Sun, 32 Nov 1994 08:49:37 GMT", -1},
    {"Sun, 06 Nov 1994 08:49:38 GMT and so on for many more bytes than a date has", -1},
};

static void retry_after_is_seconds_or_a_date(void)
{
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
        struct exact text = exact_copy(headers[i].text, strlen(headers[i].text));
        double seconds = retry_after_seconds(text.bytes, text.length, NOW);
        CHECK_NOTE("'%s': %g", headers[i].text, seconds);
        CHECK(seconds == headers[i].seconds);
        exact_free(&text);
    }
}

/* Whatever a server says, the wait is one that a sender can live with. */
static void garbage_is_never_out_of_bounds(void)
{
    static const char alphabet[] = "0123456789 ,:-+.GMTSunNov\r\n\t\0Az\xFF";
    struct random random = {.state = 31};
    for (int i = 0; i < 20000; i++) {
        char bytes[70];
        size_t length = (size_t)random_below(&random, sizeof bytes);
        for (size_t j = 0; j < length; j++) {
            bytes[j] = alphabet[random_below(&random, sizeof alphabet - 1)];
        }
        struct exact text = exact_copy(bytes, length);
        double seconds = retry_after_seconds(text.bytes, text.length, NOW);
        CHECK_NOTE("%d: %g", i, seconds);
        CHECK(seconds == -1 || (seconds >= 0 && seconds <= RETRY_AFTER_MAXIMUM));
        exact_free(&text);
    }
}

/* ---- the bucket ---- */

static struct retry_bucket empty_bucket(double now)
{
    struct retry_bucket bucket;
    retry_bucket_init(&bucket);
    for (int i = 0; i < RETRY_TOKENS; i++) {
        retry_bucket_failed(&bucket, now, 0);
    }
    return bucket;
}

static void full_bucket_is_open(void)
{
    struct retry_bucket bucket;
    retry_bucket_init(&bucket);
    CHECK(retry_bucket_opens(&bucket) <= 0);
    CHECK(!retry_bucket_spend(&bucket, 5, 0.5));
    retry_bucket_succeeded(&bucket);
    CHECK(retry_bucket_opens(&bucket) <= 5);
    CHECK_SIZE(bucket.tokens, RETRY_TOKENS);
}

static void bucket_closes_with_its_last_token(void)
{
    struct retry_bucket bucket;
    retry_bucket_init(&bucket);
    for (unsigned i = 1; i < RETRY_TOKENS; i++) {
        retry_bucket_failed(&bucket, 100, 0);
        CHECK(bucket.not_before <= 0); /* without a pause there is none */
        CHECK_SIZE(bucket.tokens, RETRY_TOKENS - i);
        CHECK(retry_bucket_opens(&bucket) <= 100);
    }
    retry_bucket_failed(&bucket, 100, 0);
    CHECK_SIZE(bucket.tokens, 0);
    CHECK(retry_bucket_opens(&bucket) == 101);
}

static void probes_are_a_second_apart(void)
{
    struct retry_bucket bucket = empty_bucket(100);
    double now = 101;
    for (int i = 0; i <= 10; i++) {
        CHECK(retry_bucket_spend(&bucket, now, i / 10.0));
        CHECK(is_near(retry_bucket_opens(&bucket), now + 0.5 + i / 10.0));
        retry_bucket_failed(&bucket, now + 0.1, 0);
        CHECK_SIZE(bucket.tokens, 0);
        CHECK(is_near(retry_bucket_opens(&bucket), now + 0.5 + i / 10.0));
        now = retry_bucket_opens(&bucket);
    }
}

static void success_opens_the_bucket(void)
{
    struct retry_bucket bucket = empty_bucket(100);
    retry_bucket_succeeded(&bucket);
    CHECK_SIZE(bucket.tokens, 1);
    CHECK(!retry_bucket_spend(&bucket, 100, 1)); /* it counts again */
    CHECK(retry_bucket_opens(&bucket) <= 100);
    retry_bucket_failed(&bucket, 200, 0);
    CHECK(retry_bucket_opens(&bucket) == 201);
    for (int i = 0; i < 3 * RETRY_TOKENS; i++) {
        retry_bucket_succeeded(&bucket);
    }
    CHECK_SIZE(bucket.tokens, RETRY_TOKENS);
}

static void pause_closes_a_full_bucket(void)
{
    struct retry_bucket bucket;
    retry_bucket_init(&bucket);
    retry_bucket_failed(&bucket, 100, 30);
    CHECK(retry_bucket_opens(&bucket) == 130);
    retry_bucket_failed(&bucket, 110, 5); /* an earlier end does not shorten it */
    CHECK(retry_bucket_opens(&bucket) == 130);
    retry_bucket_succeeded(&bucket);
    CHECK(retry_bucket_opens(&bucket) == 130);
    retry_bucket_failed(&bucket, 120, 60);
    CHECK(retry_bucket_opens(&bucket) == 180);
}

static void later_of_pause_and_probe_counts(void)
{
    struct retry_bucket bucket = empty_bucket(100);
    retry_bucket_failed(&bucket, 100, 0.25);
    CHECK(retry_bucket_opens(&bucket) == 101);
    retry_bucket_failed(&bucket, 100, 60);
    CHECK(retry_bucket_opens(&bucket) == 160);
    CHECK(retry_bucket_spend(&bucket, 160, 0));
    CHECK(retry_bucket_opens(&bucket) == 160.5);
}

static const struct check_case cases[] = {
    CHECK_CASE(delay_of_each_case),
    CHECK_CASE(delays_double_up_to_the_longest),
    CHECK_CASE(odd_policies),
    CHECK_CASE(jitter_stays_in_its_bounds),
    CHECK_CASE(retry_after_is_seconds_or_a_date),
    CHECK_CASE(garbage_is_never_out_of_bounds),
    CHECK_CASE(full_bucket_is_open),
    CHECK_CASE(bucket_closes_with_its_last_token),
    CHECK_CASE(probes_are_a_second_apart),
    CHECK_CASE(success_opens_the_bucket),
    CHECK_CASE(pause_closes_a_full_bucket),
    CHECK_CASE(later_of_pause_and_probe_counts),
};

int main(int count, char **names)
{
    return CHECK_RUN(cases, count, names);
}
