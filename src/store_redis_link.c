#include "store_redis_link.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>  /* snprintf(3) */
#include <stdlib.h> /* free(3) */
#include <string.h>
#include <sys/time.h> /* timeval */

#include "clock.h"
#include "signals.h"
#include "store_redis_greet.h"
#include "store_redis_refusal.h"

enum {
    MOST_REPLY = 512 << 20,    /* bytes of a reply */
    BYTES_PER_SECOND = 1 << 20 /* that a slow network must at least carry */
};

static const double FIRST_PAUSE = 0.1;
static const double LONGEST_PAUSE = 5;

/* ---- losing the connection ---- */

static void disconnect(struct redis_link *link)
{
    if (link->context != NULL) {
        redisFree(link->context);
        link->context = NULL;
    }
}

/* For the calls that come too soon. */
static void back_off(struct redis_link *link, const struct store_problem *problem)
{
    link->again = clock_now() + link->pause;
    link->pause = link->pause * 2 < LONGEST_PAUSE ? link->pause * 2 : LONGEST_PAUSE;
    (void)snprintf(link->reason, sizeof link->reason, "%s", problem->reason);
}

/* The connection broke: the next attempt may be at once, unless the one before broke, too. */
static enum redis_outcome broken(struct redis_link *link, struct store_problem *problem,
                                 const char *how)
{
    (void)redis_problem(problem, STORE_UNAVAILABLE, "Redis at %s %s", link->url.place, how);
    disconnect(link);
    if (++link->losses > 1) {
        back_off(link, problem);
    }
    return REDIS_LOST;
}

static enum redis_outcome silent(struct redis_link *link, struct store_problem *problem)
{
    (void)redis_problem(problem, STORE_UNAVAILABLE, "Redis at %s does not answer in %g s",
                        link->url.place, link->url.timeout);
    disconnect(link);
    back_off(link, problem);
    return REDIS_SILENT;
}

bool redis_link_nonsense(struct redis_link *link, struct store_problem *problem)
{
    (void)broken(link, problem, "answers what it was not asked: is it Redis?");
    return false;
}

/* ---- errors ---- */

/* A url that lacks the password is not going to get one; a server may get its own back. */
static enum store_trouble trouble_of(const struct redis_link *link,
                                     const struct redis_refusal *refusal)
{
    return strcmp(refusal->word, "NOAUTH") == 0 && !link->was_connected ? STORE_UNFIT
                                                                        : refusal->trouble;
}

/* An unknown error is told by its code alone: its text may quote what was sent. */
void redis_link_refused(struct redis_link *link, const redisReply *error,
                        struct store_problem *problem)
{
    const struct redis_refusal *refusal = redis_refusal_of(error->str);
    if (refusal != NULL) {
        (void)redis_problem(problem, trouble_of(link, refusal), "Redis at %s %s", link->url.place,
                            refusal->sentence);
        if (refusal->disconnects) {
            disconnect(link);
            back_off(link, problem);
        }
        return;
    }
    size_t code = 0;
    while (code < 24 && error->str[code] >= 'A' && error->str[code] <= 'Z') {
        code++;
    }
    (void)redis_problem(problem, STORE_UNAVAILABLE, "Redis at %s refuses a command (%.*s)",
                        link->url.place, code > 0 ? (int)code : 7,
                        code > 0 ? error->str : "no code");
}

/* ---- a command and its answer ---- */

/* Waits until the socket can be read or written; false when it is late. */
static bool wait_for(const struct redis_link *link, short events, double deadline)
{
    struct pollfd file = {.fd = link->context->fd, .events = events};
    double left = deadline - clock_now();
    if (left <= 0) {
        return false;
    }
    int ready = poll(&file, 1, (int)(left * 1000) + 1);
    return ready > 0 || (ready < 0 && errno == EINTR);
}

static enum redis_outcome write_all(struct redis_link *link, double deadline,
                                    struct store_problem *problem)
{
    int done = 0;
    while (!done) {
        if (!wait_for(link, POLLOUT, deadline)) {
            return silent(link, problem);
        }
        if (redisBufferWrite(link->context, &done) != REDIS_OK) {
            return broken(link, problem, "has closed the connection");
        }
    }
    return REDIS_ANSWERED;
}

