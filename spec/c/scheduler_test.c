/* The scheduler with a clock that is made up, and answers that are. */

#include "scheduler.h"

#include <stdio.h> /* snprintf(3) */

#include "check.h"
#include "made.h"
#include "random.h"

enum { LIFE = 60 }; /* seconds that a request has */

static struct request *accept_as(struct scheduler *scheduler, struct request *request, double now)
{
    request->submitted = now;
    request->deadline = now + LIFE;
    scheduler_accept(scheduler, request, now);
    return request;
}

static struct request *accept_one(struct scheduler *scheduler, struct endpoint *endpoint,
                                  const char *lane, uint64_t ticket, double now)
{
    return accept_as(scheduler, made_request(endpoint, lane, ticket), now);
}

static struct request *accept_ephemeral(struct scheduler *scheduler, struct endpoint *endpoint,
                                        uint64_t ticket, double now)
{
    struct request *request = made_request(endpoint, "", ticket);
    request->ephemeral = true;
    return accept_as(scheduler, request, now);
}

static void answer_with(struct scheduler *scheduler, struct request *request,
                        const struct outcome *outcome, double now)
{
    if (request == NULL) {
        return; /* a check has failed already */
    }
    unsigned attempts = request->outcome.attempts + 1;
    request_reset_outcome(request);
    request->outcome = *outcome;
    request->outcome.attempts = attempts;
    scheduler_answered(scheduler, request, now);
}

static void answer(struct scheduler *scheduler, struct request *request, enum failure failure,
                   double now)
{
    answer_with(scheduler, request, &(struct outcome){.failure = failure, .retry_after = -1}, now);
}

static void answer_unreached(struct scheduler *scheduler, struct request *request,
                             enum failure failure, double now)
{
    const struct outcome outcome = {.failure = failure, .unreached = true, .retry_after = -1};
    answer_with(scheduler, request, &outcome, now);
}

/* The ticket of what should be sent now, which then is on its way; 0: nothing. */
static struct request *check_next(const char *file, int line, struct scheduler *scheduler,
                                  double now, uint64_t ticket)
{
    struct request *request = scheduler_next(scheduler, now);
    check_size(file, line, "next", request != NULL ? request->ticket : 0, ticket);
    return request;
}
#define NEXT(now, ticket) check_next(CHECK_AT, &scheduler, now, ticket)

/* The first that is finished must be this one, with that outcome; it is freed. */
static void check_finished(const char *file, int line, struct request **chain, uint64_t ticket,
                           enum failure failure)
{
    struct request *request = *chain;
    if (check_true(file, line, "one is finished", request != NULL)) {
        *chain = request->next;
        check_size(file, line, "finished", request->ticket, ticket);
        check_text(file, line, "failure", failure_row(request->outcome.failure)->code,
                   failure_row(failure)->code);
        request_free(request);
    }
}

static void check_only(const char *file, int line, struct scheduler *scheduler, uint64_t ticket,
                       enum failure failure)
{
    struct request *last = NULL;
    struct request *chain = scheduler_finished(scheduler, &last);
    check_true(file, line, "last is the end", chain == NULL || last->next == NULL);
    if (ticket != 0) {
        check_finished(file, line, &chain, ticket, failure);
    }
    check_true(file, line, "no other is finished", chain == NULL);
}
#define FINISHED(ticket, failure) check_only(CHECK_AT, &scheduler, ticket, failure)
#define NOTHING_FINISHED() check_only(CHECK_AT, &scheduler, 0, FAILURE_NONE)

static bool is_near(double actual, double expected)
{
    return actual - expected < 1e-9 && expected - actual < 1e-9;
}

/* Nothing is held, and nothing refers to the endpoint any more. */
static void end(struct scheduler *scheduler, struct endpoint *endpoint)
{
    struct request *last;
    CHECK_SIZE(scheduler->held, 0);
    CHECK_SIZE(scheduler->lanes.count, 0);
    CHECK_SIZE(scheduler->timers.count, 0);
    CHECK(scheduler_finished(scheduler, &last) == NULL);
    CHECK_SIZE(endpoint->active, 0);
    scheduler_release(scheduler);
    CHECK(!endpoint->listed);
    CHECK_SIZE(atomic_load(&endpoint->references), 1);
    endpoint_release(endpoint);
}

#define BEGIN(connections)                                                                         \
    struct scheduler scheduler;                                                                    \
    struct endpoint *endpoint = made_endpoint(connections);                                        \
    scheduler_init(&scheduler, 42)

/* ---- lanes ---- */

static void one_lane_goes_in_order(void)
{
    BEGIN(8);
    for (uint64_t i = 1; i <= 20; i++) {
        accept_one(&scheduler, endpoint, "lane", i, 0);
    }
    for (uint64_t i = 1; i <= 20; i++) {
        struct request *request = NEXT(1, i);
        NEXT(1, 0);
        answer(&scheduler, request, i % 3 == 0 ? FAILURE_REFUSED : FAILURE_NONE, 1);
        FINISHED(i, i % 3 == 0 ? FAILURE_REFUSED : FAILURE_NONE);
    }
    end(&scheduler, endpoint);
}

static void lanes_go_side_by_side(void)
{
    static const char *const lanes[] = {"a", "b", "", "a", "b", "", "c"};
    BEGIN(8);
    for (uint64_t i = 0; i < 7; i++) {
        accept_one(&scheduler, endpoint, lanes[i], i + 1, 0);
    }
    struct request *a = NEXT(0, 1);
    struct request *b = NEXT(0, 2);
    struct request *free_ones[] = {NEXT(0, 3), NEXT(0, 6), NEXT(0, 7)};
    NEXT(0, 0);
    answer(&scheduler, b, FAILURE_NONE, 1);
    b = NEXT(1, 5);
    NEXT(1, 0);
    answer(&scheduler, a, FAILURE_NONE, 1);
    a = NEXT(1, 4);
    answer(&scheduler, a, FAILURE_NONE, 2);
    answer(&scheduler, b, FAILURE_NONE, 2);
    for (size_t i = 0; i < 3; i++) {
        answer(&scheduler, free_ones[i], FAILURE_NONE, 2);
    }
    struct request *last;
    struct request *chain = scheduler_finished(&scheduler, &last);
    static const uint64_t order[] = {2, 1, 4, 5, 3, 6, 7};
    for (size_t i = 0; i < 7; i++) {
        check_finished(CHECK_AT, &chain, order[i], FAILURE_NONE);
    }
    end(&scheduler, endpoint);
}

