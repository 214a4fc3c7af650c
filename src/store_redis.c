#include "store_redis.h"

#include <stdatomic.h>
#include <stdio.h> /* snprintf(3) */
#include <stdlib.h>
#include <string.h>
#include <time.h>   /* clock_gettime(2) */
#include <unistd.h> /* getpid(2) */

#include "store_redis_greet.h"
#include "store_redis_place.h"

enum { MOST_APPEND = 256 << 20 }; /* bytes at once: a server takes no command above 512 MB or so */

static uint64_t now(void)
{
    struct timespec time = {0};
    (void)clock_gettime(CLOCK_REALTIME, &time);
    return (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_nsec / 1000;
}

/* ---- append ---- */

/* FNV-1a of one thing after another. */
static uint64_t digest_bytes(uint64_t digest, const void *bytes, size_t length)
{
    const unsigned char *byte = bytes;
    digest = (digest ^ length) * 1099511628211u;
    for (size_t i = 0; i < length; i++) {
        digest = (digest ^ byte[i]) * 1099511628211u;
    }
    return digest;
}

static uint64_t digest_rows(const struct store_row *rows, size_t count)
{
    uint64_t digest = 14695981039346656037u;
    for (size_t i = 0; i < count; i++) {
        uint64_t time = redis_microseconds(rows[i].time);
        digest = digest_bytes(digest, rows[i].lane, rows[i].lane_length);
        digest = digest_bytes(digest, rows[i].body, rows[i].length);
        digest = digest_bytes(digest, &time, sizeof time);
        digest = digest_bytes(digest, rows[i].action, strlen(rows[i].action));
    }
    return digest;
}

static bool prepare_append(struct redis_command *command, const struct place *place,
                           const struct store_row *rows, size_t count,
                           struct store_problem *problem)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        bytes += rows[i].length + rows[i].lane_length;
    }
    if (bytes > MOST_APPEND) {
        return redis_problem(problem, STORE_UNAVAILABLE,
                             "%zu bytes at once are more than the outbox gives to Redis", bytes);
    }
    if (!redis_prepare(command, place, 1 + 4 * count, problem)) {
        return false;
    }
    redis_command_text(command, ""); /* its number, with each attempt */
    for (size_t i = 0; i < count; i++) {
        redis_command_bytes(command, rows[i].lane, rows[i].lane_length);
        redis_command_bytes(command, rows[i].body, rows[i].length);
        redis_command_number(command, redis_microseconds(rows[i].time));
        redis_command_text(command, rows[i].action);
    }
    return true;
}

/* Sends it once; *first is the id of its first row. */
static bool append_once(struct store *store, struct place *place, struct redis_command *command,
                        uint64_t *first, enum redis_outcome *outcome, struct store_problem *problem)
{
    char number[24];
    uint64_t this = ++store->appends;
    (void)snprintf(number, sizeof number, "%llu", (unsigned long long)this);
    command->texts[REDIS_LEAD] = number;
    command->lengths[REDIS_LEAD] = strlen(number);
    redisReply *reply = redis_link_script(&store->link, REDIS_APPEND, command, outcome, problem);
    if (reply == NULL) {
        place->doubt = *outcome == REDIS_REFUSED ? 0 : this;
        return false;
    }
    bool fine = redis_reply_number(reply, first) && *first > 0 && *first <= STORE_MOST_ID;
    freeReplyObject(reply);
    if (!fine) {
        place->doubt = this;
        *outcome = REDIS_SILENT;
        return redis_link_nonsense(&store->link, problem);
    }
    return true;
}

/* One attempt, that begins with the one before when its answer was lost. */
static bool append_or_find(struct store *store, struct place *place, struct redis_command *command,
                           uint64_t digest, uint64_t *first, enum redis_outcome *outcome,
                           struct store_problem *problem)
{
    *outcome = REDIS_REFUSED;
    *first = 0;
    if (!redis_link_ready(&store->link, problem) ||
        (place->doubt != 0 &&
         !redis_settle(store, place, place->digest == digest, first, outcome, problem))) {
        return false;
    }
    place->digest = digest;
    return *first > 0 || append_once(store, place, command, first, outcome, problem);
}

