#include "store_sqlite.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fork_gate.h"
#include "sqlite_rows.h"
#include "sqlite_visit.h"

/* What makes each version of the schema out of the one before it. */
static const char *const steps[] = {
    "CREATE TABLE source (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,"
    "  last INTEGER NOT NULL, pending INTEGER NOT NULL, bytes INTEGER NOT NULL,"
    "  dead INTEGER NOT NULL);"
    "CREATE TABLE pending (id INTEGER PRIMARY KEY, time REAL NOT NULL, action TEXT NOT NULL,"
    "  lane BLOB NOT NULL, length INTEGER NOT NULL, body BLOB);"
    "CREATE TABLE letter (id INTEGER PRIMARY KEY, time REAL NOT NULL, action TEXT NOT NULL,"
    "  lane BLOB NOT NULL, length INTEGER NOT NULL, code TEXT NOT NULL, reason TEXT NOT NULL,"
    "  status INTEGER NOT NULL, attempts INTEGER NOT NULL, died REAL NOT NULL, body BLOB);"
    "CREATE TABLE large (id INTEGER PRIMARY KEY, body BLOB NOT NULL);", /* over STORE_INLINE */
};

enum { VERSIONS = sizeof steps / sizeof steps[0] };

/* ---- sources ---- */

static bool make_source(struct store *store, const char *name, struct source *source)
{
    if (!sqlite_rows_find(store, name, source)) {
        return false;
    }
    if (source->number != 0) {
        return true;
    }
    sqlite3_stmt *statement = sqlite_rows_statement(store, ADD_SOURCE);
    if (statement == NULL || !sqlite_rows_text(statement, 1, name) || !sqlite_rows_run(statement)) {
        return false;
    }
    source->number = sqlite3_last_insert_rowid(store->file.db);
    return true;
}

static bool has_room(const struct store *store, const struct source *source, size_t count,
                     struct store_problem *problem)
{
    if (source->number <= SQLITE_ROWS_LAST_SOURCE && count < SQLITE_ROWS_LAST_ID &&
        source->last < SQLITE_ROWS_LAST_ID - count) {
        return true;
    }
    return sqlite_file_problem(problem, STORE_UNFIT,
                               "the outbox has numbered as much as it can (%.256s)",
                               store->file.path);
}

static bool count_source(struct store *store, const struct source *source)
{
    const sqlite3_int64 values[] = {source->number, (sqlite3_int64)source->last, source->pending,
                                    source->bytes, source->dead};
    return sqlite_rows_run_with(store, COUNT_SOURCE, 5, values);
}

/* The last steps of a transaction, whose work is done or has failed. */
static bool finish(struct store *store, const struct source *source, bool is_done,
                   struct store_problem *problem)
{
    if (is_done && count_source(store, source)) {
        return sqlite_file_commit(&store->file, problem);
    }
    (void)sqlite_file_failed(&store->file, problem);
    sqlite_file_rollback(&store->file);
    return false;
}

/* ---- append ---- */

static bool add_large(struct store *store, sqlite3_int64 key, const struct store_row *row)
{
    sqlite3_stmt *statement = sqlite_rows_with(store, ADD_LARGE, 1, &key);
    return statement != NULL && sqlite_rows_bytes(statement, 2, row->body, row->length) &&
           sqlite_rows_run(statement);
}

static bool add_row(struct store *store, struct source *source, const struct store_row *row)
{
    bool is_large = row->length > STORE_INLINE;
    sqlite3_int64 key = sqlite_rows_key(source, ++source->last);
    sqlite3_stmt *statement = sqlite_rows_with(store, ADD_ROW, 1, &key);
    if (statement == NULL || sqlite3_bind_double(statement, 2, row->time) != SQLITE_OK ||
        !sqlite_rows_text(statement, 3, row->action) ||
        !sqlite_rows_bytes(statement, 4, row->lane, row->lane_length) ||
        sqlite3_bind_int64(statement, 5, (sqlite3_int64)row->length) != SQLITE_OK ||
        (!is_large && !sqlite_rows_bytes(statement, 6, row->body, row->length)) ||
        !sqlite_rows_run(statement)) {
        return false;
    }
    source->pending++;
    source->bytes += (sqlite3_int64)row->length;
    return !is_large || add_large(store, key, row);
}

