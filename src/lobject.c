/* Objects, files in the place of objects, and variants: parts of the walk (lwalk.h). */

#include <string.h> /* memcmp(3) strerror(3) */

#include "base64.h"
#include "json.h"
#include "lcompat.h"
#include "lfile.h"
#include "lwalk.h"
#include "suggest.h"

static bool is_empty_table(lua_State *L, int index)
{
    lua_pushnil(L);
    if (lua_next(L, index) == 0) {
        return true;
    }
    lua_pop(L, 2);
    return false;
}

/* The server takes an empty set, and an empty text in a required field, for an absent one. */
static bool is_filled(const struct walk *walk, int index, int type)
{
    switch (type) {
    case LUA_TSTRING: return compat_rawlen(walk->L, index) > 0;
    case LUA_TTABLE: return !is_empty_table(walk->L, index);
    default: return !is_empty_array(walk, index);
    }
}

struct members {
    uint64_t present;                 /* fields that are there */
    uint64_t filled;                  /* … and not empty */
    bool extra;                       /* there are fields that the schema does not know */
    int slots[SCHEMA_MAXIMUM_FIELDS]; /* stack indices of what is present */
};

static bool report_unknown(struct walk *walk, const struct schema_object *object, const char *name,
                           size_t length, const struct path *path)
{
    struct path member = {.parent = path, .name = name, .length = length};
    struct suggestion best = {NULL, 0};
    for (size_t i = 0; i < object->count; i++) {
        const struct schema_text *known = &object->fields[i].name;
        suggest_consider(&best, name, length, known->bytes, known->length);
    }
    return problems_error(&walk->problems, &member, FAILURE_INVALID_PARAMS,
                          best.word != NULL ? "unknown field, did you mean '%s'?"
                                            : "unknown field%s",
                          best.word != NULL ? best.word : "");
}

/*
 * Looks at the key at `top` + 1 and the value above it. A known field's value stays where it is,
 * below a copy of its key for lua_next; of anything else only the key stays.
 */
static bool gather_member(struct walk *walk, const struct schema_object *object, int top,
                          struct members *members, const struct path *path)
{
    lua_State *L = walk->L;
    size_t length;
    if (lua_type(L, top + 1) != LUA_TSTRING) {
        lua_settop(L, top + 1);
        return problems_error(&walk->problems, path, FAILURE_INVALID_PARAMS,
                              "expected names as keys, got a %s", luaL_typename(L, -1));
    }
    const char *name = lua_tolstring(L, top + 1, &length);
    int index = schema_find(object, name, length);
    if (index < 0) {
        lua_settop(L, top + 1);
        members->extra = true;
        return walk->schema->extra_fields || report_unknown(walk, object, name, length, path);
    }
    int type = lua_type(L, top + 2);
    if (type == LUA_TLIGHTUSERDATA && is_null(L, top + 2)) {
        lua_settop(L, top + 1);
        return true;
    }
    uint64_t bit = UINT64_C(1) << index;
    members->slots[index] = top + 2;
    members->present |= bit;
    members->filled |= is_filled(walk, top + 2, type) ? bit : 0;
    lua_pushvalue(L, top + 1);
    return true;
}

static bool gather_members(struct walk *walk, const struct schema_object *object, int index,
                           struct members *members, const struct path *path)
{
    int top = lua_gettop(walk->L);
    uint64_t present = 0;
    lua_pushnil(walk->L);
    while (lua_next(walk->L, index) != 0) {
        if (!gather_member(walk, object, top, members, path)) {
            return false;
        }
        top += members->present != present ? 2 : 0;
        present = members->present;
    }
    return true;
}

static bool has_value(lua_State *L, const struct members *members, int index,
                      const struct schema_text *value)
{
    size_t length;
    if ((members->present >> index & 1) == 0 || lua_type(L, members->slots[index]) != LUA_TSTRING) {
        return false;
    }
    const char *text = lua_tolstring(L, members->slots[index], &length);
    return length == value->length && memcmp(text, value->bytes, length) == 0;
}

static bool is_needed(const struct walk *walk, const struct schema_field *field,
                      const struct members *members)
{
    return (field->required && (field->unless & members->filled) == 0) ||
           (field->with & members->filled) != 0 ||
           (field->when >= 0 && has_value(walk->L, members, field->when, &field->when_value));
}

static const char *alternative(const struct schema_object *object, uint64_t unless)
{
    for (size_t i = 0; i < object->count; i++) {
        if ((unless >> i & 1) != 0) {
            return object->fields[i].name.bytes;
        }
    }
    return NULL;
}

