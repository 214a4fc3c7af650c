#ifndef SENDAPI_BASE64_H
#define SENDAPI_BASE64_H

/*
 * Base64 (RFC 4648, section 4: with padding, without line breaks) appended to a buffer.
 * Failures of memory or size stay in the buffer (buffer.h).
 */

#include <stddef.h> /* size_t */

#include "buffer.h"
#include "visibility.h"

SENDAPI_HIDDEN_BEGIN

void base64_append(struct buffer *buffer, const void *bytes, size_t length);

enum base64_file {
    BASE64_FILE_FINE,
    BASE64_FILE_FAILED,      /* *error holds errno */
    BASE64_FILE_NOT_REGULAR, /* a directory, a pipe, a device: nothing was read */
};

/*
 * Reads the file in pieces and appends it. What is known to be too large fails before it is read.
 * Blocks on the disk, never on a pipe.
 */
enum base64_file base64_append_file(struct buffer *buffer, const char *path, int *error);

SENDAPI_HIDDEN_END

#endif
