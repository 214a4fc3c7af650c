/* The engine that is stopped or freed, whatever is under way: nothing is lost, nothing left behind. */

#include "engine.h"

#include <stdlib.h> /* setenv(3) */

#include "engine_fixture.h"
#include "random.h"

/* ---- stop ---- */

static void stop_closes_what_is_under_way(void)
{
    struct server *server = start_server();
    struct endpoint *held = endpoint_with(server, "/held", 3);
    struct engine *engine = new_engine();
    submit_numbered(engine, held, 30);
    CHECK(server_await(&server->requests, 3));
    double began = server_now();
    engine_stop(engine);
    CHECK(server_now() - began < 5);
    engine_stop(engine);
    CHECK_SIZE(held->pending, 30);
    CHECK_SIZE(take_numbered(engine, 30, FAILURE_CLOSED), 0);
    check_idle(held);
    engine_stop(engine);
    engine_free(engine);
    CHECK_SIZE(atomic_load(&held->references), 1);
    endpoint_release(held);
    server_stop(server);
}

/* What was answered before the stop keeps its answer. */
static void stop_leaves_answers_as_they_are(void)
{
    struct server *server = start_server();
    struct endpoint *held = endpoint_with(server, "/held", 2);
    struct endpoint *fine = endpoint_with(server, "/ok", 2);
    struct engine *engine = new_engine();
    submit(engine, fine, 0);
    CHECK(engine_wait(engine, EXCHANGE_SECONDS));
    submit(engine, held, 1);
    submit(engine, held, 2);
    submit(engine, held, 3);
    engine_stop(engine);
    for (uint64_t i = 0; i < 4; i++) {
        struct request *answer = engine_take(engine);
        if (CHECK(answer != NULL)) {
            CHECK_INT(answer->outcome.failure, answer->ticket == 0 ? FAILURE_NONE : FAILURE_CLOSED);
            CHECK(answer->outcome.body == NULL);
        }
        request_free(answer);
    }
    CHECK(engine_take(engine) == NULL);
    engine_free(engine);
    endpoint_release(held);
    endpoint_release(fine);
    server_stop(server);
}

static void submission_after_stop_starts_again(void)
{
    struct server *server = start_server();
    struct endpoint *held = endpoint_with(server, "/held", 1);
    struct endpoint *fine = endpoint_with(server, "/ok", 1);
    struct engine *engine = new_engine();
    for (int i = 0; i < 4; i++) {
        submit_numbered(engine, held, 3);
        engine_stop(engine);
        CHECK_SIZE(take_numbered(engine, 3, FAILURE_CLOSED), 0);
        CHECK_EXCHANGE(engine, fine, FAILURE_NONE, 200);
        CHECK_SIZE(held->active, 0);
        CHECK(held->ready.first == NULL && !held->listed);
    }
    server_open(server);
    submit_numbered(engine, held, 3);
    CHECK_SIZE(take_numbered(engine, 3, FAILURE_NONE), 3);
    engine_free(engine);
    endpoint_release(held);
    endpoint_release(fine);
    server_stop(server);
}

/* Stopped at any moment between the submission and the last answer. */
static void stop_at_any_moment_loses_nothing(void)
{
    struct server *server = start_server();
    struct endpoint *endpoints[2] = {endpoint_with(server, "/ok", 3),
                                     endpoint_with(server, "/slow", 2)};
    struct engine *engine = new_engine();
    struct random random = {.state = 15};
    size_t delivered = 0;
    for (int round = 0; round < 60; round++) {
        for (uint64_t i = 0; i < 25; i++) {
            submit(engine, endpoints[i % 2], i);
        }
        server_pause((long)random_below(&random, 4000));
        engine_stop(engine);
        delivered += take_numbered(engine, 25, FAILURE_CLOSED);
    }
    CHECK(delivered > 0 && delivered < 60 * 25);
    engine_free(engine);
    for (size_t i = 0; i < 2; i++) {
        check_idle(endpoints[i]);
        CHECK_SIZE(atomic_load(&endpoints[i]->references), 1);
        endpoint_release(endpoints[i]);
    }
    server_stop(server);
}

