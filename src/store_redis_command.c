#include "store_redis_command.h"

#include <pthread.h> /* pthread_once(3) */
#include <stdarg.h>
#include <stdio.h>  /* snprintf(3) vsnprintf(3) */
#include <stdlib.h> /* calloc(3) free(3) */
#include <string.h> /* strlen(3) */

enum {
    MOST_ELEMENTS = 1 << 16, /* of an array in a reply */
    MOST_DEPTH = 6,          /* of arrays in arrays */
};

bool redis_problem(struct store_problem *problem, enum store_trouble trouble, const char *format,
                   ...)
{
    va_list arguments;
    va_start(arguments, format);
    problem->trouble = trouble;
    (void)vsnprintf(problem->reason, sizeof problem->reason, format, arguments);
    va_end(arguments);
    return false;
}

/* ---- commands ---- */

bool redis_command_init(struct redis_command *command, size_t room)
{
    *command = (struct redis_command){
        .texts = calloc(room, sizeof *command->texts),
        .lengths = calloc(room, sizeof *command->lengths),
        .numbers = calloc(room, sizeof *command->numbers),
        .room = room,
    };
    if (command->texts == NULL || command->lengths == NULL || command->numbers == NULL) {
        redis_command_release(command);
        return false;
    }
    return true;
}

void redis_command_release(struct redis_command *command)
{
    free(command->texts);
    free(command->lengths);
    free(command->numbers);
    *command = (struct redis_command){.room = 0};
}

void redis_command_bytes(struct redis_command *command, const char *bytes, size_t length)
{
    if (command->count < command->room) {
        command->texts[command->count] = length > 0 ? bytes : "";
        command->lengths[command->count] = length;
        command->count++;
    }
}

void redis_command_text(struct redis_command *command, const char *text)
{
    redis_command_bytes(command, text, strlen(text));
}

void redis_command_number(struct redis_command *command, uint64_t number)
{
    if (command->count < command->room) {
        char *digits = command->numbers[command->count];
        (void)snprintf(digits, sizeof *command->numbers, "%llu", (unsigned long long)number);
        redis_command_text(command, digits);
    }
}

/* ---- replies ---- */

bool redis_reply_number(const redisReply *reply, uint64_t *number)
{
    if (reply->type == REDIS_REPLY_INTEGER) {
        *number = (uint64_t)reply->integer;
        return reply->integer >= 0;
    }
    if (reply->type != REDIS_REPLY_STRING || reply->len == 0 || reply->len > 18) {
        return false;
    }
    *number = 0;
    for (const char *digit = reply->str; digit < reply->str + reply->len; digit++) {
        if (*digit < '0' || *digit > '9') {
            return false;
        }
        *number = *number * 10 + (uint64_t)(*digit - '0');
    }
    return true;
}

bool redis_reply_is_strings(const redisReply *reply, size_t count)
{
    if (reply->type != REDIS_REPLY_ARRAY || (count != SIZE_MAX && reply->elements != count)) {
        return false;
    }
    for (size_t i = 0; count != SIZE_MAX && i < count; i++) {
        if (reply->element[i]->type != REDIS_REPLY_STRING) {
            return false;
        }
    }
    return true;
}

#if HIREDIS_MAJOR >= 1
typedef size_t element_count;
#else
typedef int element_count;
#endif

static void *(*create_any_array)(const redisReadTask *task, element_count count);

/* hiredis believes what a server says of an array, and asks for its memory first. */
static void *create_array(const redisReadTask *task, element_count count)
{
    unsigned depth = 0;
    for (const redisReadTask *outer = task; outer != NULL; outer = outer->parent) {
        depth++;
    }
    return (long long)count < 0 || (long long)count > MOST_ELEMENTS || depth > MOST_DEPTH
               ? NULL
               : create_any_array(task, count);
}

static redisReplyObjectFunctions reply_functions;

static pthread_once_t functions_made = PTHREAD_ONCE_INIT;

static void make_functions(void)
{
    redisReader *reader = redisReaderCreate();
    if (reader != NULL) {
        reply_functions = *reader->fn;
        create_any_array = reader->fn->createArray;
        reply_functions.createArray = create_array;
        redisReaderFree(reader);
    }
}

bool redis_reader_prepare(void)
{
    (void)pthread_once(&functions_made, make_functions);
    return create_any_array != NULL;
}

void redis_reader_bound(redisReader *reader)
{
    reader->fn = &reply_functions;
}
