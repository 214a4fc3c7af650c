/*
 * How much is read of an answer and how much of it is kept, and answers that come before the request
 * is whole.
 */

#include "transfer.h"

#include <stdlib.h> /* malloc(3) */

#include "answers.h"
#include "exchange.h"

/* ---- limits of an answer ---- */

/* The head, then so many bytes; to be freed. */
static char *text_of(const char *head, char byte, size_t count, const char *end, size_t *length)
{
    size_t before = strlen(head);
    size_t after = strlen(end);
    char *text = malloc(before + count + after);
    server_must(text != NULL, "malloc");
    memcpy(text, head, before);
    memset(text + before, byte, count);
    memcpy(text + before + count, end, after);
    *length = before + count + after;
    return text;
}

static void check_body_of(size_t size, enum failure failure)
{
    char head[100];
    (void)snprintf(head, sizeof head, "HTTP/1.1 500 No\r\nContent-Length: %zu\r\n\r\n", size);
    struct server_plan plan = {.path = "/"};
    char *text = text_of(head, 'b', size, "", &plan.length);
    plan.text = text;
    struct server *server = server_start(&plan, 1);
    struct engine *engine = new_engine();
    struct endpoint *endpoint = endpoint_at(server, "/");
    struct request *answer = exchange(engine, endpoint);
    size_t kept = size < OUTCOME_BODY_MAXIMUM ? size : OUTCOME_BODY_MAXIMUM;
    CHECK_NOTE("a body of %zu bytes", size);
    if (answer != NULL) {
        CHECK_BYTES(answer->outcome.body, answer->outcome.body_length, text + strlen(head), kept);
    }
    check_outcome(CHECK_AT, answer, failure, 500);
    endpoint_release(endpoint);
    engine_free(engine);
    server_stop(server);
    free(text);
}

static void kept_body_is_4096_bytes_at_most(void)
{
    check_body_of(1, FAILURE_SERVER_ERROR);
    check_body_of(4095, FAILURE_SERVER_ERROR);
    check_body_of(4096, FAILURE_SERVER_ERROR);
    check_body_of(4097, FAILURE_SERVER_ERROR);
    check_body_of(20000, FAILURE_SERVER_ERROR);
}

static void body_is_read_up_to_64_kib(void)
{
    check_body_of(65535, FAILURE_SERVER_ERROR);
    check_body_of(65536, FAILURE_SERVER_ERROR);
    check_body_of(65537, FAILURE_RESPONSE_TOO_LARGE);
    check_body_of(100000, FAILURE_RESPONSE_TOO_LARGE);
}

/* A head of so many bytes, its status line and its blank line among them. */
static void check_head_of(size_t size, enum failure failure)
{
    static const char first[] = OK_HEAD "X-1: ";
    static const char last[] = "\r\n\r\nok";
    struct server_plan plan = {.path = "/"};
    char *text = text_of(first, 'h', size + 2 - strlen(first) - strlen(last), last, &plan.length);
    plan.text = text;
    for (size_t at = 1000; at + 1000 < size; at += 1000) {
        memcpy(text + at, "\r\nX-2: ", 7);
    }
    struct server *server = server_start(&plan, 1);
    struct engine *engine = new_engine();
    struct endpoint *endpoint = endpoint_at(server, "/");
    CHECK_NOTE("a head of %zu bytes", size);
    CHECK_EXCHANGE(engine, endpoint, failure, 200);
    endpoint_release(endpoint);
    engine_free(engine);
    server_stop(server);
    free(text);
}

static void head_is_read_up_to_64_kib(void)
{
    check_head_of(2000, FAILURE_NONE);
    check_head_of(65535, FAILURE_NONE);
    check_head_of(65536, FAILURE_NONE);
    check_head_of(65537, FAILURE_RESPONSE_TOO_LARGE);
}

