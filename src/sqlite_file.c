#include "sqlite_file.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum {
    WRITER = 0,            /* the place of who writes; the leases have others (store_sqlite.c) */
    FREE_PAGES_KEPT = 256, /* free pages that stay in the file for what comes */
    FREE_PAGES_A_STEP = 512,
    WAIT_STEPS = 600, /* naps of at most 2 ms */
};

/* ---- problems ---- */

bool sqlite_file_problem(struct store_problem *problem, enum store_trouble trouble,
                         const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    problem->trouble = trouble;
    (void)vsnprintf(problem->reason, sizeof problem->reason, format, arguments);
    va_end(arguments);
    return false;
}

static bool is_no_memory(int code)
{
    return code == SQLITE_NOMEM || code == SQLITE_IOERR_NOMEM;
}

bool sqlite_file_system(struct store_problem *problem, const char *what, const char *path)
{
    enum store_trouble trouble = errno == ENOMEM ? STORE_NO_MEMORY : STORE_UNAVAILABLE;
    char reason[128] = "";
    (void)strerror_r(errno, reason, sizeof reason);
    return sqlite_file_problem(problem, trouble, "%s: %s (%.256s)", what, reason, path);
}

/* What SQLite's code means to who runs the outbox. */
static const char *sentence_of(int code)
{
    switch (code & 0xFF) {
    case SQLITE_FULL: return "the disk of the outbox is full";
    case SQLITE_READONLY: return "the outbox may only be read";
    case SQLITE_CANTOPEN: return "the outbox cannot be opened";
    case SQLITE_PERM:
    case SQLITE_AUTH: return "the outbox may not be opened";
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL: return "another process keeps the outbox locked";
    case SQLITE_IOERR: return "the outbox's disk has an error";
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return "the outbox is damaged; a restart of all that use it puts it aside";
    case SQLITE_TOOBIG: return "a message is too large for the outbox";
    default: return "the outbox cannot be used";
    }
}

static bool is_passing(int code)
{
    switch (code & 0xFF) {
    case SQLITE_FULL:
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
    case SQLITE_IOERR:
    case SQLITE_INTERRUPT: return true;
    default: return false;
    }
}

bool sqlite_file_code(const struct sqlite_file *file, int code, struct store_problem *problem)
{
    if (is_no_memory(code)) {
        return sqlite_file_problem(problem, STORE_NO_MEMORY, "there is no memory left");
    }
    return sqlite_file_problem(problem, is_passing(code) ? STORE_UNAVAILABLE : STORE_UNFIT,
                               "%s: SQLite says \"%s\", %d (%.256s)", sentence_of(code),
                               sqlite3_errstr(code), code, file->path);
}

bool sqlite_file_failed(const struct sqlite_file *file, struct store_problem *problem)
{
    return sqlite_file_code(file, sqlite3_extended_errcode(file->db), problem);
}

/* ---- SQL ---- */

int sqlite_file_execute(struct sqlite_file *file, const char *sql)
{
    int code = sqlite3_exec(file->db, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? code : sqlite3_extended_errcode(file->db);
}

/* The first column of the first row. */
int sqlite_file_ask(struct sqlite_file *file, const char *sql, int *answer)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(file->db, sql, -1, &statement, NULL);
    if (code == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW) {
        *answer = sqlite3_column_int(statement, 0);
    }
    code = sqlite3_finalize(statement) == SQLITE_OK && code == SQLITE_OK
               ? SQLITE_OK
               : sqlite3_extended_errcode(file->db);
    return code;
}

/* ---- the writer's lock ---- */

static void nap(unsigned step)
{
    long nanoseconds = step < 10 ? 50000 : step < 100 ? 500000 : 2000000;
    (void)nanosleep(&(struct timespec){.tv_nsec = nanoseconds}, NULL);
}

bool sqlite_file_lock(struct sqlite_file *file, struct store_problem *problem)
{
    for (unsigned step = 0; step < WAIT_STEPS; step++) {
        switch (file_locks_take(file->locks, WRITER)) {
        case FILE_LOCK_HELD: return true;
        case FILE_LOCK_REFUSED:
            return sqlite_file_system(problem, "the outbox cannot be locked", file->lock_path);
        case FILE_LOCK_TAKEN: nap(step);
        }
    }
    return sqlite_file_problem(problem, STORE_UNAVAILABLE,
                               "another process keeps the outbox locked (%.256s)", file->path);
}

