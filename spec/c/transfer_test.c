/*
 * What becomes of a request, whatever the other side does: the answers of the protocol, and every
 * way of not giving one that can be shown without a certificate.
 */

#include "transfer.h"

#include <limits.h> /* INT_MAX */
#include <stdlib.h> /* malloc(3) setenv(3) */

#include "exchange.h"

#define OK_HEAD "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"
#define OK OK_HEAD "\r\nok"
#define CHUNKED "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
#define ENDLESS "HTTP/1.1 200 OK\r\n\r\n"
#define ANSWER(status, length, text)                                                               \
    "HTTP/1.1 " status "\r\nContent-Length: " length "\r\n\r\n" text
#define LAST(status, text) "HTTP/1.1 " status "\r\nConnection: close\r\n\r\n" text
#define TOO_LARGE_TEXT "Invalid request size (max: 20971520 bytes)"

/* What the server does with a request, and what must become of the request. */
struct row {
    struct server_plan plan;
    enum failure failure;
    long status;          /* negative: does not matter */
    const char *body;     /* kept of the answer; NULL: does not matter */
    double timeout;       /* seconds; 0: the usual */
    enum failure or_else; /* another failure that will do; FAILURE_NONE: there is none */
};

#define ROW(at, says, becomes, ...)                                                                \
    {                                                                                              \
        .plan.path = at, .plan.text = says, .failure = FAILURE_##becomes, __VA_ARGS__              \
    }
#define ANY_STATUS .status = -1
#define CLOSES .plan.end = SERVER_CLOSES
#define RESETS .plan.end = SERVER_RESETS
#define IGNORES .plan.end = SERVER_IGNORES
/* libcurl has one word for a chunk that is none and for a connection that broke. */
#define OR_CLOSED .or_else = FAILURE_CONNECTION_CLOSED
#define PLAN(at, says, ...)                                                                        \
    {                                                                                              \
        .path = at, .text = says, __VA_ARGS__                                                      \
    }
#define OK_PLAN                                                                                    \
    {                                                                                              \
        .path = "/ok", .text = OK                                                                  \
    }

