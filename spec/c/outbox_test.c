/*
 * The outbox with a store in memory, servers and clocks that are made up, and processes that are
 * no processes: each has a scheduler and an outbox of its own on the one store.
 */

#include "outbox.h"

#include <math.h> /* INFINITY */
#include <stdio.h>

#include "check.h"
#include "faulty_store.h"
#include "memory_store.h"
#include "random.h"

enum {
    MOST = 12000,     /* messages of a test */
    CONNECTIONS = 16, /* of an endpoint */
    LANES = 10,
    ON_WAY = 64,
};

static const double EPOCH = 1700000000; /* the time of day when the clock is 0 */
static const double DAY = 86400;

/* ---- the server ---- */

enum answer {
    ANSWER_OK,
    ANSWER_DOWN,
    ANSWER_FAILING,
    ANSWER_LOST,
    ANSWER_BAD_TOKEN,
    ANSWER_BAD_MESSAGE
};

struct sent {
    unsigned times;
    unsigned first; /* its place among all that came for the first time, from 1 */
};

static struct {
    struct sent sent[MOST + 1];
    unsigned arrivals;
    unsigned requests;
    double latency;
    size_t most_at_once; /* on their way */
    unsigned bad;        /* this message is refused */
    unsigned failing;    /* the messages up to this one are answered by a 500 */
    bool is_down;        /* no connection */
    const char *token;   /* the right one; NULL: any */
    unsigned lost;       /* of so many answers one gets lost; 0: none */
    bool is_overlapping; /* two processes had something on its way at once */
    struct random random;
} server;

static unsigned number_of(struct request *request)
{
    char text[MEMORY_TEXT] = "";
    memcpy(text, request_body(request), request->length);
    return (unsigned)strtoul(text, NULL, 10);
}

static bool is_signed(struct request *request, const char *token)
{
    unsigned char expected[HMAC_BYTES];
    struct hmac *hmac = hmac_new(token, strlen(token));
    bool fine = hmac_digest(hmac, request_body(request), request->length, expected) &&
                memcmp(expected, request->signature, HMAC_BYTES) == 0;
    hmac_free(hmac);
    return fine;
}

static void arrive(unsigned number)
{
    struct sent *sent = &server.sent[number];
    if (sent->times++ == 0) {
        sent->first = ++server.arrivals;
    }
}

static enum answer answer_to(struct request *request)
{
    unsigned number = number_of(request);
    server.requests++;
    if (server.is_down) {
        return ANSWER_DOWN;
    }
    if (number <= server.failing) {
        return ANSWER_FAILING;
    }
    if (server.token != NULL && !is_signed(request, server.token)) {
        return ANSWER_BAD_TOKEN;
    }
    if (server.bad != 0 && number == server.bad) {
        return ANSWER_BAD_MESSAGE;
    }
    arrive(number);
    return server.lost > 0 && random_below(&server.random, server.lost) == 0 ? ANSWER_LOST
                                                                             : ANSWER_OK;
}

/* ---- processes ---- */

struct on_way {
    struct request *request;
    double ends;
};

struct process {
    bool is_alive;
    double stalled_until;
    struct scheduler scheduler;
    struct outbox outbox;
    struct endpoint *endpoint;
    struct on_way on_way[ON_WAY];
    size_t count;
};

enum { PROCESSES = 3 };

static struct process processes[PROCESSES];
static const struct store_driver *driver = &memory_driver;
static double now;
static double jump; /* of the time of day */
static bool confirmed[MOST + 1];
static unsigned refused; /* came back with FAILURE_STORAGE */
static unsigned notices[COMMAND_TROUBLED + 1];
static struct request *answered; /* the last command that was */

static struct moment moment(void)
{
    kept.now = now;
    return (struct moment){.now = now, .wall = EPOCH + now + jump};
}

static struct endpoint *new_endpoint(const char *token)
{
    struct hmac *key = hmac_new(token, strlen(token));
    struct endpoint *endpoint = endpoint_new(&(struct endpoint_settings){
        .url = "http://127.0.0.1/",
        .connections = CONNECTIONS,
        .max_pending = SIZE_MAX,
        .max_pending_bytes = SIZE_MAX,
        .policy = {.attempts = 1},
        .outbox = {.driver = driver, .path = "memory", .source = "source", .key = key},
    });
    hmac_free(key);
    return endpoint;
}

static struct request *command(struct endpoint *endpoint, enum command_kind kind)
{
    return command_request(endpoint, kind);
}

static void accept(struct process *process, struct request *request)
{
    if (outbox_wants(request)) {
        outbox_accept(&process->outbox, request, moment());
    } else {
        scheduler_accept(&process->scheduler, request, now);
    }
}

static void start(struct process *process, const char *token)
{
    *process = (struct process){.is_alive = true};
    scheduler_init(&process->scheduler, 7 + (uint64_t)(process - processes));
    outbox_init(&process->outbox, &process->scheduler, 1);
    process->endpoint = new_endpoint(token);
    accept(process, command(process->endpoint, COMMAND_BEGIN));
}

static void begin(void)
{
    free(kept.rows);
    free(kept.log);
    memset(&kept, 0, sizeof kept);
    memset(&server, 0, sizeof server);
    memset(confirmed, 0, sizeof confirmed);
    memset(notices, 0, sizeof notices);
    server.random.state = 42;
    server.latency = 0.01;
    now = 0;
    jump = 0;
    refused = 0;
    start(&processes[0], "token");
}

static void take_finished(struct process *process)
{
    struct request *last;
    struct request *request = outbox_finished(&process->outbox, &last);
    while (request != NULL) {
        struct request *next = request->next;
        if (request->verb != REQUEST_COMMAND) {
            bool is_fine = request->outcome.failure == FAILURE_NONE;
            CHECK(is_fine == request->is_stored);
            confirmed[number_of(request)] = is_fine;
            refused += !is_fine;
            request_free(request);
        } else if (request->command->kind >= COMMAND_DIED) {
            notices[request->command->kind]++;
            command_dismiss(request);
            request_free(request);
        } else {
            request_free(answered);
            answered = request;
        }
        request = next;
    }
}

static void judge_overlap(void)
{
    unsigned busy = 0;
    for (size_t i = 0; i < PROCESSES; i++) {
        busy += processes[i].is_alive && processes[i].count > 0;
    }
    server.is_overlapping = server.is_overlapping || busy > 1;
}

