#include "store_sqlite.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fork_gate.h"
#include "sqlite_file.h"

/*
 * A row's key is its source's number and its own within the source: rows of one source stand
 * together, in their order, without an index.
 */
enum {
    ID_BITS = 43,     /* of a row's number: 8.8e12 rows of a source */
    SOURCE_BITS = 20, /* of a source's */
};

static const uint64_t last_id = ((uint64_t)1 << ID_BITS) - 1;
static const sqlite3_int64 last_source = (1 << SOURCE_BITS) - 1;

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

enum statement {
    FIND_SOURCE,
    ADD_SOURCE,
    COUNT_SOURCE,
    LIST_SOURCES,
    ADD_ROW,
    ADD_LARGE,
    FIND_LARGE,
    MOVE_LARGE,
    REMOVE_LARGE,
    LIST_ROWS,
    FIND_ROW,
    REMOVE_ROW,
    BURY_ROW,
    LIST_LETTERS,
    FIRST_LETTER,
    REVIVE_LETTER,
    REMOVE_LETTERS,
    REMOVE_LARGE_LETTERS,
    FIGURES,
    VERSION,
    STATEMENTS,
};

static const char *const sql[STATEMENTS] = {
    [FIND_SOURCE] = "SELECT id, last FROM source WHERE name = ?1",
    [ADD_SOURCE] = "INSERT INTO source (name, last, pending, bytes, dead)"
                   " VALUES (?1, 0, 0, 0, 0)",
    [COUNT_SOURCE] = "UPDATE source SET last = ?2, pending = pending + ?3, bytes = bytes + ?4,"
                     " dead = dead + ?5 WHERE id = ?1",
    [LIST_SOURCES] = "SELECT name FROM source WHERE pending > 0 OR dead > 0 ORDER BY name",
    [ADD_ROW] = "INSERT INTO pending (id, time, action, lane, length, body)"
                " VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    [ADD_LARGE] = "INSERT INTO large (id, body) VALUES (?1, ?2)",
    [FIND_LARGE] = "SELECT body FROM large WHERE id = ?1",
    [MOVE_LARGE] = "UPDATE large SET id = ?2 WHERE id = ?1",
    [REMOVE_LARGE] = "DELETE FROM large WHERE id = ?1",
    [LIST_ROWS] = "SELECT id, time, action, lane, length, body FROM pending"
                  " WHERE id > ?1 AND id <= ?2 ORDER BY id LIMIT ?3",
    [FIND_ROW] = "SELECT length FROM pending WHERE id = ?1",
    [REMOVE_ROW] = "DELETE FROM pending WHERE id = ?1",
    [BURY_ROW] = "INSERT INTO letter (id, time, action, lane, length, code, reason, status,"
                 "  attempts, died, body)"
                 " SELECT id, time, action, lane, length, ?2, ?3, ?4, ?5, ?6, body FROM pending"
                 " WHERE id = ?1",
    [LIST_LETTERS] = "SELECT id, time, action, lane, length, body, code, reason, status, attempts,"
                     "  died FROM letter WHERE id > ?1 AND id <= ?2 ORDER BY id LIMIT ?3",
    [FIRST_LETTER] = "SELECT id, length FROM letter WHERE id > ?1 AND id <= ?2"
                     " ORDER BY id LIMIT 1",
    [REVIVE_LETTER] = "INSERT INTO pending (id, time, action, lane, length, body)"
                      " SELECT ?2, ?3, action, lane, length, body FROM letter WHERE id = ?1",
    [REMOVE_LETTERS] = "DELETE FROM letter WHERE id > ?1 AND id <= ?2",
    [REMOVE_LARGE_LETTERS] = "DELETE FROM large WHERE id IN (SELECT id FROM letter"
                             " WHERE id > ?1 AND id <= ?2 AND body IS NULL)",
    [FIGURES] = "SELECT pending, bytes, dead, coalesce((SELECT time FROM pending AS row"
                "  WHERE row.id > source.id << 43 AND row.id < (source.id + 1) << 43"
                "  ORDER BY row.id LIMIT 1), 0) FROM source WHERE name = ?1",
    [VERSION] = "PRAGMA data_version",
};

