/*
 * core.compile(definition, options) -> schema
 *
 * `definition` is a type as lua/sendapi/schema.lua describes it; a wrong one raises: it is our own
 * data. `options`, all optional:
 *
 *   action          string   wraps the value: {"action":…,"params":…}
 *   source_options  {string} what relaxes `unless_option`
 *   extra_fields    boolean
 *   name            string   what the paths in problems begin with, "params"
 *
 * The schema is anchored in its userdata from the start, so an error on the way loses nothing.
 */

#include "lschema.h"

#include <string.h> /* memcmp(3) */

#include "buffer.h"
#include "json.h"
#include "lcompat.h"

enum {
    DEFINITION = 1, /* where the arguments stand on the stack */
    OPTIONS = 2,
    SCHEMA = 3,
    NAMES = 4,
    DEEPEST = 16, /* types within types; a definition that holds itself ends here */
};

const char SCHEMA_CLASS[] = "sendapi.schema";

struct compiler {
    lua_State *L;
    struct schema *schema;
    int depth;
};

static void compile_type(struct compiler *compiler, struct schema_type *type);

static void *allocate(struct compiler *compiler, size_t count, size_t size)
{
    void *memory = schema_allocate(compiler->schema, count * size);
    if (memory == NULL) {
        luaL_error(compiler->L, "not enough memory");
    }
    return memory;
}

/* The text on top of the stack, which is popped. */
static struct schema_text pop_text(struct compiler *compiler)
{
    size_t length;
    const char *bytes = lua_tolstring(compiler->L, -1, &length);
    if (bytes == NULL) {
        luaL_error(compiler->L, "schema: a string is missing");
    }
    struct schema_text text = schema_copy(compiler->schema, bytes, length);
    if (text.bytes == NULL) {
        luaL_error(compiler->L, "not enough memory");
    }
    lua_pop(compiler->L, 1);
    return text;
}

static struct schema_text text_field(struct compiler *compiler, const char *name)
{
    lua_getfield(compiler->L, -1, name);
    return pop_text(compiler);
}

static struct schema_text text_item(struct compiler *compiler, size_t n)
{
    (void)compat_rawgeti(compiler->L, -1, n);
    return pop_text(compiler);
}

static bool boolean_field(struct compiler *compiler, const char *name)
{
    lua_getfield(compiler->L, -1, name);
    bool value = lua_toboolean(compiler->L, -1) != 0;
    lua_pop(compiler->L, 1);
    return value;
}

static size_t size_field(struct compiler *compiler, const char *name)
{
    lua_getfield(compiler->L, -1, name);
    size_t value = (size_t)lua_tonumber(compiler->L, -1);
    lua_pop(compiler->L, 1);
    return value;
}

/* ,"name": as JSON, made once. */
static struct schema_text key_of(struct compiler *compiler, const struct schema_text *name)
{
    struct buffer buffer;
    buffer_init(&buffer, 0, 1024);
    buffer_append_byte(&buffer, ',');
    bool valid = json_append_string(&buffer, name->bytes, name->length);
    buffer_append_byte(&buffer, ':');
    struct schema_text key = {NULL, 0};
    if (valid && buffer.failure == BUFFER_FINE) {
        key = schema_copy(compiler->schema, buffer_bytes(&buffer), buffer.length);
    }
    buffer_release(&buffer);
    if (key.bytes == NULL) {
        luaL_error(compiler->L, "schema: '%s' cannot be a field's name", name->bytes);
    }
    return key;
}

static int sibling(struct compiler *compiler, const struct schema_object *object,
                   struct schema_text name)
{
    int index = schema_find(object, name.bytes, name.length);
    if (index < 0) {
        luaL_error(compiler->L, "schema: there is no field '%s'", name.bytes);
    }
    return index;
}

/* True when the source has the option that waives the field on top of the stack. */
static bool is_relaxed(struct compiler *compiler)
{
    lua_State *L = compiler->L;
    bool relaxed = false;
    lua_getfield(L, -1, "unless_option");       /* field, option */
    lua_getfield(L, OPTIONS, "source_options"); /* field, option, list */
    for (size_t i = 1; lua_istable(L, -1) && i <= compat_rawlen(L, -1); i++) {
        (void)compat_rawgeti(L, -1, i);
        relaxed = relaxed || lua_rawequal(L, -1, -3);
        lua_pop(L, 1);
    }
    lua_pop(L, 2);
    return relaxed;
}

static uint64_t unless_set(struct compiler *compiler, const struct schema_object *object)
{
    uint64_t set = 0;
    lua_getfield(compiler->L, -1, "unless");
    for (size_t i = 1; lua_istable(compiler->L, -1) && i <= compat_rawlen(compiler->L, -1); i++) {
        set |= UINT64_C(1) << sibling(compiler, object, text_item(compiler, i));
    }
    lua_pop(compiler->L, 1);
    return set;
}

static uint64_t with_set(struct compiler *compiler, const struct schema_object *object)
{
    lua_getfield(compiler->L, -1, "with");
    if (lua_isnil(compiler->L, -1)) {
        lua_pop(compiler->L, 1);
        return 0;
    }
    return UINT64_C(1) << sibling(compiler, object, pop_text(compiler));
}

