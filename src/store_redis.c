#include "store_redis.h"

#include <math.h> /* isfinite(3) */
#include <stdatomic.h>
#include <stdio.h> /* snprintf(3) */
#include <stdlib.h>
#include <string.h>
#include <time.h>   /* clock_gettime(2) */
#include <unistd.h> /* getpid(2) */

#include "store_redis_link.h"

enum {
    KEY_ROOM = 32,           /* bytes of a key beside its prefix, source and mark */
    LEAD = 3 + REDIS_KEYS,   /* arguments of a script before its own */
    PIECE_ROWS = 1000,       /* of one answer */
    PIECE_BYTES = 4 << 20,   /* of bodies in one answer, the last one not counted */
    MOST_APPEND = 256 << 20, /* bytes at once: a server takes no command above 512 MB or so */
};

static const uint64_t MOST_ID = 9000000000000000; /* Lua's numbers are whole up to there */

/* What is known of a source. */
struct place {
    struct place *next;
    char *name;
    char *keys[REDIS_KEYS];
    uint64_t token; /* of the lease that is held; 0: none */
    unsigned history;
    uint64_t doubt;  /* the number of an append whose answer was lost; 0: none */
    uint64_t digest; /* of its rows */
};

struct store {
    struct redis_link link;
    char *owner;
    char *mark; /* tells this store from all others, those of the same owner, too */
    uint64_t lease_ms;
    uint64_t appends; /* the number of the last one */
    struct place *places;
};

static bool no_memory(struct store_problem *problem)
{
    return redis_problem(problem, STORE_NO_MEMORY, "no memory for the outbox");
}

/* ---- sources ---- */

static void free_place(struct place *place)
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
        free_place(place);
        return NULL;
    }
    if (fine) {
        place->next = store->places;
        store->places = place;
    }
    return place;
}

static struct place *find_place(struct store *store, const char *source,
                                struct store_problem *problem)
{
    for (struct place *place = store->places; place != NULL; place = place->next) {
        if (strcmp(place->name, source) == 0) {
            return place;
        }
    }
    struct place *place = make_place(store, source);
    if (place == NULL) {
        (void)no_memory(problem);
    }
    return place;
}

/* ---- scripts ---- */

/* A script's command: its name comes later, then the keys; room for so many arguments. */
static bool prepare(struct redis_command *command, const struct place *place, size_t arguments,
                    struct store_problem *problem)
{
    if (!redis_command_init(command, LEAD + arguments)) {
        return no_memory(problem);
    }
    redis_command_text(command, "");
    redis_command_text(command, "");
    redis_command_number(command, REDIS_KEYS);
    for (int i = 0; i < REDIS_KEYS; i++) {
        redis_command_text(command, place->keys[i]);
    }
    return true;
}

static bool is_holder(const struct store *store, const struct place *place)
{
    return place->token != 0 && place->history == store->link.history;
}

static bool fenced(struct place *place, struct store_problem *problem)
{
    place->token = 0;
    return redis_problem(problem, STORE_FENCED, "this process does not hold the source's lease");
}

/*
 * Finds out about the append in doubt: *first is the id of its first row when it came through and
 * is to be kept, else 0 and it has not, or not any more.
 */
static bool settle(struct store *store, struct place *place, bool keep, uint64_t *first,
                   enum redis_outcome *outcome, struct store_problem *problem)
{
    struct redis_command command;
    *outcome = REDIS_REFUSED;
    if (!prepare(&command, place, 2, problem)) {
        return false;
    }
    redis_command_number(&command, place->doubt);
    redis_command_text(&command, keep ? "1" : "0");
    redisReply *reply = redis_link_script(&store->link, REDIS_SETTLE, &command, outcome, problem);
    redis_command_release(&command);
    if (reply == NULL) {
        return false;
    }
    bool fine = (redis_reply_number(reply, first) && *first <= MOST_ID) ||
                redis_link_nonsense(&store->link, problem);
    freeReplyObject(reply);
    place->doubt = fine ? 0 : place->doubt;
    return fine;
}

