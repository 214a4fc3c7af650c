/*
 * core.compile(definition, options) -> schema     see lschema.c
 * core.sentinels{ empty_array, empty_array_mt, array_mt }
 *
 * schema:encode(value, signer) -> bytes, signature | nil, problem     without a signer: bytes alone
 * schema:validate(value) -> boolean, problems     all of them, warnings too; problems may be empty
 */

#include "lencode.h"

#include "lcompat.h"
#include "lproblem.h"
#include "lschema.h"
#include "lsigner.h"
#include "lwalk.h"
#include "request.h"

static const char CLASS[] = "sendapi.encoder";
static const char REGISTERED[] = "sendapi.encoder of this state";

enum { KEPT_CAPACITY = 65536 }; /* bytes of buffer that are kept between calls */

bool error_of_type(struct walk *walk, const struct path *path, const char *expected, int index)
{
    return problems_error(&walk->problems, path, FAILURE_INVALID_PARAMS, "expected %s, got %s",
                          expected, luaL_typename(walk->L, index));
}

bool is_null(lua_State *L, int index)
{
    int type = lua_type(L, index);
    return type == LUA_TNIL || (type == LUA_TLIGHTUSERDATA && lua_touserdata(L, index) == NULL);
}

bool is_empty_array(const struct walk *walk, int index)
{
    return walk->encoder->empty_array != NULL &&
           lua_topointer(walk->L, index) == walk->encoder->empty_array;
}

bool encode_value(struct walk *walk, const struct schema_type *type, int index,
                  const struct path *path)
{
    switch (type->kind) {
    case SCHEMA_BOOLEAN: return encode_boolean(walk, index, path);
    case SCHEMA_ANY: return encode_any(walk, type, index, path);
    case SCHEMA_ARRAY: return encode_array(walk, type, index, path);
    case SCHEMA_MAP: return encode_map(walk, type, index, path);
    case SCHEMA_OBJECT: return encode_object(walk, type->object, index, path);
    case SCHEMA_VARIANT: return encode_variant(walk, type, index, path);
    case SCHEMA_ONE_OR_MANY:
        return lua_type(walk->L, index) == LUA_TTABLE || is_empty_array(walk, index)
                   ? encode_array(walk, type, index, path)
                   : encode_value(walk, type->of, index, path);
    default: return encode_text(walk, type, index, path);
    }
}

static void encode_once(struct walk *walk, int index, const struct path *root)
{
    const struct schema *schema = walk->schema;
    buffer_clear(walk->out);
    buffer_append(walk->out, schema->prefix.bytes, schema->prefix.length);
    (void)encode_value(walk, &schema->root, index, root);
    buffer_append(walk->out, schema->suffix.bytes, schema->suffix.length);
    if (walk->out->failure == BUFFER_NO_MEMORY) {
        luaL_error(walk->L, "not enough memory");
    }
}

/* Leaves the list of problems, or nil, on top of the stack. */
static void encode_root(struct walk *walk, int index, bool all)
{
    const struct schema *schema = walk->schema;
    struct path root = {.name = schema->root_name.bytes, .length = schema->root_name.length};
    problems_begin(&walk->problems, walk->L, all);
    encode_once(walk, index, &root);
    if (walk->out->failure == BUFFER_TOO_LARGE && (all || !walk->problems.failed)) {
        (void)problems_error(&walk->problems, &root, FAILURE_REQUEST_TOO_LARGE,
                             "the request is larger than %d bytes", REQUEST_MAXIMUM);
    }
    lua_settop(walk->L, walk->problems.slot);
}

static struct walk begin_walk(lua_State *L, struct encoder *encoder, const struct schema *schema)
{
    return (struct walk){.L = L, .encoder = encoder, .out = &encoder->buffer, .schema = schema};
}

static void forget_large(struct encoder *encoder)
{
    if (encoder->buffer.capacity > KEPT_CAPACITY) {
        buffer_release(&encoder->buffer);
    }
}

bool encoder_write(lua_State *L, struct encoder *encoder, const struct schema *schema, int index)
{
    struct walk walk = begin_walk(L, encoder, schema);
    encode_root(&walk, compat_absindex(L, index), false);
    if (!walk.problems.failed) {
        lua_pop(L, 1);
        return true;
    }
    (void)compat_rawgeti(L, -1, 1);
    lua_remove(L, -2);
    forget_large(encoder);
    return false;
}

/* ---- Lua ---- */

struct encoder *encoder_at(lua_State *L, int index)
{
    return compat_checkobject(L, index, CLASS);
}

static struct encoder *upvalue_encoder(lua_State *L)
{
    return encoder_at(L, lua_upvalueindex(1));
}

