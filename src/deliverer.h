#ifndef SENDAPI_DELIVERER_H
#define SENDAPI_DELIVERER_H

/*
 * Delivers the pending rows of one source from a store (store.h): holds the lease, reads rows in
 * windows, makes them requests, and ends them by what became of those.
 *
 *     out ---- lease taken ----> reading <---- probe delivered ---- probing
 *      ^                         |     |                             ^   |
 *      |  lease lost: all rows   |     | source fault: waiting rows  |   | source fault
 *      +-- are dropped ----------+     | are recalled                |   v
 *                                      +----> drained: lease given back until the next probe
 *
 * Order: a lane's rows enter the scheduler by ascending ids and go one at a time. Whenever one
 * comes back that neither was delivered nor is dead, everything that waits is recalled, what is on
 * its way is awaited, and reading begins anew with the first pending row; none of its lane can
 * have gone meanwhile. A row that is done, but whose end could not be written, stays here and is
 * not sent again.
 *
 * What has failed and is to be tried again does not fill the window, or lanes that fail would stop
 * all others: when there is no room, such a head is counted apart, and the rows behind it are put
 * back, to be read again once it is done. Only when more than WAITING such heads, or WAITING_BYTES
 * of them, are here, nothing is read until one of them is done.
 *
 * A paused source is probed by one row after the other. A probe that fails for itself (a 500, say)
 * says nothing of the source: it is tried again as any other, its lane waits, and the next probe is
 * a row of another lane.
 *
 * Ends of what was delivered are written together: at once when there are as many as the endpoint
 * has connections, or ENDS, fewer when the first has waited 2 ms, all before the lease is given
 * back. A death is written before the next of its lane is sent: while that fails nothing is. So a
 * crash sends twice, in order, what was on its way and what had come back, but was not written:
 * less than three times as many messages as there are connections.
 *
 * A lease that has run out, as when the store was away, may still be free: what is done waits for its
 * end until the store says who has it. What is not done is dropped at once.
 *
 * A row is given up GIVE_UP seconds after it was accepted, but not before it had LEAST of them here:
 * the program may have been stopped, its source paused, the time of day set.
 *
 * Belongs to the I/O thread; knows no clock. `now` is of clock_now, `wall` of the time of day.
 */

#include <stdbool.h>
#include <stddef.h> /* size_t */
#include <stdint.h> /* uint64_t */

#include "scheduler.h"
#include "store.h"
#include "visibility.h"

SENDAPI_HIDDEN_BEGIN

enum {
    DELIVERER_ROWS = 1024,             /* of one source in memory: the window */
    DELIVERER_ENDS = 256,              /* that are written at once, however many connections */
    DELIVERER_BYTES = 4 * 1024 * 1024, /* of their bodies, the last row not counted */
    DELIVERER_WAITING = 1024,          /* rows beside those, to be tried again */
    DELIVERER_WAITING_BYTES = 4 * 1024 * 1024,
    DELIVERER_GIVE_UP = 72 * 3600, /* seconds */
    DELIVERER_LEAST = 2 * 3600,    /* above RETRY_AFTER_MAXIMUM */
};

struct moment {
    double now;
    double wall;
};

/* Who is told what happens. Called by deliverer_step; what is passed is valid until it returns. */
struct deliverer_ears {
    void (*died)(void *context, const struct store_letter *letter);
    void (*paused)(void *context, const struct request *fault);
    void (*resumed)(void *context);
    void (*troubled)(void *context,
                     const struct store_problem *problem); /* once until it is well */
    void *context;
};

struct deliverer_counts {
    uint64_t delivered; /* rows whose end was written */
    uint64_t died;
};

/* A lane whose rows are left in the store until its head is done. */
struct deliverer_blocked {
    struct deliverer_blocked *next;
    uint64_t head;
    uint64_t skipped; /* the first row that was left there; 0: none */
    size_t length;
    char lane[];
};

struct deliverer {
    const struct store_driver *driver;
    struct store *store; /* NULL while it is not open */
    const char *source;
    double lease_seconds;
    struct scheduler *scheduler;
    struct endpoint *endpoint; /* whose the requests are; NULL: nothing is delivered */
    struct deliverer_ears ears;
    struct deliverer_counts counts;

    struct deliverer_row *first; /* by ascending ids */
    struct deliverer_row *last;
    size_t rows;
    size_t bytes;
    size_t waiting; /* rows among them that were counted apart */
    size_t waiting_bytes;
    size_t entered;   /* rows that are not done */
    size_t ended;     /* rows whose end is to be written */
    double end_due;   /* when the first of them has waited long enough */
    double end_again; /* not tried before */
    bool has_died;    /* one of them is dead */

    bool is_holder;
    double lease_until; /* not known to be held afterwards */
    double lease_due;

    uint64_t after; /* rows up to this one were read */
    bool more;      /* there may be further ones */
    double read_due;
    bool knows_version;
    uint64_t version;
    double version_due;
    struct deliverer_blocked *blocked;
    double block_due;

    bool draining; /* waiting for what is on its way; nothing is read */
    bool is_paused;
    bool is_pause_told; /* to the present endpoint */
    double probe_due;
    double probe_wait;
    bool is_troubled;
};

/* `source` must stay. */
void deliverer_init(struct deliverer *deliverer, const struct store_driver *driver,
                    const char *source, double lease_seconds, struct scheduler *scheduler,
                    const struct deliverer_ears *ears);

/*
 * Delivers from now on as this endpoint, which has a key and must stay until another takes its
 * place: with its settings and its key. NULL: no more; the lease is given back once nothing is on
 * its way. What is paused is probed at once.
 */
void deliverer_use(struct deliverer *deliverer, struct endpoint *endpoint, struct moment moment);

/* Takes back a request of its own, which scheduler_returned gave. */
void deliverer_take_back(struct request *request, struct moment moment);

/* Does what is due. */
void deliverer_step(struct deliverer *deliverer, struct moment moment);

/* Rows were appended, or letters retried, by this process: there is something to read. */
void deliverer_hear(struct deliverer *deliverer);

/* Whether its lease may be another's by now: deliverer_step must come before anything is sent. */
bool deliverer_has_run_out(const struct deliverer *deliverer, double now);

/* The seconds until deliverer_step has something to do; `most` when nothing. */
double deliverer_idle(const struct deliverer *deliverer, double now, double most);

/* When the first of the rows that it has was accepted; 0 when it has none. */
double deliverer_oldest(const struct deliverer *deliverer);

/* Whether the last attempt to deliver has failed as it may for all others, or the store has. */
bool deliverer_is_failing(const struct deliverer *deliverer);

/* Whether it has looked for work and found none. */
bool deliverer_is_bored(const struct deliverer *deliverer);

/*
 * Writes what ends it can and gives back the lease, if there is one; frees the rows. Every request
 * must have been taken back.
 */
void deliverer_close(struct deliverer *deliverer, struct moment moment);

SENDAPI_HIDDEN_END

#endif
