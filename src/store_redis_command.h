#ifndef SENDAPI_STORE_REDIS_COMMAND_H
#define SENDAPI_STORE_REDIS_COMMAND_H

/* Commands to Redis, and its replies, apart from any connection. No thread of its own, no state. */

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
#include "visibility.h"

SENDAPI_HIDDEN_BEGIN

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

bool redis_problem(struct store_problem *problem, enum store_trouble trouble, const char *format,
                   ...) __attribute__((format(printf, 3, 4)));

/* A whole number below 2^63 that is a reply or in one. */
bool redis_reply_number(const redisReply *reply, uint64_t *number);

/* An array of `count` strings, or of any number of anything with SIZE_MAX. */
bool redis_reply_is_strings(const redisReply *reply, size_t count);

/* Whether redis_reader_bound may be used; false without memory. From any thread. */
bool redis_reader_prepare(void);

/* hiredis believes what a server says of an array's length: from now on only within reason. */
void redis_reader_bound(redisReader *reader);

SENDAPI_HIDDEN_END

#endif
