#include "sqlite_file.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "file_place.h"
#include "fork_gate.h"
#include "sqlite_damage.h"

enum {
    BUSY_MILLISECONDS = 50, /* SQLite's own waiting, for those who only read */
    FILE_MODE = 0600,
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct sqlite_file *open_files; /* of this process and, in a child, of its parent */

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

static int note_wal(void *context, sqlite3 *db, const char *name, int pages)
{
    (void)db;
    (void)name;
    struct sqlite_file *file = context;
    file->wal_pages = pages;
    return SQLITE_OK;
}

static enum verdict connect(struct sqlite_file *file, struct store_problem *problem)
{
    struct stat status;
    bool is_new = stat(file->path, &status) != 0;
    int flags =
        SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | (file->must_exist ? 0 : SQLITE_OPEN_CREATE);
    int code = sqlite3_open_v2(file->path, &file->db, flags, NULL);
    if (file->db != NULL) {
        (void)sqlite3_extended_result_codes(file->db, 1);
        sqlite_file_forbid_checkpoint(file, 1);
    }
    if (code != SQLITE_OK) {
        return sqlite_damage_verdict(
            file, file->db != NULL ? sqlite3_extended_errcode(file->db) : code, problem);
    }
    if (is_new && chmod(file->path, FILE_MODE) != 0) {
        (void)sqlite_file_system(problem, "the outbox's mode cannot be set", file->path);
        return TROUBLE;
    }
    if (sqlite3_db_readonly(file->db, "main") == 1) {
        return sqlite_damage_verdict(file, SQLITE_READONLY, problem);
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
    if (sqlite_damage_is(code) && !file_locks_is_marked(file->locks)) {
        return is_foreign(file, problem);
    }
    return sqlite_damage_verdict(file, code, problem);
}

static enum verdict identify(struct sqlite_file *file, int versions, int *version,
                             struct store_problem *problem)
{
    int application = 0;
    int tables = 0;
    int code = sqlite_file_ask(file, "PRAGMA application_id", &application);
    code = code == SQLITE_OK ? sqlite_file_ask(file, "PRAGMA user_version", version) : code;
    code = code == SQLITE_OK ? sqlite_file_ask(file, "SELECT count(*) FROM sqlite_master", &tables)
                             : code;
    if (code != SQLITE_OK) {
        return unreadable(file, code, problem);
    }
    if (application != SQLITE_FILE_APPLICATION &&
        (application != 0 || tables > 0 || file->must_exist)) {
        return is_foreign(file, problem);
    }
    if (*version < 0 || *version > versions) {
        (void)sqlite_file_problem(problem, STORE_UNFIT,
                                  "the outbox was made by a newer version of this library, or by "
                                  "another program: its schema is %d, the newest known here %d "
                                  "(%.256s)",
                                  *version, versions, file->path);
        return TROUBLE;
    }
    return SOUND;
}

/* How pages are kept is settled once, by who makes the file. */
static int configure(struct sqlite_file *file, bool is_new)
{
    char sql[512];
    (void)snprintf(sql, sizeof sql, "PRAGMA page_size = %d; PRAGMA auto_vacuum = INCREMENTAL",
                   SQLITE_FILE_PAGE);
    int code = is_new ? sqlite_file_execute(file, sql) : SQLITE_OK;
    (void)snprintf(sql, sizeof sql,
                   "PRAGMA journal_mode = WAL; PRAGMA journal_size_limit = %d;"
                   "PRAGMA synchronous = %s; PRAGMA fullfsync = ON;"
                   "PRAGMA checkpoint_fullfsync = ON; PRAGMA secure_delete = OFF;"
                   "PRAGMA mmap_size = 0; PRAGMA temp_store = MEMORY",
                   SQLITE_FILE_PAGE * SQLITE_FILE_WAL_PAGES,
                   file->is_process_only ? "NORMAL" : "FULL");
    return code == SQLITE_OK ? sqlite_file_execute(file, sql) : code;
}

static int run_steps(struct sqlite_file *file, const char *const *steps, int version, int versions)
{
    char sql[128];
    int code = SQLITE_OK;
    for (int i = version; code == SQLITE_OK && i < versions; i++) {
        code = sqlite_file_execute(file, steps[i]);
    }
    (void)snprintf(sql, sizeof sql, "PRAGMA application_id = %d; PRAGMA user_version = %d",
                   SQLITE_FILE_APPLICATION, versions);
    return code == SQLITE_OK ? sqlite_file_execute(file, sql) : code;
}

/* All steps or none. */
static int migrate(struct sqlite_file *file, const char *const *steps, int version, int versions)
{
    if (version == versions) {
        return SQLITE_OK;
    }
    int code = sqlite_file_execute(file, "BEGIN IMMEDIATE");
    if (code != SQLITE_OK) {
        return code;
    }
    code = run_steps(file, steps, version, versions);
    code = code == SQLITE_OK ? sqlite_file_execute(file, "COMMIT") : code;
    if (sqlite3_get_autocommit(file->db) == 0) {
        (void)sqlite_file_execute(file, "ROLLBACK");
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
        verdict = sqlite_damage_look(file, problem);
    }
    if (verdict != SOUND) {
        return verdict;
    }
    int is_wal = 0;
    int code = configure(file, version == 0);
    code =
        code == SQLITE_OK
            ? sqlite_file_ask(file, "SELECT journal_mode = 'wal' FROM pragma_journal_mode", &is_wal)
            : code;
    if (code == SQLITE_OK && !is_wal) {
        (void)sqlite_file_problem(problem, STORE_UNFIT,
                                  "SQLite cannot keep a WAL where the outbox is (%.256s)",
                                  file->path);
        return TROUBLE;
    }
    code = code == SQLITE_OK ? migrate(file, steps, version, versions) : code;
    return code == SQLITE_OK ? SOUND : sqlite_damage_verdict(file, code, problem);
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

/* Whether another engine of this process has the file open. */
static bool is_ours_too(const struct sqlite_file *file)
{
    (void)pthread_mutex_lock(&lock);
    const struct sqlite_file *other = open_files;
    while (other != NULL && (other->db == NULL || strcmp(other->path, file->path) != 0)) {
        other = other->next;
    }
    (void)pthread_mutex_unlock(&lock);
    return other != NULL;
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
            sqlite_file_forbid_checkpoint(file, 1);
            sqlite_file_disconnect(file);
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

static bool is_of_network(const char *path, struct store_problem *problem)
{
    return sqlite_file_problem(problem, STORE_UNFIT,
                               "the outbox is on a network's file system, where locks and WAL are "
                               "not safe: put it on a local disk, or use redis:// (%.256s)",
                               path);
}

static bool check_place(const struct sqlite_file *file, const struct store_settings *settings,
                        struct store_problem *problem)
{
    static const char unsure[] = "the outbox is on a file system of FUSE: several processes may "
                                 "use it only if that one's locks are the system's";
    switch (file_place_system(file->path)) {
    case FILE_SYSTEM_NETWORK: return is_of_network(file->path, problem);
    case FILE_SYSTEM_UNSURE:
        if (settings->warn != NULL) {
            settings->warn(settings->warn_context, unsure);
        }
        return true;
    default: return true;
    }
}

/* Whether nothing that may still be made, mounted or permitted makes a file of such a path. */
static bool is_never_a_file(int error)
{
    return error == EISDIR || error == ENOTDIR || error == EINVAL || error == ENAMETOOLONG;
}

bool sqlite_file_check(const char *path, struct store_problem *problem)
{
    bool is_there = false;
    char *resolved = file_place_resolve(path, &is_there);
    bool is_fine = resolved != NULL || !is_never_a_file(errno);
    if (!is_fine) {
        (void)sqlite_file_problem(problem, STORE_UNFIT, "no file can be there: %s (%.256s)",
                                  errno == EINVAL ? "something else is" : strerror(errno), path);
    } else if (resolved != NULL && file_place_system(resolved) == FILE_SYSTEM_NETWORK) {
        is_fine = is_of_network(resolved, problem);
    }
    free(resolved);
    return is_fine;
}

/* What must exist has a lock file, too: a file of something else does not get one. */
static bool check_existence(const struct sqlite_file *file, bool is_there,
                            struct store_problem *problem)
{
    struct stat status;
    if (!file->must_exist) {
        return true;
    }
    if (!is_there) {
        return sqlite_file_problem(problem, STORE_UNAVAILABLE, "there is no outbox (%.256s)",
                                   file->path);
    }
    return stat(file->lock_path, &status) == 0 ||
           sqlite_file_problem(problem, STORE_UNAVAILABLE,
                               "the file is not in use as an outbox: there is no lock file beside "
                               "it (%.256s)",
                               file->lock_path);
}

/* SQLite opens what may be a journal to go back by, and would wait for ever at a pipe's. */
static bool check_journal(const struct sqlite_file *file, struct store_problem *problem)
{
    struct stat status;
    size_t size = strlen(file->path) + sizeof "-journal";
    char *path = malloc(size);
    if (path == NULL) {
        return sqlite_file_problem(problem, STORE_NO_MEMORY, "there is no memory left");
    }
    (void)snprintf(path, size, "%s-journal", file->path);
    bool is_fine = stat(path, &status) != 0 || S_ISREG(status.st_mode) ||
                   sqlite_file_problem(problem, STORE_UNAVAILABLE,
                                       "what should be a journal is no file (%.256s)", path);
    free(path);
    return is_fine;
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
        return sqlite_file_system(problem, "the outbox cannot be opened", settings->path);
    }
    if (!check_place(file, settings, problem) || !check_existence(file, is_there, problem) ||
        !check_journal(file, problem)) {
        return false;
    }
    file->locks = file_locks_open(file->lock_path);
    return file->locks != NULL ||
           sqlite_file_system(problem, "the outbox's lock file cannot be opened", file->lock_path);
}

/* Which file the WAL is, that the connection keeps open. */
static bool know_wal(struct sqlite_file *file)
{
    struct stat status;
    if (stat(file->wal_path, &status) != 0) {
        return false;
    }
    file->wal_device = status.st_dev;
    file->wal_inode = status.st_ino;
    return true;
}

/* Under the writer's lock. */
static bool open_locked(struct sqlite_file *file, const struct store_settings *settings,
                        const char *const *steps, int versions, struct store_problem *problem)
{
    bool is_first = false;
    if (!file_locks_join(file->locks, &is_first)) {
        return sqlite_file_system(problem, "the outbox's lock file cannot be used",
                                  file->lock_path);
    }
    if (is_first && !is_ours_too(file) && file_place_is_open_here(file->path)) {
        return sqlite_file_problem(problem, STORE_UNAVAILABLE,
                                   "something else in this process has the outbox's file open, "
                                   "which would break its locks (%.256s)",
                                   file->path);
    }
    enum verdict verdict = inspect(file, is_first, steps, versions, problem);
    if (verdict == DAMAGED && is_first && !file->must_exist &&
        sqlite_damage_put_aside(file, settings, problem)) {
        verdict = inspect(file, is_first, steps, versions, problem);
    }
    if (verdict != SOUND) {
        return false;
    }
    if (!know_wal(file)) {
        return sqlite_file_system(problem, "the outbox's WAL cannot be seen", file->wal_path);
    }
    if (!file_locks_mark(file->locks) || !file_place_sync_folder(file->path)) {
        return sqlite_file_system(problem, "the outbox's folder cannot be written", file->path);
    }
    return true;
}

bool sqlite_file_open(struct sqlite_file *file, const struct store_settings *settings,
                      const char *const *steps, int versions, struct store_problem *problem)
{
    *file = (struct sqlite_file){.is_process_only = settings->is_process_only,
                                 .is_relaxed = settings->is_process_only,
                                 .must_exist = settings->must_exist,
                                 .is_dirty = true,
                                 .wal_limit = SQLITE_FILE_WAL_PAGES,
                                 .generation = fork_gate_generation()};
    close_inherited();
    if (!prepare(file, settings, problem) || !sqlite_file_lock(file, problem)) {
        release(file);
        return false;
    }
    bool is_open = open_locked(file, settings, steps, versions, problem);
    if (!is_open) {
        sqlite_file_disconnect(file);
        release(file);
        return false;
    }
    sqlite_file_unlock(file);
    enlist(file);
    return true;
}

void sqlite_file_close(struct sqlite_file *file)
{
    delist(file);
    bool may_checkpoint = sqlite_file_try_lock(file) &&
                          sqlite_file_wal(file) != SQLITE_FILE_WAL_ANOTHERS &&
                          sqlite_file_settle(file);
    sqlite_file_forbid_checkpoint(file, !may_checkpoint);
    sqlite_file_disconnect(file);
    release(file);
}

void sqlite_file_abandon(struct sqlite_file *file)
{
    delist(file);
    sqlite_file_forbid_checkpoint(file, 1);
    sqlite_file_disconnect(file);
    release(file);
}

bool sqlite_file_is_ours(const struct sqlite_file *file, struct store_problem *problem)
{
    return file->generation == fork_gate_generation() ||
           sqlite_file_problem(problem, STORE_UNAVAILABLE,
                               "the outbox was opened by the process that this one is a child of");
}
