#include "sqlite_visit.h"

enum step {
    STEP_ON,
    STEP_END,
    STEP_FAILED,
};

static enum step visit_failed(struct sqlite_visit *visit)
{
    visit->code = sqlite3_extended_errcode(visit->store->file.db);
    return STEP_FAILED;
}

static enum step show_with_body(struct sqlite_visit *visit, sqlite3_stmt *statement,
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
static enum step show_large(struct sqlite_visit *visit, sqlite3_stmt *statement,
                            struct store_letter *letter)
{
    sqlite3_int64 key = sqlite3_column_int64(statement, 0);
    sqlite3_stmt *large = sqlite_rows_with(visit->store, FIND_LARGE, 1, &key);
    if (large == NULL) {
        return visit_failed(visit);
    }
    if (sqlite3_step(large) != SQLITE_ROW) {
        enum step failed = visit_failed(visit);
        (void)sqlite_rows_ended(large);
        return failed;
    }
    letter->row.body = sqlite3_column_blob(large, 0);
    enum step step = (size_t)sqlite3_column_bytes(large, 0) == letter->row.length
                         ? show_with_body(visit, statement, letter)
                         : visit_failed(visit);
    (void)sqlite_rows_ended(large);
    return step;
}

static enum step show(struct sqlite_visit *visit, sqlite3_stmt *statement)
{
    struct store_letter letter = {
        .row = {.id = sqlite_rows_id(sqlite3_column_int64(statement, 0)),
                .time = sqlite3_column_double(statement, 1),
                .length = (size_t)sqlite3_column_int64(statement, 4)},
    };
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
static bool visit_problem(const struct sqlite_visit *visit, struct store_problem *problem)
{
    int code = visit->code & 0xFF;
    if (code != SQLITE_OK && code != SQLITE_ROW && code != SQLITE_DONE) {
        return sqlite_file_code(&visit->store->file, visit->code, problem);
    }
    return sqlite_file_problem(problem, STORE_UNFIT, "the outbox misses parts of a row (%.256s)",
                               visit->store->file.path);
}

static bool visit_statement(struct sqlite_visit *visit, sqlite3_stmt *statement,
                            struct store_problem *problem)
{
    enum step step = STEP_ON;
    while (step == STEP_ON) {
        int code = sqlite3_step(statement);
        if (code == SQLITE_ROW) {
            step = show(visit, statement);
            step = step == STEP_ON && visit->bytes == 0 ? STEP_END : step;
        } else {
            step = code == SQLITE_DONE ? STEP_END : visit_failed(visit);
        }
    }
    (void)sqlite_rows_ended(statement);
    return step == STEP_END || visit_problem(visit, problem);
}

bool sqlite_visit_source(struct sqlite_visit *visit, enum statement which, const char *name,
                         uint64_t after, size_t count, struct store_problem *problem)
{
    struct store *store = visit->store;
    struct source source;
    if (!sqlite_rows_find(store, name, &source)) {
        return sqlite_file_failed(&store->file, problem);
    }
    if (source.number == 0 || count == 0) {
        return true;
    }
    const sqlite3_int64 values[] = {sqlite_rows_key(&source, after),
                                    sqlite_rows_key(&source, SQLITE_ROWS_LAST_ID),
                                    count < INT32_MAX ? (sqlite3_int64)count : INT32_MAX};
    sqlite3_stmt *statement = sqlite_rows_with(store, which, 3, values);
    if (statement == NULL) {
        return sqlite_file_failed(&store->file, problem);
    }
    return visit_statement(visit, statement, problem);
}
