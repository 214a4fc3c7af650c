#include "loutcome.h"

void outcome_set_string(lua_State *L, const char *name, const char *text)
{
    if (text != NULL) {
        lua_pushstring(L, text);
        lua_setfield(L, -2, name);
    }
}

void outcome_push_failure(lua_State *L, enum failure failure)
{
    const struct failure_row *row = failure_row(failure);
    lua_newtable(L);
    outcome_set_string(L, "code", row->code);
    outcome_set_string(L, "class", failure_class_name(row->class));
    outcome_set_string(L, "message", row->sentence);
}

int outcome_refuse(lua_State *L, enum failure failure)
{
    lua_pushnil(L);
    outcome_push_failure(L, failure);
    return 2;
}

void outcome_push(lua_State *L, const struct outcome *outcome)
{
    outcome_push_failure(L, outcome->failure);
    if (outcome->status > 0) {
        lua_pushinteger(L, (lua_Integer)outcome->status);
        lua_setfield(L, -2, "status");
    }
    if (outcome->body != NULL) {
        lua_pushlstring(L, outcome->body, outcome->body_length);
        lua_setfield(L, -2, "body");
    }
    outcome_set_string(L, "reason", outcome->reason);
    lua_pushinteger(L, (lua_Integer)outcome->attempts);
    lua_setfield(L, -2, "attempts");
    if (outcome->retry_after >= 0) {
        lua_pushnumber(L, outcome->retry_after);
        lua_setfield(L, -2, "retry_after");
    }
}