static bool report_missing(struct walk *walk, const struct schema_object *object,
                           const struct schema_field *field, bool present, const struct path *path)
{
    struct path member = {.parent = path, .name = field->name.bytes, .length = field->name.length};
    const char *other = alternative(object, field->unless);
    return problems_error(&walk->problems, &member, FAILURE_INVALID_PARAMS, "%s%s%s%s",
                          present ? "must not be empty" : "is missing",
                          other != NULL ? ", unless there is '" : "", other != NULL ? other : "",
                          other != NULL ? "'" : "");
}

static bool check_required(struct walk *walk, const struct schema_object *object,
                           const struct members *members, const struct path *path)
{
    uint64_t missing = (object->always | object->sometimes) & ~members->filled;
    for (; missing != 0; missing &= missing - 1) {
        int i = schema_lowest(missing);
        const struct schema_field *field = &object->fields[i];
        if (is_needed(walk, field, members) &&
            !report_missing(walk, object, field, (members->present >> i & 1) != 0, path)) {
            return false;
        }
    }
    return true;
}

/* The sibling that a field needs has its flag, or is missing, which is told elsewhere. */
static bool check_flag(struct walk *walk, const struct schema_object *object,
                       const struct schema_field *field, const struct members *members,
                       const struct path *path)
{
    lua_State *L = walk->L;
    if ((members->present >> field->flag & 1) == 0 ||
        lua_type(L, members->slots[field->flag]) != LUA_TTABLE) {
        return true;
    }
    lua_pushlstring(L, field->flag_name.bytes, field->flag_name.length);
    int type = compat_rawget(L, members->slots[field->flag]);
    bool set = type == LUA_TBOOLEAN && lua_toboolean(L, -1) != 0;
    lua_pop(L, 1);
    if (set) {
        return true;
    }
    const struct schema_text *sibling = &object->fields[field->flag].name;
    struct path parent = {.parent = path, .name = sibling->bytes, .length = sibling->length};
    struct path member = {
        .parent = &parent, .name = field->flag_name.bytes, .length = field->flag_name.length};
    return problems_error(&walk->problems, &member, FAILURE_INVALID_PARAMS,
                          "must be true where there is '%s'", field->name.bytes);
}

/* An empty table means that the object is absent: its own required fields do not count then. */
static bool encode_member(struct walk *walk, const struct schema_field *field, int slot,
                          bool filled, const struct path *path)
{
    bool is_object = field->type.kind == SCHEMA_OBJECT || field->type.kind == SCHEMA_VARIANT;
    if (is_object && !filled && lua_type(walk->L, slot) == LUA_TTABLE) {
        json_append_literal(walk->out, "{}");
        return true;
    }
    return encode_value(walk, &field->type, slot, path);
}

/* A field's key, and perhaps its value; the first goes without its comma. */
static void append_text(struct walk *walk, const struct schema_text *text, bool first)
{
    buffer_append(walk->out, text->bytes + first, text->length - first);
}

static bool encode_members(struct walk *walk, const struct schema_object *object,
                           const struct members *members, const struct path *path)
{
    bool first = true;
    for (uint64_t left = members->present | object->defaults; left != 0; left &= left - 1) {
        int i = schema_lowest(left);
        const struct schema_field *field = &object->fields[i];
        if ((members->present >> i & 1) == 0) {
            append_text(walk, &field->otherwise, first);
            first = false;
            continue;
        }
        struct path member = {
            .parent = path, .name = field->name.bytes, .length = field->name.length};
        append_text(walk, &field->key, first);
        first = false;
        if (!encode_member(walk, field, members->slots[i], (members->filled >> i & 1) != 0,
                           &member)) {
            return false;
        }
        if (field->flag >= 0 && (members->filled >> i & 1) != 0 &&
            !check_flag(walk, object, field, members, path)) {
            return false;
        }
    }
    return true;
}

static bool encode_extra(struct walk *walk, const struct schema_object *object, int index,
                         const struct members *members, const struct path *path)
{
    static const struct schema_type any = {.kind = SCHEMA_ANY};
    return !members->extra || !walk->schema->extra_fields ||
           encode_entries(walk, &any, index, object, (members->present | object->defaults) == 0,
                          path);
}

