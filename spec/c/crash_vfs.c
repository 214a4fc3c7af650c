#include "crash_vfs.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sqlite3.h>

#include "random.h"

enum { SECTOR = 512, DISK_FILES = 64 };

/* A write since the last sync; without bytes a truncation to `offset`. */
struct change {
    struct change *next;
    sqlite3_int64 offset;
    int length;
    bool is_cut;
    unsigned char bytes[];
};

struct content {
    unsigned char *bytes;
    size_t length;
};

/* A file on the disk, known from its first opening to the next reset. */
struct disk_file {
    char path[512];
    struct content synced;
    struct change *changes;
    struct change **last;
};

struct crash_file {
    sqlite3_file base;
    struct disk_file *disk; /* NULL: not kept apart */
    sqlite3_file *real;     /* behind this struct */
};

static sqlite3_vfs *real_vfs;
static sqlite3_vfs crash_vfs;
static struct disk_file disk[DISK_FILES];
static size_t disk_count;
static struct random chance = {.state = 1};
static long calls;
static long power_limit = -1;
static long fail_limit = -1;
static int fail_code;
static bool is_dark, is_lasting_failure, has_failed;
static bool is_kept;  /* what was synced is kept apart */
static bool is_going; /* it is this call at which the power goes */

/* ---- what a call comes to ---- */

/* SQLITE_OK, or the error that the call meets. */
static int meet(int dark_code)
{
    long call = calls++;
    is_going = !is_dark && power_limit >= 0 && call >= power_limit;
    is_dark = is_dark || is_going;
    if (is_dark) {
        return dark_code;
    }
    if (fail_limit >= 0 && (call == fail_limit || (is_lasting_failure && call > fail_limit))) {
        has_failed = true;
        return fail_code == SQLITE_IOERR ? dark_code : fail_code;
    }
    return SQLITE_OK;
}

/* ---- the disk ---- */

static void *must(void *block)
{
    if (block == NULL) {
        abort();
    }
    return block;
}

static void apply(struct content *content, sqlite3_int64 offset, const void *bytes, size_t length)
{
    size_t end = (size_t)offset + length;
    if (end > content->length) {
        content->bytes = must(realloc(content->bytes, end));
        memset(content->bytes + content->length, 0, end - content->length);
        content->length = end;
    }
    memcpy(content->bytes + offset, bytes, length);
}

static void cut(struct content *content, sqlite3_int64 length)
{
    if ((size_t)length < content->length) {
        content->length = (size_t)length;
    }
}

static void forget_changes(struct disk_file *file)
{
    while (file->changes != NULL) {
        struct change *change = file->changes;
        file->changes = change->next;
        free(change);
    }
    file->last = &file->changes;
}

static void add_change(struct disk_file *file, sqlite3_int64 offset, const void *bytes, int length,
                       bool is_cut)
{
    struct change *change = must(malloc(sizeof *change + (size_t)length));
    *change = (struct change){.offset = offset, .length = length, .is_cut = is_cut};
    if (length > 0) {
        memcpy(change->bytes, bytes, (size_t)length);
    }
    *file->last = change;
    file->last = &change->next;
}

static void sync_changes(struct disk_file *file)
{
    for (const struct change *change = file->changes; change != NULL; change = change->next) {
        if (change->is_cut) {
            cut(&file->synced, change->offset);
        } else {
            apply(&file->synced, change->offset, change->bytes, (size_t)change->length);
        }
    }
    forget_changes(file);
}

/* What was there before this disk was watched is taken for synced. */
static void load(struct disk_file *file)
{
    unsigned char block[4096];
    FILE *stream = fopen(file->path, "rb");
    size_t length;
    while (stream != NULL && (length = fread(block, 1, sizeof block, stream)) > 0) {
        apply(&file->synced, (sqlite3_int64)file->synced.length, block, length);
    }
    if (stream != NULL) {
        (void)fclose(stream);
    }
}

static struct disk_file *disk_file_of(const char *path)
{
    for (size_t i = 0; i < disk_count; i++) {
        if (strcmp(disk[i].path, path) == 0) {
            return &disk[i];
        }
    }
    if (disk_count == DISK_FILES) {
        abort();
    }
    struct disk_file *file = &disk[disk_count++];
    *file = (struct disk_file){.changes = NULL};
    file->last = &file->changes;
    (void)snprintf(file->path, sizeof file->path, "%s", path);
    load(file);
    return file;
}

