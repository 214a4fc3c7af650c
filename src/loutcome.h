#ifndef SENDAPI_LOUTCOME_H
#define SENDAPI_LOUTCOME_H

/* Failures and outcomes (failure.h, request.h) as the tables that engine:take says (lengine.c). */

#include <lua.h>

#include "failure.h"
#include "request.h"
#include "visibility.h"

SENDAPI_HIDDEN_BEGIN

/* Sets a field of the table on top; nothing for NULL. */
void outcome_set_string(lua_State *L, const char *name, const char *text);

/* Pushes { code, class, message }. */
void outcome_push_failure(lua_State *L, enum failure failure);

/* Pushes nil and the failure, to be returned: 2. */
int outcome_refuse(lua_State *L, enum failure failure);

/* Pushes the failure with all that is known of it. */
void outcome_push(lua_State *L, const struct outcome *outcome);

SENDAPI_HIDDEN_END

#endif
