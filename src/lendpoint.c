/*
 * engine:open(settings) -> endpoint
 *     `settings` as in read_settings; options.lua has checked them.
 *
 * endpoint:stats() -> table
 *     Counters, pending, latency: see endpoint_stats.
 *
 * endpoint:pending() -> integer
 *     Of these figures that one, and what was asked of the outbox and not answered yet.
 *
 * endpoint:cancel()
 *     What is under way comes back as `closed`.
 *
 * endpoint:close(lingers)
 *     Submits nothing more. The engine's thread ends with the last endpoint that is open, unless
 *     it `lingers`: then what is on its way goes on, until another one is the last, or Lua ends.
 */

#include "lendpoint.h"

#include "lcompat.h"
#include "lengine.h"
#include "lsigner.h"

static const char CLASS[] = "sendapi.endpoint";

struct lendpoint {
    struct endpoint *endpoint;
    bool closed;
    unsigned generation;   /* of the owner, when the endpoint was made */
    struct lengine *owner; /* anchored in this userdata, and made before it, so finalized after */
};

static const char *text_setting(lua_State *L, const char *name)
{
    lua_getfield(L, 2, name);
    const char *text = lua_tostring(L, -1); /* the settings keep it alive */
    lua_pop(L, 1);
    return text;
}

static double number_setting(lua_State *L, const char *name)
{
    lua_getfield(L, 2, name);
    double number = lua_tonumber(L, -1);
    lua_pop(L, 1);
    return number;
}

static bool boolean_setting(lua_State *L, const char *name)
{
    lua_getfield(L, 2, name);
    bool value = lua_toboolean(L, -1) != 0;
    lua_pop(L, 1);
    return value;
}

/* A pointer that a store's own library handed out; see `driver` in store_*.c. */
static const struct store_driver *driver_setting(lua_State *L)
{
    lua_getfield(L, 2, "store");
    const struct store_driver *driver = lua_touserdata(L, -1);
    lua_pop(L, 1);
    return driver;
}

static const struct hmac *signer_setting(lua_State *L)
{
    lua_getfield(L, 2, "signer");
    const struct hmac *signer = lua_isnil(L, -1) ? NULL : signer_check(L, -1);
    lua_pop(L, 1);
    return signer;
}

static struct endpoint_outbox read_outbox(lua_State *L)
{
    return (struct endpoint_outbox){
        .driver = driver_setting(L),
        .path = text_setting(L, "outbox"),
        .source = text_setting(L, "source"),
        .key = signer_setting(L),
        .is_process_only = boolean_setting(L, "is_process_only"),
    };
}

/* Times are seconds. */
static struct endpoint_settings read_settings(lua_State *L)
{
    return (struct endpoint_settings){
        .url = text_setting(L, "url"),
        .user_agent = text_setting(L, "user_agent"),
        .ca_file = text_setting(L, "ca_file"),
        .proxy = text_setting(L, "proxy"),
        .timeout = number_setting(L, "timeout"),
        .connect_timeout = number_setting(L, "connect_timeout"),
        .connections = (size_t)number_setting(L, "connections"),
        .max_pending = (size_t)number_setting(L, "max_pending"),
        .max_pending_bytes = (size_t)number_setting(L, "max_pending_bytes"),
        .http2 = boolean_setting(L, "http2"),
        .asks = boolean_setting(L, "asks"),
        .tag = (uint64_t)number_setting(L, "tag"),
        .outbox = read_outbox(L),
        .policy = {.attempts = (unsigned)number_setting(L, "attempts"),
                   .first = number_setting(L, "first"),
                   .longest = number_setting(L, "longest")},
    };
}

static struct lendpoint *check(lua_State *L, int index)
{
    return compat_checkobject(L, index, CLASS);
}

/* After a fork the endpoint still tells of the parent's requests: another takes its place. */
static void follow_fork(lua_State *L, struct lendpoint *self)
{
    if (self->generation == self->owner->generation) {
        return;
    }
    struct endpoint_settings settings = self->endpoint->settings;
    settings.outbox.key = self->endpoint->key;
    struct endpoint *endpoint = endpoint_new(&settings);
    if (endpoint == NULL) {
        luaL_error(L, "not enough memory");
    }
    endpoint_release(self->endpoint);
    self->endpoint = endpoint;
    self->generation = self->owner->generation;
}

struct endpoint *lendpoint_check(lua_State *L, int index)
{
    struct lendpoint *self = check(L, index);
    if (self->closed) {
        return NULL;
    }
    follow_fork(L, self);
    return self->endpoint;
}

