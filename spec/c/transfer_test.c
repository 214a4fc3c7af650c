/*
 * What becomes of a request, whatever the other side does: the answers of the protocol, and every
 * way of not giving one. How much of an answer is read, and when, stands in transfer_limits_test.c;
 * the way to the server in transfer_sending_test.c.
 */

#include "transfer.h"

#include "answers.h"
#include "exchange.h"

#define CHUNKED "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
#define ENDLESS "HTTP/1.1 200 OK\r\n\r\n"
#define ANSWER(status, length, text)                                                               \
    "HTTP/1.1 " status "\r\nContent-Length: " length "\r\n\r\n" text

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

static const struct check_case cases[] = {
    CHECK_CASE(ok_is_delivered),
    CHECK_CASE(answers_mean_what_the_protocol_says),
    CHECK_CASE(redirects_are_not_followed),
    CHECK_CASE(connection_that_ends_too_early),
    CHECK_CASE(what_is_not_http),
    CHECK_CASE(answer_without_end),
    CHECK_CASE(server_that_keeps_silent),
    CHECK_CASE(all_of_them_side_by_side),
};

int main(int count, char **names)
{
    return CHECK_RUN(cases, count, names);
}
