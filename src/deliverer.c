#include "deliverer.h"

#include <stdio.h>  /* snprintf(3) */
#include <stdlib.h> /* calloc(3) free(3) malloc(3) */
#include <string.h> /* memcmp(3) memcpy(3) strlen(3) */

static const double VERSION_INTERVAL = 0.04; /* seconds between two looks for others' rows */
static const double AGAIN = 1.0;             /* seconds until the store is tried again */
static const double BLOCK_INTERVAL = 1.0;    /* seconds between two looks for blocked lanes */
static const double FIRST_PROBE = 1.0;       /* seconds; doubled for each further one */
static const double LONGEST_PROBE = 60.0;

static const uint64_t OUTBOX_TICKET = UINT64_C(1) << 63; /* lanes know requests by their tickets */

enum row_state {
    ROW_ENTERED, /* in the scheduler, or on its way */
    ROW_DELIVERED,
    ROW_DEAD,
};

struct deliverer_row {
    struct deliverer_row *next;
    struct deliverer_row *previous;
    struct deliverer *owner;
    struct request *request; /* the scheduler's while it is entered, then owned here */
    uint64_t id;
    double time;
    double died;
    enum row_state state;
    bool is_disowned; /* the lease was lost: what becomes of it is nobody's affair */
    char *reason;     /* of a dead row; may be NULL */
    char action[];
};

void deliverer_init(struct deliverer *deliverer, const struct store_driver *driver,
                    const char *source, double lease_seconds, struct scheduler *scheduler,
                    const struct deliverer_ears *ears)
{
    *deliverer = (struct deliverer){
        .driver = driver,
        .source = source,
        .lease_seconds = lease_seconds,
        .scheduler = scheduler,
        .ears = *ears,
        .probe_wait = FIRST_PROBE,
    };
}

/* ---- the store's troubles ---- */

static void be_troubled(struct deliverer *deliverer, const struct store_problem *problem)
{
    if (!deliverer->is_troubled) {
        deliverer->is_troubled = true;
        deliverer->ears.troubled(deliverer->ears.context, problem);
    }
}

/* ---- rows ---- */

static struct deliverer_row *find_row(const struct deliverer *deliverer, uint64_t id)
{
    struct deliverer_row *row = deliverer->last;
    while (row != NULL && row->id > id) {
        row = row->previous;
    }
    return row != NULL && row->id == id ? row : NULL;
}

static void link_row(struct deliverer *deliverer, struct deliverer_row *row)
{
    struct deliverer_row *before = deliverer->last;
    while (before != NULL && before->id > row->id) {
        before = before->previous;
    }
    row->previous = before;
    row->next = before != NULL ? before->next : deliverer->first;
    *(row->next != NULL ? &row->next->previous : &deliverer->last) = row;
    *(before != NULL ? &before->next : &deliverer->first) = row;
    deliverer->rows++;
    deliverer->entered++;
    deliverer->bytes += row->request->length;
}

static void free_row(struct deliverer_row *row)
{
    struct deliverer *deliverer = row->owner;
    *(row->next != NULL ? &row->next->previous : &deliverer->last) = row->previous;
    *(row->previous != NULL ? &row->previous->next : &deliverer->first) = row->next;
    deliverer->rows--;
    deliverer->bytes -= row->request->length;
    if (row->state == ROW_ENTERED) {
        deliverer->entered--;
    } else {
        deliverer->ended--;
    }
    row->request->row = NULL;
    request_free(row->request);
    free(row->reason);
    free(row);
}

/* ---- blocked lanes ---- */

static void forget_blocked(struct deliverer *deliverer)
{
    while (deliverer->blocked != NULL) {
        struct deliverer_blocked *blocked = deliverer->blocked;
        deliverer->blocked = blocked->next;
        free(blocked);
    }
}

static struct deliverer_blocked *find_blocked(const struct deliverer *deliverer, const char *lane,
                                              size_t length)
{
    struct deliverer_blocked *blocked = deliverer->blocked;
    while (blocked != NULL &&
           (blocked->length != length || memcmp(blocked->lane, lane, length) != 0)) {
        blocked = blocked->next;
    }
    return blocked;
}

