/*
 * One blocking exchange: what is sent, what comes back, and everything that another side, or a
 * caller, may do wrong.
 */

#include "http.h"

#include <fcntl.h>  /* open(2) */
#include <signal.h> /* sigaction(2) raise(3) */
#include <stdlib.h> /* setenv(3) */

#include "check.h"
#include "server.h"

#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
#define HEAD "HTTP/1.1 200 OK\r\n"
#define AT(at, ...)                                                                                \
    {                                                                                              \
        .path = at, .text = __VA_ARGS__                                                            \
    }

struct text {
    char bytes[200];
};

static struct text url_of(const struct server *server, const char *scheme, const char *path)
{
    struct text url;
    (void)snprintf(url.bytes, sizeof url.bytes, "%s://127.0.0.1:%u%s", scheme, server->port, path);
    return url;
}

static struct http_request usual(const char *url)
{
    return (struct http_request){.url = url, .timeout = 20, .limit = 100000};
}

static const char *body_of(const struct http_answer *answer)
{
    return answer->body.length > 0 ? buffer_bytes(&answer->body) : "";
}

/* ---- what comes back ---- */

struct row {
    struct server_plan plan;
    long status;
    const char *body;
};

#define ROW(at, says, status, body, ...)                                                           \
    {                                                                                              \
        {.path = at, .text = says, __VA_ARGS__}, status, body                                      \
    }
#define CLOSES .end = SERVER_CLOSES

static const struct row answered[] = {
    ROW("/ok", OK, 200, "ok", .dripped = false),
    ROW("/dripped", OK, 200, "ok", .dripped = true),
    ROW("/none", "HTTP/1.1 204 No\r\n\r\n", 204, "", .delay_ms = 10),
    ROW("/chunked", HEAD "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX: y\r\n\r\n", 200,
        "ok", .dripped = true),
    ROW("/until-close", HEAD "\r\nok", 200, "ok", CLOSES),
    ROW("/refused", "HTTP/1.1 422 No\r\nContent-Length: 4\r\n\r\nnope", 422, "nope", CLOSES),
    ROW("/moved", "HTTP/1.1 302 Go\r\nLocation: /ok\r\nContent-Length: 0\r\n\r\n", 302, "", CLOSES),
    ROW("/away", "HTTP/1.1 307 Go\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n",
        307, "", CLOSES),
    ROW("/interim", "HTTP/1.1 103 Wait\r\nA: b\r\n\r\n" OK, 200, "ok", CLOSES),
    ROW("/early", "HTTP/1.1 413 Large\r\nContent-Length: 1\r\n\r\n!", 413, "!",
        .moment = SERVER_AFTER_HEAD, CLOSES),
};

static void check_row(const struct row *row)
{
    struct http_answer answer = {0};
    struct server *server = server_start(&row->plan, 1);
    struct text url = url_of(server, "http", row->plan.path);
    struct http_request request = usual(url.bytes);
    CHECK_NOTE("%s", row->plan.path);
    request.body = "{}";
    request.body_length = 2;
    if (!CHECK(http_exchange(&request, &answer))) {
        printf("    %s\n", answer.reason);
    }
    CHECK_INT(answer.status, row->status);
    CHECK_BYTES(body_of(&answer), answer.body.length, row->body, strlen(row->body));
    CHECK_SIZE(atomic_load(&server->requests), 1);
    http_release(&answer);
    http_release(&answer);
    server_stop(server);
}

static void answers_come_back_as_they_are(void)
{
    for (size_t i = 0; i < sizeof answered / sizeof answered[0]; i++) {
        check_row(&answered[i]);
    }
}

/* The text of every header, one a line. */
static struct text headers_of(const struct http_answer *answer)
{
    struct text all = {""};
    struct http_header header;
    size_t length = 0;
    for (size_t position = 0; http_next_header(answer, &position, &header);) {
        length += (size_t)snprintf(all.bytes + length, sizeof all.bytes - length, "%.*s=%.*s|",
                                   (int)header.name_length, header.name, (int)header.value_length,
                                   header.value);
    }
    return all;
}

