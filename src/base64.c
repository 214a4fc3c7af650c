#include "base64.h"

#include <errno.h>    /* errno EINTR */
#include <fcntl.h>    /* open(2) */
#include <stdint.h>   /* uint64_t */
#include <string.h>   /* memcpy(3) */
#include <sys/stat.h> /* fstat(2) */
#include <unistd.h>   /* read(2) close(2) */

#include <openssl/evp.h> /* EVP_EncodeBlock(3) */

enum {
    PIECE = 3 * 4096, /* bytes of a file read at once: a multiple of three, so no padding within */
    MOST_LEFT = 7,    /* bytes that encode_sixes leaves */
};

/*
 * The two characters of every twelve bits. OpenSSL goes by single characters, which takes twice as
 * long: with a large file a tenth of all that reading, encoding and signing cost. Making this takes
 * microseconds.
 */
struct pairs {
    char of[4096][2];
};

static size_t encoded_length(size_t length)
{
    return (length / 3 + (length % 3 != 0)) * 4;
}

static void make_pairs(struct pairs *pairs)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < 4096; i++) {
        pairs->of[i][0] = letters[i / 64];
        pairs->of[i][1] = letters[i % 64];
    }
}

/* Written out, because compilers make one load of it. */
static uint64_t eight_bytes(const unsigned char *from)
{
    return (uint64_t)from[0] << 56 | (uint64_t)from[1] << 48 | (uint64_t)from[2] << 40 |
           (uint64_t)from[3] << 32 | (uint64_t)from[4] << 24 | (uint64_t)from[5] << 16 |
           (uint64_t)from[6] << 8 | (uint64_t)from[7];
}

/* Six bytes at a time, as long as eight can be read; returns how many it encoded. */
static size_t encode_sixes(const struct pairs *pairs, const unsigned char *from, size_t length,
                           char *to)
{
    size_t at = 0;
    for (; length - at >= 8; at += 6, to += 8) {
        uint64_t bits = eight_bytes(from + at);
        memcpy(to, pairs->of[bits >> 52], 2);
        memcpy(to + 2, pairs->of[bits >> 40 & 4095], 2);
        memcpy(to + 4, pairs->of[bits >> 28 & 4095], 2);
        memcpy(to + 6, pairs->of[bits >> 16 & 4095], 2);
    }
    return at;
}

/*
 * The rest, with its padding, is OpenSSL's, which adds a terminator: a buffer that is just large
 * enough has no room for that.
 */
static void append_encoded(struct buffer *buffer, const struct pairs *pairs,
                           const unsigned char *bytes, size_t length)
{
    unsigned char last[(MOST_LEFT + 2) / 3 * 4 + 1];
    char *to = length > 0 ? buffer_reserve(buffer, encoded_length(length)) : NULL;
    if (to == NULL) {
        return;
    }
    size_t done = encode_sixes(pairs, bytes, length, to);
    int written = EVP_EncodeBlock(last, bytes + done, (int)(length - done));
    memcpy(to + done / 3 * 4, last, (size_t)written);
    buffer->length += encoded_length(length);
}

void base64_append(struct buffer *buffer, const void *bytes, size_t length)
{
    struct pairs pairs;
    make_pairs(&pairs);
    append_encoded(buffer, &pairs, bytes, length);
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
    struct pairs pairs;
    ssize_t got = 1;
    make_pairs(&pairs);
    while (got > 0 && buffer->failure == BUFFER_FINE) {
        got = read_piece(file, piece);
        if (got < 0) {
            *error = errno;
            return BASE64_FILE_FAILED;
        }
        append_encoded(buffer, &pairs, piece, (size_t)got);
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
