#include "base64.h"

#include <errno.h>    /* errno EINTR */
#include <fcntl.h>    /* open(2) */
#include <sys/stat.h> /* fstat(2) */
#include <unistd.h>   /* read(2) close(2) */

#include <openssl/evp.h> /* EVP_EncodeBlock(3) */

enum {
    PIECE = 3 * 4096, /* bytes encoded at once: a multiple of three, so no padding within */
    ENCODED = PIECE / 3 * 4,
};

static size_t encoded_length(size_t length)
{
    return (length / 3 + (length % 3 != 0)) * 4;
}

/* EVP_EncodeBlock adds a terminator, for which a buffer that is just large enough has no room. */
static void append_piece(struct buffer *buffer, const unsigned char *bytes, size_t length)
{
    unsigned char encoded[ENCODED + 1];
    int written = EVP_EncodeBlock(encoded, bytes, (int)length);
    buffer_append(buffer, encoded, (size_t)written);
}

void base64_append(struct buffer *buffer, const void *bytes, size_t length)
{
    const unsigned char *from = bytes;
    while (length > 0 && buffer->failure == BUFFER_FINE) {
        size_t piece = length < PIECE ? length : PIECE;
        append_piece(buffer, from, piece);
        from += piece;
        length -= piece;
    }
}

/* Reads until the piece is full or the file ends; -1 with errno. */
static ssize_t read_piece(int file, unsigned char piece[PIECE])
{
    size_t filled = 0;
    while (filled < PIECE) {
        ssize_t got = read(file, piece + filled, PIECE - filled);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return -1;
        }
        if (got == 0) {
            break;
        }
        filled += (size_t)got;
    }
    return (ssize_t)filled;
}

static enum base64_file append_open_file(struct buffer *buffer, int file, int *error)
{
    unsigned char piece[PIECE];
    ssize_t got = 1;
    while (got > 0 && buffer->failure == BUFFER_FINE) {
        got = read_piece(file, piece);
        if (got < 0) {
            *error = errno;
            return BASE64_FILE_FAILED;
        }
        append_piece(buffer, piece, (size_t)got);
    }
    return BASE64_FILE_FINE;
}

enum base64_file base64_append_file(struct buffer *buffer, const char *path, int *error)
{
    struct stat status;
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (file < 0 || fstat(file, &status) != 0) {
        *error = errno;
        if (file >= 0) {
            (void)close(file);
        }
        return BASE64_FILE_FAILED;
    }
    enum base64_file result = BASE64_FILE_NOT_REGULAR;
    if (S_ISREG(status.st_mode)) {
        (void)buffer_reserve(buffer, encoded_length((size_t)status.st_size));
        result = append_open_file(buffer, file, error);
    }
    (void)close(file);
    return result;
}