static void headers_are_those_of_the_last_head(void)
{
    static const struct server_plan plan = AT(
        "/", "HTTP/1.1 103 Wait\r\nEarly: 1\r\n\r\n" HEAD "X-One:  a: b \t\r\nx-one:c\r\nEmpty:\r\n"
             "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nTrailer: 1\r\n\r\n");
    struct http_answer answer = {0};
    struct server *server = server_start(&plan, 1);
    struct text url = url_of(server, "http", "/");
    struct http_request request = usual(url.bytes);
    CHECK(http_exchange(&request, &answer));
    CHECK_TEXT(headers_of(&answer).bytes, "x-one=a: b|x-one=c|empty=|transfer-encoding=chunked|");
    http_release(&answer);
    server_stop(server);
}

/* ---- what is sent ---- */

static bool was_sent(struct server *server, const char *part)
{
    (void)pthread_mutex_lock(&server->lock);
    bool found = strstr(server->last_head, part) != NULL;
    (void)pthread_mutex_unlock(&server->lock);
    return found;
}

static void send_once(struct server *server, struct http_request request)
{
    struct http_answer answer = {0};
    struct text url = url_of(server, "http", "/a?b=c");
    request.url = url.bytes;
    request.timeout = 20;
    request.limit = 100;
    CHECK(http_exchange(&request, &answer));
    http_release(&answer);
}

static void only_what_was_asked_for_is_sent(void)
{
    static const struct server_plan plan = AT("/a?b=c", OK);
    static const char *const headers[] = {"Content-Type: application/json", "X-Other: a"};
    static const char body[] = "a\0b";
    struct server *server = server_start(&plan, 1);
    send_once(server, (struct http_request){.body = NULL});
    CHECK(was_sent(server, "GET /a?b=c HTTP/1.1\r\n"));
    CHECK(!was_sent(server, "Content-"));
    send_once(server, (struct http_request){.body = body, .body_length = 3});
    CHECK(was_sent(server, "POST /a?b=c HTTP/1.1\r\n"));
    CHECK(was_sent(server, "Content-Length: 3\r\n"));
    CHECK(!was_sent(server, "Content-Type"));
    CHECK_SIZE(server->last_hash, server_hash(SERVER_HASH, body, 3));
    send_once(server, (struct http_request){.body = "", .headers = headers, .header_count = 2});
    CHECK(was_sent(server, "POST /") && was_sent(server, "Content-Length: 0\r\n"));
    CHECK(was_sent(server, "\r\nContent-Type: application/json\r\n"));
    CHECK(was_sent(server, "\r\nX-Other: a\r\n"));
    send_once(server, (struct http_request){.method = "PUT", .body = "x", .body_length = 1});
    CHECK(was_sent(server, "PUT /"));
    server_stop(server);
}

static void head_has_no_body(void)
{
    static const struct server_plan plan = AT("/a?b=c", HEAD "Content-Length: 9\r\n\r\n");
    struct server *server = server_start(&plan, 1);
    send_once(server, (struct http_request){.method = "HEAD"});
    CHECK(was_sent(server, "HEAD /"));
    server_stop(server);
}

/* A body of more than 1 MiB would wait a second for "100 Continue", were it asked for. */
static void large_bodies_go_whole_and_at_once(void)
{
    static const struct server_plan plan = AT("/a?b=c", OK);
    enum { LARGE = 3000000 };
    struct server *server = server_start(&plan, 1);
    char *body = malloc(LARGE);
    server_must(body != NULL, "malloc");
    for (size_t i = 0; i < LARGE; i++) {
        body[i] = (char)(i * 7);
    }
    send_once(server, (struct http_request){.body = body, .body_length = LARGE});
    CHECK(!was_sent(server, "Expect"));
    CHECK_SIZE(server->last_hash, server_hash(SERVER_HASH, body, LARGE));
    free(body);
    server_stop(server);
}

static void proxies_of_the_environment_are_not_used(void)
{
    static const struct server_plan plan = AT("/a?b=c", OK);
    struct server *server = server_start(&plan, 1);
    (void)setenv("http_proxy", "http://127.0.0.1:1", 1);
    (void)setenv("all_proxy", "http://127.0.0.1:1", 1);
    send_once(server, (struct http_request){.body = NULL});
    (void)unsetenv("http_proxy");
    (void)unsetenv("all_proxy");
    server_stop(server);
}

