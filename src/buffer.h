#ifndef SENDAPI_BUFFER_H
#define SENDAPI_BUFFER_H

/*
 * Growable bytes with a hard maximum and sticky failure.
 *
 * A writer appends as often as it likes and asks once, at the end, whether everything fitted: after
 * the first failure every append is a no-op. The bytes stay readable up to the failure, and
 * buffer_release is always safe.
 *
 * A buffer may keep room at its front, uncounted in the length, for a header that is put there once
 * the bytes are whole (see request.h): so a body becomes a request without being copied.
 *
 * Ownership: the buffer owns its memory until buffer_take hands it over. Threads: none of its own;
 * one thread at a time.
 */

#include <stdbool.h>
#include <stddef.h> /* size_t */
#include <string.h> /* memcpy(3) */

#include "visibility.h"

SENDAPI_HIDDEN_BEGIN

enum buffer_failure {
    BUFFER_FINE,
    BUFFER_TOO_LARGE, /* the maximum would have been passed */
    BUFFER_NO_MEMORY,
};

struct buffer {
    char *memory;    /* front room, then the bytes; NULL until the first append */
    size_t front;    /* bytes of room before the first byte */
    size_t length;   /* bytes appended */
    size_t capacity; /* bytes that fit after the front room */
    size_t maximum;  /* largest length allowed */
    enum buffer_failure failure;
};

/* Makes an empty buffer; allocates nothing. */
void buffer_init(struct buffer *buffer, size_t front, size_t maximum);

/* Frees what the buffer holds and leaves it empty and usable. Twice is harmless. */
void buffer_release(struct buffer *buffer);

/* Empties the buffer and forgets a failure, but keeps its memory for the next use. */
void buffer_clear(struct buffer *buffer);

/*
 * Makes room for `extra` more bytes and returns where they go, or NULL after a failure. Whoever
 * writes there adds what it wrote to `length`.
 */
char *buffer_reserve_slow(struct buffer *buffer, size_t extra);

/*
 * Hands the memory over: `*memory` points at the front room, the bytes follow it, and `behind`
 * bytes of room follow them; to be freed with free(3). The buffer is empty afterwards. Memory
 * beyond that is given back first. Returns false, and hands over nothing, when the buffer failed,
 * when it is empty, and when there is no memory for the room behind.
 */
bool buffer_take(struct buffer *buffer, size_t behind, void **memory, size_t *length);

static inline char *buffer_bytes(const struct buffer *buffer)
{
    return buffer->memory == NULL ? NULL : buffer->memory + buffer->front;
}

static inline char *buffer_reserve(struct buffer *buffer, size_t extra)
{
    if (buffer->failure == BUFFER_FINE && extra <= buffer->capacity - buffer->length &&
        buffer->memory != NULL) {
        return buffer->memory + buffer->front + buffer->length;
    }
    return buffer_reserve_slow(buffer, extra);
}

static inline void buffer_append(struct buffer *buffer, const void *bytes, size_t count)
{
    char *end = buffer_reserve(buffer, count);
    if (end != NULL && count > 0) {
        memcpy(end, bytes, count);
        buffer->length += count;
    }
}

static inline void buffer_append_byte(struct buffer *buffer, char byte)
{
    char *end = buffer_reserve(buffer, 1);
    if (end != NULL) {
        *end = byte;
        buffer->length++;
    }
}

SENDAPI_HIDDEN_END

#endif
