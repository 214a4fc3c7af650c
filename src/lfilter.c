#include "lfilter.h"

#include <math.h> /* INFINITY */

#include "lcompat.h"

static const char *text_field(lua_State *L, int index, const char *name, size_t *length)
{
    lua_getfield(L, index, name);
    int type = lua_type(L, -1);
    luaL_argcheck(L, type == LUA_TSTRING || type == LUA_TNIL, index, "a filter of texts expected");
    const char *text = lua_tolstring(L, -1, length); /* the table keeps it alive */
    lua_pop(L, 1);
    return text;
}

static double time_field(lua_State *L, int index, const char *name, double otherwise)
{
    lua_getfield(L, index, name);
    double time = lua_isnil(L, -1) ? otherwise : luaL_checknumber(L, -1);
    lua_pop(L, 1);
    return time;
}

struct letter_filter filter_read(lua_State *L, int index)
{
    struct letter_filter filter = {
        .code = text_field(L, index, "code", NULL),
        .action = text_field(L, index, "action", NULL),
        .after = time_field(L, index, "after", -INFINITY),
        .before = time_field(L, index, "before", INFINITY),
    };
    filter.lane = text_field(L, index, "lane", &filter.lane_length);
    filter.lane_length = filter.lane != NULL ? filter.lane_length : 0;
    return filter;
}
