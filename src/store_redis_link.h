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

/* A newer one's inline functions convert carelessly, which shows where it is no system's header. */
#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#endif
#include <hiredis/hiredis.h>
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

#include "store.h"
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

/* A command's arguments. Texts are the caller's and must outlive it; numbers are kept here. */
struct redis_command {
    const char **texts;
    size_t *lengths;
    char (*numbers)[24];
    size_t count;
    size_t room;
};

/* With room for so many arguments; false without memory. */
bool redis_command_init(struct redis_command *command, size_t room);
void redis_command_release(struct redis_command *command);
void redis_command_text(struct redis_command *command, const char *text);
void redis_command_bytes(struct redis_command *command, const char *bytes, size_t length);
void redis_command_number(struct redis_command *command, uint64_t number);

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

/* Tells what a user of this server should know about how it is set up. */
void redis_link_warn(struct redis_link *link, const struct store_settings *settings);

bool redis_problem(struct store_problem *problem, enum store_trouble trouble, const char *format,
                   ...) __attribute__((format(printf, 3, 4)));

/* A whole number below 2^63 that is a reply or in one. */
bool redis_reply_number(const redisReply *reply, uint64_t *number);

/* An array of `count` strings, or of any number of anything with SIZE_MAX. */
bool redis_reply_is_strings(const redisReply *reply, size_t count);

SENDAPI_HIDDEN_END

#endif
