/*
 * The way to the server: connections that do not come about, TLS as far as it can be shown without a
 * certificate, what is sent, proxies.
 */

#include "transfer.h"

#include <stdlib.h> /* malloc(3) setenv(3) */

#include "answers.h"
#include "exchange.h"

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
    static const char beginning[] = "http://127.0.0.1/";
    enum { LENGTH = 8000017 }; /* libcurl takes 8000000 */
    char *url = malloc(LENGTH);
    server_must(url != NULL, "malloc");
    memset(url, 'u', LENGTH);
    memcpy(url, beginning, sizeof beginning - 1);
    url[LENGTH - 1] = '\0';
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
    CHECK_CASE(proxy_is_used_where_it_is_set_and_nowhere_else),
    CHECK_CASE(proxy_of_the_environment_is_not_used),
    CHECK_CASE(settings_of_one_endpoint_do_not_reach_another),
};

int main(int count, char **names)
{
    (void)setenv("RES_OPTIONS", "timeout:1 attempts:1", 1); /* a resolver that is not there */
    return CHECK_RUN(cases, count, names);
}
