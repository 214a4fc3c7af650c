#ifndef SENDAPI_DELIVERER_ROWS_H
#define SENDAPI_DELIVERER_ROWS_H

/*
 * The rows that a deliverer (deliverer.h) has in memory, and the lanes whose rows it leaves in the
 * store. For the deliverer's own files; belongs to the I/O thread, as all of it.
 */

#include "deliverer.h"

SENDAPI_HIDDEN_BEGIN

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
    bool is_waiting;  /* counted apart from the window */
    bool is_disowned; /* the lease was lost: what becomes of it is nobody's affair */
    char *reason;     /* of a dead row; may be NULL */
    char action[];
};

struct deliverer_row *deliverer_find_row(const struct deliverer *deliverer, uint64_t id);

/* Takes over a row that is entered, with its request and its owner set. */
void deliverer_link_row(struct deliverer *deliverer, struct deliverer_row *row);

/* Its request must not be the scheduler's. */
void deliverer_free_row(struct deliverer_row *row);

/* How many rows, and how many bytes of them, there is room for in the window; 0: none. */
size_t deliverer_room(const struct deliverer *deliverer);
size_t deliverer_byte_room(const struct deliverer *deliverer);

/* Whether the window is to be filled up. */
bool deliverer_has_room(const struct deliverer *deliverer);

/* NULL when the rows of that lane may be read. */
struct deliverer_blocked *deliverer_find_blocked(const struct deliverer *deliverer,
                                                 const char *lane, size_t length);
void deliverer_forget_blocked(struct deliverer *deliverer);

/* This head is done: what was left in the store behind it is read again. */
void deliverer_unblock(struct deliverer *deliverer, uint64_t head);

/* When others find no room: counts apart what has failed, and puts back the rows behind it. */
void deliverer_make_room(struct deliverer *deliverer, double now);

/* Whether all that is here and not done has failed at a server, and none of it is on its way. */
bool deliverer_only_waits(const struct deliverer *deliverer);

/* Leaves in the store what is behind that, as far as there is memory. */
void deliverer_block_lanes(struct deliverer *deliverer);

/* Has the scheduler give back all that is not on its way. */
void deliverer_recall_all(struct deliverer *deliverer, double now);

/* Reading begins anew, once nothing is on its way. */
void deliverer_start_over(struct deliverer *deliverer, double now);

SENDAPI_HIDDEN_END

#endif
