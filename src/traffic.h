#ifndef SENDAPI_TRAFFIC_H
#define SENDAPI_TRAFFIC_H

/*
 * The engine's work, without its threads: requests in, libcurl's transfers, finished requests out.
 *
 *     traffic_accept ---> scheduler ---> transfers ---> traffic_finished
 *                 \---> outbox ---^
 *                 traffic_step does what can be done, traffic_sleep waits until there is more
 *
 * Threads: none of its own. Its functions may be called on any thread, but by one at a time: who
 * calls holds the engine's lock for it (engine.h). Only traffic_wake may be called without.
 */

#include <stdbool.h>
#include <stdint.h> /* uint64_t */

#include <curl/curl.h>

#include "outbox.h"
#include "scheduler.h"
#include "transfer.h"
#include "visibility.h"

SENDAPI_HIDDEN_BEGIN

struct traffic {
    CURLM *multi;
    struct scheduler scheduler;
    struct outbox outbox;
    struct transfer *idle;
    struct transfer *busy;
};

/* False without memory; there is nothing to free then. */
bool traffic_init(struct traffic *traffic, uint64_t seed);

/* Frees everything, finished requests too. traffic_close must have come first. */
void traffic_destroy(struct traffic *traffic);

/* Takes a chain of requests, each by its verb. */
void traffic_accept(struct traffic *traffic, struct request *request, double now);

/* Does all that can be done at once: deadlines, requests that are due, bytes. */
void traffic_step(struct traffic *traffic, double now);

/* The requests that are finished, as a chain, or NULL; *last is its end. They are the caller's. */
struct request *traffic_finished(struct traffic *traffic, struct request **last);

/* Whether it holds no request and delivers no outbox: then only traffic_accept brings anything to do. */
bool traffic_is_empty(const struct traffic *traffic);

/*
 * Sleeps until traffic_step has something to do, traffic_wake was called, or `descriptor` (-1: none) is
 * readable, which is then told by true; at most so many seconds. A signal's handler may end it too.
 */
bool traffic_sleep(struct traffic *traffic, int descriptor, double seconds);

/* Ends the sleep, or the next one. Any thread. */
void traffic_wake(struct traffic *traffic);

/* Finishes everything as FAILURE_CLOSED, and frees the transfers. */
void traffic_close(struct traffic *traffic, double now);

SENDAPI_HIDDEN_END

#endif
