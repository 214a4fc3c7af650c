#include "deliverer_rows.h"

#include <stdlib.h> /* free(3) malloc(3) */
#include <string.h> /* memcmp(3) memcpy(3) */

static const double BLOCK_INTERVAL = 1.0; /* seconds between two looks for blocked lanes */

/* ---- rows ---- */

struct deliverer_row *deliverer_find_row(const struct deliverer *deliverer, uint64_t id)
{
    struct deliverer_row *row = deliverer->last;
    while (row != NULL && row->id > id) {
        row = row->previous;
    }
    return row != NULL && row->id == id ? row : NULL;
}

void deliverer_link_row(struct deliverer *deliverer, struct deliverer_row *row)
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

static void set_waiting(struct deliverer_row *row, bool is_waiting)
{
    struct deliverer *deliverer = row->owner;
    if (row->is_waiting != is_waiting) {
        size_t length = row->request->length;
        row->is_waiting = is_waiting;
        deliverer->waiting = is_waiting ? deliverer->waiting + 1 : deliverer->waiting - 1;
        deliverer->waiting_bytes =
            is_waiting ? deliverer->waiting_bytes + length : deliverer->waiting_bytes - length;
    }
}

void deliverer_free_row(struct deliverer_row *row)
{
    struct deliverer *deliverer = row->owner;
    *(row->next != NULL ? &row->next->previous : &deliverer->last) = row->previous;
    *(row->previous != NULL ? &row->previous->next : &deliverer->first) = row->next;
    deliverer->rows--;
    deliverer->bytes -= row->request->length;
    set_waiting(row, false);
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

size_t deliverer_room(const struct deliverer *deliverer)
{
    size_t taken = deliverer->rows - deliverer->waiting;
    return taken < DELIVERER_ROWS ? DELIVERER_ROWS - taken : 0;
}

size_t deliverer_byte_room(const struct deliverer *deliverer)
{
    size_t taken = deliverer->bytes - deliverer->waiting_bytes;
    return taken < DELIVERER_BYTES ? DELIVERER_BYTES - taken : 0;
}

bool deliverer_has_room(const struct deliverer *deliverer)
{
    return deliverer_room(deliverer) >= DELIVERER_ROWS / 2 &&
           deliverer_byte_room(deliverer) >= DELIVERER_BYTES / 2;
}

/* ---- blocked lanes ---- */

void deliverer_forget_blocked(struct deliverer *deliverer)
{
    while (deliverer->blocked != NULL) {
        struct deliverer_blocked *blocked = deliverer->blocked;
        deliverer->blocked = blocked->next;
        free(blocked);
    }
}

struct deliverer_blocked *deliverer_find_blocked(const struct deliverer *deliverer,
                                                 const char *lane, size_t length)
{
    struct deliverer_blocked *blocked = deliverer->blocked;
    while (blocked != NULL &&
           (blocked->length != length || memcmp(blocked->lane, lane, length) != 0)) {
        blocked = blocked->next;
    }
    return blocked;
}

void deliverer_unblock(struct deliverer *deliverer, uint64_t head)
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

/* Puts back the rows behind a head that is to be tried again. */
static void put_back_followers(struct deliverer *deliverer, struct deliverer_row *head, double now)
{
    const char *lane = request_lane(head->request);
    size_t length = head->request->lane_length;
    struct deliverer_blocked *blocked = deliverer_find_blocked(deliverer, lane, length);
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

/* Whether it has failed, and is not on its way. */
static bool is_tried_again(const struct deliverer_row *row)
{
    const struct request *request = row->request;
    return row->state == ROW_ENTERED && request->outcome.attempts > 0 &&
           (request->state == REQUEST_DELAYED || request->state == REQUEST_READY);
}

static bool may_wait(const struct deliverer *deliverer)
{
    return deliverer->waiting < DELIVERER_WAITING &&
           deliverer->waiting_bytes < DELIVERER_WAITING_BYTES;
}

void deliverer_make_room(struct deliverer *deliverer, double now)
{
    if (!deliverer->more || deliverer_has_room(deliverer) || now < deliverer->block_due) {
        return;
    }
    deliverer->block_due = now + BLOCK_INTERVAL;
    for (struct deliverer_row *row = deliverer->first; row != NULL; row = row->next) {
        if (!is_tried_again(row)) {
            continue;
        }
        if (row->request->lane_length > 0) {
            put_back_followers(deliverer, row, now);
        }
        set_waiting(row, row->is_waiting || may_wait(deliverer));
    }
}

bool deliverer_only_waits(const struct deliverer *deliverer)
{
    for (const struct deliverer_row *row = deliverer->first; row != NULL; row = row->next) {
        bool fails = is_tried_again(row) && !row->request->outcome.unreached;
        if (row->state == ROW_ENTERED && !fails) {
            return false;
        }
    }
    return true;
}

void deliverer_block_lanes(struct deliverer *deliverer)
{
    for (const struct deliverer_row *row = deliverer->first; row != NULL; row = row->next) {
        const struct request *request = row->request;
        size_t length = request->lane_length;
        if (row->state == ROW_ENTERED && length > 0 &&
            deliverer_find_blocked(deliverer, request_lane(request), length) == NULL) {
            (void)block_lane(deliverer, row);
        }
    }
}

/* ---- recalling ---- */

/* From the end, so that no row is let go by the one before it. */
void deliverer_recall_all(struct deliverer *deliverer, double now)
{
    for (struct deliverer_row *row = deliverer->last; row != NULL; row = row->previous) {
        if (row->state == ROW_ENTERED && scheduler_has(row->request)) {
            scheduler_recall(deliverer->scheduler, row->request, now);
        }
    }
}

void deliverer_start_over(struct deliverer *deliverer, double now)
{
    deliverer->draining = true;
    deliverer->after = 0;
    deliverer->more = true;
    deliverer_forget_blocked(deliverer);
    deliverer_recall_all(deliverer, now);
}
