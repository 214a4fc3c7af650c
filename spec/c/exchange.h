#ifndef SENDAPI_EXCHANGE_H
#define SENDAPI_EXCHANGE_H

/* What the tests of the engine have in common: endpoints at the server, requests, their answers. */

#include <stdint.h> /* SIZE_MAX */
#include <stdio.h>  /* snprintf(3) */
#include <string.h> /* memcpy(3) strlen(3) */

#include "check.h"
#include "clock.h"
#include "engine.h"
#include "server.h"

enum {
    EXCHANGE_SECONDS = 20,   /* after which an answer counts as lost */
    EXCHANGE_DEADLINE = 600, /* seconds that a request has, unless a test says otherwise */
};

/* The text of exchange_sign's signature: the bytes from 0 to 63. */
static const char EXCHANGE_SIGNATURE[] =
    "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
    "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f";

static inline void exchange_sign(struct request *request)
{
    for (size_t i = 0; i < HMAC_BYTES; i++) {
        request->signature[i] = (unsigned char)i;
    }
}

static inline struct engine *new_engine(void)
{
    const char *reason = "not touched";
    struct engine *engine = engine_new(&reason);
    CHECK_TEXT(reason, NULL);
    server_must(engine != NULL, "engine_new");
    return engine;
}

static inline struct endpoint_settings usual_settings(const char *url)
{
    return (struct endpoint_settings){
        .url = url,
        .user_agent = "sendapi-test/1",
        .timeout = 15,
        .connect_timeout = 10,
        .connections = 4,
        .max_pending = SIZE_MAX,
        .max_pending_bytes = SIZE_MAX,
        .policy = {.attempts = 1, .first = 0.5, .longest = 10},
    };
}

struct exchange_url {
    char text[200];
};

static inline struct exchange_url url_at(unsigned port, const char *path)
{
    struct exchange_url url;
    (void)snprintf(url.text, sizeof url.text, "http://127.0.0.1:%u%s", port, path);
    return url;
}

static inline struct endpoint *endpoint_at(const struct server *server, const char *path)
{
    struct exchange_url url = url_at(server->port, path);
    struct endpoint_settings settings = usual_settings(url.text);
    return endpoint_new(&settings);
}

static inline struct endpoint *endpoint_with(const struct server *server, const char *path,
                                             size_t connections)
{
    struct exchange_url url = url_at(server->port, path);
    struct endpoint_settings settings = usual_settings(url.text);
    settings.connections = connections;
    return endpoint_new(&settings);
}

/* Signed and counted in: ready to be submitted. */
static inline struct request *request_in_lane(struct endpoint *endpoint, const char *body,
                                              size_t length, const char *lane)
{
    struct buffer buffer;
    buffer_init(&buffer, REQUEST_FRONT, SIZE_MAX / 2);
    buffer_append(&buffer, body, length);
    struct request *request = request_from_buffer(&buffer, endpoint, lane, strlen(lane));
    server_must(request != NULL, "request_from_buffer");
    exchange_sign(request);
    request->submitted = clock_now();
    request->deadline = request->submitted + EXCHANGE_DEADLINE;
    CHECK(endpoint_admit(endpoint, length));
    return request;
}

static inline struct request *request_with(struct endpoint *endpoint, const char *body,
                                           size_t length)
{
    return request_in_lane(endpoint, body, length, "");
}

/* With more than 0 seconds the caller may drive. */
static inline void submit_or_free(struct engine *engine, struct request *request, double seconds)
{
    if (!CHECK(engine_submit_and_drive(engine, request, seconds))) {
        endpoint_withdraw(request->endpoint, request->length);
        request_free(request);
    }
}

/* A request whose body is its number. */
static inline void submit_and_drive(struct engine *engine, struct endpoint *endpoint,
                                    uint64_t number, double seconds)
{
    char body[32];
    int length = snprintf(body, sizeof body, "%llu", (unsigned long long)number);
    struct request *request = request_with(endpoint, body, (size_t)length);
    request->ticket = number;
    submit_or_free(engine, request, seconds);
}

static inline void submit(struct engine *engine, struct endpoint *endpoint, uint64_t number)
{
    submit_and_drive(engine, endpoint, number, 0);
}

/* The next answer, or NULL when none comes. */
static inline struct request *next_answer(struct engine *engine)
{
    struct request *answer = NULL;
    if (CHECK(engine_wait(engine, EXCHANGE_SECONDS))) {
        answer = engine_take(engine);
        CHECK(answer != NULL && answer->next == NULL);
    }
    return answer;
}

static inline struct request *exchange(struct engine *engine, struct endpoint *endpoint)
{
    submit(engine, endpoint, 7);
    struct request *answer = next_answer(engine);
    if (answer != NULL) {
        CHECK_SIZE(answer->ticket, 7);
        CHECK(answer->endpoint == endpoint);
    }
    return answer;
}

static inline void check_outcome(const char *file, int line, struct request *answer,
                                 enum failure failure, long status)
{
    if (check_true(file, line, "an answer came", answer != NULL)) {
        const char *reason = answer->outcome.reason;
        check_note("reason: %s", reason != NULL ? reason : "none");
        check_text(file, line, "failure", failure_row(answer->outcome.failure)->code,
                   failure_row(failure)->code);
        check_integer(file, line, "status", answer->outcome.status, status);
    }
    request_free(answer);
}

/* One exchange, what it must come to, and nothing left behind. */
#define CHECK_EXCHANGE(engine, endpoint, failure, status)                                          \
    check_outcome(CHECK_AT, exchange(engine, endpoint), failure, status)

#endif
