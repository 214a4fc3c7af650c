#ifndef SENDAPI_STORE_REDIS_REFUSAL_H
#define SENDAPI_STORE_REDIS_REFUSAL_H

/* What Redis' errors mean for an outbox. Pure. */

#include <stdbool.h>

#include "store.h"
#include "visibility.h"

SENDAPI_HIDDEN_BEGIN

struct redis_refusal {
    const char *word; /* of an error's text */
    enum store_trouble trouble;
    bool disconnects; /* another server may be there next time */
    const char *sentence;
};

/* NULL for one that is not known. */
const struct redis_refusal *redis_refusal_of(const char *error);

/* As a word of its own: a script's error is quoted in another one by an older Redis. */
bool redis_has_word(const char *text, const char *word);

SENDAPI_HIDDEN_END

#endif
