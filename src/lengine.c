/*
 * core.engine() -> engine                 without a thread until something is submitted
 *
 * engine:open(settings) -> endpoint       where a client's requests go; see `settings` below
 * engine:submit(endpoint, signer, schema, params) -> ticket | nil, problem
 *                                         checks, writes, signs and queues; never waits
 * engine:take() -> ticket, failure        the next answer, or nothing; `failure` is nil when it was
 *                                         delivered, else { code, class, message, status, attempts,
 *                                         body, reason }
 * engine:wait(seconds) -> boolean         whether there is something to take
 * engine:close()                          ends the thread; what was under way can then be taken
 *
 * endpoint:pending() -> count, bytes      what was accepted and not taken yet
 * endpoint:close()                        submits nothing more; the engine's thread ends with the
 *                                         last endpoint that is open
 */

#include "lengine.h"

#include <string.h> /* memcpy(3) */

#include "engine.h"
#include "lcompat.h"
#include "lencode.h"
#include "lschema.h"
#include "lsigner.h"

static const char ENGINE_CLASS[] = "sendapi.engine";
static const char ENDPOINT_CLASS[] = "sendapi.endpoint";

struct lengine {
    struct engine *engine; /* NULL once closed, made anew when needed */
    size_t open;           /* endpoints */
    uint64_t tickets;
};

struct lendpoint {
    struct endpoint *endpoint; /* NULL once closed */
    struct lengine *owner; /* anchored in this userdata, and made before it, so finalized after */
};

/* ---- problems and outcomes ---- */

static void set_string(lua_State *L, const char *name, const char *text)
{
    if (text != NULL) {
        lua_pushstring(L, text);
        lua_setfield(L, -2, name);
    }
}

static void push_failure(lua_State *L, enum failure failure)
{
    const struct failure_row *row = failure_row(failure);
    lua_newtable(L);
    set_string(L, "code", row->code);
    set_string(L, "class", failure_class_name(row->class));
    set_string(L, "message", row->sentence);
}

static int refuse(lua_State *L, enum failure failure)
{
    lua_pushnil(L);
    push_failure(L, failure);
    return 2;
}

static void push_outcome(lua_State *L, const struct outcome *outcome)
{
    push_failure(L, outcome->failure);
    if (outcome->status > 0) {
        lua_pushinteger(L, (lua_Integer)outcome->status);
        lua_setfield(L, -2, "status");
    }
    if (outcome->body != NULL) {
        lua_pushlstring(L, outcome->body, outcome->body_length);
        lua_setfield(L, -2, "body");
    }
    set_string(L, "reason", outcome->reason);
    lua_pushinteger(L, (lua_Integer)outcome->attempts);
    lua_setfield(L, -2, "attempts");
}

/* ---- the engine ---- */

static struct lengine *check_engine(lua_State *L, int index)
{
    return compat_checkobject(L, index, ENGINE_CLASS);
}

/* The engine, made when there is none; one that a fork left behind is abandoned (engine.h). */
static struct engine *ready_engine(lua_State *L, struct lengine *self)
{
    const char *reason = NULL;
    if (self->engine != NULL && engine_is_inherited(self->engine)) {
        self->engine = NULL;
    }
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
    (void)ready_engine(L, self);
    return 1;
}

static void stop(struct lengine *self)
{
    if (self->engine != NULL && !engine_is_inherited(self->engine)) {
        engine_stop(self->engine);
    }
}

static int lengine_close(lua_State *L)
{
    stop(check_engine(L, 1));
    return 0;
}

static int lengine_gc(lua_State *L)
{
    struct lengine *self = check_engine(L, 1);
    if (self->engine != NULL && !engine_is_inherited(self->engine)) {
        engine_free(self->engine);
    }
    self->engine = NULL;
    return 0;
}

static struct lendpoint *check_endpoint(lua_State *L, int index)
{
    return compat_checkobject(L, index, ENDPOINT_CLASS);
}

/* The request that the encoder's buffer holds, signed and counted in; or NULL and why. */
static struct request *make_request(struct encoder *encoder, struct hmac *signer,
                                    struct endpoint *endpoint, enum failure *failure)
{
    char signature[HMAC_HEX];
    struct buffer *body = &encoder->buffer;
    *failure = FAILURE_NO_MEMORY;
    if (!hmac_sign(signer, buffer_bytes(body), body->length, signature)) {
        return NULL;
    }
    if (!endpoint_admit(endpoint, body->length)) {
        *failure = FAILURE_QUEUE_FULL;
        return NULL;
    }
    size_t length = body->length;
    struct request *request = request_from_buffer(body, endpoint);
    if (request == NULL) {
        endpoint_dismiss(endpoint, length);
        return NULL;
    }
    memcpy(request->signature, signature, HMAC_HEX);
    return request;
}

static int submit_encoded(lua_State *L, struct lengine *self, struct endpoint *endpoint,
                          struct encoder *encoder, struct hmac *signer)
{
    enum failure failure;
    struct engine *engine = ready_engine(L, self);
    struct request *request = make_request(encoder, signer, endpoint, &failure);
    if (request == NULL) {
        return refuse(L, failure);
    }
    uint64_t ticket = ++self->tickets;
    request->ticket = ticket;
    if (!engine_submit(engine, request)) {
        endpoint_dismiss(endpoint, request->length);
        request_free(request);
        return refuse(L, FAILURE_NO_MEMORY);
    }
    lua_pushinteger(L, (lua_Integer)ticket);
    return 1;
}

