#ifndef SENDAPI_SQLITE_FILE_H
#define SENDAPI_SQLITE_FILE_H

/*
 * An outbox's SQLite file: opened, told from what is not ours, brought to our schema, and written
 * in transactions of one engine at a time.
 *
 * One engine of all processes writes or checkpoints at a time, under a lock of our own: SQLite's
 * 3.7.0 to 3.51.2 may damage a WAL that two connections write or reset at the same moment. So
 * SQLite's own checkpoints are off, those at a connection's end too, and ours are made under it.
 *
 * Two copies of SQLite in one process would drop each other's locks: a file that somebody else in
 * the process has open when the first engine comes is refused, where that can be told (/proc), and
 * of this library's module there is one. Who comes later with the same copy, as luasql does where
 * both use the system's, harms nothing. One with a copy of its own deletes the WAL when it closes:
 * that is noticed, as is a file that was moved, deleted or replaced, and writing is refused until
 * the file is opened anew, for what is written to a WAL without a name would be lost. Our own locks
 * are on a file beside it, which only we open.
 *
 * What cannot be told: a file that is overwritten in place while it is in use, or opened from inside
 * a container. It is private to this library. A copy that is put in its place while nobody has it
 * open delivers again what was delivered since it was made.
 *
 * All calls are made inside the fork gate (fork_gate.h).
 *
 * One thread at a time for one file; different files in different threads. The functions that
 * return false have written the problem.
 */

#include <stdbool.h>
#include <stdint.h>    /* uint64_t */
#include <sys/types.h> /* dev_t ino_t */

#include <sqlite3.h>

#include "file_locks.h"
#include "store.h"
#include "visibility.h"

SENDAPI_HIDDEN_BEGIN

enum {
    SQLITE_FILE_APPLICATION = 0x53415049, /* in the file's header: "SAPI" */
    SQLITE_FILE_PAGE = 4096,
    SQLITE_FILE_WAL_PAGES = 1024, /* of a WAL that is put into the file at once: 4 MB */
};

struct sqlite_file {
    sqlite3 *db;
    struct file_locks *locks;
    char *path;      /* absolute, without links */
    char *lock_path; /* beside it: -lock */
    char *wal_path;
    dev_t wal_device; /* of the WAL that is written to: another may have its name by now */
    ino_t wal_inode;
    bool is_process_only;
    bool is_relaxed; /* it does not sync what it commits, now */
    bool must_exist;
    bool is_dirty;    /* written since `idle` had nothing more to do */
    bool is_doubtful; /* what was undone is in the WAL, whole: who recovers it takes it for done */
    bool is_unsynced; /* a sync has failed: what the WAL has may never reach the disk from there */
    int wal_pages;
    int wal_limit; /* pages past which the next checkpoint is tried */
    unsigned generation;
    struct sqlite_file *next; /* in the list of those that are open in this process */
};

/* The driver's function of that name: a folder, what is no file, a network's file system. */
bool sqlite_file_check(const char *path, struct store_problem *problem);

/* `steps`: what makes version i + 1 of the schema out of version i; 0 is an empty file. */
bool sqlite_file_open(struct sqlite_file *file, const struct store_settings *settings,
                      const char *const *steps, int versions, struct store_problem *problem);

/* Ends all statements as well. */
void sqlite_file_close(struct sqlite_file *file);

/* Closes in a child, all statements as well: touches nothing that its parent uses. */
void sqlite_file_abandon(struct sqlite_file *file);

/* False in a child of the process that opened it. */
bool sqlite_file_is_ours(const struct sqlite_file *file, struct store_problem *problem);

/* What a transaction survives. */
enum sqlite_file_safety {
    SQLITE_FILE_DURABLE, /* what the settings ask for */
    SQLITE_FILE_WRITTEN, /* the process at once, the machine with the next one that is DURABLE */
};

/*
 * Begins to write, waiting at most about a second for others that do; ended by one of the others.
 * `commit` returns true when what was written is as safe as was asked for; else it was undone.
 */
bool sqlite_file_begin(struct sqlite_file *file, enum sqlite_file_safety safety,
                       struct store_problem *problem);
bool sqlite_file_commit(struct sqlite_file *file, struct store_problem *problem);
void sqlite_file_rollback(struct sqlite_file *file);

/* Writes the problem of a code of SQLite's, or of the last one; returns false. */
bool sqlite_file_code(const struct sqlite_file *file, int code, struct store_problem *problem);
bool sqlite_file_failed(const struct sqlite_file *file, struct store_problem *problem);

/* A lock file that was replaced is opened anew: what was held in the old one is not held now. */
bool sqlite_file_follow_locks(struct sqlite_file *file, struct store_problem *problem);

/*
 * After a commit that failed: writes over what it left in the WAL. Under the writer's lock; whether
 * it could.
 */
bool sqlite_file_settle(struct sqlite_file *file);

/* What the name of the WAL leads to. What is in one that is gone can still be put into the file. */
enum sqlite_file_wal {
    SQLITE_FILE_WAL_OURS,
    SQLITE_FILE_WAL_GONE,
    SQLITE_FILE_WAL_ANOTHERS, /* who checkpoints or deletes now damages the file */
};
enum sqlite_file_wal sqlite_file_wal(const struct sqlite_file *file);

/* A step of what is to be done when there is time. */
void sqlite_file_idle(struct sqlite_file *file);

/* Runs SQL; returns SQLite's extended code. `ask`: the first column of the first row. */
int sqlite_file_execute(struct sqlite_file *file, const char *sql);
int sqlite_file_ask(struct sqlite_file *file, const char *sql, int *answer);

/*
 * The lock of who writes, opens, checkpoints or closes; waits at most about a second, or not at all:
 * then a lock file that was replaced locks nothing.
 */
bool sqlite_file_lock(struct sqlite_file *file, struct store_problem *problem);
bool sqlite_file_try_lock(struct sqlite_file *file);
void sqlite_file_unlock(struct sqlite_file *file);

/* Only who has that lock may let SQLite put the WAL into the file when the connection ends. */
void sqlite_file_forbid_checkpoint(struct sqlite_file *file, int is_forbidden);
void sqlite_file_disconnect(struct sqlite_file *file);

/* Writes the problem that errno tells of; returns false. */
bool sqlite_file_system(struct store_problem *problem, const char *what, const char *path);

/* Writes a problem, `format` as for printf; returns false. */
bool sqlite_file_problem(struct store_problem *problem, enum store_trouble trouble,
                         const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 3, 4)))
#endif
    ;

SENDAPI_HIDDEN_END

#endif
