#include "deliverer_ends.h"

#include <stdio.h>  /* snprintf(3) */
#include <stdlib.h> /* malloc(3) */
#include <string.h> /* memcpy(3) strlen(3) */

#include "deliverer_lease.h"
#include "deliverer_rows.h"

static const double END_WAIT = 0.002; /* seconds */
static const double LONGEST_PROBE = 60.0;

/* ---- what came of a row ---- */

static char *reason_of(const struct outcome *outcome)
{
    char text[STORE_REASON];
    if (outcome->reason != NULL) {
        (void)snprintf(text, sizeof text, "%s", outcome->reason);
    } else {
        (void)snprintf(text, sizeof text, "%.*s", (int)outcome->body_length,
                       outcome->body != NULL ? outcome->body : "");
    }
    size_t size = strlen(text) + 1;
    char *copy = malloc(size);
    if (copy != NULL) {
        memcpy(copy, text, size);
    }
    return copy;
}

static void end_row(struct deliverer_row *row, enum row_state state, struct moment moment)
{
    struct deliverer *deliverer = row->owner;
    row->state = state;
    row->died = moment.wall;
    row->reason = state == ROW_DEAD ? reason_of(&row->request->outcome) : NULL;
    deliverer->entered--;
    if (deliverer->ended++ == 0) {
        deliverer->end_due = moment.now + END_WAIT;
        deliverer->has_died = false;
    }
    deliverer->has_died = deliverer->has_died || state == ROW_DEAD;
    deliverer_unblock(deliverer, row->id);
}

static void pause_source(struct deliverer *deliverer, const struct request *fault, double now)
{
    if (deliverer->is_paused && deliverer->draining) {
        return; /* it was on its way with the first one */
    }
    deliverer->is_paused = true;
    deliverer->probe_due = now + deliverer->probe_wait;
    deliverer->probe_wait *= 2;
    if (deliverer->probe_wait > LONGEST_PROBE) {
        deliverer->probe_wait = LONGEST_PROBE;
    }
    if (!deliverer->is_pause_told) {
        deliverer->is_pause_told = true;
        deliverer->ears.paused(deliverer->ears.context, fault);
    }
}

void deliverer_forget_pause(struct deliverer *deliverer)
{
    deliverer->probe_wait = DELIVERER_FIRST_PROBE;
    deliverer->probe_due = 0;
}

static void resume_source(struct deliverer *deliverer)
{
    if (deliverer->is_paused) {
        deliverer->is_paused = false;
        deliverer->is_pause_told = false;
        deliverer->more = true;
        deliverer->ears.resumed(deliverer->ears.context);
    }
    deliverer_forget_pause(deliverer);
}

/* It stays pending in the store. */
static void give_back(struct deliverer_row *row, double now)
{
    struct deliverer *deliverer = row->owner;
    const struct request *request = row->request;
    enum failure failure = request->outcome.failure;
    bool is_present = request->endpoint == deliverer->endpoint;
    if (failure_row(failure)->class == CLASS_SOURCE && is_present) {
        pause_source(deliverer, request, now);
    } else if (failure == FAILURE_NO_MEMORY) {
        deliverer->read_due = now + DELIVERER_AGAIN;
    }
    const struct deliverer_blocked *blocked =
        deliverer_find_blocked(deliverer, request_lane(request), request->lane_length);
    bool was_put_back = failure == FAILURE_CLOSED && blocked != NULL && blocked->head != row->id;
    deliverer_free_row(row);
    if (!was_put_back && !deliverer->draining) {
        deliverer_start_over(deliverer, now);
    }
}

static bool is_pending_still(enum failure failure)
{
    enum failure_class class = failure_row(failure)->class;
    return class == CLASS_SOURCE || class == CLASS_LOCAL;
}

void deliverer_take_back(struct request *request, struct moment moment)
{
    struct deliverer_row *row = request->row;
    struct deliverer *deliverer = row->owner;
    enum failure failure = request->outcome.failure;
    if (row->is_disowned) {
        deliverer_free_row(row);
    } else if (is_pending_still(failure)) {
        give_back(row, moment.now);
    } else {
        end_row(row, failure == FAILURE_NONE ? ROW_DELIVERED : ROW_DEAD, moment);
        if (request->endpoint == deliverer->endpoint && request->outcome.status > 0 &&
            failure_row(failure)->class != CLASS_TRANSIENT) {
            resume_source(deliverer);
        }
    }
}

