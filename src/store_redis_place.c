#include "store_redis_place.h"

#include <math.h>  /* isfinite(3) */
#include <stdio.h> /* snprintf(3) */
#include <stdlib.h>
#include <string.h>

enum { KEY_ROOM = 32 }; /* bytes of a key beside its prefix, source and mark */

bool redis_no_memory(struct store_problem *problem)
{
    return redis_problem(problem, STORE_NO_MEMORY, "no memory for the outbox");
}

/* ---- sources ---- */

void redis_place_free(struct place *place)
{
    for (int i = 0; i < REDIS_KEYS; i++) {
        free(place->keys[i]);
    }
    free(place->name);
    free(place);
}

static char *key_of(const struct store *store, const char *encoded, enum redis_key key)
{
    static const char *const names[REDIS_KEYS] = {
        [REDIS_STATE] = "state",     [REDIS_PENDING] = "pending", [REDIS_DEAD] = "dead",
        [REDIS_LETTERS] = "letters", [REDIS_LEASE] = "lease",     [REDIS_LAST] = "last",
    };
    size_t size = strlen(store->link.url.prefix) + strlen(encoded) + strlen(store->mark) + KEY_ROOM;
    char *text = malloc(size);
    if (text != NULL) {
        (void)snprintf(text, size, "%s{%s}:%s%s%s", store->link.url.prefix, encoded, names[key],
                       key == REDIS_LAST ? ":" : "", key == REDIS_LAST ? store->mark : "");
    }
    return text;
}

static struct place *make_place(struct store *store, const char *source)
{
    struct place *place = calloc(1, sizeof *place);
    char *encoded = redis_url_encode(source);
    bool fine = place != NULL && encoded != NULL && (place->name = strdup(source)) != NULL;
    for (int i = 0; fine && i < REDIS_KEYS; i++) {
        place->keys[i] = key_of(store, encoded, (enum redis_key)i);
        fine = place->keys[i] != NULL;
    }
    free(encoded);
    if (!fine && place != NULL) {
        redis_place_free(place);
        return NULL;
    }
    if (fine) {
        place->next = store->places;
        store->places = place;
    }
    return place;
}

struct place *redis_place_find(struct store *store, const char *source,
                               struct store_problem *problem)
{
    for (struct place *place = store->places; place != NULL; place = place->next) {
        if (strcmp(place->name, source) == 0) {
            return place;
        }
    }
    struct place *place = make_place(store, source);
    if (place == NULL) {
        (void)redis_no_memory(problem);
    }
    return place;
}

/* ---- scripts ---- */

/* A script's command: its name comes later, then the keys; room for so many arguments. */
bool redis_prepare(struct redis_command *command, const struct place *place, size_t arguments,
                   struct store_problem *problem)
{
    if (!redis_command_init(command, REDIS_LEAD + arguments)) {
        return redis_no_memory(problem);
    }
    redis_command_text(command, "");
    redis_command_text(command, "");
    redis_command_number(command, REDIS_KEYS);
    for (int i = 0; i < REDIS_KEYS; i++) {
        redis_command_text(command, place->keys[i]);
    }
    return true;
}

bool redis_is_holder(const struct store *store, const struct place *place)
{
    return place->token != 0 && place->history == store->link.history;
}

bool redis_fenced(struct place *place, struct store_problem *problem)
{
    place->token = 0;
    return redis_problem(problem, STORE_FENCED, "this process does not hold the source's lease");
}

bool redis_settle(struct store *store, struct place *place, bool keep, uint64_t *first,
                  enum redis_outcome *outcome, struct store_problem *problem)
{
    struct redis_command command;
    *outcome = REDIS_REFUSED;
    if (!redis_prepare(&command, place, 2, problem)) {
        return false;
    }
    redis_command_number(&command, place->doubt);
    redis_command_text(&command, keep ? "1" : "0");
    redisReply *reply = redis_link_script(&store->link, REDIS_SETTLE, &command, outcome, problem);
    redis_command_release(&command);
    if (reply == NULL) {
        return false;
    }
    bool fine = (redis_reply_number(reply, first) && *first <= STORE_MOST_ID) ||
                redis_link_nonsense(&store->link, problem);
    freeReplyObject(reply);
    place->doubt = fine ? 0 : place->doubt;
    return fine;
}

bool redis_ready(struct store *store, struct place *place, enum redis_outcome *outcome,
                 struct store_problem *problem)
{
    uint64_t first;
    *outcome = REDIS_REFUSED;
    return redis_link_ready(&store->link, problem) &&
           (place->doubt == 0 || redis_settle(store, place, false, &first, outcome, problem));
}

redisReply *redis_run(struct store *store, struct place *place, enum redis_script script,
                      struct redis_command *command, bool holds, struct store_problem *problem)
{
    redisReply *reply = NULL;
    enum redis_outcome outcome = REDIS_LOST;
    for (int i = 0; i < 2 && reply == NULL && outcome == REDIS_LOST; i++) {
        if (!redis_ready(store, place, &outcome, problem)) {
            continue;
        }
        if (holds && !redis_is_holder(store, place)) {
            (void)redis_fenced(place, problem);
            return NULL;
        }
        reply = redis_link_script(&store->link, script, command, &outcome, problem);
    }
    if (reply == NULL && problem->trouble == STORE_FENCED) {
        (void)redis_fenced(place, problem);
    }
    return reply;
}

bool redis_run_number(struct store *store, struct place *place, enum redis_script script,
                      struct redis_command *command, uint64_t *number,
                      struct store_problem *problem)
{
    redisReply *reply = redis_run(store, place, script, command, false, problem);
    if (reply == NULL) {
        return false;
    }
    bool fine = redis_reply_number(reply, number) || redis_link_nonsense(&store->link, problem);
    freeReplyObject(reply);
    return fine;
}

redisReply *redis_call(struct store *store, const struct redis_command *command,
                       struct store_problem *problem)
{
    redisReply *reply = NULL;
    enum redis_outcome outcome = REDIS_LOST;
    for (int i = 0; i < 2 && reply == NULL && outcome == REDIS_LOST; i++) {
        outcome = REDIS_REFUSED;
        if (redis_link_ready(&store->link, problem)) {
            reply = redis_link_call(&store->link, command, &outcome, problem);
        }
    }
    return reply;
}

/* ---- times: whole microseconds, as Redis has them ---- */

uint64_t redis_microseconds(double time)
{
    return isfinite(time) && time > 0 && time < 1e11 ? (uint64_t)(time * 1e6 + 0.5) : 0;
}

double redis_seconds(uint64_t time)
{
    return (double)time / 1e6;
}
