#ifndef SENDAPI_SUGGEST_H
#define SENDAPI_SUGGEST_H

/* "Did you mean …": the nearest of a few known words. */

#include <stddef.h> /* size_t */

#include "visibility.h"

SENDAPI_HIDDEN_BEGIN

/* The best so far; begin with {0}. `word` is borrowed from the caller of suggest_consider. */
struct suggestion {
    const char *word; /* NULL: nothing is near enough */
    size_t distance;
};

/*
 * Takes `known` when it is nearer to `typed` than the best so far and near enough: bytes inserted,
 * left out, replaced or swapped with their neighbour come to a third of the longer word at most,
 * rounded up, and never to all of it; case does not count. Words longer than 63 bytes are never
 * near.
 */
void suggest_consider(struct suggestion *best, const char *typed, size_t typed_length,
                      const char *known, size_t known_length);

SENDAPI_HIDDEN_END

#endif
