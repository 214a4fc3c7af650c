#include "outbox_commands.h"

#include "outbox_notices.h"

static const double COUNT_INTERVAL = 1.0; /* seconds between two looks for what others did */

/* ---- figures ---- */

static uint64_t minus(uint64_t from, uint64_t count)
{
    return from > count ? from - count : 0;
}

/* What others did meanwhile: they appended, or delivered or discarded. */
static void compare(struct outbox_source *source, const struct store_figures *found)
{
    struct endpoint_figures *figures = &source->figures;
    uint64_t before = figures->pending + figures->dead;
    uint64_t after = found->pending + found->dead;
    if (after > before) {
        figures->accepted += after - before;
    } else {
        figures->delivered += before - after;
    }
    figures->pending = found->pending;
    figures->oldest = found->oldest;
    figures->dead = found->dead;
}

/* Where nothing was done since the figures were right, nothing is asked. */
void outbox_count_rows(struct outbox_source *source, double now)
{
    struct store_figures found;
    struct store_problem problem;
    struct outbox_store *store = source->store;
    bool is_due =
        !source->is_counted || (now >= source->count_due && deliverer_is_bored(&source->deliverer));
    if (store->store == NULL || !is_due) {
        return;
    }
    source->count_due = now + COUNT_INTERVAL;
    if (store->driver->figures(store->store, source->name, &found, &problem)) {
        compare(source, &found);
        source->is_counted = true;
    }
}

void outbox_count_ends(struct outbox_source *source)
{
    struct deliverer_counts *counts = &source->deliverer.counts;
    struct endpoint_figures *figures = &source->figures;
    uint64_t ended = counts->delivered + counts->died;
    figures->accepted += minus(ended, figures->pending); /* others appended them */
    figures->pending = minus(figures->pending, ended);
    figures->delivered += counts->delivered;
    figures->dead += counts->died;
    *counts = (struct deliverer_counts){0};
    double oldest = deliverer_oldest(&source->deliverer);
    figures->oldest = figures->pending == 0 ? 0 : oldest > 0 ? oldest : figures->oldest;
    figures->is_paused = source->deliverer.is_paused;
    figures->is_deliverer = source->deliverer.is_holder;
}

void outbox_publish_figures(struct outbox_source *source)
{
    for (struct attached *attached = source->attached; attached != NULL;
         attached = attached->next) {
        endpoint_set_figures(attached->endpoint, &source->figures);
    }
}

/* ---- commands ---- */

static bool add_letter(void *context, const struct store_letter *letter)
{
    return command_add_letter(context, letter);
}

static bool answer_figures(struct outbox_source *source, struct command *command,
                           struct store_problem *problem)
{
    const struct outbox_store *store = source->store;
    if (!store->driver->figures(store->store, source->name, &command->figures, problem)) {
        return false;
    }
    compare(source, &command->figures);
    return true;
}

static bool retry_letters(struct outbox_source *source, struct command *command,
                          struct store_problem *problem)
{
    const struct outbox_store *store = source->store;
    if (!store->driver->retry(store->store, source->name, command->id, &command->count, problem)) {
        return false;
    }
    source->figures.dead = minus(source->figures.dead, command->count);
    source->figures.pending += command->count;
    deliverer_hear(&source->deliverer);
    return true;
}

static bool discard_letters(struct outbox_source *source, struct command *command,
                            struct store_problem *problem)
{
    const struct outbox_store *store = source->store;
    if (!store->driver->discard(store->store, source->name, command->id, &command->count,
                                problem)) {
        return false;
    }
    source->figures.dead = minus(source->figures.dead, command->count);
    source->figures.discarded += command->count;
    return true;
}

static bool run_command(struct outbox_source *source, struct command *command,
                        struct store_problem *problem)
{
    const struct store_driver *driver = source->store->driver;
    struct store *store = source->store->store;
    const char *name = source->name;
    size_t limit = command->limit < OUTBOX_LETTERS ? command->limit : OUTBOX_LETTERS;
    if (store == NULL) {
        *problem = source->store->problem;
        return false;
    }
    switch (command->kind) {
    case COMMAND_FIGURES: return answer_figures(source, command, problem);
    case COMMAND_LETTERS:
        return driver->letters(store, name, command->id, limit, add_letter, command, problem);
    case COMMAND_RETRY: return retry_letters(source, command, problem);
    case COMMAND_DISCARD: return discard_letters(source, command, problem);
    default: return true;
    }
}

void outbox_run_commands(struct outbox_source *source)
{
    struct store_problem problem;
    while (source->asking != NULL) {
        struct request *request = source->asking;
        source->asking = request->next;
        if (run_command(source, request->command, &problem)) {
            outbox_hand_out(source->outbox, request);
        } else {
            outbox_fail_to_store(source->outbox, request, &problem);
        }
    }
    source->asking_last = &source->asking;
}