/* Its head is done: what was left in the store is read again. */
static void unblock(struct deliverer *deliverer, uint64_t head)
{
    for (struct deliverer_blocked **link = &deliverer->blocked; *link != NULL;) {
        struct deliverer_blocked *blocked = *link;
        if (blocked->head != head) {
            link = &blocked->next;
            continue;
        }
        *link = blocked->next;
        if (blocked->skipped > 0) {
            deliverer->more = true;
            if (deliverer->after >= blocked->skipped) {
                deliverer->after = blocked->skipped - 1;
            }
        }
        free(blocked);
    }
}

static bool in_lane(const struct request *request, const char *lane, size_t length)
{
    return request->lane_length == length && memcmp(request_lane(request), lane, length) == 0;
}

static struct deliverer_blocked *block_lane(struct deliverer *deliverer,
                                            const struct deliverer_row *head)
{
    size_t length = head->request->lane_length;
    struct deliverer_blocked *blocked = malloc(sizeof *blocked + length);
    if (blocked != NULL) {
        *blocked = (struct deliverer_blocked){
            .next = deliverer->blocked, .head = head->id, .length = length};
        memcpy(blocked->lane, request_lane(head->request), length);
        deliverer->blocked = blocked;
    }
    return blocked;
}

/* Puts back the rows behind a head that waits for its next attempt. */
static void put_back_followers(struct deliverer *deliverer, struct deliverer_row *head, double now)
{
    const char *lane = request_lane(head->request);
    size_t length = head->request->lane_length;
    struct deliverer_blocked *blocked = find_blocked(deliverer, lane, length);
    for (struct deliverer_row *row = deliverer->last; row != head; row = row->previous) {
        bool is_behind = row->state == ROW_ENTERED && row->request->state == REQUEST_BEHIND &&
                         in_lane(row->request, lane, length);
        if (!is_behind || (blocked == NULL && (blocked = block_lane(deliverer, head)) == NULL)) {
            continue;
        }
        blocked->skipped = row->id;
        scheduler_recall(deliverer->scheduler, row->request, now);
    }
}

static bool is_full(const struct deliverer *deliverer)
{
    return deliverer->rows >= DELIVERER_ROWS || deliverer->bytes >= DELIVERER_BYTES;
}

static void make_room(struct deliverer *deliverer, double now)
{
    if (!deliverer->more || !is_full(deliverer) || now < deliverer->block_due) {
        return;
    }
    deliverer->block_due = now + BLOCK_INTERVAL;
    for (struct deliverer_row *row = deliverer->first; row != NULL; row = row->next) {
        if (row->state == ROW_ENTERED && row->request->state == REQUEST_DELAYED &&
            row->request->lane_length > 0) {
            put_back_followers(deliverer, row, now);
        }
    }
}

/* ---- recalling ---- */

/* From the end, so that no row is let go by the one before it. */
static void recall_all(struct deliverer *deliverer, double now)
{
    for (struct deliverer_row *row = deliverer->last; row != NULL; row = row->previous) {
        if (row->state == ROW_ENTERED && scheduler_has(row->request)) {
            scheduler_recall(deliverer->scheduler, row->request, now);
        }
    }
}

/* Reading begins anew, once nothing is on its way. */
static void start_over(struct deliverer *deliverer, double now)
{
    deliverer->draining = true;
    deliverer->after = 0;
    deliverer->more = true;
    forget_blocked(deliverer);
    recall_all(deliverer, now);
}

/* The lease is another's, or may be: nothing here counts any more. */
static void lose_lease(struct deliverer *deliverer, double now)
{
    deliverer->is_holder = false;
    deliverer->lease_due = now + AGAIN;
    start_over(deliverer, now);
    for (struct deliverer_row *row = deliverer->first; row != NULL;) {
        struct deliverer_row *next = row->next;
        row->is_disowned = true;
        if (row->state != ROW_ENTERED) {
            free_row(row);
        }
        row = next;
    }
}

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
    deliverer->ended++;
    unblock(deliverer, row->id);
}

static void pause_source(struct deliverer *deliverer, const struct request *fault, double now)
{
    bool is_new = !deliverer->is_paused;
    if (!is_new && deliverer->draining) {
        return; /* it was on its way with the first one */
    }
    deliverer->is_paused = true;
    deliverer->probe_due = now + deliverer->probe_wait;
    deliverer->probe_wait *= 2;
    if (deliverer->probe_wait > LONGEST_PROBE) {
        deliverer->probe_wait = LONGEST_PROBE;
    }
    if (is_new) {
        deliverer->ears.paused(deliverer->ears.context, fault);
    }
}

