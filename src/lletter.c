#include "lletter.h"

#include "lcompat.h"

static void set_number(lua_State *L, const char *name, double number)
{
    lua_pushnumber(L, number);
    lua_setfield(L, -2, name);
}

static void set_count(lua_State *L, const char *name, uint64_t number)
{
    lua_pushinteger(L, (lua_Integer)number);
    lua_setfield(L, -2, name);
}

static void set_bytes(lua_State *L, const char *name, const char *bytes, size_t length)
{
    if (bytes != NULL && length > 0) {
        lua_pushlstring(L, bytes, length);
        lua_setfield(L, -2, name);
    }
}

static void set_text(lua_State *L, const char *name, const char *text)
{
    lua_pushstring(L, text);
    lua_setfield(L, -2, name);
}

static void set_death(lua_State *L, const struct store_letter *letter)
{
    set_number(L, "died", letter->died);
    set_text(L, "code", letter->code);
    set_text(L, "reason", letter->reason);
    set_count(L, "attempts", letter->attempts);
    if (letter->status > 0) {
        set_count(L, "status", (uint64_t)letter->status);
    }
}

void letter_push(lua_State *L, const struct store_letter *letter)
{
    const struct store_row *row = &letter->row;
    lua_newtable(L);
    set_count(L, "id", row->id);
    set_text(L, "action", row->action);
    set_number(L, "time", row->time);
    set_count(L, "bytes", row->length);
    set_bytes(L, "lane", row->lane, row->lane_length);
    set_bytes(L, "body", row->body, row->length);
    if (letter->code[0] != '\0') {
        set_death(L, letter);
    }
}

void figures_push(lua_State *L, const struct store_figures *figures)
{
    lua_newtable(L);
    set_count(L, "pending", figures->pending);
    set_count(L, "pending_bytes", figures->pending_bytes);
    set_count(L, "dead", figures->dead);
    if (figures->pending > 0) {
        set_number(L, "oldest", figures->oldest);
    }
}