bool sqlite_file_try_lock(struct sqlite_file *file)
{
    if (file_locks_take(file->locks, WRITER) != FILE_LOCK_HELD) {
        return false;
    }
    bool is_current = file_locks_is_current(file->locks);
    if (!is_current) {
        file_locks_give(file->locks, WRITER);
    }
    return is_current;
}

void sqlite_file_unlock(struct sqlite_file *file)
{
    file_locks_give(file->locks, WRITER);
}

bool sqlite_file_follow_locks(struct sqlite_file *file, struct store_problem *problem)
{
    if (file_locks_is_current(file->locks)) {
        return true;
    }
    bool is_first = false;
    struct file_locks *locks = file_locks_open(file->lock_path);
    if (locks == NULL || !file_locks_join(locks, &is_first) || !file_locks_mark(locks)) {
        (void)sqlite_file_system(problem, "the outbox's lock file cannot be made", file->lock_path);
        file_locks_close(locks);
        return false;
    }
    file_locks_close(file->locks);
    file->locks = locks;
    return true;
}

/* ---- checkpoints ---- */

/* The system may take for written what a sync that failed was to write, and sync it no more. */
static void note_sync(struct sqlite_file *file, int code)
{
    file->is_unsynced = file->is_unsynced || (code == SQLITE_IOERR_FSYNC && !file->is_process_only);
}