int lendpoint_open(lua_State *L)
{
    struct lengine *owner = lengine_check(L, 1);
    luaL_checktype(L, 2, LUA_TTABLE);
    struct endpoint_settings settings = read_settings(L);
    luaL_argcheck(L, settings.url != NULL && settings.connections > 0, 2,
                  "url and connections are needed");
    luaL_argcheck(L,
                  settings.outbox.driver == NULL ||
                      (settings.outbox.path != NULL && settings.outbox.source != NULL &&
                       settings.outbox.key != NULL),
                  2, "an outbox, the source and a signer are needed");
    struct lendpoint *self = compat_newobject(L, CLASS, sizeof *self);
    self->owner = owner;
    self->closed = true;
    lua_pushvalue(L, 1);
    compat_anchor(L, -2);
    self->endpoint = endpoint_new(&settings);
    if (self->endpoint == NULL) {
        return luaL_error(L, "not enough memory");
    }
    self->closed = false;
    self->generation = owner->generation;
    owner->open++;
    return 1;
}

static void close(struct lendpoint *self, bool lingers)
{
    if (!self->closed) {
        self->closed = true;
        if (--self->owner->open == 0 && !lingers) {
            lengine_stop(self->owner);
        }
    }
}

static int endpoint_close(lua_State *L)
{
    close(check(L, 1), lua_toboolean(L, 2) != 0);
    return 0;
}

static int endpoint_cancel(lua_State *L)
{
    const struct lendpoint *self = check(L, 1);
    if (!self->closed && lengine_is_ours(self->owner)) {
        engine_cancel(self->owner->engine, self->endpoint);
    }
    return 0;
}

static int endpoint_gc(lua_State *L)
{
    struct lendpoint *self = check(L, 1);
    close(self, false);
    endpoint_release(self->endpoint);
    self->endpoint = NULL;
    return 0;
}

static void set_number(lua_State *L, const char *name, double number)
{
    lua_pushnumber(L, number);
    lua_setfield(L, -2, name);
}

static void set_count(lua_State *L, const char *name, uint64_t count)
{
    lua_pushinteger(L, (lua_Integer)count);
    lua_setfield(L, -2, name);
}

static void set_boolean(lua_State *L, const char *name, bool value)
{
    lua_pushboolean(L, value);
    lua_setfield(L, -2, name);
}

/* Seconds, of what was delivered, from the call to the answer. */
static void push_latency(lua_State *L, const struct histogram *latency)
{
    lua_newtable(L);
    set_count(L, "count", latency->total);
    set_number(L, "sum", latency->sum);
    set_number(L, "p50", histogram_quantile(latency, 0.50));
    set_number(L, "p90", histogram_quantile(latency, 0.90));
    set_number(L, "p99", histogram_quantile(latency, 0.99));
    set_number(L, "max", latency->longest);
}

static void push_outbox(lua_State *L, struct endpoint *endpoint)
{
    const struct endpoint_figures figures = endpoint_figures(endpoint);
    lua_newtable(L);
    set_count(L, "accepted", figures.accepted);
    set_count(L, "delivered", figures.delivered);
    set_count(L, "discarded", figures.discarded);
    set_count(L, "dead", figures.dead);
    set_count(L, "pending", figures.pending);
    if (figures.oldest > 0) {
        set_number(L, "oldest", figures.oldest);
    }
    set_boolean(L, "paused", figures.is_paused);
    set_boolean(L, "failing", figures.is_failing);
    set_boolean(L, "deliverer", figures.is_deliverer);
}

/* Whose figures are asked for. */
static struct endpoint *check_figures(lua_State *L)
{
    struct lendpoint *self = check(L, 1);
    luaL_argcheck(L, self->endpoint != NULL, 1, "the endpoint is collected");
    follow_fork(L, self);
    return self->endpoint;
}

static int endpoint_pending(lua_State *L)
{
    const struct endpoint *endpoint = check_figures(L);
    lua_pushinteger(L, (lua_Integer)(endpoint->pending + endpoint->asked));
    return 1;
}

static int endpoint_stats(lua_State *L)
{
    struct endpoint *endpoint = check_figures(L);
    const struct endpoint_counters *counters = &endpoint->counters;
    lua_newtable(L);
    set_count(L, "accepted", counters->accepted);
    set_count(L, "delivered", counters->delivered);
    set_count(L, "stored", counters->stored);
    set_count(L, "refused", counters->refused);
    set_count(L, "failed", counters->failed);
    set_count(L, "pending", endpoint->pending);
    set_count(L, "pending_bytes", endpoint->pending_bytes);
    set_count(L, "bytes", counters->bytes);
    set_count(L, "retries", atomic_load(&endpoint->retries));
    push_latency(L, &counters->latency);
    lua_setfield(L, -2, "latency");
    if (endpoint->settings.outbox.driver != NULL) {
        push_outbox(L, endpoint);
        lua_setfield(L, -2, "outbox");
    }
    return 1;
}

static const luaL_Reg methods[] = {
    {"stats", endpoint_stats},
    {"pending", endpoint_pending},
    {"cancel", endpoint_cancel},
    {"close", endpoint_close},
    {NULL, NULL},
};

void lendpoint_class(lua_State *L)
{
    compat_newclass(L, CLASS, methods, endpoint_gc);
}
