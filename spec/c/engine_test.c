/*
 * The engine: its thread, its connections, and that every request comes back exactly once. What
 * becomes of a single request stands in transfer_test.c.
 */

#include "engine.h"

#include <stdlib.h> /* calloc(3) */

#include <dirent.h> /* opendir(3) */
#include <fcntl.h>  /* open(2) */
#include <unistd.h> /* close(2) */

#include "engine_fixture.h"
#include "random.h"

/* The number of threads of this process; 0 where that cannot be told. */
static size_t threads(void)
{
    size_t count = 0;
    DIR *tasks = opendir("/proc/self/task");
    if (tasks != NULL) {
        for (struct dirent *entry; (entry = readdir(tasks)) != NULL;) {
            count += entry->d_name[0] != '.';
        }
        (void)closedir(tasks);
    }
    return count;
}

static int lowest_free_descriptor(void)
{
    int file = open("/dev/null", O_RDONLY | O_CLOEXEC);
    (void)close(file);
    return file;
}

/* ---- without a request ---- */

static void engine_that_does_nothing(void)
{
    struct engine *engine = new_engine();
    CHECK(engine_take(engine) == NULL);
    CHECK(engine_peek(engine) == NULL);
    CHECK(!engine_wait(engine, 0));
    CHECK(!engine_wait(engine, -1));
    CHECK(!engine_wait(engine, 0.01));
    CHECK(!engine_is_inherited(engine));
    engine_stop(engine);
    engine_stop(engine);
    CHECK(engine_take(engine) == NULL);
    engine_free(engine);
    engine_free(NULL);
}

static void thread_begins_with_the_first_request(void)
{
    struct server *server = start_server();
    struct endpoint *endpoint = endpoint_at(server, "/ok");
    size_t before = threads();
    struct engine *engine = new_engine();
    CHECK_SIZE(threads(), before);
    CHECK_EXCHANGE(engine, endpoint, FAILURE_NONE, 200);
    CHECK_SIZE(threads(), before + (before > 0));
    engine_stop(engine);
    CHECK_SIZE(threads(), before);
    engine_free(engine);
    endpoint_release(endpoint);
    server_stop(server);
}

static void deliver_and_be_gone(const char *path)
{
    struct server *server = start_server();
    struct endpoint *endpoint = endpoint_with(server, path, 8);
    struct engine *engine = new_engine();
    submit_numbered(engine, endpoint, 20);
    (void)engine_wait(engine, 0.05);
    engine_free(engine);
    endpoint_release(endpoint);
    server_stop(server);
}

static void no_descriptor_is_left_open(void)
{
    deliver_and_be_gone("/ok"); /* libcurl may keep what it opens the first time */
    int before = lowest_free_descriptor();
    deliver_and_be_gone("/ok");
    deliver_and_be_gone("/closes");
    deliver_and_be_gone("/silent");
    deliver_and_be_gone("/endless");
    CHECK_INT(lowest_free_descriptor(), before);
}

/* ---- answers ---- */

static void answer_is_there_until_it_is_taken(void)
{
    struct server *server = start_server();
    struct endpoint *endpoint = endpoint_at(server, "/ok");
    struct engine *engine = new_engine();
    submit(engine, endpoint, 42);
    CHECK_SIZE(endpoint->pending, 1);
    CHECK_SIZE(endpoint->pending_bytes, 2);
    for (int i = 0; i < 3; i++) {
        CHECK(engine_wait(engine, EXCHANGE_SECONDS));
    }
    const struct request *peeked = engine_peek(engine);
    CHECK(engine_peek(engine) == peeked && engine_wait(engine, 0));
    CHECK_SIZE(endpoint->pending, 1);
    struct request *answer = engine_take(engine);
    CHECK(answer == peeked);
    CHECK_SIZE(answer->ticket, 42);
    check_idle(endpoint);
    CHECK(engine_take(engine) == NULL && engine_peek(engine) == NULL);
    CHECK(!engine_wait(engine, 0));
    request_free(answer);
    engine_free(engine);
    endpoint_release(endpoint);
    server_stop(server);
}

/* A wake that got lost would cost one of them the ten seconds of the thread's longest sleep. */
static void sleeping_thread_is_woken(void)
{
    struct server *server = start_server();
    struct endpoint *endpoint = endpoint_at(server, "/ok");
    struct engine *engine = new_engine();
    for (int i = 0; i < 300; i++) {
        if (i % 30 == 0) {
            server_sleep(5); /* long enough to fall asleep; else it is caught on its way there */
        }
        double began = server_now();
        CHECK_EXCHANGE(engine, endpoint, FAILURE_NONE, 200);
        CHECK(server_now() - began < 9);
    }
    engine_free(engine);
    endpoint_release(endpoint);
    server_stop(server);
}

