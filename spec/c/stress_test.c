/*
 * The engine under load: lanes, faults, questions, cancels and stops at any moment, requests that
 * are queued and some that the caller drives. Whatever the moment, each request comes back exactly
 * once, and those of a lane in their order.
 */

#include "engine.h"

#include <stdlib.h> /* calloc(3) */

#include <poll.h> /* poll(2) */

#include "clock.h"
#include "command.h"
#include "exchange.h"
#include "memory_store.h"
#include "random.h"

#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

static const struct server_plan plans[] = {
    {.path = "/ok", .text = OK},
    {.path = "/closes", .text = OK, .end = SERVER_CLOSES},
    {.path = "/no", .text = "HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\nno"},
    {.path = "/refused", .text = "HTTP/1.1 422 No\r\nContent-Length: 2\r\n\r\nno"},
    {.path = "/resets", .end = SERVER_RESETS},
    {.path = "/slow", .text = OK, .delay_ms = 5},
    {.path = "/silent", .end = SERVER_IGNORES},
};
enum { PATHS = sizeof plans / sizeof plans[0], LANES = 20, MOST = 20000 };

struct stress {
    struct server *server;
    struct engine *engine;
    struct endpoint *endpoints[PATHS];
    struct random random;
    uint64_t submitted;
    uint64_t taken;
    bool ordered; /* as long as nothing was broken off */
    bool closing; /* nothing more is sent again */
    uint64_t lane_last[PATHS][LANES];
    unsigned char seen[MOST];
};

static struct endpoint *stressed_endpoint(const struct server *server, const char *path, bool asks)
{
    struct exchange_url url = url_at(server->port, path);
    struct endpoint_settings settings = usual_settings(url.text);
    settings.connections = 6;
    settings.timeout = 0.5;
    settings.asks = asks;
    settings.policy = (struct retry_policy){.attempts = 3, .first = 0.002, .longest = 0.01};
    return endpoint_new(&settings);
}

static struct stress *begin(uint64_t seed, bool asks)
{
    struct stress *stress = calloc(1, sizeof *stress);
    server_must(stress != NULL, "calloc");
    stress->server = server_start(plans, PATHS);
    stress->engine = new_engine();
    stress->random.state = seed;
    stress->ordered = true;
    for (size_t i = 0; i < PATHS; i++) {
        stress->endpoints[i] = stressed_endpoint(stress->server, plans[i].path, asks);
    }
    return stress;
}

static void end(struct stress *stress)
{
    CHECK_SIZE(stress->taken, stress->submitted);
    engine_free(stress->engine);
    for (size_t i = 0; i < PATHS; i++) {
        const struct endpoint_counters *counters = &stress->endpoints[i]->counters;
        CHECK_SIZE(stress->endpoints[i]->pending, 0);
        CHECK_SIZE(stress->endpoints[i]->pending_bytes, 0);
        CHECK_SIZE(counters->accepted, counters->delivered + counters->refused + counters->failed);
        CHECK_SIZE(atomic_load(&stress->endpoints[i]->references), 1);
        endpoint_release(stress->endpoints[i]);
    }
    server_stop(stress->server);
    free(stress);
}

/* Its ticket says the path, and its lane the ticket. */
static void submit_next(struct stress *stress, size_t paths)
{
    uint64_t ticket = stress->submitted++;
    char lane[8] = "";
    char body[24];
    if (ticket / paths % LANES > 0) {
        (void)snprintf(lane, sizeof lane, "%u", (unsigned)(ticket / paths % LANES));
    }
    int length = snprintf(body, sizeof body, "%u", (unsigned)ticket);
    struct request *request =
        request_in_lane(stress->endpoints[ticket % paths], body, (size_t)length, lane);
    request->ticket = ticket;
    request->deadline = request->submitted + 20;
    request->ephemeral = lane[0] == '\0' && random_below(&stress->random, 2) == 0;
    request->verb = random_below(&stress->random, 30) == 0 ? REQUEST_SKIP : REQUEST_SEND;
    bool drive = random_below(&stress->random, 4) == 0;
    double seconds = 0.0005 * (double)random_below(&stress->random, 8);
    submit_or_free(stress->engine, request, drive ? seconds : 0);
}

static void count_in(struct stress *stress, struct request *answer, size_t paths)
{
    size_t lane = answer->ticket / paths % LANES;
    uint64_t *before = &stress->lane_last[answer->ticket % paths][lane];
    CHECK_NOTE("request %" PRIu64, answer->ticket);
    if (CHECK(answer->ticket < MOST)) {
        CHECK_INT(stress->seen[answer->ticket]++, 0);
    }
    if (stress->ordered && lane > 0 && answer->verb != REQUEST_SKIP) {
        CHECK(answer->ticket >= *before);
        *before = answer->ticket;
    }
    stress->taken++;
    request_free(answer);
}