static bool append_rows(struct store *store, const char *name, struct store_row *rows, size_t count,
                        struct store_problem *problem)
{
    struct source source;
    if (!sqlite_file_begin(&store->file, SQLITE_FILE_DURABLE, problem)) {
        return false;
    }
    bool is_done = make_source(store, name, &source);
    if (is_done && !has_room(store, &source, count, problem)) {
        sqlite_file_rollback(&store->file);
        return false;
    }
    uint64_t before = source.last;
    for (size_t i = 0; is_done && i < count; i++) {
        is_done = add_row(store, &source, &rows[i]);
    }
    if (!finish(store, &source, is_done, problem)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        rows[i].id = before + i + 1;
    }
    return true;
}

/* ---- end ---- */

static bool bury(struct store *store, sqlite3_int64 key, const struct store_end *end)
{
    sqlite3_stmt *statement = sqlite_rows_with(store, BURY_ROW, 1, &key);
    return statement != NULL && sqlite_rows_text(statement, 2, end->code) &&
           sqlite_rows_text(statement, 3, end->reason) &&
           sqlite3_bind_int64(statement, 4, end->status) == SQLITE_OK &&
           sqlite3_bind_int64(statement, 5, end->attempts) == SQLITE_OK &&
           sqlite3_bind_double(statement, 6, end->time) == SQLITE_OK && sqlite_rows_run(statement);
}

/* What is pending of a range of ids. */
struct sum {
    sqlite3_int64 count;
    sqlite3_int64 bytes;
    sqlite3_int64 longest;
};

static bool sum_rows(struct store *store, const sqlite3_int64 range[2], struct sum *sum)
{
    sqlite3_stmt *statement = sqlite_rows_with(store, SUM_ROWS, 2, range);
    if (statement == NULL) {
        return false;
    }
    if (sqlite3_step(statement) == SQLITE_ROW) {
        *sum = (struct sum){.count = sqlite3_column_int64(statement, 0),
                            .bytes = sqlite3_column_int64(statement, 1),
                            .longest = sqlite3_column_int64(statement, 2)};
    }
    return sqlite_rows_ended(statement);
}

/* Ends that are the same for ids without a gap, as nearly all are: a range of rows goes at once. */
static size_t run_of(const struct store_end *ends, size_t count)
{
    size_t length = 1;
    while (length < count && ends[0].is_delivered && ends[length].is_delivered &&
           ends[length].id == ends[0].id + length) {
        length++;
    }
    return length;
}

static bool end_run(struct store *store, struct source *source, const struct store_end *ends,
                    size_t count)
{
    const sqlite3_int64 range[] = {sqlite_rows_key(source, ends[0].id),
                                   sqlite_rows_key(source, ends[count - 1].id)};
    struct sum sum = {0};
    if (!sum_rows(store, range, &sum)) {
        return false;
    }
    if (sum.count == 0) {
        return true;
    }
    if (!ends->is_delivered && !bury(store, range[0], ends)) {
        return false;
    }
    if (ends->is_delivered && sum.longest > STORE_INLINE &&
        !sqlite_rows_run_with(store, REMOVE_LARGE, 2, range)) {
        return false;
    }
    source->pending -= sum.count;
    source->bytes -= sum.bytes;
    source->dead += !ends->is_delivered;
    return sqlite_rows_run_with(store, REMOVE_ROWS, 2, range);
}

static uint64_t place_of(const char *source)
{
    uint64_t hash = 14695981039346656037u; /* FNV-1a */
    for (const char *at = source; *at != '\0'; at++) {
        hash = (hash ^ (unsigned char)*at) * 1099511628211u;
    }
    return 1 + (hash ^ hash >> 62) % (((uint64_t)1 << 62) - 1); /* 0 is the writer's */
}

static bool is_holder(struct store *store, const char *source, struct store_problem *problem)
{
    if (!sqlite_file_follow_locks(&store->file, problem)) {
        return false;
    }
    return file_locks_holds(store->file.locks, place_of(source)) ||
           sqlite_file_problem(problem, STORE_FENCED,
                               "this source of the outbox is not delivered from here any more");
}