static void many_requests_come_back_once_each(void)
{
    struct server *server = start_server();
    struct endpoint *endpoint = endpoint_with(server, "/ok", 16);
    struct engine *engine = new_engine();
    submit_numbered(engine, endpoint, 3000);
    CHECK_SIZE(take_numbered(engine, 3000, FAILURE_NONE), 3000);
    CHECK_SIZE(atomic_load(&server->requests), 3000);
    CHECK(atomic_load(&server->connections) <= 16);
    CHECK(atomic_load(&server->most_at_once) <= 16);
    check_idle(endpoint);
    engine_free(engine);
    CHECK_SIZE(atomic_load(&endpoint->references), 1);
    endpoint_release(endpoint);
    server_stop(server);
}

static void one_connection_keeps_the_order(void)
{
    struct server *server = start_server();
    struct endpoint *endpoint = endpoint_with(server, "/ok", 1);
    struct engine *engine = new_engine();
    submit_numbered(engine, endpoint, 500);
    for (uint64_t i = 0; i < 500; i++) {
        struct request *answer = next_answer(engine);
        CHECK_SIZE(answer != NULL ? answer->ticket : 0, i);
        request_free(answer);
    }
    CHECK_SIZE(server->order_length, 500);
    for (size_t i = 0; i < server->order_length; i++) {
        CHECK_SIZE(server->order[i], i);
    }
    CHECK_SIZE(atomic_load(&server->connections), 1);
    engine_free(engine);
    endpoint_release(endpoint);
    server_stop(server);
}

/* Submitting while answers come in, some taken at once and some much later. */
static void submitting_and_taking_by_turns(void)
{
    struct server *server = start_server();
    struct endpoint *endpoint = endpoint_with(server, "/ok", 5);
    struct engine *engine = new_engine();
    struct random random = {.state = 5};
    size_t submitted = 0;
    size_t taken = 0;
    while (taken < 1500) {
        for (uint64_t burst = random_below(&random, 20); burst > 0 && submitted < 1500; burst--) {
            submit(engine, endpoint, submitted++);
        }
        for (uint64_t burst = random_below(&random, 20); burst > 0; burst--) {
            struct request *answer = engine_take(engine);
            taken += answer != NULL;
            request_free(answer);
        }
        CHECK(submitted == taken || engine_wait(engine, EXCHANGE_SECONDS));
    }
    CHECK_SIZE(submitted, 1500);
    CHECK_SIZE(atomic_load(&server->requests), 1500);
    check_idle(endpoint);
    engine_free(engine);
    endpoint_release(endpoint);
    server_stop(server);
}

/* ---- connections ---- */

static void connection_is_used_again(void)
{
    struct server *server = start_server();
    struct endpoint *endpoint = endpoint_at(server, "/ok");
    struct engine *engine = new_engine();
    for (int i = 0; i < 50; i++) {
        CHECK_EXCHANGE(engine, endpoint, FAILURE_NONE, 200);
    }
    CHECK_SIZE(atomic_load(&server->connections), 1);
    CHECK_SIZE(atomic_load(&server->requests), 50);
    engine_free(engine);
    endpoint_release(endpoint);
    server_stop(server);
}

static void connection_is_shared_by_endpoints_of_one_host(void)
{
    struct server *server = start_server();
    struct endpoint *one = endpoint_at(server, "/ok");
    struct endpoint *other = endpoint_at(server, "/no");
    struct engine *engine = new_engine();
    for (int i = 0; i < 5; i++) {
        CHECK_EXCHANGE(engine, one, FAILURE_NONE, 200);
        CHECK_EXCHANGE(engine, other, FAILURE_SERVER_ERROR, 500);
    }
    CHECK_SIZE(atomic_load(&server->connections), 1);
    engine_free(engine);
    endpoint_release(one);
    endpoint_release(other);
    server_stop(server);
}

/* Five, since the next one may be sent before the close is seen: libcurl sends it again, see below. */
static void closed_connection_is_replaced(void)
{
    enum { EXCHANGES = 5 };
    struct server *server = start_server();
    struct endpoint *endpoint = endpoint_at(server, "/closes");
    struct engine *engine = new_engine();
    for (int i = 0; i < EXCHANGES; i++) {
        CHECK_EXCHANGE(engine, endpoint, FAILURE_NONE, 200);
    }
    CHECK_SIZE(atomic_load(&server->requests), EXCHANGES);
    engine_free(engine);
    endpoint_release(endpoint);
    server_stop(server);
}

/*
 * Kept, and then closed upon the next request: libcurl sends that one again on a new one. A handle
 * does so five times in its life and fails the sixth, hence the small numbers.
 */
