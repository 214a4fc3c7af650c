/* The one door: a table of parts, and a loop that opens each. */

#include "lcompat.h"
#include "lencode.h"
#include "lengine.h"
#include "lexchange.h"
#include "lfile.h"
#include "lsigner.h"
#include "lstore.h"
#include "ltools.h"
#include "visibility.h"

static void (*const parts[])(lua_State *) = {
    tools_open, signer_open, file_open, encode_open, lengine_open, exchange_open, store_open,
};

SENDAPI_EXPORT int luaopen_sendapi_core(lua_State *L);

int luaopen_sendapi_core(lua_State *L)
{
    lua_newtable(L);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        parts[i](L);
    }
    return 1;
}
