#ifndef SENDAPI_EXACT_H
#define SENDAPI_EXACT_H

/*
 * Bytes with nothing behind them: a reader that goes one too far ends the program, with or without
 * a sanitizer. Each block ends where a page begins that may not be touched.
 */

#include <stddef.h> /* size_t */
#include <stdlib.h> /* posix_memalign(3) abort(3) */
#include <string.h> /* memcpy(3) */
#include <unistd.h> /* sysconf(3) */

#include <sys/mman.h> /* mprotect(2) */

struct exact {
    char *bytes; /* `length` of them, then the end */
    size_t length;
    char *pages;
    size_t size;
};

static inline size_t exact_page(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

/* Room to write `length` bytes into, and not one more. */
static inline struct exact exact_room(size_t length)
{
    size_t page = exact_page();
    size_t size = (length + page - 1) / page * page + page;
    void *pages = NULL;
    if (posix_memalign(&pages, page, size) != 0 ||
        mprotect((char *)pages + size - page, page, PROT_NONE) != 0) {
        abort();
    }
    char *end = (char *)pages + size - page;
    return (struct exact){.bytes = end - length, .length = length, .pages = pages, .size = size};
}

static inline struct exact exact_copy(const void *bytes, size_t length)
{
    struct exact exact = exact_room(length);
    if (length > 0) {
        memcpy(exact.bytes, bytes, length);
    }
    return exact;
}

static inline void exact_free(struct exact *exact)
{
    size_t page = exact_page();
    (void)mprotect(exact->pages + exact->size - page, page, PROT_READ | PROT_WRITE);
    free(exact->pages);
}

#endif
