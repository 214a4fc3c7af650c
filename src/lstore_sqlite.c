/* The one door to the store in a SQLite file: the driver's address, for the core. */

#include <pthread.h>

#include <lua.h>

#include "process.h"
#include "store_sqlite.h"
#include "visibility.h"

SENDAPI_EXPORT int luaopen_sendapi_store_sqlite(lua_State *L);

static pthread_once_t once = PTHREAD_ONCE_INIT;

int luaopen_sendapi_store_sqlite(lua_State *L)
{
    (void)pthread_once(&once, process_watch); /* the core may use it after this state's end */
    lua_pushlightuserdata(L, (void *)&store_sqlite);
    return 1;
}