static void connection_that_dies_when_it_is_used_again(void)
{
    static const char *const paths[] = {"/once", "/thrice"};
    static const int exchanges[] = {5, 10};
    for (size_t i = 0; i < 2; i++) {
        struct server *server = start_server();
        struct endpoint *endpoint = endpoint_with(server, paths[i], 1);
        struct engine *engine = new_engine();
        for (int j = 0; j < exchanges[i]; j++) {
            CHECK_EXCHANGE(engine, endpoint, FAILURE_NONE, 200);
        }
        CHECK(atomic_load(&server->requests) > (size_t)exchanges[i]);
        engine_free(engine);
        endpoint_release(endpoint);
        server_stop(server);
    }
}

static void check_never_more_than(size_t connections, size_t requests)
{
    struct server *server = start_server();
    struct endpoint *endpoint = endpoint_with(server, "/held", connections);
    struct engine *engine = new_engine();
    CHECK_NOTE("%zu connections", connections);
    submit_numbered(engine, endpoint, requests);
    CHECK(server_await(&server->requests, connections));
    server_sleep(20);
    CHECK_SIZE(atomic_load(&server->requests), connections);
    CHECK_SIZE(atomic_load(&server->connections), connections);
    CHECK(!engine_wait(engine, 0));
    server_open(server);
    CHECK_SIZE(take_numbered(engine, requests, FAILURE_NONE), requests);
    CHECK_SIZE(atomic_load(&server->most_at_once), connections);
    CHECK_SIZE(atomic_load(&server->connections), connections);
    check_idle(endpoint);
    engine_free(engine);
    endpoint_release(endpoint);
    server_stop(server);
}

static void never_more_at_once_than_connections(void)
{
    check_never_more_than(1, 20);
    check_never_more_than(2, 50);
    check_never_more_than(7, 100);
    check_never_more_than(64, 200);
}

/* Failures must give their connection back as deliveries do. */
static void failures_make_room_for_what_waits(void)
{
    struct server *server = start_server();
    struct exchange_url url = url_at(server->port, "/held");
    struct endpoint_settings settings = usual_settings(url.text);
    settings.connections = 3;
    settings.timeout = 0.5; /* each is sent within it */
    struct endpoint *endpoint = endpoint_new(&settings);
    struct engine *engine = new_engine();
    submit_numbered(engine, endpoint, 12);
    CHECK_SIZE(take_numbered(engine, 12, FAILURE_TIMEOUT), 0);
    CHECK(server_await(&server->requests, 12));
    CHECK_SIZE(atomic_load(&server->requests), 12);
    engine_free(engine);
    endpoint_release(endpoint);
    server_stop(server);
}

/* libcurl refuses its url: nothing is sent, and nothing that waits is forgotten. */
static void endpoint_that_cannot_be_used(void)
{
    enum { TOO_LONG = 8000001 };
    char *url = calloc(TOO_LONG + 1, 1);
    memset(url, 'u', TOO_LONG);
    memcpy(url, "http://127.0.0.1/", 17);
    struct endpoint_settings settings = usual_settings(url);
    settings.connections = 2;
    struct endpoint *endpoint = endpoint_new(&settings);
    struct engine *engine = new_engine();
    submit_numbered(engine, endpoint, 10);
    CHECK_SIZE(take_numbered(engine, 10, FAILURE_CONNECTION_FAILED), 0);
    check_idle(endpoint);
    engine_free(engine);
    endpoint_release(endpoint);
    free(url);
}

/* An attempt that libcurl refused is an attempt: they come to an end, and leave nothing behind. */
static void attempts_that_never_leave_are_counted(void)
{
    struct endpoint_settings settings = usual_settings("http://");
    settings.policy = (struct retry_policy){.attempts = 3, .first = 0.001, .longest = 0.001};
    struct endpoint *endpoint = endpoint_new(&settings);
    struct engine *engine = new_engine();
    submit(engine, endpoint, 0);
    (void)engine_wait(engine, EXCHANGE_SECONDS);
    engine_stop(engine);
    struct request *answer = next_answer(engine);
    CHECK(answer != NULL && answer->outcome.attempts == 3);
    check_outcome(CHECK_AT, answer, FAILURE_CONNECTION_FAILED, 0);
    engine_free(engine);
    endpoint_release(endpoint);
}

/* ---- many endpoints ---- */

enum { ENDPOINTS = 24, EACH = 12 };

static const char *path_number(size_t i)
{
    static const char *const paths[] = {"/ok", "/no", "/slow", "/closes"};
    return paths[i % 4];
}