/* A pair { sibling, text }: gives the sibling's index, or -1 when there is no such rule. */
static int pair_rule(struct compiler *compiler, const struct schema_object *object,
                     const char *rule, struct schema_text *text)
{
    int index = -1;
    lua_getfield(compiler->L, -1, rule);
    if (lua_istable(compiler->L, -1)) {
        index = sibling(compiler, object, text_item(compiler, 1));
        *text = text_item(compiler, 2);
    }
    lua_pop(compiler->L, 1);
    return index;
}

/* The rules refer to siblings, so they are read when all names are known. Field on top. */
static void compile_rules(struct compiler *compiler, const struct schema_object *object,
                          struct schema_field *field)
{
    field->required = boolean_field(compiler, "required") && !is_relaxed(compiler);
    field->unless = unless_set(compiler, object);
    field->with = with_set(compiler, object);
    field->when = pair_rule(compiler, object, "when", &field->when_value);
    field->flag = pair_rule(compiler, object, "flag", &field->flag_name);
}

/* The name's own string, kept alive with the schema so that its address means the name. */
static const char *intern(struct compiler *compiler)
{
    lua_State *L = compiler->L;
    (void)compat_rawgeti(L, -1, 1);
    const char *interned = lua_tostring(L, -1);
    lua_rawseti(L, NAMES, (int)compat_rawlen(L, NAMES) + 1);
    return interned;
}

/* The key of the field on top of the stack and its default behind it, when it has one. */
static struct schema_text otherwise_of(struct compiler *compiler, const struct schema_text *key)
{
    lua_State *L = compiler->L;
    struct schema_text text = {NULL, 0};
    lua_getfield(L, -1, "default");
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        return text;
    }
    lua_pushlstring(L, key->bytes, key->length);
    lua_insert(L, -2);
    lua_concat(L, 2);
    return pop_text(compiler);
}

static void compile_field(struct compiler *compiler, struct schema_field *field)
{
    field->name = text_item(compiler, 1);
    field->interned = intern(compiler);
    field->key = key_of(compiler, &field->name);
    field->otherwise = otherwise_of(compiler, &field->key);
    (void)compat_rawgeti(compiler->L, -1, 2);
    compile_type(compiler, &field->type);
    lua_pop(compiler->L, 1);
}

static void sum_up_rules(struct schema_object *object)
{
    for (size_t i = 0; i < object->count; i++) {
        const struct schema_field *field = &object->fields[i];
        uint64_t bit = UINT64_C(1) << i;
        object->defaults |= field->otherwise.bytes != NULL ? bit : 0;
        if (field->required && field->unless == 0) {
            object->always |= bit;
        } else if (field->required || field->with != 0 || field->when >= 0) {
            object->sometimes |= bit;
        }
    }
}

/* The object type on top of the stack. */
static const struct schema_object *compile_object(struct compiler *compiler)
{
    lua_State *L = compiler->L;
    struct schema_object *object = allocate(compiler, 1, sizeof *object);
    object->file = boolean_field(compiler, "file");
    lua_getfield(L, -1, "fields");
    object->count = lua_istable(L, -1) ? compat_rawlen(L, -1) : 0;
    if (object->count == 0 || object->count > SCHEMA_MAXIMUM_FIELDS) {
        luaL_error(L, "schema: an object has 1 to %d fields", SCHEMA_MAXIMUM_FIELDS);
    }
    object->fields = allocate(compiler, object->count, sizeof *object->fields);
    for (size_t i = 0; i < object->count; i++) {
        (void)compat_rawgeti(L, -1, i + 1);
        compile_field(compiler, &object->fields[i]);
        lua_pop(L, 1);
    }
    if (!schema_index(compiler->schema, object)) {
        luaL_error(L, "not enough memory");
    }
    for (size_t i = 0; i < object->count; i++) {
        (void)compat_rawgeti(L, -1, i + 1);
        compile_rules(compiler, object, &object->fields[i]);
        lua_pop(L, 1);
    }
    sum_up_rules(object);
    lua_pop(L, 1);
    return object;
}

static void compile_choices(struct compiler *compiler, struct schema_type *type)
{
    lua_getfield(compiler->L, -1, "choices");
    luaL_checktype(compiler->L, -1, LUA_TTABLE);
    type->choice_count = compat_rawlen(compiler->L, -1);
    struct schema_text *choices = allocate(compiler, type->choice_count, sizeof *choices);
    for (size_t i = 0; i < type->choice_count; i++) {
        choices[i] = text_item(compiler, i + 1);
    }
    type->choices = choices;
    lua_pop(compiler->L, 1);
}

static size_t count_entries(lua_State *L)
{
    size_t count = 0;
    for (lua_pushnil(L); lua_next(L, -2) != 0; lua_pop(L, 1)) {
        count++;
    }
    return count;
}