static void same_lane_of_two_endpoints_is_two(void)
{
    BEGIN(1);
    struct endpoint *other = made_endpoint(1);
    accept_one(&scheduler, endpoint, "lane", 1, 0);
    accept_one(&scheduler, other, "lane", 2, 0);
    struct request *second = NEXT(0, 2);
    struct request *first = NEXT(0, 1);
    answer(&scheduler, first, FAILURE_NONE, 0);
    FINISHED(1, FAILURE_NONE);
    answer(&scheduler, second, FAILURE_NONE, 0);
    FINISHED(2, FAILURE_NONE);
    NEXT(0, 0); /* only now are the endpoints let go */
    CHECK_SIZE(atomic_load(&other->references), 1);
    endpoint_release(other);
    end(&scheduler, endpoint);
}

static void retried_one_holds_its_lane(void)
{
    BEGIN(8);
    struct request *request = accept_one(&scheduler, endpoint, "lane", 1, 0);
    accept_one(&scheduler, endpoint, "lane", 2, 0);
    accept_one(&scheduler, endpoint, "other", 3, 0);
    CHECK(NEXT(0, 1) == request);
    answer(&scheduler, request, FAILURE_SERVER_ERROR, 0);
    NOTHING_FINISHED();
    answer(&scheduler, NEXT(0, 3), FAILURE_NONE, 0);
    FINISHED(3, FAILURE_NONE);
    NEXT(0, 0);
    CHECK(request->due <= 1); /* first = 1 */
    scheduler_advance(&scheduler, 1);
    CHECK(NEXT(1, 1) == request);
    CHECK_SIZE(request->outcome.attempts, 1);
    NEXT(1, 0);
    answer(&scheduler, request, FAILURE_NONE, 2);
    FINISHED(1, FAILURE_NONE);
    answer(&scheduler, NEXT(2, 2), FAILURE_NONE, 2);
    FINISHED(2, FAILURE_NONE);
    end(&scheduler, endpoint);
}

static void attempts_come_to_an_end(void)
{
    BEGIN(1);
    double now = 0;
    accept_one(&scheduler, endpoint, "lane", 1, now);
    for (unsigned attempt = 1; attempt <= 4; attempt++) {
        NOTHING_FINISHED();
        answer(&scheduler, NEXT(now, 1), FAILURE_TIMEOUT, now);
        now += 9; /* beyond the longest wait */
        scheduler_advance(&scheduler, now);
    }
    FINISHED(1, FAILURE_TIMEOUT);
    end(&scheduler, endpoint);
}

/* Attempts that find nobody count as often as they were made in the error, and nowhere else. */
static void unreached_attempts_do_not_count(void)
{
    static const enum failure failures[] = {FAILURE_CONNECTION_REFUSED, FAILURE_NAME_NOT_RESOLVED,
                                            FAILURE_CONNECTION_FAILED, FAILURE_TLS_FAILED,
                                            FAILURE_TIMEOUT};
    for (size_t i = 0; i < sizeof failures / sizeof failures[0]; i++) {
        BEGIN(1);
        CHECK_NOTE("%s", failure_row(failures[i])->code);
        struct request *request = accept_one(&scheduler, endpoint, "lane", 1, 0);
        double now = 0;
        for (unsigned attempt = 1; attempt <= 8; attempt++) {
            answer_unreached(&scheduler, NEXT(now, 1), failures[i], now);
            CHECK_SIZE(request->outcome.attempts, attempt);
            now += attempt == 8 ? LIFE : 1;
            request->due = attempt == 8 ? request->due : now; /* whatever the jitter is */
            scheduler_advance(&scheduler, now);
        }
        FINISHED(1, failures[i]); /* by its deadline */
        end(&scheduler, endpoint);
    }
}

static void counted_attempts_come_to_an_end_between_others(void)
{
    BEGIN(1);
    struct request *request = accept_one(&scheduler, endpoint, "lane", 1, 0);
    for (unsigned attempt = 1; attempt <= 8; attempt++) {
        NOTHING_FINISHED();
        NEXT(attempt, 1);
        if (attempt % 2 == 1) {
            answer_unreached(&scheduler, request, FAILURE_CONNECTION_REFUSED, attempt);
        } else {
            answer(&scheduler, request, FAILURE_CONNECTION_CLOSED, attempt);
        }
        CHECK_SIZE(request->counted, attempt / 2);
        request->due = attempt + 1; /* whatever the jitter is */
        scheduler_advance(&scheduler, attempt + 1);
    }
    CHECK_SIZE(request->outcome.attempts, 8);
    FINISHED(1, FAILURE_CONNECTION_CLOSED);
    end(&scheduler, endpoint);
}

static void what_has_failed_does_not_hold_up_the_rest(void)
{
    BEGIN(8);
    accept_one(&scheduler, endpoint, "a", 1, 0);
    answer(&scheduler, NEXT(0, 1), FAILURE_SERVER_ERROR, 0);
    scheduler_advance(&scheduler, 5);
    for (uint64_t i = 2; i <= 4; i++) {
        accept_one(&scheduler, endpoint, "", i, 5);
    }
    answer(&scheduler, NEXT(5, 2), FAILURE_NONE, 5); /* and the source is well again */
    answer(&scheduler, NEXT(5, 1), FAILURE_SERVER_ERROR, 5);
    FINISHED(2, FAILURE_NONE);
    scheduler_advance(&scheduler, 15);
    answer(&scheduler, NEXT(15, 3), FAILURE_NONE, 15);
    answer(&scheduler, NEXT(15, 1), FAILURE_NONE, 15);
    answer(&scheduler, NEXT(15, 4), FAILURE_REFUSED, 15);
    struct request *last;
    struct request *chain = scheduler_finished(&scheduler, &last);
    check_finished(CHECK_AT, &chain, 3, FAILURE_NONE);
    check_finished(CHECK_AT, &chain, 1, FAILURE_NONE);
    check_finished(CHECK_AT, &chain, 4, FAILURE_REFUSED);
    end(&scheduler, endpoint);
}

static void single_attempt_is_a_single_attempt(void)
{
    BEGIN(1);
    endpoint->settings.policy.attempts = 1;
    accept_one(&scheduler, endpoint, "lane", 1, 0);
    answer_unreached(&scheduler, NEXT(0, 1), FAILURE_CONNECTION_REFUSED, 0);
    FINISHED(1, FAILURE_CONNECTION_REFUSED);
    end(&scheduler, endpoint);
}

/* ---- connections ---- */

static void no_more_at_once_than_connections(void)
{
    for (size_t connections = 1; connections <= 3; connections++) {
        BEGIN(connections);
        struct request *on_way[3];
        for (uint64_t i = 1; i <= 7; i++) {
            accept_one(&scheduler, endpoint, "", i, 0);
        }
        uint64_t sent = 0;
        for (; sent < connections; sent++) {
            on_way[sent] = NEXT(0, sent + 1);
        }
        for (uint64_t i = 0; i < 7; i++) {
            NEXT(0, 0);
            answer(&scheduler, on_way[i % connections], FAILURE_NONE, 0);
            FINISHED(i + 1, FAILURE_NONE);
            on_way[i % connections] = NEXT(0, sent < 7 ? ++sent : 0);
        }
        end(&scheduler, endpoint);
    }
}

