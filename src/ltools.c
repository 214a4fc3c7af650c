/*
 * core.suggest(word, words) -> string | nil   the nearest of the words, when one is near
 * core.failures                               a list of { code, class, message }, one each
 * core.now() -> seconds                       of a clock that never jumps
 * core.libcurl                                its version
 */

#include "ltools.h"

#include <curl/curl.h>

#include "clock.h"
#include "failure.h"
#include "lcompat.h"
#include "suggest.h"

static int tools_suggest(lua_State *L)
{
    size_t length;
    struct suggestion best = {NULL, 0};
    const char *word = luaL_checklstring(L, 1, &length);
    luaL_checktype(L, 2, LUA_TTABLE);
    for (size_t i = 1; i <= compat_rawlen(L, 2); i++) {
        size_t known_length;
        (void)compat_rawgeti(L, 2, i);
        const char *known = luaL_checklstring(L, -1, &known_length);
        suggest_consider(&best, word, length, known, known_length);
        lua_pop(L, 1); /* the list keeps the text alive */
    }
    lua_pushstring(L, best.word); /* nil for NULL */
    return 1;
}

static int tools_now(lua_State *L)
{
    lua_pushnumber(L, clock_now());
    return 1;
}

static void push_failures(lua_State *L)
{
    lua_newtable(L);
    for (int failure = FAILURE_NONE + 1; failure < FAILURE_COUNT; failure++) {
        const struct failure_row *row = failure_row((enum failure)failure);
        lua_newtable(L);
        lua_pushstring(L, row->code);
        lua_setfield(L, -2, "code");
        lua_pushstring(L, failure_class_name(row->class));
        lua_setfield(L, -2, "class");
        lua_pushstring(L, row->sentence);
        lua_setfield(L, -2, "message");
        lua_rawseti(L, -2, failure);
    }
}

void tools_open(lua_State *L)
{
    lua_pushcfunction(L, tools_suggest);
    lua_setfield(L, -2, "suggest");
    lua_pushcfunction(L, tools_now);
    lua_setfield(L, -2, "now");
    push_failures(L);
    lua_setfield(L, -2, "failures");
    lua_pushstring(L, curl_version_info(CURLVERSION_NOW)->version);
    lua_setfield(L, -2, "libcurl");
}
