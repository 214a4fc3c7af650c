#ifndef SENDAPI_LSCHEMA_H
#define SENDAPI_LSCHEMA_H

#include <lua.h>

#include "schema.h"
#include "visibility.h"

SENDAPI_HIDDEN_BEGIN

/* The class of compiled schemas; lencode.c gives it its methods. */
extern const char SCHEMA_CLASS[];

/*
 * core.compile(definition, options) -> schema
 * Releases the schema of a userdata: the class's __gc.
 */
int schema_compile(lua_State *L);
int schema_close(lua_State *L);

/* The schema at `index`; raises when it is something else. The userdata owns it. */
const struct schema *schema_check(lua_State *L, int index);

SENDAPI_HIDDEN_END

#endif