static enum redis_outcome reading_failed(struct redis_link *link, struct store_problem *problem)
{
    int error = link->context->err;
    return broken(link, problem,
                  error == REDIS_ERR_PROTOCOL || error == REDIS_ERR_OOM
                      ? "answers what cannot be read: is it Redis?"
                      : "has closed the connection");
}

static enum redis_outcome read_one(struct redis_link *link, double deadline, redisReply **reply,
                                   struct store_problem *problem)
{
    size_t received = 0;
    for (void *whole = NULL;;) {
        if (redisGetReplyFromReader(link->context, &whole) != REDIS_OK) {
            return reading_failed(link, problem);
        }
        if (whole != NULL) {
            *reply = whole;
            return REDIS_ANSWERED;
        }
        size_t before = link->context->reader->len;
        if (!wait_for(link, POLLIN, deadline + (double)received / BYTES_PER_SECOND)) {
            return silent(link, problem);
        }
        if (redisBufferRead(link->context) != REDIS_OK) {
            return reading_failed(link, problem);
        }
        received += link->context->reader->len - before;
        if (received > MOST_REPLY) {
            return broken(link, problem, "answers without an end: is it Redis?");
        }
    }
}

/* Nothing is expected: a server that has closed an idle connection shows here, in time. */
static bool is_quiet(const struct redis_link *link)
{
    struct pollfd file = {.fd = link->context->fd, .events = POLLIN};
    return link->context->reader->pos == link->context->reader->len && poll(&file, 1, 0) == 0;
}

static enum redis_outcome exchange(struct redis_link *link, const struct redis_command *command,
                                   redisReply **reply, struct store_problem *problem)
{
    size_t bytes = 0;
    for (size_t i = 0; i < command->count; i++) {
        bytes += command->lengths[i];
    }
    double deadline = clock_now() + link->url.timeout + (double)bytes / BYTES_PER_SECOND;
    if (redisAppendCommandArgv(link->context, (int)command->count, command->texts,
                               command->lengths) != REDIS_OK) {
        disconnect(link);
        (void)redis_problem(problem, STORE_NO_MEMORY, "no memory for a command to Redis");
        return REDIS_REFUSED;
    }
    enum redis_outcome outcome = write_all(link, deadline, problem);
    return outcome == REDIS_ANSWERED ? read_one(link, deadline, reply, problem) : outcome;
}

/* hiredis writes to a socket that the other side may have closed. */
static redisReply *ask(struct redis_link *link, const struct redis_command *command,
                       enum redis_outcome *outcome, struct store_problem *problem)
{
    struct signals signals;
    redisReply *reply = NULL;
    signals_hold_pipe(&signals);
    *outcome = exchange(link, command, &reply, problem);
    signals_release(&signals);
    return reply;
}

/* The reply, unless it is an error. */
static redisReply *judge(struct redis_link *link, redisReply *reply, enum redis_outcome *outcome,
                         struct store_problem *problem)
{
    if (reply != NULL && reply->type == REDIS_REPLY_ERROR) {
        *outcome = REDIS_REFUSED;
        redis_link_refused(link, reply, problem);
        freeReplyObject(reply);
        return NULL;
    }
    if (reply != NULL) {
        link->losses = 0;
        link->pause = FIRST_PAUSE;
    }
    return reply;
}

redisReply *redis_link_call(struct redis_link *link, const struct redis_command *command,
                            enum redis_outcome *outcome, struct store_problem *problem)
{
    redisReply *reply = ask(link, command, outcome, problem);
    return judge(link, reply, outcome, problem);
}

redisReply *redis_link_say(struct redis_link *link, enum redis_outcome *outcome,
                           struct store_problem *problem, size_t count, const char *const *words)
{
    const char *texts[4];
    size_t lengths[4];
    struct redis_command command = {.texts = texts, .lengths = lengths, .count = count};
    for (size_t i = 0; i < count; i++) {
        texts[i] = words[i];
        lengths[i] = strlen(words[i]);
    }
    return ask(link, &command, outcome, problem);
}

/* ---- scripts ---- */

/* A user that may not load scripts may still have them evaluated. */
static bool load(struct redis_link *link, enum redis_script script, enum redis_outcome *outcome,
                 struct store_problem *problem)
{
    char *name = link->names[script];
    redisReply *reply = REDIS_SAY(link, outcome, problem, "SCRIPT", "LOAD", link->texts[script]);
    if (reply == NULL) {
        return false;
    }
    bool is_name = reply->type == REDIS_REPLY_STRING && reply->len == REDIS_SCRIPT_NAME - 1;
    (void)snprintf(name, REDIS_SCRIPT_NAME, "%s", is_name ? reply->str : "-");
    freeReplyObject(reply);
    return true;
}

