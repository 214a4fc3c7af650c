#include "sqlite_file.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "file_place.h"
#include "fork_gate.h"

enum {
    WRITER = 0, /* the place of who writes; those of the leases are others (store_sqlite.c) */
    BUSY_MILLISECONDS = 50,
    FILE_MODE = 0600,
    FREE_PAGES_KEPT = 256, /* free pages that stay in the file for what comes */
    FREE_PAGES_A_STEP = 512,
    WAIT_STEPS = 600, /* naps of at most 2 ms */
    ASIDE_NAMES = 100,
};

/* What looking at a file came to. */
enum verdict {
    SOUND,
    TROUBLE, /* a problem was written */
    DAMAGED,
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct sqlite_file *open_files; /* of this process and, in a child, of its parent */

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

static bool is_damage(int code)
{
    return (code & 0xFF) == SQLITE_CORRUPT || (code & 0xFF) == SQLITE_NOTADB;
}

static bool is_no_memory(int code)
{
    return code == SQLITE_NOMEM || code == SQLITE_IOERR_NOMEM;
}

static bool system_problem(struct store_problem *problem, const char *what, const char *path)
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

static enum verdict verdict_of(const struct sqlite_file *file, int code,
                               struct store_problem *problem)
{
    (void)sqlite_file_code(file, code, problem);
    return is_damage(code) ? DAMAGED : TROUBLE;
}

/* ---- SQL ---- */

static int execute(struct sqlite_file *file, const char *sql)
{
    int code = sqlite3_exec(file->db, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? code : sqlite3_extended_errcode(file->db);
}

/* The first column of the first row. */
static int ask(struct sqlite_file *file, const char *sql, int *answer)
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

static bool take_writer(struct sqlite_file *file, struct store_problem *problem)
{
    for (unsigned step = 0; step < WAIT_STEPS; step++) {
        switch (file_locks_take(file->locks, WRITER)) {
        case FILE_LOCK_HELD: return true;
        case FILE_LOCK_REFUSED:
            return system_problem(problem, "the outbox cannot be locked", file->lock_path);
        case FILE_LOCK_TAKEN: nap(step);
        }
    }
    return sqlite_file_problem(problem, STORE_UNAVAILABLE,
                               "another process keeps the outbox locked (%.256s)", file->path);
}

static void give_writer(struct sqlite_file *file)
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
        (void)system_problem(problem, "the outbox's lock file cannot be made", file->lock_path);
        file_locks_close(locks);
        return false;
    }
    file_locks_close(file->locks);
    file->locks = locks;
    return true;
}

/* ---- checkpoints ---- */

static int note_wal(void *context, sqlite3 *db, const char *name, int pages)
{
    (void)db;
    (void)name;
    struct sqlite_file *file = context;
    file->wal_pages = pages;
    return SQLITE_OK;
}

/* Under the writer's lock. A failure leaves the WAL as it is: it is tried again later. */
static bool checkpoint(struct sqlite_file *file)
{
    int pages = 0;
    int done = 0;
    int code = sqlite3_wal_checkpoint_v2(file->db, NULL, SQLITE_CHECKPOINT_PASSIVE, &pages, &done);
    bool is_whole = code == SQLITE_OK && done >= pages;
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
    if (ask(file, "PRAGMA freelist_count", &spare) != SQLITE_OK || spare <= FREE_PAGES_KEPT) {
        return false;
    }
    spare -= FREE_PAGES_KEPT;
    (void)snprintf(sql, sizeof sql, "PRAGMA incremental_vacuum(%d)",
                   spare < FREE_PAGES_A_STEP ? spare : FREE_PAGES_A_STEP);
    return execute(file, sql) == SQLITE_OK;
}

void sqlite_file_idle(struct sqlite_file *file)
{
    if (!file->is_dirty || file_locks_take(file->locks, WRITER) != FILE_LOCK_HELD) {
        return;
    }
    if (!vacuum_step(file)) {
        file->is_dirty = !checkpoint(file);
    } else {
        checkpoint_if_large(file);
    }
    give_writer(file);
}

/* ---- transactions ---- */