/* ---- deadlines ---- */

static void deadline_passes_while_it_waits(void)
{
    BEGIN(1);
    struct request *first = accept_one(&scheduler, endpoint, "lane", 1, 0);
    accept_one(&scheduler, endpoint, "lane", 2, 1); /* behind */
    accept_one(&scheduler, endpoint, "", 3, 2);     /* ready, without a connection */
    NEXT(0, 1);
    scheduler_advance(&scheduler, LIFE + 0.5); /* what is on its way is libcurl's to end */
    NOTHING_FINISHED();
    scheduler_advance(&scheduler, LIFE + 1);
    FINISHED(2, FAILURE_TIMEOUT);
    scheduler_advance(&scheduler, LIFE + 2);
    FINISHED(3, FAILURE_TIMEOUT);
    answer(&scheduler, first, FAILURE_NONE, LIFE + 3);
    FINISHED(1, FAILURE_NONE);
    NEXT(LIFE + 3, 0);
    end(&scheduler, endpoint);
}

/* The last attempt says more than that there was no time for another. */
static void deadline_passes_between_attempts(void)
{
    BEGIN(1);
    accept_one(&scheduler, endpoint, "lane", 1, 0);
    accept_one(&scheduler, endpoint, "lane", 2, 30);
    answer(&scheduler, NEXT(0, 1), FAILURE_SERVER_ERROR, 10);
    accept_one(&scheduler, endpoint, "", 3, 10);
    struct request *busy = NEXT(10, 3);
    scheduler_advance(&scheduler, 12);
    NEXT(12, 0); /* it would go again, but for the connection */
    scheduler_advance(&scheduler, LIFE);
    FINISHED(1, FAILURE_SERVER_ERROR);
    answer(&scheduler, busy, FAILURE_NONE, 62);
    FINISHED(3, FAILURE_NONE);
    answer(&scheduler, NEXT(62, 2), FAILURE_NONE, 62);
    FINISHED(2, FAILURE_NONE);
    end(&scheduler, endpoint);
}

static void head_that_expires_lets_the_next_go(void)
{
    BEGIN(1);
    struct request *busy = accept_one(&scheduler, endpoint, "", 9, 0);
    NEXT(0, 9);
    accept_one(&scheduler, endpoint, "lane", 1, 1);
    accept_one(&scheduler, endpoint, "lane", 2, 5);
    scheduler_advance(&scheduler, LIFE + 1);
    FINISHED(1, FAILURE_TIMEOUT);
    answer(&scheduler, busy, FAILURE_NONE, LIFE + 2);
    FINISHED(9, FAILURE_NONE);
    answer(&scheduler, NEXT(LIFE + 2, 2), FAILURE_NONE, LIFE + 2);
    FINISHED(2, FAILURE_NONE);
    end(&scheduler, endpoint);
}

/* ---- ephemeral ---- */

static void messages_go_before_what_is_ephemeral(void)
{
    BEGIN(1);
    accept_ephemeral(&scheduler, endpoint, 1, 0);
    accept_ephemeral(&scheduler, endpoint, 2, 0);
    accept_one(&scheduler, endpoint, "a", 3, 0);
    accept_one(&scheduler, endpoint, "a", 4, 0);
    static const uint64_t order[] = {3, 4, 1, 2};
    for (size_t i = 0; i < 4; i++) {
        answer(&scheduler, NEXT(0, order[i]), FAILURE_NONE, 0);
        FINISHED(order[i], FAILURE_NONE);
    }
    end(&scheduler, endpoint);
}

static void ephemeral_is_tried_once_and_never_late(void)
{
    BEGIN(1);
    accept_ephemeral(&scheduler, endpoint, 1, 0);
    struct request *late = accept_ephemeral(&scheduler, endpoint, 2, 1);
    struct request *sent = NEXT(0, 1);
    scheduler_advance(&scheduler, late->deadline);
    FINISHED(2, FAILURE_STALE);
    answer(&scheduler, sent, FAILURE_SERVER_ERROR, 70);
    FINISHED(1, FAILURE_SERVER_ERROR);
    endpoint->settings.asks = true;
    accept_ephemeral(&scheduler, endpoint, 3, 80);
    sent = NEXT(80, 3);
    answer(&scheduler, sent, FAILURE_SERVER_ERROR, 80);
    CHECK(!sent->outcome.question);
    FINISHED(3, FAILURE_SERVER_ERROR);
    end(&scheduler, endpoint);
}

static void throttled_typing_does_not_slow_messages(void)
{
    BEGIN(1);
    accept_ephemeral(&scheduler, endpoint, 1, 0);
    answer(&scheduler, NEXT(0, 1), FAILURE_TOO_MANY_TYPING_REQUESTS, 0);
    FINISHED(1, FAILURE_TOO_MANY_TYPING_REQUESTS);
    accept_one(&scheduler, endpoint, "", 2, 0);
    answer(&scheduler, NEXT(0, 2), FAILURE_NONE, 0);
    FINISHED(2, FAILURE_NONE);
    end(&scheduler, endpoint);
}

/* ---- the gate ---- */

/* Fails so many requests for good at that time; more than there are tokens close the gate. */
static void fail_some(struct scheduler *scheduler, struct endpoint *endpoint, unsigned count,
                      double now)
{
    endpoint->settings.policy.attempts = 1;
    for (unsigned i = 0; i < count; i++) {
        accept_one(scheduler, endpoint, "", 1000, now);
        struct request *request = scheduler_next(scheduler, now);
        if (CHECK(request != NULL)) {
            answer(scheduler, request, FAILURE_CONNECTION_REFUSED, now);
            check_only(CHECK_AT, scheduler, 1000, FAILURE_CONNECTION_REFUSED);
        }
    }
}

static void dead_source_is_probed_once_a_second(void)
{
    BEGIN(4);
    fail_some(&scheduler, endpoint, RETRY_TOKENS, 100);
    for (uint64_t i = 1; i <= 5; i++) {
        accept_one(&scheduler, endpoint, "", i, 100);
    }
    NEXT(100.99, 0);
    CHECK(is_near(scheduler_idle(&scheduler, 100.25, 10), 0.75));
    struct request *probe = NEXT(101, 1);
    NEXT(101, 0);
    double idle = scheduler_idle(&scheduler, 101, 10);
    CHECK(idle >= 0.5 && idle <= 1.5);
    answer(&scheduler, probe, FAILURE_TIMEOUT, 101.25);
    FINISHED(1, FAILURE_TIMEOUT);
    NEXT(101 + idle - 0.01, 0);
    probe = NEXT(101 + idle + 0.01, 2);
    answer(&scheduler, probe, FAILURE_NONE, 103);
    FINISHED(2, FAILURE_NONE);
    for (uint64_t i = 3; i <= 5; i++) { /* well again */
        answer(&scheduler, NEXT(103, i), FAILURE_NONE, 103);
        FINISHED(i, FAILURE_NONE);
    }
    end(&scheduler, endpoint);
}