/* Frames behind some that are not on the disk would be lost with them: the WAL begins anew. */
static int begin_wal_anew(struct sqlite_file *file)
{
    if (!file->is_unsynced || sqlite_file_wal(file) == SQLITE_FILE_WAL_ANOTHERS) {
        return SQLITE_OK;
    }
    int code = sqlite3_wal_checkpoint_v2(file->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    file->is_unsynced = code != SQLITE_OK;
    return code;
}

/* Under the writer's lock. A failure leaves the WAL as it is: it is tried again later. */
static bool checkpoint(struct sqlite_file *file)
{
    int pages = 0;
    int done = 0;
    int code = sqlite3_wal_checkpoint_v2(file->db, NULL, SQLITE_CHECKPOINT_PASSIVE, &pages, &done);
    bool is_whole = code == SQLITE_OK && done >= pages;
    note_sync(file, code);
    file->wal_limit = is_whole ? SQLITE_FILE_WAL_PAGES : file->wal_pages + SQLITE_FILE_WAL_PAGES;
    return is_whole;
}

static void checkpoint_if_large(struct sqlite_file *file)
{
    if (file->wal_pages < file->wal_limit - SQLITE_FILE_WAL_PAGES) { /* it began anew */
        file->wal_limit = SQLITE_FILE_WAL_PAGES;
    }
    if (file->wal_pages > file->wal_limit) {
        (void)checkpoint(file);
    }
}

static bool vacuum_step(struct sqlite_file *file)
{
    char sql[64];
    int spare = 0;
    if (sqlite_file_ask(file, "PRAGMA freelist_count", &spare) != SQLITE_OK ||
        spare <= FREE_PAGES_KEPT) {
        return false;
    }
    spare -= FREE_PAGES_KEPT;
    (void)snprintf(sql, sizeof sql, "PRAGMA incremental_vacuum(%d)",
                   spare < FREE_PAGES_A_STEP ? spare : FREE_PAGES_A_STEP);
    return sqlite_file_execute(file, sql) == SQLITE_OK;
}

/* Changes nothing, but is written as a change. */
bool sqlite_file_settle(struct sqlite_file *file)
{
    int version = 0;
    char sql[80];
    if (file->is_doubtful && sqlite_file_ask(file, "PRAGMA user_version", &version) == SQLITE_OK) {
        (void)snprintf(sql, sizeof sql, "BEGIN IMMEDIATE; PRAGMA user_version = %d; COMMIT",
                       version);
        int code = sqlite_file_execute(file, sql);
        file->is_doubtful = code != SQLITE_OK;
        note_sync(file, code);
        if (sqlite3_get_autocommit(file->db) == 0) {
            (void)sqlite_file_execute(file, "ROLLBACK");
        }
    }
    return !file->is_doubtful;
}

enum sqlite_file_wal sqlite_file_wal(const struct sqlite_file *file)
{
    struct stat status;
    if (stat(file->wal_path, &status) != 0) {
        return SQLITE_FILE_WAL_GONE;
    }
    return status.st_dev == file->wal_device && status.st_ino == file->wal_inode
               ? SQLITE_FILE_WAL_OURS
               : SQLITE_FILE_WAL_ANOTHERS;
}

void sqlite_file_idle(struct sqlite_file *file)
{
    if ((!file->is_dirty && !file->is_doubtful) || !sqlite_file_try_lock(file)) {
        return;
    }
    if (sqlite_file_wal(file) == SQLITE_FILE_WAL_ANOTHERS || !sqlite_file_settle(file)) {
        sqlite_file_unlock(file);
        return;
    }
    if (!vacuum_step(file)) {
        file->is_dirty = !checkpoint(file);
    } else {
        checkpoint_if_large(file);
    }
    sqlite_file_unlock(file);
}

/* ---- transactions ---- */

/* What was moved or deleted while it is open is still written to, and lost. */
static bool is_in_place(const struct sqlite_file *file, struct store_problem *problem)
{
    int has_moved = 0;
    (void)sqlite3_file_control(file->db, "main", SQLITE_FCNTL_HAS_MOVED, &has_moved);
    if (has_moved == 0 && sqlite_file_wal(file) == SQLITE_FILE_WAL_OURS) {
        return true;
    }
    return sqlite_file_problem(problem, STORE_UNAVAILABLE,
                               "the outbox's file was moved or deleted while in use (%.256s)",
                               file->path);
}

static int set_safety(struct sqlite_file *file, enum sqlite_file_safety safety)
{
    bool is_relaxed = file->is_process_only || safety == SQLITE_FILE_WRITTEN;
    if (is_relaxed == file->is_relaxed) {
        return SQLITE_OK;
    }
    int code = sqlite_file_execute(file, is_relaxed ? "PRAGMA synchronous = NORMAL"
                                                    : "PRAGMA synchronous = FULL");
    file->is_relaxed = code == SQLITE_OK ? is_relaxed : file->is_relaxed;
    return code;
}

bool sqlite_file_begin(struct sqlite_file *file, enum sqlite_file_safety safety,
                       struct store_problem *problem)
{
    if (!sqlite_file_follow_locks(file, problem) || !sqlite_file_lock(file, problem)) {
        return false;
    }
    int code = begin_wal_anew(file);
    code = code == SQLITE_OK ? set_safety(file, safety) : code;
    code = code == SQLITE_OK ? sqlite_file_execute(file, "BEGIN IMMEDIATE") : code;
    if (code != SQLITE_OK) {
        sqlite_file_unlock(file);
        return sqlite_file_code(file, code, problem);
    }
    if (!is_in_place(file, problem)) {
        sqlite_file_rollback(file);
        return false;
    }
    return true;
}

void sqlite_file_rollback(struct sqlite_file *file)
{
    if (sqlite3_get_autocommit(file->db) == 0) {
        (void)sqlite_file_execute(file, "ROLLBACK");
    }
    sqlite_file_unlock(file);
}

bool sqlite_file_commit(struct sqlite_file *file, struct store_problem *problem)
{
    int code = sqlite_file_execute(file, "COMMIT");
    if (code != SQLITE_OK) {
        (void)sqlite_file_code(file, code, problem);
        file->is_doubtful = true;
        note_sync(file, code);
        sqlite_file_rollback(file);
        return false;
    }
    file->is_dirty = true;
    file->is_doubtful = false;
    bool is_there = is_in_place(file, problem);
    checkpoint_if_large(file);
    sqlite_file_unlock(file);
    return is_there;
}

/* ---- the connection ---- */

void sqlite_file_disconnect(struct sqlite_file *file)
{
    sqlite3_stmt *statement = NULL;
    while (file->db != NULL && (statement = sqlite3_next_stmt(file->db, NULL)) != NULL) {
        (void)sqlite3_finalize(statement);
    }
    (void)sqlite3_close(file->db);
    file->db = NULL;
}

void sqlite_file_forbid_checkpoint(struct sqlite_file *file, int is_forbidden)
{
    if (file->db != NULL) {
        (void)sqlite3_db_config(file->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, is_forbidden, NULL);
    }
}
