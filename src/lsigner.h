#ifndef SENDAPI_LSIGNER_H
#define SENDAPI_LSIGNER_H

#include <lua.h>

#include "hmac.h"
#include "visibility.h"

SENDAPI_HIDDEN_BEGIN

/* Adds `signer` to the module table on top of the stack. */
void signer_open(lua_State *L);

/* The signer at `index`, NULL when it is closed; raises when it is something else. The userdata
 * owns it. */
struct hmac *signer_check(lua_State *L, int index);

SENDAPI_HIDDEN_END

#endif
