/*
 * core.store(driver, place) -> store | nil, message
 *     Opens the outbox at a path or url, which must exist; store.lua has the driver. Every call
 *     blocks (store.h); those that fail return nil and a sentence without password or payload.
 *
 * store:sources() -> { name, … }
 * store:figures(source) -> { pending, pending_bytes, dead, oldest }
 * store:letters(source, after, limit, with_body) -> { letter, … }
 *     Dead letters with ids above `after`, at most `limit`.
 * store:look(source, after, limit, with_body) -> { letter, … }
 *     Pending rows: letters without what tells of their death.
 * store:retry(source, which) -> count
 * store:discard(source, which) -> count
 *     A letter's id, or a filter (lfilter.h). When it fails, some may be done already.
 * store:close()
 *     What comes after raises. In a child of the process that opened it nothing is said to the
 *     other side, and everything else fails.
 */

#include "lstore.h"

#include <stdint.h> /* SIZE_MAX */
#include <stdlib.h> /* free(3) */
#include <string.h> /* strlen(3) */
#include <unistd.h> /* getpid(2) */

#include "buffer.h"
#include "command.h"
#include "dead_letters.h"
#include "lcompat.h"
#include "lfilter.h"
#include "lletter.h"
#include "store.h"

static const char CLASS[] = "sendapi.store";

/* What a call finds is kept here until Lua has it, since Lua may raise for want of memory. */
struct lstore {
    const struct store_driver *driver;
    struct store *store; /* NULL: closed */
    pid_t process;       /* that opened it */
    struct command *found;
    struct buffer names; /* each terminated */
};

static int refuse(lua_State *L, const char *reason)
{
    lua_pushnil(L);
    lua_pushstring(L, reason);
    return 2;
}

static struct lstore *check_open(lua_State *L)
{
    struct lstore *self = compat_checkobject(L, 1, CLASS);
    luaL_argcheck(L, self->store != NULL, 1, "the store is closed");
    return self;
}

/* NULL, and what is to be returned is on the stack, in a child of the process that opened it. */
static struct lstore *check_usable(lua_State *L)
{
    struct lstore *self = check_open(L);
    if (self->process == getpid()) {
        return self;
    }
    (void)refuse(L, "the outbox was opened by the process that this one is a child of");
    return NULL;
}

static const char *check_text(lua_State *L, int index)
{
    size_t length;
    const char *text = luaL_checklstring(L, index, &length);
    luaL_argcheck(L, strlen(text) == length, index, "there is a NUL in it");
    return text;
}

static void forget(struct lstore *self)
{
    command_free(self->found);
    self->found = NULL;
    buffer_release(&self->names);
}

static int store_close(lua_State *L)
{
    struct lstore *self = compat_checkobject(L, 1, CLASS);
    forget(self);
    if (self->store != NULL && self->process == getpid()) {
        self->driver->close(self->store);
    } else if (self->store != NULL) {
        self->driver->abandon(self->store);
    }
    self->store = NULL;
    return 0;
}

static int store_new(lua_State *L)
{
    struct store_problem problem;
    luaL_checktype(L, 1, LUA_TLIGHTUSERDATA);
    const struct store_settings settings = {
        .path = check_text(L, 2),
        .must_exist = true,
        .lease_seconds = 10,
        .owner = "visitor", /* takes no lease */
    };
    struct lstore *self = compat_newobject(L, CLASS, sizeof *self);
    buffer_init(&self->names, 0, SIZE_MAX / 2);
    self->driver = lua_touserdata(L, 1);
    self->process = getpid();
    self->store = self->driver->open(&settings, &problem);
    return self->store != NULL ? 1 : refuse(L, problem.reason);
}

/* ---- sources and figures ---- */

static bool add_name(void *context, const char *name)
{
    struct buffer *names = context;
    buffer_append(names, name, strlen(name) + 1);
    return names->failure == BUFFER_FINE;
}

static void push_names(lua_State *L, const struct buffer *names)
{
    const char *bytes = buffer_bytes(names);
    int count = 0;
    lua_newtable(L);
    for (size_t at = 0; at < names->length; at += strlen(bytes + at) + 1) {
        lua_pushstring(L, bytes + at);
        lua_rawseti(L, -2, ++count);
    }
}

static int store_sources(lua_State *L)
{
    struct store_problem problem;
    struct lstore *self = check_usable(L);
    if (self == NULL) {
        return 2;
    }
    forget(self);
    if (!self->driver->sources(self->store, add_name, &self->names, &problem)) {
        return refuse(L, problem.reason);
    }
    if (self->names.failure != BUFFER_FINE) {
        return refuse(L, "there is no memory left");
    }
    push_names(L, &self->names);
    forget(self);
    return 1;
}

