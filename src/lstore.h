#ifndef SENDAPI_LSTORE_H
#define SENDAPI_LSTORE_H

#include <lua.h>

#include "visibility.h"

SENDAPI_HIDDEN_BEGIN

/* Adds `store` to the module table on top of the stack. */
void store_open(lua_State *L);

SENDAPI_HIDDEN_END

#endif
