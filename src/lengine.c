/*
 * core.engine() -> engine
 *     Without a thread until something is submitted.
 *
 * engine:open(settings) -> endpoint
 *     Where a client's requests go: see lendpoint.c.
 *
 * engine:submit(endpoint, signer, schema, params, lane, deadline, ephemeral, skip, wait)
 *   -> ticket, generation | nil, problem
 *     Checks, writes, signs and queues; does not wait, unless `wait` is given: then it may work for
 *     so many seconds, until there is something to take. `lane`: a conversation's key, or nil for
 *     no order. `deadline`: seconds from now. `ephemeral`: worth nothing when late. `skip`: not sent
 *     at all, but answered as delivered. `generation`: as of engine:forsake.
 *
 * engine:take() -> ticket, failure, question
 *     The next answer, or nothing. `failure` is nil when it was delivered, else { code, class,
 *     message, status, attempts, body, reason, retry_after }. With a question it is not the end:
 *
 *     An answer to a command has a table in the question's place, when it did not fail:
 *     { count, letters, figures = { pending, pending_bytes, dead, oldest } }. A ticket of 0 is no
 *     answer at all: the outbox tells something, and the table is { tag, told, letter }, `tag` being
 *     the endpoint's, `told` "died" (`letter` is the dead one, without its body), "paused",
 *     "resumed" or "troubled"; `failure` says why.
 *
 * engine:command(endpoint, kind, id, limit) -> ticket, generation | nil, problem
 *     Asks something of the endpoint's outbox: "begin" to deliver, or "leave" (answered once nothing
 *     is on its way; nil alone: there is nothing to leave), its "figures", "letters" above `id`, at
 *     most `limit`; to "retry" or to "discard" the letter `id`, or all for 0, or those that a
 *     filter matches (lfilter.h), which stands in the id's place.
 *
 * question:again(seconds) -> boolean
 *     It is sent again after that time, and the same ticket is answered then. False when the engine
 *     was closed since: then it is released.
 *
 * question:release()
 *     It is not sent again; so too when nobody decides.
 *
 * engine:wait(seconds) -> boolean
 *     Whether there is something to take.
 *
 * engine:pending() -> integer
 *     The requests of all endpoints that were submitted and not taken yet, or not decided, and the
 *     commands, but those to begin.
 *
 * engine:fileno() -> descriptor | nil, message
 *     Readable when there is something to take.
 *
 * engine:listen() -> path | nil, message
 *     A unix socket for one more client, which gets a byte when there is something to take.
 *
 * engine:calm()
 *     Forgets that signal; to be called before taking.
 *
 * engine:remind()
 *     Gives it to the descriptor again, because something was left.
 *
 * engine:forsake() -> generation
 *     In a child process, when this is its parent's engine: forgets it. A new one is made when it is
 *     needed. The number tells how many were forgotten so far.
 *
 * engine:close()
 *     Ends the thread; what was under way can then be taken.
 */

#include "lengine.h"

#include <errno.h>  /* errno */
#include <string.h> /* memcpy(3) strerror(3) */

#include "clock.h"
#include "command.h"
#include "engine.h"
#include "lcompat.h"
#include "lencode.h"
#include "lendpoint.h"
#include "lfilter.h"
#include "lletter.h"
#include "lschema.h"
#include "lsigner.h"
#include "outbox.h"

const char ENGINE_CLASS[] = "sendapi.engine";
static const char QUESTION_CLASS[] = "sendapi.question";

/* A request that waits for its caller's decision. */
struct lquestion {
    struct request *request; /* NULL once decided */
    struct lengine *owner;   /* anchored in this userdata, and made before it, so finalized after */
    unsigned generation;     /* of the owner, when it was asked */
};

/* ---- problems and outcomes ---- */

static void set_string(lua_State *L, const char *name, const char *text)
{
    if (text != NULL) {
        lua_pushstring(L, text);
        lua_setfield(L, -2, name);
    }
}

