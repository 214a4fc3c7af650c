#define _DEFAULT_SOURCE /* madvise(2), where there is one */

#include "buffer.h"

#include <stdint.h> /* SIZE_MAX uintptr_t */
#include <stdlib.h> /* realloc(3) free(3) */

#include <sys/mman.h> /* madvise(2) */
#include <unistd.h>   /* sysconf(3) */

static const size_t SMALLEST = 1024;

void buffer_init(struct buffer *buffer, size_t front, size_t maximum)
{
    *buffer = (struct buffer){.front = front, .maximum = maximum};
}

void buffer_release(struct buffer *buffer)
{
    free(buffer->memory);
    buffer_init(buffer, buffer->front, buffer->maximum);
}

void buffer_clear(struct buffer *buffer)
{
    buffer->length = 0;
    buffer->failure = BUFFER_FINE;
}

static char *fail(struct buffer *buffer, enum buffer_failure failure)
{
    buffer->failure = failure;
    return NULL;
}

/* Doubles until `needed` fits, but never beyond the maximum. */
static size_t grown(const struct buffer *buffer, size_t needed)
{
    size_t capacity = buffer->capacity < SMALLEST ? SMALLEST : buffer->capacity;
    while (capacity < needed) {
        capacity = capacity > SIZE_MAX / 2 ? needed : capacity * 2;
    }
    return capacity > buffer->maximum ? buffer->maximum : capacity;
}

/*
 * Memory of many megabytes comes page by page, which costs as much as encoding a file into it: by
 * large pages it costs half. All the pages that the memory touches are named, for one mapping with
 * two kinds of pages cannot grow in place. A system may pass over it.
 */
static void prefer_large_pages(void *memory, size_t size)
{
#ifdef MADV_HUGEPAGE
    static const size_t worthwhile = 4 << 20;
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t begin = (uintptr_t)memory / page * page;
    if (size >= worthwhile) {
        size_t length = ((uintptr_t)memory + size - begin + page - 1) / page * page;
        (void)madvise((void *)begin, length, MADV_HUGEPAGE);
    }
#else
    (void)memory;
    (void)size;
#endif
}

char *buffer_reserve_slow(struct buffer *buffer, size_t extra)
{
    if (buffer->failure != BUFFER_FINE) {
        return NULL;
    }
    if (extra > buffer->maximum - buffer->length) {
        return fail(buffer, BUFFER_TOO_LARGE);
    }
    size_t capacity = grown(buffer, buffer->length + extra);
    if (capacity > SIZE_MAX - buffer->front) {
        return fail(buffer, BUFFER_NO_MEMORY);
    }
    size_t size = buffer->front + capacity;
    char *memory = realloc(buffer->memory, size > 0 ? size : 1);
    if (memory == NULL) {
        return fail(buffer, BUFFER_NO_MEMORY);
    }
    prefer_large_pages(memory, size);
    buffer->memory = memory;
    buffer->capacity = capacity;
    return memory + buffer->front + buffer->length;
}

bool buffer_take(struct buffer *buffer, size_t behind, void **memory, size_t *length)
{
    if (buffer->failure != BUFFER_FINE || buffer->length == 0) {
        return false;
    }
    size_t size = buffer->front + buffer->length + behind;
    char *fitted = realloc(buffer->memory, size > 0 ? size : 1);
    if (fitted == NULL && size > buffer->front + buffer->capacity) {
        return false;
    }
    *memory = fitted != NULL ? fitted : buffer->memory;
    *length = buffer->length;
    buffer->memory = NULL;
    buffer_release(buffer);
    return true;
}
