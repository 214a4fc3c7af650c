#include "lsubmit.h"

#include <string.h> /* memcpy(3) */

#include "clock.h"
#include "lcompat.h"
#include "lencode.h"
#include "lendpoint.h"
#include "lengine.h"
#include "loutcome.h"
#include "lschema.h"
#include "lsigner.h"

/* How a request is to be sent: the arguments of engine:submit after the params. */
struct manner {
    const char *lane;
    size_t lane_length;
    double seconds;
    bool ephemeral;
    bool skip;
    double wait;
};

static struct manner read_manner(lua_State *L)
{
    struct manner manner = {
        .ephemeral = lua_toboolean(L, 8) != 0,
        .skip = lua_toboolean(L, 9) != 0,
    };
    manner.lane = luaL_optlstring(L, 6, "", &manner.lane_length);
    manner.seconds = luaL_checknumber(L, 7);
    manner.wait = luaL_optnumber(L, 10, 0);
    return manner;
}

/* The request that the encoder's buffer holds, signed and counted in; or NULL and why. */
static struct request *make_request(struct encoder *encoder, const struct hmac *signer,
                                    struct endpoint *endpoint, const struct manner *manner,
                                    enum failure *failure)
{
    unsigned char signature[HMAC_BYTES];
    struct buffer *body = &encoder->buffer;
    *failure = FAILURE_NO_MEMORY;
    if (!hmac_digest(signer, buffer_bytes(body), body->length, signature)) {
        return NULL;
    }
    if (!endpoint_admit(endpoint, body->length)) {
        *failure = FAILURE_QUEUE_FULL;
        return NULL;
    }
    size_t length = body->length;
    struct request *request =
        request_from_buffer(body, endpoint, manner->lane, manner->lane_length);
    if (request == NULL) {
        endpoint_withdraw(endpoint, length);
        return NULL;
    }
    memcpy(request->signature, signature, HMAC_BYTES);
    request->submitted = clock_now();
    request->deadline = request->submitted + manner->seconds;
    request->ephemeral = manner->ephemeral;
    request->verb = manner->skip ? REQUEST_SKIP : REQUEST_SEND;
    return request;
}

static int submit_encoded(lua_State *L, struct lengine *self, struct endpoint *endpoint,
                          struct encoder *encoder, const struct hmac *signer)
{
    enum failure failure;
    struct manner manner = read_manner(L);
    struct engine *engine = lengine_ready(L, self);
    struct request *request = make_request(encoder, signer, endpoint, &manner, &failure);
    if (request == NULL) {
        return outcome_refuse(L, failure);
    }
    uint64_t ticket = ++self->tickets;
    request->ticket = ticket;
    if (!engine_submit_and_drive(engine, request, manner.wait)) {
        endpoint_withdraw(endpoint, request->length);
        request_free(request);
        return outcome_refuse(L, FAILURE_NO_MEMORY);
    }
    self->pending++;
    lua_pushinteger(L, (lua_Integer)ticket);
    lua_pushinteger(L, (lua_Integer)self->generation);
    return 2;
}

/* upvalue 1: the state's encoder */
static int lengine_submit(lua_State *L)
{
    struct lengine *self = lengine_check(L, 1);
    lengine_forsake_parent(self);
    if (lendpoint_check(L, 2) == NULL) {
        return outcome_refuse(L, FAILURE_CLOSED);
    }
    const struct schema *schema = schema_check(L, 4);
    lua_settop(L, 10);
    struct encoder *encoder = encoder_begin(L, encoder_at(L, lua_upvalueindex(1)));
    if (!encoder_write(L, encoder, schema, 5)) {
        encoder_end(encoder);
        lua_pushnil(L);
        lua_insert(L, -2);
        return 2;
    }
    /* now, because a finalizer that ran meanwhile may have closed them */
    const struct hmac *signer = signer_check(L, 3);
    struct endpoint *endpoint = lendpoint_check(L, 2);
    int results = signer == NULL || endpoint == NULL
                      ? outcome_refuse(L, FAILURE_CLOSED)
                      : submit_encoded(L, self, endpoint, encoder, signer);
    encoder_end(encoder);
    return results;
}

static const luaL_Reg submit_method[] = {{"submit", lengine_submit}, {NULL, NULL}};

void lsubmit_add(lua_State *L)
{
    (void)encoder_push(L);
    compat_setfuncs(L, submit_method, 1);
}
