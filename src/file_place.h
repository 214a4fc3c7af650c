#ifndef SENDAPI_FILE_PLACE_H
#define SENDAPI_FILE_PLACE_H

/* Where a file is. Any thread; free of state. */

#include <stdbool.h>

#include "visibility.h"

SENDAPI_HIDDEN_BEGIN

enum file_system {
    FILE_SYSTEM_LOCAL,
    FILE_SYSTEM_UNSURE,  /* of a user's process (FUSE): its locks may be worth nothing */
    FILE_SYSTEM_NETWORK, /* other machines have it too, and their locks are not ours */
};

/*
 * The absolute path of a file that is there, or that can be made in its folder, without links; to
 * be freed. NULL with errno set.
 */
char *file_place_resolve(const char *path, bool *is_there);

/* What the file system says of itself; where it cannot be told, FILE_SYSTEM_LOCAL. */
enum file_system file_place_system(const char *path);

/* The same of Linux' number for a kind of file system (statfs). */
enum file_system file_place_kind(unsigned long type);

/* Makes names that were given or taken in the folder of the file survive a loss of power. */
bool file_place_sync_folder(const char *path);

/* Whether this process has any descriptor of the file open; where it cannot be told, false. */
bool file_place_is_open_here(const char *path);

SENDAPI_HIDDEN_END

#endif