static bool end_rows(struct store *store, const char *name, const struct store_end *ends,
                     size_t count, struct store_problem *problem)
{
    struct source source;
    if (!is_holder(store, name, problem) || count == 0) {
        return count == 0;
    }
    if (!sqlite_file_begin(&store->file, SQLITE_FILE_WRITTEN, problem)) {
        return false;
    }
    if (!is_holder(store, name, problem)) { /* the wait was long, or the lock file replaced */
        sqlite_file_rollback(&store->file);
        return false;
    }
    bool is_done = sqlite_rows_find(store, name, &source);
    for (size_t i = 0; is_done && source.number != 0 && i < count;) {
        size_t length = run_of(&ends[i], count - i);
        is_done = end_run(store, &source, &ends[i], length);
        i += length;
    }
    return finish(store, &source, is_done, problem);
}

/* ---- letters ---- */

enum {
    PIECE_LETTERS = 1000,  /* of a transaction */
    PIECE_BYTES = 4 << 20, /* of their bodies, the last one not counted */
    PIECE_PAUSE = 5000000, /* nanoseconds between two, in which others that write come in */
};

/* The keys around one letter, or with id 0 around all that there are. */
static void range_of(const struct source *source, uint64_t id, sqlite3_int64 range[2])
{
    range[0] = sqlite_rows_key(source, id > 0 ? id - 1 : 0);
    range[1] = sqlite_rows_key(source, id > 0 ? id : source->last);
}

static bool revive(struct store *store, struct source *source, sqlite3_int64 old,
                   sqlite3_int64 length)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    const sqlite3_int64 keys[] = {old, sqlite_rows_key(source, ++source->last)};
    sqlite3_stmt *statement = sqlite_rows_with(store, REVIVE_LETTER, 2, keys);
    if (statement == NULL ||
        sqlite3_bind_double(statement, 3, (double)now.tv_sec + (double)now.tv_nsec * 1e-9) !=
            SQLITE_OK ||
        !sqlite_rows_run(statement) ||
        (length > STORE_INLINE && !sqlite_rows_run_with(store, MOVE_LARGE, 2, keys))) {
        return false;
    }
    const sqlite3_int64 range[] = {old - 1, old};
    source->pending++;
    source->bytes += length;
    source->dead--;
    return sqlite_rows_run_with(store, REMOVE_LETTERS, 2, range);
}

/* The first letter of a range; *key is 0 when there is none. */
static bool first_letter(struct store *store, const sqlite3_int64 range[2], sqlite3_int64 *key,
                         sqlite3_int64 *length)
{
    sqlite3_stmt *statement = sqlite_rows_with(store, FIRST_LETTER, 2, range);
    *key = 0;
    if (statement == NULL) {
        return false;
    }
    if (sqlite3_step(statement) == SQLITE_ROW) {
        *key = sqlite3_column_int64(statement, 0);
        *length = sqlite3_column_int64(statement, 1);
    }
    return sqlite_rows_ended(statement);
}

static bool discard_one(struct store *store, struct source *source, sqlite3_int64 key)
{
    const sqlite3_int64 range[] = {key - 1, key};
    source->dead--;
    return sqlite_rows_run_with(store, REMOVE_LARGE_LETTERS, 2, range) &&
           sqlite_rows_run_with(store, REMOVE_LETTERS, 2, range);
}

/* How far it has come with the letters that are retried or discarded. */
struct settling {
    bool is_retry;
    uint64_t id;            /* of the only one; 0: all */
    sqlite3_int64 range[2]; /* around those that are left */
    bool is_begun;
    bool is_over;
    size_t count;
};

static bool settle_some(struct store *store, struct source *source, struct settling *settling)
{
    size_t bytes = 0;
    for (size_t i = 0; i < PIECE_LETTERS && bytes < PIECE_BYTES; i++) {
        sqlite3_int64 key = 0;
        sqlite3_int64 length = 0;
        if (!first_letter(store, settling->range, &key, &length)) {
            return false;
        }
        if (key == 0) {
            settling->is_over = true;
            return true;
        }
        if (!(settling->is_retry ? revive(store, source, key, length)
                                 : discard_one(store, source, key))) {
            return false;
        }
        settling->range[0] = key;
        settling->count++;
        bytes += (size_t)length;
    }
    return true;
}