static const char LONG_LINE[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                                "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                                "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                                "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/* ---- delivered ---- */

static const struct row delivered[] = {
    ROW("/ok", OK, NONE, .status = 200),
    ROW("/white", ANSWER("200 OK", "6", "\r\n ok\n"), NONE, .status = 200),
    ROW("/dripped", OK, NONE, .status = 200, .plan.dripped = true),
    ROW("/late", OK, NONE, .status = 200, .plan.delay_ms = 50),
    ROW("/chunked", CHUNKED "1\r\no\r\n1;x=y\r\nk\r\n0\r\nTrailer: x\r\n\r\n", NONE, .status = 200),
    ROW("/until-close", ENDLESS "ok", NONE, .status = 200, CLOSES),
    ROW("/closing", LAST("200 OK", "ok"), NONE, .status = 200, CLOSES),
    ROW("/http10", "HTTP/1.0 200 OK\r\n\r\nok", NONE, .status = 200, CLOSES),
    ROW("/bare-lines", "HTTP/1.1 200 OK\nContent-Length: 2\n\nok", NONE, .status = 200),
    ROW("/no-reason", ANSWER("200", "2", "ok"), NONE, .status = 200),
    ROW("/after-100", "HTTP/1.1 100 Continue\r\n\r\n" OK, NONE, .status = 200),
    ROW("/after-103", "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" OK, NONE, .status = 200),
    ROW("/cookies", OK_HEAD "Set-Cookie: a=b\r\nWWW-Authenticate: Basic\r\n\r\nok", NONE,
        .status = 200),
    ROW("/more-than-said", OK "HTTP/1.1 500 No\r\n\r\n", NONE, .status = 200, CLOSES),
};

/* ---- refused, or failed, by an answer ---- */

static const struct row answered[] = {
    ROW("/other", ANSWER("200 OK", "5", "hello"), UNEXPECTED_RESPONSE, .status = 200,
        .body = "hello"),
    ROW("/nothing", ANSWER("200 OK", "0", ""), UNEXPECTED_RESPONSE, .status = 200, .body = ""),
    ROW("/201", ANSWER("201 Created", "2", "ok"), UNEXPECTED_RESPONSE, .status = 201, .body = "ok"),
    ROW("/204", "HTTP/1.1 204 No Content\r\n\r\n", UNEXPECTED_RESPONSE, .status = 204, .body = ""),
    ROW("/400", LAST("400 Bad Request", "Bad request\n"), BAD_REQUEST, .status = 400,
        .body = "Bad request\n", CLOSES),
    ROW("/401", ANSWER("401 No\r\nWWW-Authenticate: Basic realm=x", "0", ""), FORBIDDEN,
        .status = 401, .body = ""),
    ROW("/403", LAST("403 Forbidden", "no"), FORBIDDEN, .status = 403, .body = "no", CLOSES),
    ROW("/404", LAST("404 Not Found", "no"), FORBIDDEN, .status = 404, .body = "no", CLOSES),
    ROW("/408", LAST("408 Request Timeout", ""), TIMEOUT, .status = 408, .body = "", CLOSES),
    ROW("/413", LAST("413 Too Large", TOO_LARGE_TEXT), REQUEST_TOO_LARGE, .status = 413,
        .body = TOO_LARGE_TEXT, CLOSES),
    ROW("/422", LAST("422 Unprocessable", "Invalid signature"), INVALID_SIGNATURE, .status = 422,
        .body = "Invalid signature", CLOSES),
    ROW("/429", LAST("429 Too Many", "slow down"), THROTTLED, .status = 429, .body = "slow down",
        CLOSES),
    ROW("/500", LAST("500 Oops", "<h1>500</h1>"), SERVER_ERROR, .status = 500,
        .body = "<h1>500</h1>", CLOSES),
    ROW("/502", ANSWER("502 Bad Gateway", "7", "gateway"), SERVER_ERROR, .status = 502,
        .body = "gateway"),
    ROW("/503", LAST("503 Unavailable", ""), SERVER_ERROR, .status = 503, .body = "", CLOSES),
    ROW("/599", LAST("599 ?", "ok"), SERVER_ERROR, .status = 599, .body = "ok", CLOSES),
};

/* Each names /ok, which must not be asked. */
static const struct row redirected[] = {
    ROW("/301", ANSWER("301 Moved\r\nLocation: /ok", "0", ""), REDIRECTED, .status = 301),
    ROW("/302", ANSWER("302 Found\r\nLocation: /ok", "0", ""), REDIRECTED, .status = 302),
    ROW("/303", ANSWER("303 Other\r\nLocation: /ok", "0", ""), REDIRECTED, .status = 303),
    ROW("/307", ANSWER("307 Again\r\nLocation: /ok", "2", "ok"), REDIRECTED, .status = 307),
    ROW("/308", ANSWER("308 Again\r\nLocation: /ok", "2", "ok"), REDIRECTED, .status = 308),
    ROW("/304", "HTTP/1.1 304 Same\r\n\r\n", REDIRECTED, .status = 304),
};

/* ---- what is no answer ---- */

static const struct row closed[] = {
    ROW("/before", NULL, CONNECTION_CLOSED, .status = 0, .body = "", CLOSES),
    ROW("/reset-before", NULL, CONNECTION_CLOSED, .status = 0, .body = "", RESETS),
    ROW("/after-100", "HTTP/1.1 100 Continue\r\n\r\n", CONNECTION_CLOSED, ANY_STATUS, .body = "",
        CLOSES),
    ROW("/in-head", "HTTP/1.1 200 OK\r\nContent-", CONNECTION_CLOSED, ANY_STATUS, .body = "",
        CLOSES),
    ROW("/in-head-of-422", "HTTP/1.1 422 No\r\nContent-", CONNECTION_CLOSED, ANY_STATUS, .body = "",
        CLOSES),
    ROW("/after-422", "HTTP/1.1 422 No\r\n", CONNECTION_CLOSED, ANY_STATUS, .body = "", CLOSES),
    ROW("/before-blank-line", OK_HEAD, CONNECTION_CLOSED, ANY_STATUS, .body = "", CLOSES),
    ROW("/in-blank-line", OK_HEAD "\r", CONNECTION_CLOSED, ANY_STATUS, .body = "", CLOSES),
    ROW("/before-body", OK_HEAD "\r\n", CONNECTION_CLOSED, ANY_STATUS, .body = "", CLOSES),
    ROW("/in-body", OK_HEAD "\r\no", CONNECTION_CLOSED, ANY_STATUS, .body = "o", CLOSES),
    ROW("/reset-in-body", OK_HEAD "\r\no", CONNECTION_CLOSED, ANY_STATUS, RESETS),
    ROW("/before-chunk", CHUNKED, CONNECTION_CLOSED, ANY_STATUS, .body = "", CLOSES),
    ROW("/in-chunk", CHUNKED "2\r\no", CONNECTION_CLOSED, ANY_STATUS, .body = "o", CLOSES),
    ROW("/no-last-chunk", CHUNKED "2\r\nok\r\n", CONNECTION_CLOSED, ANY_STATUS, .body = "ok",
        CLOSES),
};

static const struct row invalid[] = {
    ROW("/garbage", "\x16\x03\x01 this is not HTTP\r\n\r\n", RESPONSE_INVALID, ANY_STATUS, CLOSES),
    ROW("/open-garbage", "220 mail.example.com ESMTP\r\n", RESPONSE_INVALID, ANY_STATUS),
    ROW("/one-byte", "x", RESPONSE_INVALID, ANY_STATUS, CLOSES),
    ROW("/html", "<html>hello</html>", RESPONSE_INVALID, ANY_STATUS, CLOSES),
    ROW("/endless-garbage", "garbage ", RESPONSE_INVALID, ANY_STATUS, .plan.repeated = LONG_LINE),
    ROW("/no-status", "HTTP/1.1 abc\r\n\r\n", RESPONSE_INVALID, ANY_STATUS, CLOSES),
    ROW("/http9", "HTTP/9.9 200 OK\r\n\r\nok", RESPONSE_INVALID, ANY_STATUS, CLOSES),
    ROW("/less-than-none", ANSWER("200 OK", "-2", "ok"), RESPONSE_INVALID, ANY_STATUS, CLOSES),
    ROW("/no-number", ANSWER("200 OK", "two", "ok"), RESPONSE_INVALID, ANY_STATUS, CLOSES),
    ROW("/no-chunk", CHUNKED "zz\r\nok\r\n", RESPONSE_INVALID, ANY_STATUS, OR_CLOSED),
    ROW("/no-gzip",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        RESPONSE_INVALID, ANY_STATUS),
};

#define FOR_EVER(text) ANY_STATUS, .plan.repeated = text

static const struct row too_large[] = {
    ROW("/endless-body", ENDLESS, RESPONSE_TOO_LARGE, FOR_EVER(LONG_LINE)),
    ROW("/long-body", ANSWER("200 OK", "104857600", ""), RESPONSE_TOO_LARGE, FOR_EVER(LONG_LINE)),
    ROW("/endless-chunks", CHUNKED, RESPONSE_TOO_LARGE, FOR_EVER("5\r\nchunk\r\n")),
    ROW("/endless-500", "HTTP/1.1 500 No\r\n\r\n", RESPONSE_TOO_LARGE, FOR_EVER(LONG_LINE)),
    ROW("/endless-headers", "HTTP/1.1 200 OK\r\n", RESPONSE_TOO_LARGE,
        FOR_EVER("X-Header: more\r\n")),
    ROW("/endless-100", NULL, RESPONSE_TOO_LARGE, FOR_EVER("HTTP/1.1 100 Continue\r\n\r\n")),
    ROW("/endless-103", NULL, RESPONSE_TOO_LARGE, FOR_EVER("HTTP/1.1 103 Hint\r\nLink: x\r\n\r\n")),
    ROW("/endless-header", "HTTP/1.1 200 OK\r\nX-Header: ", RESPONSE_TOO_LARGE,
        FOR_EVER(LONG_LINE)),
    ROW("/endless-status", "HTTP/1.1 200 ", RESPONSE_TOO_LARGE, FOR_EVER(LONG_LINE)),
    ROW("/endless-trailers", CHUNKED "0\r\n", RESPONSE_TOO_LARGE, FOR_EVER("X-Trailer: more\r\n")),
    ROW("/endless-trailer", CHUNKED "0\r\nX-Trailer: ", RESPONSE_TOO_LARGE, FOR_EVER(LONG_LINE),
        OR_CLOSED),
};

#define SOON .timeout = 0.15

static const struct row silent[] = {
    ROW("/silent", NULL, TIMEOUT, .status = 0, .body = "", IGNORES, SOON),
    ROW("/silent-in-head", OK_HEAD, TIMEOUT, ANY_STATUS, .body = "", IGNORES, SOON),
    ROW("/silent-in-body", OK_HEAD "\r\no", TIMEOUT, ANY_STATUS, .body = "o", IGNORES, SOON),
    ROW("/silent-after-100", "HTTP/1.1 100 Continue\r\n\r\n", TIMEOUT, ANY_STATUS, .body = "",
        IGNORES, SOON),
    ROW("/too-late", OK, TIMEOUT, .status = 0, .body = "", .plan.delay_ms = 1000, SOON),
};

/* ---- the machinery of the tables ---- */

static bool is_without_answer(const struct outcome *outcome)
{
    return outcome->failure >= FAILURE_RESPONSE_INVALID && outcome->failure <= FAILURE_TLS_FAILED &&
           outcome->status != 408;
}

/* libcurl itself does not mind a head that ends too early, and so says nothing of it. */
static bool may_lack_reason(const struct outcome *outcome)
{
    return !is_without_answer(outcome) || outcome->failure == FAILURE_CONNECTION_CLOSED;
}

static void check_row(const struct row *row, const struct request *answer)
{
    const struct outcome *outcome = &answer->outcome;
    CHECK_NOTE("%s, reason: %s", row->plan.path, outcome->reason != NULL ? outcome->reason : "-");
    if (row->or_else == FAILURE_NONE || outcome->failure != row->or_else) {
        CHECK_TEXT(failure_row(outcome->failure)->code, failure_row(row->failure)->code);
    }
    CHECK_INT(outcome->status, row->status < 0 ? outcome->status : row->status);
    CHECK_SIZE(outcome->attempts, 1);
    CHECK(!outcome->unreached); /* the server was there */
    CHECK(outcome->reason == NULL || is_without_answer(outcome));
    CHECK(outcome->reason != NULL || may_lack_reason(outcome));
    CHECK((outcome->body == NULL) == (outcome->body_length == 0));
    if (row->body != NULL || row->failure == FAILURE_NONE) {
        const char *body = row->body != NULL ? row->body : "";
        CHECK_BYTES(outcome->body != NULL ? outcome->body : "", outcome->body_length, body,
                    strlen(body));
    }
}

static struct endpoint *endpoint_of(const struct server *server, const struct row *row)
{
    struct exchange_url url = url_at(server->port, row->plan.path);
    struct endpoint_settings settings = usual_settings(url.text);
    settings.timeout = row->timeout > 0 ? row->timeout : settings.timeout;
    return endpoint_new(&settings);
}

/* A server with the rows' plans, and /ok beside them. */
static struct server *start_for(const struct row *rows, size_t count, struct server_plan *plans)
{
    for (size_t i = 0; i < count; i++) {
        plans[i] = rows[i].plan;
    }
    plans[count] = (struct server_plan)OK_PLAN;
    return server_start(plans, count + 1);
}

/* One after the other; after each, the engine must be as good as before. */
static void check_rows(const struct row *rows, size_t count)
{
    struct server_plan plans[30];
    struct server *server = start_for(rows, count, plans);
    struct engine *engine = new_engine();
    struct endpoint *fine = endpoint_at(server, "/ok");
    for (size_t i = 0; i < count; i++) {
        struct endpoint *endpoint = endpoint_of(server, &rows[i]);
        struct request *answer = exchange(engine, endpoint);
        if (answer != NULL) {
            check_row(&rows[i], answer);
        }
        request_free(answer);
        CHECK_EXCHANGE(engine, fine, FAILURE_NONE, 200);
        CHECK_SIZE(endpoint->pending, 0);
        endpoint_release(endpoint);
    }
    endpoint_release(fine);
    engine_free(engine);
    server_stop(server);
}

#define CHECK_ROWS(rows) check_rows(rows, sizeof rows / sizeof rows[0])

static void ok_is_delivered(void)
{
    CHECK_ROWS(delivered);
}

static void answers_mean_what_the_protocol_says(void)
{
    CHECK_ROWS(answered);
}

static void connection_that_ends_too_early(void)
{
    CHECK_ROWS(closed);
}

static void what_is_not_http(void)
{
    CHECK_ROWS(invalid);
}

static void answer_without_end(void)
{
    CHECK_ROWS(too_large);
}

static void server_that_keeps_silent(void)
{
    CHECK_ROWS(silent);
}

static void redirects_are_not_followed(void)
{
    struct server_plan plans[30];
    size_t count = sizeof redirected / sizeof redirected[0];
    struct server *server = start_for(redirected, count, plans);
    struct engine *engine = new_engine();
    for (size_t i = 0; i < count; i++) {
        struct endpoint *endpoint = endpoint_of(server, &redirected[i]);
        CHECK_EXCHANGE(engine, endpoint, FAILURE_REDIRECTED, redirected[i].status);
        CHECK_SIZE(atomic_load(&server->requests), i + 1);
        endpoint_release(endpoint);
    }
    engine_free(engine);
    server_stop(server);
}

/* ---- all of it at once ---- */

static const struct {
    const struct row *rows;
    size_t count;
} every[] = {
    {delivered, sizeof delivered / sizeof delivered[0]},
    {answered, sizeof answered / sizeof answered[0]},
    {closed, sizeof closed / sizeof closed[0]},
    {too_large, sizeof too_large / sizeof too_large[0]},
    {silent, sizeof silent / sizeof silent[0]},
};
enum { EVERY = sizeof every / sizeof every[0] };

static void submit_rows(struct engine *engine, const struct server *server, size_t table)
{
    for (size_t i = 0; i < every[table].count; i++) {
        struct endpoint *endpoint = endpoint_of(server, &every[table].rows[i]);
        submit(engine, endpoint, table * 100 + i);
        endpoint_release(endpoint); /* the request holds the last reference */
    }
}

static void all_of_them_side_by_side(void)
{
    struct server_plan plans[EVERY][30];
    struct server *servers[EVERY];
    struct engine *engine = new_engine();
    size_t count = 0;
    for (size_t i = 0; i < EVERY; i++) {
        servers[i] = start_for(every[i].rows, every[i].count, plans[i]);
        submit_rows(engine, servers[i], i);
        count += every[i].count;
    }
    for (struct request *answer; count > 0 && (answer = next_answer(engine)) != NULL; count--) {
        check_row(&every[answer->ticket / 100].rows[answer->ticket % 100], answer);
        request_free(answer);
    }
    CHECK(engine_take(engine) == NULL);
    engine_free(engine);
    for (size_t i = 0; i < EVERY; i++) {
        server_stop(servers[i]);
    }
}

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

/* ---- no connection ---- */

static void check_url(const char *url, const char *ca_file, enum failure failure)
{
    struct endpoint_settings settings = usual_settings(url);
    settings.ca_file = ca_file;
    struct endpoint *endpoint = endpoint_new(&settings);
    struct engine *engine = new_engine();
    struct request *answer = exchange(engine, endpoint);
    CHECK_NOTE("%.80s", url);
    if (answer != NULL) {
        /* what libcurl will not so much as try says nothing of a server */
        CHECK(answer->outcome.unreached || failure == FAILURE_CONNECTION_FAILED);
        CHECK(answer->outcome.reason != NULL && answer->outcome.reason[0] != '\0');
        CHECK(answer->outcome.body == NULL);
    }
    check_outcome(CHECK_AT, answer, failure, 0);
    engine_free(engine);
    endpoint_release(endpoint);
}

static void nobody_listens(void)
{
    unsigned port;
    int file = server_bind(&port);
    struct exchange_url url = url_at(port, "/");
    check_url(url.text, NULL, FAILURE_CONNECTION_REFUSED);
    (void)snprintf(url.text, sizeof url.text, "http://localhost:%u/", port);
    check_url(url.text, NULL, FAILURE_CONNECTION_REFUSED);
    (void)snprintf(url.text, sizeof url.text, "https://127.0.0.1:%u/", port);
    check_url(url.text, NULL, FAILURE_CONNECTION_REFUSED);
    (void)close(file);
}

static void name_that_does_not_exist(void)
{
    check_url("http://nowhere.invalid/realtime/sdk/1", NULL, FAILURE_NAME_NOT_RESOLVED);
}

static void url_that_is_none(void)
{
    check_url("", NULL, FAILURE_CONNECTION_FAILED);
    check_url("http://", NULL, FAILURE_CONNECTION_FAILED);
    check_url("http://127.0.0.1:99999/", NULL, FAILURE_CONNECTION_FAILED);
    check_url("http://127.0.0.1 /", NULL, FAILURE_CONNECTION_FAILED);
}

/* Not so much as tried: nothing may be said about an answer. */
static void url_of_another_protocol(void)
{
    check_url("file:///etc/passwd", NULL, FAILURE_CONNECTION_FAILED);
    check_url("ftp://127.0.0.1/", NULL, FAILURE_CONNECTION_FAILED);
    check_url("gopher://127.0.0.1/", NULL, FAILURE_CONNECTION_FAILED);
}

/* libcurl refuses it when it is set, before anything is sent. */
static void url_that_libcurl_refuses(void)
{
    size_t length;
    char *url = text_of("http://127.0.0.1/", 'u', 8000000, "", &length);
    url[length - 1] = '\0';
    check_url(url, NULL, FAILURE_CONNECTION_FAILED);
    free(url);
}

/* One request ends in that failure, for want of a server or not. */
static void check_unreached(struct engine *engine, struct endpoint *endpoint, enum failure failure,
                            bool unreached)
{
    struct request *answer = exchange(engine, endpoint);
    if (answer != NULL) {
        CHECK_INT(answer->outcome.unreached, unreached);
    }
    check_outcome(CHECK_AT, answer, failure, 0);
}

/* The queue of connections is full and nobody takes from it, so that no more are answered. */
static void connection_that_is_not_taken(void)
{
    int waiting[3];
    unsigned port;
    int listener = server_bind(&port);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    CHECK(listen(listener, 0) == 0);
    for (size_t i = 0; i < 3; i++) {
        waiting[i] = socket(AF_INET, SOCK_STREAM, 0);
        server_unblock(waiting[i]);
        (void)connect(waiting[i], (struct sockaddr *)&address, sizeof address);
    }
    struct exchange_url url = url_at(port, "/");
    struct endpoint_settings settings = usual_settings(url.text);
    settings.connect_timeout = 0.15;
    settings.timeout = 5;
    struct endpoint *endpoint = endpoint_new(&settings);
    struct engine *engine = new_engine();
    double began = server_now();
    check_unreached(engine, endpoint, FAILURE_TIMEOUT, true);
    CHECK(server_now() - began < 4);
    engine_free(engine);
    endpoint_release(endpoint);
    for (size_t i = 0; i < 3; i++) {
        (void)close(waiting[i]);
    }
    (void)close(listener);
}

/* By a new connection, and by one that served before: the latter is one that libcurl times afresh.
 */
static void silence_is_told_from_absence(void)
{
    static const struct server_plan plans[] = {OK_PLAN,
                                               PLAN("/silent", NULL, .end = SERVER_IGNORES)};
    struct server *server = server_start(plans, 2);
    struct exchange_url url = url_at(server->port, "/silent");
    struct endpoint_settings settings = usual_settings(url.text);
    settings.timeout = 0.1;
    struct endpoint *mute = endpoint_new(&settings);
    struct endpoint *fine = endpoint_at(server, "/ok");
    struct engine *engine = new_engine();
    check_unreached(engine, mute, FAILURE_TIMEOUT, false);
    for (int i = 0; i < 3; i++) {
        CHECK_EXCHANGE(engine, fine, FAILURE_NONE, 200);
        check_unreached(engine, mute, FAILURE_TIMEOUT, false);
    }
    engine_free(engine);
    endpoint_release(mute);
    endpoint_release(fine);
    server_stop(server);
}

/* ---- TLS, as far as no certificate is needed ---- */

static void check_no_tls(const struct server_plan *plan, const char *ca_file, enum failure failure)
{
    struct exchange_url url;
    struct server *server = server_start(plan, 1);
    (void)snprintf(url.text, sizeof url.text, "https://127.0.0.1:%u/", server->port);
    check_url(url.text, ca_file, failure);
    server_stop(server);
}

static void server_that_speaks_no_tls(void)
{
    static const struct server_plan plain = PLAN(NULL, OK, .moment = SERVER_AT_ONCE);
    static const struct server_plan gone =
        PLAN(NULL, NULL, .end = SERVER_CLOSES, .moment = SERVER_AT_ONCE);
    static const struct server_plan broken =
        PLAN(NULL, NULL, .end = SERVER_RESETS, .moment = SERVER_AT_ONCE);
    check_no_tls(&plain, NULL, FAILURE_TLS_FAILED);
    check_no_tls(&gone, NULL, FAILURE_TLS_FAILED);
    check_no_tls(&broken, NULL, FAILURE_TLS_FAILED);
}

static void authorities_that_cannot_be_read(void)
{
    static const struct server_plan plain = PLAN(NULL, OK, .moment = SERVER_AT_ONCE);
    check_no_tls(&plain, "/nowhere/ca.pem", FAILURE_CERTIFICATE_UNTRUSTED);
    check_no_tls(&plain, "/dev/null", FAILURE_CERTIFICATE_UNTRUSTED);
}

/* ---- what is sent ---- */

static size_t occurrences(const char *text, const char *part)
{
    size_t count = 0;
    for (const char *at = text; (at = strstr(at, part)) != NULL; at++) {
        count++;
    }
    return count;
}

static void check_head(const struct server *server, const char *first_line, size_t length)
{
    char expected[200];
    const char *head = server->last_head;
    CHECK_NOTE("%.150s", head);
    CHECK(strncmp(head, first_line, strlen(first_line)) == 0);
    (void)snprintf(expected, sizeof expected, "\r\nX-SMCCSDK-SIGNATURE: %s\r\n",
                   EXCHANGE_SIGNATURE);
    CHECK_SIZE(occurrences(head, expected), 1);
    CHECK_SIZE(occurrences(head, "X-SMCCSDK-SIGNATURE"), 1);
    CHECK_SIZE(occurrences(head, "\r\nContent-Type: application/json\r\n"), 1);
    CHECK_SIZE(occurrences(head, "Content-Type"), 1);
    CHECK_SIZE(occurrences(head, "\r\nUser-Agent: sendapi-test/1\r\n"), 1);
    (void)snprintf(expected, sizeof expected, "\r\nContent-Length: %zu\r\n", length);
    CHECK_SIZE(occurrences(head, expected), 1);
    CHECK_SIZE(occurrences(head, "Expect"), 0);
    CHECK_SIZE(occurrences(head, "Cookie"), 0);
    CHECK_SIZE(occurrences(head, "Transfer-Encoding"), 0);
    CHECK_SIZE(occurrences(head, "Accept-Encoding"), 0);
    CHECK_SIZE(occurrences(head, "Upgrade"), 0);
}

static void check_body_sent(struct engine *engine, struct server *server, size_t length)
{
    struct endpoint *endpoint = endpoint_at(server, "/ok");
    char *body = malloc(length);
    server_must(body != NULL, "malloc");
    for (size_t i = 0; i < length; i++) {
        body[i] = (char)(unsigned char)(i ^ i >> 8);
    }
    struct request *request = request_with(endpoint, body, length);
    CHECK(engine_submit(engine, request));
    check_outcome(CHECK_AT, next_answer(engine), FAILURE_NONE, 200);
    check_head(server, "POST /ok HTTP/1.1\r\n", length);
    CHECK_SIZE(server->last_hash, server_hash(SERVER_HASH, body, length));
    free(body);
    endpoint_release(endpoint);
}

/* Every byte value, NULs among them; the sizes are those at which libcurl changes its ways. */
static void request_arrives_as_it_is(void)
{
    static const struct server_plan plan = OK_PLAN;
    static const size_t lengths[] = {1, 2, 300, 16384, 65536, 1048576, 1048577, REQUEST_MAXIMUM};
    struct server *server = server_start(&plan, 1);
    struct engine *engine = new_engine();
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        check_body_sent(engine, server, lengths[i]);
    }
    CHECK_SIZE(atomic_load(&server->connections), 1);
    engine_free(engine);
    server_stop(server);
}

