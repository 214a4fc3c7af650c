/* The scheduler with a clock that is made up: lanes, deadlines, and what their callers decide. */

#include "scheduler.h"

#include <stdio.h> /* snprintf(3) */

#include "scheduler_fixture.h"

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
    CHECK_CASE(question_holds_its_lane_until_it_is_answered),
    CHECK_CASE(question_without_a_lane),
    CHECK_CASE(again_beyond_the_deadline),
    CHECK_CASE(skipped_is_delivered_at_once),
    CHECK_CASE(close_of_one_and_of_all),
    CHECK_CASE(close_leaves_what_is_on_its_way),
    CHECK_CASE(idle_until_something_is_due),
};

int main(int count, char **names)
{
    return CHECK_RUN(cases, count, names);
}
