#ifndef SENDAPI_ENGINE_H
#define SENDAPI_ENGINE_H

/*
 * The engine: what delivers requests (traffic.h), the thread that drives it, and the two queues between
 * it and its caller.
 *
 *     caller                                      I/O thread
 *     engine_submit  --- submissions -->  wait for a connection, transfer, outcome
 *     engine_take    <----- answers ----
 *
 * Every request that is submitted comes back exactly once, with its outcome.
 *
 * Threads: one caller at a time. The I/O thread is made by the first submission, never before, so
 * that a program may fork until then. After a fork the child's engine has no thread: see
 * engine_is_inherited. All signals but the synchronous ones are blocked in the thread.
 *
 * Driving: one lock guards the traffic, and whoever holds it drives. The I/O thread holds it, in its
 * sleep too, as long as anything is under way or a client of the wakeup is expected; else it parks
 * without it, on the queue of submissions. A caller that waits takes the lock when it is free, which
 * saves two changes of threads, and leaves what is unfinished to the I/O thread. "The I/O thread"
 * in other headers means whoever drives. Locks are taken in this order: that of the list of engines
 * (process.h), driving, a queue's.
 */

#include <stdbool.h>

#include "request.h"
#include "visibility.h"

SENDAPI_HIDDEN_BEGIN

struct engine; /* opaque */

/* Initializes libcurl, once for the process. NULL, or what makes it unfit: a sentence (constant). */
const char *engine_prepare(void);

/* Checks libcurl and makes an engine without a thread. On failure NULL, and *reason is a sentence
 * (constant). */
struct engine *engine_new(const char **reason);

/* Stops the engine and frees it with all that it holds, answers not taken too. NULL is harmless. */
void engine_free(struct engine *engine);

/*
 * Submits a request that endpoint_admit has let in, by its verb. Returns false, and leaves the
 * request with the caller, when no thread can be started.
 */
bool engine_submit(struct engine *engine, struct request *request);

/*
 * The same for a caller that will wait for the answer: drives the loop itself when nobody does,
 * until there is any answer, at most so many seconds (with 0 it does not). What is under way then
 * goes on by itself. It does not once an endpoint with an outbox has submitted anything: no caller
 * ever waits for a disk.
 *
 * The host's handlers of signals run while it sleeps, and end that sleep or not; none runs while it
 * works. It never causes a SIGPIPE.
 */
bool engine_submit_and_drive(struct engine *engine, struct request *request, double seconds);

/*
 * Gives back a request that came as a question, with REQUEST_AGAIN or REQUEST_RELEASE. Returns
 * false, and leaves it with the caller, when the engine was stopped in the meantime.
 */
bool engine_resubmit(struct engine *engine, struct request *request);

/* Whether there is a thread: something was submitted since the engine was made or stopped. */
bool engine_is_running(const struct engine *engine);

/* Ends everything of an endpoint: it comes back as FAILURE_CLOSED, unless it is done by then. */
void engine_cancel(struct engine *engine, struct endpoint *endpoint);

/*
 * The next answer, or NULL. It is the caller's and, unless it is a question, counted out of its
 * endpoint. Never blocks.
 */
struct request *engine_take(struct engine *engine);

/* The same answer, still the engine's: valid until engine_take or engine_free. */
const struct request *engine_peek(struct engine *engine);

/* Waits until engine_take has something, at most so many seconds. */
bool engine_wait(struct engine *engine, double seconds);

/*
 * For a caller with an event loop: see wakeup.h. engine_calm comes before engine_take, engine_remind
 * after it when something is left.
 */
int engine_descriptor(struct engine *engine);
const char *engine_listen(struct engine *engine);
void engine_calm(struct engine *engine);
void engine_remind(struct engine *engine);

/*
 * Ends the thread and waits for it: what was under way comes back as FAILURE_CLOSED. Idempotent. A
 * later submission starts a new thread.
 */
void engine_stop(struct engine *engine);

/*
 * True in a child process of the one that made the engine. Such an engine must be left alone, not
 * even freed: its thread is not here, its locks may be held, its connections are the parent's.
 */
bool engine_is_inherited(const struct engine *engine);

/* Leaves the stores of such an engine to the parent: their files may be opened anew then. Once. */
void engine_abandon(struct engine *engine);

SENDAPI_HIDDEN_END

#endif
