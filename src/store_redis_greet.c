#include "store_redis_greet.h"

#include <stdio.h>  /* snprintf(3) */
#include <string.h> /* strchr(3) strcmp(3) strcspn(3) strlen(3) strncmp(3) */

#include "store_redis_refusal.h"

/* ---- greeting ---- */

/* The value of a line `name:value` of INFO; "" when there is none. */
static void info_value(const char *info, const char *name, char *value, size_t size)
{
    size_t length = strlen(name);
    value[0] = '\0';
    for (const char *line = info; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, name, length) == 0 && line[length] == ':') {
            (void)snprintf(value, size, "%.*s", (int)strcspn(line + length + 1, "\r\n"),
                           line + length + 1);
            return;
        }
    }
}

/* Whether an error has nothing to do with the password: it may be gone the next time. */
static bool is_passing(const redisReply *reply)
{
    const struct redis_refusal *refusal =
        reply->type == REDIS_REPLY_ERROR ? redis_refusal_of(reply->str) : NULL;
    return refusal != NULL && strcmp(refusal->word, "WRONGPASS") != 0;
}

/* What an error to the password means must be said without what the server says. */
static bool log_in(struct redis_link *link, struct store_problem *problem)
{
    const struct redis_url *url = &link->url;
    enum redis_outcome outcome;
    if (url->password[0] == '\0') {
        return true;
    }
    redisReply *reply = url->user[0] != '\0'
                            ? REDIS_SAY(link, &outcome, problem, "AUTH", url->user, url->password)
                            : REDIS_SAY(link, &outcome, problem, "AUTH", url->password);
    if (reply == NULL) {
        return false;
    }
    bool fine = reply->type == REDIS_REPLY_STATUS;
    bool passes = is_passing(reply);
    if (passes) {
        redis_link_refused(link, reply, problem);
    }
    freeReplyObject(reply);
    if (fine || passes) {
        return fine;
    }
    return redis_problem(problem, link->was_connected ? STORE_UNAVAILABLE : STORE_UNFIT,
                         "Redis at %s does not accept the user or the password", url->place);
}

static bool select_db(struct redis_link *link, struct store_problem *problem)
{
    char number[24];
    enum redis_outcome outcome;
    if (link->url.db == 0) {
        return true;
    }
    (void)snprintf(number, sizeof number, "%u", link->url.db);
    redisReply *reply = REDIS_SAY(link, &outcome, problem, "SELECT", number);
    if (reply == NULL) {
        return false;
    }
    bool fine = reply->type == REDIS_REPLY_STATUS;
    if (!fine && reply->type == REDIS_REPLY_ERROR) {
        redis_link_refused(link, reply, problem);
    }
    freeReplyObject(reply);
    return fine ||
           (redis_has_word(problem->reason, "refuses a command")
                ? redis_problem(problem, STORE_UNFIT, "Redis at %s has no such db", link->url.place)
                : false);
}

/* Rows that were read from another run of the server may not be there any more. */
static void note_run(struct redis_link *link, const char *run)
{
    if (run[0] == '\0' || strcmp(run, link->run) != 0) {
        link->history++;
        (void)snprintf(link->run, sizeof link->run, "%s", run);
    }
}

/* One part of INFO; an error is no answer, and no failure: a user may not be permitted to ask. */
static bool inform(struct redis_link *link, const char *part, redisReply **info,
                   struct store_problem *problem)
{
    enum redis_outcome outcome;
    *info = REDIS_SAY(link, &outcome, problem, "INFO", part);
    if (*info == NULL) {
        return false;
    }
    bool is_error = (*info)->type == REDIS_REPLY_ERROR;
    if ((*info)->type == REDIS_REPLY_STRING) {
        return true;
    }
    bool goes_on = is_error && redis_has_word((*info)->str, "NOPERM");
    if (is_error && !goes_on) {
        redis_link_refused(link, *info, problem);
    }
    freeReplyObject(*info);
    *info = NULL;
    return goes_on || (!is_error && redis_link_nonsense(link, problem));
}

static bool is_new_enough(struct redis_link *link, struct store_problem *problem)
{
    redisReply *info;
    char run[sizeof link->run] = "";
    char version[24] = "";
    if (!inform(link, "server", &info, problem)) {
        return false;
    }
    if (info != NULL) {
        info_value(info->str, "run_id", run, sizeof run);
        info_value(info->str, "redis_version", version, sizeof version);
        freeReplyObject(info);
    }
    note_run(link, run);
    return version[0] == '\0' || version[0] > '9' || version[0] < '0' || version[0] >= '5' ||
           version[1] != '.' ||
           redis_problem(problem, STORE_UNFIT,
                         "Redis at %s is version %s, and the outbox needs 5 or newer",
                         link->url.place, version);
}

static bool is_master(struct redis_link *link, struct store_problem *problem)
{
    redisReply *info;
    char role[16] = "";
    if (!inform(link, "replication", &info, problem)) {
        return false;
    }
    if (info != NULL) {
        info_value(info->str, "role", role, sizeof role);
        freeReplyObject(info);
    }
    return strcmp(role, "slave") != 0 ||
           redis_problem(problem, STORE_UNAVAILABLE, "Redis at %s is a replica", link->url.place);
}

bool redis_link_greet(struct redis_link *link, struct store_problem *problem)
{
    return log_in(link, problem) && select_db(link, problem) && is_new_enough(link, problem) &&
           is_master(link, problem);
}

/* ---- how the server is set up ---- */

/* "" when it does not tell, or nobody may ask. */
static void configured(struct redis_link *link, const char *name, char *value, size_t size)
{
    struct store_problem problem;
    enum redis_outcome outcome;
    value[0] = '\0';
    redisReply *reply =
        link->context != NULL ? REDIS_SAY(link, &outcome, &problem, "CONFIG", "GET", name) : NULL;
    if (reply != NULL && redis_reply_is_strings(reply, 2)) {
        (void)snprintf(value, size, "%s", reply->element[1]->str);
    }
    if (reply != NULL) {
        freeReplyObject(reply);
    }
}

static void warn(const struct redis_link *link, const struct store_settings *settings,
                 const char *what)
{
    char sentence[STORE_REASON];
    (void)snprintf(sentence, sizeof sentence, "Redis at %s %s", link->url.place, what);
    settings->warn(settings->warn_context, sentence);
}

void redis_link_warn(struct redis_link *link, const struct store_settings *settings)
{
    char value[32];
    if (settings->warn == NULL) {
        return;
    }
    configured(link, "maxmemory-policy", value, sizeof value);
    if (value[0] != '\0' && strcmp(value, "noeviction") != 0) {
        warn(link, settings,
             "has a maxmemory-policy other than noeviction: when its memory is "
             "full it may throw accepted messages away");
    }
    configured(link, "appendonly", value, sizeof value);
    if (strcmp(value, "no") == 0) {
        warn(link, settings, "has appendonly off: when it stops, accepted messages may be lost");
        return;
    }
    configured(link, "appendfsync", value, sizeof value);
    if (value[0] != '\0' && strcmp(value, "always") != 0 && !settings->is_process_only) {
        warn(link, settings,
             strcmp(value, "everysec") == 0
                 ? "has appendfsync everysec: when its machine loses power, accepted messages of "
                   "up to a second may be lost"
                 : "has appendfsync off: when its machine loses power, accepted messages may be "
                   "lost");
    }
}
