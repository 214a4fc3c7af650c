/*
 * core.engine() -> engine
 *     Without a thread until something is submitted.
 *
 * engine:open(settings) -> endpoint
 *     Where a client's requests go: see lendpoint.c.
 *
 * engine:submit(endpoint, signer, schema, params, lane, deadline, ephemeral, skip, wait)
 *   -> ticket, generation | nil, problem
 *     Checks, writes, signs and queues; does not wait, unless `wait` is given: then it may work for
 *     so many seconds, until there is something to take. `lane`: a conversation's key, or nil for
 *     no order. `deadline`: seconds from now. `ephemeral`: worth nothing when late. `skip`: not sent
 *     at all, but answered as delivered. `generation`: as of engine:forsake.
 *
 * engine:take() -> ticket, failure, question
 *     The next answer, or nothing. `failure` is nil when it was delivered, else { code, class,
 *     message, status, attempts, body, reason, retry_after }. With a question it is not the end:
 *
 *     An answer to a command has a table in the question's place, when it did not fail:
 *     { count, letters, figures = { pending, pending_bytes, dead, oldest } }. A ticket of 0 is no
 *     answer at all: the outbox tells something, and the table is { tag, told, letter }, `tag` being
 *     the endpoint's, `told` "died" (`letter` is the dead one, without its body), "paused",
 *     "resumed", "warned" or "troubled"; `failure` says why.
 *
 * engine:command(endpoint, kind, id, limit) -> ticket, generation | nil, problem
 *     Asks something of the endpoint's outbox: "begin" to deliver, or "leave" (answered once nothing
 *     is on its way; nil alone: there is nothing to leave) or "abandon" (the same, answered at
 *     once), its "figures", "letters" above `id`, at most `limit`; to "retry" or to "discard" the
 *     letter `id`, or all for 0, or those that a filter matches (lfilter.h), which stands in the
 *     id's place.
 *
 * question:again(seconds) -> boolean
 *     It is sent again after that time, and the same ticket is answered then. False when the engine
 *     was closed since: then it is released.
 *
 * question:release()
 *     It is not sent again; so too when nobody decides.
 *
 * engine:wait(seconds) -> boolean
 *     Whether there is something to take.
 *
 * engine:pending() -> integer
 *     The requests of all endpoints that were submitted and not taken yet, or not decided, and the
 *     commands, but those to begin or to abandon.
 *
 * engine:fileno() -> descriptor | nil, message
 *     Readable when there is something to take.
 *
 * engine:listen() -> path | nil, message
 *     A unix socket for one more client, which gets a byte when there is something to take.
 *
 * engine:calm()
 *     Forgets that signal; to be called before taking.
 *
 * engine:remind()
 *     Gives it to the descriptor again, because something was left.
 *
 * engine:forsake() -> generation
 *     In a child process, when this is its parent's engine: forgets it. A new one is made when it is
 *     needed. The number tells how many were forgotten so far.
 *
 * engine:close()
 *     Ends the thread; what was under way can then be taken.
 */

#include "lengine.h"

#include <errno.h>  /* errno */
#include <string.h> /* strerror(3) */

#include "engine.h"
#include "lanswer.h"
#include "lcommand.h"
#include "lcompat.h"
#include "lendpoint.h"
#include "lsubmit.h"

const char ENGINE_CLASS[] = "sendapi.engine";

struct lengine *lengine_check(lua_State *L, int index)
{
    return compat_checkobject(L, index, ENGINE_CLASS);
}

bool lengine_is_ours(const struct lengine *self)
{
    return self->engine != NULL && !engine_is_inherited(self->engine);
}

void lengine_stop(struct lengine *self)
{
    if (lengine_is_ours(self)) {
        engine_stop(self->engine);
    }
}

void lengine_forsake_parent(struct lengine *self)
{
    if (self->engine != NULL && engine_is_inherited(self->engine)) {
        engine_abandon(self->engine);
        self->engine = NULL;
        self->generation++;
        self->pending = 0;
    }
}

struct engine *lengine_ready(lua_State *L, struct lengine *self)
{
    const char *reason = NULL;
    lengine_forsake_parent(self);
    if (self->engine == NULL) {
        self->engine = engine_new(&reason);
    }
    if (self->engine == NULL) {
        luaL_error(L, "cannot start: %s", reason);
    }
    return self->engine;
}

static int engine_create(lua_State *L)
{
    struct lengine *self = compat_newobject(L, ENGINE_CLASS, sizeof *self);
    (void)lengine_ready(L, self);
    return 1;
}

static int lengine_close(lua_State *L)
{
    lengine_stop(lengine_check(L, 1));
    return 0;
}

static int lengine_gc(lua_State *L)
{
    struct lengine *self = lengine_check(L, 1);
    if (lengine_is_ours(self)) {
        engine_free(self->engine);
    }
    self->engine = NULL;
    return 0;
}

static int lengine_pending(lua_State *L)
{
    const struct lengine *self = lengine_check(L, 1);
    lua_pushinteger(L, (lua_Integer)(lengine_is_ours(self) ? self->pending : 0));
    return 1;
}

static int lengine_forsake(lua_State *L)
{
    struct lengine *self = lengine_check(L, 1);
    lengine_forsake_parent(self);
    lua_pushinteger(L, (lua_Integer)self->generation);
    return 1;
}

/* ---- event loops ---- */

static int lengine_wait(lua_State *L)
{
    struct lengine *self = lengine_check(L, 1);
    double seconds = luaL_checknumber(L, 2);
    lua_pushboolean(L, lengine_is_ours(self) && engine_wait(self->engine, seconds));
    return 1;
}

static int push_errno(lua_State *L)
{
    lua_pushnil(L);
    lua_pushstring(L, strerror(errno));
    return 2;
}

static int lengine_fileno(lua_State *L)
{
    int descriptor = engine_descriptor(lengine_ready(L, lengine_check(L, 1)));
    if (descriptor < 0) {
        return push_errno(L);
    }
    lua_pushinteger(L, descriptor);
    return 1;
}

static int lengine_listen(lua_State *L)
{
    const char *path = engine_listen(lengine_ready(L, lengine_check(L, 1)));
    if (path == NULL) {
        return push_errno(L);
    }
    lua_pushstring(L, path);
    return 1;
}

static int lengine_calm(lua_State *L)
{
    struct lengine *self = lengine_check(L, 1);
    if (lengine_is_ours(self)) {
        engine_calm(self->engine);
    }
    return 0;
}

static int lengine_remind(lua_State *L)
{
    struct lengine *self = lengine_check(L, 1);
    if (lengine_is_ours(self)) {
        engine_remind(self->engine);
    }
    return 0;
}

/* ---- the class ---- */

static const luaL_Reg engine_methods[] = {
    {"remind", lengine_remind},   {"open", lendpoint_open},     {"take", lanswer_take},
    {"wait", lengine_wait},       {"fileno", lengine_fileno},   {"listen", lengine_listen},
    {"calm", lengine_calm},       {"forsake", lengine_forsake}, {"close", lengine_close},
    {"pending", lengine_pending}, {"command", lcommand_ask},    {NULL, NULL},
};

void lengine_open(lua_State *L)
{
    compat_newclass(L, ENGINE_CLASS, engine_methods, lengine_gc);
    lanswer_class(L);
    lendpoint_class(L);
    luaL_getmetatable(L, ENGINE_CLASS);
    lsubmit_add(L);
    lua_pop(L, 1);
    lua_pushcfunction(L, engine_create);
    lua_setfield(L, -2, "engine");
}
