#ifndef SENDAPI_OUTBOX_APPEND_H
#define SENDAPI_OUTBOX_APPEND_H

/* The way of what is accepted into its store. For the outbox's own files. */

#include "outbox_source.h"

SENDAPI_HIDDEN_BEGIN

/* Appends a batch of what waits, if anything does; all of it is finished then, stored or failed. */
void outbox_append(struct outbox_source *source, struct moment moment);

SENDAPI_HIDDEN_END

#endif
