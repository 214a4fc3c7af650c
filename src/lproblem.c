#include "lproblem.h"

#include <stdarg.h>
#include <stdio.h>  /* snprintf(3) vsnprintf(3) */
#include <string.h> /* memcpy(3) */

#include "lcompat.h"

enum {
    PATH_SIZE = 512,
    MESSAGE_SIZE = 512,
};

void problems_begin(struct problems *problems, lua_State *L, bool all)
{
    lua_pushnil(L);
    *problems = (struct problems){.L = L, .all = all, .slot = lua_gettop(L)};
}

const char *problems_printable(const char *text, size_t length, char out[PRINTABLE_SIZE])
{
    size_t shown = length < PRINTABLE_SIZE - 4 ? length : PRINTABLE_SIZE - 4;
    for (size_t i = 0; i < shown; i++) {
        out[i] = (char)(text[i] >= ' ' && text[i] <= '~' ? text[i] : '?');
    }
    memcpy(out + shown, "...", 4);
    if (shown == length) {
        out[shown] = '\0';
    }
    return out;
}

/* Writes the steps from the root on; what does not fit is left out. */
static size_t write_path(const struct path *path, char out[PATH_SIZE])
{
    char name[PRINTABLE_SIZE];
    if (path == NULL) {
        out[0] = '\0';
        return 0;
    }
    size_t used = write_path(path->parent, out);
    size_t room = PATH_SIZE - used;
    int wrote;
    if (path->name == NULL) {
        wrote = snprintf(out + used, room, "[%zu]", path->index);
    } else {
        (void)problems_printable(path->name, path->length, name);
        wrote = snprintf(out + used, room, "%s%s", used > 0 ? "." : "", name);
    }
    return wrote < 0 || (size_t)wrote >= room ? PATH_SIZE - 1 : used + (size_t)wrote;
}

static void set_text(lua_State *L, const char *name, const char *text)
{
    lua_pushstring(L, text);
    lua_setfield(L, -2, name);
}

static void add(struct problems *problems, const char *field, const char *code,
                const char *severity, const char *message)
{
    lua_State *L = problems->L;
    if (!lua_checkstack(L, 8)) {
        return;
    }
    if (lua_isnil(L, problems->slot)) {
        lua_newtable(L);
        lua_replace(L, problems->slot);
    }
    lua_newtable(L);
    set_text(L, "code", code);
    set_text(L, "field", field);
    set_text(L, "severity", severity);
    lua_pushfstring(L, "%s: %s", field, message);
    lua_setfield(L, -2, "message");
    lua_rawseti(L, problems->slot, ++problems->count);
}

bool problems_error(struct problems *problems, const struct path *path, enum failure failure,
                    const char *format, ...)
{
    char field[PATH_SIZE];
    char message[MESSAGE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    (void)write_path(path, field);
    problems->failed = true;
    if (problems->errors++ < PROBLEMS_MAXIMUM) {
        add(problems, field, failure_row(failure)->code, "error", message);
    }
    return problems->all;
}

void problems_warning(struct problems *problems, const struct path *path, const char *format, ...)
{
    char field[PATH_SIZE];
    char message[MESSAGE_SIZE];
    va_list arguments;
    if (!problems->all) {
        return;
    }
    va_start(arguments, format);
    (void)vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    (void)write_path(path, field);
    if (problems->warnings++ < PROBLEMS_MAXIMUM) {
        add(problems, field, "warning", "warning", message);
    }
}
