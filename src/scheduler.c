#include "scheduler.h"

#include <limits.h> /* UINT_MAX */
#include <stdio.h>  /* snprintf(3) */
#include <string.h> /* strdup(3) */

/* Of what comes from an outbox. */
static const struct retry_policy PERSISTENT = {.attempts = UINT_MAX, .first = 0.5, .longest = 300};
static const double MEMORY_PAUSE = 1.0; /* seconds after which there may be some again */

static const double THROTTLED_PAUSE = 1.0; /* seconds, when the server does not say how long */

void scheduler_init(struct scheduler *scheduler, uint64_t seed)
{
    *scheduler = (struct scheduler){.chance = seed | 1};
    scheduler->finished_last = &scheduler->finished;
    scheduler->returned_last = &scheduler->returned;
}

/* xorshift64: evenly from 0 to 1, good enough to keep senders apart */
static double chance(struct scheduler *scheduler)
{
    uint64_t x = scheduler->chance;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    scheduler->chance = x;
    return (double)(x >> 11) / 9007199254740992.0;
}

/* ---- lists ---- */

static void append(struct request_list *list, struct request *request)
{
    request->next = NULL;
    request->previous = list->last;
    if (list->last != NULL) {
        list->last->next = request;
    } else {
        list->first = request;
    }
    list->last = request;
}

static void take_out(struct request_list *list, struct request *request)
{
    if (request->previous != NULL) {
        request->previous->next = request->next;
    } else {
        list->first = request->next;
    }
    if (request->next != NULL) {
        request->next->previous = request->previous;
    } else {
        list->last = request->previous;
    }
    request->next = NULL;
    request->previous = NULL;
}

static struct request_list *ready_list(const struct request *request)
{
    struct endpoint *endpoint = request->endpoint;
    if (request->ephemeral) {
        return &endpoint->ephemeral;
    }
    return request->outcome.attempts > 0 ? &endpoint->again : &endpoint->ready;
}

static bool has_ready(const struct endpoint *endpoint)
{
    return endpoint->ready.first != NULL || endpoint->again.first != NULL ||
           endpoint->ephemeral.first != NULL;
}

static void list_endpoint(struct scheduler *scheduler, struct endpoint *endpoint)
{
    if (!endpoint->listed) {
        endpoint_retain(endpoint);
        endpoint->listed = true;
        endpoint->next = scheduler->endpoints;
        scheduler->endpoints = endpoint;
    }
}

static void unlist_endpoint(struct endpoint **link)
{
    struct endpoint *endpoint = *link;
    *link = endpoint->next;
    endpoint->next = NULL;
    endpoint->listed = false;
    endpoint_release(endpoint);
}

/* ---- the ways of a request ---- */

/* Its source is to be left alone until its deadline, or longer. */
static bool is_hopeless(const struct request *request)
{
    return request->deadline <= request->endpoint->bucket.not_before;
}

/* What is hopeless is due since it came: it ends with the next scheduler_advance. */
static void wait_until(struct scheduler *scheduler, struct request *request, double due)
{
    double latest = is_hopeless(request) ? request->submitted : request->deadline;
    timers_set(&scheduler->timers, request, due < latest ? due : latest);
}

static void make_ready(struct scheduler *scheduler, struct request *request)
{
    request->state = REQUEST_READY;
    wait_until(scheduler, request, request->deadline);
    append(ready_list(request), request);
    list_endpoint(scheduler, request->endpoint);
}

/* Puts it among the finished: its lane stays as it is. */
static void hand_over(struct scheduler *scheduler, struct request *request, double now)
{
    timers_clear(&scheduler->timers, request);
    scheduler->held--;
    request->state = REQUEST_DONE;
    request->outcome.seconds = now - request->submitted;
    request->next = NULL;
    struct request ***last =
        request->row != NULL ? &scheduler->returned_last : &scheduler->finished_last;
    **last = request;
    *last = &request->next;
}

