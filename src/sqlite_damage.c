#include "sqlite_damage.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "file_place.h"

enum { ASIDE_NAMES = 100 };

bool sqlite_damage_is(int code)
{
    return (code & 0xFF) == SQLITE_CORRUPT || (code & 0xFF) == SQLITE_NOTADB;
}

enum verdict sqlite_damage_verdict(const struct sqlite_file *file, int code,
                                   struct store_problem *problem)
{
    (void)sqlite_file_code(file, code, problem);
    return sqlite_damage_is(code) ? DAMAGED : TROUBLE;
}

/* What the check could not read is not damaged for that. */
static bool tells_of_damage(const char *finding)
{
    return strstr(finding, "error code=11") != NULL ||
           (strstr(finding, "get the page") == NULL && strstr(finding, "get page") == NULL);
}

static enum verdict check_pages(struct sqlite_file *file, struct store_problem *problem)
{
    enum verdict verdict = SOUND;
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(file->db, "PRAGMA quick_check(1)", -1, &statement, NULL);
    if (code == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW) {
        const char *finding = (const char *)sqlite3_column_text(statement, 0);
        if (finding == NULL) {
            verdict = sqlite_damage_verdict(file, SQLITE_NOMEM, problem);
        } else if (strcmp(finding, "ok") != 0) {
            verdict = sqlite_damage_verdict(
                file, tells_of_damage(finding) ? SQLITE_CORRUPT : SQLITE_IOERR_READ, problem);
        }
    }
    code = sqlite3_finalize(statement) != SQLITE_OK || code != SQLITE_OK
               ? sqlite3_extended_errcode(file->db)
               : SQLITE_OK;
    return code != SQLITE_OK ? sqlite_damage_verdict(file, code, problem) : verdict;
}

static bool can_be_read(sqlite3_file *real)
{
    char block[SQLITE_FILE_PAGE];
    sqlite3_int64 size = 0;
    int code = SQLITE_OK;
    if (real == NULL || real->pMethods == NULL) {
        return true;
    }
    code = real->pMethods->xFileSize(real, &size);
    for (sqlite3_int64 at = 0; code == SQLITE_OK && at < size; at += SQLITE_FILE_PAGE) {
        code = real->pMethods->xRead(real, block, SQLITE_FILE_PAGE, at);
        code = code == SQLITE_IOERR_SHORT_READ ? SQLITE_OK : code;
    }
    return code == SQLITE_OK;
}

/* The check takes a page that it cannot read for a damaged one, so that needs a second look. */
enum verdict sqlite_damage_look(struct sqlite_file *file, struct store_problem *problem)
{
    sqlite3_file *real = NULL;
    sqlite3_file *wal = NULL;
    enum verdict verdict = check_pages(file, problem);
    if (verdict != DAMAGED) {
        return verdict;
    }
    (void)sqlite3_file_control(file->db, "main", SQLITE_FCNTL_FILE_POINTER, &real);
    (void)sqlite3_file_control(file->db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &wal);
    if (!can_be_read(real) || !can_be_read(wal)) {
        (void)sqlite_file_code(file, SQLITE_IOERR_READ, problem);
        return TROUBLE;
    }
    return check_pages(file, problem);
}

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

bool sqlite_damage_put_aside(struct sqlite_file *file, const struct store_settings *settings,
                             struct store_problem *problem)
{
    size_t size = strlen(file->path) + 64;
    char *name = malloc(size);
    char sentence[STORE_REASON];
    sqlite_file_forbid_checkpoint(file, 1);
    sqlite_file_disconnect(file);
    bool is_done = name != NULL && choose_aside(file, name, size) && rename_aside(file, name, size);
    if (!is_done) {
        (void)sqlite_file_system(problem, "the damaged outbox cannot be put aside", file->path);
    } else if (settings->warn != NULL) {
        (void)snprintf(sentence, sizeof sentence,
                       "the outbox was damaged: it is now %.400s, and an empty one was made", name);
        settings->warn(settings->warn_context, sentence);
    }
    free(name);
    return is_done;
}