/* Connected, with nothing of the source in doubt. */
static bool ready(struct store *store, struct place *place, enum redis_outcome *outcome,
                  struct store_problem *problem)
{
    uint64_t first;
    *outcome = REDIS_REFUSED;
    return redis_link_ready(&store->link, problem) &&
           (place->doubt == 0 || settle(store, place, false, &first, outcome, problem));
}

/*
 * Runs a script that may be repeated, since the second time does what the first has done or
 * nothing: once more when the answer was lost. `holds`: the holder alone may.
 */
static redisReply *run(struct store *store, struct place *place, enum redis_script script,
                       struct redis_command *command, bool holds, struct store_problem *problem)
{
    redisReply *reply = NULL;
    enum redis_outcome outcome = REDIS_LOST;
    for (int i = 0; i < 2 && reply == NULL && outcome == REDIS_LOST; i++) {
        if (!ready(store, place, &outcome, problem)) {
            continue;
        }
        if (holds && !is_holder(store, place)) {
            (void)fenced(place, problem);
            return NULL;
        }
        reply = redis_link_script(&store->link, script, command, &outcome, problem);
    }
    if (reply == NULL && problem->trouble == STORE_FENCED) {
        (void)fenced(place, problem);
    }
    return reply;
}

/* The same for a number that comes back. */
static bool run_number(struct store *store, struct place *place, enum redis_script script,
                       struct redis_command *command, uint64_t *number,
                       struct store_problem *problem)
{
    redisReply *reply = run(store, place, script, command, false, problem);
    if (reply == NULL) {
        return false;
    }
    bool fine = redis_reply_number(reply, number) || redis_link_nonsense(&store->link, problem);
    freeReplyObject(reply);
    return fine;
}

/* ---- times: whole microseconds, as Redis has them ---- */

static uint64_t microseconds(double time)
{
    return isfinite(time) && time > 0 && time < 1e11 ? (uint64_t)(time * 1e6 + 0.5) : 0;
}

static double seconds(uint64_t time)
{
    return (double)time / 1e6;
}

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
        uint64_t time = microseconds(rows[i].time);
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
    if (!prepare(command, place, 1 + 4 * count, problem)) {
        return false;
    }
    redis_command_text(command, ""); /* its number, with each attempt */
    for (size_t i = 0; i < count; i++) {
        redis_command_bytes(command, rows[i].lane, rows[i].lane_length);
        redis_command_bytes(command, rows[i].body, rows[i].length);
        redis_command_number(command, microseconds(rows[i].time));
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
    command->texts[LEAD] = number;
    command->lengths[LEAD] = strlen(number);
    redisReply *reply = redis_link_script(&store->link, REDIS_APPEND, command, outcome, problem);
    if (reply == NULL) {
        place->doubt = *outcome == REDIS_REFUSED ? 0 : this;
        return false;
    }
    bool fine = redis_reply_number(reply, first) && *first > 0 && *first <= MOST_ID;
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
         !settle(store, place, place->digest == digest, first, outcome, problem))) {
        return false;
    }
    place->digest = digest;
    return *first > 0 || append_once(store, place, command, first, outcome, problem);
}