static void push_failure(lua_State *L, enum failure failure)
{
    const struct failure_row *row = failure_row(failure);
    lua_newtable(L);
    set_string(L, "code", row->code);
    set_string(L, "class", failure_class_name(row->class));
    set_string(L, "message", row->sentence);
}

static int refuse(lua_State *L, enum failure failure)
{
    lua_pushnil(L);
    push_failure(L, failure);
    return 2;
}

static void push_outcome(lua_State *L, const struct outcome *outcome)
{
    push_failure(L, outcome->failure);
    if (outcome->status > 0) {
        lua_pushinteger(L, (lua_Integer)outcome->status);
        lua_setfield(L, -2, "status");
    }
    if (outcome->body != NULL) {
        lua_pushlstring(L, outcome->body, outcome->body_length);
        lua_setfield(L, -2, "body");
    }
    set_string(L, "reason", outcome->reason);
    lua_pushinteger(L, (lua_Integer)outcome->attempts);
    lua_setfield(L, -2, "attempts");
    if (outcome->retry_after >= 0) {
        lua_pushnumber(L, outcome->retry_after);
        lua_setfield(L, -2, "retry_after");
    }
}

/* ---- the engine ---- */

struct lengine *lengine_check(lua_State *L, int index)
{
    return compat_checkobject(L, index, ENGINE_CLASS);
}

bool lengine_is_ours(const struct lengine *self)
{
    return self->engine != NULL && !engine_is_inherited(self->engine);
}

void lengine_stop(struct lengine *self)
{
    if (lengine_is_ours(self)) {
        engine_stop(self->engine);
    }
}

/* Leaves an engine that is the parent's process as it is (engine.h), and its endpoints with it. */
static bool forsake(struct lengine *self)
{
    bool inherited = self->engine != NULL && engine_is_inherited(self->engine);
    if (inherited) {
        engine_abandon(self->engine);
        self->engine = NULL;
        self->generation++;
        self->pending = 0;
    }
    return inherited;
}

/* The engine, made when there is none; one that a fork left behind is abandoned (engine.h). */
static struct engine *ready_engine(lua_State *L, struct lengine *self)
{
    const char *reason = NULL;
    (void)forsake(self);
    if (self->engine == NULL) {
        self->engine = engine_new(&reason);
    }
    if (self->engine == NULL) {
        luaL_error(L, "cannot start: %s", reason);
    }
    return self->engine;
}

static int engine_create(lua_State *L)
{
    struct lengine *self = compat_newobject(L, ENGINE_CLASS, sizeof *self);
    (void)ready_engine(L, self);
    return 1;
}

static int lengine_close(lua_State *L)
{
    lengine_stop(lengine_check(L, 1));
    return 0;
}

