/*
 * A game server that embeds Lua, at 60 ticks a second. It says how much of a tick the chat took.
 *
 *     cc -O2 -o game_server examples/game_server/game_server.c $(pkg-config --cflags --libs lua5.4)
 *     SENDAPI_BASE_URL=... ./game_server examples/game_server/chat.lua 60
 *
 * The chat is a script that returns a table with `tick(number)` and `finish() -> said, delivered`;
 * the number behind it is how many seconds the game lasts, 3 unless given.
 */

#define _POSIX_C_SOURCE 200809L

#include <stdio.h>
#include <stdlib.h> /* qsort(3) strtol(3) */
#include <time.h>   /* clock_gettime(2) nanosleep(2) */

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

enum { TICKS_PER_SECOND = 60, MOST_SECONDS = 86400 };

static double now(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void sleep_until(double when)
{
    double left = when - now();
    if (left > 0) {
        struct timespec pause = {.tv_sec = (time_t)left};
        pause.tv_nsec = (long)((left - (double)pause.tv_sec) * 1e9);
        (void)nanosleep(&pause, NULL);
    }
}

/* Calls a function of the table at index 1; false, with what was raised on the stack, if it fails.
 */
static int call(lua_State *L, const char *name, long argument, int results)
{
    lua_getfield(L, 1, name);
    lua_pushinteger(L, argument);
    return lua_pcall(L, 1, results, 0) == 0;
}

/* Runs the ticks, and notes the seconds that the chat took of each. */
static int run(lua_State *L, double *taken, long ticks)
{
    double start = now();
    for (long i = 0; i < ticks; i++) {
        sleep_until(start + (double)i / TICKS_PER_SECOND);
        double before = now();
        if (!call(L, "tick", i, 0)) {
            return 0;
        }
        taken[i] = now() - before;
        /* the rest of the tick is the game's */
    }
    return 1;
}

static int compare(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;
    return (a > b) - (a < b);
}

static void report(lua_State *L, double *taken, long ticks)
{
    qsort(taken, (size_t)ticks, sizeof *taken, compare);
    (void)printf("%ld ticks, %ld messages, %ld delivered\n", ticks, (long)lua_tointeger(L, -2),
                 (long)lua_tointeger(L, -1));
    (void)printf("of a tick of %.1f ms the chat took: median %.3f ms, 99.9 %% %.3f ms, "
                 "worst %.3f ms\n",
                 1e3 / TICKS_PER_SECOND, taken[ticks / 2] * 1e3,
                 taken[(ticks - 1) * 999 / 1000] * 1e3, taken[ticks - 1] * 1e3);
}

static int play(lua_State *L, const char *script, long seconds)
{
    long ticks = seconds * TICKS_PER_SECOND;
    double *taken = calloc((size_t)ticks, sizeof *taken);
    int fine = taken != NULL && luaL_loadfile(L, script) == 0 && lua_pcall(L, 0, 1, 0) == 0 &&
               run(L, taken, ticks) && call(L, "finish", 0, 2);
    if (fine) {
        report(L, taken, ticks);
    } else {
        (void)fprintf(stderr, "%s\n", taken != NULL ? lua_tostring(L, -1) : "not enough memory");
    }
    free(taken);
    return fine ? 0 : 1;
}

int main(int count, char **arguments)
{
    long seconds = count > 2 ? strtol(arguments[2], NULL, 10) : 3;
    if (count < 2 || seconds < 1 || seconds > MOST_SECONDS) {
        (void)fprintf(stderr, "usage: %s CHAT.lua [SECONDS]\n", arguments[0]);
        return 2;
    }
    lua_State *L = luaL_newstate();
    if (L == NULL) {
        return 1;
    }
    luaL_openlibs(L);
    int status = play(L, arguments[1], seconds);
    lua_close(L);
    return status;
}