/* By the signer that is the third argument, which a finalizer may have closed by now. */
static void sign(lua_State *L, const struct encoder *encoder, char signature[HMAC_HEX])
{
    const struct hmac *signer = signer_check(L, 3);
    luaL_argcheck(L, signer != NULL, 3, "the signer is closed");
    if (!hmac_sign(signer, buffer_bytes(&encoder->buffer), encoder->buffer.length, signature)) {
        luaL_error(L, "cannot sign");
    }
}

static int schema_encode(lua_State *L)
{
    const struct schema *schema = schema_check(L, 1);
    luaL_checkany(L, 2);
    lua_settop(L, 3);
    struct encoder *encoder = encoder_begin(L, upvalue_encoder(L));
    if (!encoder_write(L, encoder, schema, 2)) {
        encoder_end(encoder);
        lua_pushnil(L);
        lua_insert(L, -2);
        return 2;
    }
    int results = 1;
    char signature[HMAC_HEX];
    if (!lua_isnil(L, 3)) {
        sign(L, encoder, signature);
        results = 2;
    }
    lua_pushlstring(L, buffer_bytes(&encoder->buffer), encoder->buffer.length);
    forget_large(encoder);
    encoder_end(encoder);
    if (results == 2) {
        lua_pushlstring(L, signature, sizeof signature);
    }
    return results;
}

static int schema_validate(lua_State *L)
{
    const struct schema *schema = schema_check(L, 1);
    lua_settop(L, 2);
    struct encoder *encoder = encoder_begin(L, upvalue_encoder(L));
    struct walk walk = begin_walk(L, encoder, schema);
    encode_root(&walk, 2, true);
    forget_large(encoder);
    encoder_end(encoder);
    lua_pushboolean(L, !walk.problems.failed);
    lua_insert(L, -2);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        lua_newtable(L);
    }
    return 2;
}

static const void *pointer_field(lua_State *L, const char *name)
{
    lua_getfield(L, 1, name);
    const void *pointer = lua_isnil(L, -1) ? NULL : lua_topointer(L, -1);
    lua_pop(L, 1);
    return pointer;
}

static int set_sentinels(lua_State *L)
{
    struct encoder *encoder = upvalue_encoder(L);
    luaL_checktype(L, 1, LUA_TTABLE);
    encoder->empty_array = pointer_field(L, "empty_array");
    encoder->empty_array_mt = pointer_field(L, "empty_array_mt");
    encoder->array_mt = pointer_field(L, "array_mt");
    return 0;
}

static int encoder_close(lua_State *L)
{
    struct encoder *encoder = compat_checkobject(L, 1, CLASS);
    buffer_release(&encoder->buffer);
    return 0;
}

static void encoder_new(lua_State *L)
{
    struct encoder *encoder = compat_newobject(L, CLASS, sizeof *encoder);
    buffer_init(&encoder->buffer, REQUEST_FRONT, REQUEST_MAXIMUM);
}

struct encoder *encoder_begin(lua_State *L, struct encoder *shared)
{
    struct encoder *encoder = shared;
    if (shared->busy) {
        encoder_new(L);
        encoder = encoder_at(L, -1);
        encoder->empty_array = shared->empty_array;
        encoder->empty_array_mt = shared->empty_array_mt;
        encoder->array_mt = shared->array_mt;
    } else {
        lua_pushnil(L); /* the caller keeps the shared one alive */
    }
    encoder->busy = true;
    return encoder;
}

void encoder_end(struct encoder *encoder)
{
    encoder->busy = false;
}

struct encoder *encoder_push(lua_State *L)
{
    lua_getfield(L, LUA_REGISTRYINDEX, REGISTERED);
    return compat_checkobject(L, -1, CLASS);
}

static const luaL_Reg no_methods[] = {{NULL, NULL}};

static const luaL_Reg schema_methods[] = {
    {"encode", schema_encode},
    {"validate", schema_validate},
    {NULL, NULL},
};

void encode_open(lua_State *L)
{
    compat_newclass(L, CLASS, no_methods, encoder_close);
    compat_newclass(L, SCHEMA_CLASS, no_methods, schema_close);
    encoder_new(L); /* module, encoder */
    lua_pushvalue(L, -1);
    lua_setfield(L, LUA_REGISTRYINDEX, REGISTERED);
    luaL_getmetatable(L, SCHEMA_CLASS);
    lua_pushvalue(L, -2); /* module, encoder, class, encoder */
    compat_setfuncs(L, schema_methods, 1);
    lua_pop(L, 1);
    lua_pushcclosure(L, set_sentinels, 1); /* module, function */
    lua_setfield(L, -2, "sentinels");
    lua_pushcfunction(L, schema_compile);
    lua_setfield(L, -2, "compile");
}
