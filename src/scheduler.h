#ifndef SENDAPI_SCHEDULER_H
#define SENDAPI_SCHEDULER_H

/*
 * Which request goes when: order within lanes, a connection free, the source well, the next attempt
 * due, the deadline not passed. Knows neither libcurl nor a clock: the time is given to every call.
 *
 *                    +------------------------- behind <--+ lane taken
 *                    v  head is done                      |
 *     accept ----> ready ----> on way ---- answer ----> done
 *                    ^   next    |                        ^
 *                    +- delayed <+ to be tried again      | too late, from anywhere but on way
 *
 * An attempt does not count towards the policy's when it reached no server, or when it was a probe
 * of a source that is taken for dead (retry.h): an outage costs a request its time, not its
 * attempts. A policy of a single attempt is none the less over after it.
 *
 * While a source is not well, what has not failed yet goes before what has: some of it may find the
 * source well. Otherwise what has failed is older, and goes first.
 *
 * A request is too late when its deadline has passed; and at once when its source is to be left
 * alone (Retry-After) until then. Its last attempt's outcome stands; without one it tells what ails
 * the source.
 *
 * Every request that is accepted comes out of scheduler_finished once, or once more for every
 * question that is asked about it (request.h). Belongs to the I/O thread; owns what it was given
 * until then.
 */

#include <stdbool.h>
#include <stddef.h> /* size_t */
#include <stdint.h> /* uint64_t */

#include "lanes.h"
#include "request.h"
#include "timers.h"
#include "visibility.h"

SENDAPI_HIDDEN_BEGIN

struct scheduler {
    struct lanes lanes;
    struct timers timers;       /* every request that waits, for its deadline or its next attempt */
    size_t held;                /* requests that are not finished */
    struct endpoint *endpoints; /* those with something ready; a reference each */
    struct request *finished;   /* in order */
    struct request **finished_last;
    struct request *returned; /* the same, of those that came from an outbox */
    struct request **returned_last;
    uint64_t chance; /* the state of the jitter */
};

void scheduler_init(struct scheduler *scheduler, uint64_t seed);

/* Frees what it holds: after scheduler_close, once what was on its way is answered and everything
 * finished is taken, nothing. */
void scheduler_release(struct scheduler *scheduler);

/* Takes a request by its verb, which is not REQUEST_CANCEL. */
void scheduler_accept(struct scheduler *scheduler, struct request *request, double now);

/* The next request that should be sent now, or NULL. It is the caller's until scheduler_answered.
 */
struct request *scheduler_next(struct scheduler *scheduler, double now);

/* Takes back a request with its outcome. */
void scheduler_answered(struct scheduler *scheduler, struct request *request, double now);

/* Lets what is due happen: next attempts, deadlines. */
void scheduler_advance(struct scheduler *scheduler, double now);

/* The seconds until scheduler_next or scheduler_advance may have something; `most` when nothing. */
double scheduler_idle(const struct scheduler *scheduler, double now, double most);

/* The requests that are finished, as a chain, or NULL; *last is its end. They are the caller's. */
struct request *scheduler_finished(struct scheduler *scheduler, struct request **last);

/*
 * The same of those that came from an outbox (request->row), which go nowhere else. They have a
 * policy of their own: tried until their deadline, whatever the endpoint's says, also when the
 * attempt failed here for want of memory.
 */
struct request *scheduler_returned(struct scheduler *scheduler);

/* Whether a request waits here, and so may be recalled. */
bool scheduler_has(const struct request *request);

/* Finishes one that waits as FAILURE_CLOSED. */
void scheduler_recall(struct scheduler *scheduler, struct request *request, double now);

/*
 * Finishes everything that waits as FAILURE_CLOSED: of one endpoint, or of all for NULL. What is on
 * its way stays the caller's, who answers it afterwards, as FAILURE_CLOSED to end it at once: in
 * this order nothing is left behind it that its end could let go. A question stays the caller's,
 * too: given back as REQUEST_AGAIN it is sent again.
 */
void scheduler_close(struct scheduler *scheduler, const struct endpoint *endpoint, double now);

SENDAPI_HIDDEN_END

#endif