static void leave_lane(struct scheduler *scheduler, const struct request *request)
{
    struct request *next = lanes_leave(&scheduler->lanes, request);
    if (next != NULL) {
        make_ready(scheduler, next);
    }
}

static void finish(struct scheduler *scheduler, struct request *request, double now)
{
    leave_lane(scheduler, request);
    hand_over(scheduler, request, now);
}

/* The outcome of a request that was never sent: why there was no time for it. */
static void blame_source(struct request *request)
{
    const struct endpoint *endpoint = request->endpoint;
    struct outcome *outcome = &request->outcome;
    char reason[120];
    if (is_hopeless(request)) {
        outcome->failure = endpoint->paused_by;
        (void)snprintf(reason, sizeof reason, "the server asked for a pause beyond the deadline");
    } else {
        bool is_well = endpoint->trouble == FAILURE_NONE;
        outcome->failure = FAILURE_TIMEOUT;
        (void)snprintf(reason, sizeof reason, "it could not be sent before its deadline%s%s",
                       is_well ? "" : "; the source's last failure: ",
                       is_well ? "" : failure_row(endpoint->trouble)->code);
    }
    if (request->ephemeral) {
        outcome->failure = FAILURE_STALE;
    }
    outcome->reason = strdup(reason);
}

/* There is no time to send it, or to send it again: then the last attempt's outcome stands. */
static void expire(struct scheduler *scheduler, struct request *request, double now)
{
    if (request->state == REQUEST_BEHIND) {
        lanes_remove(&scheduler->lanes, request);
    } else if (request->state == REQUEST_READY) {
        take_out(ready_list(request), request);
    }
    if (request->outcome.failure == FAILURE_NONE) {
        blame_source(request);
    }
    finish(scheduler, request, now);
}

static void delay(struct scheduler *scheduler, struct request *request, double due)
{
    request->state = REQUEST_DELAYED;
    wait_until(scheduler, request, due);
}

static void fail_for_memory(struct scheduler *scheduler, struct request *request, double now)
{
    request->outcome.failure = FAILURE_NO_MEMORY;
    finish(scheduler, request, now);
}

static void enter(struct scheduler *scheduler, struct request *request, double now)
{
    switch (lanes_enter(&scheduler->lanes, request)) {
    case LANES_HEAD:
        if (request->verb == REQUEST_AGAIN) {
            delay(scheduler, request, now + request->pause);
        } else {
            make_ready(scheduler, request);
        }
        break;
    case LANES_BEHIND:
        request->state = REQUEST_BEHIND;
        wait_until(scheduler, request, request->deadline);
        break;
    case LANES_NO_MEMORY: fail_for_memory(scheduler, request, now); break;
    }
}

void scheduler_accept(struct scheduler *scheduler, struct request *request, double now)
{
    request->next = NULL;
    request->previous = NULL;
    if (request->verb == REQUEST_RELEASE) {
        leave_lane(scheduler, request);
        request_free(request);
        return;
    }
    request->outcome.question = false;
    if (!timers_reserve(&scheduler->timers, ++scheduler->held)) {
        fail_for_memory(scheduler, request, now);
        return;
    }
    if (request->verb == REQUEST_SKIP) {
        hand_over(scheduler, request, now);
    } else {
        enter(scheduler, request, now);
    }
}

/* ---- sending ---- */

static bool is_open(const struct endpoint *endpoint, double now)
{
    return endpoint->active < endpoint->settings.connections &&
           retry_bucket_opens(&endpoint->bucket) <= now;
}

/* One of an endpoint that has something ready. */
static struct request *first_ready(const struct endpoint *endpoint)
{
    bool is_well = endpoint->bucket.tokens == RETRY_TOKENS;
    struct request *again = endpoint->again.first;
    struct request *fresh = endpoint->ready.first;
    struct request *first = again != NULL && (is_well || fresh == NULL) ? again : fresh;
    return first != NULL ? first : endpoint->ephemeral.first;
}

