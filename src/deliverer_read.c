#include "deliverer_read.h"

#include <stdlib.h> /* calloc(3) free(3) */
#include <string.h> /* memcpy(3) strlen(3) */

#include "deliverer_lease.h"
#include "deliverer_rows.h"

static const double VERSION_INTERVAL = 0.04; /* seconds between two looks for others' rows */

static const uint64_t OUTBOX_TICKET = UINT64_C(1) << 63; /* lanes know requests by their tickets */

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
    deliverer_link_row(deliverer, row);
    scheduler_accept(deliverer->scheduler, request, moment.now);
    return request->state != REQUEST_DONE; /* without memory: then none of its lane may go either */
}

/* Whether the row is to stay in the store for now: its lane waits, or it is here already. */
static bool is_left(const struct deliverer *deliverer, const struct store_row *row)
{
    size_t length = row->lane_length < LANE_MAXIMUM ? row->lane_length : LANE_MAXIMUM;
    struct deliverer_blocked *blocked =
        length > 0 ? deliverer_find_blocked(deliverer, row->lane, length) : NULL;
    if (deliverer_find_row(deliverer, row->id) != NULL) {
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
        deliverer->read_due = reading->moment.now + DELIVERER_AGAIN;
        reading->is_over = true;
        return false;
    }
    deliverer->after = row->id;
    reading->seen++;
    reading->bytes += row->length;
    reading->is_over = --reading->most == 0 || deliverer_room(deliverer) == 0 ||
                       deliverer_byte_room(deliverer) == 0;
    return !reading->is_over;
}

/* Reads once; false when there is nothing more to read now. */
static bool read_rows(struct deliverer *deliverer, size_t most, struct moment moment)
{
    struct store_problem problem;
    struct reading reading = {.deliverer = deliverer, .moment = moment, .most = most};
    size_t count = deliverer_room(deliverer); /* what is here already may come along */
    size_t room = deliverer_byte_room(deliverer);
    if (!deliverer->driver->next(deliverer->store, deliverer->source, deliverer->after, count, room,
                                 visit_row, &reading, &problem)) {
        if (problem.trouble == STORE_FENCED) {
            deliverer_lose_lease(deliverer, moment.now);
        } else {
            deliverer_be_troubled(deliverer, &problem);
            deliverer->read_due = moment.now + DELIVERER_AGAIN;
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
        deliverer_be_troubled(deliverer, &problem);
        deliverer->version_due = now + DELIVERER_AGAIN;
        return;
    }
    deliverer->more = deliverer->more || !deliverer->knows_version || version != deliverer->version;
    deliverer->knows_version = true;
    deliverer->version = version;
}

bool deliverer_may_read(const struct deliverer *deliverer, double now)
{
    if (!deliverer->is_holder || deliverer->draining || deliverer->endpoint == NULL) {
        return false;
    }
    if (deliverer->is_paused) {
        return now >= deliverer->probe_due && deliverer_room(deliverer) > 0 &&
               deliverer_byte_room(deliverer) > 0 && deliverer_only_waits(deliverer);
    }
    return deliverer_has_room(deliverer);
}

/* Several reads in a step only pass over rows that stay in the store. */
static void read_on(struct deliverer *deliverer, size_t most, struct moment moment)
{
    enum { READS = 16 };
    for (int i = 0; i < READS && deliverer->more && read_rows(deliverer, most, moment); i++) {
    }
}

/* A row that fails for itself is tried again by the scheduler; the next probe is another one. */
static void read_probe(struct deliverer *deliverer, struct moment moment)
{
    size_t entered = deliverer->entered;
    if (deliverer->more) {
        deliverer_block_lanes(deliverer);
    }
    read_on(deliverer, 1, moment);
    if (deliverer->entered > entered) {
        deliverer->probe_due = moment.now + deliverer->probe_wait;
    }
}

void deliverer_read_on(struct deliverer *deliverer, struct moment moment)
{
    if (!deliverer_may_read(deliverer, moment.now) || moment.now < deliverer->read_due) {
        return;
    }
    look_for_news(deliverer, moment.now);
    if (deliverer->is_paused) {
        read_probe(deliverer, moment);
    } else {
        read_on(deliverer, DELIVERER_ROWS, moment);
    }
}
