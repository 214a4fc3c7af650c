#ifndef SENDAPI_SQLITE_ROWS_H
#define SENDAPI_SQLITE_ROWS_H

/*
 * The statements of the store in a SQLite file, and its sources. What returns a bool or NULL has
 * left its error in the connection (sqlite_file_failed).
 */

#include <stdbool.h>
#include <stddef.h> /* size_t */
#include <stdint.h> /* uint64_t */

#include <sqlite3.h>

#include "sqlite_file.h"
#include "visibility.h"

SENDAPI_HIDDEN_BEGIN

/*
 * A row's key is its source's number and its own within the source: rows of one source stand
 * together, in their order, without an index.
 */
enum {
    SQLITE_ROWS_ID_BITS = 43,     /* of a row's number: 8.8e12 rows of a source */
    SQLITE_ROWS_SOURCE_BITS = 20, /* of a source's */
};

#define SQLITE_ROWS_LAST_ID (((uint64_t)1 << SQLITE_ROWS_ID_BITS) - 1)
#define SQLITE_ROWS_LAST_SOURCE ((1 << SQLITE_ROWS_SOURCE_BITS) - 1)

enum statement {
    FIND_SOURCE,
    ADD_SOURCE,
    COUNT_SOURCE,
    LIST_SOURCES,
    ADD_ROW,
    ADD_LARGE,
    FIND_LARGE,
    MOVE_LARGE,
    REMOVE_LARGE,
    LIST_ROWS,
    SUM_ROWS,
    REMOVE_ROWS,
    BURY_ROW,
    LIST_LETTERS,
    FIRST_LETTER,
    REVIVE_LETTER,
    REMOVE_LETTERS,
    REMOVE_LARGE_LETTERS,
    FIGURES,
    VERSION,
    STATEMENTS,
};

struct store {
    struct sqlite_file file;
    sqlite3_stmt *statements[STATEMENTS]; /* made when first needed; they end with the file */
};

/* A source in a transaction, and what is to be added to its row. */
struct source {
    sqlite3_int64 number; /* 0: it has no row */
    uint64_t last;        /* the last id that was given */
    sqlite3_int64 pending;
    sqlite3_int64 bytes;
    sqlite3_int64 dead;
};

/* Made when first needed. */
sqlite3_stmt *sqlite_rows_statement(struct store *store, enum statement which);

/* With integers bound to ?1 and on. */
sqlite3_stmt *sqlite_rows_with(struct store *store, enum statement which, size_t count,
                               const sqlite3_int64 *integers);

/* Ends a statement's run: it holds neither a lock nor what was bound. False if it had failed. */
bool sqlite_rows_ended(sqlite3_stmt *statement);

/* Runs a statement to its end; NULL has failed before. */
bool sqlite_rows_run(sqlite3_stmt *statement);
bool sqlite_rows_run_with(struct store *store, enum statement which, size_t count,
                          const sqlite3_int64 *integers);

/* What is bound stays the caller's until the run ends. No text, or no bytes, is an empty one. */
bool sqlite_rows_text(sqlite3_stmt *statement, int place, const char *text);
bool sqlite_rows_bytes(sqlite3_stmt *statement, int place, const char *bytes, size_t length);

/* *source is zero when there is none. */
bool sqlite_rows_find(struct store *store, const char *name, struct source *source);

/* A row's key from its id, and back. An id that is too large is the largest. */
sqlite3_int64 sqlite_rows_key(const struct source *source, uint64_t id);
uint64_t sqlite_rows_id(sqlite3_int64 key);

SENDAPI_HIDDEN_END

#endif
