/* What sends, while memory is refused: transfers, the engine, one blocking exchange. */

#include "refusals.h"

#include "exchange.h"

/* ---- transfer ---- */

static bool has_header(const struct curl_slist *list, const char *wanted)
{
    while (list != NULL && strcmp(list->data, wanted) != 0) {
        list = list->next;
    }
    return list != NULL;
}

/* A transfer that lacks one of its headers would be understood as something else. */
static void make_transfer(void *argument)
{
    (void)argument;
    struct transfer *transfer = transfer_new();
    if (transfer != NULL) {
        CHECK(has_header(&transfer->signature_header, "Content-Type: application/json"));
        CHECK(has_header(&transfer->signature_header, "Expect:"));
        CHECK(transfer_of(transfer->easy) == transfer);
    }
    transfer_free(transfer);
}

static void transfer_survives_every_refusal(void)
{
    transfer_free(NULL);
    CHECK(refuse_in_turn(make_transfer, NULL) > 4);
}

/* ---- engine ---- */

static const char REFUSED_ANSWER[] =
    "HTTP/1.1 422 No\r\nContent-Length: 17\r\n\r\nInvalid signature";

static const struct server_plan plans[] = {
    {.path = "/ok", .text = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"},
    {.path = "/refused", .text = REFUSED_ANSWER},
    {.path = "/closes", .end = SERVER_CLOSES},
};

struct scene {
    struct server *server;
    const char *path;
    enum failure failure; /* when nothing is refused */
    long status;
    double drive; /* seconds that the caller drives by itself */
};

static struct request *sign_request(struct endpoint *endpoint)
{
    struct buffer buffer;
    buffer_init(&buffer, REQUEST_FRONT, REQUEST_MAXIMUM);
    buffer_append(&buffer, "{}", 2);
    struct request *request = request_from_buffer(&buffer, endpoint, "lane", 4);
    buffer_release(&buffer);
    if (request != NULL) {
        exchange_sign(request);
        request->submitted = clock_now();
        request->deadline = request->submitted + EXCHANGE_DEADLINE;
        CHECK(endpoint_admit(endpoint, request->length));
    }
    return request;
}

/* Submitted is answered: with what the server said, or with a failure of want. */
static void submit_and_take(struct engine *engine, struct endpoint *endpoint,
                            const struct scene *scene)
{
    struct request *request = sign_request(endpoint);
    if (request == NULL) {
        return;
    }
    if (!engine_submit_and_drive(engine, request, scene->drive)) {
        endpoint_withdraw(endpoint, request->length);
        request_free(request);
        return;
    }
    struct request *answer = next_answer(engine);
    if (CHECK(answer == request)) {
        CHECK(answer->outcome.failure == scene->failure || atomic_load(&refusals) > 0);
        CHECK(scene->failure == FAILURE_NONE || answer->outcome.failure != FAILURE_NONE);
    }
    request_free(answer);
    CHECK(engine_take(engine) == NULL);
    CHECK_SIZE(endpoint->pending, 0);
}

static struct endpoint *endpoint_for(const struct scene *scene)
{
    struct exchange_url url = url_at(scene->server->port, scene->path);
    struct endpoint_settings settings = usual_settings(url.text);
    settings.timeout = 3;
    return endpoint_new(&settings);
}

/* After the refusal the same engine must do its work as if nothing had been. */
static void deliver_in_want(void *argument)
{
    const struct scene *scene = argument;
    const char *reason = NULL;
    struct engine *engine = engine_new(&reason);
    struct endpoint *endpoint = endpoint_for(scene);
    CHECK((engine == NULL) == (reason != NULL));
    if (engine != NULL && endpoint != NULL) {
        submit_and_take(engine, endpoint, scene);
        allow_all();
        CHECK_EXCHANGE(engine, endpoint, scene->failure, scene->status);
    }
    engine_free(engine);
    endpoint_release(endpoint);
}

static void engine_survives_every_refusal(void)
{
    struct scene scenes[] = {{NULL, "/ok", FAILURE_NONE, 200, 0},
                             {NULL, "/refused", FAILURE_INVALID_SIGNATURE, 422, 0},
                             {NULL, "/refused", FAILURE_INVALID_SIGNATURE, 422, 5},
                             {NULL, "/closes", FAILURE_CONNECTION_CLOSED, 0, 0}};
    struct server *server = server_start(plans, sizeof plans / sizeof plans[0]);
    for (size_t i = 0; i < sizeof scenes / sizeof scenes[0]; i++) {
        scenes[i].server = server;
        CHECK(refuse_in_turn(deliver_in_want, &scenes[i]) > 20);
    }
    server_stop(server);
}

/* A handle that served one endpoint is turned to another while there is no memory for it. */
static void turn_in_want(void *argument)
{
    const struct scene *scene = argument;
    const char *reason = NULL;
    allow_all();
    struct scene first = {scene->server, "/ok", FAILURE_NONE, 200, 0};
    struct engine *engine = engine_new(&reason);
    struct endpoint *one = endpoint_for(&first);
    struct endpoint *other = endpoint_for(scene);
    CHECK_EXCHANGE(engine, one, FAILURE_NONE, 200);
    arm();
    submit_and_take(engine, other, scene);
    allow_all();
    CHECK_EXCHANGE(engine, other, scene->failure, scene->status);
    CHECK_EXCHANGE(engine, other, scene->failure, scene->status);
    CHECK_EXCHANGE(engine, one, FAILURE_NONE, 200);
    engine_free(engine);
    endpoint_release(one);
    endpoint_release(other);
}

static void turning_survives_every_refusal(void)
{
    struct server *server = server_start(plans, sizeof plans / sizeof plans[0]);
    struct scene scene = {server, "/refused", FAILURE_INVALID_SIGNATURE, 422, 0};
    CHECK(refuse_in_turn(turn_in_want, &scene) > 10);
    server_stop(server);
}

static size_t submit_eight(struct engine *engine, struct endpoint *endpoint)
{
    size_t submitted = 0;
    for (int i = 0; i < 8; i++) {
        struct request *request = sign_request(endpoint);
        if (request != NULL && engine_submit(engine, request)) {
            submitted++;
        } else if (request != NULL) {
            endpoint_withdraw(endpoint, request->length);
            request_free(request);
        }
    }
    return submitted;
}

static void take_all(struct engine *engine, size_t submitted)
{
    size_t taken = 0;
    for (struct request *answer; (answer = engine_take(engine)) != NULL; taken++) {
        request_free(answer);
    }
    CHECK_SIZE(taken, submitted);
}

/* Several at once, waited for or stopped in the middle: all that were submitted come back. */
static void deliver_many_in_want(const struct scene *scene, bool stopped)
{
    const char *reason = NULL;
    struct engine *engine = engine_new(&reason);
    struct endpoint *endpoint = endpoint_for(scene);
    if (engine != NULL && endpoint != NULL) {
        size_t submitted = submit_eight(engine, endpoint);
        if (stopped) {
            (void)engine_wait(engine, 0.001);
        } else {
            for (size_t left = submitted; left > 0; left--) {
                request_free(next_answer(engine));
            }
            submitted = 0;
        }
        engine_stop(engine);
        take_all(engine, submitted);
        CHECK_SIZE(endpoint->pending, 0);
    }
    engine_free(engine);
    endpoint_release(endpoint);
}

/* How many allocations there are depends on the threads, so their number is fixed beforehand. */
static void many_requests_survive_every_refusal(void)
{
    struct server *server = server_start(plans, sizeof plans / sizeof plans[0]);
    struct scene scene = {server, "/ok", FAILURE_NONE, 200, 0};
    for (long allowed = 0; allowed < 250; allowed++) {
        CHECK_NOTE("allocation %ld refused", allowed + 1);
        atomic_store(&round_number, allowed);
        arm();
        deliver_many_in_want(&scene, allowed % 2 == 0);
        allow_all();
        CHECK_INT(atomic_load(&live), 0);
    }
    server_stop(server);
}

/* ---- one blocking exchange ---- */

struct question {
    struct http_request request;
    bool answered; /* when nothing is refused */
};

static void ask_in_want(void *argument)
{
    const struct question *question = argument;
    struct http_answer answer = {0};
    bool fine = http_exchange(&question->request, &answer);
    CHECK(fine == question->answered || (!fine && atomic_load(&refusals) > 0));
    CHECK(fine ? answer.status == 200 : answer.reason[0] != '\0');
    CHECK(fine || (answer.head.memory == NULL && answer.body.memory == NULL));
    http_release(&answer);
}

static void exchange_survives_every_refusal(void)
{
    static const char *const headers[] = {"X-One: 1", "X-Two: 2"};
    struct server *server = server_start(plans, sizeof plans / sizeof plans[0]);
    struct exchange_url fine = url_at(server->port, "/ok");
    struct exchange_url closing = url_at(server->port, "/closes");
    struct question questions[] = {{{.url = fine.text}, true}, {{.url = closing.text}, false}};
    for (size_t i = 0; i < sizeof questions / sizeof questions[0]; i++) {
        struct http_request *request = &questions[i].request;
        request->method = "PUT";
        request->body = "{}";
        request->body_length = 2;
        request->headers = headers;
        request->header_count = 2;
        request->timeout = 3;
        request->limit = 100;
        CHECK(refuse_in_turn(ask_in_want, &questions[i]) > 20);
    }
    server_stop(server);
}

static const struct check_case cases[] = {
    CHECK_CASE(transfer_survives_every_refusal), CHECK_CASE(engine_survives_every_refusal),
    CHECK_CASE(turning_survives_every_refusal),  CHECK_CASE(many_requests_survive_every_refusal),
    CHECK_CASE(exchange_survives_every_refusal),
};

int main(int count, char **names)
{
    return REFUSALS_RUN(cases, count, names);
}
