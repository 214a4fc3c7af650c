#ifndef SENDAPI_STORE_REDIS_LINK_H
#define SENDAPI_STORE_REDIS_LINK_H

/*
 * A connection to Redis that comes and goes: made when it is needed, given up at the first sign
 * that what comes over it cannot be trusted, and not tried again too soon (store_redis.h).
 *
 * Threads: none of its own; one thread at a time. Every function may block as store_redis.h says.
 */

#include <stdbool.h>
#include <stddef.h> /* size_t */
#include <stdint.h> /* uint64_t */

#include "store.h"
#include "store_redis_command.h"
#include "store_redis_script.h"
#include "store_redis_url.h"
#include "visibility.h"

SENDAPI_HIDDEN_BEGIN

enum { REDIS_SCRIPT_NAME = 41 }; /* bytes of a script's name, with the terminator */

struct redis_link {
    struct redis_url url;
    redisContext *context;      /* NULL: there is no connection */
    bool was_connected;         /* once, whatever came of it */
    char run[64];               /* the server's id of its run; "" when it does not tell */
    unsigned history;           /* grows when the server may have forgotten something */
    double again;               /* no attempt before; of clock_now */
    double pause;               /* the next one, seconds */
    unsigned losses;            /* since the last answer */
    char reason[STORE_REASON];  /* why there is no connection */
    char *texts[REDIS_SCRIPTS]; /* of the scripts */
    char names[REDIS_SCRIPTS][REDIS_SCRIPT_NAME]; /* on the server; "": not yet; "-": it won't */
};

/* Takes the url over. False without memory; to be closed even then. Does not connect. */
bool redis_link_init(struct redis_link *link, const struct redis_url *url);

/* Says nothing to the server, so a child may do it, too. */
void redis_link_close(struct redis_link *link);

/* Connects unless it is connected. False with a problem. */
bool redis_link_ready(struct redis_link *link, struct store_problem *problem);

enum redis_outcome {
    REDIS_ANSWERED,
    REDIS_REFUSED, /* by an error: nothing was done */
    REDIS_LOST,    /* the answer: it may have been done; worth to connect once more and ask */
    REDIS_SILENT,  /* the server, for the whole timeout: as REDIS_LOST, but not worth it now */
};

/*
 * Sends a command over a connection that is ready. The reply, never an error, is the caller's to
 * free (freeReplyObject); NULL and a problem with every other outcome.
 */
redisReply *redis_link_call(struct redis_link *link, const struct redis_command *command,
                            enum redis_outcome *outcome, struct store_problem *problem);

/* The same for a script: the command begins with two arguments that are filled in here. */
redisReply *redis_link_script(struct redis_link *link, enum redis_script script,
                              struct redis_command *command, enum redis_outcome *outcome,
                              struct store_problem *problem);

/* A reply that is not what was asked for: closes the connection. False with a problem. */
bool redis_link_nonsense(struct redis_link *link, struct store_problem *problem);

/*
 * A command of a few words, and its reply, which may be an error: see redis_link_refused. NULL and a
 * problem when there is none.
 */
redisReply *redis_link_say(struct redis_link *link, enum redis_outcome *outcome,
                           struct store_problem *problem, size_t count, const char *const *words);

#define REDIS_SAY(link, outcome, problem, ...)                                                     \
    redis_link_say(link, outcome, problem, sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *), \
                   (const char *[]){__VA_ARGS__})

/* Writes what an error means, and gives up the connection when that is what it means. */
void redis_link_refused(struct redis_link *link, const redisReply *error,
                        struct store_problem *problem);

SENDAPI_HIDDEN_END

#endif