static void set_outcome(struct request *request, enum answer answer)
{
    static const struct outcome outcomes[] = {
        [ANSWER_OK] = {.failure = FAILURE_NONE, .status = 200},
        [ANSWER_DOWN] = {.failure = FAILURE_CONNECTION_REFUSED, .unreached = true},
        [ANSWER_FAILING] = {.failure = FAILURE_SERVER_ERROR, .status = 500},
        [ANSWER_LOST] = {.failure = FAILURE_TIMEOUT},
        [ANSWER_BAD_TOKEN] = {.failure = FAILURE_INVALID_SIGNATURE, .status = 422},
        [ANSWER_BAD_MESSAGE] = {.failure = FAILURE_REFUSED, .status = 422},
    };
    unsigned attempts = request->outcome.attempts + 1;
    request_reset_outcome(request);
    request->outcome = outcomes[answer];
    request->outcome.attempts = attempts;
    request->outcome.retry_after = -1;
}

static void finish_transfers(struct process *process)
{
    for (size_t i = 0; i < process->count;) {
        if (process->on_way[i].ends > now) {
            i++;
            continue;
        }
        struct request *request = process->on_way[i].request;
        process->on_way[i] = process->on_way[--process->count];
        set_outcome(request, answer_to(request));
        scheduler_answered(&process->scheduler, request, now);
    }
}

static void start_transfers(struct process *process)
{
    struct request *request;
    while (process->count < ON_WAY &&
           (request = scheduler_next(&process->scheduler, now)) != NULL) {
        double spread = (double)random_below(&server.random, 100) / 100;
        process->on_way[process->count++] =
            (struct on_way){request, now + server.latency * (0.5 + spread)};
    }
}

/* The order of traffic_step. */
static void step(struct process *process)
{
    if (!process->is_alive || now < process->stalled_until) {
        return;
    }
    scheduler_advance(&process->scheduler, now);
    bool is_first = outbox_is_pressing(&process->outbox, now);
    if (is_first) {
        outbox_step(&process->outbox, moment());
    }
    start_transfers(process);
    if (!is_first) {
        outbox_step(&process->outbox, moment());
    }
    server.most_at_once =
        process->count > server.most_at_once ? process->count : server.most_at_once;
    judge_overlap();
    finish_transfers(process);
    take_finished(process);
}

/* When anything happens next, at most so much later. */
static double next_event(double most)
{
    double wait = most;
    for (size_t i = 0; i < PROCESSES; i++) {
        struct process *process = &processes[i];
        if (!process->is_alive) {
            continue;
        }
        double idle = scheduler_idle(&process->scheduler, now, wait);
        idle = outbox_idle(&process->outbox, now, idle);
        for (size_t k = 0; k < process->count; k++) {
            double left = process->on_way[k].ends - now;
            idle = left < idle ? left : idle;
        }
        if (now < process->stalled_until) {
            idle = process->stalled_until - now;
        }
        wait = idle < wait ? idle : wait;
    }
    return wait > 1e-4 ? wait : 1e-4;
}

static void run(double seconds)
{
    double end = now + seconds;
    while (now < end) {
        for (size_t i = 0; i < PROCESSES; i++) {
            step(&processes[i]);
        }
        now += next_event(end - now);
    }
}

/* As a kill -9: nothing is written any more; what was on its way may have arrived. */
static void die(struct process *process, bool is_killed)
{
    char holder[sizeof kept.holder];
    memcpy(holder, kept.holder, sizeof holder);
    bool fails = kept.fails_to_end;
    kept.fails_to_end = fails || is_killed;
    scheduler_close(&process->scheduler, NULL, now);
    while (process->count > 0) {
        struct request *request = process->on_way[--process->count].request;
        if (is_killed && random_below(&server.random, 2) == 0) {
            (void)answer_to(request);
        }
        request_reset_outcome(request);
        request->outcome.failure = FAILURE_CLOSED;
        scheduler_answered(&process->scheduler, request, now);
    }
    outbox_close(&process->outbox, moment());
    take_finished(process);
    kept.fails_to_end = fails;
    if (is_killed) { /* its lease has to run out */
        memcpy(kept.holder, holder, sizeof holder);
    }
    scheduler_release(&process->scheduler);
    endpoint_release(process->endpoint);
    process->is_alive = false;
}

static void end(void)
{
    for (size_t i = 0; i < PROCESSES; i++) {
        if (processes[i].is_alive) {
            die(&processes[i], false);
        }
    }
    CHECK_SIZE(kept.opened, 0);
    request_free(answered);
    answered = NULL;
}

static struct request *new_message(struct process *process, unsigned number, unsigned lane)
{
    char text[MEMORY_TEXT];
    char key[MEMORY_TEXT];
    struct buffer buffer;
    int length = snprintf(text, sizeof text, "%u", number);
    int key_length = lane > 0 ? snprintf(key, sizeof key, "lane %u", lane) : 0;
    buffer_init(&buffer, REQUEST_FRONT, MEMORY_TEXT);
    buffer_append(&buffer, text, (size_t)length);
    struct request *request =
        request_from_buffer(&buffer, process->endpoint, key, (size_t)key_length);
    request->submitted = now;
    request->deadline = now + 60;
    return request;
}

static void send_message(struct process *process, unsigned number)
{
    accept(process, new_message(process, number, 1 + number % LANES));
}

static void send_messages(unsigned from, unsigned to)
{
    for (unsigned number = from; number <= to; number++) {
        send_message(&processes[0], number);
    }
}

/* ---- the judge ---- */

static bool is_in_store(unsigned number)
{
    for (size_t i = 0; i < kept.count; i++) {
        if (strtoul(kept.rows[i].body, NULL, 10) == number) {
            return true;
        }
    }
    return false;
}

/* Nothing confirmed is lost, and a lane's messages came in the order of their appending. Returns the
 * duplicates. */
static unsigned judge(unsigned last)
{
    unsigned before[LANES] = {0};
    unsigned duplicates = 0;
    for (unsigned number = 1; number <= last; number++) {
        CHECK_NOTE("message %u", number);
        CHECK(!confirmed[number] || server.sent[number].times > 0 || is_in_store(number));
    }
    for (size_t i = 0; i < kept.logged; i++) {
        const struct sent *sent = &server.sent[kept.log[i]];
        size_t lane = kept.log[i] % LANES;
        CHECK_NOTE("message %lu", kept.log[i]);
        if (sent->times > 0) {
            CHECK(sent->first > before[lane]);
            before[lane] = sent->first;
            duplicates += sent->times - 1;
        }
    }
    CHECK_NOTE("%s", "");
    return duplicates;
}

static size_t count_rows(bool is_dead)
{
    size_t count = 0;
    for (size_t i = 0; i < kept.count; i++) {
        count += kept.rows[i].is_dead == is_dead;
    }
    return count;
}

static void check_figures(uint64_t accepted, uint64_t delivered, uint64_t dead, uint64_t pending)
{
    const struct endpoint_figures figures = endpoint_figures(processes[0].endpoint);
    CHECK_SIZE(figures.accepted, accepted);
    CHECK_SIZE(figures.delivered, delivered);
    CHECK_SIZE(figures.dead, dead);
    CHECK_SIZE(figures.pending, pending);
    CHECK_SIZE(figures.accepted,
               figures.delivered + figures.discarded + figures.dead + figures.pending);
}