static void probes_do_not_count(void)
{
    BEGIN(1);
    fail_some(&scheduler, endpoint, RETRY_TOKENS, 100);
    endpoint->settings.policy.attempts = 2;
    struct request *request = accept_one(&scheduler, endpoint, "", 1, 100);
    double now = 100;
    for (unsigned attempt = 1; attempt <= 5; attempt++) {
        now += 10; /* beyond the longest wait, and the next probe */
        scheduler_advance(&scheduler, now);
        answer(&scheduler, NEXT(now, 1), FAILURE_SERVER_ERROR, now);
        CHECK_SIZE(request->counted, 0);
        CHECK_SIZE(request->outcome.attempts, attempt);
    }
    retry_bucket_succeeded(&endpoint->bucket); /* as when another one gets through */
    request->due = now;
    scheduler_advance(&scheduler, now);
    answer(&scheduler, NEXT(now, 1), FAILURE_SERVER_ERROR, now);
    CHECK_SIZE(request->counted, 1);
    scheduler_close(&scheduler, NULL, now);
    FINISHED(1, FAILURE_CLOSED);
    NEXT(now, 0);
    end(&scheduler, endpoint);
}

static void single_attempt_may_be_a_probe(void)
{
    BEGIN(1);
    fail_some(&scheduler, endpoint, RETRY_TOKENS, 100);
    accept_one(&scheduler, endpoint, "", 1, 100);
    answer(&scheduler, NEXT(101, 1), FAILURE_SERVER_ERROR, 101);
    FINISHED(1, FAILURE_SERVER_ERROR);
    end(&scheduler, endpoint);
}

/* How often a server that is away for so many seconds is asked. */
struct outage {
    double seconds;
    size_t conversations;
    double rate; /* requests a second */
    unsigned attempts;
    double first;
    double longest;
};

/* Takes what is finished; how many were delivered. */
static size_t count_delivered(struct scheduler *scheduler)
{
    struct request *last;
    size_t count = 0;
    struct request *request = scheduler_finished(scheduler, &last);
    while (request != NULL) {
        struct request *next = request->next;
        count += request->outcome.failure == FAILURE_NONE;
        request_free(request);
        request = next;
    }
    return count;
}

/* Sends at the rate during the outage and for as long again; every answer comes at once. */
static void live_through(const struct outage *outage, unsigned *asked)
{
    BEGIN(16);
    endpoint->settings.policy =
        (struct retry_policy){outage->attempts, outage->first, outage->longest};
    size_t most = (size_t)(2 * outage->seconds * outage->rate);
    size_t accepted = 0;
    size_t delivered = 0;
    *asked = 0;
    for (double now = 1000; now < 1000 + 2 * outage->seconds + LIFE; now += 0.01) {
        for (; accepted < most && (double)accepted < (now - 1000) * outage->rate; accepted++) {
            char lane[24];
            (void)snprintf(lane, sizeof lane, "%zu", accepted % outage->conversations);
            accept_one(&scheduler, endpoint, lane, accepted + 1, now);
        }
        scheduler_advance(&scheduler, now);
        for (struct request *next; (next = scheduler_next(&scheduler, now)) != NULL;) {
            if (now < 1000 + outage->seconds) {
                ++*asked;
                answer_unreached(&scheduler, next, FAILURE_CONNECTION_REFUSED, now);
            } else {
                answer(&scheduler, next, FAILURE_NONE, now);
            }
        }
        delivered += count_delivered(&scheduler);
    }
    CHECK_SIZE(accepted, most);
    CHECK_SIZE(delivered, most);
    end(&scheduler, endpoint);
}

static void outage_loses_nothing_and_costs_a_trickle(void)
{
    static const struct outage outages[] = {
        {20, 1, 5, 4, 0.5, 8},     {20, 1, 5, 2, 0.01, 0.01}, {20, 3, 5, 4, 0.5, 8},
        {20, 100, 500, 4, 0.5, 8}, {50, 1, 1, 2, 0, 0},       {50, 40, 50, 2, 0.001, 0.001},
    };
    for (size_t i = 0; i < sizeof outages / sizeof outages[0]; i++) {
        unsigned asked;
        CHECK_NOTE("outage %zu", i);
        live_through(&outages[i], &asked);
        CHECK_NOTE("outage %zu: asked %u times", i, asked);
        CHECK(asked <= RETRY_TOKENS + 2 * outages[i].seconds);
        CHECK(i == 0 || i == 2 || asked >= RETRY_TOKENS + outages[i].seconds / 1.5);
    }
}

/* A server that refuses a message is there. */
static void refusals_leave_the_gate_open(void)
{
    BEGIN(1);
    for (uint64_t i = 1; i <= 3 * RETRY_TOKENS; i++) {
        accept_one(&scheduler, endpoint, "", i, 0);
        answer(&scheduler, NEXT(0, i), FAILURE_REFUSED, 0);
        FINISHED(i, FAILURE_REFUSED);
    }
    CHECK_SIZE(endpoint->bucket.tokens, RETRY_TOKENS);
    end(&scheduler, endpoint);
}

/* What was broken off here says nothing of the source. */
static void closed_is_no_sign_of_health(void)
{
    BEGIN(1);
    fail_some(&scheduler, endpoint, RETRY_TOKENS, 100);
    accept_one(&scheduler, endpoint, "", 1, 100);
    answer(&scheduler, NEXT(101, 1), FAILURE_CLOSED, 101);
    FINISHED(1, FAILURE_CLOSED);
    CHECK_SIZE(endpoint->bucket.tokens, 0);
    end(&scheduler, endpoint);
}

static void throttled_source_pauses_as_a_whole(void)
{
    static const struct {
        double asked;
        double pause;
    } rows[] = {{-1, 1}, {0, 0}, {0.5, 0.5}, {30, 30}};
    for (size_t i = 0; i < 4; i++) {
        BEGIN(4);
        CHECK_NOTE("asked for %g", rows[i].asked);
        accept_one(&scheduler, endpoint, "a", 1, 0);
        struct request *request = NEXT(0, 1);
        accept_one(&scheduler, endpoint, "b", 2, 0);
        request->counted = 3;
        request->outcome = (struct outcome){.failure = FAILURE_THROTTLED,
                                            .attempts = 4,
                                            .status = 429,
                                            .retry_after = rows[i].asked};
        scheduler_answered(&scheduler, request, 10);
        FINISHED(1, FAILURE_THROTTLED);
        CHECK(is_near(scheduler_idle(&scheduler, 10, 50), rows[i].pause < 50 ? rows[i].pause : 50));
        if (rows[i].pause > 0) {
            NEXT(10 + rows[i].pause - 0.01, 0);
        }
        answer(&scheduler, NEXT(10 + rows[i].pause, 2), FAILURE_NONE, 45);
        FINISHED(2, FAILURE_NONE);
        end(&scheduler, endpoint);
    }
}