/* ---- requests that are none ---- */

static void check_refused(const struct http_request *request, const char *reason)
{
    struct http_answer answer = {.status = 9};
    CHECK_NOTE("%s", request->url);
    CHECK(!http_exchange(request, &answer));
    CHECK_TEXT(answer.reason, reason);
    CHECK(answer.head.memory == NULL && answer.body.memory == NULL);
}

static void urls_that_are_refused(void)
{
    static const char schemes[] = "url: only http and https";
    static const char form[] = "url: expected something like https://example.com/path";
    static const char secret[] = "url: no name or password may be in it";
    static const char *const rows[][2] = {
        {"ftp://127.0.0.1/", schemes},
        {"file:///etc/passwd", schemes},
        {"gopher://127.0.0.1:70/", schemes},
        {"unknown://127.0.0.1/", schemes},
        {"", form},
        {"127.0.0.1", form},
        {"http://", form},

        {"http://127.0.0.1:x/", form},
        {"http://127.0.0.1:70000/", form},
        {"http://127.0.0.1/a b", form},
        {"http://127.0.0.1/a\r\nX: y", form},
        {"http://127.0.0.1/\x7f", form},
        {"/path", form},
        {"http://a@127.0.0.1/", secret},
        {"http://a:b@127.0.0.1/", secret},
        {"https://:b@127.0.0.1/", secret},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct http_request request = usual(rows[i][0]);
        check_refused(&request, rows[i][1]);
    }
}

static void words_that_are_refused(void)
{
    static const char *const headers[] = {
        "", "a", "Name:", "Name:  ", ":b", "a b: c", "a: b\r\nc: d", "a: b\n", "a: \x01", "a;"};
    static const char *const methods[] = {"", "GET ", "GET / HTTP/1.1\r\nA: b", "G\nT", "a:b"};
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
        struct http_request request = usual("http://127.0.0.1:1/");
        request.headers = &headers[i];
        request.header_count = 1;
        check_refused(&request, "headers: each must be one line, \"Name: value\"");
    }
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        struct http_request request = usual("http://127.0.0.1:1/");
        request.method = methods[i];
        check_refused(&request, "method: a word is needed");
    }
}

/* ---- answers that are none ---- */

struct failing {
    struct server_plan plan;
    const char *reason; /* NULL: in libcurl's words */
    double timeout;     /* 0: the usual */
};

#define FAILS(says, because, ...)                                                                  \
    {                                                                                              \
        .plan.path = "/", .plan.text = says, .reason = because, __VA_ARGS__                        \
    }

static const char LONG_LINE[] =
    "X-Long: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n";
static const char TOO_LARGE[] = "the answer is larger than 100000 bytes";

static const struct failing failing[] = {
    FAILS(NULL, NULL, .plan.end = SERVER_CLOSES),
    FAILS(NULL, NULL, .plan.end = SERVER_RESETS),
    FAILS("HTTP/1.1 200", NULL, .plan.end = SERVER_RESETS),
    FAILS(HEAD "A: b\r\n", "the connection ended within the head of the answer",
          .plan.end = SERVER_CLOSES),
    FAILS(HEAD "Content-Length: 9\r\n\r\nok", NULL, .plan.end = SERVER_CLOSES),
    FAILS(HEAD "Transfer-Encoding: chunked\r\n\r\nzz\r\n", NULL, .plan.end = SERVER_CLOSES),
    FAILS("what?\r\n\r\n", NULL, .plan.end = SERVER_CLOSES),
    FAILS(NULL, NULL, .plan.end = SERVER_IGNORES, .timeout = 0.2),
    FAILS(HEAD, NULL, .plan.end = SERVER_IGNORES, .timeout = 0.2),
    FAILS(OK, NULL, .plan.delay_ms = 5000, .timeout = 0.2),
    FAILS(HEAD "Content-Length: 4\r\n\r\nok", NULL, .plan.end = SERVER_IGNORES, .timeout = 0.2),
    FAILS(HEAD, "the head of the answer is too large", .plan.repeated = LONG_LINE),
    FAILS("HTTP/1.1 103 Wait\r\n\r\n", "the head of the answer is too large",
          .plan.repeated = "HTTP/1.1 103 Wait\r\n\r\n"),
    FAILS(HEAD "\r\n", TOO_LARGE, .plan.repeated = "more"),
    FAILS(HEAD "Content-Length: 100001\r\n\r\n", TOO_LARGE, .plan.repeated = "more"),
};