/* ---- cases ---- */

static void what_is_accepted_is_stored_and_delivered(void)
{
    begin();
    send_message(&processes[0], 1);
    step(&processes[0]);
    CHECK(confirmed[1]);
    CHECK_INT(server.requests, 0);
    run(1);
    CHECK_INT(judge(1), 0);
    CHECK_INT(server.sent[1].times, 1);
    CHECK_SIZE(kept.count, 0);
    end();
}

static void what_comes_together_is_one_transaction_of_at_most_a_batch(void)
{
    begin();
    unsigned count = 2 * OUTBOX_BATCH + 44;
    for (unsigned i = 1; i <= count; i++) {
        send_message(&processes[0], i);
    }
    run(5);
    CHECK_INT(kept.appends, 3);
    CHECK_SIZE(kept.largest_append, OUTBOX_BATCH);
    CHECK_INT(server.arrivals, count);
    CHECK_INT(judge(count), 0);
    end();
}

static void typing_is_not_stored(void)
{
    begin();
    struct request *typing = new_message(&processes[0], 1, 1);
    typing->ephemeral = true;
    CHECK(!outbox_wants(typing));
    struct request *skipped = new_message(&processes[0], 2, 1);
    skipped->verb = REQUEST_SKIP;
    CHECK(!outbox_wants(skipped));
    request_free(typing);
    request_free(skipped);
    end();
}

static void what_cannot_be_stored_comes_back_and_says_why(void)
{
    begin();
    kept.fails_to_append = true;
    send_message(&processes[0], 1);
    run(0.1);
    CHECK_INT(refused, 1);
    kept.fails_to_append = false;
    send_message(&processes[0], 2);
    run(1);
    CHECK_INT(server.sent[1].times, 0);
    CHECK_INT(server.sent[2].times, 1);
    end();
}

static void a_store_that_cannot_be_opened_is_tried_again(void)
{
    begin();
    kept.fails_to_open = true;
    send_message(&processes[0], 1);
    run(3);
    CHECK_INT(refused, 1);
    kept.fails_to_open = false;
    run(1.1);
    send_message(&processes[0], 2);
    run(1);
    CHECK_INT(server.sent[2].times, 1);
    end();
}

static void what_a_store_warns_of_is_told_once(void)
{
    begin();
    kept.warning = "it may forget";
    kept.fails_to_open = true;
    run(3.5);
    CHECK_INT(notices[COMMAND_WARNED], 1);
    CHECK_INT(notices[COMMAND_TROUBLED], 1);
    kept.warning = "it may sleep";
    run(3.5);
    CHECK_INT(notices[COMMAND_WARNED], 2);
    CHECK_INT(notices[COMMAND_TROUBLED], 1);
    kept.fails_to_open = false;
    run(1.1);
    CHECK_INT(notices[COMMAND_WARNED], 2);
    end();
}

static void each_durability_has_a_store(void)
{
    begin();
    run(0.1);
    CHECK_INT(kept.opened, 1);
    struct endpoint *full = processes[0].endpoint;
    struct endpoint_settings settings = full->settings;
    struct hmac *key = hmac_new("token", 5);
    settings.outbox.key = key;
    settings.outbox.is_process_only = true;
    struct endpoint *hasty = endpoint_new(&settings);
    hmac_free(key);
    accept(&processes[0], command(hasty, COMMAND_BEGIN));
    run(0.1);
    CHECK_INT(kept.opened, 2);
    send_message(&processes[0], 1);
    run(1);
    CHECK_INT(server.sent[1].times, 1); /* one of the two delivers */
    accept(&processes[0], command(hasty, COMMAND_LEAVE));
    run(0.1);
    CHECK_INT(kept.opened, 1);
    endpoint_release(hasty);
    end();
}

static void a_message_that_can_never_succeed_is_a_letter_and_its_lane_goes_on(void)
{
    begin();
    server.bad = 3;
    for (unsigned i = 1; i <= 30; i++) {
        send_message(&processes[0], i);
    }
    run(5);
    CHECK_INT(server.arrivals, 29);
    CHECK_SIZE(count_rows(true), 1);
    CHECK_SIZE(count_rows(false), 0);
    CHECK_TEXT(kept.rows[0].code, "refused");
    check_figures(30, 29, 1, 0);
    CHECK_INT(notices[COMMAND_DIED], 1);
    CHECK_INT(judge(30), 0);
    end();
}

static void a_lane_waits_until_a_death_is_written(void)
{
    begin();
    server.bad = 1;
    kept.fails_to_end = true;
    for (unsigned i = 1; i <= 3; i++) {
        accept(&processes[0], new_message(&processes[0], i, 1));
    }
    run(30);
    CHECK_INT(server.requests, 1);
    CHECK_SIZE(kept.count, 3);
    kept.fails_to_end = false;
    run(5);
    CHECK_INT(server.requests, 3);
    CHECK_INT(server.arrivals, 2);
    CHECK_SIZE(count_rows(true), 1);
    CHECK_SIZE(count_rows(false), 0);
    end();
}

/* The store is tried again only after a while, and a death may come before. */
static void a_lane_waits_for_a_death_though_another_end_has_failed(void)
{
    begin();
    server.bad = 2;
    kept.fails_to_end = true;
    accept(&processes[0], new_message(&processes[0], 1, 2));
    run(0.3);
    CHECK_INT(server.requests, 1);
    CHECK_INT(notices[COMMAND_TROUBLED], 1);
    accept(&processes[0], new_message(&processes[0], 2, 1));
    accept(&processes[0], new_message(&processes[0], 3, 1));
    run(30);
    CHECK_INT(server.requests, 2);
    CHECK_SIZE(kept.count, 3);
    kept.fails_to_end = false;
    run(5);
    CHECK_INT(server.requests, 3);
    CHECK_SIZE(count_rows(true), 1);
    CHECK_SIZE(count_rows(false), 0);
    end();
}

static void ends_are_written_together(void)
{
    begin();
    server.latency = 0.001;
    for (unsigned i = 1; i <= 300; i++) {
        send_message(&processes[0], i);
    }
    run(5);
    CHECK_INT(server.arrivals, 300);
    CHECK_SIZE(kept.count, 0);
    CHECK(kept.ends > 0 && kept.ends <= 2 * 300 / CONNECTIONS);
    end();
}

