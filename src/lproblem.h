#ifndef SENDAPI_LPROBLEM_H
#define SENDAPI_LPROBLEM_H

/*
 * What is wrong with a table, and where: the first problem only, or all of them.
 *
 * A problem is a Lua table { code, field, message, severity }: `field` is the path
 * ("params.author.id"), `message` a sentence that begins with it, `severity` "error" or "warning".
 */

#include <stdbool.h>
#include <stddef.h> /* size_t */

#include <lua.h>

#include "failure.h"
#include "visibility.h"

SENDAPI_HIDDEN_BEGIN

/* Errors that are kept, and as many warnings: a hostile table must not fill the memory. */
enum { PROBLEMS_MAXIMUM = 100 };

/* A step of a path; lives on the C stack while what it names is looked at. */
struct path {
    const struct path *parent;
    const char *name; /* NULL: an item of an array */
    size_t length;
    size_t index; /* the item's, from 1 */
};

struct problems {
    lua_State *L;
    bool all;      /* collect them all, warnings too; else stop at the first */
    bool failed;   /* an error was reported */
    int slot;      /* stack index of the list, nil until the first */
    int count;     /* in the list */
    size_t errors; /* reported so far */
    size_t warnings;
};

/* Pushes the slot for the list. It stays on the stack for as long as `problems` is used. */
void problems_begin(struct problems *problems, lua_State *L, bool all);

/*
 * Adds an error, `format` as for printf. Returns whether to go on: false unless all are wanted.
 * May raise for want of memory; leaves the stack as it was.
 */
bool problems_error(struct problems *problems, const struct path *path, enum failure failure,
                    const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 4, 5)))
#endif
    ;

/* Adds a warning, if all are wanted. */
void problems_warning(struct problems *problems, const struct path *path, const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 3, 4)))
#endif
    ;

enum { PRINTABLE_SIZE = 64 };

/* A hostile text made fit for a message: cut short, only printable ASCII. Returns `out`. */
const char *problems_printable(const char *text, size_t length, char out[PRINTABLE_SIZE]);

SENDAPI_HIDDEN_END

#endif