/* What was moved or deleted while it is open is still written to, and lost. */
static bool is_in_place(const struct sqlite_file *file, struct store_problem *problem)
{
    int has_moved = 0;
    struct stat status;
    (void)sqlite3_file_control(file->db, "main", SQLITE_FCNTL_HAS_MOVED, &has_moved);
    if (has_moved == 0 && stat(file->wal_path, &status) == 0) {
        return true;
    }
    return sqlite_file_problem(problem, STORE_UNAVAILABLE,
                               "the outbox's file was moved or deleted while in use (%.256s)",
                               file->path);
}

bool sqlite_file_begin(struct sqlite_file *file, struct store_problem *problem)
{
    if (!sqlite_file_follow_locks(file, problem) || !take_writer(file, problem)) {
        return false;
    }
    int code = execute(file, "BEGIN IMMEDIATE");
    if (code != SQLITE_OK) {
        give_writer(file);
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
        (void)execute(file, "ROLLBACK");
    }
    give_writer(file);
}

bool sqlite_file_commit(struct sqlite_file *file, struct store_problem *problem)
{
    int code = execute(file, "COMMIT");
    if (code != SQLITE_OK) {
        (void)sqlite_file_code(file, code, problem);
        sqlite_file_rollback(file);
        return false;
    }
    file->is_dirty = true;
    bool is_there = is_in_place(file, problem);
    checkpoint_if_large(file);
    give_writer(file);
    return is_there;
}

/* ---- opening ---- */

static bool set_up(struct sqlite_file *file, const char *path)
{
    size_t size = strlen(path) + sizeof "-lock";
    file->lock_path = malloc(size);
    file->wal_path = malloc(size);
    if (file->lock_path == NULL || file->wal_path == NULL) {
        return false;
    }
    (void)snprintf(file->lock_path, size, "%s-lock", path);
    (void)snprintf(file->wal_path, size, "%s-wal", path);
    return true;
}

static void disconnect(struct sqlite_file *file)
{
    sqlite3_stmt *statement = NULL;
    while (file->db != NULL && (statement = sqlite3_next_stmt(file->db, NULL)) != NULL) {
        (void)sqlite3_finalize(statement);
    }
    (void)sqlite3_close(file->db);
    file->db = NULL;
}

/* Only who has the writer's lock may let SQLite put the WAL into the file. */
static void forbid_checkpoint_at_close(struct sqlite_file *file, int is_forbidden)
{
    if (file->db != NULL) {
        (void)sqlite3_db_config(file->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, is_forbidden, NULL);
    }
}

static enum verdict connect(struct sqlite_file *file, struct store_problem *problem)
{
    struct stat status;
    bool is_new = stat(file->path, &status) != 0;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    int code = sqlite3_open_v2(file->path, &file->db, flags, NULL);
    if (file->db != NULL) {
        (void)sqlite3_extended_result_codes(file->db, 1);
        forbid_checkpoint_at_close(file, 1);
    }
    if (code != SQLITE_OK) {
        return verdict_of(file, file->db != NULL ? sqlite3_extended_errcode(file->db) : code,
                          problem);
    }
    if (is_new && chmod(file->path, FILE_MODE) != 0) {
        (void)system_problem(problem, "the outbox's mode cannot be set", file->path);
        return TROUBLE;
    }
    if (sqlite3_db_readonly(file->db, "main") == 1) {
        return verdict_of(file, SQLITE_READONLY, problem);
    }
    (void)sqlite3_busy_timeout(file->db, BUSY_MILLISECONDS);
    (void)sqlite3_wal_autocheckpoint(file->db, 0);
    (void)sqlite3_wal_hook(file->db, note_wal, file);
    return SOUND;
}

static enum verdict is_foreign(const struct sqlite_file *file, struct store_problem *problem)
{
    (void)sqlite_file_problem(problem, STORE_UNFIT,
                              "the file is not an outbox: it is left alone (%.256s)", file->path);
    return TROUBLE;
}

/* What is not even a SQLite file was an outbox if there is a mark of one beside it. */
static enum verdict unreadable(const struct sqlite_file *file, int code,
                               struct store_problem *problem)
{
    if (is_damage(code) && !file_locks_is_marked(file->locks)) {
        return is_foreign(file, problem);
    }
    return verdict_of(file, code, problem);
}

