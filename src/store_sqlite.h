#ifndef SENDAPI_STORE_SQLITE_H
#define SENDAPI_STORE_SQLITE_H

/*
 * The outbox in a SQLite file, for the engines of one machine. Its leases are the system's file
 * locks: they do not run out, and a dead holder's are free at once.
 */

#include "store.h"
#include "visibility.h"

SENDAPI_HIDDEN_BEGIN

extern const struct store_driver store_sqlite;

SENDAPI_HIDDEN_END

#endif
