#ifndef SENDAPI_QUEUE_H
#define SENDAPI_QUEUE_H

/*
 * A first-in first-out queue of requests between two threads. The engine has two: submissions to
 * the I/O thread, answers from it. Each takes and gives whole chains of requests, linked by `next`,
 * so that a batch costs one lock.
 *
 * Bounds: a request is counted in by endpoint_admit before it is submitted and counted out when it
 * is taken as an answer, so neither queue ever holds more than the clients' max_pending together.
 *
 * The consumer sleeps in one of two ways: in queue_wait, or elsewhere, in libcurl's poll, after
 * queue_doze. Any thread may call any function but where it says otherwise; one at a time waits.
 */

#include <pthread.h>
#include <stdbool.h>

#include "request.h"
#include "visibility.h"

SENDAPI_HIDDEN_BEGIN

struct queue {
    pthread_mutex_t lock;
    pthread_cond_t filled;
    struct request *first;
    struct request **last;
    bool dozing; /* the consumer sleeps elsewhere and wants to be woken */
    bool roused; /* the wait is to end, or the next one */
};

/* False when the system refuses (no memory). */
bool queue_init(struct queue *queue);

/* Frees what is left in it. No other thread may use it any more. */
void queue_destroy(struct queue *queue);

/*
 * Adds a chain, `last` being its end. The queue owns it afterwards. Returns true when the consumer
 * dozed: the caller must then wake it; only one caller is told so.
 */
bool queue_push(struct queue *queue, struct request *first, struct request *last);

/* Takes everything, in order; NULL when empty. The caller owns it. Ends a doze. Never blocks. */
struct request *queue_take(struct queue *queue);

/* Announces that the consumer will sleep. False, and no announcement, when there is something. */
bool queue_doze(struct queue *queue);

/*
 * Waits until there is something or queue_rouse was called, at most so many seconds; false when
 * there is nothing.
 */
bool queue_wait(struct queue *queue, double seconds);

/* Ends the wait, or the next one, though there be nothing. */
void queue_rouse(struct queue *queue);

SENDAPI_HIDDEN_END

#endif
