/*
 * A Lua state that is refused memory: what the script returns is called again and again, and each
 * time one more allocation succeeds before all that follow are refused, until none is.
 *
 *     want SCRIPT [ARGUMENT...]
 *
 * Prints how often it was called, and how many bytes the C library has given out in the end beyond
 * those after the first call, in which nothing was refused.
 */

#include <malloc.h> /* mallinfo2(3) */
#include <stdio.h>
#include <stdlib.h> /* realloc(3) free(3) */

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

enum { MOST_ROUNDS = 10000 };

static long before_refusal = -1; /* allocations that succeed yet; negative: all of them */
static int refusals;

static void *allocate(void *context, void *block, size_t old_size, size_t size)
{
    (void)context;
    if (size == 0) {
        free(block);
        return NULL;
    }
    if (before_refusal == 0 && (block == NULL || size > old_size)) {
        refusals++;
        return NULL;
    }
    before_refusal -= before_refusal > 0;
    return realloc(block, size);
}

static size_t given_out(lua_State *L)
{
    (void)lua_gc(L, LUA_GCCOLLECT, 0);
    (void)lua_gc(L, LUA_GCCOLLECT, 0);
    struct mallinfo2 all = mallinfo2();
    return all.uordblks + all.hblkhd;
}

/* Calls the function at the top of the stack, which stays there. */
static int call(lua_State *L, long allowed)
{
    lua_pushvalue(L, -1);
    before_refusal = allowed;
    int status = lua_pcall(L, 0, 0, 0);
    before_refusal = -1;
    lua_settop(L, 1);
    return status;
}

static int load(lua_State *L, char **words)
{
    int count = 0;
    luaL_openlibs(L);
    if (luaL_loadfile(L, words[1]) != 0) {
        return 1;
    }
    for (; words[2 + count] != NULL; count++) {
        lua_pushstring(L, words[2 + count]);
    }
    return lua_pcall(L, count, 1, 0) != 0 || call(L, -1) != 0;
}

int main(int count, char **words)
{
    long rounds = 0;
    lua_State *L = lua_newstate(allocate, NULL);
    if (L == NULL || count < 2 || load(L, words) != 0) {
        (void)fprintf(stderr, "%s\n", L != NULL ? lua_tostring(L, -1) : "no state");
        return 1;
    }
    size_t before = given_out(L);
    do {
        refusals = 0;
        int status = call(L, rounds++);
        if (status != 0 && refusals == 0) { /* Lua does without some of what it is refused */
            (void)fprintf(stderr, "call %ld failed for another reason\n", rounds);
            return 1;
        }
    } while (refusals > 0 && rounds < MOST_ROUNDS);
    size_t after = given_out(L);
    (void)printf("%ld calls, %ld bytes\n", rounds, (long)after - (long)before);
    lua_close(L);
    return 0;
}
