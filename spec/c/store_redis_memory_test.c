/*
 * The outbox in Redis with every allocation of its own refused in turn: what fails says so, nothing
 * crashes or leaks, and no row is lost or doubled. The units are compiled into this program a
 * second time, under other names and with an allocator that can refuse.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hiredis/hiredis.h>

/* ---- an allocator that refuses ---- */

static long before_refusal = -1; /* allocations that succeed yet; negative: all of them */
static bool has_refused;

static bool must_refuse(void)
{
    bool refuses = before_refusal >= 0 && before_refusal-- == 0;
    has_refused = has_refused || refuses;
    return refuses;
}

static void *malloc_or_refuse(size_t size)
{
    return must_refuse() ? NULL : malloc(size);
}

static void *calloc_or_refuse(size_t count, size_t size)
{
    return must_refuse() ? NULL : calloc(count, size);
}

static void *realloc_or_refuse(void *block, size_t size)
{
    return must_refuse() ? NULL : realloc(block, size);
}

static char *strdup_or_refuse(const char *text)
{
    return must_refuse() ? NULL : strdup(text);
}

static char *strndup_or_refuse(const char *text, size_t length)
{
    return must_refuse() ? NULL : strndup(text, length);
}

#define malloc(size) malloc_or_refuse(size)
#define calloc(count, size) calloc_or_refuse(count, size)
#define realloc(block, size) realloc_or_refuse(block, size)
#define strdup(text) strdup_or_refuse(text)
#define strndup(text, length) strndup_or_refuse(text, length)

/* ---- the units, under other names: a function that they gain must be named here ---- */

#define redis_url_parse refused_url_parse
#define redis_url_wipe refused_url_wipe
#define redis_url_encode refused_url_encode
#define redis_url_decode refused_url_decode
#define redis_script_text refused_script_text
#define redis_command_init refused_command_init
#define redis_command_release refused_command_release
#define redis_command_text refused_command_text
#define redis_command_bytes refused_command_bytes
#define redis_command_number refused_command_number
#define redis_reader_prepare refused_reader_prepare
#define redis_reader_bound refused_reader_bound
#define redis_has_word refused_has_word
#define redis_refusal_of refused_refusal_of
#define redis_link_greet refused_link_greet
#define redis_link_say refused_link_say
#define redis_link_refused refused_link_refused
#define redis_link_init refused_link_init
#define redis_link_close refused_link_close
#define redis_link_ready refused_link_ready
#define redis_link_call refused_link_call
#define redis_link_script refused_link_script
#define redis_link_nonsense refused_link_nonsense
#define redis_link_warn refused_link_warn
#define redis_problem refused_problem
#define redis_reply_number refused_reply_number
#define redis_reply_is_strings refused_reply_is_strings
#define redis_place_find refused_place_find
#define redis_place_free refused_place_free
#define redis_prepare refused_prepare
#define redis_is_holder refused_is_holder
#define redis_fenced refused_fenced
#define redis_settle refused_settle
#define redis_ready refused_ready
#define redis_run refused_run
#define redis_run_number refused_run_number
#define redis_call refused_call
#define redis_microseconds refused_microseconds
#define redis_seconds refused_seconds
#define redis_no_memory refused_no_memory
#define redis_next refused_next
#define redis_look refused_look
#define redis_letters refused_letters
#define redis_figures refused_figures
#define redis_version refused_version
#define redis_sources refused_sources
#define store_redis refused_store

#include "../../src/store_redis.c"
#include "../../src/store_redis_command.c"
#include "../../src/store_redis_greet.c"
#include "../../src/store_redis_link.c"
#include "../../src/store_redis_place.c"
#include "../../src/store_redis_read.c"
#include "../../src/store_redis_refusal.c"
#include "../../src/store_redis_script.c"
#include "../../src/store_redis_url.c"

#undef malloc
#undef calloc
#undef realloc
#undef strdup
#undef strndup

#include "check.h"
#include "redis_server.h"

static struct redis_server server;
static struct store_problem problem;

static bool count_row(void *context, const struct store_row *row)
{
    ++*(size_t *)context;
    return row->id > 0;
}

static bool count_letter(void *context, const struct store_letter *letter)
{
    return count_row(context, &letter->row);
}

static bool count_name(void *context, const char *name)
{
    ++*(size_t *)context;
    return name != NULL;
}

static bool fine_or_told(bool fine)
{
    CHECK(fine || (problem.trouble == STORE_NO_MEMORY && problem.reason[0] != '\0'));
    return fine;
}

/* Everything once, as far as it comes; what was confirmed is counted. */
static void use(struct store *store, size_t *kept, size_t *dead)
{
    static const struct store_driver *driver = &refused_store;
    struct store_row rows[2] = {{.lane = "l", .lane_length = 1, .body = "b", .length = 1},
                                {.lane = "l", .lane_length = 1, .body = "b", .length = 1}};
    struct store_figures figures;
    uint64_t version;
    size_t seen = 0;
    rows[0].action = rows[1].action = "messages.create";
    *kept += fine_or_told(driver->append(store, "source", rows, 2, &problem)) ? 2 : 0;
    bool held = fine_or_told(driver->lease(store, "source", &problem) == STORE_LEASE_HELD);
    struct store_end end = {.id = rows[0].id, .code = "code", .reason = "reason"};
    if (held && fine_or_told(driver->next(store, "source", 0, 9, 99, count_row, &seen, &problem)) &&
        rows[0].id > 0 && fine_or_told(driver->end(store, "source", &end, 1, &problem))) {
        *kept -= 1;
        *dead += 1;
    }
    (void)fine_or_told(driver->look(store, "source", 0, 9, count_row, &seen, &problem));
    (void)fine_or_told(driver->letters(store, "source", 0, 9, count_letter, &seen, &problem));
    (void)fine_or_told(driver->version(store, "source", &version, &problem));
    (void)fine_or_told(driver->sources(store, count_name, &seen, &problem));
    (void)fine_or_told(driver->figures(store, "source", &figures, &problem));
    if (*dead > 0 && fine_or_told(driver->retry(store, "source", rows[0].id, &seen, &problem))) {
        *kept += seen;
        *dead -= seen;
    }
    if (fine_or_told(driver->discard(store, "source", 0, &seen, &problem))) {
        *dead -= seen;
    }
}

static void every_allocation_refused(void)
{
    char path[200];
    long round = 0;
    do {
        size_t kept = 0;
        size_t dead = 0;
        (void)snprintf(path, sizeof path, "redis+unix://%s?prefix=r%ld:", server.path, round);
        struct store_settings settings = {.path = path, .owner = "one"};
        CHECK_NOTE("round %ld", round);
        has_refused = false;
        before_refusal = round++;
        struct store *store = refused_store.open(&settings, &problem);
        if (fine_or_told(store != NULL)) {
            use(store, &kept, &dead);
            before_refusal = -1;
            struct store_figures figures = {.pending = 0};
            CHECK(refused_store.figures(store, "source", &figures, &problem));
            CHECK_SIZE(figures.pending, kept);
            CHECK_SIZE(figures.dead, dead);
            refused_store.close(store);
        }
    } while (has_refused && round < 1000);
    CHECK(round > 50);
}

static const struct check_case cases[] = {CHECK_CASE(every_allocation_refused)};

int main(int count, char **names)
{
    redis_start(&server);
    int status = CHECK_RUN(cases, count, names);
    redis_stop(&server);
    return status;
}
