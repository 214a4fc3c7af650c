#ifndef SENDAPI_SQLITE_DAMAGE_H
#define SENDAPI_SQLITE_DAMAGE_H

/*
 * Damaged files: told from those that only cannot be read now, and put aside, never deleted.
 */

#include <stdbool.h>

#include "sqlite_file.h"
#include "store.h"
#include "visibility.h"

SENDAPI_HIDDEN_BEGIN

/* What looking at a file came to. */
enum verdict {
    SOUND,
    TROUBLE, /* a problem was written */
    DAMAGED, /* and here */
};

/* Whether a code of SQLite's says that what was read cannot be. */
bool sqlite_damage_is(int code);

/* TROUBLE or DAMAGED, with the problem. */
enum verdict sqlite_damage_verdict(const struct sqlite_file *file, int code,
                                   struct store_problem *problem);

/* Looks through all pages of a file that is open. */
enum verdict sqlite_damage_look(struct sqlite_file *file, struct store_problem *problem);

/*
 * Closes the file and gives it and its WAL another name, with a warning that says which. Nobody
 * else may have it open. False with a problem.
 */
bool sqlite_damage_put_aside(struct sqlite_file *file, const struct store_settings *settings,
                             struct store_problem *problem);

SENDAPI_HIDDEN_END

#endif
