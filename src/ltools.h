#ifndef SENDAPI_LTOOLS_H
#define SENDAPI_LTOOLS_H

#include <lua.h>

#include "visibility.h"

SENDAPI_HIDDEN_BEGIN

/* Adds the small tools to the module table on top of the stack. */
void tools_open(lua_State *L);

SENDAPI_HIDDEN_END

#endif
