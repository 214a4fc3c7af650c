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

static const char CLASS[] = "sendapi.answer";

static const double TIMEOUT = 30;
static const size_t LIMIT = 33554432;
static const double MOST_LIMIT = 1073741824;

/* The settings keep alive what is read of them: no metamethod may make it up. */
static int push_setting(lua_State *L, const char *name)
{
    lua_pushstring(L, name);
    return compat_rawget(L, 1);
}

/* NULL and no length when there is none. */
static const char *text_setting(lua_State *L, const char *name, size_t *length)
{
    int type = push_setting(L, name);
    if (type != LUA_TNIL && type != LUA_TSTRING) {
        luaL_error(L, "exchange: %s must be a string, not a %s", name, lua_typename(L, type));
    }
    *length = 0;
    const char *text = type == LUA_TSTRING ? lua_tolstring(L, -1, length) : NULL;
    lua_pop(L, 1);
    return text;
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

/* Leaves the memory of the list on the stack. */
static void read_headers(lua_State *L, struct http_request *request, bool *whole)
{
    int type = push_setting(L, "headers");
    if (type != LUA_TTABLE && type != LUA_TNIL) {
        luaL_error(L, "exchange: headers must be a list");
    }
    size_t count = type == LUA_TTABLE ? compat_rawlen(L, -1) : 0;
    const char **lines = lua_newuserdata(L, (count + 1) * sizeof *lines);
    for (size_t i = 0; i < count; i++) {
        size_t length;
        if (compat_rawgeti(L, -2, i + 1) != LUA_TSTRING) {
            luaL_error(L, "exchange: headers must be a list of strings");
        }
        lines[i] = lua_tolstring(L, -1, &length);
        *whole = *whole && strlen(lines[i]) == length;
        lua_pop(L, 1);
    }
    request->headers = lines;
    request->header_count = count;
}

/* False when a NUL is where none can be. */
static bool read_request(lua_State *L, struct http_request *request)
{
    bool whole = true;
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

static void push_answer(lua_State *L, const struct http_answer *answer)
{
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
}

/* The answer belongs to a userdata: without memory for Lua the collector frees it. */
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
    struct http_answer *answer = compat_newobject(L, CLASS, sizeof *answer);
    if (!http_exchange(&request, answer)) {
        lua_pushnil(L);
        lua_pushstring(L, answer->reason);
        return 2;
    }
    push_answer(L, answer);
    http_release(answer);
    return 1;
}

static int answer_release(lua_State *L)
{
    http_release(compat_checkobject(L, 1, CLASS));
    return 0;
}

static const luaL_Reg methods[] = {{NULL, NULL}};

void exchange_open(lua_State *L)
{
    compat_newclass(L, CLASS, methods, answer_release);
    lua_pushcfunction(L, exchange);
    lua_setfield(L, -2, "exchange");
}
