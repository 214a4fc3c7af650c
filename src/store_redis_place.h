#ifndef SENDAPI_STORE_REDIS_PLACE_H
#define SENDAPI_STORE_REDIS_PLACE_H

/*
 * What the outbox in Redis knows of each source, and how it has a script run for one: connected,
 * with nothing of the source in doubt, and by the holder of its lease where only that one may.
 * store_redis.h says why.
 */

#include <stdbool.h>
#include <stddef.h> /* size_t */
#include <stdint.h> /* uint64_t */

#include "store.h"
#include "store_redis_link.h"
#include "visibility.h"

SENDAPI_HIDDEN_BEGIN

enum {
    REDIS_LEAD = 3 + REDIS_KEYS, /* arguments of a script before its own */
    REDIS_PIECE_ROWS = 1000,     /* of one answer */
    REDIS_PIECE_BYTES = 4 << 20, /* of bodies in one answer, the last one not counted */
};

/* What is known of a source. */
struct place {
    struct place *next;
    char *name;
    char *keys[REDIS_KEYS];
    uint64_t token; /* of the lease that is held; 0: none */
    unsigned history;
    uint64_t doubt;  /* the number of an append whose answer was lost; 0: none */
    uint64_t digest; /* of its rows */
};

struct store {
    struct redis_link link;
    char *owner;
    char *mark; /* tells this store from all others, those of the same owner, too */
    uint64_t lease_ms;
    uint64_t appends; /* the number of the last one */
    struct place *places;
};

/* What is known of a source; made on first use. NULL with a problem. */
struct place *redis_place_find(struct store *store, const char *source,
                               struct store_problem *problem);
void redis_place_free(struct place *place);

/*
 * Begins a script's command, with room for so many arguments of its own behind the REDIS_LEAD.
 * False with a problem; else to be released.
 */
bool redis_prepare(struct redis_command *command, const struct place *place, size_t arguments,
                   struct store_problem *problem);

/* Whether the lease that was taken may still be good. */
bool redis_is_holder(const struct store *store, const struct place *place);

/* False with STORE_FENCED; the lease is forgotten. */
bool redis_fenced(struct place *place, struct store_problem *problem);

/*
 * Finds out about the append in doubt: *first is the id of its first row when it came through and
 * is to be kept, else 0 and it has not, or not any more.
 */
bool redis_settle(struct store *store, struct place *place, bool keep, uint64_t *first,
                  enum redis_outcome *outcome, struct store_problem *problem);

/* Connected, with nothing of the source in doubt. */
bool redis_ready(struct store *store, struct place *place, enum redis_outcome *outcome,
                 struct store_problem *problem);

/*
 * Runs a script that may be repeated, since the second time does what the first has done or
 * nothing: once more when the answer was lost. `holds`: the holder alone may.
 */
redisReply *redis_run(struct store *store, struct place *place, enum redis_script script,
                      struct redis_command *command, bool holds, struct store_problem *problem);

/* The same for a number that comes back. */
bool redis_run_number(struct store *store, struct place *place, enum redis_script script,
                      struct redis_command *command, uint64_t *number,
                      struct store_problem *problem);

/* A plain command, once more when its answer was lost. */
redisReply *redis_call(struct store *store, const struct redis_command *command,
                       struct store_problem *problem);

/* Whole microseconds, as Redis has times; what is no time since 1970 is 0. */
uint64_t redis_microseconds(double time);
double redis_seconds(uint64_t time);

bool redis_no_memory(struct store_problem *problem);

/* What is only looked at (store_redis_read.c): the driver's functions of these names. */
bool redis_next(struct store *store, const char *source, uint64_t after, size_t count, size_t bytes,
                store_row_visitor *visitor, void *context, struct store_problem *problem);
bool redis_look(struct store *store, const char *source, uint64_t after, size_t count,
                store_row_visitor *visitor, void *context, struct store_problem *problem);
bool redis_letters(struct store *store, const char *source, uint64_t after, size_t count,
                   store_letter_visitor *visitor, void *context, struct store_problem *problem);
bool redis_figures(struct store *store, const char *source, struct store_figures *figures,
                   struct store_problem *problem);
bool redis_version(struct store *store, const char *source, uint64_t *version,
                   struct store_problem *problem);
bool redis_sources(struct store *store, bool (*visit)(void *context, const char *source),
                   void *context, struct store_problem *problem);

SENDAPI_HIDDEN_END

#endif