static bool redis_append(struct store *store, const char *source, struct store_row *rows,
                         size_t count, struct store_problem *problem)
{
    struct redis_command command;
    struct place *place = redis_place_find(store, source, problem);
    if (place == NULL || (count > 0 && !prepare_append(&command, place, rows, count, problem))) {
        return false;
    }
    if (count == 0) {
        return true;
    }
    uint64_t first = 0;
    uint64_t digest = digest_rows(rows, count);
    enum redis_outcome outcome;
    bool fine = append_or_find(store, place, &command, digest, &first, &outcome, problem);
    for (int i = 0; i < 2 && !fine && outcome == REDIS_LOST; i++) {
        fine = append_or_find(store, place, &command, digest, &first, &outcome, problem);
    }
    redis_command_release(&command);
    for (size_t i = 0; fine && i < count; i++) {
        rows[i].id = first + i;
    }
    return fine;
}

/* ---- leases ---- */

/* A lease that was lost to the server's forgetting or to another holder is told once. */
static bool is_told_lost(const struct store *store, struct place *place)
{
    if (place->token == 0 || redis_is_holder(store, place)) {
        return false;
    }
    place->token = 0;
    return true;
}

static enum store_lease take(struct store *store, struct place *place,
                             struct redis_command *command, struct store_problem *problem)
{
    bool was_held = place->token != 0;
    uint64_t token;
    if (was_held) {
        redis_command_number(command, place->token);
    } else {
        redis_command_text(command, "");
    }
    redis_command_number(command, store->lease_ms);
    if (!redis_run_number(store, place, REDIS_TAKE, command, &token, problem)) {
        return STORE_LEASE_UNKNOWN;
    }
    if (was_held && !redis_is_holder(store, place)) { /* the server started anew in between */
        token = 0;
    }
    place->token = token;
    place->history = store->link.history;
    return token != 0 ? STORE_LEASE_HELD : STORE_LEASE_TAKEN;
}

static enum store_lease redis_lease(struct store *store, const char *source,
                                    struct store_problem *problem)
{
    struct redis_command command;
    enum redis_outcome outcome;
    struct place *place = redis_place_find(store, source, problem);
    if (place == NULL || !redis_ready(store, place, &outcome, problem)) {
        return STORE_LEASE_UNKNOWN;
    }
    if (is_told_lost(store, place)) {
        return STORE_LEASE_TAKEN;
    }
    if (!redis_prepare(&command, place, 3, problem)) {
        return STORE_LEASE_UNKNOWN;
    }
    redis_command_text(&command, store->owner);
    enum store_lease lease = take(store, place, &command, problem);
    redis_command_release(&command);
    return lease;
}

static void give_back(struct store *store, struct place *place)
{
    struct redis_command command;
    struct store_problem problem;
    enum redis_outcome outcome;
    if (place->token != 0 && redis_link_ready(&store->link, &problem) &&
        redis_prepare(&command, place, 2, &problem)) {
        redis_command_text(&command, store->owner);
        redis_command_number(&command, place->token);
        redisReply *reply =
            redis_link_script(&store->link, REDIS_RELEASE, &command, &outcome, &problem);
        if (reply != NULL) {
            freeReplyObject(reply);
        }
        redis_command_release(&command);
    }
    place->token = 0;
}

static void redis_release(struct store *store, const char *source)
{
    for (struct place *place = store->places; place != NULL; place = place->next) {
        if (strcmp(place->name, source) == 0) {
            give_back(store, place);
        }
    }
}

static double redis_lease_seconds(const struct store *store)
{
    return (double)store->lease_ms / 1000;
}

/* ---- what is ended ---- */

