#include "sweep.h"

#include <dirent.h> /* opendir(3) */
#include <errno.h>  /* ECONNREFUSED */
#include <stdbool.h>
#include <stdio.h>      /* snprintf(3) */
#include <string.h>     /* memcpy(3) strlen(3) strncmp(3) */
#include <sys/socket.h> /* socket(2) connect(2) */
#include <sys/stat.h>   /* lstat(2) */
#include <sys/un.h>     /* sockaddr_un */
#include <time.h>       /* time(2) */
#include <unistd.h>     /* unlink(2) rmdir(2) close(2) */

enum {
    OLD = 60,   /* seconds; a younger one may be in the making */
    RANDOM = 6, /* characters, by mkdtemp(3) */
};

/* A datagram cannot be connected to a stream: who listens there is told nothing. */
static bool is_dead(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int probe = socket(AF_UNIX, SOCK_DGRAM, 0);
    if (probe < 0) {
        return false;
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    bool dead =
        connect(probe, (struct sockaddr *)&address, sizeof address) != 0 && errno == ECONNREFUSED;
    (void)close(probe);
    return dead;
}

static bool is_old_and_ours(const char *directory)
{
    struct stat status;
    return lstat(directory, &status) == 0 && S_ISDIR(status.st_mode) &&
           status.st_uid == geteuid() && time(NULL) - status.st_mtime > OLD;
}

/* rmdir(2) refuses what is not empty. */
static void remove_leftover(const char *directory, const char *name)
{
    struct stat status;
    char path[sizeof((struct sockaddr_un *)0)->sun_path];
    int length = snprintf(path, sizeof path, "%s/%s", directory, name);
    if (!is_old_and_ours(directory) || length < 0 || (size_t)length >= sizeof path) {
        return;
    }
    if (lstat(path, &status) == 0 && S_ISSOCK(status.st_mode) && is_dead(path)) {
        (void)unlink(path);
    }
    (void)rmdir(directory);
}

void sweep(const char *parent, const char *prefix, const char *name)
{
    char directory[sizeof((struct sockaddr_un *)0)->sun_path];
    size_t length = strlen(prefix);
    DIR *entries = opendir(parent);
    if (entries == NULL) {
        return;
    }
    for (struct dirent *entry; (entry = readdir(entries)) != NULL;) {
        if (strncmp(entry->d_name, prefix, length) == 0 &&
            strlen(entry->d_name) == length + RANDOM) {
            int whole = snprintf(directory, sizeof directory, "%s/%s", parent, entry->d_name);
            if (whole > 0 && (size_t)whole < sizeof directory) {
                remove_leftover(directory, name);
            }
        }
    }
    (void)closedir(entries);
}