struct store {
    struct sqlite_file file;
    sqlite3_stmt *statements[STATEMENTS]; /* made when first needed; they end with the file */
};

/* A source in a transaction, and what is to be added to its row. */
struct source {
    sqlite3_int64 number; /* 0: it has no row */
    uint64_t last;        /* the last id that was given */
    sqlite3_int64 pending;
    sqlite3_int64 bytes;
    sqlite3_int64 dead;
};

/* ---- statements: those that return a bool or NULL have left their error in the connection ---- */

static sqlite3_stmt *statement_of(struct store *store, enum statement which)
{
    if (store->statements[which] == NULL) {
        (void)sqlite3_prepare_v3(store->file.db, sql[which], -1, SQLITE_PREPARE_PERSISTENT,
                                 &store->statements[which], NULL);
    }
    return store->statements[which];
}

/* With integers bound to ?1 and on. */
static sqlite3_stmt *statement_with(struct store *store, enum statement which, size_t count,
                                    const sqlite3_int64 *integers)
{
    sqlite3_stmt *statement = statement_of(store, which);
    for (size_t i = 0; statement != NULL && i < count; i++) {
        if (sqlite3_bind_int64(statement, (int)i + 1, integers[i]) != SQLITE_OK) {
            return NULL;
        }
    }
    return statement;
}

/* Ends a statement's run: it holds neither a lock nor what was bound. False if it had failed. */
static bool ended(sqlite3_stmt *statement)
{
    bool is_fine = sqlite3_reset(statement) == SQLITE_OK;
    (void)sqlite3_clear_bindings(statement);
    return is_fine;
}

static bool run(sqlite3_stmt *statement)
{
    if (statement == NULL) {
        return false;
    }
    while (sqlite3_step(statement) == SQLITE_ROW) {
    }
    return ended(statement);
}

static bool run_with(struct store *store, enum statement which, size_t count,
                     const sqlite3_int64 *integers)
{
    return run(statement_with(store, which, count, integers));
}

static bool bind_text(sqlite3_stmt *statement, int place, const char *text)
{
    return sqlite3_bind_text(statement, place, text != NULL ? text : "", -1, SQLITE_STATIC) ==
           SQLITE_OK;
}

/* Of no bytes it is an empty one, not NULL. */
static bool bind_bytes(sqlite3_stmt *statement, int place, const char *bytes, size_t length)
{
    return sqlite3_bind_blob64(statement, place, length > 0 ? bytes : "", length, SQLITE_STATIC) ==
           SQLITE_OK;
}

/* ---- sources ---- */

static sqlite3_int64 key_of(const struct source *source, uint64_t id)
{
    uint64_t number = id < last_id ? id : last_id;
    return (sqlite3_int64)((uint64_t)source->number << ID_BITS | number);
}

static uint64_t id_of(sqlite3_int64 key)
{
    return (uint64_t)key & last_id;
}

/* *source is zero when there is none. */
static bool find_source(struct store *store, const char *name, struct source *source)
{
    *source = (struct source){.number = 0};
    sqlite3_stmt *statement = statement_of(store, FIND_SOURCE);
    if (statement == NULL || !bind_text(statement, 1, name)) {
        return false;
    }
    if (sqlite3_step(statement) == SQLITE_ROW) {
        source->number = sqlite3_column_int64(statement, 0);
        source->last = (uint64_t)sqlite3_column_int64(statement, 1);
    }
    return ended(statement);
}

static bool make_source(struct store *store, const char *name, struct source *source)
{
    if (!find_source(store, name, source) || source->number != 0) {
        return source->number != 0;
    }
    sqlite3_stmt *statement = statement_of(store, ADD_SOURCE);
    if (statement == NULL || !bind_text(statement, 1, name) || !run(statement)) {
        return false;
    }
    source->number = sqlite3_last_insert_rowid(store->file.db);
    return true;
}