static void ends_that_cannot_be_written_are_kept_and_nothing_is_sent_again(void)
{
    begin();
    unsigned count = 2 * DELIVERER_ROWS;
    for (unsigned i = 1; i <= count; i++) {
        send_message(&processes[0], i);
    }
    kept.fails_to_end = true;
    run(30);
    CHECK_SIZE(kept.count, count);
    CHECK(server.arrivals >= DELIVERER_ROWS / 2 && server.arrivals <= DELIVERER_ROWS);
    CHECK_INT(notices[COMMAND_TROUBLED], 1);
    kept.fails_to_end = false;
    run(10);
    CHECK_SIZE(kept.count, 0);
    CHECK_INT(judge(count), 0);
    CHECK_INT(server.arrivals, count);
    end();
}

static void a_wrong_token_pauses_and_loses_nothing(void)
{
    begin();
    server.token = "another";
    for (unsigned i = 1; i <= 50; i++) {
        send_message(&processes[0], i);
    }
    run(600);
    CHECK_INT(notices[COMMAND_PAUSED], 1);
    CHECK_INT(notices[COMMAND_DIED], 0);
    CHECK_SIZE(count_rows(false), 50);
    CHECK(server.requests > LANES + 10 && server.requests <= LANES + 20);
    check_figures(50, 0, 0, 50);
    server.token = "token";
    run(61);
    CHECK_INT(notices[COMMAND_RESUMED], 1);
    CHECK_INT(server.arrivals, 50);
    CHECK_INT(judge(50), 0);
    end();
}

static void a_new_token_resumes_at_once(void)
{
    begin();
    server.token = "another";
    for (unsigned i = 1; i <= 50; i++) {
        send_message(&processes[0], i);
    }
    run(600);
    struct endpoint *better = new_endpoint("another");
    accept(&processes[0], command(better, COMMAND_BEGIN));
    run(1);
    CHECK_INT(server.arrivals, 50);
    CHECK_INT(judge(50), 0);
    endpoint_release(better);
    end();
}

static void a_message_that_fails_for_itself_does_not_prolong_a_pause(void)
{
    begin();
    server.token = "another";
    send_messages(1, 60);
    run(5);
    CHECK_INT(notices[COMMAND_PAUSED], 1);
    server.token = "token";
    server.failing = 3;
    run(120);
    CHECK_INT(server.arrivals, 60 - 3 * 6);
    CHECK_INT(notices[COMMAND_RESUMED], 1);
    server.failing = 0;
    run(301);
    CHECK_INT(server.arrivals, 60);
    CHECK_INT(judge(60), 0);
    end();
}

/* What was accepted long ago has not been tried since, and is not sent into an outage one by one. */
static void a_pause_is_not_given_up_in_an_outage(void)
{
    begin();
    server.token = "another";
    send_messages(1, 600);
    run(5);
    jump = 4 * DAY;
    server.is_down = true;
    run(1.5 * DELIVERER_LEAST);
    CHECK(count_rows(true) <= 1);
    server.token = "token";
    server.is_down = false;
    run(400);
    CHECK(server.arrivals >= 599);
    CHECK_INT(judge(600), 0);
    end();
}

/* Whoever delivers is told, though another one was told before. */
static void who_takes_over_a_paused_source_is_told(void)
{
    begin();
    server.token = "right";
    send_messages(1, 30);
    run(60);
    CHECK_INT(notices[COMMAND_PAUSED], 1);
    struct endpoint *other = new_endpoint("another");
    accept(&processes[0], command(other, COMMAND_BEGIN));
    run(60);
    CHECK_INT(notices[COMMAND_PAUSED], 2);
    CHECK_INT(notices[COMMAND_RESUMED], 0);
    server.token = "another";
    run(61);
    CHECK_INT(server.arrivals, 30);
    CHECK_INT(notices[COMMAND_PAUSED], 2);
    CHECK_INT(notices[COMMAND_RESUMED], 1);
    endpoint_release(other);
    end();
}

static void check_failing(bool is_failing, unsigned troubles)
{
    CHECK(endpoint_figures(processes[0].endpoint).is_failing == is_failing);
    CHECK_INT(notices[COMMAND_TROUBLED], troubles);
}

/* Of the holder, and of who waits to be it, though there is nothing to deliver. */
static void a_store_that_is_well_again_is_known_to_be(void)
{
    for (unsigned i = 0; i < 2; i++) {
        CHECK_NOTE("held by %u", i);
        begin();
        if (i == 1) {
            (void)snprintf(kept.holder, sizeof kept.holder, "somebody else");
            kept.lease_until = INFINITY;
        }
        run(5);
        check_failing(false, 0);
        kept.fails_to_lease = true;
        run(5);
        check_failing(true, 1);
        kept.fails_to_lease = false;
        run(5);
        check_failing(false, 1);
        kept.fails_to_lease = true;
        run(5);
        check_failing(true, 2);
        end();
    }
    CHECK_NOTE("%s", "");
}

static void another_endpoint_may_be_forgotten_while_ends_wait(void)
{
    begin();
    kept.fails_to_end = true;
    send_messages(1, 5);
    run(1);
    struct endpoint *other = new_endpoint("token");
    accept(&processes[0], command(other, COMMAND_BEGIN));
    run(1);
    request_free(answered);
    answered = NULL;
    endpoint_release(other);
    end();
}

static void another_process_with_a_better_token_takes_over(void)
{
    begin();
    server.token = "another";
    for (unsigned i = 1; i <= 50; i++) {
        send_message(&processes[0], i);
    }
    run(10);
    start(&processes[1], "another");
    run(5);
    CHECK_INT(server.arrivals, 50);
    CHECK(!server.is_overlapping);
    CHECK_INT(judge(50), 0);
    end();
}

static void a_row_is_tried_for_three_days(void)
{
    begin();
    server.is_down = true;
    send_message(&processes[0], 1);
    run(DELIVERER_GIVE_UP - 400);
    CHECK_SIZE(count_rows(false), 1);
    run(500);
    CHECK_SIZE(count_rows(true), 1);
    CHECK_TEXT(kept.rows[0].code, "connection_refused");
    CHECK(kept.rows[0].attempts > 800); /* every five minutes at most */
    CHECK(kept.rows[0].attempts < 4000);
    end();
}

static void an_old_row_has_its_time_all_the_same(void)
{
    begin();
    server.is_down = true;
    jump = 0;
    send_message(&processes[0], 1);
    run(1);
    die(&processes[0], false);
    jump = 10.0 * DELIVERER_GIVE_UP;
    start(&processes[0], "token");
    run(DELIVERER_LEAST / 2);
    CHECK_SIZE(count_rows(false), 1);
    server.is_down = false;
    run(400);
    CHECK_INT(server.sent[1].times, 1);
    end();
}

/* The time of day is set; what was accepted before and after it is delivered once the server is
 * back. */
