/*
 * Several Lua states in one process, each in a thread of its own, all at once and again and again.
 *
 *     states THREADS ROUNDS SCRIPT [ARGUMENT...]
 *
 * In each round each thread runs the script in a fresh state; the script's arguments are those, the
 * thread's number and the round. It exits with 1 when a script fails.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h> /* strtol(3) */

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

enum { MOST_THREADS = 16 };

static char **script; /* and its arguments */
static long rounds;
static atomic_int failures;

static int run_script(lua_State *L, long thread, long round)
{
    int arity = 2;
    if (luaL_loadfile(L, script[0]) != 0) {
        return 1;
    }
    for (char **argument = script + 1; *argument != NULL; argument++) {
        lua_pushstring(L, *argument);
        arity++;
    }
    lua_pushinteger(L, thread);
    lua_pushinteger(L, round);
    return lua_pcall(L, arity, 0, 0);
}

static void run_round(long thread, long round)
{
    lua_State *L = luaL_newstate();
    if (L == NULL) {
        (void)atomic_fetch_add(&failures, 1);
        return;
    }
    luaL_openlibs(L);
    if (run_script(L, thread, round) != 0) {
        (void)luaL_callmeta(L, -1, "__tostring");
        (void)fprintf(stderr, "%s\n", lua_tostring(L, -1));
        (void)atomic_fetch_add(&failures, 1);
    }
    lua_close(L);
}

static void *run(void *number)
{
    for (long round = 1; round <= rounds; round++) {
        run_round(*(const long *)number, round);
    }
    return NULL;
}

int main(int count_of_arguments, char **arguments)
{
    pthread_t threads[MOST_THREADS];
    long numbers[MOST_THREADS];
    long count = count_of_arguments < 4 ? 0 : strtol(arguments[1], NULL, 10);
    if (count < 1 || count > MOST_THREADS) {
        (void)fputs("states THREADS ROUNDS SCRIPT [ARGUMENT...]\n", stderr);
        return 2;
    }
    rounds = strtol(arguments[2], NULL, 10);
    script = arguments + 3;
    for (long i = 0; i < count; i++) {
        numbers[i] = i + 1;
        if (pthread_create(&threads[i], NULL, run, &numbers[i]) != 0) {
            (void)fputs("no thread\n", stderr);
            return 1;
        }
    }
    for (long i = 0; i < count; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    return atomic_load(&failures) != 0;
}
