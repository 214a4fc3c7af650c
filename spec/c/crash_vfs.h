#ifndef SENDAPI_CRASH_VFS_H
#define SENDAPI_CRASH_VFS_H

/*
 * A disk for SQLite that loses power, and one that fails: a VFS before the system's own.
 *
 * What is written goes to the real file at once, as every process sees it. Beside it the disk keeps
 * what was synced, and every write since. When the power goes, all calls fail from there on, and
 * crash_vfs_restore() makes the files what a disk might have after it: what was synced, and of each
 * write since, by chance, all, nothing, or some sectors of it, in any order. The WAL's index (-shm),
 * which lives in memory, is gone.
 *
 * One thread; all connections must be closed before crash_vfs_restore().
 */

#include <stdbool.h>
#include <stdint.h> /* uint64_t */

/* Becomes SQLite's default, for good. */
void crash_vfs_install(void);

/* Counts anew, and seeds what chance does; no power is lost and no call fails. */
void crash_vfs_reset(uint64_t seed);

/* Calls since the last reset, of all kinds but closing and unlocking. */
long crash_vfs_calls(void);

/* The power goes at the call with that number, counted from 0. Before what is watched is opened. */
void crash_vfs_lose_power_at(long call);
bool crash_vfs_is_dark(void);

/* The call with that number fails, by SQLite's `code`, or all from it on. */
void crash_vfs_fail_at(long call, int code, bool is_lasting);

/* Whether the failure was met. */
bool crash_vfs_has_failed(void);

/* The power is back: the files are what the disk has kept. */
void crash_vfs_restore(void);

#endif
