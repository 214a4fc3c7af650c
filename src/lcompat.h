#ifndef SENDAPI_LCOMPAT_H
#define SENDAPI_LCOMPAT_H

/*
 * What Lua 5.1 and LuaJIT lack against 5.4, under our own names: defining Lua's names would collide
 * with another module in the same process that does the same.
 */

#include <stdbool.h>
#include <stddef.h> /* size_t */

#include <lauxlib.h>
#include <lua.h>

#include "visibility.h"

SENDAPI_HIDDEN_BEGIN

#if LUA_VERSION_NUM >= 502
#define compat_rawlen(L, index) ((size_t)lua_rawlen(L, index))
#define compat_setfuncs(L, functions, upvalues) luaL_setfuncs(L, functions, upvalues)
#define compat_absindex(L, index) lua_absindex(L, index)
#else
#define compat_rawlen(L, index) lua_objlen(L, index)
void compat_setfuncs(lua_State *L, const luaL_Reg *functions, int upvalues);
int compat_absindex(lua_State *L, int index);
#endif

/* lua_rawget and lua_rawgeti that return the type of what they pushed, as 5.3's do. */
static inline int compat_rawget(lua_State *L, int index)
{
    lua_rawget(L, index);
    return lua_type(L, -1);
}

static inline int compat_rawgeti(lua_State *L, int index, size_t n)
{
#if LUA_VERSION_NUM >= 503
    lua_rawgeti(L, index, (lua_Integer)n);
#else
    lua_rawgeti(L, index, (int)n);
#endif
    return lua_type(L, -1);
}

/* True when the number at `index` is of 5.3's integer subtype; earlier Luas have none. */
static inline bool compat_isinteger(lua_State *L, int index)
{
#if LUA_VERSION_NUM >= 503
    return lua_isinteger(L, index) != 0;
#else
    (void)L;
    (void)index;
    return false;
#endif
}

/* Keeps the value on top of the stack, which is popped, alive as long as the userdata at `index`.
 */
void compat_anchor(lua_State *L, int index);

/*
 * Our userdata know their class by the address of its name, which is compared in a fraction of the
 * time that luaL_checkudata needs to look up the metatable. `class` must be one and the same array
 * everywhere.
 */

/* Pushes a zeroed userdata of a class that was made, and returns its memory. */
void *compat_newobject(lua_State *L, const char *class, size_t size);

/* The memory of the object at `index`; NULL when it is something else. */
void *compat_testobject(lua_State *L, int index, const char *class);

/* The same; raises when it is something else. */
void *compat_checkobject(lua_State *L, int index, const char *class);

/*
 * Makes the metatable `name` with the methods, `__index` to itself, `__gc` and (for 5.4) `__close`
 * both `release`, and a `__tostring` that says only the name. Leaves the stack as it was.
 */
void compat_newclass(lua_State *L, const char *name, const luaL_Reg *methods,
                     lua_CFunction release);

SENDAPI_HIDDEN_END

#endif
