/*
 * require "sendapi.store.redis" -> driver
 *
 * A userdata of class "sendapi.store" that holds a pointer to the driver (store.h): the core takes
 * it from there, so that it needs no Redis library itself.
 */

#include "lcompat.h"
#include "store_redis.h"
#include "visibility.h"

static const char CLASS[] = "sendapi.store";

SENDAPI_EXPORT int luaopen_sendapi_store_redis(lua_State *L);

int luaopen_sendapi_store_redis(lua_State *L)
{
    const struct store_driver **driver = lua_newuserdata(L, sizeof *driver);
    *driver = &store_redis;
    (void)luaL_newmetatable(L, CLASS);
    (void)lua_setmetatable(L, -2);
    return 1;
}
