#include "lcompat.h"

#include <string.h> /* memset(3) */

#if LUA_VERSION_NUM < 502
void compat_setfuncs(lua_State *L, const luaL_Reg *functions, int upvalues)
{
    for (; functions->name != NULL; functions++) {
        for (int i = 0; i < upvalues; i++) {
            lua_pushvalue(L, -upvalues);
        }
        lua_pushcclosure(L, functions->func, upvalues);
        lua_setfield(L, -(upvalues + 2), functions->name);
    }
    lua_pop(L, upvalues);
}

int compat_absindex(lua_State *L, int index)
{
    return index > 0 || index <= LUA_REGISTRYINDEX ? index : lua_gettop(L) + index + 1;
}
#endif

/* Lua aligns a userdata for its own values, not for max_align_t. */
struct object {
    const char *class;
    union {
        void *pointer;
        lua_Number number;
        lua_Integer integer;
    } memory[];
};

void *compat_newobject(lua_State *L, const char *class, size_t size)
{
    struct object *object = lua_newuserdata(L, sizeof *object + size);
    memset(object->memory, 0, size);
    object->class = class;
    luaL_getmetatable(L, class);
    lua_setmetatable(L, -2);
    return object->memory;
}

void *compat_testobject(lua_State *L, int index, const char *class)
{
    struct object *object = lua_touserdata(L, index);
    bool ours = object != NULL &&
                compat_rawlen(L, index) >= sizeof *object && /* a light userdata has none */
                object->class == class;
    return ours ? object->memory : NULL;
}

void *compat_checkobject(lua_State *L, int index, const char *class)
{
    void *memory = compat_testobject(L, index, class);
    if (memory == NULL) {
        (void)luaL_argerror(
            L, index, lua_pushfstring(L, "%s expected, got %s", class, luaL_typename(L, index)));
    }
    return memory;
}

void compat_anchor(lua_State *L, int index)
{
    lua_createtable(L, 1, 0); /* earlier Luas take only tables; it takes the value's place */
    lua_insert(L, -2);
    lua_rawseti(L, -2, 1);
#if LUA_VERSION_NUM >= 502
    lua_setuservalue(L, index);
#else
    (void)lua_setfenv(L, index);
#endif
}

/* upvalue 1: the class's name */
static int class_tostring(lua_State *L)
{
    lua_pushvalue(L, lua_upvalueindex(1));
    return 1;
}

void compat_newclass(lua_State *L, const char *name, const luaL_Reg *methods, lua_CFunction release)
{
    luaL_newmetatable(L, name); /* stack: class */
    compat_setfuncs(L, methods, 0);
    lua_pushvalue(L, -1);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, release);
    lua_setfield(L, -2, "__gc");
    lua_pushcfunction(L, release);
    lua_setfield(L, -2, "__close");
    lua_pushstring(L, name);
    lua_pushcclosure(L, class_tostring, 1);
    lua_setfield(L, -2, "__tostring");
    lua_pushliteral(L, "protected");
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
}