static int lengine_gc(lua_State *L)
{
    struct lengine *self = lengine_check(L, 1);
    if (lengine_is_ours(self)) {
        engine_free(self->engine);
    }
    self->engine = NULL;
    return 0;
}

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
    struct engine *engine = ready_engine(L, self);
    struct request *request = make_request(encoder, signer, endpoint, &manner, &failure);
    if (request == NULL) {
        return refuse(L, failure);
    }
    uint64_t ticket = ++self->tickets;
    request->ticket = ticket;
    if (!engine_submit_and_drive(engine, request, manner.wait)) {
        endpoint_withdraw(endpoint, request->length);
        request_free(request);
        return refuse(L, FAILURE_NO_MEMORY);
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
    (void)forsake(self);
    if (lendpoint_check(L, 2) == NULL) {
        return refuse(L, FAILURE_CLOSED);
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
                      ? refuse(L, FAILURE_CLOSED)
                      : submit_encoded(L, self, endpoint, encoder, signer);
    encoder_end(encoder);
    return results;
}

/* ---- answers ---- */

static struct lquestion *check_question(lua_State *L, int index)
{
    return compat_checkobject(L, index, QUESTION_CLASS);
}

/* A question without its request, which is put in when nothing can be raised any more. */
static struct lquestion *push_question(lua_State *L)
{
    struct lquestion *question = compat_newobject(L, QUESTION_CLASS, sizeof *question);
    question->owner = lengine_check(L, 1);
    question->generation = question->owner->generation;
    lua_pushvalue(L, 1);
    compat_anchor(L, -2);
    return question;
}

/* False, and nothing given back, when there is no engine any more that has asked. */
static bool give_back(const struct lquestion *question, enum request_verb verb)
{
    struct lengine *owner = question->owner;
    question->request->verb = verb;
    return lengine_is_ours(owner) && question->generation == owner->generation &&
           engine_resubmit(owner->engine, question->request);
}

/* It is over: counted out here, out of its lane there. */
static void release_question(struct lquestion *question)
{
    struct request *request = question->request;
    if (request == NULL) {
        return;
    }
    endpoint_dismiss(request->endpoint, request);
    if (question->generation == question->owner->generation) {
        question->owner->pending--;
    }
    if (!give_back(question, REQUEST_RELEASE)) {
        request_free(request);
    }
    question->request = NULL;
}

static int question_release(lua_State *L)
{
    release_question(check_question(L, 1));
    return 0;
}

static int question_again(lua_State *L)
{
    struct lquestion *question = check_question(L, 1);
    struct request *request = question->request;
    double seconds = luaL_checknumber(L, 2);
    luaL_argcheck(L, request != NULL, 1, "it is decided");
    request->pause = seconds > 0 ? seconds : 0;
    bool again = give_back(question, REQUEST_AGAIN);
    if (again) {
        question->request = NULL;
    } else {
        release_question(question);
    }
    lua_pushboolean(L, again);
    return 1;
}

static void drop_answer(struct lengine *self)
{
    request_free(engine_take(self->engine));
    self->pending--;
}

static int take_command(lua_State *L, struct lengine *self, const struct request *request);

/* Lua may raise for want of memory while the answer is pushed: it stays the engine's until then. */
static int lengine_take(lua_State *L)
{
    struct lengine *self = lengine_check(L, 1);
    const struct request *next = lengine_is_ours(self) ? engine_peek(self->engine) : NULL;
    if (next == NULL) {
        return 0;
    }
    lua_pushinteger(L, (lua_Integer)next->ticket);
    if (next->verb == REQUEST_COMMAND) {
        return take_command(L, self, next);
    }
    if (next->outcome.failure == FAILURE_NONE) {
        drop_answer(self);
        return 1;
    }
    push_outcome(L, &next->outcome);
    if (!next->outcome.question) {
        drop_answer(self);
        return 2;
    }
    struct lquestion *question = push_question(L);
    question->request = engine_take(self->engine);
    return 3;
}

static int lengine_wait(lua_State *L)
{
    struct lengine *self = lengine_check(L, 1);
    double seconds = luaL_checknumber(L, 2);
    lua_pushboolean(L, lengine_is_ours(self) && engine_wait(self->engine, seconds));
    return 1;
}

static int lengine_pending(lua_State *L)
{
    const struct lengine *self = lengine_check(L, 1);
    lua_pushinteger(L, (lua_Integer)(lengine_is_ours(self) ? self->pending : 0));
    return 1;
}

/* ---- the outbox ---- */

/* In the order of enum command_kind. */
static const char *const asked[] = {"begin", "leave",   "figures", "letters",
                                    "retry", "discard", NULL};
static const char *const told[] = {"died", "paused", "resumed", "troubled"};

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
    set_string(L, "told", told[command->kind - COMMAND_DIED]);
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

/* Whether somebody waits for its answer: nobody does for what is told, nor for a beginning. */
static bool is_awaited(const struct request *request)
{
    return request->command->kind < COMMAND_DIED && request->command->kind != COMMAND_BEGIN;
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
static int take_command(lua_State *L, struct lengine *self, const struct request *request)
{
    bool is_answer = request->command->kind < COMMAND_DIED;
    if (request->outcome.failure == FAILURE_NONE) {
        lua_pushnil(L);
    } else {
        push_outcome(L, &request->outcome);
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

static int lengine_command(lua_State *L)
{
    struct lengine *self = lengine_check(L, 1);
    struct engine *engine = ready_engine(L, self);
    struct endpoint *endpoint = lendpoint_check(L, 2);
    if (endpoint == NULL) {
        return refuse(L, FAILURE_CLOSED);
    }
    luaL_argcheck(L, endpoint->settings.outbox.driver != NULL, 2, "it has no outbox");
    struct request *request = read_command(L, endpoint);
    if (request == NULL) {
        return refuse(L, FAILURE_NO_MEMORY);
    }
    bool leaves = request->command->kind == COMMAND_LEAVE;
    bool awaited = is_awaited(request);
    uint64_t ticket = ++self->tickets;
    request->ticket = ticket;
    if (leaves && !engine_is_running(engine)) {
        request_free(request);
        return 0;
    }
    if (!engine_submit(engine, request)) {
        request_free(request);
        return refuse(L, FAILURE_NO_MEMORY);
    }
    endpoint->asked += awaited;
    self->pending += awaited;
    lua_pushinteger(L, (lua_Integer)ticket);
    lua_pushinteger(L, (lua_Integer)self->generation);
    return 2;
}

/* ---- event loops ---- */

static int push_errno(lua_State *L)
{
    lua_pushnil(L);
    lua_pushstring(L, strerror(errno));
    return 2;
}

static int lengine_fileno(lua_State *L)
{
    int descriptor = engine_descriptor(ready_engine(L, lengine_check(L, 1)));
    if (descriptor < 0) {
        return push_errno(L);
    }
    lua_pushinteger(L, descriptor);
    return 1;
}

static int lengine_listen(lua_State *L)
{
    const char *path = engine_listen(ready_engine(L, lengine_check(L, 1)));
    if (path == NULL) {
        return push_errno(L);
    }
    lua_pushstring(L, path);
    return 1;
}

static int lengine_forsake(lua_State *L)
{
    struct lengine *self = lengine_check(L, 1);
    (void)forsake(self);
    lua_pushinteger(L, (lua_Integer)self->generation);
    return 1;
}

static int lengine_calm(lua_State *L)
{
    struct lengine *self = lengine_check(L, 1);
    if (lengine_is_ours(self)) {
        engine_calm(self->engine);
    }
    return 0;
}

static int lengine_remind(lua_State *L)
{
    struct lengine *self = lengine_check(L, 1);
    if (lengine_is_ours(self)) {
        engine_remind(self->engine);
    }
    return 0;
}

static const luaL_Reg engine_methods[] = {
    {"remind", lengine_remind},   {"open", lendpoint_open},     {"take", lengine_take},
    {"wait", lengine_wait},       {"fileno", lengine_fileno},   {"listen", lengine_listen},
    {"calm", lengine_calm},       {"forsake", lengine_forsake}, {"close", lengine_close},
    {"pending", lengine_pending}, {"command", lengine_command}, {NULL, NULL},
};

static const luaL_Reg submit_method[] = {{"submit", lengine_submit}, {NULL, NULL}};

static const luaL_Reg question_methods[] = {
    {"again", question_again},
    {"release", question_release},
    {NULL, NULL},
};

void lengine_open(lua_State *L)
{
    compat_newclass(L, ENGINE_CLASS, engine_methods, lengine_gc);
    compat_newclass(L, QUESTION_CLASS, question_methods, question_release);
    lendpoint_class(L);
    luaL_getmetatable(L, ENGINE_CLASS);
    (void)encoder_push(L); /* module, class, encoder */
    compat_setfuncs(L, submit_method, 1);
    lua_pop(L, 1);
    lua_pushcfunction(L, engine_create);
    lua_setfield(L, -2, "engine");
}