static void check_jump(double days, bool is_pause)
{
    CHECK_NOTE("%g days, pause %d", days, is_pause);
    begin();
    server.token = is_pause ? "another" : "token";
    server.is_down = !is_pause;
    send_messages(1, 30);
    run(60);
    jump = days * DAY;
    send_messages(31, 60);
    run(3600);
    jump = 0;
    send_messages(61, 90);
    run(3600);
    CHECK_INT(notices[COMMAND_DIED], 0);
    CHECK_INT(notices[COMMAND_PAUSED], is_pause);
    CHECK_SIZE(count_rows(false), 90);
    server.token = "token";
    server.is_down = false;
    run(is_pause ? 61 : 301);
    CHECK_INT(server.arrivals, 90);
    CHECK_INT(judge(90), 0);
    CHECK_SIZE(kept.count, 0);
    end();
}

static void the_time_of_day_may_be_set(void)
{
    static const double days[] = {0.5, 4, 3650, -0.5, -4, -3650};
    for (size_t i = 0; i < sizeof days / sizeof days[0]; i++) {
        check_jump(days[i], false);
        check_jump(days[i], true);
    }
    CHECK_NOTE("%s", "");
}

/* Its time is in the future, and does not keep it for ever. */
static void a_row_of_tomorrow_is_given_up_as_others_are(void)
{
    begin();
    server.is_down = true;
    jump = 3650 * DAY;
    send_message(&processes[0], 1);
    run(1);
    die(&processes[0], false);
    jump = 0;
    start(&processes[0], "token");
    run(DELIVERER_GIVE_UP - 400);
    CHECK_SIZE(count_rows(false), 1);
    run(500);
    CHECK_SIZE(count_rows(true), 1);
    end();
}

/* A dead source gets its tokens' worth of attempts, then a probe a second, one at a time. */
static void live_through_outage(unsigned tokens, unsigned seconds)
{
    unsigned before = server.requests;
    server.is_down = true;
    run(20);
    CHECK(server.requests - before <= tokens + CONNECTIONS + 2 * 20);
    server.most_at_once = 0;
    for (unsigned past = 20; past < seconds; past += 10) {
        before = server.requests;
        run(10);
        CHECK(server.requests - before <= 20);
    }
    CHECK(server.most_at_once <= 1);
    server.is_down = false;
}

/* The first answer is a probe's; until then nothing else goes. */
static void come_back(void)
{
    unsigned before = server.requests;
    while (server.requests == before) {
        run(0.001);
        CHECK(processes[0].count <= 1);
    }
}

static void an_outage_is_drained_without_a_burst(void)
{
    begin();
    for (unsigned i = 1; i <= 10000; i++) {
        send_message(&processes[0], i);
    }
    live_through_outage(RETRY_TOKENS, 600);
    CHECK_SIZE(count_rows(false), 10000);
    unsigned before = server.requests;
    come_back();
    run(2);
    CHECK(server.arrivals > 100 && server.arrivals < 9000);
    CHECK(server.most_at_once <= CONNECTIONS);
    CHECK_INT(server.requests - before, server.arrivals);
    live_through_outage(RETRY_TOKENS, 120); /* once more, in the midst of it */
    before = server.requests - server.arrivals;
    come_back();
    run(400);
    CHECK_INT(server.arrivals, 10000);
    CHECK_INT(server.requests - before, 10000); /* nothing fails any more */
    CHECK(server.most_at_once <= CONNECTIONS);
    CHECK_INT(judge(10000), 0);
    CHECK_SIZE(kept.count, 0);
    end();
}

static void others_appends_are_heard_within_a_moment(void)
{
    begin();
    run(1);
    start(&processes[1], "token");
    run(1);
    send_message(&processes[1], 1);
    step(&processes[1]);
    CHECK(confirmed[1]);
    run(0.065); /* 40 ms, and what the exchange takes */
    CHECK_INT(server.sent[1].times, 1);
    CHECK_INT(judge(1), 0);
    end();
}

static void nothing_is_written_while_idle(void)
{
    begin();
    send_message(&processes[0], 1);
    run(1);
    unsigned appends = kept.appends;
    unsigned ends = kept.ends;
    unsigned reads = kept.reads;
    unsigned looks = kept.looks;
    unsigned idles = kept.idles;
    run(100);
    CHECK_INT(kept.appends, appends);
    CHECK_INT(kept.ends, ends);
    CHECK_INT(kept.reads, reads);
    CHECK(kept.looks - looks > 2000 && kept.looks - looks <= 2501);
    CHECK(kept.idles - idles >= 90 && kept.idles - idles <= 101);
    end();
}

static void a_killed_deliverer_is_replaced(void)
{
    begin();
    start(&processes[1], "token");
    for (unsigned i = 1; i <= 500; i++) {
        send_message(&processes[0], i);
    }
    run(0.05);
    size_t on_way = processes[0].count;
    die(&processes[0], true);
    run(15);
    CHECK_INT(server.arrivals, 500);
    CHECK(judge(500) < on_way + CONNECTIONS);
    CHECK(!server.is_overlapping);
    end();
}

static void a_dead_holder_of_a_file_lock_is_replaced_at_once(void)
{
    memory_driver.frees_at_death = true;
    begin();
    run(1);
    start(&processes[1], "token");
    run(1.3);
    die(&processes[0], true);
    memset(kept.holder, 0, sizeof kept.holder); /* the system frees it */
    run(0.05);
    CHECK(kept.holder[0] != '\0');
    end();
    memory_driver.frees_at_death = false;
}

static void a_stalled_deliverer_is_fenced(void)
{
    begin();
    start(&processes[1], "token");
    run(1);
    for (unsigned i = 1; i <= 2000; i++) {
        send_message(&processes[0], i);
    }
    server.latency = 0.1;
    run(0.2);
    size_t on_way = processes[0].count;
    CHECK(on_way > 0);
    processes[0].stalled_until = now + 12;
    run(11.5);
    CHECK(processes[1].count > 0);
    run(60);
    CHECK_INT(server.arrivals, 2000);
    CHECK(judge(2000) <= CONNECTIONS + DELIVERER_ROWS);
    CHECK_SIZE(kept.count, 0);
    end();
}

/* What was delivered before it went has an end to be written, whoever has the lease. */
static void a_store_that_is_away_beyond_the_lease_has_nothing_sent_twice(void)
{
    begin();
    send_messages(1, 600);
    run(0.05);
    kept.fails_to_end = kept.fails_to_lease = kept.fails_to_read = true;
    run(30);
    CHECK(server.arrivals > 10 * CONNECTIONS);
    kept.fails_to_end = kept.fails_to_lease = kept.fails_to_read = false;
    run(30);
    CHECK_INT(judge(600), 0);
    CHECK_SIZE(kept.count, 0);
    end();
}