static enum verdict identify(struct sqlite_file *file, int versions, int *version,
                             struct store_problem *problem)
{
    int application = 0;
    int tables = 0;
    int code = ask(file, "PRAGMA application_id", &application);
    code = code == SQLITE_OK ? ask(file, "PRAGMA user_version", version) : code;
    code = code == SQLITE_OK ? ask(file, "SELECT count(*) FROM sqlite_master", &tables) : code;
    if (code != SQLITE_OK) {
        return unreadable(file, code, problem);
    }
    if (application != SQLITE_FILE_APPLICATION && (application != 0 || tables > 0)) {
        return is_foreign(file, problem);
    }
    if (*version > versions) {
        (void)sqlite_file_problem(problem, STORE_UNFIT,
                                  "the outbox was made by a newer version of this library: its "
                                  "schema is %d, the newest known here %d (%.256s)",
                                  *version, versions, file->path);
        return TROUBLE;
    }
    return SOUND;
}

/* What the check could not read is not damaged for that. */
static bool tells_of_damage(const char *finding)
{
    return strstr(finding, "get the page") == NULL && strstr(finding, "get page") == NULL;
}

static enum verdict look_through(struct sqlite_file *file, struct store_problem *problem)
{
    enum verdict verdict = SOUND;
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(file->db, "PRAGMA quick_check(1)", -1, &statement, NULL);
    if (code == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW) {
        const char *finding = (const char *)sqlite3_column_text(statement, 0);
        if (finding == NULL) {
            verdict = verdict_of(file, SQLITE_NOMEM, problem);
        } else if (strcmp(finding, "ok") != 0) {
            verdict = verdict_of(
                file, tells_of_damage(finding) ? SQLITE_CORRUPT : SQLITE_IOERR_READ, problem);
        }
    }
    code = sqlite3_finalize(statement) != SQLITE_OK || code != SQLITE_OK
               ? sqlite3_extended_errcode(file->db)
               : SQLITE_OK;
    return code != SQLITE_OK ? verdict_of(file, code, problem) : verdict;
}

static int configure(struct sqlite_file *file)
{
    char sql[512];
    (void)snprintf(sql, sizeof sql,
                   "PRAGMA page_size = %d; PRAGMA auto_vacuum = INCREMENTAL;"
                   "PRAGMA journal_mode = WAL; PRAGMA journal_size_limit = %d;"
                   "PRAGMA synchronous = %s; PRAGMA fullfsync = ON;"
                   "PRAGMA checkpoint_fullfsync = ON; PRAGMA secure_delete = OFF;"
                   "PRAGMA mmap_size = 0; PRAGMA temp_store = MEMORY",
                   SQLITE_FILE_PAGE, SQLITE_FILE_PAGE * SQLITE_FILE_WAL_PAGES,
                   file->is_process_only ? "NORMAL" : "FULL");
    return execute(file, sql);
}

static int run_steps(struct sqlite_file *file, const char *const *steps, int version, int versions)
{
    char sql[128];
    int code = SQLITE_OK;
    for (int i = version; code == SQLITE_OK && i < versions; i++) {
        code = execute(file, steps[i]);
    }
    (void)snprintf(sql, sizeof sql, "PRAGMA application_id = %d; PRAGMA user_version = %d",
                   SQLITE_FILE_APPLICATION, versions);
    return code == SQLITE_OK ? execute(file, sql) : code;
}

/* All steps or none. */
static int migrate(struct sqlite_file *file, const char *const *steps, int version, int versions)
{
    if (version == versions) {
        return SQLITE_OK;
    }
    int code = execute(file, "BEGIN IMMEDIATE");
    if (code != SQLITE_OK) {
        return code;
    }
    code = run_steps(file, steps, version, versions);
    code = code == SQLITE_OK ? execute(file, "COMMIT") : code;
    if (sqlite3_get_autocommit(file->db) == 0) {
        (void)execute(file, "ROLLBACK");
    }
    return code;
}

