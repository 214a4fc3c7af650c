#ifndef SENDAPI_MEMORY_STORE_H
#define SENDAPI_MEMORY_STORE_H

/*
 * A store in memory, which several openers share, of one source: it fails on demand, and leases run
 * out by a clock that is made up.
 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store.h"

enum { MEMORY_TEXT = 64 };

struct memory_row {
    uint64_t id;
    double time;
    char lane[MEMORY_TEXT];
    char body[MEMORY_TEXT];
    char code[STORE_CODE]; /* of a letter */
    char reason[STORE_REASON];
    unsigned attempts;
    double died;
    bool is_dead;
};

struct memory {
    struct memory_row *rows; /* by ascending ids; letters too */
    size_t count;
    size_t capacity;
    uint64_t last_id;
    uint64_t version;
    double now;
    char holder[48];
    double lease_until;

    unsigned long *log; /* the bodies as numbers, by the order of their appending */
    size_t logged;

    const char *warning; /* while opening */
    bool fails_to_open;
    bool fails_to_append;
    bool fails_to_end;
    bool fails_to_read;
    bool fails_to_lease;

    unsigned opened;
    unsigned appends;
    unsigned ends;
    unsigned reads;
    unsigned looks;
    unsigned idles;
    size_t largest_append;
    unsigned fences;
};

struct store {
    struct memory *memory;
    char owner[48];
};

static struct memory kept;

static inline bool memory_fails(bool fails, struct store_problem *problem)
{
    if (fails) {
        problem->trouble = STORE_UNAVAILABLE;
        (void)snprintf(problem->reason, sizeof problem->reason, "the disk is full");
    }
    return fails;
}

static inline struct store *memory_open(const struct store_settings *settings,
                                        struct store_problem *problem)
{
    if (kept.warning != NULL) {
        settings->warn(settings->warn_context, kept.warning);
    }
    if (memory_fails(kept.fails_to_open, problem)) {
        return NULL;
    }
    struct store *store = calloc(1, sizeof *store);
    (void)snprintf(store->owner, sizeof store->owner, "%s", settings->owner);
    store->memory = &kept;
    kept.opened++;
    return store;
}

static inline void memory_release(struct store *store, const char *source)
{
    (void)source;
    if (strcmp(kept.holder, store->owner) == 0) {
        kept.holder[0] = '\0';
    }
}

static inline void memory_close(struct store *store)
{
    memory_release(store, "");
    kept.opened--;
    free(store);
}

static inline bool memory_append(struct store *store, const char *source, struct store_row *rows,
                                 size_t count, struct store_problem *problem)
{
    (void)store;
    (void)source;
    kept.appends++;
    if (memory_fails(kept.fails_to_append, problem)) {
        return false;
    }
    if (kept.largest_append < count) {
        kept.largest_append = count;
    }
    if (kept.count + count > kept.capacity) {
        kept.capacity = 2 * (kept.count + count);
        kept.rows = realloc(kept.rows, kept.capacity * sizeof *kept.rows);
    }
    for (size_t i = 0; i < count; i++) {
        struct memory_row *row = &kept.rows[kept.count++];
        *row = (struct memory_row){.id = ++kept.last_id, .time = rows[i].time};
        memcpy(row->lane, rows[i].lane, rows[i].lane_length);
        memcpy(row->body, rows[i].body, rows[i].length);
        rows[i].id = row->id;
        if (kept.logged % 1024 == 0) {
            kept.log = realloc(kept.log, (kept.logged + 1024) * sizeof *kept.log);
        }
        kept.log[kept.logged++] = strtoul(row->body, NULL, 10);
    }
    kept.version++;
    return true;
}

static inline enum store_lease memory_lease(struct store *store, const char *source,
                                            struct store_problem *problem)
{
    (void)source;
    if (memory_fails(kept.fails_to_lease, problem)) {
        return STORE_LEASE_UNKNOWN;
    }
    bool is_free = kept.holder[0] == '\0' || kept.now >= kept.lease_until;
    if (!is_free && strcmp(kept.holder, store->owner) != 0) {
        return STORE_LEASE_TAKEN;
    }
    memcpy(kept.holder, store->owner, sizeof kept.holder);
    kept.lease_until = kept.now + 10;
    return STORE_LEASE_HELD;
}

static inline bool memory_fenced(const struct store *store, struct store_problem *problem)
{
    bool fenced = strcmp(kept.holder, store->owner) != 0;
    if (fenced) {
        kept.fences++;
        problem->trouble = STORE_FENCED;
        (void)snprintf(problem->reason, sizeof problem->reason, "another delivers");
    }
    return fenced;
}

static inline struct store_row memory_row_of(const struct memory_row *row)
{
    return (struct store_row){.id = row->id,
                              .lane = row->lane,
                              .lane_length = strlen(row->lane),
                              .body = row->body,
                              .length = strlen(row->body),
                              .time = row->time,
                              .action = "messages.create"};
}