/* Its retries were due meanwhile. */
static void a_stalled_deliverer_sends_nothing_once_its_lease_has_run_out(void)
{
    begin();
    start(&processes[1], "token");
    run(1);
    server.is_down = true;
    send_messages(1, 8);
    run(1);
    while (processes[0].count > 0) {
        run(0.01);
    }
    processes[0].stalled_until = now + 20;
    server.is_down = false;
    run(19.5);
    CHECK_INT(server.arrivals, 8);
    CHECK_INT(judge(8), 0);
    run(5);
    CHECK_INT(judge(8), 0);
    end();
}

static void a_lane_that_fails_does_not_fill_the_window(void)
{
    begin();
    unsigned lane = 2 * DELIVERER_ROWS;
    server.failing = 1;
    accept(&processes[0], new_message(&processes[0], 1, 1));
    for (unsigned i = 2; i <= lane; i++) {
        accept(&processes[0], new_message(&processes[0], i, 1));
    }
    for (unsigned i = lane + 1; i <= lane + 1000; i++) {
        accept(&processes[0], new_message(&processes[0], i, 2 + i % LANES));
    }
    run(60);
    CHECK_INT(server.arrivals, 1000);
    CHECK_INT(server.sent[2].times, 0);
    server.failing = 0;
    run(400);
    CHECK_INT(server.arrivals, lane + 1000);
    for (unsigned i = 2; i <= lane; i++) {
        CHECK(server.sent[i].first > server.sent[i - 1].first && server.sent[i].times == 1);
    }
    end();
}

/* As many lanes as `lanes`, whose heads fail, `deep` messages in each; then healthy ones. */
static void fill_failing_lanes(unsigned lanes, unsigned deep, unsigned healthy)
{
    unsigned next = 0;
    server.failing = lanes;
    for (unsigned i = 0; i < lanes * deep; i++) {
        next++;
        accept(&processes[0], new_message(&processes[0], next, 1 + i % lanes));
    }
    for (unsigned i = 0; i < healthy; i++) {
        next++;
        accept(&processes[0], new_message(&processes[0], next, 1 + lanes + i % LANES));
    }
}

static void check_lanes_in_order(unsigned lanes, unsigned deep)
{
    for (unsigned i = lanes + 1; i <= lanes * deep; i++) {
        CHECK_NOTE("message %u", i);
        CHECK(server.sent[i].times == 1 && server.sent[i].first > server.sent[i - lanes].first);
    }
    CHECK_NOTE("%s", "");
}

static void many_lanes_that_fail_do_not_stop_the_others(void)
{
    static const unsigned failing[] = {DELIVERER_ROWS / 2 + 1, DELIVERER_ROWS - 1,
                                       DELIVERER_WAITING};
    for (size_t i = 0; i < sizeof failing / sizeof failing[0]; i++) {
        CHECK_NOTE("%u lanes", failing[i]);
        begin();
        fill_failing_lanes(failing[i], 3, 500);
        run(1500);
        CHECK_INT(server.arrivals, 500);
        CHECK_SIZE(count_rows(false), 3 * failing[i]);
        server.failing = 0;
        run(400);
        CHECK_INT(server.arrivals, 500 + 3 * failing[i]);
        check_lanes_in_order(failing[i], 3);
        end();
    }
}

static void letters_are_listed_retried_and_discarded(void)
{
    begin();
    server.bad = 1;
    send_message(&processes[0], 1);
    send_message(&processes[0], 2);
    run(1);
    accept(&processes[0], command(processes[0].endpoint, COMMAND_FIGURES));
    run(0.1);
    CHECK_INT(answered->command->figures.dead, 1);
    struct request *letters = command(processes[0].endpoint, COMMAND_LETTERS);
    letters->command->limit = 10;
    accept(&processes[0], letters);
    run(0.1);
    CHECK_SIZE(answered->command->count, 1);
    CHECK_TEXT(answered->command->letters->letter.code, "refused");
    CHECK_TEXT(answered->command->letters->letter.row.body, "1");
    server.bad = 0;
    accept(&processes[0], command(processes[0].endpoint, COMMAND_RETRY));
    run(1);
    CHECK_SIZE(answered->command->count, 1);
    CHECK_INT(server.sent[1].times, 1);
    server.bad = 3;
    send_message(&processes[0], 3);
    run(1);
    accept(&processes[0], command(processes[0].endpoint, COMMAND_DISCARD));
    run(0.1);
    CHECK_SIZE(answered->command->count, 1);
    CHECK_SIZE(kept.count, 0);
    check_figures(3, 2, 0, 0);
    end();
}

/* Letters in the store, every other one of them with the code. */
static void keep_letters(unsigned count, const char *code)
{
    struct store_problem problem;
    for (unsigned i = 1; i <= count; i++) {
        char body[MEMORY_TEXT];
        (void)snprintf(body, sizeof body, "%u", i);
        struct store_row row = {.lane = "", .body = body, .length = strlen(body), .time = EPOCH};
        CHECK(memory_append(NULL, "source", &row, 1, &problem));
        struct memory_row *last = &kept.rows[kept.count - 1];
        last->is_dead = true;
        (void)snprintf(last->code, sizeof last->code, "%s", i % 2 == 0 ? code : "expired");
    }
}

static struct request *filtered(enum command_kind kind, const char *code)
{
    struct request *request = command(processes[0].endpoint, kind);
    request->command->filter = letter_filter_copy(
        &(struct letter_filter){.code = code, .after = -INFINITY, .before = INFINITY});
    CHECK(request->command->filter != NULL);
    return request;
}

static void letters_of_a_filter_are_settled_in_steps(void)
{
    begin();
    keep_letters(200, "refused");
    run(1);
    accept(&processes[0], filtered(COMMAND_RETRY, "refused"));
    accept(&processes[0], command(processes[0].endpoint, COMMAND_FIGURES));
    step(&processes[0]);
    CHECK_INT(answered->command->kind, COMMAND_BEGIN); /* the last one yet */
    CHECK(outbox_idle(&processes[0].outbox, now, 9) == 0);
    run(1);
    CHECK_INT(answered->command->kind, COMMAND_FIGURES);
    CHECK_INT(answered->command->figures.dead, 100);
    run(5);
    CHECK_INT(server.arrivals, 100);
    check_figures(200, 100, 100, 0);
    accept(&processes[0], filtered(COMMAND_DISCARD, "expired"));
    run(1);
    CHECK_SIZE(answered->command->count, 100);
    CHECK_SIZE(kept.count, 0);
    check_figures(200, 100, 0, 0);
    end();
}

