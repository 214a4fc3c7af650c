#ifndef SENDAPI_LANES_H
#define SENDAPI_LANES_H

/*
 * Order within a conversation: of the requests with one lane key (and one endpoint) a single one is
 * on its way; the others stand behind it, in the order of their submission.
 *
 * A lane exists while it holds a request, so an empty one costs nothing. The request at its head
 * may be anywhere (on its way, waiting for its next attempt, with the caller who is asked about
 * it): lanes are found by their key, never by a pointer. Belongs to the I/O thread; owns no
 * request.
 */

#include <stdbool.h>
#include <stddef.h> /* size_t */

#include "request.h"
#include "visibility.h"

SENDAPI_HIDDEN_BEGIN

struct lane;

struct lanes {
    struct lane **buckets;
    size_t bucket_count; /* a power of two, or 0 */
    size_t count;
};

enum lanes_place {
    LANES_HEAD,      /* it may go */
    LANES_BEHIND,    /* it waits in its lane, linked by next and previous */
    LANES_NO_MEMORY, /* it is in no lane */
};

/* A request without a lane key is always at the head of its own. */
enum lanes_place lanes_enter(struct lanes *lanes, struct request *request);

/*
 * The request at the head of its lane is done. Returns the next one, which may go now and is linked
 * nowhere, or NULL. Harmless for a request that heads no lane.
 */
struct request *lanes_leave(struct lanes *lanes, const struct request *request);

/* Takes out a request that waits behind another. */
void lanes_remove(struct lanes *lanes, struct request *request);

/* Frees the lanes, whoever stands in them. */
void lanes_release(struct lanes *lanes);

SENDAPI_HIDDEN_END

#endif
