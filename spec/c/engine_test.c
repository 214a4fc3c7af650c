/*
 * The engine: its thread, its connections, and that every request comes back exactly once. What
 * becomes of a single request stands in transfer_test.c.
 */

#include "engine.h"

#include <math.h>   /* NAN */
#include <signal.h> /* sigaction(2) kill(2) */
#include <stdlib.h> /* calloc(3) setenv(3) exit(3) */

#include <dirent.h>   /* opendir(3) */
#include <fcntl.h>    /* open(2) */
#include <sys/time.h> /* setitimer(2) */
#include <sys/un.h>   /* sockaddr_un */
#include <sys/wait.h> /* waitpid(2) */
#include <unistd.h>   /* fork(2) */

#include "exchange.h"
#include "random.h"

/* Whether ThreadSanitizer watches, as clang and gcc say it. */
#if defined(__has_feature)
#define HAS_FEATURE(name) __has_feature(name)
#else
#define HAS_FEATURE(name) 0
#endif
#if defined(__SANITIZE_THREAD__) || HAS_FEATURE(thread_sanitizer)
enum { THREADS_WATCHED = true };
#else
enum { THREADS_WATCHED = false };
#endif

#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
#define NO "HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\nno"

static const struct server_plan plans[] = {
    {.path = "/ok", .text = OK},
    {.path = "/no", .text = NO},
    {.path = "/held", .text = OK, .held = true},
    {.path = "/slow", .text = OK, .delay_ms = 20},
    {.path = "/silent", .end = SERVER_IGNORES},
    {.path = "/closes", .text = OK, .end = SERVER_CLOSES},
    {.path = "/once", .text = OK, .most = 1},
    {.path = "/thrice", .text = OK, .most = 3},
    {.path = "/hangs_up", .end = SERVER_RESETS, .moment = SERVER_AFTER_HEAD},
    {.path = "/endless", .text = "HTTP/1.1 200 OK\r\n\r\n", .repeated = "and so on "},
};

static struct server *start_server(void)
{
    return server_start(plans, sizeof plans / sizeof plans[0]);
}

static void submit_numbered(struct engine *engine, struct endpoint *endpoint, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        submit(engine, endpoint, i);
    }
}

/* Takes so many answers, numbered from 0, each exactly once; returns how many were delivered. */
static size_t take_numbered(struct engine *engine, size_t count, enum failure or_else)
{
    unsigned char *seen = calloc(count, 1);
    size_t delivered = 0;
    for (size_t taken = 0; taken < count; taken++) {
        struct request *answer = next_answer(engine);
        if (answer == NULL) {
            break;
        }
        if (CHECK(answer->ticket < count)) {
            CHECK_INT(seen[answer->ticket]++, 0);
        }
        delivered += answer->outcome.failure == FAILURE_NONE;
        CHECK(answer->outcome.failure == FAILURE_NONE || answer->outcome.failure == or_else);
        request_free(answer);
    }
    CHECK(engine_take(engine) == NULL);
    free(seen);
    return delivered;
}

static void check_idle(struct endpoint *endpoint)
{
    CHECK_SIZE(endpoint->pending, 0);
    CHECK_SIZE(endpoint->pending_bytes, 0);
}

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

