#include "endpoint.h"

#include <pthread.h>
#include <sched.h>  /* sched_yield(2) */
#include <stdint.h> /* SIZE_MAX */
#include <string.h> /* memset(3) */

#include "check.h"
#include "exact.h"
#include "request.h"

enum { THREADS = 4, ROUNDS = 20000 };

static struct endpoint *with_limits(size_t max_pending, size_t max_pending_bytes)
{
    return endpoint_new(&(struct endpoint_settings){
        .url = "http://127.0.0.1/realtime/sdk/1",
        .user_agent = "test",
        .timeout = 1,
        .connect_timeout = 0.5,
        .connections = 1,
        .max_pending = max_pending,
        .max_pending_bytes = max_pending_bytes,
    });
}

static void check_counts(struct endpoint *endpoint, size_t pending, size_t bytes)
{
    CHECK_SIZE(endpoint->pending, pending);
    CHECK_SIZE(endpoint->pending_bytes, bytes);
}

static void dismiss_as(struct endpoint *endpoint, size_t bytes, enum failure failure, long status)
{
    struct request request = {.length = bytes, .outcome = {.failure = failure, .status = status}};
    endpoint_dismiss(endpoint, &request);
}

static void dismiss(struct endpoint *endpoint, size_t bytes)
{
    dismiss_as(endpoint, bytes, FAILURE_NONE, 200);
}

/* ---- settings ---- */

static void settings_are_kept(void)
{
    struct endpoint_settings settings = {
        .url = "https://acme.engagement.dimelo.com/realtime/sdk/1",
        .user_agent = "sendapi",
        .ca_file = "/etc/ca.pem",
        .proxy = "http://proxy:3128",
        .timeout = 0.5,
        .connect_timeout = 0.25,
        .connections = 3,
        .max_pending = 4,
        .max_pending_bytes = 5,
        .http2 = true,
        .asks = true,
        .policy = {.attempts = 6, .first = 7, .longest = 8},
    };
    struct endpoint *endpoint = endpoint_new(&settings);
    CHECK_TEXT(endpoint->settings.url, settings.url);
    CHECK_TEXT(endpoint->settings.user_agent, settings.user_agent);
    CHECK_TEXT(endpoint->settings.ca_file, settings.ca_file);
    CHECK_TEXT(endpoint->settings.proxy, settings.proxy);
    CHECK(endpoint->settings.timeout == 0.5);
    CHECK(endpoint->settings.connect_timeout == 0.25);
    CHECK_SIZE(endpoint->settings.connections, 3);
    CHECK_SIZE(endpoint->settings.max_pending, 4);
    CHECK_SIZE(endpoint->settings.max_pending_bytes, 5);
    CHECK(endpoint->settings.http2 && endpoint->settings.asks);
    CHECK_SIZE(endpoint->settings.policy.attempts, 6);
    CHECK(endpoint->settings.policy.first == 7 && endpoint->settings.policy.longest == 8);
    endpoint_release(endpoint);
}

static void texts_are_copied(void)
{
    struct exact url = exact_copy("http://one/", 12);
    struct exact agent = exact_copy("agent", 6);
    struct endpoint *endpoint =
        endpoint_new(&(struct endpoint_settings){.url = url.bytes, .user_agent = agent.bytes});
    memset(url.bytes, 'x', url.length);
    memset(agent.bytes, 'x', agent.length);
    CHECK_TEXT(endpoint->settings.url, "http://one/");
    CHECK_TEXT(endpoint->settings.user_agent, "agent");
    exact_free(&url);
    exact_free(&agent);
    CHECK_TEXT(endpoint->settings.url, "http://one/");
    endpoint_release(endpoint);
}

static void texts_may_be_missing(void)
{
    struct endpoint *endpoint = endpoint_new(&(struct endpoint_settings){.url = NULL});
    CHECK(endpoint->settings.url == NULL);
    CHECK(endpoint->settings.user_agent == NULL);
    CHECK(endpoint->settings.ca_file == NULL);
    CHECK(endpoint->settings.proxy == NULL);
    endpoint_release(endpoint);
}

static void begins_with_nothing_under_way(void)
{
    struct endpoint *endpoint = with_limits(1, 1);
    check_counts(endpoint, 0, 0);
    CHECK_SIZE(endpoint->active, 0);
    CHECK(endpoint->ready.first == NULL && endpoint->ready.last == NULL);
    CHECK(endpoint->ephemeral.first == NULL && endpoint->ephemeral.last == NULL);
    CHECK(!endpoint->listed);
    CHECK_SIZE(endpoint->bucket.tokens, RETRY_TOKENS);
    CHECK_SIZE(endpoint->counters.accepted, 0);
    CHECK_SIZE(atomic_load(&endpoint->references), 1);
    endpoint_release(endpoint);
}

/* ---- limits ---- */