static bool has_room(const struct store *store, const struct source *source, size_t count,
                     struct store_problem *problem)
{
    if (source->number <= last_source && count < last_id && source->last < last_id - count) {
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
    return run_with(store, COUNT_SOURCE, 5, values);
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
    sqlite3_stmt *statement = statement_with(store, ADD_LARGE, 1, &key);
    return statement != NULL && bind_bytes(statement, 2, row->body, row->length) && run(statement);
}

static bool add_row(struct store *store, struct source *source, const struct store_row *row)
{
    bool is_large = row->length > STORE_INLINE;
    sqlite3_int64 key = key_of(source, ++source->last);
    sqlite3_stmt *statement = statement_with(store, ADD_ROW, 1, &key);
    if (statement == NULL || sqlite3_bind_double(statement, 2, row->time) != SQLITE_OK ||
        !bind_text(statement, 3, row->action) ||
        !bind_bytes(statement, 4, row->lane, row->lane_length) ||
        sqlite3_bind_int64(statement, 5, (sqlite3_int64)row->length) != SQLITE_OK ||
        (!is_large && !bind_bytes(statement, 6, row->body, row->length)) || !run(statement)) {
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
    if (!sqlite_file_begin(&store->file, problem)) {
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

/* ---- visits ---- */

struct visit {
    struct store *store;
    size_t bytes; /* of bodies that are left */
    store_row_visitor *row;
    store_letter_visitor *letter; /* instead of `row` */
    void *context;
    int code; /* SQLite's, of what failed */
};

enum step {
    STEP_ON,
    STEP_END,
    STEP_FAILED,
};

static enum step visit_failed(struct visit *visit)
{
    visit->code = sqlite3_extended_errcode(visit->store->file.db);
    return STEP_FAILED;
}

static enum step show_with_body(struct visit *visit, sqlite3_stmt *statement,
                                struct store_letter *letter)
{
    struct store_row *row = &letter->row;
    row->action = (const char *)sqlite3_column_text(statement, 2);
    row->lane = sqlite3_column_blob(statement, 3);
    row->lane_length = (size_t)sqlite3_column_bytes(statement, 3);
    row->lane = row->lane_length > 0 ? row->lane : "";
    row->body = row->length > 0 ? row->body : "";
    if (visit->letter == NULL) {
        if (row->action == NULL || row->lane == NULL || row->body == NULL) {
            return visit_failed(visit);
        }
        return visit->row(visit->context, row) ? STEP_ON : STEP_END;
    }
    letter->code = (const char *)sqlite3_column_text(statement, 6);
    letter->reason = (const char *)sqlite3_column_text(statement, 7);
    letter->status = (long)sqlite3_column_int64(statement, 8);
    letter->attempts = (unsigned)sqlite3_column_int64(statement, 9);
    letter->died = sqlite3_column_double(statement, 10);
    if (row->action == NULL || row->lane == NULL || row->body == NULL || letter->code == NULL ||
        letter->reason == NULL) {
        return visit_failed(visit);
    }
    return visit->letter(visit->context, letter) ? STEP_ON : STEP_END;
}

/* With a body that stands beside: it has to be there, whole. */
static enum step show_large(struct visit *visit, sqlite3_stmt *statement,
                            struct store_letter *letter)
{
    sqlite3_int64 key = sqlite3_column_int64(statement, 0);
    sqlite3_stmt *large = statement_with(visit->store, FIND_LARGE, 1, &key);
    if (large == NULL) {
        return visit_failed(visit);
    }
    if (sqlite3_step(large) != SQLITE_ROW) {
        enum step failed = visit_failed(visit);
        (void)ended(large);
        return failed;
    }
    letter->row.body = sqlite3_column_blob(large, 0);
    enum step step = (size_t)sqlite3_column_bytes(large, 0) == letter->row.length
                         ? show_with_body(visit, statement, letter)
                         : visit_failed(visit);
    (void)ended(large);
    return step;
}

static enum step show(struct visit *visit, sqlite3_stmt *statement, bool is_first)
{
    struct store_letter letter = {
        .row = {.id = id_of(sqlite3_column_int64(statement, 0)),
                .time = sqlite3_column_double(statement, 1),
                .length = (size_t)sqlite3_column_int64(statement, 4)},
    };
    if (!is_first && letter.row.length > visit->bytes) {
        return STEP_END;
    }
    visit->bytes -= letter.row.length < visit->bytes ? letter.row.length : visit->bytes;
    if (sqlite3_column_type(statement, 5) == SQLITE_NULL) {
        return show_large(visit, statement, &letter);
    }
    letter.row.body = sqlite3_column_blob(statement, 5);
    return (size_t)sqlite3_column_bytes(statement, 5) == letter.row.length
               ? show_with_body(visit, statement, &letter)
               : visit_failed(visit);
}

/* What SQLite does not call a failure but cannot be is damage. */
static bool visit_problem(const struct visit *visit, struct store_problem *problem)
{
    int code = visit->code & 0xFF;
    if (code != SQLITE_OK && code != SQLITE_ROW && code != SQLITE_DONE) {
        return sqlite_file_code(&visit->store->file, visit->code, problem);
    }
    return sqlite_file_problem(problem, STORE_UNFIT, "the outbox misses parts of a row (%.256s)",
                               visit->store->file.path);
}

static bool visit_statement(struct visit *visit, sqlite3_stmt *statement,
                            struct store_problem *problem)
{
    enum step step = STEP_ON;
    for (bool is_first = true; step == STEP_ON; is_first = false) {
        int code = sqlite3_step(statement);
        if (code == SQLITE_ROW) {
            step = show(visit, statement, is_first);
        } else {
            step = code == SQLITE_DONE ? STEP_END : visit_failed(visit);
        }
    }
    (void)ended(statement);
    return step == STEP_END || visit_problem(visit, problem);
}

static bool visit_source(struct visit *visit, enum statement which, const char *name,
                         uint64_t after, size_t count, struct store_problem *problem)
{
    struct store *store = visit->store;
    struct source source;
    if (!find_source(store, name, &source)) {
        return sqlite_file_failed(&store->file, problem);
    }
    if (source.number == 0 || count == 0) {
        return true;
    }
    const sqlite3_int64 values[] = {key_of(&source, after), key_of(&source, last_id),
                                    count < INT32_MAX ? (sqlite3_int64)count : INT32_MAX};
    sqlite3_stmt *statement = statement_with(store, which, 3, values);
    if (statement == NULL) {
        return sqlite_file_failed(&store->file, problem);
    }
    return visit_statement(visit, statement, problem);
}

/* ---- end ---- */

static bool bury(struct store *store, sqlite3_int64 key, const struct store_end *end)
{
    sqlite3_stmt *statement = statement_with(store, BURY_ROW, 1, &key);
    return statement != NULL && bind_text(statement, 2, end->code) &&
           bind_text(statement, 3, end->reason) &&
           sqlite3_bind_int64(statement, 4, end->status) == SQLITE_OK &&
           sqlite3_bind_int64(statement, 5, end->attempts) == SQLITE_OK &&
           sqlite3_bind_double(statement, 6, end->time) == SQLITE_OK && run(statement);
}

/* *length is -1 when it is not pending. */
static bool find_row(struct store *store, sqlite3_int64 key, sqlite3_int64 *length)
{
    *length = -1;
    sqlite3_stmt *statement = statement_with(store, FIND_ROW, 1, &key);
    if (statement == NULL) {
        return false;
    }
    if (sqlite3_step(statement) == SQLITE_ROW) {
        *length = sqlite3_column_int64(statement, 0);
    }
    return ended(statement);
}

static bool end_row(struct store *store, struct source *source, const struct store_end *end)
{
    sqlite3_int64 key = key_of(source, end->id);
    sqlite3_int64 length = -1;
    if (!find_row(store, key, &length)) {
        return false;
    }
    if (length < 0) {
        return true;
    }
    if (!end->is_delivered && !bury(store, key, end)) {
        return false;
    }
    if (end->is_delivered && length > STORE_INLINE && !run_with(store, REMOVE_LARGE, 1, &key)) {
        return false;
    }
    source->pending--;
    source->bytes -= length;
    source->dead += !end->is_delivered;
    return run_with(store, REMOVE_ROW, 1, &key);
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
    if (!sqlite_file_begin(&store->file, problem)) {
        return false;
    }
    if (!is_holder(store, name, problem)) { /* the wait was long, or the lock file replaced */
        sqlite_file_rollback(&store->file);
        return false;
    }
    bool is_done = find_source(store, name, &source);
    for (size_t i = 0; is_done && source.number != 0 && i < count; i++) {
        is_done = end_row(store, &source, &ends[i]);
    }
    return finish(store, &source, is_done, problem);
}

/* ---- letters ---- */

/* The keys around one letter, or with id 0 around all. */
static void range_of(const struct source *source, uint64_t id, sqlite3_int64 range[2])
{
    range[0] = key_of(source, id > 0 ? id - 1 : 0);
    range[1] = key_of(source, id > 0 ? id : last_id);
}

static bool revive(struct store *store, struct source *source, sqlite3_int64 old,
                   sqlite3_int64 length)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    const sqlite3_int64 keys[] = {old, key_of(source, ++source->last)};
    sqlite3_stmt *statement = statement_with(store, REVIVE_LETTER, 2, keys);
    if (statement == NULL ||
        sqlite3_bind_double(statement, 3, (double)now.tv_sec + (double)now.tv_nsec * 1e-9) !=
            SQLITE_OK ||
        !run(statement) || (length > STORE_INLINE && !run_with(store, MOVE_LARGE, 2, keys))) {
        return false;
    }
    const sqlite3_int64 range[] = {old - 1, old};
    source->pending++;
    source->bytes += length;
    source->dead--;
    return run_with(store, REMOVE_LETTERS, 2, range);
}

/* The first letter of a range; *key is 0 when there is none. */
static bool first_letter(struct store *store, const sqlite3_int64 range[2], sqlite3_int64 *key,
                         sqlite3_int64 *length)
{
    sqlite3_stmt *statement = statement_with(store, FIRST_LETTER, 2, range);
    *key = 0;
    if (statement == NULL) {
        return false;
    }
    if (sqlite3_step(statement) == SQLITE_ROW) {
        *key = sqlite3_column_int64(statement, 0);
        *length = sqlite3_column_int64(statement, 1);
    }
    return ended(statement);
}

static bool revive_all(struct store *store, struct source *source, sqlite3_int64 range[2],
                       size_t *count)
{
    sqlite3_int64 length = 0;
    for (;;) {
        sqlite3_int64 key = 0;
        if (!first_letter(store, range, &key, &length)) {
            return false;
        }
        if (key == 0) {
            return true;
        }
        if (!revive(store, source, key, length)) {
            return false;
        }
        range[0] = key;
        ++*count;
    }
}

static bool discard_all(struct store *store, struct source *source, const sqlite3_int64 range[2],
                        size_t *count)
{
    if (!run_with(store, REMOVE_LARGE_LETTERS, 2, range) ||
        !run_with(store, REMOVE_LETTERS, 2, range)) {
        return false;
    }
    *count = (size_t)sqlite3_changes(store->file.db);
    source->dead -= (sqlite3_int64)*count;
    return true;
}

static bool settle_letters(struct store *store, const char *name, uint64_t id, bool is_retry,
                           size_t *count, struct store_problem *problem)
{
    struct source source;
    sqlite3_int64 range[2];
    *count = 0;
    if (!sqlite_file_begin(&store->file, problem)) {
        return false;
    }
    bool is_done = find_source(store, name, &source);
    if (is_done && (source.number == 0 || id >= last_id)) {
        sqlite_file_rollback(&store->file);
        return true;
    }
    range_of(&source, id, range);
    is_done = is_done && (is_retry ? revive_all(store, &source, range, count)
                                   : discard_all(store, &source, range, count));
    bool is_finished = finish(store, &source, is_done, problem);
    *count = is_finished ? *count : 0;
    return is_finished;
}

/* ---- the driver: each is one stay inside the gate ---- */

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
    struct visit all = {.store = store, .bytes = bytes, .row = visit, .context = context};
    if (!enter(store, problem)) {
        return false;
    }
    return leave(is_holder(store, source, problem) &&
                 visit_source(&all, LIST_ROWS, source, after, count, problem));
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
    sqlite3_stmt *statement = statement_of(store, VERSION);
    if (statement != NULL && sqlite3_step(statement) == SQLITE_ROW) {
        *version = (uint64_t)sqlite3_column_int64(statement, 0);
    }
    return leave((statement != NULL && ended(statement)) ||
                 sqlite_file_failed(&store->file, problem));
}

static bool figures(struct store *store, const char *source, struct store_figures *figures,
                    struct store_problem *problem)
{
    *figures = (struct store_figures){.pending = 0};
    if (!enter(store, problem)) {
        return false;
    }
    sqlite3_stmt *statement = statement_of(store, FIGURES);
    bool is_bound = statement != NULL && bind_text(statement, 1, source);
    if (is_bound && sqlite3_step(statement) == SQLITE_ROW) {
        figures->pending = (uint64_t)sqlite3_column_int64(statement, 0);
        figures->pending_bytes = (uint64_t)sqlite3_column_int64(statement, 1);
        figures->dead = (uint64_t)sqlite3_column_int64(statement, 2);
        figures->oldest = sqlite3_column_double(statement, 3);
    }
    return leave((is_bound && ended(statement)) || sqlite_file_failed(&store->file, problem));
}

static bool letters(struct store *store, const char *source, uint64_t after, size_t count,
                    store_letter_visitor *visit, void *context, struct store_problem *problem)
{
    struct visit all = {.store = store, .bytes = SIZE_MAX, .letter = visit, .context = context};
    if (!enter(store, problem)) {
        return false;
    }
    return leave(visit_source(&all, LIST_LETTERS, source, after, count, problem));
}

static bool look(struct store *store, const char *source, uint64_t after, size_t count,
                 store_row_visitor *visit, void *context, struct store_problem *problem)
{
    struct visit all = {.store = store, .bytes = SIZE_MAX, .row = visit, .context = context};
    if (!enter(store, problem)) {
        return false;
    }
    return leave(visit_source(&all, LIST_ROWS, source, after, count, problem));
}

static bool retry(struct store *store, const char *source, uint64_t id, size_t *count,
                  struct store_problem *problem)
{
    if (!enter(store, problem)) {
        return false;
    }
    return leave(settle_letters(store, source, id, true, count, problem));
}

static bool discard(struct store *store, const char *source, uint64_t id, size_t *count,
                    struct store_problem *problem)
{
    if (!enter(store, problem)) {
        return false;
    }
    return leave(settle_letters(store, source, id, false, count, problem));
}

static bool sources(struct store *store, bool (*visit)(void *context, const char *source),
                    void *context, struct store_problem *problem)
{
    if (!enter(store, problem)) {
        return false;
    }
    sqlite3_stmt *statement = statement_of(store, LIST_SOURCES);
    bool goes_on = statement != NULL;
    while (goes_on && sqlite3_step(statement) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(statement, 0);
        goes_on = name != NULL && visit(context, name);
    }
    return leave((statement != NULL && ended(statement)) ||
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
    .open = open_store,
    .close = close_store,
    .abandon = abandon,
    .append = append,
    .lease = lease,
    .release = release,
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
