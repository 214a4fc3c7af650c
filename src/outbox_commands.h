#ifndef SENDAPI_OUTBOX_COMMANDS_H
#define SENDAPI_OUTBOX_COMMANDS_H

/*
 * The figures of a source, and the commands that ask for them or change its dead letters. For the
 * outbox's own files.
 */

#include "outbox_source.h"

SENDAPI_HIDDEN_BEGIN

/* Asks the store what others did, when that is due and nothing here is under way. */
void outbox_count_rows(struct outbox_source *source, double now);

/* Takes over what the deliverer has counted. */
void outbox_count_ends(struct outbox_source *source);

/* Tells the figures to the source's endpoints. */
void outbox_publish_figures(struct outbox_source *source);

/*
 * Answers all that is asked; what needs further steps stays for the next time, and what is asked
 * behind it, unless there is none: then it ends as FAILURE_CLOSED.
 */
void outbox_run_commands(struct outbox_source *source, bool is_last);

SENDAPI_HIDDEN_END

#endif
