#ifndef SENDAPI_LEXCHANGE_H
#define SENDAPI_LEXCHANGE_H

#include <lua.h>

#include "visibility.h"

SENDAPI_HIDDEN_BEGIN

/* Adds `exchange` to the module table on top of the stack. */
void exchange_open(lua_State *L);

SENDAPI_HIDDEN_END

#endif
