#ifndef SENDAPI_SCHEDULER_FIXTURE_H
#define SENDAPI_SCHEDULER_FIXTURE_H

/* A scheduler with a clock that is made up, and answers that are. */

#include "check.h"
#include "made.h"
#include "scheduler.h"

enum { LIFE = 60 }; /* seconds that a request has */

static inline struct request *accept_as(struct scheduler *scheduler, struct request *request,
                                        double now)
{
    request->submitted = now;
    request->deadline = now + LIFE;
    scheduler_accept(scheduler, request, now);
    return request;
}

static inline struct request *accept_one(struct scheduler *scheduler, struct endpoint *endpoint,
                                         const char *lane, uint64_t ticket, double now)
{
    return accept_as(scheduler, made_request(endpoint, lane, ticket), now);
}

static inline struct request *accept_ephemeral(struct scheduler *scheduler,
                                               struct endpoint *endpoint, uint64_t ticket,
                                               double now)
{
    struct request *request = made_request(endpoint, "", ticket);
    request->ephemeral = true;
    return accept_as(scheduler, request, now);
}

static inline void answer_with(struct scheduler *scheduler, struct request *request,
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

static inline void answer(struct scheduler *scheduler, struct request *request,
                          enum failure failure, double now)
{
    answer_with(scheduler, request, &(struct outcome){.failure = failure, .retry_after = -1}, now);
}

static inline void answer_unreached(struct scheduler *scheduler, struct request *request,
                                    enum failure failure, double now)
{
    const struct outcome outcome = {.failure = failure, .unreached = true, .retry_after = -1};
    answer_with(scheduler, request, &outcome, now);
}

/* The ticket of what should be sent now, which then is on its way; 0: nothing. */
static inline struct request *check_next(const char *file, int line, struct scheduler *scheduler,
                                         double now, uint64_t ticket)
{
    struct request *request = scheduler_next(scheduler, now);
    check_size(file, line, "next", request != NULL ? request->ticket : 0, ticket);
    return request;
}
#define NEXT(now, ticket) check_next(CHECK_AT, &scheduler, now, ticket)

/* The first that is finished must be this one, with that outcome; it is freed. */
static inline void check_finished(const char *file, int line, struct request **chain,
                                  uint64_t ticket, enum failure failure)
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

static inline void check_only(const char *file, int line, struct scheduler *scheduler,
                              uint64_t ticket, enum failure failure)
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

static inline bool is_near(double actual, double expected)
{
    return actual - expected < 1e-9 && expected - actual < 1e-9;
}

/* Nothing is held, and nothing refers to the endpoint any more. */
static inline void end(struct scheduler *scheduler, struct endpoint *endpoint)
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

#endif
