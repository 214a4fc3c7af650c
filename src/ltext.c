/* Texts, numbers and booleans of the walk (lwalk.h). */

#include <strings.h> /* strncasecmp(3) */

#include "date.h"
#include "json.h"
#include "lcompat.h"
#include "lwalk.h"

static const double LARGEST_EXACT = 9007199254740992.0; /* 2^53 */

/* The decimal text of a number; 0 when it has none that is exact. */
static size_t format_number(lua_State *L, int index, char text[JSON_NUMBER_SIZE])
{
    if (compat_isinteger(L, index)) {
        return json_format_integer((int64_t)lua_tointeger(L, index), text);
    }
    double number = lua_tonumber(L, index);
    if (number > -LARGEST_EXACT && number < LARGEST_EXACT && !((double)(int64_t)number < number) &&
        !((double)(int64_t)number > number)) {
        return json_format_integer((int64_t)number, text);
    }
    return json_format_number(number, text);
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
    if (type->kind == SCHEMA_CHOICE && schema_find_choice(type, text, length) < 0) {
        problems_warning(&walk->problems, path, "'%s' is none of the values in the documents",
                         problems_printable(text, length, shown));
    }
}

static bool encode_number_as_text(struct walk *walk, const struct schema_type *type, int index,
                                  const struct path *path)
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
    if (walk->problems.all) {
        warn_of_text(walk, type, text, length, path);
    }
    return true;
}

static bool encode_string(struct walk *walk, const struct schema_type *type, int index,
                          const struct path *path)
{
    size_t length;
    const char *text = lua_tolstring(walk->L, index, &length);
    if (!json_append_string(walk->out, text, length)) {
        return walk->out->failure != BUFFER_FINE ||
               problems_error(&walk->problems, path, FAILURE_INVALID_PARAMS, "is not valid UTF-8");
    }
    if (walk->problems.all) {
        warn_of_text(walk, type, text, length, path);
    }
    return true;
}

bool encode_text(struct walk *walk, const struct schema_type *type, int index,
                 const struct path *path)
{
    switch (lua_type(walk->L, index)) {
    case LUA_TSTRING: return encode_string(walk, type, index, path);
    case LUA_TNUMBER:
        return type->kind == SCHEMA_DATE ? encode_date(walk, index, path)
                                         : encode_number_as_text(walk, type, index, path);
    default:
        return error_of_type(
            walk, path,
            type->kind == SCHEMA_DATE ? "a date as a string or epoch seconds" : "a string", index);
    }
}

bool encode_number(struct walk *walk, int index, const struct path *path)
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

bool encode_boolean(struct walk *walk, int index, const struct path *path)
{
    if (lua_type(walk->L, index) != LUA_TBOOLEAN) {
        return error_of_type(walk, path, "a boolean", index);
    }
    json_append_literal(walk->out, lua_toboolean(walk->L, index) ? "true" : "false");
    return true;
}