static void answers_that_are_none(void)
{
    for (size_t i = 0; i < sizeof failing / sizeof failing[0]; i++) {
        struct http_answer answer = {0};
        struct server *server = server_start(&failing[i].plan, 1);
        struct text url = url_of(server, "http", "/");
        struct http_request request = usual(url.bytes);
        request.timeout = failing[i].timeout > 0 ? failing[i].timeout : request.timeout;
        CHECK_NOTE("row %zu", i);
        CHECK(!http_exchange(&request, &answer));
        CHECK(answer.reason[0] != '\0');
        CHECK(failing[i].reason == NULL || strcmp(answer.reason, failing[i].reason) == 0);
        CHECK(answer.head.memory == NULL && answer.body.memory == NULL);
        server_stop(server);
    }
}

static void limit_itself_is_allowed(void)
{
    static const struct server_plan plan = AT("/", OK);
    struct http_answer answer = {0};
    struct server *server = server_start(&plan, 1);
    struct text url = url_of(server, "http", "/");
    struct http_request request = usual(url.bytes);
    request.limit = 2;
    CHECK(http_exchange(&request, &answer));
    request.limit = 1;
    CHECK(!http_exchange(&request, &answer)); /* and what the answer held before is freed */
    CHECK_TEXT(answer.reason, "the answer is larger than 1 bytes");
    server_stop(server);
}

static void nobody_listens(void)
{
    struct http_answer answer = {0};
    unsigned port;
    int bound = server_bind(&port);
    struct text url;
    (void)snprintf(url.bytes, sizeof url.bytes, "http://127.0.0.1:%u/", port);
    struct http_request request = usual(url.bytes);
    CHECK(!http_exchange(&request, &answer));
    CHECK(strstr(answer.reason, "connect") != NULL);
    (void)close(bound);
}

static void tls_is_needed_and_verified(void)
{
    static const struct server_plan plain = AT(NULL, OK, .moment = SERVER_AT_ONCE);
    static const char *const files[] = {NULL, "/nowhere/ca.pem", "/dev/null"};
    for (size_t i = 0; i < 3; i++) {
        struct http_answer answer = {0};
        struct server *server = server_start(&plain, 1);
        struct text url = url_of(server, "https", "/");
        struct http_request request = usual(url.bytes);
        request.ca_file = files[i];
        CHECK(!http_exchange(&request, &answer));
        CHECK(answer.reason[0] != '\0');
        server_stop(server);
    }
}

/* ---- signals ---- */

static atomic_uint pipes;

static void on_pipe(int number)
{
    (void)number;
    atomic_fetch_add(&pipes, 1);
}

static bool is_blocked(int number)
{
    sigset_t now;
    (void)pthread_sigmask(SIG_BLOCK, NULL, &now);
    return sigismember(&now, number) == 1;
}

/* A body sent to a connection that is already broken would raise it. */
static void break_off_while_sending(void)
{
    static const struct server_plan plan =
        AT("/", NULL, .moment = SERVER_AFTER_HEAD, .end = SERVER_RESETS);
    enum { LARGE = 8000000 };
    struct http_answer answer = {0};
    struct server *server = server_start(&plan, 1);
    struct text url = url_of(server, "http", "/");
    struct http_request request = usual(url.bytes);
    request.body = calloc(1, LARGE);
    request.body_length = LARGE;
    CHECK(!http_exchange(&request, &answer));
    free((void *)(uintptr_t)request.body);
    server_stop(server);
}

static void broken_connection_raises_no_signal(void)
{
    struct sigaction action = {.sa_handler = on_pipe};
    struct sigaction before;
    (void)sigaction(SIGPIPE, &action, &before);
    for (int i = 0; i < 5; i++) {
        break_off_while_sending();
    }
    CHECK_SIZE(atomic_load(&pipes), 0);
    CHECK(!is_blocked(SIGPIPE));
    (void)sigaction(SIGPIPE, &before, NULL);
}