/* ---- no time for it ---- */

static void check_reason(const char *file, int line, struct scheduler *scheduler,
                         enum failure failure, const char *reason)
{
    struct request *last;
    struct request *request = scheduler_finished(scheduler, &last);
    if (check_true(file, line, "one is finished", request != NULL && request->next == NULL)) {
        check_text(file, line, "failure", failure_row(request->outcome.failure)->code,
                   failure_row(failure)->code);
        check_text(file, line, "reason", request->outcome.reason, reason);
        check_integer(file, line, "status", request->outcome.status, 0);
        check_size(file, line, "attempts", request->outcome.attempts, 0);
        request_free(request);
    }
}
#define ENDED(failure, reason) check_reason(CHECK_AT, &scheduler, failure, reason)

static const char beyond[] = "the server asked for a pause beyond the deadline";

/* One conversation's first request is told to wait so long, at 10. */
static void pause_source(struct scheduler *scheduler, struct endpoint *endpoint,
                         enum failure failure, double seconds)
{
    accept_one(scheduler, endpoint, "paused", 1000, 0);
    struct request *request = scheduler_next(scheduler, 10);
    answer_with(scheduler, request,
                &(struct outcome){.failure = failure, .status = 503, .retry_after = seconds}, 10);
}

/* Who would wait in vain is told so at once, and why; who has the time waits. */
static void pause_ends_what_cannot_outlast_it(void)
{
    static const enum failure failures[] = {FAILURE_SERVER_ERROR, FAILURE_THROTTLED};
    for (size_t i = 0; i < 2; i++) {
        BEGIN(1);
        pause_source(&scheduler, endpoint, failures[i], 3600);
        FINISHED(1000, failures[i]);
        accept_one(&scheduler, endpoint, "a", 1, 10);
        CHECK(scheduler_idle(&scheduler, 10, 10) == 0);
        scheduler_advance(&scheduler, 10);
        ENDED(failures[i], beyond);
        accept_ephemeral(&scheduler, endpoint, 2, 10);
        scheduler_advance(&scheduler, 10);
        ENDED(FAILURE_STALE, beyond);
        struct request *patient = made_request(endpoint, "a", 3);
        patient->deadline = 3611;
        scheduler_accept(&scheduler, patient, 10);
        scheduler_advance(&scheduler, 3609);
        NEXT(3609, 0);
        answer(&scheduler, NEXT(3610, 3), FAILURE_NONE, 3610);
        FINISHED(3, FAILURE_NONE);
        end(&scheduler, endpoint);
    }
}

/* Those that wait already, wherever; those of another source are none of its business. */
static void pause_ends_what_waits_already(void)
{
    BEGIN(1);
    struct endpoint *other = made_endpoint(1);
    endpoint->settings.connections = 2;
    struct request *delayed = accept_one(&scheduler, endpoint, "delayed", 1, 0);
    answer(&scheduler, NEXT(0, 1), FAILURE_TIMEOUT, 9.99);
    accept_one(&scheduler, other, "other", 2, 0);
    struct request *busy = accept_one(&scheduler, endpoint, "busy", 3, 0);
    struct request *untouched = scheduler_next(&scheduler, 0);
    CHECK_SIZE(untouched->ticket, 2);
    NEXT(0, 3);
    accept_one(&scheduler, other, "other", 4, 0);
    accept_one(&scheduler, endpoint, "busy", 5, 0);
    for (uint64_t i = 6; i < 10; i++) {
        accept_one(&scheduler, endpoint, i % 2 == 0 ? "even" : "odd", i, (double)i);
    }
    delayed->due = 20; /* whatever the jitter is */
    struct request *sixth = NEXT(10, 6);
    answer_with(&scheduler, sixth,
                &(struct outcome){.failure = FAILURE_THROTTLED, .retry_after = 100}, 10);
    scheduler_advance(&scheduler, 10);
    struct request *last;
    struct request *chain = scheduler_finished(&scheduler, &last);
    check_finished(CHECK_AT, &chain, 6, FAILURE_THROTTLED);
    for (uint64_t ended = 0; chain != NULL; ended++) {
        uint64_t ticket = chain->ticket;
        CHECK(ticket == 1 || ticket == 5 || (ticket >= 7 && ticket < 10));
        check_finished(CHECK_AT, &chain, ticket, ticket == 1 ? FAILURE_TIMEOUT : FAILURE_THROTTLED);
        CHECK(ended < 5);
    }
    CHECK_SIZE(scheduler.held, 3);
    answer(&scheduler, busy, FAILURE_NONE, 11); /* it was on its way, and had luck */
    FINISHED(3, FAILURE_NONE);
    answer(&scheduler, untouched, FAILURE_NONE, 11);
    FINISHED(2, FAILURE_NONE);
    answer(&scheduler, NEXT(11, 4), FAILURE_NONE, 11);
    FINISHED(4, FAILURE_NONE);
    NEXT(11, 0);
    CHECK_SIZE(atomic_load(&other->references), 1);
    endpoint_release(other);
    end(&scheduler, endpoint);
}

/* As long a lane as there may be: one after the other, in their order, without depth. */
static void pause_ends_a_long_lane(void)
{
    enum { LONG = 100000 };
    BEGIN(1);
    for (uint64_t i = 1; i <= LONG; i++) {
        accept_one(&scheduler, endpoint, "paused", i, (double)i / LONG);
    }
    struct request *first = NEXT(10, 1);
    answer_with(&scheduler, first,
                &(struct outcome){.failure = FAILURE_SERVER_ERROR, .retry_after = 3600}, 10);
    scheduler_advance(&scheduler, 10);
    struct request *last;
    struct request *chain = scheduler_finished(&scheduler, &last);
    for (uint64_t i = 1; i <= LONG; i++) {
        check_finished(CHECK_AT, &chain, i, FAILURE_SERVER_ERROR);
    }
    CHECK(chain == NULL);
    NEXT(10, 0);
    end(&scheduler, endpoint);
}

/* Sent again by its caller's word: then its last attempt's outcome stands, at once. */
static void pause_ends_what_was_asked_about(void)
{
    BEGIN(1);
    endpoint->settings.asks = true;
    pause_source(&scheduler, endpoint, FAILURE_SERVER_ERROR, 3600);
    struct request *last;
    struct request *asked = scheduler_finished(&scheduler, &last);
    CHECK(asked->outcome.question);
    asked->verb = REQUEST_AGAIN;
    asked->pause = 20;
    scheduler_accept(&scheduler, asked, 10);
    scheduler_advance(&scheduler, 10);
    CHECK(!asked->outcome.question);
    CHECK_INT(asked->outcome.status, 503);
    FINISHED(1000, FAILURE_SERVER_ERROR);
    end(&scheduler, endpoint);
}