struct request *scheduler_next(struct scheduler *scheduler, double now)
{
    for (struct endpoint **link = &scheduler->endpoints; *link != NULL;) {
        struct endpoint *endpoint = *link;
        if (!has_ready(endpoint)) {
            unlist_endpoint(link);
            continue;
        }
        if (is_open(endpoint, now)) {
            struct request *request = first_ready(endpoint);
            take_out(ready_list(request), request);
            timers_clear(&scheduler->timers, request);
            request->is_probe = retry_bucket_spend(&endpoint->bucket, now, chance(scheduler));
            endpoint->active++;
            request->state = REQUEST_ON_WAY;
            return request;
        }
        link = &endpoint->next;
    }
    return NULL;
}

/*
 * Nothing of the endpoint goes before a later time than was known: what has no time until then is
 * due. Moved up in the heap it changes places only with what this pass has seen already.
 */
static void hasten_hopeless(struct scheduler *scheduler, const struct endpoint *endpoint)
{
    struct timers *timers = &scheduler->timers;
    for (size_t i = 0; i < timers->count; i++) {
        struct request *request = timers->heap[i];
        if (request->endpoint == endpoint && is_hopeless(request)) {
            timers_set(timers, request, request->submitted);
        }
    }
}

static void fail_source(struct scheduler *scheduler, struct endpoint *endpoint,
                        enum failure failure, double now, double pause)
{
    double before = endpoint->bucket.not_before;
    retry_bucket_failed(&endpoint->bucket, now, pause);
    endpoint->trouble = failure;
    if (endpoint->bucket.not_before > before) {
        endpoint->paused_by = failure;
        hasten_hopeless(scheduler, endpoint);
    }
}

/* What one attempt says of its source. Any answer but an overloaded server's shows that it is well.
 */
static void judge_source(struct scheduler *scheduler, const struct request *request, double now)
{
    struct endpoint *endpoint = request->endpoint;
    const struct outcome *outcome = &request->outcome;
    enum failure_class class = failure_row(outcome->failure)->class;
    double pause = outcome->retry_after > 0 ? outcome->retry_after : 0;
    if (class == CLASS_THROTTLED && outcome->retry_after < 0) {
        pause = THROTTLED_PAUSE;
    }
    if (class == CLASS_LOCAL) {
        return; /* no answer at all */
    }
    if (class == CLASS_THROTTLED && request->ephemeral) {
        return; /* typing has a limit of its own */
    }
    if (class == CLASS_TRANSIENT || class == CLASS_THROTTLED) {
        fail_source(scheduler, endpoint, outcome->failure, now, pause);
    } else {
        retry_bucket_succeeded(&endpoint->bucket);
        endpoint->trouble = FAILURE_NONE;
    }
}

/* The wait before what comes from an outbox is tried again. */
static double persistent_delay(const struct request *request, const struct retry_case *retry)
{
    if (request->outcome.failure == FAILURE_NO_MEMORY) {
        return MEMORY_PAUSE;
    }
    return retry_delay(&PERSISTENT, retry);
}

static double next_delay(struct scheduler *scheduler, const struct request *request, double now)
{
    const struct outcome *outcome = &request->outcome;
    struct retry_case retry = {
        .class = failure_row(outcome->failure)->class,
        .attempts = outcome->attempts,
        .counted = request->counted,
        .left = request->deadline - now,
        .retry_after = outcome->retry_after,
        .chance = chance(scheduler),
    };
    if (request->row != NULL) {
        return persistent_delay(request, &retry);
    }
    return request->ephemeral ? -1 : retry_delay(&request->endpoint->settings.policy, &retry);
}

