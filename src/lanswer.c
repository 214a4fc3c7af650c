#include "lanswer.h"

#include "lcommand.h"
#include "lcompat.h"
#include "lengine.h"
#include "loutcome.h"

static const char QUESTION_CLASS[] = "sendapi.question";

/* A request that waits for its caller's decision. */
struct lquestion {
    struct request *request; /* NULL once decided */
    struct lengine *owner;   /* anchored in this userdata, and made before it, so finalized after */
    unsigned generation;     /* of the owner, when it was asked */
};

/* ---- questions ---- */

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

/* ---- taking ---- */

static void drop_answer(struct lengine *self)
{
    request_free(engine_take(self->engine));
    self->pending--;
}

/* Lua may raise for want of memory while the answer is pushed: it stays the engine's until then. */
int lanswer_take(lua_State *L)
{
    struct lengine *self = lengine_check(L, 1);
    const struct request *next = lengine_is_ours(self) ? engine_peek(self->engine) : NULL;
    if (next == NULL) {
        return 0;
    }
    lua_pushinteger(L, (lua_Integer)next->ticket);
    if (next->verb == REQUEST_COMMAND) {
        return lcommand_take(L, self, next);
    }
    if (next->outcome.failure == FAILURE_NONE) {
        drop_answer(self);
        return 1;
    }
    outcome_push(L, &next->outcome);
    if (!next->outcome.question) {
        drop_answer(self);
        return 2;
    }
    struct lquestion *question = push_question(L);
    question->request = engine_take(self->engine);
    return 3;
}

static const luaL_Reg question_methods[] = {
    {"again", question_again},
    {"release", question_release},
    {NULL, NULL},
};

void lanswer_class(lua_State *L)
{
    compat_newclass(L, QUESTION_CLASS, question_methods, question_release);
}