static void compile_variants(struct compiler *compiler, struct schema_type *type)
{
    lua_State *L = compiler->L;
    type->tag = text_field(compiler, "tag");
    lua_getfield(L, -1, "of");
    luaL_checktype(L, -1, LUA_TTABLE);
    type->choice_count = count_entries(L);
    struct schema_text *choices = allocate(compiler, type->choice_count, sizeof *choices);
    type->variants = allocate(compiler, type->choice_count, sizeof *type->variants);
    type->choices = choices;
    size_t i = 0;
    for (lua_pushnil(L); lua_next(L, -2) != 0; lua_pop(L, 1), i++) {
        lua_pushvalue(L, -2);
        choices[i] = pop_text(compiler);
        type->variants[i] = compile_object(compiler);
    }
    lua_pop(L, 1);
}

static void compile_of(struct compiler *compiler, struct schema_type *type)
{
    struct schema_type *of = allocate(compiler, 1, sizeof *of);
    lua_getfield(compiler->L, -1, "of");
    compile_type(compiler, of);
    lua_pop(compiler->L, 1);
    type->of = of;
}

static enum schema_kind kind_of(struct compiler *compiler)
{
    static const char *const names[SCHEMA_KINDS] = {
        [SCHEMA_STRING] = "string",   [SCHEMA_DATE] = "date",
        [SCHEMA_URL] = "url",         [SCHEMA_CHOICE] = "choice",
        [SCHEMA_BOOLEAN] = "boolean", [SCHEMA_ANY] = "any",
        [SCHEMA_ARRAY] = "array",     [SCHEMA_ONE_OR_MANY] = "one_or_many",
        [SCHEMA_MAP] = "map",         [SCHEMA_OBJECT] = "object",
        [SCHEMA_VARIANT] = "variant",
    };
    struct schema_text name = text_field(compiler, "kind");
    for (int kind = 0; kind < SCHEMA_KINDS; kind++) {
        if (strcmp(names[kind], name.bytes) == 0) {
            return (enum schema_kind)kind;
        }
    }
    luaL_error(compiler->L, "schema: there is no kind '%s'", name.bytes);
    return SCHEMA_ANY;
}

/* The type on top of the stack. */
static void compile_type(struct compiler *compiler, struct schema_type *type)
{
    luaL_checktype(compiler->L, -1, LUA_TTABLE);
    luaL_checkstack(compiler->L, LUA_MINSTACK, "schema");
    if (++compiler->depth > DEEPEST) {
        luaL_error(compiler->L, "schema: types lie more than %d deep", DEEPEST);
    }
    type->kind = kind_of(compiler);
    type->maximum = size_field(compiler, "maximum");
    type->word_keys = boolean_field(compiler, "word_keys");
    switch (type->kind) {
    case SCHEMA_CHOICE: compile_choices(compiler, type); break;
    case SCHEMA_OBJECT: type->object = compile_object(compiler); break;
    case SCHEMA_VARIANT: compile_variants(compiler, type); break;
    case SCHEMA_ARRAY:
    case SCHEMA_ONE_OR_MANY:
    case SCHEMA_MAP: compile_of(compiler, type); break;
    default: break;
    }
    compiler->depth--;
}

static struct schema_text literal(struct compiler *compiler, const char *text)
{
    lua_pushstring(compiler->L, text);
    return pop_text(compiler);
}

static void compile_envelope(struct compiler *compiler)
{
    struct schema *schema = compiler->schema;
    lua_State *L = compiler->L;
    lua_pushvalue(L, OPTIONS);
    schema->extra_fields = boolean_field(compiler, "extra_fields");
    lua_getfield(L, -1, "name");
    schema->root_name = lua_isnil(L, -1) ? literal(compiler, "params") : pop_text(compiler);
    lua_settop(L, NAMES); /* definition, options, schema, names */
    lua_getfield(L, OPTIONS, "action");
    if (lua_isnil(L, -1)) {
        schema->prefix = schema->suffix = literal(compiler, "");
    } else {
        lua_pushfstring(L, "{\"action\":\"%s\",\"params\":", lua_tostring(L, -1));
        schema->prefix = pop_text(compiler);
        schema->suffix = literal(compiler, "}");
    }
    lua_settop(L, NAMES);
}

int schema_compile(lua_State *L)
{
    luaL_checktype(L, DEFINITION, LUA_TTABLE);
    lua_settop(L, OPTIONS);
    if (lua_isnil(L, OPTIONS)) {
        lua_newtable(L);
        lua_replace(L, OPTIONS);
    }
    luaL_checktype(L, OPTIONS, LUA_TTABLE);
    struct schema *schema = compat_newobject(L, SCHEMA_CLASS, sizeof *schema);
    lua_newtable(L);
    struct compiler compiler = {.L = L, .schema = schema, .depth = 0};
    compile_envelope(&compiler);
    lua_pushvalue(L, DEFINITION);
    compile_type(&compiler, &schema->root);
    lua_settop(L, NAMES);
    compat_anchor(L, SCHEMA);
    return 1;
}

int schema_close(lua_State *L)
{
    schema_release(compat_checkobject(L, 1, SCHEMA_CLASS));
    return 0;
}

const struct schema *schema_check(lua_State *L, int index)
{
    return compat_checkobject(L, index, SCHEMA_CLASS);
}