static bool encode_table(struct walk *walk, const struct schema_object *object, int index,
                         const struct path *path)
{
    struct members members;
    members.present = 0;
    members.filled = 0;
    members.extra = false;
    if (!lua_checkstack(walk->L, 2 * SCHEMA_MAXIMUM_FIELDS + LUA_MINSTACK)) {
        return problems_error(&walk->problems, path, FAILURE_INVALID_PARAMS, "lies too deep");
    }
    int top = lua_gettop(walk->L);
    buffer_append_byte(walk->out, '{');
    bool go_on = gather_members(walk, object, index, &members, path) &&
                 check_required(walk, object, &members, path) &&
                 encode_members(walk, object, &members, path) &&
                 encode_extra(walk, object, index, &members, path);
    buffer_append_byte(walk->out, '}');
    lua_settop(walk->L, top);
    return go_on;
}

static bool report_file(struct walk *walk, const struct file *file, enum base64_file result,
                        int error, const struct path *path)
{
    char shown[PRINTABLE_SIZE];
    return problems_error(&walk->problems, path, FAILURE_INVALID_PARAMS, "cannot read '%s': %s",
                          problems_printable(file->path, strlen(file->path), shown),
                          result == BASE64_FILE_FAILED ? strerror(error) : "not a regular file");
}

static bool encode_file(struct walk *walk, const struct file *file, const struct path *path)
{
    int error = 0;
    json_append_literal(walk->out, "{\"content\":\"");
    enum base64_file result = base64_append_file(walk->out, file->path, &error);
    if (result != BASE64_FILE_FINE) {
        return report_file(walk, file, result, error, path);
    }
    json_append_literal(walk->out, "\",\"filename\":");
    bool valid = json_append_string(walk->out, file->filename, file->filename_length);
    if (file->type_length > 0) {
        json_append_literal(walk->out, ",\"type\":");
        valid = json_append_string(walk->out, file->type, file->type_length) && valid;
    }
    buffer_append_byte(walk->out, '}');
    return valid || walk->out->failure != BUFFER_FINE ||
           problems_error(&walk->problems, path, FAILURE_INVALID_PARAMS,
                          "the file's name or type is not valid UTF-8");
}

bool encode_object(struct walk *walk, const struct schema_object *object, int index,
                   const struct path *path)
{
    const struct file *file = NULL;
    if (lua_type(walk->L, index) == LUA_TTABLE) {
        return encode_table(walk, object, index, path);
    }
    if (object->file && (file = file_test(walk->L, index)) != NULL) {
        return encode_file(walk, file, path);
    }
    return error_of_type(walk, path, "a table", index);
}

static bool report_variant(struct walk *walk, const struct schema_type *type, const char *tag,
                           size_t length, const struct path *path)
{
    char shown[PRINTABLE_SIZE];
    struct suggestion best = {NULL, 0};
    for (size_t i = 0; i < type->choice_count; i++) {
        suggest_consider(&best, tag, length, type->choices[i].bytes, type->choices[i].length);
    }
    return problems_error(
        &walk->problems, path, FAILURE_INVALID_PARAMS,
        best.word != NULL ? "there is no '%s', did you mean '%s'?" : "there is no '%s'%s",
        problems_printable(tag, length, shown), best.word != NULL ? best.word : "");
}

/* The tag is on top of the stack. */
static bool encode_tagged(struct walk *walk, const struct schema_type *type, int index,
                          const struct path *path)
{
    lua_State *L = walk->L;
    struct path member = {.parent = path, .name = type->tag.bytes, .length = type->tag.length};
    size_t length = 0;
    if (is_null(L, -1) || (lua_type(L, -1) == LUA_TSTRING && compat_rawlen(L, -1) == 0)) {
        return problems_error(&walk->problems, &member, FAILURE_INVALID_PARAMS, "is missing");
    }
    if (lua_type(L, -1) != LUA_TSTRING) {
        return error_of_type(walk, &member, "a string", -1);
    }
    const char *tag = lua_tolstring(L, -1, &length);
    int variant = schema_find_choice(type, tag, length);
    return variant >= 0 ? encode_table(walk, type->variants[variant], index, path)
                        : report_variant(walk, type, tag, length, &member);
}

bool encode_variant(struct walk *walk, const struct schema_type *type, int index,
                    const struct path *path)
{
    lua_State *L = walk->L;
    if (lua_type(L, index) != LUA_TTABLE) {
        return error_of_type(walk, path, "a table", index);
    }
    int top = lua_gettop(L);
    lua_pushlstring(L, type->tag.bytes, type->tag.length);
    (void)compat_rawget(L, index);
    bool go_on = encode_tagged(walk, type, index, path);
    lua_settop(L, top);
    return go_on;
}
