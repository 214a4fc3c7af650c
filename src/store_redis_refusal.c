#include "store_redis_refusal.h"

#include <stddef.h> /* size_t */
#include <string.h> /* strlen(3) strstr(3) */

#include "store_redis_script.h"

static const struct redis_refusal refusals[] = {
    {REDIS_FENCED, STORE_FENCED, false, "has given the source's lease to another process"},
    {REDIS_NEWER, STORE_UNFIT, false, "has an outbox of a newer version of sendapi"},
    {REDIS_FOREIGN, STORE_UNFIT, false, "has something that is not the outbox's in its keys"},
    {"WRONGTYPE", STORE_UNFIT, false, "has something that is not the outbox's under its keys"},
    {"LOADING", STORE_UNAVAILABLE, true, "is still loading its data"},
    {"READONLY", STORE_UNAVAILABLE, true, "is a replica and cannot be written"},
    {"MASTERDOWN", STORE_UNAVAILABLE, true, "is a replica that has lost its master"},
    {"OOM", STORE_UNAVAILABLE, false, "has reached its maxmemory and takes no more rows"},
    {"MISCONF", STORE_UNAVAILABLE, false, "cannot write to its disk and refuses changes"},
    {"NOREPLICAS", STORE_UNAVAILABLE, false, "has too few replicas and refuses changes"},
    {"BUSY", STORE_UNAVAILABLE, false, "is busy with a script that takes too long"},
    {"NOAUTH", STORE_UNAVAILABLE, true, "wants a password"},
    {"WRONGPASS", STORE_UNAVAILABLE, true, "does not accept the user or the password"},
    {"NOPERM", STORE_UNAVAILABLE, true, "does not permit this user what the outbox needs"},
    {"MOVED", STORE_UNAVAILABLE, false, "is a cluster's node, and another one has this source"},
    {"ASK", STORE_UNAVAILABLE, false, "is a cluster's node, and another one has this source"},
    {"CLUSTERDOWN", STORE_UNAVAILABLE, false, "is the node of a cluster that is down"},
    {"TRYAGAIN", STORE_UNAVAILABLE, false, "is a cluster's node that is handing over this source"},
    {"max number of clients", STORE_UNAVAILABLE, true, "has as many clients as it allows"},
};

static bool is_letter(char byte)
{
    return (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z');
}

bool redis_has_word(const char *text, const char *word)
{
    size_t length = strlen(word);
    for (const char *at = strstr(text, word); at != NULL; at = strstr(at + 1, word)) {
        if ((at == text || !is_letter(at[-1])) && !is_letter(at[length])) {
            return true;
        }
    }
    return false;
}

const struct redis_refusal *redis_refusal_of(const char *error)
{
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        if (redis_has_word(error, refusals[i].word)) {
            return &refusals[i];
        }
    }
    return NULL;
}