static void http2_is_not_asked_for_without_tls(void)
{
    static const struct server_plan plan = OK_PLAN;
    struct server *server = server_start(&plan, 1);
    struct engine *engine = new_engine();
    struct exchange_url url = url_at(server->port, "/ok");
    struct endpoint_settings settings = usual_settings(url.text);
    settings.http2 = true;
    struct endpoint *endpoint = endpoint_new(&settings);
    CHECK_EXCHANGE(engine, endpoint, FAILURE_NONE, 200);
    check_head(server, "POST /ok HTTP/1.1\r\n", 1);
    engine_free(engine);
    endpoint_release(endpoint);
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

/* ---- proxies ---- */

static void exchange_by_proxy(struct engine *engine, struct server *server, const char *proxy,
                              const char *first_line)
{
    struct exchange_url url = url_at(server->port, "/ok");
    struct endpoint_settings settings = usual_settings(url.text);
    settings.proxy = proxy;
    struct endpoint *endpoint = endpoint_new(&settings);
    CHECK_EXCHANGE(engine, endpoint, FAILURE_NONE, 200);
    check_head(server, first_line, 1);
    endpoint_release(endpoint);
}

static void proxy_is_used_where_it_is_set_and_nowhere_else(void)
{
    static const struct server_plan plan = OK_PLAN;
    struct server *server = server_start(&plan, 1);
    struct engine *engine = new_engine();
    struct exchange_url proxy = url_at(server->port, "");
    char by_proxy[100];
    (void)snprintf(by_proxy, sizeof by_proxy, "POST http://127.0.0.1:%u/ok HTTP/1.1\r\n",
                   server->port);
    for (int i = 0; i < 3; i++) {
        exchange_by_proxy(engine, server, NULL, "POST /ok HTTP/1.1\r\n");
        exchange_by_proxy(engine, server, proxy.text, by_proxy);
    }
    engine_free(engine);
    server_stop(server);
}

static void proxy_of_the_environment_is_not_used(void)
{
    static const struct server_plan plan = OK_PLAN;
    static const char *const names[] = {"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy",
                                        "ALL_PROXY"};
    struct server *server = server_start(&plan, 1);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        (void)setenv(names[i], "http://127.0.0.1:1/", 1);
    }
    struct engine *engine = new_engine();
    exchange_by_proxy(engine, server, NULL, "POST /ok HTTP/1.1\r\n");
    engine_free(engine);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        (void)unsetenv(names[i]);
    }
    server_stop(server);
}

