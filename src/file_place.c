#if defined(__APPLE__) && !defined(_DARWIN_C_SOURCE)
#define _DARWIN_C_SOURCE /* realpath(3) MNT_LOCAL */
#elif !defined(_DEFAULT_SOURCE)
#define _DEFAULT_SOURCE /* realpath(3) */
#endif

#include "file_place.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#if defined(__linux__)
#include <sys/statfs.h>
#elif defined(__APPLE__)
#include <sys/mount.h>
#include <sys/param.h>
#endif

/* The folder of a path, as a path; to be freed. */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL) {
        return strdup(".");
    }
    return strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

static char *join(const char *folder, const char *name)
{
    size_t size = strlen(folder) + strlen(name) + 2;
    char *path = malloc(size);
    if (path != NULL) {
        (void)snprintf(path, size, "%s/%s", strcmp(folder, "/") == 0 ? "" : folder, name);
    }
    return path;
}

static char *resolve_new(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    struct stat status;
    if (*name == '\0' || lstat(path, &status) == 0) { /* a folder, a link to nowhere */
        errno = *name == '\0' ? EISDIR : ENOENT;
        return NULL;
    }
    char *folder = folder_of(path);
    char *resolved = folder != NULL ? realpath(folder, NULL) : NULL;
    char *result = resolved != NULL ? join(resolved, name) : NULL;
    int reason = errno;
    free(resolved);
    free(folder);
    errno = reason;
    return result;
}

char *file_place_resolve(const char *path, bool *is_there)
{
    struct stat status;
    *is_there = stat(path, &status) == 0;
    if (!*is_there) {
        return errno == ENOENT ? resolve_new(path) : NULL;
    }
    if (!S_ISREG(status.st_mode)) {
        errno = S_ISDIR(status.st_mode) ? EISDIR : EINVAL;
        return NULL;
    }
    return realpath(path, NULL);
}

enum file_system file_place_kind(unsigned long type)
{
    static const unsigned long networks[] = {
        0x6969,     /* NFS */
        0x517B,     /* SMB */
        0xFF534D42, /* CIFS */
        0xFE534D42, /* SMB2 */
        0x01021997, /* 9p: a host's folder in a guest */
        0x786F4256, /* VirtualBox' */
        0x5346414F, /* AFS */
        0x6B414653, /* AFS of the kernel */
        0x73757245, /* Coda */
        0x564C,     /* NCP */
        0x00C36400, /* Ceph */
        0x0BD00BD0, /* Lustre */
        0x47504653, /* GPFS */
    };
    for (size_t i = 0; i < sizeof networks / sizeof networks[0]; i++) {
        if ((type & 0xFFFFFFFF) == networks[i]) {
            return FILE_SYSTEM_NETWORK;
        }
    }
    return (type & 0xFFFFFFFF) == 0x65735546 ? FILE_SYSTEM_UNSURE : FILE_SYSTEM_LOCAL;
}

enum file_system file_place_system(const char *path)
{
    enum file_system result = FILE_SYSTEM_LOCAL;
    char *folder = folder_of(path);
#if defined(__linux__)
    struct statfs status;
    if (folder != NULL && statfs(folder, &status) == 0) {
        result = file_place_kind((unsigned long)status.f_type);
    }
#elif defined(__APPLE__)
    struct statfs status;
    if (folder != NULL && statfs(folder, &status) == 0 && (status.f_flags & MNT_LOCAL) == 0) {
        result = FILE_SYSTEM_NETWORK;
    }
#endif
    free(folder);
    return result;
}

bool file_place_sync_folder(const char *path)
{
    char *folder = folder_of(path);
    int descriptor = folder != NULL ? open(folder, O_RDONLY | O_CLOEXEC) : -1;
    free(folder);
    if (descriptor < 0) {
        return false;
    }
    /* EINVAL: a file system that has nothing to sync there */
    bool is_synced = fsync(descriptor) == 0 || errno == EINVAL;
    (void)close(descriptor);
    return is_synced;
}

bool file_place_is_open_here(const char *path)
{
    struct stat wanted;
    DIR *folder = stat(path, &wanted) == 0 ? opendir("/proc/self/fd") : NULL;
    bool found = false;
    const struct dirent *entry = folder != NULL ? readdir(folder) : NULL;
    for (; entry != NULL && !found; entry = readdir(folder)) {
        struct stat status;
        found = fstatat(dirfd(folder), entry->d_name, &status, 0) == 0 &&
                status.st_dev == wanted.st_dev && status.st_ino == wanted.st_ino;
    }
    if (folder != NULL) {
        (void)closedir(folder);
    }
    return found;
}