void scheduler_answered(struct scheduler *scheduler, struct request *request, double now)
{
    struct endpoint *endpoint = request->endpoint;
    enum failure failure = request->outcome.failure;
    endpoint->active--;
    if (has_ready(endpoint)) {
        list_endpoint(scheduler, endpoint);
    }
    request->counted += !request->outcome.unreached && !request->is_probe;
    judge_source(scheduler, request, now);
    if (failure == FAILURE_NONE || failure == FAILURE_CLOSED) {
        finish(scheduler, request, now);
        return;
    }
    if (endpoint->settings.asks && !request->ephemeral && request->row == NULL) {
        request->outcome.question = true;
        hand_over(scheduler, request, now);
        return;
    }
    double wait = next_delay(scheduler, request, now);
    if (wait < 0) {
        finish(scheduler, request, now);
        return;
    }
    delay(scheduler, request, now + wait);
}

void scheduler_advance(struct scheduler *scheduler, double now)
{
    struct request *request;
    while ((request = timers_first(&scheduler->timers)) != NULL && request->due <= now) {
        if (request->state == REQUEST_DELAYED && request->due < request->deadline) {
            make_ready(scheduler, request);
        } else {
            expire(scheduler, request, now);
        }
    }
}

double scheduler_idle(const struct scheduler *scheduler, double now, double most)
{
    double due = now + most;
    const struct request *first = timers_first(&scheduler->timers);
    if (first != NULL && first->due < due) {
        due = first->due;
    }
    for (const struct endpoint *endpoint = scheduler->endpoints; endpoint != NULL;
         endpoint = endpoint->next) {
        double opens = retry_bucket_opens(&endpoint->bucket);
        if (endpoint->active < endpoint->settings.connections && opens < due) {
            due = opens;
        }
    }
    return due > now ? due - now : 0;
}

struct request *scheduler_finished(struct scheduler *scheduler, struct request **last)
{
    struct request *first = scheduler->finished;
    if (first != NULL) {
        /* finished_last points at the last request's first member, its link */
        *last = (struct request *)(void *)scheduler->finished_last;
        scheduler->finished = NULL;
        scheduler->finished_last = &scheduler->finished;
    }
    return first;
}

struct request *scheduler_returned(struct scheduler *scheduler)
{
    struct request *first = scheduler->returned;
    scheduler->returned = NULL;
    scheduler->returned_last = &scheduler->returned;
    return first;
}

static void close_request(struct scheduler *scheduler, struct request *request, double now)
{
    if (request->state == REQUEST_BEHIND) {
        lanes_remove(&scheduler->lanes, request);
    } else if (request->state == REQUEST_READY) {
        take_out(ready_list(request), request);
    }
    request_reset_outcome(request);
    request->outcome.failure = FAILURE_CLOSED;
    finish(scheduler, request, now);
}

bool scheduler_has(const struct request *request)
{
    return request->state == REQUEST_BEHIND || request->state == REQUEST_READY ||
           request->state == REQUEST_DELAYED;
}

void scheduler_recall(struct scheduler *scheduler, struct request *request, double now)
{
    close_request(scheduler, request, now);
}

/* Taking one out moves others within the heap, perhaps to where the search was: hence the passes.
 */
void scheduler_close(struct scheduler *scheduler, const struct endpoint *endpoint, double now)
{
    for (bool found = true; found;) {
        found = false;
        for (size_t i = 0; i < scheduler->timers.count;) {
            struct request *request = scheduler->timers.heap[i];
            if (endpoint == NULL || request->endpoint == endpoint) {
                close_request(scheduler, request, now);
                found = true;
            } else {
                i++;
            }
        }
    }
}

void scheduler_release(struct scheduler *scheduler)
{
    struct request *last;
    struct request *request = scheduler_finished(scheduler, &last);
    while (request != NULL) {
        struct request *next = request->next;
        request_free(request);
        request = next;
    }
    while (scheduler->endpoints != NULL) {
        unlist_endpoint(&scheduler->endpoints);
    }
    lanes_release(&scheduler->lanes);
    timers_release(&scheduler->timers);
}
