#define _FILE_OFFSET_BITS 64 /* places are offsets */

#include "file_locks.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    PRESENCE = 0, /* the byte that those who joined have a shared lock of; places stand behind it */
    FILE_MODE = 0600,
};

static const char mark[] = "Locks of the outbox beside it: leave it here.\n";

/* A place that an engine of this process holds. */
struct held {
    struct held *next;
    const struct file_locks *owner;
    uint64_t place;
};

/* A lock file, once in a process. */
struct file {
    struct file *next;
    struct held *held;
    dev_t device;
    ino_t inode;
    int descriptor; /* -1 in a child */
    unsigned users;
    unsigned joined;
};

struct file_locks {
    struct file *file;
    bool is_joined;
    char path[];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct file *files;

/* ---- forks ---- */

static void before_fork(void)
{
    (void)pthread_mutex_lock(&lock);
}

static void in_parent(void)
{
    (void)pthread_mutex_unlock(&lock);
}

/* Nothing is held here, and an early close drops no lock that the child takes later. */
static void in_child(void)
{
    for (struct file *file = files; file != NULL; file = file->next) {
        (void)close(file->descriptor);
        file->descriptor = -1;
    }
    files = NULL;
    (void)pthread_mutex_init(&lock, NULL);
}

static void watch_forks(void)
{
    (void)pthread_atfork(before_fork, in_parent, in_child);
}

void file_locks_watch_forks(void)
{
    (void)pthread_once(&once, watch_forks);
}

/* ---- files ---- */

static bool set_lock(int descriptor, short type, off_t start)
{
    struct flock range = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = 1};
    int result;
    do {
        result = fcntl(descriptor, F_SETLK, &range);
    } while (result != 0 && errno == EINTR);
    return result == 0;
}

static struct file *find_file(const struct stat *status)
{
    struct file *file = files;
    while (file != NULL && (file->device != status->st_dev || file->inode != status->st_ino)) {
        file = file->next;
    }
    return file;
}

static struct file *add_file(int descriptor, const struct stat *status)
{
    struct file *file = malloc(sizeof *file);
    if (file == NULL) {
        errno = ENOMEM;
        return NULL;
    }
    *file = (struct file){
        .next = files, .device = status->st_dev, .inode = status->st_ino, .descriptor = descriptor};
    files = file;
    return file;
}

static struct file *open_file(const char *path)
{
    struct stat status;
    struct file *file = stat(path, &status) == 0 ? find_file(&status) : NULL;
    if (file != NULL) {
        return file;
    }
    int descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
    if (descriptor < 0 || fstat(descriptor, &status) != 0) {
        return NULL;
    }
    file = find_file(&status);
    if (file != NULL) { /* put in place just now: to close it would drop the locks of `file` */
        return file;
    }
    file = add_file(descriptor, &status);
    if (file == NULL) {
        int reason = errno;
        (void)close(descriptor);
        errno = reason;
    }
    return file;
}

static void forget_file(struct file *file)
{
    struct file **link = &files;
    while (*link != NULL && *link != file) {
        link = &(*link)->next;
    }
    if (*link == file) {
        *link = file->next;
        (void)close(file->descriptor);
    }
    while (file->held != NULL) {
        struct held *held = file->held;
        file->held = held->next;
        free(held);
    }
    free(file);
}

struct file_locks *file_locks_open(const char *path)
{
    size_t size = strlen(path) + 1;
    struct file_locks *locks = malloc(sizeof *locks + size);
    if (locks == NULL) {
        errno = ENOMEM;
        return NULL;
    }
    locks->is_joined = false;
    memcpy(locks->path, path, size);
    file_locks_watch_forks();
    (void)pthread_mutex_lock(&lock);
    locks->file = open_file(path);
    if (locks->file != NULL) {
        locks->file->users++;
    }
    (void)pthread_mutex_unlock(&lock);
    if (locks->file == NULL) {
        int reason = errno;
        free(locks);
        errno = reason;
        return NULL;
    }
    return locks;
}

/* ---- places ---- */

static off_t offset_of(uint64_t place)
{
    return (off_t)place + PRESENCE + 1;
}

/* The link to the place; to NULL when nobody here holds it. */
static struct held **find_held(struct file *file, uint64_t place)
{
    struct held **link = &file->held;
    while (*link != NULL && (*link)->place != place) {
        link = &(*link)->next;
    }
    return link;
}

