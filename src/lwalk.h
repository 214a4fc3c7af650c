#ifndef SENDAPI_LWALK_H
#define SENDAPI_LWALK_H

/*
 * The walk over a Lua value and its schema that lencode.c begins: what its parts (ltext.c,
 * ltable.c, lobject.c) share.
 *
 * Every encode_… writes the value at a stack index (absolute) and returns whether to go on: false
 * after the first problem, unless all are wanted. What it could not write is among the problems.
 * The stack is as it was, but after false. Failures of the buffer are looked at once, at the end.
 */

#include <stdbool.h>
#include <stddef.h> /* size_t */

#include <lua.h>

#include "json.h"
#include "lencode.h"
#include "lproblem.h"
#include "schema.h"
#include "visibility.h"

SENDAPI_HIDDEN_BEGIN

struct walk {
    lua_State *L;
    struct encoder *encoder;
    struct buffer *out;
    const struct schema *schema;
    struct problems problems;
    int depth; /* of tables where any value may stand */
};

/* By the type's kind: one of those below. */
bool encode_value(struct walk *walk, const struct schema_type *type, int index,
                  const struct path *path);

/* ltext.c: string, date, url, choice; boolean; and a number as JSON has it */
bool encode_text(struct walk *walk, const struct schema_type *type, int index,
                 const struct path *path);
bool encode_boolean(struct walk *walk, int index, const struct path *path);
bool encode_number(struct walk *walk, int index, const struct path *path);

/* ltable.c: array, map, any */
bool encode_array(struct walk *walk, const struct schema_type *type, int index,
                  const struct path *path);
bool encode_map(struct walk *walk, const struct schema_type *type, int index,
                const struct path *path);
bool encode_any(struct walk *walk, const struct schema_type *type, int index,
                const struct path *path);

/*
 * The entries of a table with text keys that `known` (or NULL) lacks, in the order of their keys'
 * bytes, so that the same table always gives the same bytes; `first`: no comma before the first.
 */
bool encode_entries(struct walk *walk, const struct schema_type *of, int index,
                    const struct schema_object *known, bool first, const struct path *path);

/* lobject.c: object, variant */
bool encode_object(struct walk *walk, const struct schema_object *object, int index,
                   const struct path *path);
bool encode_variant(struct walk *walk, const struct schema_type *type, int index,
                    const struct path *path);

/* nil, and lua-cjson's and nginx's null */
bool is_null(lua_State *L, int index);

/* lua-cjson's empty_array */
bool is_empty_array(const struct walk *walk, int index);

/* Reports that a value is of the wrong Lua type: "expected a string, got table". */
bool error_of_type(struct walk *walk, const struct path *path, const char *expected, int index);

SENDAPI_HIDDEN_END

#endif