/* A write that was not synced: some of it may be there. */
static void apply_by_chance(struct content *content, const struct change *change)
{
    uint64_t luck = random_below(&chance, 4);
    if (luck == 0) {
        return;
    }
    if (change->is_cut) {
        cut(content, change->offset);
        return;
    }
    for (int at = 0; at < change->length; at += SECTOR) {
        int length = change->length - at < SECTOR ? change->length - at : SECTOR;
        if (luck > 1 || random_below(&chance, 2) == 0) {
            apply(content, change->offset + at, change->bytes + at, (size_t)length);
        }
    }
}

static void write_out(const struct disk_file *file)
{
    int descriptor = open(file->path, O_WRONLY | O_TRUNC | O_CLOEXEC);
    if (descriptor < 0) {
        return; /* it was deleted */
    }
    size_t length = file->synced.length;
    if (write(descriptor, length > 0 ? (const void *)file->synced.bytes : "", length) !=
        (ssize_t)length) {
        abort();
    }
    (void)close(descriptor);
}

/* ---- a file's calls ---- */

static sqlite3_file *real_of(sqlite3_file *file)
{
    return ((struct crash_file *)file)->real;
}

static struct disk_file *kept_of(sqlite3_file *file)
{
    return ((struct crash_file *)file)->disk;
}

static int on_close(sqlite3_file *file)
{
    return real_of(file)->pMethods->xClose(real_of(file));
}

static int on_read(sqlite3_file *file, void *bytes, int length, sqlite3_int64 offset)
{
    int code = meet(SQLITE_IOERR_READ);
    code = code == SQLITE_FULL ? SQLITE_OK : code; /* a full disk can be read */
    return code != SQLITE_OK ? code
                             : real_of(file)->pMethods->xRead(real_of(file), bytes, length, offset);
}

static int on_write(sqlite3_file *file, const void *bytes, int length, sqlite3_int64 offset)
{
    int code = meet(SQLITE_IOERR_WRITE);
    if (kept_of(file) != NULL && (code == SQLITE_OK || is_going)) {
        add_change(kept_of(file), offset, bytes, length, false);
    }
    return code != SQLITE_OK
               ? code
               : real_of(file)->pMethods->xWrite(real_of(file), bytes, length, offset);
}

static int on_truncate(sqlite3_file *file, sqlite3_int64 length)
{
    int code = meet(SQLITE_IOERR_TRUNCATE);
    if (kept_of(file) != NULL && code == SQLITE_OK) {
        add_change(kept_of(file), length, "", 0, true);
    }
    return code != SQLITE_OK ? code : real_of(file)->pMethods->xTruncate(real_of(file), length);
}

/* The real one would only cost time. One that fails is not made up for by the next: as on Linux. */
static int on_sync(sqlite3_file *file, int flags)
{
    (void)flags;
    int code = meet(SQLITE_IOERR_FSYNC);
    if (kept_of(file) != NULL && code != SQLITE_OK && !is_dark) {
        forget_changes(kept_of(file));
    }
    if (kept_of(file) != NULL && code == SQLITE_OK) {
        sync_changes(kept_of(file));
    }
    return code;
}

static int on_size(sqlite3_file *file, sqlite3_int64 *size)
{
    int code = meet(SQLITE_IOERR_FSTAT);
    code = code == SQLITE_FULL ? SQLITE_OK : code;
    return code != SQLITE_OK ? code : real_of(file)->pMethods->xFileSize(real_of(file), size);
}

static int on_lock(sqlite3_file *file, int level)
{
    int code = meet(SQLITE_IOERR_LOCK);
    return code != SQLITE_OK ? code : real_of(file)->pMethods->xLock(real_of(file), level);
}

static int on_unlock(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xUnlock(real_of(file), level);
}

static int on_check(sqlite3_file *file, int *answer)
{
    return real_of(file)->pMethods->xCheckReservedLock(real_of(file), answer);
}

static int on_control(sqlite3_file *file, int operation, void *argument)
{
    return real_of(file)->pMethods->xFileControl(real_of(file), operation, argument);
}

static int on_sector(sqlite3_file *file)
{
    (void)file;
    return SECTOR;
}

/* Promises nothing: no safe append, no write that is whole. */
static int on_device(sqlite3_file *file)
{
    (void)file;
    return 0;
}

static int on_map(sqlite3_file *file, int page, int size, int extend, void volatile **memory)
{
    int code = meet(SQLITE_IOERR_SHMMAP);
    return code != SQLITE_OK
               ? code
               : real_of(file)->pMethods->xShmMap(real_of(file), page, size, extend, memory);
}

