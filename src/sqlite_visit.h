#ifndef SENDAPI_SQLITE_VISIT_H
#define SENDAPI_SQLITE_VISIT_H

/* Visits of rows and letters in a SQLite file. */

#include <stdbool.h>
#include <stddef.h> /* size_t */
#include <stdint.h> /* uint64_t */

#include "sqlite_rows.h"
#include "store.h"
#include "visibility.h"

SENDAPI_HIDDEN_BEGIN

struct sqlite_visit {
    struct store *store;
    size_t bytes; /* of bodies that are left: with none it ends */
    store_row_visitor *row;
    store_letter_visitor *letter; /* instead of `row` */
    void *context;
    int code; /* SQLite's, of what failed */
};

/*
 * Visits what LIST_ROWS or LIST_LETTERS lists of a source, behind `after`, at most `count`. False
 * with a problem.
 */
bool sqlite_visit_source(struct sqlite_visit *visit, enum statement which, const char *name,
                         uint64_t after, size_t count, struct store_problem *problem);

SENDAPI_HIDDEN_END

#endif
