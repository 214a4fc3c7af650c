/*
 * core.suggest(word, words) -> string | nil   the nearest of the words, when one is near
 * core.failures                               a list of { code, class, message }, one each
 * core.now() -> seconds                       of a clock that never jumps
 * core.libcurl                                its version
 * core.check_store(driver, path) -> nil | why the driver of an outbox can have nothing there
 * core.sleep(seconds)                         blocks; a signal may end it early
 * core.hold_signals() -> boolean              see foreground.h
 * core.wait_for_signal(seconds) -> boolean    whether one came
 */

#include "ltools.h"

#include <math.h> /* isfinite(3) */
#include <time.h> /* nanosleep(2) */

#include <curl/curl.h>

#include "clock.h"
#include "failure.h"
#include "foreground.h"
#include "lcompat.h"
#include "store.h"
#include "suggest.h"

enum { LONGEST = 86400 }; /* seconds */

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

static int tools_check_store(lua_State *L)
{
    const struct store_driver *driver = lua_touserdata(L, 1);
    const char *path = luaL_checkstring(L, 2);
    struct store_problem problem;
    luaL_argcheck(L, driver != NULL, 1, "a store's driver");
    if (driver->check(path, &problem)) {
        return 0;
    }
    lua_pushstring(L, problem.reason);
    return 1;
}

/* Finite and not negative, or an error. */
static double check_seconds(lua_State *L)
{
    double seconds = luaL_checknumber(L, 1);
    luaL_argcheck(L, isfinite(seconds) && seconds >= 0 && seconds <= LONGEST, 1,
                  "seconds, from 0 to a day");
    return seconds;
}

static int tools_sleep(lua_State *L)
{
    double seconds = check_seconds(L);
    struct timespec time = {.tv_sec = (time_t)seconds};
    time.tv_nsec = (long)((seconds - (double)time.tv_sec) * 1e9);
    (void)nanosleep(&time, NULL);
    return 0;
}

static int tools_hold_signals(lua_State *L)
{
    lua_pushboolean(L, foreground_hold());
    return 1;
}

static int tools_wait_for_signal(lua_State *L)
{
    lua_pushboolean(L, foreground_wait(check_seconds(L)) != 0);
    return 1;
}

static const luaL_Reg functions[] = {
    {"suggest", tools_suggest},           {"now", tools_now},
    {"check_store", tools_check_store},   {"sleep", tools_sleep},
    {"hold_signals", tools_hold_signals}, {"wait_for_signal", tools_wait_for_signal},
};

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
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        lua_pushcfunction(L, functions[i].func);
        lua_setfield(L, -2, functions[i].name);
    }
    push_failures(L);
    lua_setfield(L, -2, "failures");
    lua_pushstring(L, curl_version_info(CURLVERSION_NOW)->version);
    lua_setfield(L, -2, "libcurl");
}