static void forget_pause(struct deliverer *deliverer)
{
    deliverer->probe_wait = FIRST_PROBE;
    deliverer->probe_due = 0;
}

static void resume_source(struct deliverer *deliverer)
{
    if (deliverer->is_paused) {
        deliverer->is_paused = false;
        deliverer->more = true;
        deliverer->ears.resumed(deliverer->ears.context);
    }
    forget_pause(deliverer);
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
        deliverer->read_due = now + AGAIN;
    }
    const struct deliverer_blocked *blocked =
        find_blocked(deliverer, request_lane(request), request->lane_length);
    bool was_put_back = failure == FAILURE_CLOSED && blocked != NULL && blocked->head != row->id;
    free_row(row);
    if (!was_put_back && !deliverer->draining) {
        start_over(deliverer, now);
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
        free_row(row);
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

/* ---- ends ---- */

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
            free_row(row);
            i++;
        }
        row = next;
    }
}

static void write_ends(struct deliverer *deliverer, double now)
{
    struct store_end ends[DELIVERER_ROWS] = {{0}};
    struct store_problem problem;
    if (deliverer->ended == 0 || now < deliverer->end_due || deliverer->store == NULL) {
        return;
    }
    size_t count = list_ends(deliverer, ends, DELIVERER_ROWS);
    if (deliverer->driver->end(deliverer->store, deliverer->source, ends, count, &problem)) {
        deliverer->is_troubled = false;
        forget_ended(deliverer, ends, count);
    } else if (problem.trouble == STORE_FENCED) {
        lose_lease(deliverer, now);
    } else {
        be_troubled(deliverer, &problem);
        deliverer->end_due = now + AGAIN;
    }
}

/* ---- the lease ---- */

/* Between two probes another process may try, who may have a better token. */
static bool wants_lease(const struct deliverer *deliverer, double now)
{
    return deliverer->endpoint != NULL && (!deliverer->is_paused || now >= deliverer->probe_due);
}

static void give_up_lease(struct deliverer *deliverer)
{
    if (deliverer->is_holder) {
        deliverer->driver->release(deliverer->store, deliverer->source);
        deliverer->is_holder = false;
    }
    deliverer->lease_due = 0;
}

static void hold_lease(struct deliverer *deliverer, double now)
{
    if (!deliverer->is_holder) {
        deliverer->is_holder = true;
        deliverer->after = 0;
        deliverer->more = true;
        deliverer->knows_version = false;
        deliverer->version_due = 0;
    }
    deliverer->lease_until = now + deliverer->lease_seconds;
    deliverer->lease_due = now + deliverer->lease_seconds / 3;
}

/* Seconds until it is asked again, having been refused. */
static double lease_interval(const struct deliverer *deliverer)
{
    return deliverer->driver->frees_at_death ? VERSION_INTERVAL : AGAIN;
}

/* `now` is before the store was asked: the lease begins no earlier. */
static void ask_for_lease(struct deliverer *deliverer, double now)
{
    struct store_problem problem;
    switch (deliverer->driver->lease(deliverer->store, deliverer->source, &problem)) {
    case STORE_LEASE_HELD: hold_lease(deliverer, now); return;
    case STORE_LEASE_TAKEN:
        if (deliverer->is_holder) {
            lose_lease(deliverer, now);
        }
        deliverer->lease_due = now + lease_interval(deliverer);
        return;
    case STORE_LEASE_UNKNOWN: be_troubled(deliverer, &problem); break;
    }
    deliverer->lease_due = now + (deliverer->is_holder ? deliverer->lease_seconds / 10 : AGAIN);
}

static void keep_lease(struct deliverer *deliverer, double now)
{
    if (deliverer->is_holder && now >= deliverer->lease_until) {
        lose_lease(deliverer, now);
        deliverer->lease_due = now;
    }
    if (!deliverer->is_holder && (deliverer->draining || !wants_lease(deliverer, now))) {
        return;
    }
    if (now >= deliverer->lease_due) {
        ask_for_lease(deliverer, now);
    }
}

/* What failed on its way waits for its next attempt, and so can be recalled now. */
static void drain(struct deliverer *deliverer, double now)
{
    if (!deliverer->draining) {
        return;
    }
    recall_all(deliverer, now);
    if (deliverer->entered > 0) {
        return;
    }
    if (deliverer->is_holder && !wants_lease(deliverer, now)) {
        if (deliverer->ended > 0) {
            return; /* only the holder may write ends */
        }
        give_up_lease(deliverer);
    }
    deliverer->draining = false;
}

