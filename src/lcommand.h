#ifndef SENDAPI_LCOMMAND_H
#define SENDAPI_LCOMMAND_H

#include <lua.h>

#include "lengine.h"
#include "request.h"
#include "visibility.h"

SENDAPI_HIDDEN_BEGIN

/* engine:command(endpoint, kind, id, limit) */
int lcommand_ask(lua_State *L);

/*
 * The rest of engine:take for the engine's next answer when it is a command's, or a notice; the
 * ticket is on the stack. Lua may raise for want of memory: then it stays the engine's.
 */
int lcommand_take(lua_State *L, struct lengine *self, const struct request *request);

SENDAPI_HIDDEN_END

#endif