static void check_many(struct engine *engine, struct endpoint *const *endpoints)
{
    size_t counts[ENDPOINTS] = {0};
    for (size_t i = 0; i < ENDPOINTS * EACH; i++) {
        struct request *answer = next_answer(engine);
        if (answer == NULL) {
            return;
        }
        size_t at = answer->ticket % ENDPOINTS;
        CHECK(answer->endpoint == endpoints[at]);
        CHECK_INT(answer->outcome.status, at % 4 == 1 ? 500 : 200);
        counts[at]++;
        request_free(answer);
    }
    for (size_t i = 0; i < ENDPOINTS; i++) {
        CHECK_SIZE(counts[i], EACH);
        check_idle(endpoints[i]);
    }
}

static void many_endpoints_on_one_engine(void)
{
    struct server *servers[2] = {start_server(), start_server()};
    struct endpoint *endpoints[ENDPOINTS];
    struct engine *engine = new_engine();
    for (size_t i = 0; i < ENDPOINTS; i++) {
        endpoints[i] = endpoint_with(servers[i / 4 % 2], path_number(i), 1 + i % 3);
    }
    for (size_t i = 0; i < ENDPOINTS * EACH; i++) {
        submit(engine, endpoints[i % ENDPOINTS], i);
    }
    check_many(engine, endpoints);
    engine_free(engine);
    for (size_t i = 0; i < ENDPOINTS; i++) {
        CHECK_SIZE(atomic_load(&endpoints[i]->references), 1);
        endpoint_release(endpoints[i]);
    }
    server_stop(servers[0]);
    server_stop(servers[1]);
}

static void stuck_endpoint_does_not_hold_up_another(void)
{
    struct server *server = start_server();
    struct endpoint *stuck = endpoint_with(server, "/held", 1);
    struct endpoint *fine = endpoint_at(server, "/ok");
    struct engine *engine = new_engine();
    submit_numbered(engine, stuck, 5);
    for (int i = 0; i < 20; i++) {
        CHECK_EXCHANGE(engine, fine, FAILURE_NONE, 200);
    }
    CHECK_SIZE(stuck->pending, 5);
    server_open(server);
    CHECK_SIZE(take_numbered(engine, 5, FAILURE_NONE), 5);
    engine_free(engine);
    endpoint_release(stuck);
    endpoint_release(fine);
    server_stop(server);
}

static void endpoint_may_go_while_its_requests_are_under_way(void)
{
    struct server *server = start_server();
    struct engine *engine = new_engine();
    for (uint64_t i = 0; i < 40; i++) {
        struct endpoint *endpoint = endpoint_with(server, path_number(i), 1);
        submit(engine, endpoint, i);
        endpoint_release(endpoint);
    }
    CHECK_SIZE(take_numbered(engine, 40, FAILURE_SERVER_ERROR), 30);
    engine_free(engine);
    server_stop(server);
}

static void engines_side_by_side(void)
{
    struct server *server = start_server();
    struct endpoint *endpoints[4];
    struct engine *engines[4];
    for (size_t i = 0; i < 4; i++) {
        endpoints[i] = endpoint_with(server, "/ok", 3);
        engines[i] = new_engine();
        submit_numbered(engines[i], endpoints[i], 50);
    }
    for (size_t i = 0; i < 4; i++) {
        CHECK_SIZE(take_numbered(engines[i], 50, FAILURE_NONE), 50);
        engine_free(engines[i]);
        endpoint_release(endpoints[i]);
    }
    server_stop(server);
}

static const struct check_case cases[] = {
    CHECK_CASE(engine_that_does_nothing),
    CHECK_CASE(thread_begins_with_the_first_request),
    CHECK_CASE(no_descriptor_is_left_open),
    CHECK_CASE(answer_is_there_until_it_is_taken),
    CHECK_CASE(sleeping_thread_is_woken),
    CHECK_CASE(many_requests_come_back_once_each),
    CHECK_CASE(one_connection_keeps_the_order),
    CHECK_CASE(submitting_and_taking_by_turns),
    CHECK_CASE(connection_is_used_again),
    CHECK_CASE(connection_is_shared_by_endpoints_of_one_host),
    CHECK_CASE(closed_connection_is_replaced),
    CHECK_CASE(connection_that_dies_when_it_is_used_again),
    CHECK_CASE(never_more_at_once_than_connections),
    CHECK_CASE(failures_make_room_for_what_waits),
    CHECK_CASE(endpoint_that_cannot_be_used),
    CHECK_CASE(attempts_that_never_leave_are_counted),
    CHECK_CASE(many_endpoints_on_one_engine),
    CHECK_CASE(stuck_endpoint_does_not_hold_up_another),
    CHECK_CASE(endpoint_may_go_while_its_requests_are_under_way),
    CHECK_CASE(engines_side_by_side),
};

int main(int count, char **names)
{
    return CHECK_RUN(cases, count, names);
}