static void filter_ends_with_the_outbox(void)
{
    begin();
    keep_letters(200, "refused");
    run(1);
    accept(&processes[0], filtered(COMMAND_DISCARD, "refused"));
    step(&processes[0]);
    CHECK_INT(answered->command->kind, COMMAND_BEGIN); /* the last one yet */
    die(&processes[0], false);
    CHECK_INT(answered->outcome.failure, FAILURE_CLOSED);
    CHECK(kept.count > 100 && kept.count < 200);
    end();
}

static void what_others_do_is_seen(void)
{
    begin();
    run(1);
    start(&processes[1], "token");
    server.is_down = true;
    for (unsigned i = 1; i <= 20; i++) {
        send_message(&processes[1], i);
    }
    run(3);
    server.is_down = false;
    send_message(&processes[0], 21);
    run(30);
    check_figures(21, 21, 0, 0);
    end();
}

static void who_leaves_waits_for_what_is_on_its_way_alone(void)
{
    begin();
    for (unsigned i = 1; i <= 500; i++) {
        send_message(&processes[0], i);
    }
    server.latency = 1;
    run(0.2);
    CHECK(processes[0].count > 0);
    accept(&processes[0], command(processes[0].endpoint, COMMAND_LEAVE));
    run(2);
    CHECK(answered != NULL && answered->command->kind == COMMAND_LEAVE);
    CHECK_SIZE(processes[0].count, 0);
    CHECK(processes[0].endpoint->key == NULL);
    CHECK(outbox_is_empty(&processes[0].outbox));
    CHECK_SIZE(kept.count + server.arrivals, 500);
    CHECK_TEXT(kept.holder, "");
    CHECK_INT(judge(500), 0);
    end();
}

static void who_leaves_is_told_what_dies_meanwhile(void)
{
    begin();
    server.bad = 1;
    send_message(&processes[0], 1);
    server.latency = 1;
    run(0.2);
    CHECK_SIZE(processes[0].count, 1);
    accept(&processes[0], command(processes[0].endpoint, COMMAND_LEAVE));
    run(2);
    CHECK(answered != NULL && answered->command->kind == COMMAND_LEAVE);
    CHECK_SIZE(count_rows(true), 1);
    CHECK_INT(notices[COMMAND_DIED], 1);
    end();
}

static void what_fails_on_its_way_keeps_nobody_from_leaving(void)
{
    begin();
    server.failing = 1;
    send_message(&processes[0], 1);
    server.latency = 1;
    run(0.2);
    CHECK_SIZE(processes[0].count, 1);
    accept(&processes[0], command(processes[0].endpoint, COMMAND_LEAVE));
    run(1.6);
    CHECK(answered != NULL && answered->command->kind == COMMAND_LEAVE);
    CHECK_SIZE(count_rows(false), 1);
    CHECK(outbox_is_empty(&processes[0].outbox));
    end();
}

/* Who closes at once asks whether it delivers. */
static void the_step_that_stores_a_first_message_has_the_lease(void)
{
    begin();
    accept(&processes[0], new_message(&processes[0], 1, 1));
    step(&processes[0]);
    CHECK(confirmed[1]);
    CHECK(endpoint_figures(processes[0].endpoint).is_deliverer);
    CHECK_TEXT(kept.holder, processes[0].outbox.owner);
    end();
}

/* The lock of a file stays taken, however long ago the lease has run out. */
static void who_leaves_after_its_lease_ran_out_gives_it_back(void)
{
    begin();
    struct endpoint_settings settings = processes[0].endpoint->settings;
    struct hmac *key = hmac_new("token", 5);
    settings.outbox.key = key;
    settings.outbox.source = "other"; /* which keeps the store open */
    struct endpoint *other = endpoint_new(&settings);
    hmac_free(key);
    accept(&processes[0], command(other, COMMAND_BEGIN));
    run(1);
    kept.fails_to_lease = true;
    run(11);
    CHECK_TEXT(kept.holder, processes[0].outbox.owner);
    accept(&processes[0], command(processes[0].endpoint, COMMAND_LEAVE));
    run(0.1);
    CHECK_INT(kept.opened, 1);
    CHECK_TEXT(kept.holder, "");
    endpoint_release(other);
    end();
}

static void who_has_left_is_no_deliverer(void)
{
    begin();
    run(0.1);
    CHECK(endpoint_figures(processes[0].endpoint).is_deliverer);
    accept(&processes[0], command(processes[0].endpoint, COMMAND_LEAVE));
    run(0.1);
    CHECK(!endpoint_figures(processes[0].endpoint).is_deliverer);
    end();
}

/* ---- every call of the store failing ---- */

enum { FAULTY_MESSAGES = 80, FAULTY_BAD = 33 };

struct fault {
    enum store_trouble trouble;
    bool is_done;
    long count;
    bool restarts; /* ends that cannot be written at its close are sent again after it */
};

/* Some of everything; what is not accepted while a call fails is not sent again. */
static void live_with(const struct fault *fault)
{
    server.bad = FAULTY_BAD;
    send_messages(1, 30);
    run(0.08);
    send_messages(31, 60);
    accept(&processes[0], command(processes[0].endpoint, COMMAND_FIGURES));
    run(0.12);
    struct request *letters = command(processes[0].endpoint, COMMAND_LETTERS);
    letters->command->limit = 9;
    accept(&processes[0], letters);
    run(0.05);
    if (fault->restarts) {
        send_messages(61, 65);
        run(0.02);
        die(&processes[0], false);
        start(&processes[0], "token");
    }
    send_messages(66, FAULTY_MESSAGES - 1);
    run(0.2);
}

/* Whether there was a call to fail. */
static bool survive(const struct fault *fault, long call)
{
    CHECK_NOTE("call %ld, trouble %d, done %d, count %ld, restarts %d", call, (int)fault->trouble,
               fault->is_done, fault->count, fault->restarts);
    faulty.trouble = fault->trouble;
    faulty.is_done = fault->is_done;
    faulty.count = fault->count;
    faulty.fails_at = call;
    faulty.calls = 0;
    begin();
    live_with(fault);
    bool was_met = faulty.calls > call;
    faulty.fails_at = -1;
    run(20);
    CHECK_SIZE(count_rows(false), 0);
    send_messages(FAULTY_MESSAGES, FAULTY_MESSAGES);
    run(2);
    CHECK(confirmed[FAULTY_MESSAGES] && server.sent[FAULTY_MESSAGES].times == 1);
    CHECK(fault->is_done || confirmed[FAULTY_BAD] == (count_rows(true) == 1));
    CHECK_SIZE(count_rows(false), 0);
    const struct endpoint_figures figures = endpoint_figures(processes[0].endpoint);
    CHECK_SIZE(figures.pending, 0);
    CHECK_SIZE(figures.accepted, figures.delivered + figures.discarded + figures.dead);
    unsigned duplicates = judge(FAULTY_MESSAGES);
    CHECK(duplicates <= (fault->restarts || fault->trouble == STORE_FENCED ? DELIVERER_ROWS : 0));
    end();
    return was_met;
}