/* Again, or enough: then, and when the engine has stopped, the caller's word is the end. */
static void decide(struct stress *stress, struct request *asked, size_t paths)
{
    uint64_t ticket = asked->ticket;
    bool again =
        !stress->closing && asked->outcome.attempts < 3 && random_below(&stress->random, 3) > 0;
    asked->verb = again ? REQUEST_AGAIN : REQUEST_RELEASE;
    asked->pause = 0.001 * (double)random_below(&stress->random, 5);
    if (!again) {
        endpoint_dismiss(asked->endpoint, asked);
        stress->taken++;
        CHECK_INT(stress->seen[ticket]++, 0);
    }
    if (!engine_resubmit(stress->engine, asked)) {
        if (again) {
            endpoint_dismiss(asked->endpoint, asked);
            count_in(stress, asked, paths);
        } else {
            request_free(asked);
        }
    }
}

static void take_what_is_there(struct stress *stress, size_t paths)
{
    for (struct request *answer; (answer = engine_take(stress->engine)) != NULL;) {
        if (answer->outcome.question) {
            decide(stress, answer, paths);
        } else {
            count_in(stress, answer, paths);
        }
    }
}

static void take_the_rest(struct stress *stress, size_t paths)
{
    while (stress->taken < stress->submitted && CHECK(engine_wait(stress->engine, 20))) {
        take_what_is_there(stress, paths);
    }
    CHECK(engine_take(stress->engine) == NULL);
}

/* ---- cases ---- */

static void lanes_keep_their_order_at_full_speed(void)
{
    struct stress *stress = begin(1, false);
    while (stress->submitted < 3000) {
        submit_next(stress, 2); /* the paths that deliver */
        if (random_below(&stress->random, 40) == 0) {
            take_what_is_there(stress, 2);
        }
    }
    take_the_rest(stress, 2);
    CHECK_SIZE(stress->endpoints[0]->counters.delivered, 1500);
    end(stress);
}

/* As an event loop does: the descriptor wakes, calm comes before take. */
static void descriptor_wakes_for_every_answer(void)
{
    struct stress *stress = begin(2, false);
    struct pollfd file = {.fd = engine_descriptor(stress->engine), .events = POLLIN};
    while (stress->taken < 1500) {
        for (uint64_t i = random_below(&stress->random, 30); i > 0; i--) {
            if (stress->submitted < 1500) {
                submit_next(stress, 2);
            }
        }
        if (stress->taken < stress->submitted && !CHECK(poll(&file, 1, 9000) == 1)) {
            break;
        }
        engine_calm(stress->engine);
        take_what_is_there(stress, 2);
    }
    end(stress);
}

/* Little at a time, so that the engine is idle in between and the caller comes to drive. */
static void callers_take_turns_with_the_thread(void)
{
    struct stress *stress = begin(6, false);
    while (stress->submitted < 3000) {
        for (uint64_t i = 1 + random_below(&stress->random, 3); i > 0; i--) {
            submit_next(stress, 2);
        }
        take_what_is_there(stress, 2);
        if (random_below(&stress->random, 3) == 0) {
            take_the_rest(stress, 2);
        }
        if (random_below(&stress->random, 3) == 0) {
            server_pause((long)random_below(&stress->random, 100));
        }
    }
    take_the_rest(stress, 2);
    end(stress);
}

/* Fewer failures than would close a source's gate for long: the tokens come back between. */
static void check_faults(bool asks)
{
    struct stress *stress = begin(3, asks);
    while (stress->submitted < 120) {
        submit_next(stress, 6);
        take_what_is_there(stress, 6);
    }
    server_sleep(100);
    stress->ordered = false;
    stress->closing = true;
    for (size_t i = 0; i < PATHS; i++) { /* what the gate holds back */
        engine_cancel(stress->engine, stress->endpoints[i]);
    }
    take_the_rest(stress, 6);
    end(stress);
}

static void faults_and_retries(void)
{
    check_faults(false);
}

static void faults_and_questions(void)
{
    check_faults(true);
}

static void cancel_at_any_moment(void)
{
    struct stress *stress = begin(4, false);
    stress->ordered = false;
    for (int round = 0; round < 100; round++) {
        for (uint64_t i = random_below(&stress->random, 40); i > 0; i--) {
            submit_next(stress, PATHS);
        }
        server_pause((long)random_below(&stress->random, 2000));
        engine_cancel(stress->engine, stress->endpoints[random_below(&stress->random, PATHS)]);
        take_what_is_there(stress, PATHS);
    }
    for (size_t i = 0; i < PATHS; i++) {
        engine_cancel(stress->engine, stress->endpoints[i]);
    }
    take_the_rest(stress, PATHS);
    end(stress);
}