/* The code says that it was never sent, the reason what was in the way. */
static void deadline_tells_what_ails_the_source(void)
{
    BEGIN(1);
    fail_some(&scheduler, endpoint, RETRY_TOKENS, 100);
    endpoint->settings.policy.attempts = 4;
    accept_one(&scheduler, endpoint, "lane", 1, 100);
    accept_one(&scheduler, endpoint, "lane", 2, 100.5);
    answer_unreached(&scheduler, NEXT(102, 1), FAILURE_NAME_NOT_RESOLVED, 102);
    scheduler_advance(&scheduler, 100 + LIFE);
    FINISHED(1, FAILURE_NAME_NOT_RESOLVED);
    scheduler_advance(&scheduler, 100.5 + LIFE);
    ENDED(FAILURE_TIMEOUT, "it could not be sent before its deadline; "
                           "the source's last failure: name_not_resolved");
    struct request *busy = accept_one(&scheduler, endpoint, "lane", 3, 200);
    accept_one(&scheduler, endpoint, "lane", 4, 201);
    CHECK(NEXT(201, 3) == busy);
    answer(&scheduler, busy, FAILURE_REFUSED, 202); /* it is well again */
    FINISHED(3, FAILURE_REFUSED);
    scheduler_advance(&scheduler, 201 + LIFE);
    ENDED(FAILURE_TIMEOUT, "it could not be sent before its deadline");
    NEXT(300, 0);
    end(&scheduler, endpoint);
}

static void one_source_does_not_close_another(void)
{
    BEGIN(1);
    struct endpoint *dead = made_endpoint(1);
    fail_some(&scheduler, dead, RETRY_TOKENS, 0);
    accept_one(&scheduler, dead, "", 1, 0);
    accept_one(&scheduler, endpoint, "", 2, 0);
    answer(&scheduler, NEXT(0, 2), FAILURE_NONE, 0);
    FINISHED(2, FAILURE_NONE);
    NEXT(0, 0);
    scheduler_close(&scheduler, dead, 0);
    FINISHED(1, FAILURE_CLOSED);
    NEXT(0, 0);
    CHECK_SIZE(atomic_load(&dead->references), 1);
    endpoint_release(dead);
    end(&scheduler, endpoint);
}

/* ---- questions ---- */

static struct request *ask(struct scheduler *scheduler, enum failure failure, double now)
{
    struct request *last;
    struct request *request = scheduler_next(scheduler, now);
    if (!CHECK(request != NULL)) {
        return NULL;
    }
    answer(scheduler, request, failure, now);
    struct request *asked = scheduler_finished(scheduler, &last);
    CHECK(asked == request && asked->next == NULL && asked->outcome.question);
    CHECK_INT(asked->outcome.failure, failure);
    return asked;
}

static void give_back(struct scheduler *scheduler, struct request *request, enum request_verb verb,
                      double pause, double now)
{
    request->verb = verb;
    request->pause = pause;
    scheduler_accept(scheduler, request, now);
}

static void question_holds_its_lane_until_it_is_answered(void)
{
    BEGIN(4);
    endpoint->settings.asks = true;
    accept_one(&scheduler, endpoint, "lane", 1, 0);
    accept_one(&scheduler, endpoint, "lane", 2, 0);
    struct request *asked = ask(&scheduler, FAILURE_REFUSED, 0);
    NEXT(5, 0);
    give_back(&scheduler, asked, REQUEST_AGAIN, 3, 5);
    scheduler_advance(&scheduler, 7.9);
    NEXT(7.9, 0);
    CHECK(is_near(scheduler_idle(&scheduler, 7.5, 10), 0.5));
    scheduler_advance(&scheduler, 8);
    asked = ask(&scheduler, FAILURE_SERVER_ERROR, 8);
    CHECK_SIZE(asked->outcome.attempts, 2);
    NEXT(8, 0);
    give_back(&scheduler, asked, REQUEST_RELEASE, 0, 9);
    NOTHING_FINISHED();
    struct request *second = NEXT(9, 2);
    answer(&scheduler, second, FAILURE_NONE, 9);
    CHECK(!second->outcome.question);
    FINISHED(2, FAILURE_NONE);
    end(&scheduler, endpoint);
}

static void question_without_a_lane(void)
{
    BEGIN(1);
    endpoint->settings.asks = true;
    accept_one(&scheduler, endpoint, "", 1, 0);
    struct request *asked = ask(&scheduler, FAILURE_TIMEOUT, 0);
    give_back(&scheduler, asked, REQUEST_AGAIN, 0, 0);
    scheduler_advance(&scheduler, 0);
    asked = ask(&scheduler, FAILURE_TIMEOUT, 0);
    give_back(&scheduler, asked, REQUEST_RELEASE, 0, 0);
    NEXT(0, 0);
    NOTHING_FINISHED();
    end(&scheduler, endpoint);
}

/* Given back too late, or for later than its deadline: then the last attempt's outcome stands. */
static void again_beyond_the_deadline(void)
{
    static const double back[] = {1, LIFE + 5};
    for (size_t i = 0; i < 2; i++) {
        BEGIN(1);
        endpoint->settings.asks = true;
        accept_one(&scheduler, endpoint, "lane", 1, 0);
        struct request *asked = ask(&scheduler, FAILURE_SERVER_ERROR, 0);
        give_back(&scheduler, asked, REQUEST_AGAIN, 1000, back[i]);
        CHECK(scheduler_idle(&scheduler, back[i], 100) <= LIFE);
        scheduler_advance(&scheduler, LIFE + 5);
        CHECK(!asked->outcome.question);
        FINISHED(1, FAILURE_SERVER_ERROR);
        end(&scheduler, endpoint);
    }
}

/* ---- skip ---- */

static void skipped_is_delivered_at_once(void)
{
    BEGIN(1);
    struct request *request = made_request(endpoint, "lane", 1);
    request->verb = REQUEST_SKIP;
    accept_as(&scheduler, request, 5);
    CHECK_SIZE(request->outcome.attempts, 0);
    FINISHED(1, FAILURE_NONE);
    NEXT(5, 0);
    end(&scheduler, endpoint);
}

/* ---- close ---- */

static size_t check_all_closed(struct scheduler *scheduler, const struct endpoint *endpoint)
{
    struct request *last;
    size_t count = 0;
    for (struct request *next, *at = scheduler_finished(scheduler, &last); at != NULL; at = next) {
        next = at->next;
        CHECK(endpoint == NULL || at->endpoint == endpoint);
        CHECK_INT(at->outcome.failure, FAILURE_CLOSED);
        CHECK(at->outcome.body == NULL && at->outcome.reason == NULL);
        request_free(at);
        count++;
    }
    return count;
}