/* A resolver that says at once that there is no such name may be the sooner. */
static void take_unresolved(struct engine *engine, size_t count)
{
    for (size_t taken = 0; taken < count; taken++) {
        struct request *answer = next_answer(engine);
        if (!CHECK(answer != NULL)) {
            return;
        }
        enum failure failure = answer->outcome.failure;
        CHECK(failure == FAILURE_CLOSED || failure == FAILURE_NAME_NOT_RESOLVED);
        request_free(answer);
    }
    CHECK(engine_take(engine) == NULL);
}

static void stop_does_not_wait_for_a_name(void)
{
    struct endpoint_settings settings = usual_settings("http://nowhere.invalid/");
    struct endpoint *endpoint = endpoint_new(&settings);
    struct engine *engine = new_engine();
    for (int i = 0; i < 5; i++) {
        submit_numbered(engine, endpoint, 6);
        double began = server_now();
        engine_stop(engine);
        CHECK(server_now() - began < 3);
        take_unresolved(engine, 6);
    }
    engine_free(engine);
    endpoint_release(endpoint);
}

/* ---- free ---- */

static void free_with_everything_under_way(void)
{
    static const char *const paths[] = {"/ok", "/held", "/silent", "/endless", "/slow"};
    struct server *server = start_server();
    for (size_t i = 0; i < 10; i++) {
        struct endpoint *endpoint = endpoint_with(server, paths[i % 5], 2);
        struct engine *engine = new_engine();
        submit_numbered(engine, endpoint, 12);
        if (i >= 5) {
            server_sleep(10);
        }
        engine_free(engine);
        check_idle(endpoint);
        CHECK_SIZE(atomic_load(&endpoint->references), 1);
        endpoint_release(endpoint);
    }
    server_stop(server);
}

static void free_with_answers_not_taken(void)
{
    struct server *server = start_server();
    struct endpoint *endpoint = endpoint_with(server, "/no", 4);
    struct engine *engine = new_engine();
    submit_numbered(engine, endpoint, 12);
    CHECK(server_await(&server->answered, 12));
    CHECK(engine_wait(engine, EXCHANGE_SECONDS));
    request_free(engine_take(engine));
    (void)engine_peek(engine);
    engine_free(engine);
    check_idle(endpoint);
    CHECK_SIZE(atomic_load(&endpoint->references), 1);
    endpoint_release(endpoint);
    server_stop(server);
}

/* Nobody is left to decide it: it counts as what it was when it was asked. */
static void free_with_questions_not_taken(void)
{
    struct server *server = start_server();
    struct exchange_url url = url_at(server->port, "/no");
    struct endpoint_settings settings = usual_settings(url.text);
    settings.asks = true;
    struct endpoint *endpoint = endpoint_new(&settings);
    for (int peeked = 0; peeked < 2; peeked++) {
        struct engine *engine = new_engine();
        submit_numbered(engine, endpoint, 3);
        CHECK(server_await(&server->answered, 3));
        CHECK(engine_wait(engine, EXCHANGE_SECONDS));
        if (peeked) {
            CHECK(engine_peek(engine)->outcome.question);
        }
        engine_free(engine);
        check_idle(endpoint);
    }
    CHECK_SIZE(endpoint->counters.failed + endpoint->counters.refused, 6);
    CHECK_SIZE(atomic_load(&endpoint->references), 1);
    endpoint_release(endpoint);
    server_stop(server);
}

static const struct check_case cases[] = {
    CHECK_CASE(stop_closes_what_is_under_way),      CHECK_CASE(stop_leaves_answers_as_they_are),
    CHECK_CASE(submission_after_stop_starts_again), CHECK_CASE(stop_at_any_moment_loses_nothing),
    CHECK_CASE(stop_does_not_wait_for_a_name),      CHECK_CASE(free_with_everything_under_way),
    CHECK_CASE(free_with_answers_not_taken),        CHECK_CASE(free_with_questions_not_taken),
};

int main(int count, char **names)
{
    (void)setenv("RES_OPTIONS", "timeout:1 attempts:1", 1); /* a resolver that is not there */
    return CHECK_RUN(cases, count, names);
}