static enum verdict inspect(struct sqlite_file *file, bool is_first, const char *const *steps,
                            int versions, struct store_problem *problem)
{
    int version = 0;
    enum verdict verdict = connect(file, problem);
    verdict = verdict == SOUND ? identify(file, versions, &version, problem) : verdict;
    if (verdict == SOUND && is_first && version > 0) {
        verdict = look_through(file, problem);
    }
    if (verdict != SOUND) {
        return verdict;
    }
    int is_wal = 0;
    int code = configure(file);
    code = code == SQLITE_OK
               ? ask(file, "SELECT journal_mode = 'wal' FROM pragma_journal_mode", &is_wal)
               : code;
    if (code == SQLITE_OK && !is_wal) {
        (void)sqlite_file_problem(problem, STORE_UNFIT,
                                  "SQLite cannot keep a WAL where the outbox is (%.256s)",
                                  file->path);
        return TROUBLE;
    }
    code = code == SQLITE_OK ? migrate(file, steps, version, versions) : code;
    return code == SQLITE_OK ? SOUND : verdict_of(file, code, problem);
}

/* ---- a damaged file ---- */

/* A name beside the file that nobody has. */
static bool choose_aside(const struct sqlite_file *file, char *name, size_t size)
{
    char when[32] = "";
    struct tm parts;
    struct stat status;
    time_t now = time(NULL);
    if (gmtime_r(&now, &parts) != NULL) {
        (void)strftime(when, sizeof when, "%Y%m%dT%H%M%SZ", &parts);
    }
    for (int i = 1; i <= ASIDE_NAMES; i++) {
        int length = i == 1 ? snprintf(name, size, "%s.corrupt-%s", file->path, when)
                            : snprintf(name, size, "%s.corrupt-%s-%d", file->path, when, i);
        if (length < 0 || (size_t)length >= size) {
            errno = ENAMETOOLONG;
            return false;
        }
        if (lstat(name, &status) != 0 && errno == ENOENT) {
            return true;
        }
    }
    errno = EEXIST;
    return false;
}

/* The WAL goes first: a file without its WAL is missing rows, and must not be taken for whole. */
static bool rename_aside(const struct sqlite_file *file, const char *name, size_t size)
{
    char *aside = malloc(size + sizeof "-wal");
    char *shared = malloc(strlen(file->path) + sizeof "-shm");
    bool is_done = aside != NULL && shared != NULL;
    if (is_done) {
        (void)snprintf(aside, size + sizeof "-wal", "%s-wal", name);
        (void)snprintf(shared, strlen(file->path) + sizeof "-shm", "%s-shm", file->path);
        is_done = (rename(file->wal_path, aside) == 0 || errno == ENOENT) &&
                  rename(file->path, name) == 0 && file_place_sync_folder(file->path);
        (void)remove(shared);
    }
    free(shared);
    free(aside);
    return is_done;
}

static bool put_aside(struct sqlite_file *file, const struct store_settings *settings,
                      struct store_problem *problem)
{
    size_t size = strlen(file->path) + 64;
    char *name = malloc(size);
    char sentence[STORE_REASON];
    forbid_checkpoint_at_close(file, 1);
    disconnect(file);
    bool is_done = name != NULL && choose_aside(file, name, size) && rename_aside(file, name, size);
    if (!is_done) {
        (void)system_problem(problem, "the damaged outbox cannot be put aside", file->path);
    } else if (settings->warn != NULL) {
        (void)snprintf(sentence, sizeof sentence,
                       "the outbox was damaged: it is now %.400s, and an empty one was made", name);
        settings->warn(settings->warn_context, sentence);
    }
    free(name);
    return is_done;
}

/* ---- what is opened and closed ---- */

static void enlist(struct sqlite_file *file)
{
    (void)pthread_mutex_lock(&lock);
    file->next = open_files;
    open_files = file;
    (void)pthread_mutex_unlock(&lock);
}

static void delist(const struct sqlite_file *file)
{
    (void)pthread_mutex_lock(&lock);
    struct sqlite_file **link = &open_files;
    while (*link != NULL && *link != file) {
        link = &(*link)->next;
    }
    if (*link == file) {
        *link = file->next;
    }
    (void)pthread_mutex_unlock(&lock);
}

/*
 * SQLite believes that this process has the locks of its parent's connections, and would share
 * them with a new one: they are closed first.
 */
static void close_inherited(void)
{
    unsigned generation = fork_gate_generation();
    (void)pthread_mutex_lock(&lock);
    for (struct sqlite_file *file = open_files; file != NULL; file = file->next) {
        if (file->generation != generation && file->db != NULL) {
            forbid_checkpoint_at_close(file, 1);
            disconnect(file);
        }
    }
    (void)pthread_mutex_unlock(&lock);
}

