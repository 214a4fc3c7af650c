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
 *                    +- delayed <+ to be tried again      | deadline passed, from anywhere but on
 * way
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
    uint64_t chance; /* the state of the jitter */
};

void scheduler_init(struct scheduler *scheduler, uint64_t seed);

/* Frees what it holds, which is nothing after scheduler_close and scheduler_finished. */
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
 * Finishes everything that waits as FAILURE_CLOSED: of one endpoint, or of all for NULL. What is on
 * its way must have been answered.
 */
void scheduler_close(struct scheduler *scheduler, const struct endpoint *endpoint, double now);

SENDAPI_HIDDEN_END

#endif