static void requests_are_admitted_to_the_limit(void)
{
    for (size_t limit = 0; limit < 5; limit++) {
        struct endpoint *endpoint = with_limits(limit, 1000);
        CHECK_NOTE("limit %zu", limit);
        for (size_t i = 0; i < limit; i++) {
            CHECK(endpoint_admit(endpoint, 10));
        }
        CHECK(!endpoint_admit(endpoint, 10));
        CHECK(!endpoint_admit(endpoint, 0));
        check_counts(endpoint, limit, 10 * limit);
        endpoint_release(endpoint);
    }
}

static void bytes_are_admitted_to_the_limit(void)
{
    struct endpoint *endpoint = with_limits(100, 50);
    CHECK(endpoint_admit(endpoint, 49));
    CHECK(!endpoint_admit(endpoint, 2));
    CHECK(endpoint_admit(endpoint, 1));
    CHECK(!endpoint_admit(endpoint, 1));
    CHECK(endpoint_admit(endpoint, 0));
    check_counts(endpoint, 3, 50);
    endpoint_release(endpoint);
}

static void one_request_may_have_all_the_bytes(void)
{
    struct endpoint *endpoint = with_limits(1, 20971520);
    CHECK(!endpoint_admit(endpoint, 20971521));
    CHECK(endpoint_admit(endpoint, 20971520));
    check_counts(endpoint, 1, 20971520);
    endpoint_release(endpoint);
}

/* A refusal must not leave half of itself behind. */
static void refusal_counts_nothing(void)
{
    struct endpoint *endpoint = with_limits(3, 10);
    CHECK(endpoint_admit(endpoint, 9));
    for (int i = 0; i < 10; i++) {
        CHECK(!endpoint_admit(endpoint, 2));
    }
    check_counts(endpoint, 1, 9);
    CHECK(endpoint_admit(endpoint, 1));
    CHECK(endpoint_admit(endpoint, 0));
    for (int i = 0; i < 10; i++) {
        CHECK(!endpoint_admit(endpoint, 0));
    }
    check_counts(endpoint, 3, 10);
    endpoint_release(endpoint);
}

static void dismissed_makes_room_again(void)
{
    struct endpoint *endpoint = with_limits(2, 10);
    for (int i = 0; i < 100; i++) {
        CHECK(endpoint_admit(endpoint, 4));
        CHECK(endpoint_admit(endpoint, 6));
        CHECK(!endpoint_admit(endpoint, 0));
        dismiss(endpoint, 4);
        CHECK(!endpoint_admit(endpoint, 5));
        CHECK(endpoint_admit(endpoint, 4));
        dismiss(endpoint, 6);
        dismiss(endpoint, 4);
    }
    check_counts(endpoint, 0, 0);
    endpoint_release(endpoint);
}

static void absurd_sizes_do_not_wrap(void)
{
    struct endpoint *endpoint = with_limits(SIZE_MAX, SIZE_MAX);
    CHECK(endpoint_admit(endpoint, SIZE_MAX - 1));
    CHECK(!endpoint_admit(endpoint, 2));
    CHECK(!endpoint_admit(endpoint, SIZE_MAX));
    CHECK(endpoint_admit(endpoint, 1));
    CHECK(!endpoint_admit(endpoint, 1));
    check_counts(endpoint, 2, SIZE_MAX);
    dismiss(endpoint, SIZE_MAX - 1);
    dismiss(endpoint, 1);
    CHECK(endpoint_admit(endpoint, SIZE_MAX));
    dismiss(endpoint, SIZE_MAX);
    check_counts(endpoint, 0, 0);
    endpoint_release(endpoint);
}

static void more_than_the_limit_is_refused_however_much_more(void)
{
    struct endpoint *endpoint = with_limits(10, 10);
    CHECK(!endpoint_admit(endpoint, 11));
    CHECK(!endpoint_admit(endpoint, SIZE_MAX / 2));
    CHECK(!endpoint_admit(endpoint, SIZE_MAX - 1));
    CHECK(!endpoint_admit(endpoint, SIZE_MAX));
    check_counts(endpoint, 0, 0);
    CHECK(endpoint_admit(endpoint, 10));
    CHECK(!endpoint_admit(endpoint, SIZE_MAX));
    check_counts(endpoint, 1, 10);
    endpoint_release(endpoint);
}

/* ---- figures ---- */

static void withdrawn_was_never_there(void)
{
    struct endpoint *endpoint = with_limits(2, 10);
    CHECK(endpoint_admit(endpoint, 4));
    CHECK(endpoint_admit(endpoint, 6));
    endpoint_withdraw(endpoint, 6);
    check_counts(endpoint, 1, 4);
    CHECK_SIZE(endpoint->counters.accepted, 1);
    CHECK_SIZE(endpoint->counters.bytes, 4);
    CHECK(endpoint_admit(endpoint, 6));
    CHECK(!endpoint_admit(endpoint, 0));
    CHECK_SIZE(endpoint->counters.accepted, 2);
    endpoint_release(endpoint);
}