/* ---- writing it ---- */

static void tell_death(struct deliverer *deliverer, const struct deliverer_row *row,
                       const struct store_end *end)
{
    const struct request *request = row->request;
    const struct store_letter letter = {
        .row = {.id = row->id,
                .lane = request_lane(request),
                .lane_length = request->lane_length,
                .body = request_lane(request) - request->length,
                .length = request->length,
                .time = row->time,
                .action = row->action},
        .code = end->code,
        .reason = end->reason,
        .status = end->status,
        .attempts = end->attempts,
        .died = end->time,
    };
    deliverer->ears.died(deliverer->ears.context, &letter);
}

static struct store_end end_of(const struct deliverer_row *row)
{
    const struct outcome *outcome = &row->request->outcome;
    return (struct store_end){
        .id = row->id,
        .is_delivered = row->state == ROW_DELIVERED,
        .code = failure_row(outcome->failure)->code,
        .reason = row->reason != NULL ? row->reason : "",
        .status = outcome->status,
        .attempts = outcome->attempts,
        .time = row->died,
    };
}

static size_t list_ends(const struct deliverer *deliverer, struct store_end *ends, size_t most)
{
    size_t count = 0;
    for (const struct deliverer_row *row = deliverer->first; row != NULL && count < most;
         row = row->next) {
        if (row->state != ROW_ENTERED) {
            ends[count++] = end_of(row);
        }
    }
    return count;
}

/* The first `count` rows that are done are gone from the pending ones. */
static void forget_ended(struct deliverer *deliverer, const struct store_end *ends, size_t count)
{
    struct deliverer_row *row = deliverer->first;
    for (size_t i = 0; i < count;) {
        struct deliverer_row *next = row->next;
        if (row->state != ROW_ENTERED) {
            if (ends[i].is_delivered) {
                deliverer->counts.delivered++;
            } else {
                deliverer->counts.died++;
                tell_death(deliverer, row, &ends[i]);
            }
            deliverer_free_row(row);
            i++;
        }
        row = next;
    }
}

static void write_ends(struct deliverer *deliverer, double now)
{
    struct store_end ends[DELIVERER_MOST_ENDS] = {{0}};
    struct store_problem problem;
    size_t count = list_ends(deliverer, ends, DELIVERER_MOST_ENDS);
    if (deliverer->driver->end(deliverer->store, deliverer->source, ends, count, &problem)) {
        deliverer->is_troubled = false;
        forget_ended(deliverer, ends, count);
    } else if (problem.trouble == STORE_FENCED) {
        deliverer_lose_lease(deliverer, now);
    } else {
        deliverer_be_troubled(deliverer, &problem);
        deliverer->end_due = now + DELIVERER_AGAIN;
        deliverer->end_again = deliverer->end_due;
    }
}

/* As many as may be on their way: a crash sends those again as well. */
static bool are_many(const struct deliverer *deliverer)
{
    const struct endpoint *endpoint = deliverer->endpoint;
    size_t connections = endpoint != NULL ? endpoint->settings.connections : 0;
    return deliverer->ended >= connections || deliverer->ended >= DELIVERER_ENDS;
}

double deliverer_ends_due(const struct deliverer *deliverer)
{
    bool is_urgent = are_many(deliverer) || deliverer->has_died || deliverer->draining;
    return is_urgent ? deliverer->end_again : deliverer->end_due;
}

void deliverer_write_ends(struct deliverer *deliverer, double now)
{
    while (deliverer->ended > 0 && now >= deliverer_ends_due(deliverer)) {
        write_ends(deliverer, now);
    }
    /* whether it failed now, or is not to be tried again yet */
    if (deliverer->ended > 0 && deliverer->has_died && !deliverer->draining) {
        deliverer_start_over(deliverer, now);
    }
}
