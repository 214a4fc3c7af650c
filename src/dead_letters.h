#ifndef SENDAPI_DEAD_LETTERS_H
#define SENDAPI_DEAD_LETTERS_H

/*
 * Retrying and discarding dead letters: one, all, or those that a filter matches.
 *
 * With a filter it goes step by step, so that who drives an engine can do something else in
 * between. Letters may come and go meanwhile: what dies after the first step, and so what is
 * retried here and dies again, is left alone.
 */

#include <stdbool.h>
#include <stddef.h> /* size_t */
#include <stdint.h> /* uint64_t */

#include "store.h"
#include "visibility.h"

SENDAPI_HIDDEN_BEGIN

enum {
    DEAD_LETTERS_STEP = 32,                     /* letters of a step */
    DEAD_LETTERS_STEP_BYTES = 16 * 1024 * 1024, /* of their bodies, about */
};

/* All that is given must match; texts are terminated. */
struct letter_filter {
    const char *code;   /* NULL: any */
    const char *action; /* NULL: any */
    const char *lane;   /* the key, or what is behind its kind ("thread "); NULL: any */
    size_t lane_length;
    double after;  /* given up then or later; -INFINITY: at any time */
    double before; /* given up earlier; INFINITY: at any time */
};

/* One block, to be freed by free(3); NULL without memory. */
struct letter_filter *letter_filter_copy(const struct letter_filter *filter);

/* What is to be done, and how far it is. Zero but for the first three. */
struct dead_letters {
    bool is_retry;                      /* else they are discarded */
    uint64_t id;                        /* of the one; 0: all, or */
    const struct letter_filter *filter; /* not NULL: those of all that it matches */
    bool is_begun;
    bool is_done;
    uint64_t at;   /* up to here all are done */
    uint64_t upto; /* no further than that */
    size_t count;  /* that were made pending or discarded */
};

/*
 * The next step; is_done after the last one. What was counted stays done though it returns false,
 * with a problem; then it can be called again.
 */
bool dead_letters_step(const struct store_driver *driver, struct store *store, const char *source,
                       struct dead_letters *work, struct store_problem *problem);

SENDAPI_HIDDEN_END

#endif
