/*
 * core.compile(definition, options) -> schema     see lschema.c
 * core.sentinels{ empty_array, empty_array_mt, array_mt }
 *
 * schema:encode(value)   -> bytes | nil, problem
 * schema:validate(value) -> boolean, problems     all of them, warnings too; problems may be empty
 */

#include "lencode.h"

#include <stdlib.h> /* qsort(3) */
#include <string.h> /* memcmp(3) strerror(3) */
#include <strings.h> /* strncasecmp(3) */

#include "base64.h"
#include "date.h"
#include "json.h"
#include "lcompat.h"
#include "lfile.h"
#include "lproblem.h"
#include "lschema.h"
#include "request.h"
#include "suggest.h"

#define CLASS "sendapi.encoder"

enum {
    DEEPEST = 32,          /* tables within tables where any value may stand */
    KEPT_CAPACITY = 65536, /* bytes of buffer that are kept between calls */
};

static const double LARGEST_EXACT = 9007199254740992.0; /* 2^53 */

struct walk {
    lua_State *L;
    struct encoder *encoder;
    struct buffer *out;
    const struct schema *schema;
    struct problems problems;
    int depth;
};

/* Every encode_… returns whether to go on; what it could not write is among the problems. */
static bool encode_value(struct walk *walk, const struct schema_type *type, int index,
                         const struct path *path);

static bool error_of_type(struct walk *walk, const struct path *path, const char *expected,
                          int index)
{
    return problems_error(&walk->problems, path, FAILURE_INVALID_PARAMS, "expected %s, got %s",
                          expected, luaL_typename(walk->L, index));
}

/* ---- what counts as nothing ---- */

/* nil, and lua-cjson's and nginx's null */
static bool is_null(lua_State *L, int index)
{
    int type = lua_type(L, index);
    return type == LUA_TNIL || (type == LUA_TLIGHTUSERDATA && lua_touserdata(L, index) == NULL);
}

static bool is_empty_array(const struct walk *walk, int index)
{
    return walk->encoder->empty_array != NULL &&
           lua_topointer(walk->L, index) == walk->encoder->empty_array;
}

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
static bool is_filled(const struct walk *walk, int index)
{
    switch (lua_type(walk->L, index)) {
    case LUA_TSTRING: return compat_rawlen(walk->L, index) > 0;
    case LUA_TTABLE: return !is_empty_table(walk->L, index);
    default: return !is_empty_array(walk, index);
    }
}

/* ---- texts ---- */

/* The decimal text of a number; 0 when it has none that is exact. */
static size_t format_number(lua_State *L, int index, char text[JSON_NUMBER_SIZE])
{
    if (compat_isinteger(L, index)) {
        return json_format_integer((int64_t)lua_tointeger(L, index), text);
    }
    double number = lua_tonumber(L, index);
    if (number > -LARGEST_EXACT && number < LARGEST_EXACT &&
        !((double)(int64_t)number < number) && !((double)(int64_t)number > number)) {
        return json_format_integer((int64_t)number, text);
    }
    return json_format_number(number, text);
}

static bool encode_number_as_text(struct walk *walk, int index, const struct path *path)
{
    char text[JSON_NUMBER_SIZE];
    double number = lua_tonumber(walk->L, index);
    size_t length = format_number(walk->L, index, text);
    if (length == 0) {
        return problems_error(&walk->problems, path, FAILURE_INVALID_PARAMS,
                              "expected a string, got a number that is not finite");
    }
    if (!compat_isinteger(walk->L, index) &&
        (number >= LARGEST_EXACT || number <= -LARGEST_EXACT)) {
        return problems_error(&walk->problems, path, FAILURE_INVALID_PARAMS,
                              "a number as large as %s may have lost digits: give it as a string",
                              text);
    }
    (void)json_append_string(walk->out, text, length);
    return true;
}

