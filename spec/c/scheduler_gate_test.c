/* The scheduler and a source that is away or asks for a pause. */

#include "scheduler.h"

#include <stdio.h> /* snprintf(3) */

#include "scheduler_fixture.h"

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

static const struct check_case cases[] = {
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
};

int main(int count, char **names)
{
    return CHECK_RUN(cases, count, names);
}