static void name_script(struct redis_link *link, enum redis_script script,
                        struct redis_command *command)
{
    bool known = link->names[script][0] != '-';
    command->texts[0] = known ? "EVALSHA" : "EVAL";
    command->texts[1] = known ? link->names[script] : link->texts[script];
    command->lengths[0] = strlen(command->texts[0]);
    command->lengths[1] = strlen(command->texts[1]);
}

redisReply *redis_link_script(struct redis_link *link, enum redis_script script,
                              struct redis_command *command, enum redis_outcome *outcome,
                              struct store_problem *problem)
{
    char *name = link->names[script];
    if (name[0] == '\0' && !load(link, script, outcome, problem)) {
        return NULL;
    }
    name_script(link, script, command);
    redisReply *reply = ask(link, command, outcome, problem);
    if (reply != NULL && reply->type == REDIS_REPLY_ERROR &&
        redis_has_word(reply->str, "NOSCRIPT")) {
        freeReplyObject(reply);
        name[0] = '-'; /* this time; it is loaded anew the next */
        name_script(link, script, command);
        reply = ask(link, command, outcome, problem);
        name[0] = '\0';
    }
    return judge(link, reply, outcome, problem);
}

/* ---- connecting ---- */

/* From here on we wait ourselves, by the clock: hiredis would wait anew for every byte. */
static bool unblock(redisContext *context)
{
    int flags = fcntl(context->fd, F_GETFL);
    context->flags &= ~REDIS_BLOCK;
    redis_reader_bound(context->reader);
    return flags >= 0 && fcntl(context->fd, F_SETFL, flags | O_NONBLOCK) == 0 &&
           fcntl(context->fd, F_SETFD, FD_CLOEXEC) == 0;
}

static bool open_socket(struct redis_link *link, struct store_problem *problem)
{
    const struct redis_url *url = &link->url;
    struct timeval limit = {.tv_sec = (time_t)url->timeout};
    limit.tv_usec = (suseconds_t)((url->timeout - (double)limit.tv_sec) * 1e6);
    redisContext *context = url->is_unix
                                ? redisConnectUnixWithTimeout(url->host, limit)
                                : redisConnectWithTimeout(url->host, (int)url->port, limit);
    if (context == NULL) {
        return redis_problem(problem, STORE_NO_MEMORY, "no memory for a connection to Redis");
    }
    if (context->err != 0 || !unblock(context)) {
        (void)redis_problem(problem, STORE_UNAVAILABLE, "Redis at %s cannot be reached: %s",
                            url->place, context->err != 0 ? context->errstr : "no descriptor");
        redisFree(context);
        return false;
    }
    (void)(url->is_unix || redisEnableKeepAlive(context));
    link->context = context;
    return true;
}

bool redis_link_ready(struct redis_link *link, struct store_problem *problem)
{
    if (link->context != NULL && is_quiet(link)) {
        return true;
    }
    disconnect(link);
    if (clock_now() < link->again) {
        return redis_problem(problem, STORE_UNAVAILABLE, "%s", link->reason);
    }
    if (open_socket(link, problem) && redis_link_greet(link, problem)) {
        (void)memset(link->names, 0, sizeof link->names);
        link->was_connected = true;
        return true;
    }
    disconnect(link);
    back_off(link, problem);
    return false;
}

/* ---- the beginning and the end ---- */

bool redis_link_init(struct redis_link *link, const struct redis_url *url)
{
    *link = (struct redis_link){.url = *url, .pause = FIRST_PAUSE};
    bool fine = redis_reader_prepare();
    for (int i = 0; i < REDIS_SCRIPTS; i++) {
        link->texts[i] = redis_script_text((enum redis_script)i);
        fine = fine && link->texts[i] != NULL;
    }
    return fine;
}

void redis_link_close(struct redis_link *link)
{
    disconnect(link);
    for (int i = 0; i < REDIS_SCRIPTS; i++) {
        free(link->texts[i]);
    }
    redis_url_wipe(&link->url);
}
