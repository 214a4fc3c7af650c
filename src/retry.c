#include "retry.h"

#include <string.h> /* memcpy(3) */

#include <curl/curl.h> /* curl_getdate(3) */

static const double PROBE_INTERVAL = 1.0; /* seconds, give or take a half */

static bool may_succeed_later(enum failure_class class)
{
    return class == CLASS_TRANSIENT || class == CLASS_THROTTLED;
}

/* first, 2 first, 4 first … up to the longest */
static double ceiling(const struct retry_policy *policy, unsigned attempts)
{
    double wait = policy->first;
    for (unsigned i = 1; i < attempts && wait < policy->longest; i++) {
        wait *= 2;
    }
    return wait < policy->longest ? wait : policy->longest;
}

double retry_delay(const struct retry_policy *policy, const struct retry_case *retry)
{
    bool is_spent = policy->attempts <= 1 || retry->counted >= policy->attempts;
    if (is_spent || !may_succeed_later(retry->class)) {
        return -1;
    }
    double delay = retry->chance * ceiling(policy, retry->attempts);
    if (delay < retry->retry_after) {
        delay = retry->retry_after + delay;
    }
    return delay < retry->left ? delay : -1;
}

static double clamp(double seconds)
{
    return seconds < RETRY_AFTER_MAXIMUM ? seconds : RETRY_AFTER_MAXIMUM;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Decimal digits only; -1 for anything else. Never overflows: beyond the maximum it stays there. */
static double digits(const char *text, size_t length)
{
    double seconds = length > 0 ? 0 : -1;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return -1;
        }
        seconds = clamp(seconds * 10 + (text[i] - '0'));
    }
    return seconds;
}

static double date(const char *text, size_t length, time_t now)
{
    char copy[64];
    if (length >= sizeof copy) {
        return -1;
    }
    memcpy(copy, text, length);
    copy[length] = '\0';
    time_t then = curl_getdate(copy, NULL);
    if (then == -1) {
        return -1;
    }
    double seconds = difftime(then, now);
    return seconds > 0 ? clamp(seconds) : 0;
}

double retry_after_seconds(const char *text, size_t length, time_t now)
{
    while (length > 0 && is_space(text[length - 1])) {
        length--;
    }
    while (length > 0 && is_space(*text)) {
        text++;
        length--;
    }
    double seconds = digits(text, length);
    bool may_be_date = length > 0 && text[0] >= 'A' && text[0] <= 'Z'; /* a day's name */
    return seconds < 0 && may_be_date ? date(text, length, now) : seconds;
}

void retry_bucket_init(struct retry_bucket *bucket)
{
    *bucket = (struct retry_bucket){.tokens = RETRY_TOKENS};
}

double retry_bucket_opens(const struct retry_bucket *bucket)
{
    if (bucket->tokens == 0 && bucket->next_probe > bucket->not_before) {
        return bucket->next_probe;
    }
    return bucket->not_before;
}

bool retry_bucket_spend(struct retry_bucket *bucket, double now, double chance)
{
    if (bucket->tokens > 0) {
        return false;
    }
    bucket->next_probe = now + PROBE_INTERVAL * (0.5 + chance);
    return true;
}

void retry_bucket_failed(struct retry_bucket *bucket, double now, double pause)
{
    if (bucket->tokens > 0 && --bucket->tokens == 0) {
        bucket->next_probe = now + PROBE_INTERVAL;
    }
    if (pause > 0 && bucket->not_before < now + pause) {
        bucket->not_before = now + pause;
    }
}

void retry_bucket_succeeded(struct retry_bucket *bucket)
{
    if (bucket->tokens < RETRY_TOKENS) {
        bucket->tokens++;
    }
}