static void submit_fifty(struct scheduler *scheduler, struct endpoint *one, struct endpoint *other)
{
    for (uint64_t i = 1; i <= 50; i++) {
        char lane[8];
        (void)snprintf(lane, sizeof lane, "%u", (unsigned)(i % 7));
        accept_one(scheduler, i % 2 == 0 ? one : other, i % 7 == 0 ? "" : lane, i,
                   (double)(i * 37 % 50));
    }
}

static void close_of_one_and_of_all(void)
{
    BEGIN(1);
    struct endpoint *other = made_endpoint(1);
    submit_fifty(&scheduler, endpoint, other);
    struct request *delayed = scheduler_next(&scheduler, 50);
    answer(&scheduler, delayed, FAILURE_SERVER_ERROR, 50);
    scheduler_close(&scheduler, other, 50);
    CHECK_SIZE(check_all_closed(&scheduler, other), 25);
    CHECK_SIZE(scheduler.held, 25);
    scheduler_close(&scheduler, other, 50);
    NOTHING_FINISHED();
    scheduler_close(&scheduler, NULL, 50);
    CHECK_SIZE(check_all_closed(&scheduler, endpoint), 25);
    NEXT(50, 0);
    CHECK_SIZE(atomic_load(&other->references), 1);
    endpoint_release(other);
    end(&scheduler, endpoint);
}

static void close_leaves_what_is_on_its_way(void)
{
    BEGIN(1);
    struct request *request = accept_one(&scheduler, endpoint, "lane", 1, 0);
    accept_one(&scheduler, endpoint, "lane", 2, 0);
    NEXT(0, 1);
    scheduler_close(&scheduler, endpoint, 0);
    FINISHED(2, FAILURE_CLOSED);
    answer(&scheduler, request, FAILURE_CLOSED, 0);
    FINISHED(1, FAILURE_CLOSED);
    NEXT(0, 0);
    end(&scheduler, endpoint);
}

/* ---- idle ---- */

static void idle_until_something_is_due(void)
{
    BEGIN(1);
    CHECK(scheduler_idle(&scheduler, 7, 10) == 10);
    struct request *request = accept_one(&scheduler, endpoint, "", 1, 7);
    CHECK(scheduler_idle(&scheduler, 7, 10) == 0); /* it may go now */
    NEXT(7, 1);
    NEXT(7, 0);
    CHECK(scheduler_idle(&scheduler, 7, 10) == 10);
    accept_one(&scheduler, endpoint, "", 2, 7);
    CHECK(is_near(scheduler_idle(&scheduler, 7 + LIFE - 3, 10), 3)); /* its deadline */
    CHECK(scheduler_idle(&scheduler, 7 + LIFE + 3, 10) == 0);
    answer(&scheduler, request, FAILURE_SERVER_ERROR, 8);
    answer(&scheduler, NEXT(8, 2), FAILURE_NONE, 8);
    FINISHED(2, FAILURE_NONE);
    NEXT(8, 0);
    CHECK(is_near(scheduler_idle(&scheduler, 8, 10), request->due - 8)); /* its next attempt */
    scheduler_close(&scheduler, NULL, 8);
    FINISHED(1, FAILURE_CLOSED);
    end(&scheduler, endpoint);
}

/* ---- a random run ---- */

enum { EVENTS = 40000, MOST = 20000, ENDPOINTS = 3, LANES = 12, FLYING = 64 };

struct story {
    struct scheduler scheduler;
    struct endpoint *endpoints[ENDPOINTS];
    struct random random;
    double now;
    uint64_t accepted;
    uint64_t finished;
    struct request *flying[FLYING];
    size_t flying_count;
    struct request *asked[MOST]; /* with the caller */
    size_t asked_count;
    unsigned char ended[MOST];            /* how often, by ticket */
    unsigned char lane_of[MOST];          /* 0: none; of the endpoint that the ticket says */
    uint64_t sent_last[ENDPOINTS][LANES]; /* ticket of the last first attempt */
    uint64_t busy[ENDPOINTS][LANES];      /* ticket on its way, or to be sent again */
};

static bool one_in(struct story *story, uint64_t chances)
{
    return random_below(&story->random, chances) == 0;
}

static void submit_something(struct story *story)
{
    uint64_t ticket = story->accepted + 1;
    if (ticket >= MOST) {
        return;
    }
    char lane[8] = "";
    unsigned number = (unsigned)random_below(&story->random, LANES);
    if (number > 0) {
        (void)snprintf(lane, sizeof lane, "lane%u", number);
    }
    struct endpoint *endpoint = story->endpoints[ticket % ENDPOINTS];
    struct request *request = made_request(endpoint, lane, ticket);
    request->submitted = story->now;
    request->deadline = story->now + (double)(1 + random_below(&story->random, 40));
    request->ephemeral = number == 0 && one_in(story, 3);
    request->verb = one_in(story, 20) ? REQUEST_SKIP : REQUEST_SEND;
    story->lane_of[ticket] = (unsigned char)number;
    story->accepted = ticket;
    scheduler_accept(&story->scheduler, request, story->now);
}

/* In its lane nothing else is on its way, and nothing younger has gone before it. */
static void check_order(struct story *story, const struct request *request)
{
    size_t at = request->ticket % ENDPOINTS;
    size_t lane = story->lane_of[request->ticket];
    CHECK(request->endpoint->active <= request->endpoint->settings.connections);
    if (lane > 0) {
        CHECK(story->busy[at][lane] == 0 || story->busy[at][lane] == request->ticket);
        CHECK(request->ticket >= story->sent_last[at][lane]);
        story->sent_last[at][lane] = request->ticket;
        story->busy[at][lane] = request->ticket;
    }
}

static void send_something(struct story *story)
{
    struct request *request =
        story->flying_count < FLYING ? scheduler_next(&story->scheduler, story->now) : NULL;
    if (request != NULL) {
        check_order(story, request);
        story->flying[story->flying_count++] = request;
    }
}

static void answer_flying(struct story *story, size_t at, enum failure failure)
{
    struct request *request = story->flying[at];
    story->flying[at] = story->flying[--story->flying_count];
    answer(&story->scheduler, request, failure, story->now);
}

static void answer_something(struct story *story)
{
    static const enum failure failures[] = {
        FAILURE_NONE,         FAILURE_NONE,     FAILURE_NONE,      FAILURE_NONE,
        FAILURE_NONE,         FAILURE_REFUSED,  FAILURE_THROTTLED, FAILURE_TIMEOUT,
        FAILURE_SERVER_ERROR, FAILURE_FORBIDDEN};
    if (story->flying_count > 0) {
        answer_flying(story, random_below(&story->random, story->flying_count),
                      failures[random_below(&story->random, 10)]);
    }
}

/* It is out for good: no request may come out twice. */
static void count_out(struct story *story, const struct request *request)
{
    size_t at = request->ticket % ENDPOINTS;
    size_t lane = story->lane_of[request->ticket];
    CHECK_NOTE("ticket %" PRIu64, request->ticket);
    CHECK_INT(story->ended[request->ticket]++, 0);
    if (lane > 0 && story->busy[at][lane] == request->ticket) {
        story->busy[at][lane] = 0;
    }
    story->finished++;
}

