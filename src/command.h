#ifndef SENDAPI_COMMAND_H
#define SENDAPI_COMMAND_H

/*
 * What is asked of an outbox, with the answer, and what it tells by itself: the load of a request
 * with the verb REQUEST_COMMAND, which goes through the engine's queues like any other. It belongs
 * to that request's owner.
 */

#include <stdbool.h>
#include <stddef.h> /* size_t */
#include <stdint.h> /* uint64_t */

#include "dead_letters.h"
#include "store.h"
#include "visibility.h"

SENDAPI_HIDDEN_BEGIN

struct endpoint;
struct request;

enum command_kind {
    /* asked; answered once, by the same request */
    COMMAND_BEGIN,   /* deliver from now on */
    COMMAND_LEAVE,   /* deliver no more for this endpoint; answered once nothing is on its way */
    COMMAND_ABANDON, /* the same, answered at once */
    COMMAND_FIGURES, /* `figures` */
    COMMAND_LETTERS, /* dead letters above `id`, at most `limit`: `letters` */
    COMMAND_RETRY,   /* the letter `id`, or with 0 all, or those of `filter`: `count` */
    COMMAND_DISCARD, /* the same */

    /* told */
    COMMAND_DIED,   /* `letters`: the one; its request's outcome says why */
    COMMAND_PAUSED, /* the outcome says why */
    COMMAND_RESUMED,
    COMMAND_WARNED,   /* the store does not keep what was promised in all cases: `reason` says so */
    COMMAND_TROUBLED, /* the store cannot be used now: the outcome says why */
};

/* A dead letter, copied: one allocation, its texts behind it. */
struct command_letter {
    struct command_letter *next;
    struct store_letter letter; /* the body is terminated as well, or NULL */
};

struct command {
    enum command_kind kind;
    uint64_t id;
    size_t limit;
    struct letter_filter *filter; /* its own; may be NULL */
    struct dead_letters work;     /* how far it is */
    struct store_figures figures;
    size_t count;
    struct command_letter *letters;
    struct command_letter **letters_end;
};

/* A request that carries one. NULL without memory. */
struct request *command_request(struct endpoint *endpoint, enum command_kind kind);

/* To be freed by command_free; NULL without memory. */
struct command *command_new(enum command_kind kind);

/*
 * Copies a letter to the end of its list; false without memory. One whose body is NULL is copied
 * without it, and keeps its length.
 */
bool command_add_letter(struct command *command, const struct store_letter *letter);

/* The caller has it: one notice less is on its way. */
void command_dismiss(struct request *request);

/* NULL is harmless. */
void command_free(struct command *command);

SENDAPI_HIDDEN_END

#endif