static bool settle_piece(struct store *store, const char *name, struct settling *settling,
                         struct store_problem *problem)
{
    struct source source;
    size_t before = settling->count;
    if (!sqlite_file_begin(&store->file, SQLITE_FILE_DURABLE, problem)) {
        return false;
    }
    bool is_done = sqlite_rows_find(store, name, &source);
    if (is_done && (source.number == 0 || settling->id >= SQLITE_ROWS_LAST_ID)) {
        sqlite_file_rollback(&store->file);
        settling->is_over = true;
        return true;
    }
    if (!settling->is_begun) { /* what dies again meanwhile has a higher id */
        range_of(&source, settling->id, settling->range);
        settling->is_begun = true;
    }
    is_done = is_done && settle_some(store, &source, settling);
    bool is_finished = finish(store, &source, is_done, problem);
    settling->count = is_finished ? settling->count : before;
    return is_finished;
}

/* ---- the driver: each is one stay inside the gate, or several ---- */

static bool enter(const struct store *store, struct store_problem *problem)
{
    fork_gate_enter();
    if (sqlite_file_is_ours(&store->file, problem)) {
        return true;
    }
    fork_gate_leave();
    return false;
}

static bool leave(bool result)
{
    fork_gate_leave();
    return result;
}

static struct store *open_store(const struct store_settings *settings,
                                struct store_problem *problem)
{
    struct store *store = calloc(1, sizeof *store);
    if (store == NULL) {
        (void)sqlite_file_problem(problem, STORE_NO_MEMORY, "there is no memory left");
        return NULL;
    }
    fork_gate_prepare();
    fork_gate_enter();
    bool is_open = sqlite_file_open(&store->file, settings, steps, VERSIONS, problem);
    fork_gate_leave();
    if (!is_open) {
        free(store);
        return NULL;
    }
    return store;
}

static void abandon(struct store *store)
{
    fork_gate_enter();
    sqlite_file_abandon(&store->file);
    fork_gate_leave();
    free(store);
}

static void close_store(struct store *store)
{
    struct store_problem problem;
    if (!enter(store, &problem)) {
        abandon(store);
        return;
    }
    sqlite_file_close(&store->file);
    fork_gate_leave();
    free(store);
}

static bool append(struct store *store, const char *source, struct store_row *rows, size_t count,
                   struct store_problem *problem)
{
    if (!enter(store, problem)) {
        return false;
    }
    return leave(count == 0 || append_rows(store, source, rows, count, problem));
}

static enum store_lease lease(struct store *store, const char *source,
                              struct store_problem *problem)
{
    enum store_lease result = STORE_LEASE_UNKNOWN;
    if (!enter(store, problem)) {
        return result;
    }
    if (sqlite_file_follow_locks(&store->file, problem)) {
        switch (file_locks_take(store->file.locks, place_of(source))) {
        case FILE_LOCK_HELD: result = STORE_LEASE_HELD; break;
        case FILE_LOCK_TAKEN: result = STORE_LEASE_TAKEN; break;
        case FILE_LOCK_REFUSED:
            (void)sqlite_file_problem(problem, STORE_UNAVAILABLE,
                                      "the system refuses to lock a file (%.256s)",
                                      store->file.lock_path);
        }
    }
    fork_gate_leave();
    return result;
}

static void release(struct store *store, const char *source)
{
    struct store_problem problem;
    if (enter(store, &problem)) {
        file_locks_give(store->file.locks, place_of(source));
        fork_gate_leave();
    }
}

static bool next(struct store *store, const char *source, uint64_t after, size_t count,
                 size_t bytes, store_row_visitor *visit, void *context,
                 struct store_problem *problem)
{
    struct sqlite_visit all = {.store = store, .bytes = bytes, .row = visit, .context = context};
    if (!enter(store, problem)) {
        return false;
    }
    return leave(is_holder(store, source, problem) &&
                 sqlite_visit_source(&all, LIST_ROWS, source, after, count, problem));
}

static bool end(struct store *store, const char *source, const struct store_end *ends, size_t count,
                struct store_problem *problem)
{
    if (!enter(store, problem)) {
        return false;
    }
    return leave(end_rows(store, source, ends, count, problem));
}

static bool version(struct store *store, const char *source, uint64_t *version,
                    struct store_problem *problem)
{
    (void)source; /* any change of the file counts */
    if (!enter(store, problem)) {
        return false;
    }
    sqlite3_stmt *statement = sqlite_rows_statement(store, VERSION);
    if (statement != NULL && sqlite3_step(statement) == SQLITE_ROW) {
        *version = (uint64_t)sqlite3_column_int64(statement, 0);
    }
    return leave((statement != NULL && sqlite_rows_ended(statement)) ||
                 sqlite_file_failed(&store->file, problem));
}

