#include "lcommand.h"

#include "clock.h"
#include "command.h"
#include "lcompat.h"
#include "lendpoint.h"
#include "lfilter.h"
#include "lletter.h"
#include "loutcome.h"
#include "outbox.h"

/* In the order of enum command_kind. */
static const char *const asked[] = {"begin",   "leave", "abandon", "figures",
                                    "letters", "retry", "discard", NULL};
static const char *const told[] = {"died", "paused", "resumed", "warned", "troubled"};

/* ---- answers and notices ---- */

static void set_count(lua_State *L, const char *name, uint64_t number)
{
    lua_pushinteger(L, (lua_Integer)number);
    lua_setfield(L, -2, name);
}

static void push_notice(lua_State *L, const struct request *notice)
{
    const struct command *command = notice->command;
    lua_newtable(L);
    set_count(L, "tag", notice->endpoint->settings.tag);
    outcome_set_string(L, "told", told[command->kind - COMMAND_DIED]);
    if (command->letters != NULL) {
        letter_push(L, &command->letters->letter);
        lua_setfield(L, -2, "letter");
    }
}

static void push_letters(lua_State *L, const struct command_letter *letters)
{
    lua_newtable(L);
    for (int i = 1; letters != NULL; letters = letters->next) {
        letter_push(L, &letters->letter);
        lua_rawseti(L, -2, i++);
    }
}

static void push_answer(lua_State *L, const struct command *command)
{
    lua_newtable(L);
    set_count(L, "count", command->count);
    push_letters(L, command->letters);
    lua_setfield(L, -2, "letters");
    figures_push(L, &command->figures);
    lua_setfield(L, -2, "figures");
}

/* Whether somebody waits for its answer: nobody does for what is told, nor to begin or abandon. */
static bool is_awaited(const struct request *request)
{
    enum command_kind kind = request->command->kind;
    return kind < COMMAND_DIED && kind != COMMAND_BEGIN && kind != COMMAND_ABANDON;
}

static void drop_command(struct lengine *self, const struct request *request)
{
    if (is_awaited(request)) {
        request->endpoint->asked--;
        self->pending--;
    }
    request_free(engine_take(self->engine));
}

/* The results of engine:take for a command; the ticket is on the stack. */
int lcommand_take(lua_State *L, struct lengine *self, const struct request *request)
{
    bool is_answer = request->command->kind < COMMAND_DIED;
    if (request->outcome.failure == FAILURE_NONE) {
        lua_pushnil(L);
    } else {
        outcome_push(L, &request->outcome);
    }
    if (!is_answer) {
        push_notice(L, request);
    } else if (request->outcome.failure == FAILURE_NONE) {
        push_answer(L, request->command);
    } else {
        lua_pushnil(L);
    }
    drop_command(self, request);
    return 3;
}

/* ---- asking ---- */

/* False without memory. */
static bool set_filter(struct command *command, const struct letter_filter *filter)
{
    command->filter = letter_filter_copy(filter);
    return command->filter != NULL;
}

static struct request *read_command(lua_State *L, struct endpoint *endpoint)
{
    struct letter_filter filter;
    int kind = luaL_checkoption(L, 3, NULL, asked);
    bool is_filtered = lua_istable(L, 4);
    lua_Number id = is_filtered ? 0 : luaL_optnumber(L, 4, 0);
    lua_Number limit = luaL_optnumber(L, 5, OUTBOX_LETTERS);
    if (is_filtered) {
        filter = filter_read(L, 4);
    }
    struct request *request = command_request(endpoint, (enum command_kind)kind);
    if (request == NULL || (is_filtered && !set_filter(request->command, &filter))) {
        request_free(request);
        return NULL;
    }
    request->command->id = id > 0 ? (uint64_t)id : 0;
    request->command->limit = limit > 0 ? (size_t)limit : 0;
    request->submitted = clock_now();
    return request;
}

int lcommand_ask(lua_State *L)
{
    struct lengine *self = lengine_check(L, 1);
    struct engine *engine = lengine_ready(L, self);
    struct endpoint *endpoint = lendpoint_check(L, 2);
    if (endpoint == NULL) {
        return outcome_refuse(L, FAILURE_CLOSED);
    }
    luaL_argcheck(L, endpoint->settings.outbox.driver != NULL, 2, "it has no outbox");
    struct request *request = read_command(L, endpoint);
    if (request == NULL) {
        return outcome_refuse(L, FAILURE_NO_MEMORY);
    }
    bool leaves =
        request->command->kind == COMMAND_LEAVE || request->command->kind == COMMAND_ABANDON;
    bool awaited = is_awaited(request);
    uint64_t ticket = ++self->tickets;
    request->ticket = ticket;
    if (leaves && !engine_is_running(engine)) {
        request_free(request);
        return 0;
    }
    if (!engine_submit(engine, request)) {
        request_free(request);
        return outcome_refuse(L, FAILURE_NO_MEMORY);
    }
    endpoint->asked += awaited;
    self->pending += awaited;
    lua_pushinteger(L, (lua_Integer)ticket);
    lua_pushinteger(L, (lua_Integer)self->generation);
    return 2;
}
