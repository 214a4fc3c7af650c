/*
 * redis_floor SOCKET BODY COUNT ROWS
 *
 * What Redis itself takes to append COUNT entries of the same fields to a stream, in transactions
 * of ROWS, each sent at once and answered before the next. Prints the entries per second.
 */

#include <stdio.h>  /* fprintf(3) */
#include <stdlib.h> /* exit(3) strtol(3) */
#include <time.h>   /* clock_gettime(2) */

#include <hiredis/hiredis.h>

static void fail(const char *reason)
{
    fprintf(stderr, "redis_floor: %s\n", reason);
    exit(EXIT_FAILURE);
}

static double now(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + (double)at.tv_nsec * 1e-9;
}

static void take_answers(redisContext *redis, long count)
{
    for (long i = 0; i < count; i++) {
        void *answer = NULL;
        if (redisGetReply(redis, &answer) != REDIS_OK) {
            fail(redis->errstr);
        }
        if (((redisReply *)answer)->type == REDIS_REPLY_ERROR) {
            fail(((redisReply *)answer)->str);
        }
        freeReplyObject(answer);
    }
}

static void add_entries(redisContext *redis, const char *body, long count)
{
    (void)redisAppendCommand(redis, "MULTI");
    for (long i = 0; i < count; i++) {
        (void)redisAppendCommand(redis,
                                 "XADD floor * lane 42 time 1500000000 action messages.create"
                                 " body %s",
                                 body);
    }
    (void)redisAppendCommand(redis, "EXEC");
    take_answers(redis, count + 2);
}

int main(int count, char **arguments)
{
    if (count != 5) {
        fail("usage: redis_floor SOCKET BODY COUNT ROWS");
    }
    long entries = strtol(arguments[3], NULL, 10);
    long rows = strtol(arguments[4], NULL, 10);
    redisContext *redis = redisConnectUnix(arguments[1]);
    if (redis == NULL || redis->err != 0) {
        fail("there is no server");
    }
    freeReplyObject(redisCommand(redis, "DEL floor"));
    double begin = now();
    for (long done = 0; done < entries; done += rows) {
        add_entries(redis, arguments[2], entries - done < rows ? entries - done : rows);
    }
    printf("%.1f\n", (double)entries / (now() - begin));
    freeReplyObject(redisCommand(redis, "DEL floor"));
    redisFree(redis);
    return EXIT_SUCCESS;
}
