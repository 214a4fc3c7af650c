#ifndef SENDAPI_LLETTER_H
#define SENDAPI_LLETTER_H

#include <lua.h>

#include "store.h"
#include "visibility.h"

SENDAPI_HIDDEN_BEGIN

/*
 * Pushes a table as sendapi.Letter in outbox.lua has it. Without a code it is a pending row; what is
 * NULL or empty is left out.
 */
void letter_push(lua_State *L, const struct store_letter *letter);

/* Pushes { pending, pending_bytes, dead, oldest }, the last one only when something is pending. */
void figures_push(lua_State *L, const struct store_figures *figures);

SENDAPI_HIDDEN_END

#endif