static const struct {
    enum failure failure;
    long status;
    char counted; /* as delivered, refused or failed */
} outcomes[] = {
    {FAILURE_NONE, 200, 'd'},
    {FAILURE_NONE, 0, 'd'}, /* skipped */
    {FAILURE_REFUSED, 422, 'r'},
    {FAILURE_BAD_REQUEST, 400, 'r'},
    {FAILURE_INVALID_SIGNATURE, 422, 'r'},
    {FAILURE_THROTTLED, 429, 'r'},
    {FAILURE_REDIRECTED, 301, 'r'},
    {FAILURE_SERVER_ERROR, 500, 'f'},
    {FAILURE_UNEXPECTED_RESPONSE, 202, 'f'},
    {FAILURE_RESPONSE_TOO_LARGE, 200, 'f'},
    {FAILURE_TIMEOUT, 0, 'f'},
    {FAILURE_TIMEOUT, 408, 'f'},
    {FAILURE_CERTIFICATE_EXPIRED, 0, 'f'},
    {FAILURE_CLOSED, 0, 'f'},
    {FAILURE_CLOSED, 200, 'f'},
    {FAILURE_STALE, 0, 'f'},
    {FAILURE_NO_MEMORY, 0, 'f'},
};

static void outcomes_are_counted(void)
{
    for (size_t i = 0; i < sizeof outcomes / sizeof outcomes[0]; i++) {
        struct endpoint *endpoint = with_limits(1, 10);
        const struct endpoint_counters *counters = &endpoint->counters;
        CHECK_NOTE("%s %ld", failure_row(outcomes[i].failure)->code, outcomes[i].status);
        CHECK(endpoint_admit(endpoint, 7));
        dismiss_as(endpoint, 7, outcomes[i].failure, outcomes[i].status);
        check_counts(endpoint, 0, 0);
        CHECK_SIZE(counters->accepted, 1);
        CHECK_SIZE(counters->bytes, 7);
        CHECK_SIZE(counters->delivered, outcomes[i].counted == 'd');
        CHECK_SIZE(counters->refused, outcomes[i].counted == 'r');
        CHECK_SIZE(counters->failed, outcomes[i].counted == 'f');
        CHECK_SIZE(counters->latency.total, outcomes[i].counted == 'd');
        endpoint_release(endpoint);
    }
}

/* ---- references ---- */

static void references_are_counted(void)
{
    struct endpoint *endpoint = with_limits(1, 1);
    endpoint_retain(endpoint);
    endpoint_retain(endpoint);
    CHECK_SIZE(atomic_load(&endpoint->references), 3);
    endpoint_release(endpoint);
    endpoint_release(endpoint);
    CHECK_TEXT(endpoint->settings.user_agent, "test");
    CHECK_SIZE(atomic_load(&endpoint->references), 1);
    endpoint_release(endpoint);
}

static void releasing_nothing_is_harmless(void)
{
    endpoint_release(NULL);
}

/* ---- threads ---- */

/* An endpoint that several threads hold. */
struct shared {
    struct endpoint *endpoint;
    atomic_size_t started; /* threads: none goes on before all have come */
};

static void wait_for_all(struct shared *shared)
{
    atomic_fetch_add(&shared->started, 1);
    while (atomic_load(&shared->started) < THREADS) {
        (void)sched_yield();
    }
}

static void in_threads(void *(*run)(void *), struct shared *shared)
{
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++) {
        CHECK_INT(pthread_create(&threads[i], NULL, run, shared), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        CHECK_INT(pthread_join(threads[i], NULL), 0);
    }
}

static void *retain_often(void *argument)
{
    struct shared *shared = argument;
    wait_for_all(shared);
    for (int i = 0; i < ROUNDS; i++) {
        endpoint_retain(shared->endpoint);
        CHECK(shared->endpoint->settings.user_agent[0] == 't');
        endpoint_release(shared->endpoint);
    }
    endpoint_release(shared->endpoint);
    return NULL;
}

/* Each thread has a reference of its own and drops it at its end: the last one frees. */
static void last_reference_may_go_on_any_thread(void)
{
    struct shared shared = {.endpoint = with_limits(1, 1)};
    for (int i = 1; i < THREADS; i++) {
        endpoint_retain(shared.endpoint);
    }
    in_threads(retain_often, &shared);
}

static const struct check_case cases[] = {
    CHECK_CASE(settings_are_kept),
    CHECK_CASE(texts_are_copied),
    CHECK_CASE(texts_may_be_missing),
    CHECK_CASE(begins_with_nothing_under_way),
    CHECK_CASE(requests_are_admitted_to_the_limit),
    CHECK_CASE(bytes_are_admitted_to_the_limit),
    CHECK_CASE(one_request_may_have_all_the_bytes),
    CHECK_CASE(refusal_counts_nothing),
    CHECK_CASE(dismissed_makes_room_again),
    CHECK_CASE(absurd_sizes_do_not_wrap),
    CHECK_CASE(more_than_the_limit_is_refused_however_much_more),
    CHECK_CASE(withdrawn_was_never_there),
    CHECK_CASE(outcomes_are_counted),
    CHECK_CASE(references_are_counted),
    CHECK_CASE(releasing_nothing_is_harmless),
    CHECK_CASE(last_reference_may_go_on_any_thread),
};

int main(int count, char **names)
{
    return CHECK_RUN(cases, count, names);
}
