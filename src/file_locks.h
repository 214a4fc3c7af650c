#ifndef SENDAPI_FILE_LOCKS_H
#define SENDAPI_FILE_LOCKS_H

/*
 * Places of a lock file, each locked by one engine at a time among all engines of all processes of
 * this machine. A process that dies, however it dies, holds nothing any more.
 *
 * The system's locks (fcntl) are a process's, and all of them are dropped when it closes any
 * descriptor of the file. So a process has one descriptor of each lock file, whoever opens it, and
 * the engines of one process exclude each other in a list beside it. A child holds nothing of its
 * parent's: what was opened before the fork can only be closed.
 *
 * Any thread may call any function, one at a time for one `struct file_locks`; none waits.
 */

#include <stdbool.h>
#include <stdint.h> /* uint64_t */

#include "visibility.h"

SENDAPI_HIDDEN_BEGIN

struct file_locks;

enum file_lock {
    FILE_LOCK_HELD,    /* from now on or still */
    FILE_LOCK_TAKEN,   /* by another engine */
    FILE_LOCK_REFUSED, /* by the system: errno says why */
};

/*
 * Registers what happens at a fork. Who calls these functions while holding a lock of its own that
 * is taken at forks calls this first, and registers then: a fork takes locks in that order.
 */
void file_locks_watch_forks(void);

/* Opens a lock file, makes it (mode 0600) when there is none; NULL with errno set. */
struct file_locks *file_locks_open(const char *path);

/* Gives back all places. NULL is fine. */
void file_locks_close(struct file_locks *locks);

/* Places are below 2^62. */
enum file_lock file_locks_take(struct file_locks *locks, uint64_t place);
void file_locks_give(struct file_locks *locks, uint64_t place);
bool file_locks_holds(const struct file_locks *locks, uint64_t place);

/* False when the path leads to another file by now, or to none: others lock elsewhere then. */
bool file_locks_is_current(const struct file_locks *locks);

/*
 * Joins those who use what the locks are for, until it closes. *is_first is whether nobody else was
 * there, in which case nobody comes either: all of them join, and look whether they are the first,
 * while they hold one and the same place. False with errno set.
 */
bool file_locks_join(struct file_locks *locks, bool *is_first);

/*
 * A mark in the file, which outlives all who opened it: false unless it was made. file_locks_mark
 * returns false when it could not be made.
 */
bool file_locks_is_marked(const struct file_locks *locks);
bool file_locks_mark(struct file_locks *locks);

SENDAPI_HIDDEN_END

#endif
