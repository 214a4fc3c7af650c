#ifndef SENDAPI_DELIVERER_READ_H
#define SENDAPI_DELIVERER_READ_H

/* How a deliverer's rows come out of the store into the scheduler. For the deliverer's own files. */

#include "deliverer.h"

SENDAPI_HIDDEN_BEGIN

/* Whether there is room for rows, and the right to have them. */
bool deliverer_may_read(const struct deliverer *deliverer, double now);

/* Reads what it may, when something is there and it is due. */
void deliverer_read_on(struct deliverer *deliverer, struct moment moment);

SENDAPI_HIDDEN_END

#endif
