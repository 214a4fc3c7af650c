#ifndef SENDAPI_LENDPOINT_H
#define SENDAPI_LENDPOINT_H

#include <lua.h>

#include "endpoint.h"
#include "visibility.h"

SENDAPI_HIDDEN_BEGIN

/* Makes the class. */
void lendpoint_class(lua_State *L);

/* engine:open(settings) */
int lendpoint_open(lua_State *L);

/* The endpoint at `index`, NULL when it is closed; raises when it is something else. The userdata
 * owns it. */
struct endpoint *lendpoint_check(lua_State *L, int index);

SENDAPI_HIDDEN_END

#endif