/* ---- reading ---- */

struct reading {
    struct deliverer *deliverer;
    struct moment moment;
    size_t most; /* rows that may enter */
    size_t seen;
    size_t bytes;
    bool is_over; /* enough have entered, or one could not */
};

static double clamp(double value, double least, double most)
{
    return value < least ? least : value > most ? most : value;
}

static struct request *request_of(const struct store_row *row, struct endpoint *endpoint,
                                  struct moment moment)
{
    struct buffer body;
    buffer_init(&body, REQUEST_FRONT, SIZE_MAX / 2);
    buffer_append(&body, row->body, row->length);
    struct request *request = request_from_buffer(&body, endpoint, row->lane, row->lane_length);
    buffer_release(&body);
    if (request == NULL ||
        !hmac_digest(endpoint->key, request_body(request), request->length, request->signature)) {
        request_free(request);
        return NULL;
    }
    double left = row->time + DELIVERER_GIVE_UP - moment.wall;
    request->submitted = moment.now;
    request->deadline = moment.now + clamp(left, DELIVERER_LEAST, DELIVERER_GIVE_UP);
    return request;
}

static bool enter_row(struct deliverer *deliverer, const struct store_row *from,
                      struct moment moment)
{
    size_t size = strlen(from->action) + 1;
    struct deliverer_row *row = calloc(1, sizeof *row + size);
    struct request *request = request_of(from, deliverer->endpoint, moment);
    if (row == NULL || request == NULL) {
        free(row);
        request_free(request);
        return false;
    }
    row->owner = deliverer;
    row->request = request;
    row->id = from->id;
    row->time = from->time;
    memcpy(row->action, from->action, size);
    request->row = row;
    request->ticket = from->id | OUTBOX_TICKET;
    link_row(deliverer, row);
    scheduler_accept(deliverer->scheduler, request, moment.now);
    return true;
}

/* Whether the row is to stay in the store for now: its lane waits, or it is here already. */
static bool is_left(const struct deliverer *deliverer, const struct store_row *row)
{
    size_t length = row->lane_length < LANE_MAXIMUM ? row->lane_length : LANE_MAXIMUM;
    struct deliverer_blocked *blocked =
        length > 0 ? find_blocked(deliverer, row->lane, length) : NULL;
    if (find_row(deliverer, row->id) != NULL) {
        return true;
    }
    if (blocked != NULL && (blocked->skipped == 0 || row->id < blocked->skipped)) {
        blocked->skipped = row->id;
    }
    return blocked != NULL;
}

static bool visit_row(void *context, const struct store_row *row)
{
    struct reading *reading = context;
    struct deliverer *deliverer = reading->deliverer;
    if (is_left(deliverer, row)) {
        deliverer->after = row->id;
        reading->seen++;
        reading->bytes += row->length;
        return true;
    }
    if (!enter_row(deliverer, row, reading->moment)) {
        deliverer->read_due = reading->moment.now + AGAIN;
        reading->is_over = true;
        return false;
    }
    deliverer->after = row->id;
    reading->seen++;
    reading->bytes += row->length;
    reading->is_over = --reading->most == 0 || is_full(deliverer);
    return !reading->is_over;
}

/* Reads once; false when there is nothing more to read now. */
static bool read_rows(struct deliverer *deliverer, size_t most, struct moment moment)
{
    struct store_problem problem;
    struct reading reading = {.deliverer = deliverer, .moment = moment, .most = most};
    size_t count = DELIVERER_ROWS - deliverer->rows; /* what is here already may come along */
    size_t room = DELIVERER_BYTES - deliverer->bytes;
    if (!deliverer->driver->next(deliverer->store, deliverer->source, deliverer->after, count, room,
                                 visit_row, &reading, &problem)) {
        if (problem.trouble == STORE_FENCED) {
            lose_lease(deliverer, moment.now);
        } else {
            be_troubled(deliverer, &problem);
            deliverer->read_due = moment.now + AGAIN;
        }
        return false;
    }
    deliverer->is_troubled = deliverer->is_troubled && deliverer->ended > 0;
    deliverer->more = reading.is_over || reading.seen >= count || reading.bytes >= room;
    return deliverer->more && !reading.is_over && reading.seen > 0;
}

