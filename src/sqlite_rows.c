#include "sqlite_rows.h"

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
    [REMOVE_LARGE] = "DELETE FROM large WHERE id IN (SELECT id FROM pending"
                     " WHERE id BETWEEN ?1 AND ?2 AND body IS NULL)",
    [LIST_ROWS] = "SELECT id, time, action, lane, length, body FROM pending"
                  " WHERE id > ?1 AND id <= ?2 ORDER BY id LIMIT ?3",
    [SUM_ROWS] = "SELECT count(*), sum(length), max(length) FROM pending"
                 " WHERE id BETWEEN ?1 AND ?2",
    [REMOVE_ROWS] = "DELETE FROM pending WHERE id BETWEEN ?1 AND ?2",
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
                "  ORDER BY row.id LIMIT 1), 0), coalesce((SELECT id FROM letter"
                "  WHERE letter.id > source.id << 43 AND letter.id < (source.id + 1) << 43"
                "  ORDER BY letter.id DESC LIMIT 1), 0) FROM source WHERE name = ?1",
    [VERSION] = "PRAGMA data_version",
};

sqlite3_stmt *sqlite_rows_statement(struct store *store, enum statement which)
{
    if (store->statements[which] == NULL) {
        (void)sqlite3_prepare_v3(store->file.db, sql[which], -1, SQLITE_PREPARE_PERSISTENT,
                                 &store->statements[which], NULL);
    }
    return store->statements[which];
}

sqlite3_stmt *sqlite_rows_with(struct store *store, enum statement which, size_t count,
                               const sqlite3_int64 *integers)
{
    sqlite3_stmt *statement = sqlite_rows_statement(store, which);
    for (size_t i = 0; statement != NULL && i < count; i++) {
        if (sqlite3_bind_int64(statement, (int)i + 1, integers[i]) != SQLITE_OK) {
            return NULL;
        }
    }
    return statement;
}

bool sqlite_rows_ended(sqlite3_stmt *statement)
{
    bool is_fine = sqlite3_reset(statement) == SQLITE_OK;
    (void)sqlite3_clear_bindings(statement);
    return is_fine;
}

bool sqlite_rows_run(sqlite3_stmt *statement)
{
    if (statement == NULL) {
        return false;
    }
    while (sqlite3_step(statement) == SQLITE_ROW) {
    }
    return sqlite_rows_ended(statement);
}

bool sqlite_rows_run_with(struct store *store, enum statement which, size_t count,
                          const sqlite3_int64 *integers)
{
    return sqlite_rows_run(sqlite_rows_with(store, which, count, integers));
}

bool sqlite_rows_text(sqlite3_stmt *statement, int place, const char *text)
{
    return sqlite3_bind_text(statement, place, text != NULL ? text : "", -1, SQLITE_STATIC) ==
           SQLITE_OK;
}

bool sqlite_rows_bytes(sqlite3_stmt *statement, int place, const char *bytes, size_t length)
{
    return sqlite3_bind_blob64(statement, place, length > 0 ? bytes : "", length, SQLITE_STATIC) ==
           SQLITE_OK;
}

sqlite3_int64 sqlite_rows_key(const struct source *source, uint64_t id)
{
    uint64_t number = id < SQLITE_ROWS_LAST_ID ? id : SQLITE_ROWS_LAST_ID;
    return (sqlite3_int64)((uint64_t)source->number << SQLITE_ROWS_ID_BITS | number);
}

uint64_t sqlite_rows_id(sqlite3_int64 key)
{
    return (uint64_t)key & SQLITE_ROWS_LAST_ID;
}

bool sqlite_rows_find(struct store *store, const char *name, struct source *source)
{
    *source = (struct source){.number = 0};
    sqlite3_stmt *statement = sqlite_rows_statement(store, FIND_SOURCE);
    if (statement == NULL || !sqlite_rows_text(statement, 1, name)) {
        return false;
    }
    if (sqlite3_step(statement) == SQLITE_ROW) {
        source->number = sqlite3_column_int64(statement, 0);
        source->last = (uint64_t)sqlite3_column_int64(statement, 1);
    }
    return sqlite_rows_ended(statement);
}
