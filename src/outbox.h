#ifndef SENDAPI_OUTBOX_H
#define SENDAPI_OUTBOX_H

/*
 * What stands between an engine's submissions, the stores and the scheduler: accepted requests are
 * appended to the store of their endpoint and come back as stored; deliverers (deliverer.h) send
 * what is pending there.
 *
 *     outbox_accept ---> store.append ---> outbox_finished (is_stored, or FAILURE_STORAGE)
 *                           |
 *                        deliverer ---> scheduler ---> outbox_step
 *
 * One store for each path and durability of a driver, opened when it is first needed and again when
 * that failed; one deliverer for each source in it. Of several endpoints of a source the one that
 * came last delivers. What a store warns of is told to an endpoint, each sentence once.
 *
 * What arrives while a transaction is written goes into the next, at most OUTBOX_BATCH rows and
 * about OUTBOX_BATCH_BYTES of them. Nothing ever waits for company: a batch is written in the first
 * step that finds a row, so that a lone one is as fast as its commit; each further batch takes one
 * step. That many rows take SQLite some 2 ms.
 *
 * Belongs to the I/O thread, but for outbox_count. It may block in a store.
 */

#include <stdbool.h>
#include <stddef.h> /* size_t */
#include <stdint.h> /* uint64_t */

#include "command.h"
#include "deliverer.h"
#include "scheduler.h"
#include "visibility.h"

SENDAPI_HIDDEN_BEGIN

enum {
    OUTBOX_BATCH = 512,
    OUTBOX_BATCH_BYTES = 8 * 1024 * 1024,
    OUTBOX_NOTICES = 1000, /* of one endpoint that nobody has taken; further ones are not given */
    OUTBOX_LETTERS = 100,  /* of one COMMAND_LETTERS */
};

struct outbox_store;

struct outbox {
    struct scheduler *scheduler;
    struct outbox_store *stores;
    struct request *finished;
    struct request **finished_last;
    char owner[40]; /* tells this outbox from all others */
};

void outbox_init(struct outbox *outbox, struct scheduler *scheduler, uint64_t seed);

/* Whether a request is the outbox's, and not the scheduler's. */
bool outbox_wants(const struct request *request);

/* Takes such a request: one to store, or a command. It comes out of outbox_finished once. */
void outbox_accept(struct outbox *outbox, struct request *request, struct moment moment);

/*
 * Ends what an endpoint wants to store as FAILURE_CLOSED, and delivers no more for it. What was on
 * its way must have been given back to the scheduler.
 */
void outbox_cancel(struct outbox *outbox, struct endpoint *endpoint, struct moment moment);

/*
 * Whether outbox_step must come before anything is sent: a request of its own has failed, and those
 * behind it in its lane must not go before it is known what comes of it; or a lease has run out
 * since, and what is here may be another's.
 */
bool outbox_is_pressing(const struct outbox *outbox, double now);

/* Does what is due: takes what the scheduler gives back, appends, delivers. */
void outbox_step(struct outbox *outbox, struct moment moment);

/* The seconds until outbox_step has something to do; `most` when nothing. */
double outbox_idle(const struct outbox *outbox, double now, double most);

/* Whether nothing is attached: then only outbox_accept brings anything to do. */
bool outbox_is_empty(const struct outbox *outbox);

/* The requests that are finished, as a chain, or NULL; *last is its end. They are the caller's. */
struct request *outbox_finished(struct outbox *outbox, struct request **last);

/*
 * Closes all: what waits to be stored ends as FAILURE_CLOSED, pending rows remain, leases are given
 * back. scheduler_close must have come first, and what was on its way been answered.
 */
void outbox_close(struct outbox *outbox, struct moment moment);

/* In a child of the process that made it: leaves its stores to the parent. Nothing else may follow. */
void outbox_abandon(struct outbox *outbox);

SENDAPI_HIDDEN_END

#endif