static int store_figures(lua_State *L)
{
    struct store_figures figures;
    struct store_problem problem;
    struct lstore *self = check_usable(L);
    if (self == NULL) {
        return 2;
    }
    if (!self->driver->figures(self->store, check_text(L, 2), &figures, &problem)) {
        return refuse(L, problem.reason);
    }
    figures_push(L, &figures);
    return 1;
}

/* ---- rows and letters ---- */

struct finding {
    struct command *found;
    bool with_body;
    bool is_whole; /* there was memory for all */
};

static bool add_letter(void *context, const struct store_letter *letter)
{
    struct finding *finding = context;
    struct store_letter shown = *letter;
    if (!finding->with_body) {
        shown.row.body = NULL;
    }
    finding->is_whole = command_add_letter(finding->found, &shown);
    return finding->is_whole;
}

static bool add_row(void *context, const struct store_row *row)
{
    return add_letter(context, &(struct store_letter){.row = *row, .code = "", .reason = ""});
}

static void push_found(lua_State *L, const struct command *found)
{
    int count = 0;
    lua_newtable(L);
    for (const struct command_letter *letter = found->letters; letter != NULL;
         letter = letter->next) {
        letter_push(L, &letter->letter);
        lua_rawseti(L, -2, ++count);
    }
}

/* A whole number in the range of ids, where every Lua tells them apart. */
static uint64_t check_id(lua_State *L, int index, uint64_t least, const char *message)
{
    lua_Number id = luaL_checknumber(L, index);
    luaL_argcheck(L, id >= 0 && id <= (lua_Number)STORE_MOST_ID, index, message);
    luaL_argcheck(L, (lua_Number)(uint64_t)id == id && (uint64_t)id >= least, index, message);
    return (uint64_t)id;
}

static int find(lua_State *L, bool is_dead)
{
    struct store_problem problem;
    struct lstore *self = check_usable(L);
    if (self == NULL) {
        return 2;
    }
    const char *source = check_text(L, 2);
    uint64_t after = check_id(L, 3, 0, "an id expected");
    lua_Number limit = luaL_checknumber(L, 4);
    luaL_argcheck(L, limit >= 0 && limit < 1e9, 4, "a count expected");
    const struct store_driver *driver = self->driver;
    forget(self);
    self->found = command_new(COMMAND_LETTERS);
    struct finding finding = {self->found, lua_toboolean(L, 5) != 0, self->found != NULL};
    bool is_fine =
        finding.is_whole && (is_dead ? driver->letters(self->store, source, after, (size_t)limit,
                                                       add_letter, &finding, &problem)
                                     : driver->look(self->store, source, after, (size_t)limit,
                                                    add_row, &finding, &problem));
    if (!finding.is_whole) {
        return refuse(L, "there is no memory left");
    }
    if (!is_fine) {
        return refuse(L, problem.reason);
    }
    push_found(L, self->found);
    forget(self);
    return 1;
}

static int store_letters(lua_State *L)
{
    return find(L, true);
}

static int store_look(lua_State *L)
{
    return find(L, false);
}

static int settle(lua_State *L, bool is_retry)
{
    struct store_problem problem;
    struct letter_filter filter;
    struct dead_letters work = {.is_retry = is_retry};
    const struct lstore *self = check_usable(L);
    if (self == NULL) {
        return 2;
    }
    const char *source = check_text(L, 2);
    if (lua_istable(L, 3)) {
        filter = filter_read(L, 3);
        work.filter = &filter;
    } else {
        work.id = check_id(L, 3, 1, "an id or a filter expected");
    }
    while (!work.is_done) {
        if (!dead_letters_step(self->driver, self->store, source, &work, &problem)) {
            return refuse(L, problem.reason);
        }
    }
    lua_pushinteger(L, (lua_Integer)work.count);
    return 1;
}

static int store_retry(lua_State *L)
{
    return settle(L, true);
}

static int store_discard(lua_State *L)
{
    return settle(L, false);
}

static const luaL_Reg methods[] = {
    {"sources", store_sources}, {"figures", store_figures},
    {"letters", store_letters}, {"look", store_look},
    {"retry", store_retry},     {"discard", store_discard},
    {"close", store_close},     {NULL, NULL},
};

void store_open(lua_State *L)
{
    compat_newclass(L, CLASS, methods, store_close);
    lua_pushcfunction(L, store_new);
    lua_setfield(L, -2, "store");
}
