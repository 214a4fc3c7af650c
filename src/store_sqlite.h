#ifndef SENDAPI_STORE_SQLITE_H
#define SENDAPI_STORE_SQLITE_H

/*
 * The outbox in a SQLite file, for the engines of one machine. Its leases are the system's file
 * locks: they do not run out, and a dead holder's are free at once.
 *
 * A fork waits for a call that is under way: up to about a second when others write without pause.
 * In a child, what the parent opened can only be abandoned. A visitor must neither fork nor call the
 * store. After an error of the disk while committing, rows of which `append` said that they were
 * not appended may come back with a loss of power, or when all processes end, until something is
 * written again: the next call that writes does so, or `idle`, or `close`, once the disk lets them.
 */

#include "store.h"
#include "visibility.h"

SENDAPI_HIDDEN_BEGIN

extern const struct store_driver store_sqlite;

SENDAPI_HIDDEN_END

#endif
