#include "endpoint.h"

#include <pthread.h>
#include <sched.h>  /* sched_yield(2) */
#include <stdint.h> /* SIZE_MAX */
#include <string.h> /* memset(3) */

#include "check.h"
#include "exact.h"

enum { THREADS = 4, ROUNDS = 20000 };

static struct endpoint *with_limits(size_t max_pending, size_t max_pending_bytes)
{
    return endpoint_new(&(struct endpoint_settings){
        .url = "http://127.0.0.1/realtime/sdk/1",
        .user_agent = "test",
        .timeout_ms = 1000,
        .connect_timeout_ms = 500,
        .connections = 1,
        .max_pending = max_pending,
        .max_pending_bytes = max_pending_bytes,
    });
}

static void check_counts(struct endpoint *endpoint, size_t pending, size_t bytes)
{
    CHECK_SIZE(atomic_load(&endpoint->pending), pending);
    CHECK_SIZE(atomic_load(&endpoint->pending_bytes), bytes);
}

/* ---- settings ---- */

static void settings_are_kept(void)
{
    struct endpoint_settings settings = {
        .url = "https://acme.engagement.dimelo.com/realtime/sdk/1",
        .user_agent = "sendapi",
        .ca_file = "/etc/ca.pem",
        .proxy = "http://proxy:3128",
        .timeout_ms = 1,
        .connect_timeout_ms = 2,
        .connections = 3,
        .max_pending = 4,
        .max_pending_bytes = 5,
        .http2 = true,
    };
    struct endpoint *endpoint = endpoint_new(&settings);
    CHECK_TEXT(endpoint->settings.url, settings.url);
    CHECK_TEXT(endpoint->settings.user_agent, settings.user_agent);
    CHECK_TEXT(endpoint->settings.ca_file, settings.ca_file);
    CHECK_TEXT(endpoint->settings.proxy, settings.proxy);
    CHECK_INT(endpoint->settings.timeout_ms, 1);
    CHECK_INT(endpoint->settings.connect_timeout_ms, 2);
    CHECK_SIZE(endpoint->settings.connections, 3);
    CHECK_SIZE(endpoint->settings.max_pending, 4);
    CHECK_SIZE(endpoint->settings.max_pending_bytes, 5);
    CHECK(endpoint->settings.http2);
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
    CHECK(endpoint->first == NULL);
    CHECK(endpoint->last == &endpoint->first);
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
        endpoint_dismiss(endpoint, 4);
        CHECK(!endpoint_admit(endpoint, 5));
        CHECK(endpoint_admit(endpoint, 4));
        endpoint_dismiss(endpoint, 6);
        endpoint_dismiss(endpoint, 4);
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
    endpoint_dismiss(endpoint, SIZE_MAX - 1);
    endpoint_dismiss(endpoint, 1);
    CHECK(endpoint_admit(endpoint, SIZE_MAX));
    endpoint_dismiss(endpoint, SIZE_MAX);
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

/* An endpoint that several threads use, and what they themselves count beside it. */
struct shared {
    struct endpoint *endpoint;
    atomic_size_t held;
    atomic_size_t held_bytes;
    atomic_size_t refused;
    atomic_size_t too_many;
    atomic_size_t started; /* threads: none goes on before all have come */
};

/* Gives each thread its number. */
static size_t wait_for_all(struct shared *shared)
{
    size_t number = atomic_fetch_add(&shared->started, 1);
    while (atomic_load(&shared->started) < THREADS) {
        (void)sched_yield();
    }
    return number;
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

/* What a thread counts lags behind on the way in and runs ahead on the way out, so it never exceeds
 * what the endpoint should have allowed. */
static void admit_once(struct shared *shared, size_t bytes)
{
    const struct endpoint_settings *settings = &shared->endpoint->settings;
    if (!endpoint_admit(shared->endpoint, bytes)) {
        atomic_fetch_add(&shared->refused, 1);
        return;
    }
    size_t held = atomic_fetch_add(&shared->held, 1) + 1;
    size_t held_bytes = atomic_fetch_add(&shared->held_bytes, bytes) + bytes;
    if (held > settings->max_pending || held_bytes > settings->max_pending_bytes) {
        atomic_fetch_add(&shared->too_many, 1);
    }
    atomic_fetch_sub(&shared->held, 1);
    atomic_fetch_sub(&shared->held_bytes, bytes);
    endpoint_dismiss(shared->endpoint, bytes);
}

static void *admit_often(void *argument)
{
    struct shared *shared = argument;
    (void)wait_for_all(shared);
    for (size_t i = 0; i < ROUNDS; i++) {
        admit_once(shared, i % 7);
    }
    return NULL;
}

static void check_concurrent(size_t max_pending, size_t max_bytes, void *(*run)(void *))
{
    struct shared shared = {.endpoint = with_limits(max_pending, max_bytes)};
    in_threads(run, &shared);
    CHECK_SIZE(atomic_load(&shared.too_many), 0);
    check_counts(shared.endpoint, 0, 0);
    CHECK(endpoint_admit(shared.endpoint, max_bytes));
    endpoint_release(shared.endpoint);
}

static void limits_hold_among_threads(void)
{
    check_concurrent(1, 100, admit_often);
    check_concurrent(THREADS - 1, 100, admit_often);
    check_concurrent(100, 6, admit_often);
    check_concurrent(2, 8, admit_often);
}

/* Half of the threads ask for what is left, which is nothing, and half for much too much. */
static void *ask_in_vain(void *argument)
{
    struct shared *shared = argument;
    size_t bytes = wait_for_all(shared) % 2 == 0 ? SIZE_MAX : 1;
    for (size_t i = 0; i < 50 * ROUNDS; i++) {
        if (endpoint_admit(shared->endpoint, bytes)) {
            atomic_fetch_add(&shared->too_many, 1);
            endpoint_dismiss(shared->endpoint, bytes);
        }
    }
    return NULL;
}

static void too_much_at_once_makes_no_room(void)
{
    struct shared shared = {.endpoint = with_limits(100, 1)};
    CHECK(endpoint_admit(shared.endpoint, 1));
    in_threads(ask_in_vain, &shared);
    CHECK_SIZE(atomic_load(&shared.too_many), 0);
    check_counts(shared.endpoint, 1, 1);
    endpoint_release(shared.endpoint);
}

static void enough_for_all_threads_refuses_none(void)
{
    struct shared shared = {.endpoint = with_limits(THREADS, 6 * THREADS)};
    in_threads(admit_often, &shared);
    CHECK_SIZE(atomic_load(&shared.refused), 0);
    endpoint_release(shared.endpoint);
}

static void *retain_often(void *argument)
{
    struct shared *shared = argument;
    (void)wait_for_all(shared);
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
    CHECK_CASE(references_are_counted),
    CHECK_CASE(releasing_nothing_is_harmless),
    CHECK_CASE(limits_hold_among_threads),
    CHECK_CASE(too_much_at_once_makes_no_room),
    CHECK_CASE(enough_for_all_threads_refuses_none),
    CHECK_CASE(last_reference_may_go_on_any_thread),
};

int main(int count, char **names)
{
    return CHECK_RUN(cases, count, names);
}
