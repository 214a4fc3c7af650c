/*
 * sqlite_floor insert PATH SYNCHRONOUS BODY COUNT ROWS
 * sqlite_floor commit PATH SYNCHRONOUS BODY COUNT RATE
 *
 * What SQLite itself takes to keep COUNT rows of the same columns in a new file with a WAL.
 *
 * insert   in transactions of ROWS; prints the rows per second, the file's making left out
 * commit   each in its own transaction, RATE of them a second; prints the microseconds of a
 *          transaction: the median, and what 99 of 100 do not exceed
 */

#include <stdbool.h>
#include <stdio.h>  /* fprintf(3) snprintf(3) */
#include <stdlib.h> /* exit(3) malloc(3) qsort(3) strtol(3) */
#include <string.h> /* strcmp(3) strlen(3) */
#include <time.h>   /* clock_gettime(2) clock_nanosleep(2) */

#include <sqlite3.h>

static const char *const TABLE =
    "CREATE TABLE pending (id INTEGER PRIMARY KEY, time REAL NOT NULL, action TEXT NOT NULL,"
    "  lane BLOB NOT NULL, length INTEGER NOT NULL, body BLOB)";

static const char *const INSERT =
    "INSERT INTO pending (id, time, action, lane, length, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";

static void fail(const char *reason)
{
    fprintf(stderr, "sqlite_floor: %s\n", reason);
    exit(EXIT_FAILURE);
}

static double now(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + (double)at.tv_nsec * 1e-9;
}

static void execute(sqlite3 *db, const char *sql)
{
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK) {
        fail(sqlite3_errmsg(db));
    }
}

static sqlite3 *make_file(const char *path, const char *synchronous)
{
    char sql[128];
    sqlite3 *db = NULL;
    if (sqlite3_open(path, &db) != SQLITE_OK) {
        fail(sqlite3_errmsg(db));
    }
    (void)snprintf(sql, sizeof sql, "PRAGMA journal_mode = WAL; PRAGMA synchronous = %.16s",
                   synchronous);
    execute(db, sql);
    execute(db, TABLE);
    return db;
}

static sqlite3_stmt *prepare(sqlite3 *db, const char *body)
{
    sqlite3_stmt *insert = NULL;
    if (sqlite3_prepare_v2(db, INSERT, -1, &insert, NULL) != SQLITE_OK) {
        fail(sqlite3_errmsg(db));
    }
    (void)sqlite3_bind_double(insert, 2, 1.5e9);
    (void)sqlite3_bind_text(insert, 3, "messages.create", -1, SQLITE_STATIC);
    (void)sqlite3_bind_blob(insert, 4, "42", 2, SQLITE_STATIC);
    (void)sqlite3_bind_int64(insert, 5, (sqlite3_int64)strlen(body));
    (void)sqlite3_bind_blob(insert, 6, body, (int)strlen(body), SQLITE_STATIC);
    return insert;
}

static void add_rows(sqlite3 *db, sqlite3_stmt *insert, long first, long count)
{
    execute(db, "BEGIN IMMEDIATE");
    for (long i = 0; i < count; i++) {
        (void)sqlite3_bind_int64(insert, 1, first + i);
        if (sqlite3_step(insert) != SQLITE_DONE || sqlite3_reset(insert) != SQLITE_OK) {
            fail(sqlite3_errmsg(db));
        }
    }
    execute(db, "COMMIT");
}

static void insert_all(sqlite3 *db, sqlite3_stmt *insert, long count, long rows)
{
    double begin = now();
    for (long done = 0; done < count; done += rows) {
        add_rows(db, insert, done + 1, count - done < rows ? count - done : rows);
    }
    printf("%.1f\n", (double)count / (now() - begin));
}

static int compare(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;
    return (a > b) - (a < b);
}

static void sleep_until(double due)
{
    struct timespec at = {.tv_sec = (time_t)due};
    at.tv_nsec = (long)((due - (double)at.tv_sec) * 1e9);
    (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
}

/* Where a transaction takes longer than its place in the second, the next one begins at once. */
static void commit_all(sqlite3 *db, sqlite3_stmt *insert, long count, long rate)
{
    double *taken = malloc((size_t)count * sizeof *taken);
    if (taken == NULL) {
        fail("there is no memory left");
    }
    double first = now();
    for (long i = 0; i < count; i++) {
        sleep_until(first + (double)i / (double)rate);
        double begin = now();
        add_rows(db, insert, i + 1, 1);
        taken[i] = (now() - begin) * 1e6;
    }
    qsort(taken, (size_t)count, sizeof *taken, compare);
    printf("%.1f %.1f\n", taken[count / 2], taken[count * 99 / 100]);
    free(taken);
}

int main(int count, char **arguments)
{
    if (count != 7) {
        fail("usage: sqlite_floor insert|commit PATH SYNCHRONOUS BODY COUNT ROWS|RATE");
    }
    long rows = strtol(arguments[5], NULL, 10);
    long measure = strtol(arguments[6], NULL, 10);
    bool is_insert = strcmp(arguments[1], "insert") == 0;
    if (rows < 1 || measure < 1) {
        fail("COUNT, ROWS and RATE are at least 1");
    }
    sqlite3 *db = make_file(arguments[2], arguments[3]);
    sqlite3_stmt *insert = prepare(db, arguments[4]);
    (is_insert ? insert_all : commit_all)(db, insert, rows, measure);
    (void)sqlite3_finalize(insert);
    (void)sqlite3_close(db);
    return EXIT_SUCCESS;
}
