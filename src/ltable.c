/* Sequences, tables with free keys, and any value: parts of the walk (lwalk.h). */

#include <stdlib.h> /* qsort(3) */
#include <string.h> /* memcmp(3) memcpy(3) */

#include "json.h"
#include "lcompat.h"
#include "lwalk.h"

enum { DEEPEST = 32 }; /* tables within tables where any value may stand */

static size_t count_entries(lua_State *L, int index)
{
    size_t count = 0;
    for (lua_pushnil(L); lua_next(L, index) != 0; lua_pop(L, 1)) {
        count++;
    }
    return count;
}

static bool error_of_hole(struct walk *walk, const struct path *path)
{
    return problems_error(&walk->problems, path, FAILURE_INVALID_PARAMS,
                          "is missing: a sequence has no holes");
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
        bool is_hole = compat_rawgeti(L, index, i) == LUA_TNIL;
        bool go_on =
            is_hole ? error_of_hole(walk, &item) : encode_value(walk, of, lua_gettop(L), &item);
        lua_pop(L, 1);
        if (!go_on) {
            return false;
        }
    }
    buffer_append_byte(walk->out, ']');
    return true;
}

bool encode_array(struct walk *walk, const struct schema_type *type, int index,
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

/* A key, copied: what a finalizer does to the table meanwhile must not matter. */
struct entry {
    const char *name;
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

struct entries {
    struct entry *list;
    size_t count;
    size_t bytes; /* of all names together */
};

static bool is_entry(lua_State *L, const struct schema_object *known, struct entry *entry)
{
    if (lua_type(L, -2) != LUA_TSTRING) {
        return false;
    }
    entry->name = lua_tolstring(L, -2, &entry->length);
    return known == NULL || schema_find(known, entry->name, entry->length) < 0;
}

/* Counts the text keys that `known` does not have, and their bytes. */
static struct entries count_names(lua_State *L, int index, const struct schema_object *known)
{
    struct entries entries = {NULL, 0, 0};
    struct entry entry;
    for (lua_pushnil(L); lua_next(L, index) != 0; lua_pop(L, 1)) {
        if (is_entry(L, known, &entry)) {
            entries.count++;
            entries.bytes += entry.length;
        }
    }
    return entries;
}

/* Copies them into the userdata on top of the stack, no more than were counted, and sorts them. */
static void copy_names(lua_State *L, int index, const struct schema_object *known,
                       struct entries *entries)
{
    entries->list = lua_touserdata(L, -1);
    char *memory = (char *)(entries->list + entries->count);
    size_t count = 0;
    size_t room = entries->bytes;
    struct entry entry;
    for (lua_pushnil(L); lua_next(L, index) != 0; lua_pop(L, 1)) {
        if (count == entries->count || !is_entry(L, known, &entry) || entry.length > room) {
            continue;
        }
        memcpy(memory, entry.name, entry.length);
        entries->list[count++] = (struct entry){memory, entry.length};
        memory += entry.length;
        room -= entry.length;
    }
    entries->count = count;
    qsort(entries->list, count, sizeof *entries->list, compare_entries);
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

bool encode_entries(struct walk *walk, const struct schema_type *of, int index,
                    const struct schema_object *known, bool first, const struct path *path)
{
    lua_State *L = walk->L;
    struct entries entries = count_names(L, index, known);
    (void)lua_newuserdata(L, entries.count * sizeof(struct entry) + entries.bytes + 1);
    copy_names(L, index, known, &entries);
    bool go_on = true;
    for (size_t i = 0; i < entries.count && go_on && walk->out->failure == BUFFER_FINE; i++) {
        go_on = encode_entry(walk, of, index, &entries.list[i], &first, path);
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

bool encode_map(struct walk *walk, const struct schema_type *type, int index,
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
    bool go_on =
        is_array ? encode_array(walk, &array, index, path) : encode_map(walk, &map, index, path);
    walk->depth--;
    return go_on;
}

bool encode_any(struct walk *walk, const struct schema_type *type, int index,
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
    case LUA_TSTRING: return encode_text(walk, type, index, path);
    case LUA_TNUMBER: return encode_number(walk, index, path);
    case LUA_TTABLE: return encode_any_table(walk, type, index, path);
    case LUA_TBOOLEAN:
        json_append_literal(walk->out, lua_toboolean(walk->L, index) ? "true" : "false");
        return true;
    default: return error_of_type(walk, path, "a value that JSON can hold", index);
    }
}
