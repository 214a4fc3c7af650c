#ifndef SENDAPI_ENGINE_FIXTURE_H
#define SENDAPI_ENGINE_FIXTURE_H

/* What the tests of an engine's life have in common: a server's paths, and requests by number. */

#include <stdlib.h> /* calloc(3) */

#include "exchange.h"

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

static inline struct server *start_server(void)
{
    return server_start(plans, sizeof plans / sizeof plans[0]);
}

static inline void submit_numbered(struct engine *engine, struct endpoint *endpoint, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        submit(engine, endpoint, i);
    }
}

/* Takes so many answers, numbered from 0, each exactly once; returns how many were delivered. */
static inline size_t take_numbered(struct engine *engine, size_t count, enum failure or_else)
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

static inline void check_idle(struct endpoint *endpoint)
{
    CHECK_SIZE(endpoint->pending, 0);
    CHECK_SIZE(endpoint->pending_bytes, 0);
}

/* Whether an answer was there without another wait. */
static inline bool drives(struct engine *engine, struct endpoint *endpoint, uint64_t number)
{
    submit_and_drive(engine, endpoint, number, EXCHANGE_SECONDS);
    struct request *answer = engine_take(engine);
    bool fine = CHECK(answer != NULL && answer->ticket == number);
    request_free(answer);
    return fine;
}

#endif