static void one_call_of_the_store_fails(void)
{
    static const struct fault faults[] = {
        {STORE_UNAVAILABLE, false, 1, false}, {STORE_UNAVAILABLE, false, 1, true},
        {STORE_UNAVAILABLE, true, 1, false},  {STORE_UNAVAILABLE, true, 1, true},
        {STORE_UNAVAILABLE, false, 7, true},  {STORE_UNAVAILABLE, true, 7, false},
        {STORE_NO_MEMORY, false, 1, true},    {STORE_NO_MEMORY, true, 1, false},
        {STORE_FENCED, false, 1, false},      {STORE_FENCED, false, 3, true},
        {STORE_UNFIT, false, 1, false},
    };
    driver = &faulty_driver;
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        long call = 0;
        while (survive(&faults[i], call)) {
            call++;
        }
        CHECK(call > 20);
    }
    driver = &memory_driver;
}

/* ---- at random ---- */

static void act_at_random(struct random *random, unsigned *next)
{
    struct process *process = &processes[random_below(random, PROCESSES)];
    unsigned count = (unsigned)random_below(random, 40);
    if (!process->is_alive) {
        start(process, random_below(random, 4) == 0 ? "wrong" : "token");
        return;
    }
    switch (random_below(random, 14)) {
    case 0: kept.fails_to_append = !kept.fails_to_append; break;
    case 1: kept.fails_to_end = !kept.fails_to_end; break;
    case 2: kept.fails_to_read = !kept.fails_to_read; break;
    case 3: kept.fails_to_lease = !kept.fails_to_lease; break;
    case 4: die(process, true); break;
    case 5: die(process, false); break;
    case 6: process->stalled_until = now + (double)random_below(random, 30); break;
    case 7: server.is_down = !server.is_down; break;
    default: break;
    }
    if (process->is_alive) {
        for (unsigned i = 0; i < count && *next < MOST; i++) {
            send_message(process, ++*next);
        }
    }
    server.bad = random_below(random, 8) == 0 ? *next : server.bad;
}

static void recover(void)
{
    kept.fails_to_append = kept.fails_to_end = false;
    kept.fails_to_read = kept.fails_to_lease = false;
    server.is_down = false;
    server.lost = 0;
    for (size_t i = 0; i < PROCESSES; i++) {
        if (processes[i].is_alive) {
            die(&processes[i], false);
        }
    }
    start(&processes[0], "token");
    run(700);
}

static void whatever_happens_nothing_is_lost_and_order_holds(void)
{
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct random random = {.state = seed * 7919};
        unsigned next = 0;
        begin();
        server.token = "token";
        server.lost = 50;
        for (unsigned i = 0; i < 120; i++) {
            act_at_random(&random, &next);
            run((double)random_below(&random, 300) / 100);
        }
        recover();
        CHECK_SIZE(count_rows(false), 0);
        CHECK(next > 500);
        (void)judge(next);
        end();
    }
}

static const struct check_case cases[] = {
    CHECK_CASE(what_is_accepted_is_stored_and_delivered),
    CHECK_CASE(what_comes_together_is_one_transaction_of_at_most_a_batch),
    CHECK_CASE(typing_is_not_stored),
    CHECK_CASE(what_cannot_be_stored_comes_back_and_says_why),
    CHECK_CASE(a_store_that_cannot_be_opened_is_tried_again),
    CHECK_CASE(what_a_store_warns_of_is_told_once),
    CHECK_CASE(each_durability_has_a_store),
    CHECK_CASE(a_message_that_can_never_succeed_is_a_letter_and_its_lane_goes_on),
    CHECK_CASE(a_lane_waits_until_a_death_is_written),
    CHECK_CASE(a_lane_waits_for_a_death_though_another_end_has_failed),
    CHECK_CASE(ends_are_written_together),
    CHECK_CASE(ends_that_cannot_be_written_are_kept_and_nothing_is_sent_again),
    CHECK_CASE(a_wrong_token_pauses_and_loses_nothing),
    CHECK_CASE(a_new_token_resumes_at_once),
    CHECK_CASE(another_endpoint_may_be_forgotten_while_ends_wait),
    CHECK_CASE(a_pause_is_not_given_up_in_an_outage),
    CHECK_CASE(who_takes_over_a_paused_source_is_told),
    CHECK_CASE(a_store_that_is_well_again_is_known_to_be),
    CHECK_CASE(a_message_that_fails_for_itself_does_not_prolong_a_pause),
    CHECK_CASE(another_process_with_a_better_token_takes_over),
    CHECK_CASE(a_row_is_tried_for_three_days),
    CHECK_CASE(an_old_row_has_its_time_all_the_same),
    CHECK_CASE(the_time_of_day_may_be_set),
    CHECK_CASE(a_row_of_tomorrow_is_given_up_as_others_are),
    CHECK_CASE(an_outage_is_drained_without_a_burst),
    CHECK_CASE(others_appends_are_heard_within_a_moment),
    CHECK_CASE(nothing_is_written_while_idle),
    CHECK_CASE(a_killed_deliverer_is_replaced),
    CHECK_CASE(a_dead_holder_of_a_file_lock_is_replaced_at_once),
    CHECK_CASE(a_stalled_deliverer_is_fenced),
    CHECK_CASE(a_store_that_is_away_beyond_the_lease_has_nothing_sent_twice),
    CHECK_CASE(a_stalled_deliverer_sends_nothing_once_its_lease_has_run_out),
    CHECK_CASE(a_lane_that_fails_does_not_fill_the_window),
    CHECK_CASE(many_lanes_that_fail_do_not_stop_the_others),
    CHECK_CASE(letters_are_listed_retried_and_discarded),
    CHECK_CASE(letters_of_a_filter_are_settled_in_steps),
    CHECK_CASE(filter_ends_with_the_outbox),
    CHECK_CASE(what_others_do_is_seen),
    CHECK_CASE(who_leaves_waits_for_what_is_on_its_way_alone),
    CHECK_CASE(who_leaves_is_told_what_dies_meanwhile),
    CHECK_CASE(what_fails_on_its_way_keeps_nobody_from_leaving),
    CHECK_CASE(who_has_left_is_no_deliverer),
    CHECK_CASE(who_leaves_after_its_lease_ran_out_gives_it_back),
    CHECK_CASE(the_step_that_stores_a_first_message_has_the_lease),
    CHECK_CASE(one_call_of_the_store_fails),
    CHECK_CASE(whatever_happens_nothing_is_lost_and_order_holds),
};

int main(int count, char **names)
{
    return CHECK_RUN(cases, count, names);
}
