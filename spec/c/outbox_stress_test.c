/*
 * Engines in several threads on one outbox in a SQLite file: each submits, asks, cancels, stops and
 * begins again. Whatever is stored arrives, and a lane's messages in the order of their storing.
 */

#include "engine.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h> /* rmdir(2) unlink(2) */

#include "check.h"
#include "command.h"
#include "exchange.h"
#include "random.h"
#include "store_sqlite.h"

#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

enum { THREADS = 3, MESSAGES = 300, LANES = 7 };

static const struct server_plan plans[] = {{.path = "/ok", .text = OK}};

static char path[64];
static struct server *server;

/* A thread's; what it checks is said once it has been joined. */
struct user {
    pthread_t thread;
    unsigned number;
    struct engine *engine;
    struct endpoint *endpoint;
    struct random random;
    bool stored[MESSAGES];
    unsigned taken; /* of its messages */
    unsigned failed;
    unsigned asked;
    unsigned answered;
    bool is_late;
    bool is_wrong;
};

static struct user users[THREADS];

static struct endpoint *outboxed_endpoint(void)
{
    struct exchange_url url = url_at(server->port, "/ok");
    struct endpoint_settings settings = usual_settings(url.text);
    struct hmac *key = hmac_new("token", 5);
    settings.outbox = (struct endpoint_outbox){
        .driver = &store_sqlite, .path = path, .source = "source", .key = key};
    settings.outbox.is_process_only = true;
    struct endpoint *endpoint = endpoint_new(&settings);
    hmac_free(key);
    return endpoint;
}

/* The body says who, and the how-manieth; each user has lanes of its own. */
static void submit_to(struct user *user, unsigned number)
{
    char lane[16];
    char body[24];
    (void)snprintf(lane, sizeof lane, "%u/%u", user->number, number % LANES);
    int length = snprintf(body, sizeof body, "%u", 1 + user->number * MESSAGES + number);
    struct request *request = request_in_lane(user->endpoint, body, (size_t)length, lane);
    request->ticket = 1 + number;
    request->deadline = request->submitted + EXCHANGE_DEADLINE;
    if (!engine_submit(user->engine, request)) {
        endpoint_withdraw(request->endpoint, request->length);
        request_free(request);
        user->is_wrong = true;
    }
}

static void ask(struct user *user, enum command_kind kind)
{
    struct request *request = command_request(user->endpoint, kind);
    if (request != NULL && engine_submit(user->engine, request)) {
        user->asked++;
    } else {
        request_free(request);
        user->is_wrong = true;
    }
}

static void take(struct user *user)
{
    for (struct request *request; (request = engine_take(user->engine)) != NULL;) {
        if (request->verb == REQUEST_COMMAND) {
            user->answered += request->command->kind < COMMAND_DIED;
            if (request->command->kind >= COMMAND_DIED) {
                command_dismiss(request);
            }
        } else {
            user->stored[request->ticket - 1] = request->is_stored;
            user->failed += !request->is_stored;
            user->taken++;
        }
        request_free(request);
    }
}

static void take_all(struct user *user, unsigned taken)
{
    double until = clock_now() + 60;
    while ((user->taken < taken || user->answered < user->asked) && clock_now() < until) {
        (void)engine_wait(user->engine, 0.01);
        take(user);
    }
    user->is_late = user->is_late || user->taken != taken || user->answered != user->asked;
}

/* What closes is made anew: an endpoint that has left does not come back. */
static void interrupt(struct user *user, unsigned submitted)
{
    if (random_below(&user->random, 2) == 0) {
        engine_stop(user->engine);
        take_all(user, submitted);
    } else {
        engine_cancel(user->engine, user->endpoint);
        take_all(user, submitted);
    }
    endpoint_release(user->endpoint);
    user->endpoint = outboxed_endpoint();
}

