#ifndef SENDAPI_FAULTY_STORE_H
#define SENDAPI_FAULTY_STORE_H

/*
 * The store in memory, of which one call fails, or several in a row: each call counts, whatever it
 * is. One that fails has done nothing, or has done all and says it did not, as when an answer gets
 * lost. STORE_FENCED is said only by calls that may say it, and only as nothing done.
 */

#include "memory_store.h"

static struct {
    enum store_trouble trouble;
    bool is_done;  /* it says that it is not */
    long fails_at; /* counted from 0; negative: none */
    long count;    /* of those that fail in a row */
    long calls;
} faulty;

static inline bool faulty_fails(bool may_be_fenced, struct store_problem *problem)
{
    long call = faulty.calls++;
    bool is_its_turn =
        faulty.fails_at >= 0 && call >= faulty.fails_at && call < faulty.fails_at + faulty.count;
    if (!is_its_turn || (faulty.trouble == STORE_FENCED && !may_be_fenced)) {
        return false;
    }
    problem->trouble = faulty.trouble;
    (void)snprintf(problem->reason, sizeof problem->reason, "call %ld fails", call);
    return true;
}

/* What a call is to return: `work` is done unless the failure comes before it. */
#define FAULTY(may_be_fenced, failed, work)                                                        \
    do {                                                                                           \
        struct store_problem lost;                                                                 \
        if (!faulty_fails(may_be_fenced, problem)) {                                               \
            return work;                                                                           \
        }                                                                                          \
        if (faulty.is_done && faulty.trouble != STORE_FENCED) {                                    \
            problem = &lost;                                                                       \
            (void)(work);                                                                          \
        }                                                                                          \
        return failed;                                                                             \
    } while (0)

static inline struct store *faulty_open(const struct store_settings *settings,
                                        struct store_problem *problem)
{
    return faulty_fails(false, problem) ? NULL : memory_open(settings, problem);
}

static inline bool faulty_append(struct store *store, const char *source, struct store_row *rows,
                                 size_t count, struct store_problem *problem)
{
    FAULTY(false, false, memory_append(store, source, rows, count, problem));
}

static inline enum store_lease faulty_lease(struct store *store, const char *source,
                                            struct store_problem *problem)
{
    FAULTY(false, STORE_LEASE_UNKNOWN, memory_lease(store, source, problem));
}

/* A visitor that has seen rows before the failure. */
static inline bool faulty_next(struct store *store, const char *source, uint64_t after,
                               size_t count, size_t bytes, store_row_visitor *visit, void *context,
                               struct store_problem *problem)
{
    FAULTY(true, false, memory_next(store, source, after, count, bytes, visit, context, problem));
}

static inline bool faulty_end(struct store *store, const char *source, const struct store_end *ends,
                              size_t count, struct store_problem *problem)
{
    FAULTY(true, false, memory_end(store, source, ends, count, problem));
}

static inline bool faulty_version(struct store *store, const char *source, uint64_t *version,
                                  struct store_problem *problem)
{
    FAULTY(false, false, memory_version(store, source, version, problem));
}

static inline bool faulty_figures(struct store *store, const char *source,
                                  struct store_figures *figures, struct store_problem *problem)
{
    FAULTY(false, false, memory_figures(store, source, figures, problem));
}

static inline bool faulty_letters(struct store *store, const char *source, uint64_t after,
                                  size_t count, store_letter_visitor *visit, void *context,
                                  struct store_problem *problem)
{
    FAULTY(false, false, memory_letters(store, source, after, count, visit, context, problem));
}

static inline bool faulty_discard(struct store *store, const char *source, uint64_t id,
                                  size_t *count, struct store_problem *problem)
{
    FAULTY(false, false, memory_discard(store, source, id, count, problem));
}

static const struct store_driver faulty_driver = {
    .name = "faulty",
    .open = faulty_open,
    .close = memory_close,
    .abandon = memory_close,
    .append = faulty_append,
    .lease = faulty_lease,
    .release = memory_release,
    .next = faulty_next,
    .end = faulty_end,
    .version = faulty_version,
    .figures = faulty_figures,
    .letters = faulty_letters,
    .look = memory_look,
    .retry = memory_retry,
    .discard = faulty_discard,
    .sources = memory_sources,
    .idle = memory_idle,
};

#endif