static void add_end(struct redis_command *command, const struct store_end *end)
{
    bool tells = !end->is_delivered;
    redis_command_number(command, end->id);
    redis_command_text(command, tells ? "0" : "1");
    redis_command_text(command, tells && end->code != NULL ? end->code : "");
    redis_command_text(command, tells && end->reason != NULL ? end->reason : "");
    redis_command_number(command, end->status > 0 ? (uint64_t)end->status : 0);
    redis_command_number(command, end->attempts);
    redis_command_number(command, redis_microseconds(end->time));
}

static bool redis_end(struct store *store, const char *source, const struct store_end *ends,
                      size_t count, struct store_problem *problem)
{
    struct redis_command command;
    struct place *place = redis_place_find(store, source, problem);
    if (place == NULL || place->token == 0) {
        return place != NULL && redis_fenced(place, problem);
    }
    if (count == 0 || !redis_prepare(&command, place, 2 + 7 * count, problem)) {
        return count == 0;
    }
    redis_command_text(&command, store->owner);
    redis_command_number(&command, place->token);
    for (size_t i = 0; i < count; i++) {
        add_end(&command, &ends[i]);
    }
    redisReply *reply = redis_run(store, place, REDIS_END, &command, true, problem);
    redis_command_release(&command);
    if (reply == NULL) {
        return false;
    }
    uint64_t ended;
    bool fine = (redis_reply_number(reply, &ended) && ended <= count) ||
                redis_link_nonsense(&store->link, problem);
    freeReplyObject(reply);
    return fine;
}

/* ---- letters ---- */

/* How far a retry of all letters has come. */
struct retrying {
    uint64_t made;
    uint64_t left;
    uint64_t upto; /* the highest letter when it began; 0: not known yet */
};

static bool read_retrying(const redisReply *reply, struct retrying *retrying)
{
    uint64_t made;
    uint64_t before = retrying->left;
    bool fine = redis_reply_is_strings(reply, 3) && redis_reply_number(reply->element[0], &made) &&
                redis_reply_number(reply->element[1], &retrying->left) &&
                redis_reply_number(reply->element[2], &retrying->upto) &&
                retrying->upto <= STORE_MOST_ID && made <= REDIS_PIECE_ROWS &&
                retrying->left < before;
    retrying->made += fine ? made : 0;
    return fine;
}

static bool retry_piece(struct store *store, struct place *place, uint64_t id,
                        struct retrying *retrying, struct store_problem *problem)
{
    struct redis_command command;
    if (!redis_prepare(&command, place, 5, problem)) {
        return false;
    }
    redis_command_number(&command, id);
    if (retrying->upto == 0) {
        redis_command_text(&command, "");
    } else {
        redis_command_number(&command, retrying->upto);
    }
    redis_command_number(&command, REDIS_PIECE_ROWS);
    redis_command_number(&command, REDIS_PIECE_BYTES);
    redis_command_number(&command, now());
    redisReply *reply = redis_run(store, place, REDIS_RETRY, &command, false, problem);
    redis_command_release(&command);
    if (reply == NULL) {
        return false;
    }
    bool fine = read_retrying(reply, retrying) || redis_link_nonsense(&store->link, problem);
    freeReplyObject(reply);
    return fine;
}

/*
 * In pieces, so that Redis is not busy with a million of them; what was made pending stays so. What
 * an answer that was lost had counted is not in *count.
 */
static bool redis_retry(struct store *store, const char *source, uint64_t id, size_t *count,
                        struct store_problem *problem)
{
    struct retrying retrying = {.left = STORE_MOST_ID};
    struct place *place = redis_place_find(store, source, problem);
    bool fine = place != NULL;
    while (fine && retrying.left > 0 && id <= STORE_MOST_ID) {
        fine = retry_piece(store, place, id, &retrying, problem);
    }
    *count = (size_t)retrying.made;
    return fine;
}