static void *use(void *context)
{
    struct user *user = context;
    user->random.state = user->number + 5;
    for (unsigned i = 0; i < MESSAGES; i++) {
        submit_to(user, i);
        if (i % 40 == 39) {
            ask(user, COMMAND_FIGURES);
        }
        if (i % 20 == 19) {
            take_all(user, i + 1);
        }
        const struct endpoint_figures figures = endpoint_figures(user->endpoint);
        user->is_wrong = user->is_wrong || figures.accepted < figures.delivered;
        take(user);
        if (i % 100 == 90) { /* in the midst of ten or so */
            interrupt(user, i + 1);
        }
    }
    ask(user, COMMAND_BEGIN);
    take_all(user, MESSAGES);
    return NULL;
}

static uint64_t pending(void)
{
    const struct store_settings settings = {
        .path = path, .is_process_only = true, .lease_seconds = 10, .owner = "judge"};
    struct store_problem problem;
    struct store_figures figures = {.pending = UINT64_MAX};
    struct store *store = store_sqlite.open(&settings, &problem);
    if (store != NULL) {
        (void)store_sqlite.figures(store, "source", &figures, &problem);
        store_sqlite.close(store);
    }
    return figures.pending + figures.dead;
}

/* All that was stored arrived, in order; nothing that was refused did without being stored. */
static void judge(const struct user *user)
{
    unsigned long last[LANES] = {0};
    static bool has_come[THREADS * MESSAGES + 1];
    (void)pthread_mutex_lock(&server->lock);
    for (size_t i = 0; i < server->order_length; i++) {
        unsigned long number = server->order[i];
        if (number == 0 || (number - 1) / MESSAGES != user->number || has_come[number]) {
            continue; /* another's, or once more */
        }
        has_come[number] = true;
        CHECK_NOTE("message %lu", number);
        CHECK(number > last[(number - 1) % MESSAGES % LANES]);
        last[(number - 1) % MESSAGES % LANES] = number;
    }
    (void)pthread_mutex_unlock(&server->lock);
    for (unsigned i = 0; i < MESSAGES; i++) {
        CHECK_NOTE("message %u of user %u", i, user->number);
        CHECK(!user->stored[i] || has_come[1 + user->number * MESSAGES + i]);
    }
    CHECK_NOTE("user %u", user->number);
    CHECK(!user->is_late);
    CHECK(!user->is_wrong);
    CHECK_INT(user->taken, MESSAGES);
}

static void remove_files(const char *folder)
{
    static const char *const ends[] = {"", "-wal", "-shm", "-lock"};
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        char name[80];
        (void)snprintf(name, sizeof name, "%s%s", path, ends[i]);
        (void)unlink(name);
    }
    CHECK_INT(rmdir(folder), 0);
}

static void engines_in_threads_share_an_outbox(void)
{
    char folder[] = "/tmp/sendapi-outbox-XXXXXX";
    CHECK(mkdtemp(folder) != NULL);
    (void)snprintf(path, sizeof path, "%s/outbox.db", folder);
    server = server_start(plans, 1);
    for (unsigned i = 0; i < THREADS; i++) {
        users[i] = (struct user){.number = i, .engine = new_engine()};
        users[i].endpoint = outboxed_endpoint();
        CHECK_INT(pthread_create(&users[i].thread, NULL, use, &users[i]), 0);
    }
    unsigned failed = 0;
    for (unsigned i = 0; i < THREADS; i++) {
        (void)pthread_join(users[i].thread, NULL);
        failed += users[i].failed;
    }
    double until = clock_now() + 60;
    while (pending() > 0 && clock_now() < until) {
        server_pause(20000);
    }
    CHECK_SIZE(pending(), 0);
    for (unsigned i = 0; i < THREADS; i++) {
        take(&users[i]);
        engine_free(users[i].engine);
        endpoint_release(users[i].endpoint);
    }
    CHECK(failed < THREADS * MESSAGES / 4);
    for (unsigned i = 0; i < THREADS; i++) {
        judge(&users[i]);
    }
    server_stop(server);
    remove_files(folder);
}

static const struct check_case cases[] = {
    CHECK_CASE(engines_in_threads_share_an_outbox),
};

int main(int count, char **names)
{
    return CHECK_RUN(cases, count, names);
}
