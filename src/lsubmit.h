#ifndef SENDAPI_LSUBMIT_H
#define SENDAPI_LSUBMIT_H

#include <lua.h>

#include "visibility.h"

SENDAPI_HIDDEN_BEGIN

/* Adds engine:submit to the class on top of the stack. */
void lsubmit_add(lua_State *L);

SENDAPI_HIDDEN_END

#endif
