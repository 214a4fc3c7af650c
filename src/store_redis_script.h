#ifndef SENDAPI_STORE_REDIS_SCRIPT_H
#define SENDAPI_STORE_REDIS_SCRIPT_H

/*
 * What runs inside Redis. Every script gets the same keys, in the order of enum redis_key; what
 * stands in ARGV and what comes back is said at each script. Numbers go and come as decimal texts.
 *
 * A script that cannot do what it is for answers with an error before its first write. One that
 * frees memory, or that the freeing depends on, deletes something first: Redis then lets it write
 * although `maxmemory` is reached, so a full server can still be drained.
 */

#include "visibility.h"

SENDAPI_HIDDEN_BEGIN

enum redis_key {
    REDIS_STATE,
    REDIS_PENDING,
    REDIS_DEAD,
    REDIS_LETTERS,
    REDIS_LEASE,
    REDIS_LAST,
    REDIS_KEYS,
};

enum redis_script {
    REDIS_APPEND,
    REDIS_SETTLE,
    REDIS_TAKE,
    REDIS_RELEASE,
    REDIS_NEXT,
    REDIS_END,
    REDIS_READ_LETTERS,
    REDIS_RETRY,
    REDIS_DISCARD,
    REDIS_FIGURES,
    REDIS_SCRIPTS,
};

enum {
    REDIS_ROW_PARTS = 5,    /* of a row: id, lane, body, time, action */
    REDIS_LETTER_PARTS = 10 /* of a letter: those and code, reason, status, attempts, died */
};

/* Errors of the scripts' own, each the first word of its text. */
#define REDIS_FENCED "OUTBOXFENCED"
#define REDIS_NEWER "OUTBOXNEWER"
#define REDIS_FOREIGN "OUTBOXFOREIGN"

/* The whole text of a script: what they share, and its own. From malloc(3); NULL without memory. */
char *redis_script_text(enum redis_script script);

SENDAPI_HIDDEN_END

#endif
