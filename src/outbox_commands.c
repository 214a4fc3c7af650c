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
    figures->is_failing = deliverer_is_failing(&source->deliverer);
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

/* A step of it; what was done counts though the step fails. */
static bool settle_letters(struct outbox_source *source, struct command *command,
                           struct store_problem *problem)
{
    const struct outbox_store *store = source->store;
    struct dead_letters *work = &command->work;
    work->is_retry = command->kind == COMMAND_RETRY;
    work->id = command->id;
    work->filter = command->filter;
    bool is_fine = dead_letters_step(store->driver, store->store, source->name, work, problem);
    size_t count = work->count - command->count;
    command->count = work->count;
    source->figures.dead = minus(source->figures.dead, count);
    if (work->is_retry) {
        source->figures.pending += count;
        deliverer_hear(&source->deliverer);
    } else {
        source->figures.discarded += count;
    }
    return is_fine;
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
    case COMMAND_RETRY:
    case COMMAND_DISCARD: return settle_letters(source, command, problem);
    default: return true;
    }
}

static bool is_halfway(const struct command *command)
{
    return (command->kind == COMMAND_RETRY || command->kind == COMMAND_DISCARD) &&
           !command->work.is_done;
}

void outbox_run_commands(struct outbox_source *source, bool is_last)
{
    struct store_problem problem;
    while (source->asking != NULL) {
        struct request *request = source->asking;
        bool is_fine = run_command(source, request->command, &problem);
        bool goes_on = is_fine && is_halfway(request->command);
        if (goes_on && !is_last) {
            return;
        }
        source->asking = request->next;
        if (!is_fine) {
            outbox_fail_to_store(source->outbox, request, &problem);
        } else if (goes_on) {
            outbox_hand_back(source->outbox, request, FAILURE_CLOSED, NULL);
        } else {
            outbox_hand_out(source->outbox, request);
        }
    }
    source->asking_last = &source->asking;
}