static void take_finished(struct story *story)
{
    struct request *last;
    struct request *request = scheduler_finished(&story->scheduler, &last);
    while (request != NULL) {
        struct request *next = request->next;
        if (request->outcome.question) {
            story->asked[story->asked_count++] = request;
        } else {
            count_out(story, request);
            request_free(request);
        }
        request = next;
    }
}

static void decide_something(struct story *story)
{
    if (story->asked_count == 0) {
        return;
    }
    size_t at = random_below(&story->random, story->asked_count);
    struct request *request = story->asked[at];
    story->asked[at] = story->asked[--story->asked_count];
    request->verb = one_in(story, 2) ? REQUEST_AGAIN : REQUEST_RELEASE;
    request->pause = (double)random_below(&story->random, 5);
    if (request->verb == REQUEST_RELEASE) {
        count_out(story, request);
    }
    scheduler_accept(&story->scheduler, request, story->now);
}

/* As the engine does: what waits, and then what is on its way. */
static void close_something(struct story *story)
{
    const struct endpoint *endpoint = story->endpoints[random_below(&story->random, ENDPOINTS)];
    scheduler_close(&story->scheduler, endpoint, story->now);
    for (size_t i = story->flying_count; i-- > 0;) {
        if (story->flying[i]->endpoint == endpoint) {
            answer_flying(story, i, FAILURE_CLOSED);
        }
    }
}

static void pass_time(struct story *story)
{
    double idle = scheduler_idle(&story->scheduler, story->now, 2);
    CHECK(idle >= 0 && idle <= 2);
    story->now += one_in(story, 2) ? idle : (double)random_below(&story->random, 100) / 100;
    scheduler_advance(&story->scheduler, story->now);
}

static void live_on(struct story *story)
{
    switch (random_below(&story->random, 16)) {
    case 0:
    case 1:
    case 2:
    case 3: submit_something(story); break;
    case 4:
    case 5:
    case 6:
    case 7: send_something(story); break;
    case 8:
    case 9:
    case 10:
    case 11: answer_something(story); break;
    case 12:
    case 13: decide_something(story); break;
    case 14: pass_time(story); break;
    default:
        if (one_in(story, 100)) {
            close_something(story);
        }
    }
    take_finished(story);
}

/* With a stock of requests in hand and no more to come, everything ends by itself. */
static void live_to_the_end(struct story *story)
{
    for (int i = 0; i < 1000000 && story->finished < story->accepted; i++) {
        send_something(story);
        answer_something(story);
        decide_something(story);
        pass_time(story);
        take_finished(story);
    }
    CHECK_SIZE(story->finished, story->accepted);
    for (uint64_t ticket = 1; ticket <= story->accepted; ticket++) {
        CHECK_INT(story->ended[ticket], 1);
    }
    CHECK(scheduler_next(&story->scheduler, story->now) == NULL);
}

static void check_story(uint64_t seed, bool asks)
{
    static struct story story;
    story = (struct story){.random = {.state = seed}, .now = 1000};
    scheduler_init(&story.scheduler, seed);
    for (size_t i = 0; i < ENDPOINTS; i++) {
        story.endpoints[i] = made_endpoint(1 + 3 * i);
        story.endpoints[i]->settings.asks = asks && i > 0;
    }
    for (int i = 0; i < EVENTS; i++) {
        live_on(&story);
    }
    live_to_the_end(&story);
    CHECK_NOTE("seed %" PRIu64 ", %" PRIu64 " requests", seed, story.accepted);
    CHECK(story.accepted > 5000);
    CHECK_SIZE(story.scheduler.held, 0);
    CHECK_SIZE(story.scheduler.lanes.count, 0);
    CHECK_SIZE(story.scheduler.timers.count, 0);
    scheduler_release(&story.scheduler);
    for (size_t i = 0; i < ENDPOINTS; i++) {
        CHECK_SIZE(story.endpoints[i]->active, 0);
        CHECK_SIZE(atomic_load(&story.endpoints[i]->references), 1);
        endpoint_release(story.endpoints[i]);
    }
}

static void whatever_happens_each_ends_once_and_in_order(void)
{
    for (uint64_t seed = 1; seed <= 4; seed++) {
        check_story(seed, seed % 2 == 0);
    }
}

static const struct check_case cases[] = {
    CHECK_CASE(one_lane_goes_in_order),
    CHECK_CASE(lanes_go_side_by_side),
    CHECK_CASE(same_lane_of_two_endpoints_is_two),
    CHECK_CASE(retried_one_holds_its_lane),
    CHECK_CASE(attempts_come_to_an_end),
    CHECK_CASE(unreached_attempts_do_not_count),
    CHECK_CASE(counted_attempts_come_to_an_end_between_others),
    CHECK_CASE(what_has_failed_does_not_hold_up_the_rest),
    CHECK_CASE(single_attempt_is_a_single_attempt),
    CHECK_CASE(no_more_at_once_than_connections),
    CHECK_CASE(deadline_passes_while_it_waits),
    CHECK_CASE(deadline_passes_between_attempts),
    CHECK_CASE(head_that_expires_lets_the_next_go),
    CHECK_CASE(messages_go_before_what_is_ephemeral),
    CHECK_CASE(ephemeral_is_tried_once_and_never_late),
    CHECK_CASE(throttled_typing_does_not_slow_messages),
    CHECK_CASE(dead_source_is_probed_once_a_second),
    CHECK_CASE(probes_do_not_count),
    CHECK_CASE(single_attempt_may_be_a_probe),
    CHECK_CASE(outage_loses_nothing_and_costs_a_trickle),
    CHECK_CASE(refusals_leave_the_gate_open),
    CHECK_CASE(closed_is_no_sign_of_health),
    CHECK_CASE(throttled_source_pauses_as_a_whole),
    CHECK_CASE(pause_ends_what_cannot_outlast_it),
    CHECK_CASE(pause_ends_what_waits_already),
    CHECK_CASE(pause_ends_a_long_lane),
    CHECK_CASE(pause_ends_what_was_asked_about),
    CHECK_CASE(deadline_tells_what_ails_the_source),
    CHECK_CASE(one_source_does_not_close_another),
    CHECK_CASE(question_holds_its_lane_until_it_is_answered),
    CHECK_CASE(question_without_a_lane),
    CHECK_CASE(again_beyond_the_deadline),
    CHECK_CASE(skipped_is_delivered_at_once),
    CHECK_CASE(close_of_one_and_of_all),
    CHECK_CASE(close_leaves_what_is_on_its_way),
    CHECK_CASE(idle_until_something_is_due),
    CHECK_CASE(whatever_happens_each_ends_once_and_in_order),
};

int main(int count, char **names)
{
    return CHECK_RUN(cases, count, names);
}
