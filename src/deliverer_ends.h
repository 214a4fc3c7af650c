#ifndef SENDAPI_DELIVERER_ENDS_H
#define SENDAPI_DELIVERER_ENDS_H

/*
 * What comes of a deliverer's rows: delivered, dead, or pending still, which may pause the source;
 * and the writing of it. deliverer_take_back (deliverer.h) is here. For the deliverer's own files.
 */

#include "deliverer.h"

SENDAPI_HIDDEN_BEGIN

enum { DELIVERER_FIRST_PROBE = 1 }; /* seconds; doubled for each further one */

/* Writes to the store what has ended, when that is due; what was written is freed and counted. */
void deliverer_write_ends(struct deliverer *deliverer, double now);

/* The next probe is due at once, and the waiting between two begins anew. */
void deliverer_forget_pause(struct deliverer *deliverer);

SENDAPI_HIDDEN_END

#endif