static bool redis_discard(struct store *store, const char *source, uint64_t id, size_t *count,
                          struct store_problem *problem)
{
    struct redis_command command;
    uint64_t there = 0;
    struct place *place = redis_place_find(store, source, problem);
    if (place == NULL || !redis_prepare(&command, place, 1, problem)) {
        return false;
    }
    redis_command_number(&command, id);
    bool fine = redis_run_number(store, place, REDIS_DISCARD, &command, &there, problem);
    redis_command_release(&command);
    *count = (size_t)there;
    return fine;
}

/* ---- the beginning and the end ---- */

/* Takes back what is in doubt, if the server is there at once. */
static void redis_idle(struct store *store)
{
    struct store_problem problem;
    enum redis_outcome outcome;
    for (struct place *place = store->places; place != NULL; place = place->next) {
        if (place->doubt != 0) {
            (void)redis_ready(store, place, &outcome, &problem);
        }
    }
}

static void redis_abandon(struct store *store)
{
    while (store->places != NULL) {
        struct place *place = store->places;
        store->places = place->next;
        redis_place_free(place);
    }
    redis_link_close(&store->link);
    free(store->owner);
    free(store->mark);
    free(store);
}

static void redis_close(struct store *store)
{
    redis_idle(store);
    for (struct place *place = store->places; place != NULL; place = place->next) {
        give_back(store, place);
    }
    redis_abandon(store);
}

static char *make_mark(const char *owner)
{
    static atomic_uint opened;
    enum { ROOM = 80 }; /* bytes of the numbers */
    char *encoded = redis_url_encode(owner);
    size_t size = encoded != NULL ? strlen(encoded) + ROOM : 0;
    char *mark = encoded != NULL ? malloc(size) : NULL;
    if (mark != NULL) {
        (void)snprintf(mark, size, "%s.%ld.%u.%llx", encoded, (long)getpid(),
                       atomic_fetch_add(&opened, 1), (unsigned long long)now());
    }
    free(encoded);
    return mark;
}

static bool set_up(struct store *store, const struct store_settings *settings,
                   const struct redis_url *url, struct store_problem *problem)
{
    double lease = settings->lease_seconds > 0 ? settings->lease_seconds : 10;
    lease = url->lease > 0 ? url->lease : lease;
    store->lease_ms = lease > 0.001 && lease < 1e6 ? (uint64_t)(lease * 1000) : 10000;
    store->mark = make_mark(settings->owner);
    store->owner = strdup(settings->owner);
    return (redis_link_init(&store->link, url) && store->owner != NULL && store->mark != NULL) ||
           redis_no_memory(problem);
}

static bool redis_check(const char *path, struct store_problem *problem)
{
    struct redis_url url;
    bool fine = redis_url_parse(&url, path, problem);
    redis_url_wipe(&url);
    return fine;
}

static struct store *redis_open(const struct store_settings *settings,
                                struct store_problem *problem)
{
    struct redis_url url;
    struct store *store = NULL;
    if (!redis_url_parse(&url, settings->path, problem)) {
        redis_url_wipe(&url);
        return NULL;
    }
    store = calloc(1, sizeof *store);
    if (store == NULL) {
        (void)redis_no_memory(problem);
    } else if (set_up(store, settings, &url, problem) && redis_link_ready(&store->link, problem)) {
        redis_link_warn(&store->link, settings);
    } else {
        redis_abandon(store);
        store = NULL;
    }
    redis_url_wipe(&url);
    return store;
}

const struct store_driver store_redis = {
    .name = "redis",
    .check = redis_check,
    .open = redis_open,
    .close = redis_close,
    .abandon = redis_abandon,
    .append = redis_append,
    .lease = redis_lease,
    .release = redis_release,
    .lease_seconds = redis_lease_seconds,
    .next = redis_next,
    .end = redis_end,
    .version = redis_version,
    .figures = redis_figures,
    .letters = redis_letters,
    .look = redis_look,
    .retry = redis_retry,
    .discard = redis_discard,
    .sources = redis_sources,
    .idle = redis_idle,
};