static enum file_lock take_anew(struct file_locks *locks, uint64_t place)
{
    struct held *held = malloc(sizeof *held);
    if (held == NULL) {
        errno = ENOMEM;
        return FILE_LOCK_REFUSED;
    }
    if (!set_lock(locks->file->descriptor, F_WRLCK, offset_of(place))) {
        int reason = errno;
        free(held);
        errno = reason;
        return reason == EAGAIN || reason == EACCES ? FILE_LOCK_TAKEN : FILE_LOCK_REFUSED;
    }
    *held = (struct held){.next = locks->file->held, .owner = locks, .place = place};
    locks->file->held = held;
    return FILE_LOCK_HELD;
}

enum file_lock file_locks_take(struct file_locks *locks, uint64_t place)
{
    (void)pthread_mutex_lock(&lock);
    const struct held *held = *find_held(locks->file, place);
    enum file_lock result;
    if (held == NULL) {
        result = take_anew(locks, place);
    } else {
        result = held->owner == locks ? FILE_LOCK_HELD : FILE_LOCK_TAKEN;
    }
    (void)pthread_mutex_unlock(&lock);
    return result;
}

static void give(struct file *file, struct held **link)
{
    struct held *held = *link;
    *link = held->next;
    if (file->descriptor >= 0) {
        (void)set_lock(file->descriptor, F_UNLCK, offset_of(held->place));
    }
    free(held);
}

void file_locks_give(struct file_locks *locks, uint64_t place)
{
    (void)pthread_mutex_lock(&lock);
    struct held **link = find_held(locks->file, place);
    if (*link != NULL && (*link)->owner == locks) {
        give(locks->file, link);
    }
    (void)pthread_mutex_unlock(&lock);
}

bool file_locks_holds(const struct file_locks *locks, uint64_t place)
{
    (void)pthread_mutex_lock(&lock);
    const struct held *held = *find_held(locks->file, place);
    bool holds = locks->file->descriptor >= 0 && held != NULL && held->owner == locks;
    (void)pthread_mutex_unlock(&lock);
    return holds;
}

static void leave(struct file_locks *locks)
{
    struct file *file = locks->file;
    file->joined -= locks->is_joined;
    if (file->joined == 0 && file->descriptor >= 0) {
        (void)set_lock(file->descriptor, F_UNLCK, PRESENCE);
    }
}

void file_locks_close(struct file_locks *locks)
{
    if (locks == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&lock);
    struct held **link = &locks->file->held;
    while (*link != NULL) {
        if ((*link)->owner == locks) {
            give(locks->file, link);
        } else {
            link = &(*link)->next;
        }
    }
    leave(locks);
    locks->file->users--;
    if (locks->file->users == 0) {
        forget_file(locks->file);
    }
    (void)pthread_mutex_unlock(&lock);
    free(locks);
}

/* ---- the file itself ---- */

bool file_locks_is_current(const struct file_locks *locks)
{
    struct stat status;
    return stat(locks->path, &status) == 0 && status.st_dev == locks->file->device &&
           status.st_ino == locks->file->inode;
}

static bool is_anybody_there(const struct file *file)
{
    struct flock range = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = PRESENCE, .l_len = 1};
    return file->joined > 0 ||
           (fcntl(file->descriptor, F_GETLK, &range) == 0 && range.l_type != F_UNLCK);
}

bool file_locks_join(struct file_locks *locks, bool *is_first)
{
    struct file *file = locks->file;
    (void)pthread_mutex_lock(&lock);
    *is_first = !locks->is_joined && !is_anybody_there(file);
    if (!locks->is_joined && set_lock(file->descriptor, F_RDLCK, PRESENCE)) {
        locks->is_joined = true;
        file->joined++;
    }
    bool is_joined = locks->is_joined;
    (void)pthread_mutex_unlock(&lock);
    return is_joined;
}

bool file_locks_is_marked(const struct file_locks *locks)
{
    struct stat status;
    return stat(locks->path, &status) == 0 && status.st_size > 0;
}

bool file_locks_mark(struct file_locks *locks)
{
    if (file_locks_is_marked(locks)) {
        return true;
    }
    (void)pthread_mutex_lock(&lock);
    int descriptor = locks->file->descriptor;
    bool is_marked = descriptor >= 0 &&
                     pwrite(descriptor, mark, sizeof mark - 1, 0) == (ssize_t)sizeof mark - 1 &&
                     fsync(descriptor) == 0;
    (void)pthread_mutex_unlock(&lock);
    return is_marked;
}