/* A wake that got lost would cost the ten seconds of the thread's longest sleep. */
static void sleeping_thread_is_woken(void)
{
    struct server *server = start_server();
    struct endpoint *endpoint = endpoint_at(server, "/ok");
    struct engine *engine = new_engine();
    double began = server_now();
    for (int i = 0; i < 300; i++) {
        if (i % 30 == 0) {
            server_sleep(5); /* long enough to fall asleep; else it is caught on its way there */
        }
        CHECK_EXCHANGE(engine, endpoint, FAILURE_NONE, 200);
    }
    CHECK(server_now() - began < 9);
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

static void closed_connection_is_replaced(void)
{
    struct server *server = start_server();
    struct endpoint *endpoint = endpoint_at(server, "/closes");
    struct engine *engine = new_engine();
    for (int i = 0; i < 20; i++) {
        CHECK_EXCHANGE(engine, endpoint, FAILURE_NONE, 200);
    }
    CHECK_SIZE(atomic_load(&server->requests), 20);
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
    settings.timeout = 0.04;
    struct endpoint *endpoint = endpoint_new(&settings);
    struct engine *engine = new_engine();
    submit_numbered(engine, endpoint, 12);
    CHECK_SIZE(take_numbered(engine, 12, FAILURE_TIMEOUT), 0);
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
    (void)engine_wait(engine, 2);
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

/* ---- the caller drives ---- */

/* Whether an answer was there without another wait. */
static bool drives(struct engine *engine, struct endpoint *endpoint, uint64_t number)
{
    submit_and_drive(engine, endpoint, number, EXCHANGE_SECONDS);
    struct request *answer = engine_take(engine);
    bool fine = CHECK(answer != NULL && answer->ticket == number);
    request_free(answer);
    return fine;
}

/* Whether an answer is there without another wait, as soon as the thread has parked. */
static bool comes_to_drive(struct engine *engine, struct endpoint *endpoint)
{
    bool driven = false;
    for (int i = 0; i < 5000 && !driven; i++) {
        server_sleep(1);
        submit_and_drive(engine, endpoint, 0, EXCHANGE_SECONDS);
        driven = engine_peek(engine) != NULL;
        request_free(next_answer(engine));
    }
    return driven;
}

/* The newest of this process's threads, or 0 where that cannot be told. */
static long newest_thread(void)
{
    long newest = 0;
    DIR *tasks = opendir("/proc/self/task");
    if (tasks != NULL) {
        for (struct dirent *entry; (entry = readdir(tasks)) != NULL;) {
            long number = strtol(entry->d_name, NULL, 10);
            newest = number > newest ? number : newest;
        }
        (void)closedir(tasks);
    }
    return newest;
}

/* How often a thread went to sleep; 0 where that cannot be told. */
static long sleeps_of(long thread)
{
    static const char name[] = "voluntary_ctxt_switches:";
    char text[100];
    long sleeps = 0;
    (void)snprintf(text, sizeof text, "/proc/self/task/%ld/status", thread);
    FILE *file = fopen(text, "r");
    while (file != NULL && fgets(text, sizeof text, file) != NULL) {
        if (strncmp(text, name, sizeof name - 1) == 0) {
            sleeps = strtol(text + sizeof name - 1, NULL, 10);
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return sleeps;
}

/* From the first call on: the thread sleeps all the while. */
static void caller_drives_an_idle_engine(void)
{
    struct server *server = start_server();
    struct endpoint *endpoint = endpoint_at(server, "/ok");
    struct engine *engine = new_engine();
    CHECK(drives(engine, endpoint, 0));
    long thread = newest_thread();
    long before = sleeps_of(thread);
    for (uint64_t i = 1; i < 200; i++) {
        CHECK(drives(engine, endpoint, i));
    }
    CHECK(sleeps_of(thread) <= before + 5);
    CHECK_SIZE(atomic_load(&server->requests), 200);
    CHECK_SIZE(atomic_load(&server->connections), 1);
    check_idle(endpoint);
    engine_free(engine);
    endpoint_release(endpoint);
    server_stop(server);
}

/* The thread keeps what it has begun, and does what comes then. */
static void caller_leaves_a_busy_engine_to_the_thread(void)
{
    struct server *server = start_server();
    struct endpoint *held = endpoint_with(server, "/held", 1);
    struct endpoint *fine = endpoint_at(server, "/ok");
    struct engine *engine = new_engine();
    submit(engine, held, 100);
    CHECK(server_await(&server->requests, 1));
    for (uint64_t i = 0; i < 50; i++) {
        double began = server_now();
        submit_and_drive(engine, fine, i, EXCHANGE_SECONDS);
        struct request *answer = next_answer(engine);
        CHECK(server_now() - began < 9);
        CHECK_SIZE(answer != NULL ? answer->ticket : 999, i);
        request_free(answer);
    }
    server_open(server);
    request_free(next_answer(engine));
    CHECK(comes_to_drive(engine, fine));
    engine_free(engine);
    endpoint_release(held);
    endpoint_release(fine);
    server_stop(server);
}

/* What the caller leaves behind comes by itself, next attempts too. */
static void thread_takes_over_when_the_time_is_over(void)
{
    struct server *server = start_server();
    struct endpoint *held = endpoint_with(server, "/held", 2);
    struct engine *engine = new_engine();
    for (uint64_t i = 0; i < 3; i++) {
        double began = server_now();
        submit_and_drive(engine, held, i, 0.02);
        CHECK(i > 0 || server_now() - began >= 0.02);
        CHECK(engine_take(engine) == NULL);
    }
    double opened = server_now();
    server_open(server);
    CHECK_SIZE(take_numbered(engine, 3, FAILURE_NONE), 3);
    CHECK(server_now() - opened < 9); /* the thread was woken */
    check_idle(held);
    engine_free(engine);
    endpoint_release(held);
    server_stop(server);
}

static void thread_tries_again_what_the_caller_began(void)
{
    struct server *server = start_server();
    struct exchange_url url = url_at(server->port, "/no");
    struct endpoint_settings settings = usual_settings(url.text);
    settings.policy = (struct retry_policy){.attempts = 3, .first = 0.05, .longest = 0.05};
    struct endpoint *endpoint = endpoint_new(&settings);
    struct engine *engine = new_engine();
    submit_and_drive(engine, endpoint, 0, 0.01);
    struct request *answer = next_answer(engine);
    CHECK(answer != NULL && answer->outcome.attempts == 3);
    request_free(answer);
    engine_free(engine);
    endpoint_release(endpoint);
    server_stop(server);
}

static void odd_times_do_not_drive(void)
{
    static const double times[] = {0, -1, NAN};
    struct server *server = start_server();
    struct endpoint *endpoint = endpoint_at(server, "/ok");
    struct engine *engine = new_engine();
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        submit_and_drive(engine, endpoint, 0, times[i]);
        CHECK_SIZE(take_numbered(engine, 1, FAILURE_NONE), 1);
    }
    engine_free(engine);
    endpoint_release(endpoint);
    server_stop(server);
}

/* What was queued before goes too, and any answer ends the drive. */
static void caller_takes_along_what_was_queued(void)
{
    struct server *server = start_server();
    struct endpoint *endpoint = endpoint_with(server, "/ok", 1);
    struct engine *engine = new_engine();
    for (int round = 0; round < 50; round++) {
        submit_numbered(engine, endpoint, 5);
        submit_and_drive(engine, endpoint, 5, EXCHANGE_SECONDS);
        for (uint64_t i = 0; i < 6; i++) {
            struct request *answer = next_answer(engine);
            CHECK_SIZE(answer != NULL ? answer->ticket : 999, i);
            request_free(answer);
        }
    }
    check_idle(endpoint);
    engine_free(engine);
    endpoint_release(endpoint);
    server_stop(server);
}

/* After a drive that brought nothing, as after any submission. */
static void stop_and_cancel_after_a_drive(void)
{
    struct server *server = start_server();
    struct endpoint *held = endpoint_with(server, "/held", 1);
    struct engine *engine = new_engine();
    for (int round = 0; round < 10; round++) {
        submit_and_drive(engine, held, 0, 0.001);
        submit_and_drive(engine, held, 1, 0.001);
        if (round % 2 == 0) {
            engine_stop(engine);
        } else {
            engine_cancel(engine, held);
        }
        CHECK_SIZE(take_numbered(engine, 2, FAILURE_CLOSED), 0);
    }
    submit_and_drive(engine, held, 0, 0.001);
    engine_free(engine);
    check_idle(held);
    CHECK_SIZE(atomic_load(&held->references), 1);
    endpoint_release(held);
    server_stop(server);
}

static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int client = socket(AF_UNIX, SOCK_STREAM, 0);
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    CHECK_INT(connect(client, (struct sockaddr *)&address, sizeof address), 0);
    return client;
}

/* The thread that waits for a client of the wakeup does not park; nor is it woken too late. */
static void listener_is_seen_by_whoever_drives(void)
{
    struct server *server = start_server();
    struct endpoint *endpoint = endpoint_at(server, "/ok");
    struct engine *engine = new_engine();
    for (int i = 0; i < 10; i++) {
        char byte = 0;
        submit_and_drive(engine, endpoint, 0, EXCHANGE_SECONDS);
        request_free(next_answer(engine));
        int client = connect_to(engine_listen(engine));
        CHECK_INT(recv(client, &byte, 1, 0), 1);
        engine_calm(engine);
        submit_and_drive(engine, endpoint, 1, 0.001);
        CHECK_INT(recv(client, &byte, 1, 0), 1);
        request_free(next_answer(engine));
        engine_calm(engine);
        (void)close(client);
        server_sleep(i % 2);
    }
    engine_free(engine);
    endpoint_release(endpoint);
    server_stop(server);
}

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
        CHECK_SIZE(take_numbered(engine, 6, FAILURE_CLOSED), 0);
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

/* ---- forks ---- */

/*
 * What runs in a child process says by its exit status what was the first thing wrong. One that
 * hangs is ended.
 */
static int wait_for_child(pid_t child)
{
    int status = -1;
    double patience = server_now() + 2 * EXCHANGE_SECONDS;
    while (waitpid(child, &status, WNOHANG) == 0) {
        if (server_now() > patience) {
            (void)kill(child, SIGKILL);
        }
        server_sleep(1);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static int grandchild_status(const struct engine *engine)
{
    pid_t child = fork();
    if (child == 0) {
        _exit(engine_is_inherited(engine) ? 0 : 1);
    }
    return wait_for_child(child);
}

static void fork_is_noticed_in_the_child_only(void)
{
    struct server *server = start_server();
    struct endpoint *endpoint = endpoint_at(server, "/ok");
    struct engine *idle = new_engine();
    struct engine *running = new_engine();
    CHECK_EXCHANGE(running, endpoint, FAILURE_NONE, 200);
    pid_t child = fork();
    if (child == 0) {
        bool inherited = engine_is_inherited(idle) && engine_is_inherited(running);
        _exit(!inherited ? 1 : grandchild_status(running) != 0 ? 2 : 0);
    }
    CHECK_INT(wait_for_child(child), 0);
    CHECK(!engine_is_inherited(idle) && !engine_is_inherited(running));
    CHECK_EXCHANGE(running, endpoint, FAILURE_NONE, 200);
    CHECK_EXCHANGE(idle, endpoint, FAILURE_NONE, 200);
    engine_free(idle);
    engine_free(running);
    endpoint_release(endpoint);
    server_stop(server);
}

static int deliver_in_child(const struct server *server)
{
    struct engine *engine = new_engine();
    struct endpoint *endpoint = endpoint_at(server, "/ok");
    int status = engine_is_inherited(engine) ? 1 : 0;
    for (int i = 0; i < 3; i++) {
        struct request *answer = exchange(engine, endpoint);
        if (answer == NULL || answer->outcome.failure != FAILURE_NONE) {
            status = 2;
        }
        request_free(answer);
    }
    engine_free(engine);
    endpoint_release(endpoint);
    return status;
}

/* Forked in the middle of the parent's traffic, whose own goes on undisturbed. */
static void child_may_have_an_engine_of_its_own(void)
{
    if (THREADS_WATCHED) {
        CHECK_SKIP("ThreadSanitizer allows a forked child no threads");
        return;
    }
    struct server *server = start_server();
    struct endpoint *endpoint = endpoint_with(server, "/held", 3);
    struct engine *engine = new_engine();
    submit_numbered(engine, endpoint, 10);
    CHECK(server_await(&server->requests, 3));
    pid_t child = fork();
    if (child == 0) {
        _exit(deliver_in_child(server));
    }
    CHECK_INT(wait_for_child(child), 0);
    server_open(server);
    CHECK_SIZE(take_numbered(engine, 10, FAILURE_NONE), 10);
    engine_free(engine);
    endpoint_release(endpoint);
    server_stop(server);
}

/* ---- the end of the process ---- */

static void *end_soon(void *unused)
{
    server_sleep(30);
    exit(7);
    return unused;
}

static void end_now(int number)
{
    (void)number;
    exit(8);
}

/* Runs in a child process, which must end though its only caller drives for long. */
static void drive_to_the_end(const struct server *server, bool by_handler)
{
    pthread_t thread;
    struct sigaction action = {.sa_handler = end_now};
    struct endpoint *held = endpoint_at(server, "/held");
    struct engine *engine = new_engine();
    (void)sigaction(SIGALRM, &action, NULL);
    if (by_handler) {
        struct itimerval soon = {.it_value = {.tv_usec = 30000}};
        (void)setitimer(ITIMER_REAL, &soon, NULL);
    } else {
        (void)pthread_create(&thread, NULL, end_soon, NULL);
    }
    submit_and_drive(engine, held, 0, EXCHANGE_SECONDS);
    server_sleep(EXCHANGE_SECONDS * 1000);
    _exit(1);
}

static void process_ends_while_the_caller_drives(void)
{
    if (THREADS_WATCHED) {
        CHECK_SKIP("ThreadSanitizer allows a forked child no threads");
        return;
    }
    for (int by_handler = 0; by_handler < 2; by_handler++) {
        struct server *server = start_server();
        double began = server_now();
        pid_t child = fork();
        if (child == 0) {
            drive_to_the_end(server, by_handler);
        }
        CHECK_INT(wait_for_child(child), 7 + by_handler);
        CHECK(server_now() - began < EXCHANGE_SECONDS / 2);
        server_stop(server);
    }
}

/* ---- signals ---- */

static const int SIGNALS[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGUSR1, SIGUSR2, SIGPIPE,
                              SIGTERM, SIGCHLD, SIGTSTP, SIGTTIN, SIGTTOU, SIGURG};
enum { SIGNAL_COUNT = sizeof SIGNALS / sizeof SIGNALS[0] };

static pthread_t main_thread;
static atomic_uint handled;
static atomic_uint handled_elsewhere;

static void handle(int number)
{
    (void)number;
    atomic_fetch_add(&handled, 1);
    if (!pthread_equal(pthread_self(), main_thread)) {
        atomic_fetch_add(&handled_elsewhere, 1);
    }
}

static void set_handlers(void (*handler)(int), sigset_t *set)
{
    struct sigaction action = {.sa_handler = handler};
    (void)sigemptyset(set);
    for (size_t i = 0; i < SIGNAL_COUNT; i++) {
        (void)sigaction(SIGNALS[i], &action, NULL);
        (void)sigaddset(set, SIGNALS[i]);
    }
}

static void send_all(void)
{
    for (size_t i = 0; i < SIGNAL_COUNT; i++) {
        (void)kill(getpid(), SIGNALS[i]);
    }
}

/*
 * While this thread refuses them, only the engine's could take the signals: so they must wait until
 * this one takes them again.
 */
static void signals_are_never_handled_on_the_thread(void)
{
    struct server *server = start_server();
    struct endpoint *endpoint = endpoint_with(server, "/slow", 2);
    struct engine *engine = new_engine();
    sigset_t ours;
    sigset_t before;
    main_thread = pthread_self();
    set_handlers(handle, &ours);
    CHECK_EXCHANGE(engine, endpoint, FAILURE_NONE, 200);
    (void)pthread_sigmask(SIG_BLOCK, &ours, &before);
    for (int i = 0; i < 5; i++) {
        submit_numbered(engine, endpoint, 4);
        send_all();
        CHECK_SIZE(take_numbered(engine, 4, FAILURE_NONE), 4);
    }
    CHECK_SIZE(atomic_load(&handled), 0);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    CHECK_SIZE(atomic_load(&handled), SIGNAL_COUNT);
    CHECK_SIZE(atomic_load(&handled_elsewhere), 0);
    set_handlers(SIG_DFL, &ours);
    engine_free(engine);
    endpoint_release(endpoint);
    server_stop(server);
}

static void mask_of_the_caller_stays_as_it_is(void)
{
    struct server *server = start_server();
    struct endpoint *endpoint = endpoint_at(server, "/ok");
    struct engine *engine = new_engine();
    sigset_t one;
    sigset_t before;
    sigset_t after;
    (void)sigemptyset(&one);
    (void)sigaddset(&one, SIGUSR2);
    (void)pthread_sigmask(SIG_SETMASK, &one, &before);
    CHECK_EXCHANGE(engine, endpoint, FAILURE_NONE, 200);
    engine_stop(engine);
    (void)pthread_sigmask(SIG_SETMASK, &before, &after);
    for (size_t i = 0; i < SIGNAL_COUNT; i++) {
        CHECK_INT(sigismember(&after, SIGNALS[i]), SIGNALS[i] == SIGUSR2);
    }
    engine_free(engine);
    endpoint_release(endpoint);
    server_stop(server);
}

/* While the caller drives they are handled, on its thread, and end nothing. */
static void signals_are_handled_while_the_caller_drives(void)
{
    struct server *server = start_server();
    struct endpoint *endpoint = endpoint_with(server, "/slow", 2);
    struct engine *engine = new_engine();
    struct itimerval often = {.it_value = {.tv_usec = 500}, .it_interval = {.tv_usec = 500}};
    struct itimerval never = {.it_value = {.tv_usec = 0}};
    struct sigaction action = {.sa_handler = handle};
    main_thread = pthread_self();
    atomic_store(&handled, 0);
    (void)sigaction(SIGALRM, &action, NULL);
    (void)setitimer(ITIMER_REAL, &often, NULL);
    for (uint64_t i = 0; i < 5; i++) {
        CHECK(drives(engine, endpoint, i));
    }
    CHECK(atomic_load(&handled) > 5);
    CHECK_SIZE(atomic_load(&handled_elsewhere), 0);
    (void)setitimer(ITIMER_REAL, &never, NULL);
    engine_free(engine);
    endpoint_release(endpoint);
    server_stop(server);
}

/* Runs in a child process, which a SIGPIPE would end. */
static int write_to_who_hangs_up(const struct server *server)
{
    enum { MUCH = 4000000 };
    char *body = calloc(MUCH, 1);
    struct endpoint *endpoint = endpoint_at(server, "/hangs_up");
    struct engine *engine = new_engine();
    for (int i = 0; i < 6; i++) {
        submit_or_free(engine, request_with(endpoint, body, MUCH), EXCHANGE_SECONDS);
        struct request *answer = next_answer(engine);
        if (answer == NULL || answer->outcome.failure != FAILURE_CONNECTION_CLOSED) {
            return 1;
        }
        request_free(answer);
    }
    engine_free(engine);
    return 0;
}

static void peer_that_hangs_up_does_not_end_the_process(void)
{
    if (THREADS_WATCHED) {
        CHECK_SKIP("ThreadSanitizer allows a forked child no threads");
        return;
    }
    struct server *server = start_server();
    pid_t child = fork();
    if (child == 0) {
        (void)signal(SIGPIPE, SIG_DFL);
        _exit(write_to_who_hangs_up(server));
    }
    CHECK_INT(wait_for_child(child), 0);
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
    CHECK_CASE(caller_drives_an_idle_engine),
    CHECK_CASE(caller_leaves_a_busy_engine_to_the_thread),
    CHECK_CASE(thread_takes_over_when_the_time_is_over),
    CHECK_CASE(thread_tries_again_what_the_caller_began),
    CHECK_CASE(odd_times_do_not_drive),
    CHECK_CASE(caller_takes_along_what_was_queued),
    CHECK_CASE(stop_and_cancel_after_a_drive),
    CHECK_CASE(listener_is_seen_by_whoever_drives),
    CHECK_CASE(stop_closes_what_is_under_way),
    CHECK_CASE(stop_leaves_answers_as_they_are),
    CHECK_CASE(submission_after_stop_starts_again),
    CHECK_CASE(stop_at_any_moment_loses_nothing),
    CHECK_CASE(stop_does_not_wait_for_a_name),
    CHECK_CASE(free_with_everything_under_way),
    CHECK_CASE(free_with_answers_not_taken),
    CHECK_CASE(free_with_questions_not_taken),
    CHECK_CASE(fork_is_noticed_in_the_child_only),
    CHECK_CASE(child_may_have_an_engine_of_its_own),
    CHECK_CASE(process_ends_while_the_caller_drives),
    CHECK_CASE(signals_are_never_handled_on_the_thread),
    CHECK_CASE(mask_of_the_caller_stays_as_it_is),
    CHECK_CASE(signals_are_handled_while_the_caller_drives),
    CHECK_CASE(peer_that_hangs_up_does_not_end_the_process),
};

int main(int count, char **names)
{
    (void)setenv("RES_OPTIONS", "timeout:1 attempts:1", 1); /* a resolver that is not there */
    return CHECK_RUN(cases, count, names);
}
