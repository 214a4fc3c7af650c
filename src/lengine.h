#ifndef SENDAPI_LENGINE_H
#define SENDAPI_LENGINE_H

#include <lua.h>

#include "visibility.h"

SENDAPI_HIDDEN_BEGIN

/* Adds `engine` to the module table on top of the stack. */
void lengine_open(lua_State *L);

SENDAPI_HIDDEN_END

#endif
