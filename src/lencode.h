#ifndef SENDAPI_LENCODE_H
#define SENDAPI_LENCODE_H

/*
 * Lua values checked against a compiled schema and written as JSON in one pass.
 *
 * The bytes go into a buffer that a userdata owns, so an error that Lua raises on the way (want of
 * memory) loses nothing. No metamethod is ever called, so nothing can come in between.
 */

#include <stdbool.h>

#include <lua.h>

#include "buffer.h"
#include "schema.h"
#include "visibility.h"

SENDAPI_HIDDEN_BEGIN

struct encoder {
    struct buffer buffer;    /* with REQUEST_FRONT */
    const void *empty_array; /* lua-cjson's values, known by their address; NULL: none */
    const void *empty_array_mt;
    const void *array_mt;
    bool busy; /* see encoder_begin */
};

/* Adds `compile` and `sentinels` to the module table on top of the stack. */
void encode_open(lua_State *L);

/* Pushes the state's one encoder, made by encode_open. It lives as long as the state. */
struct encoder *encoder_push(lua_State *L);

/* The encoder at `index`. */
struct encoder *encoder_at(lua_State *L, int index);

/*
 * Pushes the encoder to use: `shared`, or another when that is busy, because a finalizer may run
 * wherever memory is asked for, and may encode, too. It is busy until encoder_end: the bytes are no
 * longer needed. One that an error kept from its end stays busy, which costs time and no more.
 */
struct encoder *encoder_begin(lua_State *L, struct encoder *shared);
void encoder_end(struct encoder *encoder);

/*
 * Writes the value at `index` into encoder->buffer, which is emptied first. On failure returns
 * false and pushes the problem (lproblem.h); else pushes nothing.
 */
bool encoder_write(lua_State *L, struct encoder *encoder, const struct schema *schema, int index);

SENDAPI_HIDDEN_END

#endif