static bool encode_date(struct walk *walk, int index, const struct path *path)
{
    char text[DATE_SIZE];
    size_t length = date_format(lua_tonumber(walk->L, index), text);
    if (length == 0) {
        return problems_error(&walk->problems, path, FAILURE_INVALID_PARAMS,
                              "expected epoch seconds within the years 1 to 9999");
    }
    (void)json_append_string(walk->out, text, length);
    return true;
}

static bool is_choice(const struct schema_type *type, const char *text, size_t length)
{
    for (size_t i = 0; i < type->choice_count; i++) {
        if (type->choices[i].length == length && memcmp(type->choices[i].bytes, text, length) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_web_url(const char *text)
{
    return strncasecmp(text, "http://", 7) == 0 || strncasecmp(text, "https://", 8) == 0;
}

static void warn_of_text(struct walk *walk, const struct schema_type *type, const char *text,
                         size_t length, const struct path *path)
{
    char shown[PRINTABLE_SIZE];
    size_t characters = type->maximum > 0 ? json_count_characters(text, length) : 0;
    if (characters > type->maximum) {
        problems_warning(&walk->problems, path, "has %zu characters, the documents allow %zu",
                         characters, type->maximum);
    }
    if (type->kind == SCHEMA_URL && length > 0 && !is_web_url(text)) {
        problems_warning(&walk->problems, path, "is neither an http nor an https url");
    }
    if (type->kind == SCHEMA_CHOICE && !is_choice(type, text, length)) {
        problems_warning(&walk->problems, path, "'%s' is none of the values in the documents",
                         problems_printable(text, length, shown));
    }
}

static bool encode_string(struct walk *walk, const struct schema_type *type, int index,
                          const struct path *path)
{
    size_t length;
    const char *text = lua_tolstring(walk->L, index, &length);
    if (!json_append_string(walk->out, text, length)) {
        return walk->out->failure != BUFFER_FINE ||
               problems_error(&walk->problems, path, FAILURE_INVALID_PARAMS,
                              "is not valid UTF-8");
    }
    if (walk->problems.all) {
        warn_of_text(walk, type, text, length, path);
    }
    return true;
}

static bool encode_text(struct walk *walk, const struct schema_type *type, int index,
                        const struct path *path)
{
    switch (lua_type(walk->L, index)) {
    case LUA_TSTRING: return encode_string(walk, type, index, path);
    case LUA_TNUMBER:
        return type->kind == SCHEMA_DATE ? encode_date(walk, index, path)
                                         : encode_number_as_text(walk, index, path);
    default:
        return error_of_type(walk, path,
                             type->kind == SCHEMA_DATE ? "a date as a string or epoch seconds"
                                                       : "a string",
                             index);
    }
}

/* ---- sequences ---- */

static size_t count_entries(lua_State *L, int index)
{
    size_t count = 0;
    for (lua_pushnil(L); lua_next(L, index) != 0; lua_pop(L, 1)) {
        count++;
    }
    return count;
}

static bool encode_items(struct walk *walk, const struct schema_type *of, int index, size_t count,
                         const struct path *path)
{
    lua_State *L = walk->L;
    buffer_append_byte(walk->out, '[');
    for (size_t i = 1; i <= count && walk->out->failure == BUFFER_FINE; i++) {
        struct path item = {.parent = path, .index = i};
        if (i > 1) {
            buffer_append_byte(walk->out, ',');
        }
        (void)compat_rawgeti(L, index, i);
        bool go_on = encode_value(walk, of, lua_gettop(L), &item);
        lua_pop(L, 1);
        if (!go_on) {
            return false;
        }
    }
    buffer_append_byte(walk->out, ']');
    return true;
}

static bool encode_array(struct walk *walk, const struct schema_type *type, int index,
                         const struct path *path)
{
    if (is_empty_array(walk, index)) {
        json_append_literal(walk->out, "[]");
        return true;
    }
    if (lua_type(walk->L, index) != LUA_TTABLE) {
        return error_of_type(walk, path, "a sequence", index);
    }
    size_t count = compat_rawlen(walk->L, index);
    if (count_entries(walk->L, index) != count) {
        return problems_error(&walk->problems, path, FAILURE_INVALID_PARAMS,
                              "expected a sequence, got a table with other keys or with holes");
    }
    if (type->maximum > 0 && count > type->maximum) {
        problems_warning(&walk->problems, path, "has %zu items, the documents allow %zu", count,
                         type->maximum);
    }
    return encode_items(walk, type->of, index, count, path);
}

/* ---- tables with free keys ---- */

struct entry {
    const char *name; /* the key's own bytes: the table holds it */
    size_t length;
};

static int compare_entries(const void *a, const void *b)
{
    const struct entry *left = a;
    const struct entry *right = b;
    size_t shorter = left->length < right->length ? left->length : right->length;
    int order = memcmp(left->name, right->name, shorter);
    return order != 0 ? order : (left->length > right->length) - (left->length < right->length);
}

/* Fills `entries` (when there are any) with the text keys that `known` does not have; counts them. */
static size_t list_entries(lua_State *L, int index, const struct schema_object *known,
                           struct entry *entries, size_t room)
{
    size_t count = 0;
    for (lua_pushnil(L); lua_next(L, index) != 0; lua_pop(L, 1)) {
        struct entry entry;
        if (lua_type(L, -2) != LUA_TSTRING) {
            continue;
        }
        entry.name = lua_tolstring(L, -2, &entry.length);
        if (known != NULL && schema_find(known, entry.name, entry.length) >= 0) {
            continue;
        }
        if (count < room) {
            entries[count] = entry;
        }
        count++;
    }
    return count;
}

static bool encode_entry(struct walk *walk, const struct schema_type *of, int index,
                         const struct entry *entry, bool *first, const struct path *path)
{
    lua_State *L = walk->L;
    struct path member = {.parent = path, .name = entry->name, .length = entry->length};
    lua_pushlstring(L, entry->name, entry->length);
    lua_rawget(L, index);
    bool go_on = true;
    if (!is_null(L, -1)) {
        if (!*first) {
            buffer_append_byte(walk->out, ',');
        }
        *first = false;
        go_on = json_append_string(walk->out, entry->name, entry->length) ||
                problems_error(&walk->problems, path, FAILURE_INVALID_PARAMS,
                               "has a key that is not valid UTF-8");
        buffer_append_byte(walk->out, ':');
        go_on = go_on && encode_value(walk, of, lua_gettop(L), &member);
    }
    lua_pop(L, 1);
    return go_on;
}

/* The entries that `known` lacks, by their keys' bytes so that the same table gives the same bytes. */
static bool encode_entries(struct walk *walk, const struct schema_type *of, int index,
                           const struct schema_object *known, bool first, const struct path *path)
{
    lua_State *L = walk->L;
    size_t count = list_entries(L, index, known, NULL, 0);
    struct entry *entries = lua_newuserdata(L, (count > 0 ? count : 1) * sizeof *entries);
    (void)list_entries(L, index, known, entries, count);
    qsort(entries, count, sizeof *entries, compare_entries);
    bool go_on = true;
    for (size_t i = 0; i < count && go_on && walk->out->failure == BUFFER_FINE; i++) {
        go_on = encode_entry(walk, of, index, &entries[i], &first, path);
    }
    lua_pop(L, 1);
    return go_on;
}

static bool is_word(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_')) {
            return false;
        }
    }
    return length > 0;
}

/* Looks at the keys only; the values are looked at when they are written. */
static bool check_keys(struct walk *walk, const struct schema_type *type, int index,
                       const struct path *path)
{
    lua_State *L = walk->L;
    for (lua_pushnil(L); lua_next(L, index) != 0; lua_pop(L, 1)) {
        size_t length;
        char shown[PRINTABLE_SIZE];
        if (lua_type(L, -2) != LUA_TSTRING) {
            lua_pop(L, 2);
            return problems_error(&walk->problems, path, FAILURE_INVALID_PARAMS,
                                  "expected strings as keys");
        }
        const char *key = lua_tolstring(L, -2, &length);
        if (type->word_keys && walk->problems.all && !is_word(key, length)) {
            problems_warning(&walk->problems, path, "the key '%s' is not made of letters and '-'",
                             problems_printable(key, length, shown));
        }
    }
    return true;
}

static bool encode_map(struct walk *walk, const struct schema_type *type, int index,
                       const struct path *path)
{
    if (lua_type(walk->L, index) != LUA_TTABLE) {
        return error_of_type(walk, path, "a table", index);
    }
    if (!check_keys(walk, type, index, path)) {
        return false;
    }
    buffer_append_byte(walk->out, '{');
    bool go_on = encode_entries(walk, type->of, index, NULL, true, path);
    buffer_append_byte(walk->out, '}');
    return go_on;
}

/* ---- any value ---- */

static bool is_marked_array(const struct walk *walk, int index)
{
    const struct encoder *encoder = walk->encoder;
    if (!lua_getmetatable(walk->L, index)) {
        return false;
    }
    const void *metatable = lua_topointer(walk->L, -1);
    lua_pop(walk->L, 1);
    return metatable == encoder->array_mt || metatable == encoder->empty_array_mt;
}

static bool encode_any_table(struct walk *walk, const struct schema_type *type, int index,
                             const struct path *path)
{
    struct schema_type array = {.kind = SCHEMA_ARRAY, .of = type};
    struct schema_type map = {.kind = SCHEMA_MAP, .of = type};
    if (walk->depth >= DEEPEST || !lua_checkstack(walk->L, LUA_MINSTACK)) {
        return problems_error(&walk->problems, path, FAILURE_INVALID_PARAMS,
                              "lies more than %d tables deep", DEEPEST);
    }
    bool is_array = compat_rawlen(walk->L, index) > 0 || is_marked_array(walk, index);
    walk->depth++;
    bool go_on = is_array ? encode_array(walk, &array, index, path)
                          : encode_map(walk, &map, index, path);
    walk->depth--;
    return go_on;
}

static bool encode_any_number(struct walk *walk, int index, const struct path *path)
{
    char text[JSON_NUMBER_SIZE];
    size_t length = format_number(walk->L, index, text);
    if (length == 0) {
        return problems_error(&walk->problems, path, FAILURE_INVALID_PARAMS,
                              "JSON has no number that is not finite");
    }
    buffer_append(walk->out, text, length);
    return true;
}

static bool encode_any(struct walk *walk, const struct schema_type *type, int index,
                       const struct path *path)
{
    if (is_null(walk->L, index)) {
        json_append_literal(walk->out, "null");
        return true;
    }
    if (is_empty_array(walk, index)) {
        json_append_literal(walk->out, "[]");
        return true;
    }
    switch (lua_type(walk->L, index)) {
    case LUA_TSTRING: return encode_string(walk, type, index, path);
    case LUA_TNUMBER: return encode_any_number(walk, index, path);
    case LUA_TTABLE: return encode_any_table(walk, type, index, path);
    case LUA_TBOOLEAN:
        json_append_literal(walk->out, lua_toboolean(walk->L, index) ? "true" : "false");
        return true;
    default: return error_of_type(walk, path, "a value that JSON can hold", index);
    }
}

/* ---- objects ---- */

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

/* Takes the key and value on top of the stack: keeps a known field's value, leaves the key on top. */
static bool gather_member(struct walk *walk, const struct schema_object *object,
                          struct members *members, const struct path *path)
{
    lua_State *L = walk->L;
    size_t length;
    if (lua_type(L, -2) != LUA_TSTRING) {
        lua_pop(L, 1);
        return problems_error(&walk->problems, path, FAILURE_INVALID_PARAMS,
                              "expected names as keys, got a %s", luaL_typename(L, -1));
    }
    const char *name = lua_tolstring(L, -2, &length);
    int index = schema_find(object, name, length);
    if (index < 0) {
        lua_pop(L, 1);
        members->extra = true;
        return walk->schema->extra_fields || report_unknown(walk, object, name, length, path);
    }
    if (is_null(L, -1)) {
        lua_pop(L, 1);
        return true;
    }
    uint64_t bit = UINT64_C(1) << index;
    members->slots[index] = lua_gettop(L);
    members->present |= bit;
    members->filled |= is_filled(walk, lua_gettop(L)) ? bit : 0;
    lua_pushvalue(L, -2);
    return true;
}

static bool gather_members(struct walk *walk, const struct schema_object *object, int index,
                           struct members *members, const struct path *path)
{
    lua_pushnil(walk->L);
    while (lua_next(walk->L, index) != 0) {
        if (!gather_member(walk, object, members, path)) {
            return false;
        }
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
    for (size_t i = 0; i < object->count; i++) {
        const struct schema_field *field = &object->fields[i];
        bool filled = (members->filled >> i & 1) != 0;
        if (!filled && is_needed(walk, field, members) &&
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

static bool encode_members(struct walk *walk, const struct schema_object *object,
                           const struct members *members, const struct path *path)
{
    bool first = true;
    for (size_t i = 0; i < object->count; i++) {
        const struct schema_field *field = &object->fields[i];
        if ((members->present >> i & 1) == 0) {
            continue;
        }
        struct path member = {
            .parent = path, .name = field->name.bytes, .length = field->name.length};
        if (!first) {
            buffer_append_byte(walk->out, ',');
        }
        first = false;
        buffer_append(walk->out, field->key.bytes, field->key.length);
        if (!encode_value(walk, &field->type, members->slots[i], &member)) {
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
           encode_entries(walk, &any, index, object, members->present == 0, path);
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
    return problems_error(&walk->problems, path, FAILURE_INVALID_PARAMS, "cannot read '%s': %s",
                          file->path,
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

static bool encode_object(struct walk *walk, const struct schema_object *object, int index,
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

/* ---- variants ---- */

static bool report_variant(struct walk *walk, const struct schema_type *type, const char *tag,
                           size_t length, const struct path *path)
{
    char shown[PRINTABLE_SIZE];
    struct suggestion best = {NULL, 0};
    for (size_t i = 0; i < type->choice_count; i++) {
        suggest_consider(&best, tag, length, type->choices[i].bytes, type->choices[i].length);
    }
    return problems_error(&walk->problems, path, FAILURE_INVALID_PARAMS,
                          best.word != NULL ? "there is no '%s', did you mean '%s'?"
                                            : "there is no '%s'%s",
                          problems_printable(tag, length, shown),
                          best.word != NULL ? best.word : "");
}

static const struct schema_object *find_variant(const struct schema_type *type, const char *tag,
                                                size_t length)
{
    for (size_t i = 0; i < type->choice_count; i++) {
        if (type->choices[i].length == length && memcmp(type->choices[i].bytes, tag, length) == 0) {
            return type->variants[i];
        }
    }
    return NULL;
}

static bool encode_variant(struct walk *walk, const struct schema_type *type, int index,
                           const struct path *path)
{
    lua_State *L = walk->L;
    struct path member = {.parent = path, .name = type->tag.bytes, .length = type->tag.length};
    if (lua_type(L, index) != LUA_TTABLE) {
        return error_of_type(walk, path, "a table", index);
    }
    size_t length = 0;
    lua_pushlstring(L, type->tag.bytes, type->tag.length);
    bool tagged = compat_rawget(L, index) == LUA_TSTRING;
    const char *tag = tagged ? lua_tolstring(L, -1, &length) : ""; /* the table keeps it alive */
    lua_pop(L, 1);
    if (length == 0) {
        return problems_error(&walk->problems, &member, FAILURE_INVALID_PARAMS, "is missing");
    }
    const struct schema_object *object = find_variant(type, tag, length);
    return object != NULL ? encode_table(walk, object, index, path)
                          : report_variant(walk, type, tag, length, &member);
}

/* ---- the walk ---- */

static bool encode_boolean(struct walk *walk, int index, const struct path *path)
{
    if (lua_type(walk->L, index) != LUA_TBOOLEAN) {
        return error_of_type(walk, path, "a boolean", index);
    }
    json_append_literal(walk->out, lua_toboolean(walk->L, index) ? "true" : "false");
    return true;
}

static bool encode_value(struct walk *walk, const struct schema_type *type, int index,
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

/* Leaves the list of problems, or nil, on top of the stack. */
static void encode_root(struct walk *walk, int index, bool all)
{
    const struct schema *schema = walk->schema;
    struct path root = {.name = schema->root_name.bytes, .length = schema->root_name.length};
    problems_begin(&walk->problems, walk->L, all);
    buffer_clear(walk->out);
    buffer_append(walk->out, schema->prefix.bytes, schema->prefix.length);
    (void)encode_value(walk, &schema->root, index, &root);
    buffer_append(walk->out, schema->suffix.bytes, schema->suffix.length);
    if (walk->out->failure == BUFFER_NO_MEMORY) {
        luaL_error(walk->L, "not enough memory");
    }
    if (walk->out->failure == BUFFER_TOO_LARGE && (all || !walk->problems.failed)) {
        (void)problems_error(&walk->problems, &root, FAILURE_REQUEST_TOO_LARGE,
                             "the request is larger than %d bytes", REQUEST_MAXIMUM);
    }
    lua_settop(walk->L, walk->problems.slot);
}

static struct walk begin_walk(lua_State *L, struct encoder *encoder, const struct schema *schema)
{
    return (struct walk){
        .L = L, .encoder = encoder, .out = &encoder->buffer, .schema = schema};
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

static struct encoder *upvalue_encoder(lua_State *L)
{
    return lua_touserdata(L, lua_upvalueindex(1));
}

static int schema_encode(lua_State *L)
{
    struct encoder *encoder = upvalue_encoder(L);
    const struct schema *schema = schema_check(L, 1);
    luaL_checkany(L, 2);
    if (!encoder_write(L, encoder, schema, 2)) {
        lua_pushnil(L);
        lua_insert(L, -2);
        return 2;
    }
    lua_pushlstring(L, buffer_bytes(&encoder->buffer), encoder->buffer.length);
    forget_large(encoder);
    return 1;
}

static int schema_validate(lua_State *L)
{
    struct encoder *encoder = upvalue_encoder(L);
    struct walk walk = begin_walk(L, encoder, schema_check(L, 1));
    lua_settop(L, 2);
    encode_root(&walk, 2, true);
    forget_large(encoder);
    lua_pushboolean(L, !walk.problems.failed);
    lua_insert(L, -2);
    if (lua_isnil(L, -1)) {
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
    struct encoder *encoder = luaL_checkudata(L, 1, CLASS);
    buffer_release(&encoder->buffer);
    return 0;
}

static void encoder_new(lua_State *L)
{
    struct encoder *encoder = lua_newuserdata(L, sizeof *encoder);
    *encoder = (struct encoder){.empty_array = NULL};
    buffer_init(&encoder->buffer, REQUEST_FRONT, REQUEST_MAXIMUM);
    luaL_getmetatable(L, CLASS);
    lua_setmetatable(L, -2);
}

struct encoder *encoder_push(lua_State *L)
{
    lua_getfield(L, LUA_REGISTRYINDEX, CLASS " of this state");
    return lua_touserdata(L, -1);
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
    lua_setfield(L, LUA_REGISTRYINDEX, CLASS " of this state");
    luaL_getmetatable(L, SCHEMA_CLASS);
    lua_pushvalue(L, -2); /* module, encoder, class, encoder */
    compat_setfuncs(L, schema_methods, 1);
    lua_pop(L, 1);
    lua_pushcclosure(L, set_sentinels, 1); /* module, function */
    lua_setfield(L, -2, "sentinels");
    lua_pushcfunction(L, schema_compile);
    lua_setfield(L, -2, "compile");
}
