#include "store_redis_place.h"

#include <stdlib.h>
#include <string.h>

/* ---- what is read ---- */

/* False when it is no such row; what is set points into the reply. */
static bool read_row(const redisReply *reply, struct store_row *row)
{
    uint64_t time;
    if (!redis_reply_number(reply->element[0], &row->id) || row->id > STORE_MOST_ID ||
        !redis_reply_number(reply->element[3], &time)) {
        return false;
    }
    row->lane = reply->element[1]->str;
    row->lane_length = (size_t)reply->element[1]->len;
    row->body = reply->element[2]->str;
    row->length = (size_t)reply->element[2]->len;
    row->time = redis_seconds(time);
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
    letter->died = redis_seconds(died);
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
    if (!redis_prepare(&command, visit->place, 5, problem)) {
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
    redis_command_number(&command,
                         visit->count < REDIS_PIECE_ROWS ? visit->count : REDIS_PIECE_ROWS);
    redis_command_number(&command,
                         visit->bytes < REDIS_PIECE_BYTES ? visit->bytes : REDIS_PIECE_BYTES);
    redisReply *reply =
        redis_run(store, visit->place, visit->letters ? REDIS_READ_LETTERS : REDIS_NEXT, &command,
                  visit->holds, problem);
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
    visit->place = redis_place_find(store, source, problem);
    if (visit->place == NULL) {
        return false;
    }
    if (visit->holds && visit->place->token == 0) {
        return redis_fenced(visit->place, problem);
    }
    visit->is_over = visit->count == 0 || visit->after > STORE_MOST_ID;
    while (fine && !visit->is_over) {
        fine = show_piece(store, visit, problem);
    }
    return fine;
}

bool redis_next(struct store *store, const char *source, uint64_t after, size_t count, size_t bytes,
                store_row_visitor *visitor, void *context, struct store_problem *problem)
{
    struct visit visit = {.holds = true,
                          .after = after,
                          .count = count,
                          .bytes = bytes > 0 ? bytes : 1,
                          .row = visitor,
                          .context = context};
    return go_through(store, source, &visit, problem);
}

bool redis_look(struct store *store, const char *source, uint64_t after, size_t count,
                store_row_visitor *visitor, void *context, struct store_problem *problem)
{
    struct visit visit = {
        .after = after, .count = count, .bytes = SIZE_MAX, .row = visitor, .context = context};
    return go_through(store, source, &visit, problem);
}

bool redis_letters(struct store *store, const char *source, uint64_t after, size_t count,
                   store_letter_visitor *visitor, void *context, struct store_problem *problem)
{
    struct visit visit = {.letters = true,
                          .after = after,
                          .count = count,
                          .bytes = SIZE_MAX,
                          .letter = visitor,
                          .context = context};
    return go_through(store, source, &visit, problem);
}

/* ---- figures ---- */

static bool read_figures(const redisReply *reply, struct store_figures *figures)
{
    uint64_t oldest;
    if (!redis_reply_is_strings(reply, 5) ||
        !redis_reply_number(reply->element[0], &figures->pending) ||
        !redis_reply_number(reply->element[1], &figures->pending_bytes) ||
        !redis_reply_number(reply->element[2], &figures->dead) ||
        !redis_reply_number(reply->element[3], &oldest) ||
        !redis_reply_number(reply->element[4], &figures->newest)) {
        return false;
    }
    figures->oldest = redis_seconds(oldest);
    return true;
}

static bool figures_of(struct store *store, struct place *place, struct store_figures *figures,
                       struct store_problem *problem)
{
    struct redis_command command;
    if (!redis_prepare(&command, place, 0, problem)) {
        return false;
    }
    redisReply *reply = redis_run(store, place, REDIS_FIGURES, &command, false, problem);
    redis_command_release(&command);
    if (reply == NULL) {
        return false;
    }
    bool fine = read_figures(reply, figures) || redis_link_nonsense(&store->link, problem);
    freeReplyObject(reply);
    return fine;
}

bool redis_figures(struct store *store, const char *source, struct store_figures *figures,
                   struct store_problem *problem)
{
    struct place *place = redis_place_find(store, source, problem);
    return place != NULL && figures_of(store, place, figures, problem);
}

/* The last id is such a number: every append and every retry gives a new one. */
bool redis_version(struct store *store, const char *source, uint64_t *version,
                   struct store_problem *problem)
{
    const char *texts[3] = {"HGET", NULL, "id"};
    size_t lengths[3] = {4, 0, 2};
    struct redis_command command = {.texts = texts, .lengths = lengths, .count = 3};
    struct place *place = redis_place_find(store, source, problem);
    if (place == NULL) {
        return false;
    }
    texts[1] = place->keys[REDIS_STATE];
    lengths[1] = strlen(texts[1]);
    redisReply *reply = redis_call(store, &command, problem);
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
        return redis_no_memory(problem);
    }
    make_pattern(store->link.url.prefix, pattern);
    redis_command_text(&command, "SCAN");
    (void)memcpy(from, cursor, CURSOR);
    redis_command_text(&command, from);
    redis_command_text(&command, "MATCH");
    redis_command_text(&command, pattern);
    redis_command_text(&command, "COUNT");
    redis_command_text(&command, "1000");
    redisReply *reply = redis_call(store, &command, problem);
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
    return fine ? kept || redis_no_memory(problem) : redis_link_nonsense(&store->link, problem);
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

bool redis_sources(struct store *store, bool (*visit)(void *context, const char *source),
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