static void look_for_news(struct deliverer *deliverer, double now)
{
    struct store_problem problem;
    uint64_t version;
    if (now < deliverer->version_due) {
        return;
    }
    deliverer->version_due = now + VERSION_INTERVAL;
    if (!deliverer->driver->version(deliverer->store, deliverer->source, &version, &problem)) {
        be_troubled(deliverer, &problem);
        deliverer->version_due = now + AGAIN;
        return;
    }
    deliverer->more = deliverer->more || !deliverer->knows_version || version != deliverer->version;
    deliverer->knows_version = true;
    deliverer->version = version;
}

static bool may_read(const struct deliverer *deliverer, double now)
{
    if (!deliverer->is_holder || deliverer->draining || deliverer->endpoint == NULL) {
        return false;
    }
    if (deliverer->is_paused) {
        return now >= deliverer->probe_due && deliverer->entered == 0;
    }
    return deliverer->rows <= DELIVERER_ROWS / 2 && deliverer->bytes <= DELIVERER_BYTES / 2;
}

/* Several reads in a step only pass over rows that stay in the store. */
static void read_on(struct deliverer *deliverer, struct moment moment)
{
    enum { READS = 16 };
    if (!may_read(deliverer, moment.now) || moment.now < deliverer->read_due) {
        return;
    }
    look_for_news(deliverer, moment.now);
    size_t most = deliverer->is_paused ? 1 : DELIVERER_ROWS;
    for (int i = 0; i < READS && deliverer->more && read_rows(deliverer, most, moment); i++) {
    }
}

/* ---- its face ---- */

void deliverer_use(struct deliverer *deliverer, struct endpoint *endpoint, struct moment moment)
{
    deliverer->endpoint = endpoint;
    forget_pause(deliverer);
    start_over(deliverer, moment.now);
}

void deliverer_step(struct deliverer *deliverer, struct moment moment)
{
    if (deliverer->store == NULL) {
        return;
    }
    keep_lease(deliverer, moment.now);
    write_ends(deliverer, moment.now);
    drain(deliverer, moment.now);
    make_room(deliverer, moment.now);
    read_on(deliverer, moment);
}

void deliverer_hear(struct deliverer *deliverer)
{
    deliverer->more = true;
}

/* Whether the next step brings it on. */
static bool may_drain(const struct deliverer *deliverer)
{
    const struct deliverer_row *row = deliverer->first;
    while (row != NULL && (row->state != ROW_ENTERED || !scheduler_has(row->request))) {
        row = row->next;
    }
    return row != NULL || (deliverer->entered == 0 && deliverer->ended == 0);
}

static double sooner(double due, double other)
{
    return due < other ? due : other;
}

double deliverer_idle(const struct deliverer *deliverer, double now, double most)
{
    double due = now + most;
    if (deliverer->store == NULL) {
        return most;
    }
    if (deliverer->is_holder || (!deliverer->draining && deliverer->endpoint != NULL)) {
        double asked = deliverer->lease_due;
        if (!deliverer->is_holder && deliverer->is_paused && asked < deliverer->probe_due) {
            asked = deliverer->probe_due;
        }
        due = sooner(due, asked);
    }
    if (deliverer->ended > 0) {
        due = sooner(due, deliverer->end_due);
    }
    if (deliverer->draining && may_drain(deliverer)) {
        due = now;
    }
    if (deliverer->is_holder && deliverer->more && is_full(deliverer)) {
        due = sooner(due, deliverer->block_due);
    }
    if (may_read(deliverer, now)) {
        double read = deliverer->more ? 0 : deliverer->version_due;
        due = sooner(due, read > deliverer->read_due ? read : deliverer->read_due);
    }
    return due > now ? due - now : 0;
}

bool deliverer_is_bored(const struct deliverer *deliverer)
{
    return deliverer->rows == 0 && (!deliverer->is_holder || !deliverer->more);
}

void deliverer_close(struct deliverer *deliverer, struct moment moment)
{
    if (deliverer->store != NULL) {
        deliverer->end_due = moment.now;
        write_ends(deliverer, moment.now);
        give_up_lease(deliverer);
    }
    while (deliverer->first != NULL) {
        free_row(deliverer->first);
    }
    forget_blocked(deliverer);
}
