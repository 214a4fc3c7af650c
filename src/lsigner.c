/*
 * core.signer(token) -> signer
 * signer:sign(bytes) -> hex
 * signer:verify(bytes, hex) -> boolean
 * signer:close()             wipes the key; what comes after raises
 */

#include "lsigner.h"

#include "hmac.h"
#include "lcompat.h"

static const char CLASS[] = "sendapi.signer";

struct signer {
    struct hmac *hmac; /* NULL once closed */
};

struct hmac *signer_check(lua_State *L, int index)
{
    const struct signer *signer = compat_checkobject(L, index, CLASS);
    return signer->hmac;
}

static struct hmac *check_open(lua_State *L)
{
    struct hmac *hmac = signer_check(L, 1);
    luaL_argcheck(L, hmac != NULL, 1, "the signer is closed");
    return hmac;
}

static int signer_new(lua_State *L)
{
    size_t length;
    const char *token = luaL_checklstring(L, 1, &length);
    struct signer *signer = compat_newobject(L, CLASS, sizeof *signer);
    signer->hmac = hmac_new(token, length);
    return signer->hmac != NULL ? 1 : luaL_error(L, "cannot make a signer: no memory");
}

static int signer_sign(lua_State *L)
{
    size_t length;
    char hex[HMAC_HEX];
    struct hmac *hmac = check_open(L);
    const char *bytes = luaL_checklstring(L, 2, &length);
    if (!hmac_sign(hmac, bytes, length, hex)) {
        return luaL_error(L, "cannot sign: no memory");
    }
    lua_pushlstring(L, hex, sizeof hex);
    return 1;
}

static int signer_verify(lua_State *L)
{
    size_t length;
    size_t hex_length;
    struct hmac *hmac = check_open(L);
    const char *bytes = luaL_checklstring(L, 2, &length);
    const char *hex = luaL_checklstring(L, 3, &hex_length);
    lua_pushboolean(L, hmac_verify(hmac, bytes, length, hex, hex_length));
    return 1;
}

static int signer_close(lua_State *L)
{
    struct signer *signer = compat_checkobject(L, 1, CLASS);
    hmac_free(signer->hmac);
    signer->hmac = NULL;
    return 0;
}

static const luaL_Reg methods[] = {
    {"sign", signer_sign},
    {"verify", signer_verify},
    {"close", signer_close},
    {NULL, NULL},
};

void signer_open(lua_State *L)
{
    compat_newclass(L, CLASS, methods, signer_close);
    lua_pushcfunction(L, signer_new);
    lua_setfield(L, -2, "signer");
}