static bool redis_append(struct store *store, const char *source, struct store_row *rows,
                         size_t count, struct store_problem *problem)
{
    struct redis_command command;
    struct place *place = find_place(store, source, problem);
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
    if (place->token == 0 || is_holder(store, place)) {
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
    if (!run_number(store, place, REDIS_TAKE, command, &token, problem)) {
        return STORE_LEASE_UNKNOWN;
    }
    if (was_held && !is_holder(store, place)) { /* the server started anew in between */
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
    struct place *place = find_place(store, source, problem);
    if (place == NULL || !ready(store, place, &outcome, problem)) {
        return STORE_LEASE_UNKNOWN;
    }
    if (is_told_lost(store, place)) {
        return STORE_LEASE_TAKEN;
    }
    if (!prepare(&command, place, 3, problem)) {
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
        prepare(&command, place, 2, &problem)) {
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

/* ---- what is read ---- */

/* False when it is no such row; what is set points into the reply. */
static bool read_row(const redisReply *reply, struct store_row *row)
{
    uint64_t time;
    if (!redis_reply_number(reply->element[0], &row->id) || row->id > MOST_ID ||
        !redis_reply_number(reply->element[3], &time)) {
        return false;
    }
    row->lane = reply->element[1]->str;
    row->lane_length = (size_t)reply->element[1]->len;
    row->body = reply->element[2]->str;
    row->length = (size_t)reply->element[2]->len;
    row->time = seconds(time);
    row->action = reply->element[4]->str;
    return strlen(row->action) == (size_t)reply->element[4]->len;
}

static bool read_letter(const redisReply *reply, struct store_letter *letter)
{
    uint64_t status;
    uint64_t attempts;
    uint64_t died;
    if (!read_row(reply, &letter->row) || !redis_reply_number(reply->element[7], &status) ||
        !redis_reply_number(reply->element[8], &attempts) ||
        !redis_reply_number(reply->element[9], &died)) {
        return false;
    }
    letter->code = reply->element[5]->str;
    letter->reason = reply->element[6]->str;
    letter->status = (long)status;
    letter->attempts = (unsigned)attempts;
    letter->died = seconds(died);
    return status < 100000 && attempts <= UINT32_MAX &&
           strlen(letter->code) == (size_t)reply->element[5]->len &&
           strlen(letter->reason) == (size_t)reply->element[6]->len;
}

/* A visit of rows or letters, an answer at a time. */
struct visit {
    struct place *place;
    bool holds;   /* by the holder alone */
    bool letters; /* else rows */
    uint64_t after;
    size_t count; /* still to come, at most */
    size_t bytes;
    bool is_over;
    store_row_visitor *row;
    store_letter_visitor *letter;
    void *context;
};

static redisReply *ask_piece(struct store *store, const struct visit *visit,
                             struct store_problem *problem)
{
    struct redis_command command;
    if (!prepare(&command, visit->place, 5, problem)) {
        return NULL;
    }
    if (!visit->letters) {
        redis_command_text(&command, store->owner);
        if (visit->holds) {
            redis_command_number(&command, visit->place->token);
        } else {
            redis_command_text(&command, "");
        }
    }
    redis_command_number(&command, visit->letters ? visit->after : visit->after + 1);
    redis_command_number(&command, visit->count < PIECE_ROWS ? visit->count : PIECE_ROWS);
    redis_command_number(&command, visit->bytes < PIECE_BYTES ? visit->bytes : PIECE_BYTES);
    redisReply *reply = run(store, visit->place, visit->letters ? REDIS_READ_LETTERS : REDIS_NEXT,
                            &command, visit->holds, problem);
    redis_command_release(&command);
    return reply;
}

/* Shows one; false when it is none, or not behind the one before. */
static bool show(struct visit *visit, const redisReply *reply)
{
    struct store_letter letter;
    if (!redis_reply_is_strings(reply, visit->letters ? REDIS_LETTER_PARTS : REDIS_ROW_PARTS) ||
        !(visit->letters ? read_letter(reply, &letter) : read_row(reply, &letter.row)) ||
        letter.row.id <= visit->after) {
        return false;
    }
    size_t length = letter.row.length;
    visit->after = letter.row.id;
    visit->count--;
    visit->bytes -= length < visit->bytes ? length : visit->bytes;
    visit->is_over = !(visit->letters ? visit->letter(visit->context, &letter)
                                      : visit->row(visit->context, &letter.row)) ||
                     visit->count == 0 || visit->bytes == 0;
    return true;
}

static bool show_piece(struct store *store, struct visit *visit, struct store_problem *problem)
{
    redisReply *reply = ask_piece(store, visit, problem);
    if (reply == NULL) {
        return false;
    }
    bool fine = redis_reply_is_strings(reply, SIZE_MAX) && reply->elements <= visit->count;
    visit->is_over = fine && reply->elements == 0;
    for (size_t i = 0; fine && !visit->is_over && i < reply->elements; i++) {
        fine = show(visit, reply->element[i]);
    }
    freeReplyObject(reply);
    return fine || redis_link_nonsense(&store->link, problem);
}

static bool go_through(struct store *store, const char *source, struct visit *visit,
                       struct store_problem *problem)
{
    bool fine = true;
    visit->place = find_place(store, source, problem);
    if (visit->place == NULL) {
        return false;
    }
    if (visit->holds && visit->place->token == 0) {
        return fenced(visit->place, problem);
    }
    visit->is_over = visit->count == 0 || visit->after > MOST_ID;
    while (fine && !visit->is_over) {
        fine = show_piece(store, visit, problem);
    }
    return fine;
}

static bool redis_next(struct store *store, const char *source, uint64_t after, size_t count,
                       size_t bytes, store_row_visitor *visitor, void *context,
                       struct store_problem *problem)
{
    struct visit visit = {.holds = true,
                          .after = after,
                          .count = count,
                          .bytes = bytes > 0 ? bytes : 1,
                          .row = visitor,
                          .context = context};
    return go_through(store, source, &visit, problem);
}

static bool redis_look(struct store *store, const char *source, uint64_t after, size_t count,
                       store_row_visitor *visitor, void *context, struct store_problem *problem)
{
    struct visit visit = {
        .after = after, .count = count, .bytes = SIZE_MAX, .row = visitor, .context = context};
    return go_through(store, source, &visit, problem);
}

static bool redis_letters(struct store *store, const char *source, uint64_t after, size_t count,
                          store_letter_visitor *visitor, void *context,
                          struct store_problem *problem)
{
    struct visit visit = {.letters = true,
                          .after = after,
                          .count = count,
                          .bytes = SIZE_MAX,
                          .letter = visitor,
                          .context = context};
    return go_through(store, source, &visit, problem);
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
    redis_command_number(command, microseconds(end->time));
}

static bool redis_end(struct store *store, const char *source, const struct store_end *ends,
                      size_t count, struct store_problem *problem)
{
    struct redis_command command;
    struct place *place = find_place(store, source, problem);
    if (place == NULL || place->token == 0) {
        return place != NULL && fenced(place, problem);
    }
    if (count == 0 || !prepare(&command, place, 2 + 7 * count, problem)) {
        return count == 0;
    }
    redis_command_text(&command, store->owner);
    redis_command_number(&command, place->token);
    for (size_t i = 0; i < count; i++) {
        add_end(&command, &ends[i]);
    }
    redisReply *reply = run(store, place, REDIS_END, &command, true, problem);
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
                retrying->upto <= MOST_ID && made <= PIECE_ROWS && retrying->left < before;
    retrying->made += fine ? made : 0;
    return fine;
}

static bool retry_piece(struct store *store, struct place *place, uint64_t id,
                        struct retrying *retrying, struct store_problem *problem)
{
    struct redis_command command;
    if (!prepare(&command, place, 5, problem)) {
        return false;
    }
    redis_command_number(&command, id);
    if (retrying->upto == 0) {
        redis_command_text(&command, "");
    } else {
        redis_command_number(&command, retrying->upto);
    }
    redis_command_number(&command, PIECE_ROWS);
    redis_command_number(&command, PIECE_BYTES);
    redis_command_number(&command, now());
    redisReply *reply = run(store, place, REDIS_RETRY, &command, false, problem);
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
    struct retrying retrying = {.left = MOST_ID};
    struct place *place = find_place(store, source, problem);
    bool fine = place != NULL;
    while (fine && retrying.left > 0 && id <= MOST_ID) {
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
    struct place *place = find_place(store, source, problem);
    if (place == NULL || !prepare(&command, place, 1, problem)) {
        return false;
    }
    redis_command_number(&command, id);
    bool fine = run_number(store, place, REDIS_DISCARD, &command, &there, problem);
    redis_command_release(&command);
    *count = (size_t)there;
    return fine;
}

/* ---- figures ---- */

static bool read_figures(const redisReply *reply, struct store_figures *figures)
{
    uint64_t oldest;
    if (!redis_reply_is_strings(reply, 4) ||
        !redis_reply_number(reply->element[0], &figures->pending) ||
        !redis_reply_number(reply->element[1], &figures->pending_bytes) ||
        !redis_reply_number(reply->element[2], &figures->dead) ||
        !redis_reply_number(reply->element[3], &oldest)) {
        return false;
    }
    figures->oldest = seconds(oldest);
    return true;
}

static bool figures_of(struct store *store, struct place *place, struct store_figures *figures,
                       struct store_problem *problem)
{
    struct redis_command command;
    if (!prepare(&command, place, 0, problem)) {
        return false;
    }
    redisReply *reply = run(store, place, REDIS_FIGURES, &command, false, problem);
    redis_command_release(&command);
    if (reply == NULL) {
        return false;
    }
    bool fine = read_figures(reply, figures) || redis_link_nonsense(&store->link, problem);
    freeReplyObject(reply);
    return fine;
}

static bool redis_figures(struct store *store, const char *source, struct store_figures *figures,
                          struct store_problem *problem)
{
    struct place *place = find_place(store, source, problem);
    return place != NULL && figures_of(store, place, figures, problem);
}

/* A plain command, once more when its answer was lost. */
static redisReply *call(struct store *store, const struct redis_command *command,
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

/* The last id is such a number: every append and every retry gives a new one. */
static bool redis_version(struct store *store, const char *source, uint64_t *version,
                          struct store_problem *problem)
{
    const char *texts[3] = {"HGET", NULL, "id"};
    size_t lengths[3] = {4, 0, 2};
    struct redis_command command = {.texts = texts, .lengths = lengths, .count = 3};
    struct place *place = find_place(store, source, problem);
    if (place == NULL) {
        return false;
    }
    texts[1] = place->keys[REDIS_STATE];
    lengths[1] = strlen(texts[1]);
    redisReply *reply = call(store, &command, problem);
    if (reply == NULL) {
        return false;
    }
    *version = 0;
    bool fine = reply->type == REDIS_REPLY_NIL || redis_reply_number(reply, version) ||
                redis_link_nonsense(&store->link, problem);
    freeReplyObject(reply);
    return fine;
}

/* ---- names of sources ---- */

struct names {
    char **names;
    size_t count;
    size_t room;
};

static void free_names(struct names *names)
{
    for (size_t i = 0; i < names->count; i++) {
        free(names->names[i]);
    }
    free(names->names);
}

/* The name in a key; false without memory. What is no such key is left out. */
static bool keep_name(struct names *names, const redisReply *key, size_t front)
{
    static const char end[] = "}:state";
    size_t back = sizeof end - 1;
    size_t length = (size_t)key->len;
    if (length < front + back || strcmp(key->str + length - back, end) != 0) {
        return true;
    }
    if (names->count == names->room) {
        size_t room = names->room * 2 + 16;
        char **more = realloc(names->names, room * sizeof *more);
        if (more == NULL) {
            return false;
        }
        names->names = more;
        names->room = room;
    }
    char *name = strndup(key->str + front, length - front - back);
    if (name != NULL && redis_url_decode(name)) {
        names->names[names->count++] = name;
        return true;
    }
    bool fine = name != NULL;
    free(name);
    return fine;
}

/* The pattern of all sources' keys: what means something in a pattern, in the prefix, escaped. */
static void make_pattern(const char *prefix, char *pattern)
{
    for (; *prefix != '\0'; prefix++) {
        if (strchr("*?[]\\^", *prefix) != NULL) {
            *pattern++ = '\\';
        }
        *pattern++ = *prefix;
    }
    (void)memcpy(pattern, "{*}:state", sizeof "{*}:state");
}

/* Where a walk through all keys is: a number that may need all of 64 bits. */
enum { CURSOR = 21 };

static bool read_cursor(const redisReply *reply, char cursor[CURSOR])
{
    size_t length = reply->type == REDIS_REPLY_STRING ? (size_t)reply->len : 0;
    if (length == 0 || length >= CURSOR || strspn(reply->str, "0123456789") != length) {
        return false;
    }
    (void)memcpy(cursor, reply->str, length + 1);
    return true;
}

/* One step through all keys of the server; the cursor is "0" when it was the last. */
static bool scan(struct store *store, char cursor[CURSOR], struct names *names,
                 struct store_problem *problem)
{
    char from[CURSOR];
    char pattern[2 * sizeof store->link.url.prefix + 16];
    struct redis_command command;
    if (!redis_command_init(&command, 6)) {
        return no_memory(problem);
    }
    make_pattern(store->link.url.prefix, pattern);
    redis_command_text(&command, "SCAN");
    (void)memcpy(from, cursor, CURSOR);
    redis_command_text(&command, from);
    redis_command_text(&command, "MATCH");
    redis_command_text(&command, pattern);
    redis_command_text(&command, "COUNT");
    redis_command_text(&command, "1000");
    redisReply *reply = call(store, &command, problem);
    redis_command_release(&command);
    if (reply == NULL) {
        return false;
    }
    bool fine = redis_reply_is_strings(reply, SIZE_MAX) && reply->elements == 2 &&
                read_cursor(reply->element[0], cursor) &&
                redis_reply_is_strings(reply->element[1], reply->element[1]->elements);
    bool kept = true;
    for (size_t i = 0; fine && kept && i < reply->element[1]->elements; i++) {
        kept = keep_name(names, reply->element[1]->element[i], strlen(store->link.url.prefix) + 1);
    }
    freeReplyObject(reply);
    return fine ? kept || no_memory(problem) : redis_link_nonsense(&store->link, problem);
}

static int compare_names(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

/* Only those that have something; the same key may have come twice. */
static bool visit_names(struct store *store, struct names *names,
                        bool (*visit)(void *context, const char *source), void *context,
                        struct store_problem *problem)
{
    if (names->count > 1) {
        qsort(names->names, names->count, sizeof *names->names, compare_names);
    }
    for (size_t i = 0; i < names->count; i++) {
        struct store_figures figures;
        if (i > 0 && strcmp(names->names[i], names->names[i - 1]) == 0) {
            continue;
        }
        if (!redis_figures(store, names->names[i], &figures, problem)) {
            return false;
        }
        if ((figures.pending > 0 || figures.dead > 0) && !visit(context, names->names[i])) {
            return true;
        }
    }
    return true;
}

static bool redis_sources(struct store *store, bool (*visit)(void *context, const char *source),
                          void *context, struct store_problem *problem)
{
    struct names names = {.count = 0};
    char cursor[CURSOR] = "0";
    bool fine;
    do {
        fine = scan(store, cursor, &names, problem);
    } while (fine && strcmp(cursor, "0") != 0);
    fine = fine && visit_names(store, &names, visit, context, problem);
    free_names(&names);
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
            (void)ready(store, place, &outcome, &problem);
        }
    }
}

static void redis_abandon(struct store *store)
{
    while (store->places != NULL) {
        struct place *place = store->places;
        store->places = place->next;
        free_place(place);
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
    store->lease_ms = lease > 0.001 && lease < 1e6 ? (uint64_t)(lease * 1000) : 10000;
    store->mark = make_mark(settings->owner);
    store->owner = strdup(settings->owner);
    return (redis_link_init(&store->link, url) && store->owner != NULL && store->mark != NULL) ||
           no_memory(problem);
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
        (void)no_memory(problem);
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
    .open = redis_open,
    .close = redis_close,
    .abandon = redis_abandon,
    .append = redis_append,
    .lease = redis_lease,
    .release = redis_release,
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