/* What was kept of one answer must not turn up in the next. */
static void answers_do_not_mix(void)
{
    static const struct server_plan plans[] = {
        PLAN("/long", LAST("500 No", "a long answer, longer than the other"), .end = SERVER_CLOSES),
        PLAN("/short", LAST("503 No", "short"), .end = SERVER_CLOSES),
        PLAN("/none", LAST("504 No", ""), .end = SERVER_CLOSES),
        PLAN("/cut", NULL, .end = SERVER_CLOSES),
    };
    static const char *const bodies[] = {"a long answer, longer than the other", "short", NULL,
                                         NULL};
    struct server *server = server_start(plans, 4);
    struct engine *engine = new_engine();
    struct endpoint *endpoints[4];
    for (size_t i = 0; i < 4; i++) {
        endpoints[i] = endpoint_at(server, plans[i].path);
    }
    for (size_t i = 0; i < 16; i++) {
        struct request *answer = exchange(engine, endpoints[i * 5 / 3 % 4]);
        const char *body = bodies[i * 5 / 3 % 4];
        CHECK_NOTE("%s", plans[i * 5 / 3 % 4].path);
        CHECK_BYTES(answer->outcome.body, answer->outcome.body_length, body,
                    body != NULL ? strlen(body) : 0);
        CHECK_INT(answer->outcome.reason != NULL, i * 5 / 3 % 4 == 3);
        CHECK_INT(answer->outcome.status == 0, i * 5 / 3 % 4 == 3);
        request_free(answer);
    }
    for (size_t i = 0; i < 4; i++) {
        endpoint_release(endpoints[i]);
    }
    engine_free(engine);
    server_stop(server);
}

/* ---- answers before the request is whole ---- */

static void check_early(const struct server_plan *plan, double timeout, enum failure failure,
                        long status)
{
    static char body[8 << 20];
    struct server *server = server_start(plan, 1);
    struct engine *engine = new_engine();
    struct exchange_url url = url_at(server->port, plan->path);
    struct endpoint_settings settings = usual_settings(url.text);
    settings.timeout = timeout;
    struct endpoint *endpoint = endpoint_new(&settings);
    CHECK_NOTE("%s", plan->path);
    CHECK(engine_submit(engine, request_with(endpoint, body, sizeof body)));
    check_outcome(CHECK_AT, next_answer(engine), failure, status);
    engine_free(engine);
    endpoint_release(endpoint);
    server_stop(server);
}

static void server_that_does_not_read_to_the_end(void)
{
    static const struct server_plan plans[] = {
        PLAN("/413", LAST("413 Too Large", TOO_LARGE_TEXT), .end = SERVER_CLOSES,
             .moment = SERVER_AFTER_HEAD),
        PLAN("/reset", NULL, .end = SERVER_RESETS, .moment = SERVER_AFTER_HEAD),
        PLAN("/deaf", NULL, .end = SERVER_IGNORES, .moment = SERVER_AFTER_HEAD),
    };
    check_early(&plans[0], 15, FAILURE_REQUEST_TOO_LARGE, 413);
    check_early(&plans[1], 15, FAILURE_CONNECTION_CLOSED, 0);
    check_early(&plans[2], 0.2, FAILURE_TIMEOUT, 0);
}

/* An answer to a question that was not asked yet; what it means is libcurl's to say. */
static void server_that_answers_before_it_is_asked(void)
{
    static const struct server_plan plans[] = {
        PLAN(NULL, OK, .end = SERVER_CLOSES, .moment = SERVER_AT_ONCE),
        PLAN(NULL, NULL, .end = SERVER_CLOSES, .moment = SERVER_AT_ONCE),
        PLAN(NULL, NULL, .end = SERVER_RESETS, .moment = SERVER_AT_ONCE),
    };
    for (size_t i = 0; i < 3; i++) {
        struct server *server = server_start(&plans[i], 1);
        struct engine *engine = new_engine();
        struct endpoint *endpoint = endpoint_at(server, "/");
        struct request *answer = exchange(engine, endpoint);
        CHECK(answer != NULL && (i == 0 || answer->outcome.failure == FAILURE_CONNECTION_CLOSED));
        request_free(answer);
        engine_free(engine);
        endpoint_release(endpoint);
        server_stop(server);
    }
}

static const struct check_case cases[] = {
    CHECK_CASE(kept_body_is_4096_bytes_at_most),
    CHECK_CASE(body_is_read_up_to_64_kib),
    CHECK_CASE(head_is_read_up_to_64_kib),
    CHECK_CASE(answers_do_not_mix),
    CHECK_CASE(server_that_does_not_read_to_the_end),
    CHECK_CASE(server_that_answers_before_it_is_asked),
};

int main(int count, char **names)
{
    return CHECK_RUN(cases, count, names);
}