struct interruption {
    struct server *server;
    pthread_t asking;
};

/* As a write to a broken TLS connection would, while the answer is awaited. */
static void *interrupt(void *argument)
{
    struct interruption *self = argument;
    CHECK(server_await(&self->server->requests, 1));
    CHECK(pthread_kill(self->asking, SIGPIPE) == 0);
    server_open(self->server);
    return NULL;
}

static void signal_of_the_exchange_is_swallowed(void)
{
    static const struct server_plan plan = AT("/a?b=c", OK, .held = true);
    struct sigaction action = {.sa_handler = on_pipe};
    struct sigaction before;
    pthread_t thread;
    struct interruption self = {server_start(&plan, 1), pthread_self()};
    atomic_store(&pipes, 0);
    (void)sigaction(SIGPIPE, &action, &before);
    server_must(pthread_create(&thread, NULL, interrupt, &self) == 0, "thread");
    send_once(self.server, (struct http_request){.body = NULL});
    (void)pthread_join(thread, NULL);
    CHECK_SIZE(atomic_load(&pipes), 0);
    CHECK(!is_blocked(SIGPIPE));
    (void)sigaction(SIGPIPE, &before, NULL);
    server_stop(self.server);
}

static void signal_that_was_pending_stays(void)
{
    static const struct server_plan plan = AT("/a?b=c", OK);
    struct sigaction action = {.sa_handler = on_pipe};
    struct sigaction usual_action;
    struct server *server = server_start(&plan, 1);
    sigset_t pipe_alone;
    sigset_t before;
    atomic_store(&pipes, 0);
    (void)sigaction(SIGPIPE, &action, &usual_action);
    (void)sigemptyset(&pipe_alone);
    (void)sigaddset(&pipe_alone, SIGPIPE);
    (void)pthread_sigmask(SIG_BLOCK, &pipe_alone, &before);
    (void)raise(SIGPIPE);
    send_once(server, (struct http_request){.body = NULL});
    CHECK(is_blocked(SIGPIPE));
    CHECK_SIZE(atomic_load(&pipes), 0);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    CHECK_SIZE(atomic_load(&pipes), 1);
    (void)sigaction(SIGPIPE, &usual_action, NULL);
    server_stop(server);
}

/* ---- what stays behind ---- */

static int lowest_descriptor(void)
{
    int file = open("/dev/null", O_RDONLY);
    (void)close(file);
    return file;
}

static void no_descriptor_stays_open(void)
{
    static const struct server_plan plan = AT("/a?b=c", OK);
    struct server *server = server_start(&plan, 1);
    send_once(server, (struct http_request){.body = NULL});
    int lowest = lowest_descriptor();
    for (int i = 0; i < 10; i++) {
        send_once(server, (struct http_request){.body = NULL});
    }
    CHECK(lowest_descriptor() <= lowest);
    CHECK_SIZE(atomic_load(&server->connections), 11);
    server_stop(server);
}

static const struct check_case cases[] = {
    CHECK_CASE(answers_come_back_as_they_are),
    CHECK_CASE(headers_are_those_of_the_last_head),
    CHECK_CASE(only_what_was_asked_for_is_sent),
    CHECK_CASE(head_has_no_body),
    CHECK_CASE(large_bodies_go_whole_and_at_once),
    CHECK_CASE(proxies_of_the_environment_are_not_used),
    CHECK_CASE(urls_that_are_refused),
    CHECK_CASE(words_that_are_refused),
    CHECK_CASE(answers_that_are_none),
    CHECK_CASE(limit_itself_is_allowed),
    CHECK_CASE(nobody_listens),
    CHECK_CASE(tls_is_needed_and_verified),
    CHECK_CASE(broken_connection_raises_no_signal),
    CHECK_CASE(signal_of_the_exchange_is_swallowed),
    CHECK_CASE(signal_that_was_pending_stays),
    CHECK_CASE(no_descriptor_stays_open),
};

int main(int count, char **names)
{
    return CHECK_RUN(cases, count, names);
}