static void release(struct sqlite_file *file)
{
    file_locks_close(file->locks);
    free(file->wal_path);
    free(file->lock_path);
    free(file->path);
    *file = (struct sqlite_file){.db = NULL};
}

static bool check_place(const struct sqlite_file *file, const struct store_settings *settings,
                        struct store_problem *problem)
{
    static const char unsure[] = "the outbox is on a file system of FUSE: several processes may "
                                 "use it only if that one's locks are the system's";
    switch (file_place_system(file->path)) {
    case FILE_SYSTEM_NETWORK:
        return sqlite_file_problem(problem, STORE_UNFIT,
                                   "the outbox is on a network's file system, where locks and WAL "
                                   "are not safe: put it on a local disk, or use redis:// (%.256s)",
                                   file->path);
    case FILE_SYSTEM_UNSURE:
        if (settings->warn != NULL) {
            settings->warn(settings->warn_context, unsure);
        }
        return true;
    default: return true;
    }
}

static bool prepare(struct sqlite_file *file, const struct store_settings *settings,
                    struct store_problem *problem)
{
    bool is_there = false;
    if (sqlite3_threadsafe() == 0) {
        return sqlite_file_problem(problem, STORE_UNFIT, "this SQLite was built without threads");
    }
    file->path = file_place_resolve(settings->path, &is_there);
    if (file->path == NULL || !set_up(file, file->path)) {
        return system_problem(problem, "the outbox cannot be opened", settings->path);
    }
    if (!check_place(file, settings, problem)) {
        return false;
    }
    file->locks = file_locks_open(file->lock_path);
    return file->locks != NULL ||
           system_problem(problem, "the outbox's lock file cannot be opened", file->lock_path);
}

/* Under the writer's lock. */
static bool open_locked(struct sqlite_file *file, const struct store_settings *settings,
                        const char *const *steps, int versions, struct store_problem *problem)
{
    bool is_first = false;
    if (!file_locks_join(file->locks, &is_first)) {
        return system_problem(problem, "the outbox's lock file cannot be used", file->lock_path);
    }
    if (is_first && file_place_is_open_here(file->path)) {
        return sqlite_file_problem(problem, STORE_UNAVAILABLE,
                                   "something else in this process has the outbox's file open, "
                                   "which would break its locks (%.256s)",
                                   file->path);
    }
    enum verdict verdict = inspect(file, is_first, steps, versions, problem);
    if (verdict == DAMAGED && is_first && put_aside(file, settings, problem)) {
        verdict = inspect(file, is_first, steps, versions, problem);
    }
    if (verdict != SOUND) {
        return false;
    }
    if (!file_locks_mark(file->locks) || !file_place_sync_folder(file->path)) {
        return system_problem(problem, "the outbox's folder cannot be written", file->path);
    }
    return true;
}

bool sqlite_file_open(struct sqlite_file *file, const struct store_settings *settings,
                      const char *const *steps, int versions, struct store_problem *problem)
{
    *file = (struct sqlite_file){.is_process_only = settings->is_process_only,
                                 .is_dirty = true,
                                 .wal_limit = SQLITE_FILE_WAL_PAGES,
                                 .generation = fork_gate_generation()};
    close_inherited();
    if (!prepare(file, settings, problem) || !take_writer(file, problem)) {
        release(file);
        return false;
    }
    bool is_open = open_locked(file, settings, steps, versions, problem);
    if (!is_open) {
        disconnect(file);
        release(file);
        return false;
    }
    give_writer(file);
    enlist(file);
    return true;
}

void sqlite_file_close(struct sqlite_file *file)
{
    delist(file);
    bool may_checkpoint = file_locks_take(file->locks, WRITER) == FILE_LOCK_HELD;
    forbid_checkpoint_at_close(file, !may_checkpoint);
    disconnect(file);
    release(file);
}

void sqlite_file_abandon(struct sqlite_file *file)
{
    delist(file);
    forbid_checkpoint_at_close(file, 1);
    disconnect(file);
    release(file);
}

bool sqlite_file_is_ours(const struct sqlite_file *file, struct store_problem *problem)
{
    return file->generation == fork_gate_generation() ||
           sqlite_file_problem(problem, STORE_UNAVAILABLE,
                               "the outbox was opened by the process that this one is a child of");
}