static inline bool memory_next(struct store *store, const char *source, uint64_t after,
                               size_t count, size_t bytes, store_row_visitor *visit, void *context,
                               struct store_problem *problem)
{
    (void)source;
    size_t seen = 0;
    size_t sum = 0;
    kept.reads++;
    if (memory_fails(kept.fails_to_read, problem) || memory_fenced(store, problem)) {
        return false;
    }
    for (size_t i = 0; i < kept.count && seen < count && (seen == 0 || sum < bytes); i++) {
        const struct memory_row *row = &kept.rows[i];
        if (row->is_dead || row->id <= after) {
            continue;
        }
        const struct store_row shown = memory_row_of(row);
        seen++;
        sum += shown.length;
        if (!visit(context, &shown)) {
            break;
        }
    }
    return true;
}

static inline struct memory_row *memory_find(uint64_t id)
{
    for (size_t i = 0; i < kept.count; i++) {
        if (kept.rows[i].id == id) {
            return &kept.rows[i];
        }
    }
    return NULL;
}

static inline void memory_delete(struct memory_row *row)
{
    size_t at = (size_t)(row - kept.rows);
    memmove(row, row + 1, (--kept.count - at) * sizeof *row);
}

static inline bool memory_end(struct store *store, const char *source, const struct store_end *ends,
                              size_t count, struct store_problem *problem)
{
    (void)source;
    kept.ends++;
    if (memory_fails(kept.fails_to_end, problem) || memory_fenced(store, problem)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        struct memory_row *row = memory_find(ends[i].id);
        if (row == NULL) {
            continue;
        }
        if (ends[i].is_delivered) {
            memory_delete(row);
        } else {
            row->is_dead = true;
            row->attempts = ends[i].attempts;
            row->died = ends[i].time;
            (void)snprintf(row->code, sizeof row->code, "%s", ends[i].code);
            (void)snprintf(row->reason, sizeof row->reason, "%s", ends[i].reason);
        }
    }
    return true;
}

static inline bool memory_version(struct store *store, const char *source, uint64_t *version,
                                  struct store_problem *problem)
{
    (void)store;
    (void)source;
    (void)problem;
    kept.looks++;
    *version = kept.version;
    return true;
}

static inline bool memory_figures(struct store *store, const char *source,
                                  struct store_figures *figures, struct store_problem *problem)
{
    (void)store;
    (void)source;
    (void)problem;
    *figures = (struct store_figures){0};
    for (size_t i = 0; i < kept.count; i++) {
        const struct memory_row *row = &kept.rows[i];
        figures->dead += row->is_dead;
        figures->newest = row->is_dead ? row->id : figures->newest;
        figures->pending += !row->is_dead;
        if (!row->is_dead && figures->oldest == 0) {
            figures->oldest = row->time;
        }
    }
    return true;
}

static inline bool memory_letters(struct store *store, const char *source, uint64_t after,
                                  size_t count, store_letter_visitor *visit, void *context,
                                  struct store_problem *problem)
{
    (void)store;
    (void)source;
    (void)problem;
    for (size_t i = 0; i < kept.count && count > 0; i++) {
        const struct memory_row *row = &kept.rows[i];
        if (row->is_dead && row->id > after) {
            const struct store_letter letter = {.row = memory_row_of(row),
                                                .code = row->code,
                                                .reason = row->reason,
                                                .attempts = row->attempts,
                                                .died = row->died};
            count--;
            if (!visit(context, &letter)) {
                return true;
            }
        }
    }
    return true;
}

static inline bool memory_look(struct store *store, const char *source, uint64_t after,
                               size_t count, store_row_visitor *visit, void *context,
                               struct store_problem *problem)
{
    return memory_next(store, source, after, count, SIZE_MAX, visit, context, problem);
}

static inline bool memory_retry(struct store *store, const char *source, uint64_t id, size_t *count,
                                struct store_problem *problem)
{
    size_t before = kept.count;
    *count = 0;
    for (size_t i = 0; i < before;) {
        struct memory_row row = kept.rows[i];
        if (!row.is_dead || (id != 0 && row.id != id)) {
            i++;
            continue;
        }
        struct store_row again = memory_row_of(&row);
        memory_delete(&kept.rows[i]);
        before--;
        (void)memory_append(store, source, &again, 1, problem);
        ++*count;
    }
    return true;
}

static inline bool memory_discard(struct store *store, const char *source, uint64_t id,
                                  size_t *count, struct store_problem *problem)
{
    (void)store;
    (void)source;
    (void)problem;
    *count = 0;
    for (size_t i = 0; i < kept.count;) {
        if (kept.rows[i].is_dead && (id == 0 || kept.rows[i].id == id)) {
            memory_delete(&kept.rows[i]);
            ++*count;
        } else {
            i++;
        }
    }
    return true;
}

static inline bool memory_sources(struct store *store, bool (*visit)(void *, const char *),
                                  void *context, struct store_problem *problem)
{
    (void)store;
    (void)problem;
    (void)visit(context, "source");
    return true;
}

static inline void memory_idle(struct store *store)
{
    (void)store;
    kept.idles++;
}

static struct store_driver memory_driver = {
    .name = "memory",
    .open = memory_open,
    .close = memory_close,
    .abandon = memory_close,
    .append = memory_append,
    .lease = memory_lease,
    .release = memory_release,
    .next = memory_next,
    .end = memory_end,
    .version = memory_version,
    .figures = memory_figures,
    .letters = memory_letters,
    .look = memory_look,
    .retry = memory_retry,
    .discard = memory_discard,
    .sources = memory_sources,
    .idle = memory_idle,
};

#endif
