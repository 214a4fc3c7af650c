#ifndef SENDAPI_LENGINE_H
#define SENDAPI_LENGINE_H

#include <stdbool.h>
#include <stddef.h> /* size_t */
#include <stdint.h> /* uint64_t */

#include <lua.h>

#include "engine.h"
#include "visibility.h"

SENDAPI_HIDDEN_BEGIN

extern const char ENGINE_CLASS[];

/* The userdata of an engine; one per state. */
struct lengine {
    struct engine *engine; /* NULL once collected; made anew after a fork */
    size_t open;           /* endpoints: the thread ends with the last */
    unsigned generation;   /* of forks, counted by engines left behind */
    size_t pending;        /* requests that were accepted and not answered yet */
    uint64_t tickets;
};

/* Adds `engine` to the module table on top of the stack. */
void lengine_open(lua_State *L);

/* The engine at `index`; raises when it is something else. */
struct lengine *lengine_check(lua_State *L, int index);

/* Whether there is an engine, and it is this process's (engine.h). */
bool lengine_is_ours(const struct lengine *self);

/* Leaves an engine that is the parent's process as it is (engine.h), and its endpoints with it. */
void lengine_forsake_parent(struct lengine *self);

/* The engine, made when there is none, as after a fork. Raises when that cannot be. */
struct engine *lengine_ready(lua_State *L, struct lengine *self);

/* Ends the thread, if there is one. */
void lengine_stop(struct lengine *self);

SENDAPI_HIDDEN_END

#endif