static bool figures(struct store *store, const char *source, struct store_figures *figures,
                    struct store_problem *problem)
{
    *figures = (struct store_figures){.pending = 0};
    if (!enter(store, problem)) {
        return false;
    }
    sqlite3_stmt *statement = sqlite_rows_statement(store, FIGURES);
    bool is_bound = statement != NULL && sqlite_rows_text(statement, 1, source);
    if (is_bound && sqlite3_step(statement) == SQLITE_ROW) {
        figures->pending = (uint64_t)sqlite3_column_int64(statement, 0);
        figures->pending_bytes = (uint64_t)sqlite3_column_int64(statement, 1);
        figures->dead = (uint64_t)sqlite3_column_int64(statement, 2);
        figures->oldest = sqlite3_column_double(statement, 3);
        figures->newest = sqlite_rows_id(sqlite3_column_int64(statement, 4));
    }
    return leave((is_bound && sqlite_rows_ended(statement)) ||
                 sqlite_file_failed(&store->file, problem));
}

static bool letters(struct store *store, const char *source, uint64_t after, size_t count,
                    store_letter_visitor *visit, void *context, struct store_problem *problem)
{
    struct sqlite_visit all = {
        .store = store, .bytes = SIZE_MAX, .letter = visit, .context = context};
    if (!enter(store, problem)) {
        return false;
    }
    return leave(sqlite_visit_source(&all, LIST_LETTERS, source, after, count, problem));
}

static bool look(struct store *store, const char *source, uint64_t after, size_t count,
                 store_row_visitor *visit, void *context, struct store_problem *problem)
{
    struct sqlite_visit all = {.store = store, .bytes = SIZE_MAX, .row = visit, .context = context};
    if (!enter(store, problem)) {
        return false;
    }
    return leave(sqlite_visit_source(&all, LIST_ROWS, source, after, count, problem));
}

/* In pieces, each a stay of its own: nobody waits for a million of them. What is done stays so. */
static bool settle_letters(struct store *store, const char *source, struct settling settling,
                           size_t *count, struct store_problem *problem)
{
    bool is_fine = true;
    while (is_fine && !settling.is_over) {
        if (settling.is_begun) {
            (void)nanosleep(&(struct timespec){.tv_nsec = PIECE_PAUSE}, NULL);
        }
        is_fine = enter(store, problem) && leave(settle_piece(store, source, &settling, problem));
    }
    *count = settling.count;
    return is_fine;
}

static bool retry(struct store *store, const char *source, uint64_t id, size_t *count,
                  struct store_problem *problem)
{
    return settle_letters(store, source, (struct settling){.is_retry = true, .id = id}, count,
                          problem);
}

static bool discard(struct store *store, const char *source, uint64_t id, size_t *count,
                    struct store_problem *problem)
{
    return settle_letters(store, source, (struct settling){.id = id}, count, problem);
}

static bool sources(struct store *store, bool (*visit)(void *context, const char *source),
                    void *context, struct store_problem *problem)
{
    if (!enter(store, problem)) {
        return false;
    }
    sqlite3_stmt *statement = sqlite_rows_statement(store, LIST_SOURCES);
    bool goes_on = statement != NULL;
    while (goes_on && sqlite3_step(statement) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(statement, 0);
        goes_on = name != NULL && visit(context, name);
    }
    return leave((statement != NULL && sqlite_rows_ended(statement)) ||
                 sqlite_file_failed(&store->file, problem));
}

static void idle(struct store *store)
{
    struct store_problem problem;
    if (enter(store, &problem)) {
        sqlite_file_idle(&store->file);
        fork_gate_leave();
    }
}

const struct store_driver store_sqlite = {
    .name = "sqlite",
    .check = sqlite_file_check,
    .open = open_store,
    .close = close_store,
    .abandon = abandon,
    .append = append,
    .lease = lease,
    .release = release,
    .frees_at_death = true,
    .next = next,
    .end = end,
    .version = version,
    .figures = figures,
    .letters = letters,
    .look = look,
    .retry = retry,
    .discard = discard,
    .sources = sources,
    .idle = idle,
};
