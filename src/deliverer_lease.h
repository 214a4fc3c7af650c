#ifndef SENDAPI_DELIVERER_LEASE_H
#define SENDAPI_DELIVERER_LEASE_H

/*
 * A deliverer's hold on its source: the lease, and what becomes of it when the store does not
 * answer. For the deliverer's own files.
 */

#include "deliverer.h"

SENDAPI_HIDDEN_BEGIN

enum { DELIVERER_AGAIN = 1 }; /* seconds until the store is tried again */

/* Tells of a problem, once until the store is well. */
void deliverer_be_troubled(struct deliverer *deliverer, const struct store_problem *problem);

/* The lease is another's, or may be: nothing that is here counts any more. */
void deliverer_lose_lease(struct deliverer *deliverer, double now);

/* Asks for it, or renews it, when that is due. `now` is not after the moment of the asking. */
void deliverer_keep_lease(struct deliverer *deliverer, double now);

/* Gives it back, if it is held; nothing of the source may be on its way. */
void deliverer_give_up_lease(struct deliverer *deliverer);

/* While it drains: recalls what waits, and ends the draining once nothing is on its way. */
void deliverer_drain(struct deliverer *deliverer, double now);

SENDAPI_HIDDEN_END

#endif
