#ifndef SENDAPI_TIMERS_H
#define SENDAPI_TIMERS_H

/*
 * When which request is due: a binary heap. A request is in it once or not at all; its place stands
 * in request->timer, the time in request->due. Belongs to the I/O thread; owns no request.
 */

#include <stdbool.h>
#include <stddef.h> /* size_t */

#include "request.h"
#include "visibility.h"

SENDAPI_HIDDEN_BEGIN

struct timers {
    struct request **heap;
    size_t count;
    size_t capacity;
};

/* Makes room for one request more than there is room for now or in use; false without memory. */
bool timers_reserve(struct timers *timers, size_t requests);

/* Puts the request in, or moves it; there must be room (timers_reserve). */
void timers_set(struct timers *timers, struct request *request, double due);

/* Takes it out; harmless when it is not in. */
void timers_clear(struct timers *timers, struct request *request);

/* The request that is due first, or NULL. */
struct request *timers_first(const struct timers *timers);

/* Frees the heap itself. */
void timers_release(struct timers *timers);

SENDAPI_HIDDEN_END

#endif
