#ifndef SENDAPI_LANSWER_H
#define SENDAPI_LANSWER_H

#include <lua.h>

#include "visibility.h"

SENDAPI_HIDDEN_BEGIN

/* Makes the class of questions. */
void lanswer_class(lua_State *L);

/* engine:take() */
int lanswer_take(lua_State *L);

SENDAPI_HIDDEN_END

#endif