static int on_shared_lock(sqlite3_file *file, int offset, int count, int flags)
{
    int code = (flags & SQLITE_SHM_UNLOCK) != 0 ? SQLITE_OK : meet(SQLITE_IOERR_SHMLOCK);
    return code != SQLITE_OK
               ? code
               : real_of(file)->pMethods->xShmLock(real_of(file), offset, count, flags);
}

static void on_barrier(sqlite3_file *file)
{
    real_of(file)->pMethods->xShmBarrier(real_of(file));
}

static int on_unmap(sqlite3_file *file, int is_deleted)
{
    return real_of(file)->pMethods->xShmUnmap(real_of(file), is_deleted);
}

static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = on_close,
    .xRead = on_read,
    .xWrite = on_write,
    .xTruncate = on_truncate,
    .xSync = on_sync,
    .xFileSize = on_size,
    .xLock = on_lock,
    .xUnlock = on_unlock,
    .xCheckReservedLock = on_check,
    .xFileControl = on_control,
    .xSectorSize = on_sector,
    .xDeviceCharacteristics = on_device,
    .xShmMap = on_map,
    .xShmLock = on_shared_lock,
    .xShmBarrier = on_barrier,
    .xShmUnmap = on_unmap,
};

/* ---- the VFS ---- */

static int on_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *given)
{
    (void)vfs;
    struct crash_file *crash = (struct crash_file *)file;
    int code = meet(SQLITE_CANTOPEN);
    *crash = (struct crash_file){.real = (sqlite3_file *)(crash + 1)};
    if (code != SQLITE_OK) {
        return code;
    }
    const int kept = SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL;
    crash->disk = is_kept && (flags & kept) != 0 && name != NULL ? disk_file_of(name) : NULL;
    code = real_vfs->xOpen(real_vfs, name, crash->real, flags, given);
    if (crash->real->pMethods != NULL) {
        crash->base.pMethods = &methods;
    }
    return code;
}

/* A deletion is kept at once. */
static int on_delete(sqlite3_vfs *vfs, const char *name, int is_synced)
{
    (void)vfs;
    int code = meet(SQLITE_IOERR_DELETE);
    if (code != SQLITE_OK) {
        return code;
    }
    if (is_kept) {
        struct disk_file *file = disk_file_of(name);
        forget_changes(file);
        cut(&file->synced, 0);
    }
    return real_vfs->xDelete(real_vfs, name, is_synced);
}

static int on_access(sqlite3_vfs *vfs, const char *name, int flags, int *answer)
{
    (void)vfs;
    int code = meet(SQLITE_IOERR_ACCESS);
    code = code == SQLITE_FULL ? SQLITE_OK : code;
    return code != SQLITE_OK ? code : real_vfs->xAccess(real_vfs, name, flags, answer);
}

void crash_vfs_install(void)
{
    real_vfs = sqlite3_vfs_find(NULL);
    crash_vfs = *real_vfs;
    crash_vfs.zName = "crash";
    crash_vfs.pNext = NULL;
    crash_vfs.szOsFile = (int)sizeof(struct crash_file) + real_vfs->szOsFile;
    crash_vfs.xOpen = on_open;
    crash_vfs.xDelete = on_delete;
    crash_vfs.xAccess = on_access;
    (void)sqlite3_vfs_register(&crash_vfs, 1);
}

void crash_vfs_reset(uint64_t seed)
{
    for (size_t i = 0; i < disk_count; i++) {
        forget_changes(&disk[i]);
        free(disk[i].synced.bytes);
    }
    disk_count = 0;
    chance.state = seed * 2 + 1;
    calls = 0;
    power_limit = fail_limit = -1;
    is_dark = is_going = is_kept = has_failed = false;
}

long crash_vfs_calls(void)
{
    return calls;
}

void crash_vfs_lose_power_at(long call)
{
    power_limit = call;
    is_kept = true;
}

bool crash_vfs_is_dark(void)
{
    return is_dark;
}

void crash_vfs_fail_at(long call, int code, bool is_lasting)
{
    fail_limit = call;
    fail_code = code;
    is_lasting_failure = is_lasting;
}

bool crash_vfs_has_failed(void)
{
    return has_failed;
}

void crash_vfs_restore(void)
{
    for (size_t i = 0; i < disk_count; i++) {
        struct disk_file *file = &disk[i];
        for (const struct change *change = file->changes; change != NULL; change = change->next) {
            apply_by_chance(&file->synced, change);
        }
        write_out(file);
        char shared[600];
        (void)snprintf(shared, sizeof shared, "%s-shm", file->path);
        (void)remove(shared);
    }
    crash_vfs_reset(1);
}