/* ---- one handle for endpoints that differ ---- */

static void settings_of_one_endpoint_do_not_reach_another(void)
{
    static const struct server_plan plans[] = {
        PLAN("/silent", NULL, .end = SERVER_IGNORES),
        PLAN("/slow", OK, .delay_ms = 300),
    };
    struct server *server = server_start(plans, 2);
    struct engine *engine = new_engine();
    struct exchange_url url = url_at(server->port, "/silent");
    struct endpoint_settings settings = usual_settings(url.text);
    settings.timeout = 0.1;
    settings.user_agent = "impatient";
    struct endpoint *impatient = endpoint_new(&settings);
    struct endpoint *patient = endpoint_at(server, "/slow");
    for (int i = 0; i < 2; i++) {
        CHECK_EXCHANGE(engine, impatient, FAILURE_TIMEOUT, 0);
        CHECK_EXCHANGE(engine, patient, FAILURE_NONE, 200);
        check_head(server, "POST /slow HTTP/1.1\r\n", 1);
    }
    engine_free(engine);
    endpoint_release(impatient);
    endpoint_release(patient);
    server_stop(server);
}

static const struct check_case cases[] = {
    CHECK_CASE(ok_is_delivered),
    CHECK_CASE(answers_mean_what_the_protocol_says),
    CHECK_CASE(redirects_are_not_followed),
    CHECK_CASE(connection_that_ends_too_early),
    CHECK_CASE(what_is_not_http),
    CHECK_CASE(answer_without_end),
    CHECK_CASE(server_that_keeps_silent),
    CHECK_CASE(all_of_them_side_by_side),
    CHECK_CASE(kept_body_is_4096_bytes_at_most),
    CHECK_CASE(body_is_read_up_to_64_kib),
    CHECK_CASE(head_is_read_up_to_64_kib),
    CHECK_CASE(answers_do_not_mix),
    CHECK_CASE(nobody_listens),
    CHECK_CASE(name_that_does_not_exist),
    CHECK_CASE(url_that_is_none),
    CHECK_CASE(url_of_another_protocol),
    CHECK_CASE(url_that_libcurl_refuses),
    CHECK_CASE(connection_that_is_not_taken),
    CHECK_CASE(silence_is_told_from_absence),
    CHECK_CASE(server_that_speaks_no_tls),
    CHECK_CASE(authorities_that_cannot_be_read),
    CHECK_CASE(request_arrives_as_it_is),
    CHECK_CASE(http2_is_not_asked_for_without_tls),
    CHECK_CASE(server_that_does_not_read_to_the_end),
    CHECK_CASE(server_that_answers_before_it_is_asked),
    CHECK_CASE(proxy_is_used_where_it_is_set_and_nowhere_else),
    CHECK_CASE(proxy_of_the_environment_is_not_used),
    CHECK_CASE(settings_of_one_endpoint_do_not_reach_another),
};

int main(int count, char **names)
{
    (void)setenv("RES_OPTIONS", "timeout:1 attempts:1", 1); /* a resolver that is not there */
    return CHECK_RUN(cases, count, names);
}
