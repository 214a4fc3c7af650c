#include "outbox_notices.h"

#include <string.h> /* strdup(3) */

/* ---- finished ---- */

void outbox_hand_out(struct outbox *outbox, struct request *request)
{
    request->next = NULL;
    *outbox->finished_last = request;
    outbox->finished_last = &request->next;
}

void outbox_hand_back(struct outbox *outbox, struct request *request, enum failure failure,
                      const char *reason)
{
    request_reset_outcome(request);
    request->outcome.failure = failure;
    request->outcome.reason = reason != NULL ? strdup(reason) : NULL;
    outbox_hand_out(outbox, request);
}

void outbox_fail_to_store(struct outbox *outbox, struct request *request,
                          const struct store_problem *problem)
{
    bool is_memory = problem->trouble == STORE_NO_MEMORY;
    outbox_hand_back(outbox, request, is_memory ? FAILURE_NO_MEMORY : FAILURE_STORAGE,
                     problem->reason);
}

struct request *outbox_finished(struct outbox *outbox, struct request **last)
{
    struct request *first = outbox->finished;
    if (first != NULL) {
        *last = (struct request *)(void *)outbox->finished_last; /* its first member is its link */
        outbox->finished = NULL;
        outbox->finished_last = &outbox->finished;
    }
    return first;
}

/* ---- what is told ---- */

/* The endpoint that delivers, or one that leaves, and waits for what is on its way. */
static struct endpoint *listener(const struct outbox_source *source)
{
    if (source->attached != NULL) {
        return source->attached->endpoint;
    }
    return source->leaving != NULL ? source->leaving->endpoint : NULL;
}

/* A notice to whoever listens; NULL when it is not to be given. */
static struct request *new_notice(const struct outbox_source *source, enum command_kind kind)
{
    struct endpoint *endpoint = listener(source);
    if (endpoint == NULL || atomic_load(&endpoint->notices) >= OUTBOX_NOTICES) {
        return NULL;
    }
    struct request *notice = command_request(endpoint, kind);
    if (notice != NULL) {
        (void)atomic_fetch_add(&endpoint->notices, 1);
    }
    return notice;
}

static void hear_death(void *context, const struct store_letter *letter)
{
    struct outbox_source *source = context;
    struct request *notice = new_notice(source, COMMAND_DIED);
    struct store_letter shown = *letter;
    shown.row.body = NULL; /* that many bodies need not be in memory */
    if (notice != NULL && !command_add_letter(notice->command, &shown)) {
        (void)atomic_fetch_sub(&notice->endpoint->notices, 1);
        request_free(notice);
        return;
    }
    if (notice != NULL) {
        outbox_hand_out(source->outbox, notice);
    }
}

static char *copy_text(const char *text)
{
    return text != NULL ? strdup(text) : NULL;
}

static void hear_pause(void *context, const struct request *fault)
{
    struct outbox_source *source = context;
    struct request *notice = new_notice(source, COMMAND_PAUSED);
    if (notice == NULL) {
        return;
    }
    notice->outcome.failure = fault->outcome.failure;
    notice->outcome.status = fault->outcome.status;
    notice->outcome.attempts = fault->outcome.attempts;
    notice->outcome.reason = copy_text(fault->outcome.reason);
    outbox_hand_out(source->outbox, notice);
}

static void hear_resumption(void *context)
{
    struct outbox_source *source = context;
    struct request *notice = new_notice(source, COMMAND_RESUMED);
    if (notice != NULL) {
        outbox_hand_out(source->outbox, notice);
    }
}

/* False when there is nobody to tell, or no memory. */
static bool tell_of_store(struct outbox_source *source, enum command_kind kind, const char *reason)
{
    struct request *notice = new_notice(source, kind);
    if (notice != NULL) {
        notice->outcome.failure = FAILURE_STORAGE;
        notice->outcome.reason = copy_text(reason);
        outbox_hand_out(source->outbox, notice);
    }
    return notice != NULL;
}

static void hear_trouble(void *context, const struct store_problem *problem)
{
    (void)tell_of_store(context, COMMAND_TROUBLED, problem->reason);
}

/* FNV-1a */
static uint32_t sum_of(const char *text)
{
    uint32_t sum = 2166136261u;
    for (; *text != '\0'; text++) {
        sum = (sum ^ (unsigned char)*text) * 16777619u;
    }
    return sum;
}

static bool was_said(const struct outbox_store *store, uint32_t sum)
{
    for (size_t i = 0; i < store->warnings && i < OUTBOX_WARNINGS; i++) {
        if (store->warned[i] == sum) {
            return true;
        }
    }
    return false;
}

void outbox_warn(struct outbox_store *store, const char *sentence)
{
    uint32_t sum = sum_of(sentence);
    bool is_told = was_said(store, sum);
    for (struct outbox_source *source = store->sources; source != NULL && !is_told;
         source = source->next) {
        is_told = tell_of_store(source, COMMAND_WARNED, sentence);
        if (is_told) {
            store->warned[store->warnings++ % OUTBOX_WARNINGS] = sum;
        }
    }
}

void outbox_tell_closed(struct outbox_store *store)
{
    for (struct outbox_source *source = store->sources; source != NULL; source = source->next) {
        (void)tell_of_store(source, COMMAND_TROUBLED, store->problem.reason);
    }
}

struct deliverer_ears outbox_ears(struct outbox_source *source)
{
    return (struct deliverer_ears){.died = hear_death,
                                   .paused = hear_pause,
                                   .resumed = hear_resumption,
                                   .troubled = hear_trouble,
                                   .context = source};
}
