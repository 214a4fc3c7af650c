/*
 * core.exchange(settings) -> { status, headers, body } | nil, message
 *
 * One HTTP exchange (http.h), which blocks. `settings`: url; body (a string; none: GET); method;
 * headers, a list of "Name: value"; timeout, 30 seconds; ca_file; limit, 33554432 bytes of the
 * answer's body. Settings of another type or name raise. In the answer's `headers` names are in
 * lower case, and the values of a name that came more than once are joined by ", ".
 */

#include "lexchange.h"

#include <string.h> /* strcmp(3) strlen(3) */

#include "http.h"
#include "lcompat.h"

static const double TIMEOUT = 30;
static const size_t LIMIT = 33554432;
static const double MOST_LIMIT = 1073741824;
enum { MOST_HEADERS = 100 };

/* No metamethod is asked. */
static int push_setting(lua_State *L, const char *name)
{
    lua_pushstring(L, name);
    return compat_rawget(L, 1);
}

/*
 * NULL and no length when there is none. The text stays on the stack, which keeps it alive: a
 * finalizer may take it out of the settings.
 */
static const char *text_setting(lua_State *L, const char *name, size_t *length)
{
    int type = push_setting(L, name);
    if (type != LUA_TNIL && type != LUA_TSTRING) {
        luaL_error(L, "exchange: %s must be a string, not a %s", name, lua_typename(L, type));
    }
    *length = 0;
    return type == LUA_TSTRING ? lua_tolstring(L, -1, length) : NULL;
}

/* Text for C: false in *whole when there is a NUL in it. */
static const char *word_setting(lua_State *L, const char *name, bool *whole)
{
    size_t length;
    const char *text = text_setting(L, name, &length);
    *whole = *whole && (text == NULL || strlen(text) == length);
    return text;
}

static double number_setting(lua_State *L, const char *name, double most, double otherwise)
{
    int type = push_setting(L, name);
    double number = type == LUA_TNUMBER ? lua_tonumber(L, -1) : otherwise;
    if ((type != LUA_TNIL && type != LUA_TNUMBER) || !(number > 0 && number <= most)) {
        luaL_error(L, "exchange: %s must be a number above 0", name);
    }
    lua_pop(L, 1);
    return number;
}

static void check_names(lua_State *L)
{
    static const char *const names[] = {"url",     "body",    "method", "headers",
                                        "timeout", "ca_file", "limit"};
    for (lua_pushnil(L); lua_next(L, 1) != 0; lua_pop(L, 1)) {
        const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?";
        size_t i = 0;
        while (i < sizeof names / sizeof names[0] && strcmp(names[i], name) != 0) {
            i++;
        }
        if (i == sizeof names / sizeof names[0]) {
            luaL_error(L, "exchange: there is no '%s'", name);
        }
    }
}

/* The line at the top of the stack, which stays there. */
static const char *header_line(lua_State *L, bool *whole)
{
    size_t length;
    if (lua_type(L, -1) != LUA_TSTRING) {
        luaL_error(L, "exchange: headers must be a list of strings");
    }
    const char *line = lua_tolstring(L, -1, &length);
    *whole = *whole && strlen(line) == length;
    return line;
}

/* Leaves the lines on the stack, and the memory of their list. */
static void read_headers(lua_State *L, struct http_request *request, bool *whole)
{
    const char **lines = lua_newuserdata(L, MOST_HEADERS * sizeof *lines);
    int type = push_setting(L, "headers");
    int list = lua_gettop(L);
    if (type != LUA_TTABLE && type != LUA_TNIL) {
        luaL_error(L, "exchange: headers must be a list");
    }
    request->headers = lines;
    request->header_count = type == LUA_TTABLE ? compat_rawlen(L, list) : 0;
    if (request->header_count > MOST_HEADERS) {
        luaL_error(L, "exchange: more than %d headers", MOST_HEADERS);
    }
    for (size_t i = 0; i < request->header_count; i++) {
        (void)compat_rawgeti(L, list, i + 1);
        lines[i] = header_line(L, whole);
    }
}

/* False when a NUL is where none can be. */
static bool read_request(lua_State *L, struct http_request *request)
{
    bool whole = true;
    luaL_checkstack(L, MOST_HEADERS + 20, "exchange");
    check_names(L);
    request->url = word_setting(L, "url", &whole);
    if (request->url == NULL) {
        luaL_error(L, "exchange: a url is needed");
    }
    request->method = word_setting(L, "method", &whole);
    request->ca_file = word_setting(L, "ca_file", &whole);
    request->body = text_setting(L, "body", &request->body_length);
    request->timeout = number_setting(L, "timeout", 1e9, TIMEOUT);
    request->limit = (size_t)number_setting(L, "limit", MOST_LIMIT, (double)LIMIT);
    read_headers(L, request, &whole);
    return whole;
}

/* Sets the header in the table on top of the stack. */
static void set_header(lua_State *L, const struct http_header *header)
{
    lua_pushlstring(L, header->name, header->name_length);
    lua_pushvalue(L, -1);
    if (compat_rawget(L, -3) == LUA_TSTRING) {
        lua_pushliteral(L, ", ");
        lua_pushlstring(L, header->value, header->value_length);
        lua_concat(L, 3);
    } else {
        lua_pop(L, 1);
        lua_pushlstring(L, header->value, header->value_length);
    }
    lua_rawset(L, -3);
}

/* Of the answer that is its argument: called protected, since Lua may want memory in it. */
static int make_table(lua_State *L)
{
    const struct http_answer *answer = lua_touserdata(L, 1);
    size_t position = 0;
    struct http_header header;
    lua_createtable(L, 0, 3);
    lua_pushinteger(L, (lua_Integer)answer->status);
    lua_setfield(L, -2, "status");
    lua_newtable(L);
    while (http_next_header(answer, &position, &header)) {
        set_header(L, &header);
    }
    lua_setfield(L, -2, "headers");
    lua_pushlstring(L, answer->body.length > 0 ? buffer_bytes(&answer->body) : "",
                    answer->body.length);
    lua_setfield(L, -2, "body");
    return 1;
}

/* While there is an answer, nothing is called that may raise. */
static int exchange(lua_State *L)
{
    struct http_request request = {0};
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    if (!read_request(L, &request)) {
        lua_pushnil(L);
        lua_pushliteral(L, "url, method, headers and ca_file cannot hold a NUL");
        return 2;
    }
    lua_pushcfunction(L, make_table);
    struct http_answer *answer = lua_newuserdata(L, sizeof *answer);
    *answer = (struct http_answer){0};
    if (!http_exchange(&request, answer)) {
        lua_pushnil(L);
        lua_pushstring(L, answer->reason);
        return 2;
    }
    lua_pushvalue(L, -1);
    lua_insert(L, -3); /* the collector leaves it alone until it is released */
    int status = lua_pcall(L, 1, 1, 0);
    http_release(answer);
    return status == 0 ? 1 : lua_error(L);
}

void exchange_open(lua_State *L)
{
    lua_pushcfunction(L, exchange);
    lua_setfield(L, -2, "exchange");
}