/* upvalue 1: the state's encoder */
static int lengine_submit(lua_State *L)
{
    struct lengine *self = check_engine(L, 1);
    struct lendpoint *target = check_endpoint(L, 2);
    if (target->endpoint == NULL) {
        return refuse(L, FAILURE_CLOSED);
    }
    const struct schema *schema = schema_check(L, 4);
    lua_settop(L, 5);
    struct encoder *encoder = encoder_begin(L, encoder_at(L, lua_upvalueindex(1)));
    if (!encoder_write(L, encoder, schema, 5)) {
        encoder_end(encoder);
        lua_pushnil(L);
        lua_insert(L, -2);
        return 2;
    }
    /* now, because a finalizer that ran meanwhile may have closed them */
    struct hmac *signer = signer_check(L, 3);
    int results = signer == NULL || target->endpoint == NULL
                      ? refuse(L, FAILURE_CLOSED)
                      : submit_encoded(L, self, target->endpoint, encoder, signer);
    encoder_end(encoder);
    return results;
}

/* Lua may raise for want of memory while the answer is pushed: it stays the engine's until then. */
static int lengine_take(lua_State *L)
{
    struct lengine *self = check_engine(L, 1);
    const struct request *request = self->engine != NULL ? engine_peek(self->engine) : NULL;
    if (request == NULL) {
        return 0;
    }
    lua_pushinteger(L, (lua_Integer)request->ticket);
    if (request->outcome.failure == FAILURE_NONE) {
        lua_pushnil(L);
    } else {
        push_outcome(L, &request->outcome);
    }
    request_free(engine_take(self->engine));
    return 2;
}

static int lengine_wait(lua_State *L)
{
    struct lengine *self = check_engine(L, 1);
    double seconds = luaL_checknumber(L, 2);
    lua_pushboolean(L, self->engine != NULL && !engine_is_inherited(self->engine) &&
                           engine_wait(self->engine, seconds));
    return 1;
}

/* ---- endpoints ---- */

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

/* Times come in seconds. options.lua has checked types and ranges. */
static struct endpoint_settings read_settings(lua_State *L)
{
    return (struct endpoint_settings){
        .url = text_setting(L, "url"),
        .user_agent = text_setting(L, "user_agent"),
        .ca_file = text_setting(L, "ca_file"),
        .proxy = text_setting(L, "proxy"),
        .timeout_ms = (long)(number_setting(L, "timeout") * 1000.0),
        .connect_timeout_ms = (long)(number_setting(L, "connect_timeout") * 1000.0),
        .connections = (size_t)number_setting(L, "connections"),
        .max_pending = (size_t)number_setting(L, "max_pending"),
        .max_pending_bytes = (size_t)number_setting(L, "max_pending_bytes"),
        .http2 = boolean_setting(L, "http2"),
    };
}

static int lengine_open_endpoint(lua_State *L)
{
    struct lengine *self = check_engine(L, 1);
    luaL_checktype(L, 2, LUA_TTABLE);
    struct endpoint_settings settings = read_settings(L);
    luaL_argcheck(L, settings.url != NULL && settings.connections > 0, 2,
                  "url and connections are needed");
    struct lendpoint *opened = compat_newobject(L, ENDPOINT_CLASS, sizeof *opened);
    opened->owner = self;
    opened->endpoint = endpoint_new(&settings);
    if (opened->endpoint == NULL) {
        return luaL_error(L, "not enough memory");
    }
    lua_pushvalue(L, 1);
    compat_anchor(L, -2);
    self->open++;
    return 1;
}

static int endpoint_close(lua_State *L)
{
    struct lendpoint *self = check_endpoint(L, 1);
    if (self->endpoint == NULL) {
        return 0;
    }
    endpoint_release(self->endpoint);
    self->endpoint = NULL;
    if (--self->owner->open == 0) {
        stop(self->owner);
    }
    return 0;
}

static int endpoint_pending(lua_State *L)
{
    const struct lendpoint *self = check_endpoint(L, 1);
    size_t pending = 0;
    size_t bytes = 0;
    if (self->endpoint != NULL) {
        pending = atomic_load(&self->endpoint->pending);
        bytes = atomic_load(&self->endpoint->pending_bytes);
    }
    lua_pushinteger(L, (lua_Integer)pending);
    lua_pushinteger(L, (lua_Integer)bytes);
    return 2;
}

static const luaL_Reg engine_methods[] = {
    {"open", lengine_open_endpoint}, {"take", lengine_take}, {"wait", lengine_wait},
    {"close", lengine_close},        {NULL, NULL},
};

static const luaL_Reg submit_method[] = {{"submit", lengine_submit}, {NULL, NULL}};

static const luaL_Reg endpoint_methods[] = {
    {"pending", endpoint_pending},
    {"close", endpoint_close},
    {NULL, NULL},
};

void lengine_open(lua_State *L)
{
    compat_newclass(L, ENGINE_CLASS, engine_methods, lengine_gc);
    compat_newclass(L, ENDPOINT_CLASS, endpoint_methods, endpoint_close);
    luaL_getmetatable(L, ENGINE_CLASS);
    (void)encoder_push(L); /* module, class, encoder */
    compat_setfuncs(L, submit_method, 1);
    lua_pop(L, 1);
    lua_pushcfunction(L, engine_create);
    lua_setfield(L, -2, "engine");
}
