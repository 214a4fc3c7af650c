#ifndef SENDAPI_OUTBOX_NOTICES_H
#define SENDAPI_OUTBOX_NOTICES_H

/*
 * What comes out of an outbox: the requests that are finished, and the notices of what a deliverer
 * tells. outbox_finished (outbox.h) is here. For the outbox's own files.
 */

#include "outbox_source.h"

SENDAPI_HIDDEN_BEGIN

/* It is finished as it is. */
void outbox_hand_out(struct outbox *outbox, struct request *request);

/* It is finished by a failure; the reason is copied and may be NULL. */
void outbox_hand_back(struct outbox *outbox, struct request *request, enum failure failure,
                      const char *reason);

/* The same, because of a store. */
void outbox_fail_to_store(struct outbox *outbox, struct request *request,
                          const struct store_problem *problem);

/* They tell the endpoint that delivers the source. Without memory something is not told. */
struct deliverer_ears outbox_ears(struct outbox_source *source);

/* Tells the first endpoint that delivers through the store; each sentence once. */
void outbox_warn(struct outbox_store *store, const char *sentence);

/* Tells all endpoints that deliver through it that the store cannot be opened. */
void outbox_tell_closed(struct outbox_store *store);

SENDAPI_HIDDEN_END

#endif