static void check_stops(bool asks)
{
    struct stress *stress = begin(5, asks);
    stress->ordered = false;
    for (int round = 0; round < 60; round++) {
        for (uint64_t i = random_below(&stress->random, 40); i > 0; i--) {
            submit_next(stress, PATHS);
        }
        if (random_below(&stress->random, 4) == 0) {
            (void)engine_descriptor(stress->engine);
            (void)engine_listen(stress->engine);
        }
        server_pause((long)random_below(&stress->random, 3000));
        take_what_is_there(stress, PATHS);
        engine_stop(stress->engine);
        engine_calm(stress->engine);
        take_what_is_there(stress, PATHS);
        CHECK_SIZE(stress->taken, stress->submitted);
    }
    end(stress);
}

static void stop_and_begin_again(void)
{
    check_stops(false);
}

static void stop_and_begin_again_with_questions(void)
{
    check_stops(true);
}

/* ---- the outbox ---- */

enum { STORED = 1500 };

static struct endpoint *outboxed_endpoint(const struct server *server)
{
    struct exchange_url url = url_at(server->port, "/ok");
    struct endpoint_settings settings = usual_settings(url.text);
    struct hmac *key = hmac_new("token", 5);
    settings.connections = 6;
    settings.outbox = (struct endpoint_outbox){
        .driver = &memory_driver, .path = "memory", .source = "source", .key = key};
    struct endpoint *endpoint = endpoint_new(&settings);
    hmac_free(key);
    return endpoint;
}

static void submit_to_outbox(struct stress *stress, struct endpoint *endpoint, unsigned number)
{
    char lane[8];
    char body[24];
    (void)snprintf(lane, sizeof lane, "%u", number % LANES);
    int length = snprintf(body, sizeof body, "%u", number);
    struct request *request = request_in_lane(endpoint, body, (size_t)length, lane);
    request->ticket = number;
    request->deadline = request->submitted + 20;
    submit_or_free(stress->engine, request, 0.01);
}

static void ask_outbox(struct stress *stress, struct endpoint *endpoint, enum command_kind kind)
{
    struct request *request = command_request(endpoint, kind);
    server_must(request != NULL && engine_submit(stress->engine, request), "a command");
}

/* Returns how many were stored; commands are counted in `answers`. */
static unsigned take_stored(struct stress *stress, unsigned *answers)
{
    unsigned stored = 0;
    for (struct request *request; (request = engine_take(stress->engine)) != NULL;) {
        stored += request->is_stored;
        *answers += request->verb == REQUEST_COMMAND;
        request_free(request);
    }
    return stored;
}

static bool is_delivered(struct endpoint *endpoint)
{
    const struct endpoint_figures figures = endpoint_figures(endpoint);
    CHECK_SIZE(figures.accepted, figures.delivered + figures.dead + figures.pending);
    return figures.delivered == STORED;
}

static void what_is_stored_is_delivered_by_the_thread_alone(void)
{
    struct stress *stress = begin(11, false);
    struct endpoint *endpoint = outboxed_endpoint(stress->server);
    unsigned stored = 0;
    unsigned answers = 0;
    double until = clock_now() + 40;
    memset(&kept, 0, sizeof kept);
    for (unsigned i = 1; i <= STORED; i++) {
        submit_to_outbox(stress, endpoint, i);
        if (i % 100 == 0) {
            ask_outbox(stress, endpoint, COMMAND_FIGURES);
        }
        stored += take_stored(stress, &answers);
    }
    while ((stored < STORED || !is_delivered(endpoint)) && clock_now() < until) {
        (void)engine_wait(stress->engine, 0.01);
        stored += take_stored(stress, &answers);
    }
    ask_outbox(stress, endpoint, COMMAND_LEAVE);
    while (answers < STORED / 100 + 1 && clock_now() < until) {
        (void)engine_wait(stress->engine, 0.01);
        stored += take_stored(stress, &answers);
    }
    CHECK_INT(stored, STORED);
    CHECK_INT(answers, STORED / 100 + 1);
    CHECK_SIZE(endpoint->counters.stored, STORED);
    CHECK_SIZE(endpoint->pending, 0);
    end(stress);
    CHECK_SIZE(kept.count, 0);
    CHECK_SIZE(kept.opened, 0);
    free(kept.rows);
    free(kept.log);
    endpoint_release(endpoint);
}

static const struct check_case cases[] = {
    CHECK_CASE(lanes_keep_their_order_at_full_speed),
    CHECK_CASE(descriptor_wakes_for_every_answer),
    CHECK_CASE(callers_take_turns_with_the_thread),
    CHECK_CASE(faults_and_retries),
    CHECK_CASE(faults_and_questions),
    CHECK_CASE(cancel_at_any_moment),
    CHECK_CASE(stop_and_begin_again),
    CHECK_CASE(stop_and_begin_again_with_questions),
    CHECK_CASE(what_is_stored_is_delivered_by_the_thread_alone),
};

int main(int count, char **names)
{
    return CHECK_RUN(cases, count, names);
}
