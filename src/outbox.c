#include "outbox.h"

#include <stdio.h>  /* snprintf(3) */
#include <stdlib.h> /* calloc(3) free(3) */
#include <string.h> /* strcmp(3) strdup(3) */

#include <openssl/rand.h> /* RAND_bytes(3) */

static const double LEASE = 10.0;         /* seconds */
static const double OPEN_INTERVAL = 1.0;  /* seconds until a store is tried again */
static const double COUNT_INTERVAL = 1.0; /* seconds between two looks for what others did */
static const double IDLE_INTERVAL = 1.0;  /* seconds between two calls of a store's `idle` */

enum { ACTION = 48 }; /* bytes of an action's name, its end included */

/* An endpoint that delivers through a source, or would. */
struct attached {
    struct attached *next;
    struct endpoint *endpoint; /* a reference */
};

struct outbox_source {
    struct outbox_source *next;
    struct outbox *outbox;
    struct outbox_store *store;
    char *name;
    struct deliverer deliverer;
    struct attached *attached; /* the newest first */
    struct request *waiting;   /* to be stored, in order */
    struct request **waiting_last;
    struct endpoint_figures figures;
    bool is_counted; /* the figures begin with what the store had */
    double count_due;
    struct request *leaving; /* until nothing is on its way */
    struct request *asking;  /* commands that come after what waits, in order */
    struct request **asking_last;
};

struct outbox_store {
    struct outbox_store *next;
    const struct store_driver *driver;
    char *path;
    bool is_process_only;
    struct store *store; /* NULL while it cannot be opened */
    struct store_problem problem;
    double open_due;
    double idle_due;
    struct outbox_source *sources;
};

void outbox_init(struct outbox *outbox, struct scheduler *scheduler, uint64_t seed)
{
    uint64_t chance[2] = {seed, seed};
    (void)RAND_bytes((unsigned char *)chance, sizeof chance);
    *outbox = (struct outbox){.scheduler = scheduler};
    outbox->finished_last = &outbox->finished;
    (void)snprintf(outbox->owner, sizeof outbox->owner, "%016llx%016llx",
                   (unsigned long long)chance[0], (unsigned long long)chance[1]);
}

/* ---- finished ---- */

static void hand_out(struct outbox *outbox, struct request *request)
{
    request->next = NULL;
    *outbox->finished_last = request;
    outbox->finished_last = &request->next;
}

static void hand_back(struct outbox *outbox, struct request *request, enum failure failure,
                      const char *reason)
{
    request_reset_outcome(request);
    request->outcome.failure = failure;
    request->outcome.reason = reason != NULL ? strdup(reason) : NULL;
    hand_out(outbox, request);
}

static void fail_to_store(struct outbox *outbox, struct request *request,
                          const struct store_problem *problem)
{
    bool is_memory = problem->trouble == STORE_NO_MEMORY;
    hand_back(outbox, request, is_memory ? FAILURE_NO_MEMORY : FAILURE_STORAGE, problem->reason);
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

/* A notice to the endpoint that delivers; NULL when it is not to be given. */
static struct request *new_notice(const struct outbox_source *source, enum command_kind kind)
{
    struct endpoint *endpoint = source->attached != NULL ? source->attached->endpoint : NULL;
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
    shown.row.length = 0; /* that many bodies need not be in memory */
    if (notice != NULL && !command_add_letter(notice->command, &shown)) {
        (void)atomic_fetch_sub(&notice->endpoint->notices, 1);
        request_free(notice);
        return;
    }
    if (notice != NULL) {
        hand_out(source->outbox, notice);
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
    hand_out(source->outbox, notice);
}

static void hear_resumption(void *context)
{
    struct outbox_source *source = context;
    struct request *notice = new_notice(source, COMMAND_RESUMED);
    if (notice != NULL) {
        hand_out(source->outbox, notice);
    }
}

static void hear_trouble(void *context, const struct store_problem *problem)
{
    struct outbox_source *source = context;
    struct request *notice = new_notice(source, COMMAND_TROUBLED);
    if (notice != NULL) {
        notice->outcome.failure = FAILURE_STORAGE;
        notice->outcome.reason = copy_text(problem->reason);
        hand_out(source->outbox, notice);
    }
}

/* ---- stores and sources ---- */

static bool is_store_of(const struct outbox_store *store, const struct endpoint_outbox *settings)
{
    return store->driver == settings->driver && strcmp(store->path, settings->path) == 0;
}

static struct outbox_store *store_for(struct outbox *outbox, const struct endpoint_outbox *settings)
{
    for (struct outbox_store *store = outbox->stores; store != NULL; store = store->next) {
        if (is_store_of(store, settings)) {
            return store;
        }
    }
    struct outbox_store *store = calloc(1, sizeof *store);
    char *path = strdup(settings->path);
    if (store == NULL || path == NULL) {
        free(store);
        free(path);
        return NULL;
    }
    store->driver = settings->driver;
    store->path = path;
    store->is_process_only = settings->is_process_only;
    store->next = outbox->stores;
    outbox->stores = store;
    return store;
}

static void use_store(struct outbox_source *source)
{
    const struct outbox_store *store = source->store;
    source->deliverer.store = store->store;
    if (store->store != NULL && store->driver->lease_seconds != NULL) {
        source->deliverer.lease_seconds = store->driver->lease_seconds(store->store);
    }
}

static struct outbox_source *new_source(struct outbox *outbox, struct outbox_store *store,
                                        const char *name)
{
    struct outbox_source *source = calloc(1, sizeof *source);
    char *copy = strdup(name);
    if (source == NULL || copy == NULL) {
        free(source);
        free(copy);
        return NULL;
    }
    const struct deliverer_ears ears = {.died = hear_death,
                                        .paused = hear_pause,
                                        .resumed = hear_resumption,
                                        .troubled = hear_trouble,
                                        .context = source};
    source->outbox = outbox;
    source->store = store;
    source->name = copy;
    source->waiting_last = &source->waiting;
    source->asking_last = &source->asking;
    deliverer_init(&source->deliverer, store->driver, copy, LEASE, outbox->scheduler, &ears);
    use_store(source);
    source->next = store->sources;
    store->sources = source;
    return source;
}

static struct outbox_source *source_for(struct outbox *outbox, struct endpoint *endpoint)
{
    const struct endpoint_outbox *settings = &endpoint->settings.outbox;
    struct outbox_store *store = store_for(outbox, settings);
    struct outbox_source *source = store != NULL ? store->sources : NULL;
    while (source != NULL && strcmp(source->name, settings->source) != 0) {
        source = source->next;
    }
    return source != NULL || store == NULL ? source : new_source(outbox, store, settings->source);
}

/* The endpoint delivers its source from now on. False without memory, or once it has left. */
static bool attach(struct outbox *outbox, struct endpoint *endpoint, struct moment moment)
{
    if (endpoint->source != NULL) {
        return true;
    }
    struct attached *attached = endpoint->key != NULL ? calloc(1, sizeof *attached) : NULL;
    struct outbox_source *source = attached != NULL ? source_for(outbox, endpoint) : NULL;
    if (source == NULL) {
        free(attached);
        return false;
    }
    endpoint_retain(endpoint);
    attached->endpoint = endpoint;
    attached->next = source->attached;
    source->attached = attached;
    endpoint->source = source;
    deliverer_use(&source->deliverer, endpoint, moment);
    return true;
}

/* What is on its way has its signature already: the key is wiped at once. */
static void detach(struct attached **link)
{
    struct attached *attached = *link;
    struct endpoint *endpoint = attached->endpoint;
    *link = attached->next;
    hmac_free(endpoint->key);
    endpoint->key = NULL;
    endpoint->source = NULL;
    endpoint_release(endpoint);
    free(attached);
}

static void open_store(struct outbox *outbox, struct outbox_store *store, struct moment moment)
{
    if (store->store != NULL || moment.now < store->open_due) {
        return;
    }
    const struct store_settings settings = {
        .path = store->path,
        .is_process_only = store->is_process_only,
        .lease_seconds = LEASE,
        .owner = outbox->owner,
    };
    store->store = store->driver->open(&settings, &store->problem);
    store->open_due = moment.now + OPEN_INTERVAL;
    store->idle_due = moment.now + IDLE_INTERVAL;
    for (struct outbox_source *source = store->sources; source != NULL; source = source->next) {
        use_store(source);
    }
}

/* ---- in ---- */

bool outbox_wants(const struct request *request)
{
    bool is_stored = request->endpoint->settings.outbox.driver != NULL && !request->ephemeral &&
                     request->verb == REQUEST_SEND;
    return is_stored || request->verb == REQUEST_COMMAND;
}

static void put_last(struct request ***last, struct request *request)
{
    request->next = NULL;
    **last = request;
    *last = &request->next;
}

/* Another endpoint of the source goes on, if there is one. */
static void detach_endpoint(struct outbox_source *source, const struct endpoint *endpoint,
                            struct moment moment)
{
    for (struct attached **link = &source->attached; *link != NULL;) {
        if ((*link)->endpoint == endpoint) {
            detach(link);
        } else {
            link = &(*link)->next;
        }
    }
    struct endpoint *heir = source->attached != NULL ? source->attached->endpoint : NULL;
    if (source->deliverer.endpoint != heir) {
        deliverer_use(&source->deliverer, heir, moment);
    }
}

static void leave(struct outbox_source *source, struct request *request, struct moment moment)
{
    detach_endpoint(source, request->endpoint, moment);
    request->next = source->leaving;
    source->leaving = request;
}

static void accept_command(struct outbox *outbox, struct outbox_source *source,
                           struct request *request, struct moment moment)
{
    switch (request->command->kind) {
    case COMMAND_BEGIN: hand_out(outbox, request); break;
    case COMMAND_LEAVE: leave(source, request, moment); break;
    default: put_last(&source->asking_last, request); break;
    }
}

void outbox_accept(struct outbox *outbox, struct request *request, struct moment moment)
{
    struct endpoint *endpoint = request->endpoint;
    bool leaves = request->verb == REQUEST_COMMAND && request->command->kind == COMMAND_LEAVE;
    if (leaves && endpoint->source == NULL) {
        hand_out(outbox, request);
    } else if (!attach(outbox, endpoint, moment)) {
        hand_back(outbox, request, endpoint->key != NULL ? FAILURE_NO_MEMORY : FAILURE_CLOSED,
                  NULL);
    } else if (request->verb == REQUEST_COMMAND) {
        accept_command(outbox, endpoint->source, request, moment);
    } else {
        put_last(&endpoint->source->waiting_last, request);
    }
}

static void cancel_of(struct outbox_source *source, const struct endpoint *endpoint)
{
    struct request *request = source->waiting;
    source->waiting = NULL;
    source->waiting_last = &source->waiting;
    while (request != NULL) {
        struct request *next = request->next;
        if (request->endpoint == endpoint || endpoint == NULL) {
            hand_back(source->outbox, request, FAILURE_CLOSED, NULL);
        } else {
            put_last(&source->waiting_last, request);
        }
        request = next;
    }
}

/* Those that wait for what cannot come any more. */
static void release_leaving(struct outbox_source *source, const struct endpoint *endpoint)
{
    for (struct request **link = &source->leaving; *link != NULL;) {
        struct request *request = *link;
        if (request->endpoint == endpoint || endpoint == NULL) {
            *link = request->next;
            hand_out(source->outbox, request);
        } else {
            link = &request->next;
        }
    }
}

void outbox_cancel(struct outbox *outbox, struct endpoint *endpoint, struct moment moment)
{
    (void)outbox;
    struct outbox_source *source = endpoint->source;
    if (source != NULL) {
        cancel_of(source, endpoint);
        detach_endpoint(source, endpoint, moment);
    }
}

/* ---- appending ---- */

/* The encoder writes it first: {"action":"messages.create", and no quote is in it. */
static void copy_action(const struct request *request, const char *body, char action[ACTION])
{
    static const char begin[] = "{\"action\":\"";
    size_t start = sizeof begin - 1;
    size_t length = 0;
    if (request->length > start && memcmp(body, begin, start) == 0) {
        while (start + length < request->length && length < ACTION - 1 &&
               body[start + length] != '"') {
            length++;
        }
        memcpy(action, body + start, length);
    }
    action[length] = '\0';
}

static struct store_row row_of(struct request *request, char action[ACTION], double wall)
{
    copy_action(request, request_body(request), action);
    return (struct store_row){
        .lane = request_lane(request),
        .lane_length = request->lane_length,
        .body = request_body(request),
        .length = request->length,
        .time = wall,
        .action = action,
    };
}

struct batch {
    struct store_row rows[OUTBOX_BATCH];
    struct request *requests[OUTBOX_BATCH];
    char actions[OUTBOX_BATCH][ACTION];
};

/* What goes into one transaction. */
static size_t take_batch(struct outbox_source *source, struct batch *batch, double wall)
{
    size_t count = 0;
    size_t bytes = 0;
    while (source->waiting != NULL && count < OUTBOX_BATCH && bytes < OUTBOX_BATCH_BYTES) {
        struct request *request = source->waiting;
        source->waiting = request->next;
        bytes += request->length;
        batch->requests[count] = request;
        batch->rows[count] = row_of(request, batch->actions[count], wall);
        count++;
    }
    if (source->waiting == NULL) {
        source->waiting_last = &source->waiting;
    }
    return count;
}

static bool write_batch(const struct outbox_source *source, struct store_row *rows, size_t count,
                        struct store_problem *problem)
{
    const struct outbox_store *store = source->store;
    if (store->store == NULL) {
        *problem = store->problem;
        return false;
    }
    return store->driver->append(store->store, source->name, rows, count, problem);
}

static void append_batch(struct outbox_source *source, struct moment moment)
{
    struct batch batch;
    struct store_problem problem;
    size_t count = take_batch(source, &batch, moment.wall);
    bool is_stored = count > 0 && write_batch(source, batch.rows, count, &problem);
    for (size_t i = 0; i < count; i++) {
        struct request *request = batch.requests[i];
        if (is_stored) {
            request->is_stored = true;
            request->outcome.seconds = moment.now - request->submitted;
            hand_out(source->outbox, request);
        } else {
            fail_to_store(source->outbox, request, &problem);
        }
    }
    if (is_stored) {
        source->figures.accepted += count;
        source->figures.pending += count;
        deliverer_hear(&source->deliverer);
    }
}

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
    figures->dead = found->dead;
}

/* Where nothing was done since the figures were right, nothing is asked. */
static void count_rows(struct outbox_source *source, double now)
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

static void count_ends(struct outbox_source *source)
{
    struct deliverer_counts *counts = &source->deliverer.counts;
    struct endpoint_figures *figures = &source->figures;
    uint64_t ended = counts->delivered + counts->died;
    figures->accepted += minus(ended, figures->pending); /* others appended them */
    figures->pending = minus(figures->pending, ended);
    figures->delivered += counts->delivered;
    figures->dead += counts->died;
    *counts = (struct deliverer_counts){0};
    figures->is_paused = source->deliverer.is_paused;
    figures->is_deliverer = source->deliverer.is_holder;
}

static void publish_figures(struct outbox_source *source)
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

static void run_commands(struct outbox_source *source)
{
    struct store_problem problem;
    while (source->asking != NULL) {
        struct request *request = source->asking;
        source->asking = request->next;
        if (run_command(source, request->command, &problem)) {
            hand_out(source->outbox, request);
        } else {
            fail_to_store(source->outbox, request, &problem);
        }
    }
    source->asking_last = &source->asking;
}

static void let_leave(struct outbox_source *source)
{
    while (source->leaving != NULL &&
           (!source->deliverer.draining || source->deliverer.store == NULL)) {
        struct request *request = source->leaving;
        source->leaving = request->next;
        hand_out(source->outbox, request);
    }
}

/* ---- stepping ---- */

/* What is asked is answered by the state after what was submitted before it. */
static void step_source(struct outbox_source *source, struct moment moment)
{
    count_rows(source, moment.now);
    append_batch(source, moment);
    deliverer_step(&source->deliverer, moment);
    count_ends(source);
    if (source->waiting == NULL) {
        run_commands(source);
    }
    publish_figures(source);
    let_leave(source);
}

static bool is_over(const struct outbox_source *source)
{
    return source->attached == NULL && source->waiting == NULL && source->asking == NULL &&
           source->leaving == NULL && source->deliverer.rows == 0;
}

static void free_source(struct outbox_source *source, struct moment moment)
{
    deliverer_close(&source->deliverer, moment);
    free(source->name);
    free(source);
}

static void sweep_sources(struct outbox_store *store, struct moment moment)
{
    for (struct outbox_source **link = &store->sources; *link != NULL;) {
        struct outbox_source *source = *link;
        if (is_over(source)) {
            *link = source->next;
            free_source(source, moment);
        } else {
            link = &source->next;
        }
    }
}

static void free_store(struct outbox_store *store)
{
    if (store->store != NULL) {
        store->driver->close(store->store);
    }
    free(store->path);
    free(store);
}

static void sweep_stores(struct outbox *outbox, struct moment moment)
{
    for (struct outbox_store **link = &outbox->stores; *link != NULL;) {
        struct outbox_store *store = *link;
        sweep_sources(store, moment);
        if (store->sources == NULL) {
            *link = store->next;
            free_store(store);
        } else {
            link = &store->next;
        }
    }
}

static void be_idle(struct outbox_store *store, double now)
{
    if (store->store == NULL || now < store->idle_due) {
        return;
    }
    for (const struct outbox_source *source = store->sources; source != NULL;
         source = source->next) {
        if (source->waiting != NULL || !deliverer_is_bored(&source->deliverer)) {
            return;
        }
    }
    store->idle_due = now + IDLE_INTERVAL;
    store->driver->idle(store->store);
}

static void step_store(struct outbox *outbox, struct outbox_store *store, struct moment moment)
{
    open_store(outbox, store, moment);
    for (struct outbox_source *source = store->sources; source != NULL; source = source->next) {
        step_source(source, moment);
    }
    be_idle(store, moment.now);
}

static void take_back(struct outbox *outbox, struct moment moment)
{
    for (struct request *request = scheduler_returned(outbox->scheduler); request != NULL;) {
        struct request *next = request->next;
        deliverer_take_back(request, moment);
        request = next;
    }
}

void outbox_step(struct outbox *outbox, struct moment moment)
{
    take_back(outbox, moment);
    for (struct outbox_store *store = outbox->stores; store != NULL; store = store->next) {
        step_store(outbox, store, moment);
    }
    sweep_stores(outbox, moment);
}

static double source_idle(const struct outbox_source *source, double now, double most)
{
    bool is_due = source->waiting != NULL || source->asking != NULL;
    return is_due ? 0 : deliverer_idle(&source->deliverer, now, most);
}

double outbox_idle(const struct outbox *outbox, double now, double most)
{
    if (outbox->scheduler->returned != NULL || outbox->finished != NULL) {
        return 0;
    }
    for (const struct outbox_store *store = outbox->stores; store != NULL; store = store->next) {
        double due = store->store == NULL ? store->open_due : now + IDLE_INTERVAL;
        double left = due > now ? due - now : 0;
        most = left < most ? left : most;
        for (const struct outbox_source *source = store->sources; source != NULL;
             source = source->next) {
            most = source_idle(source, now, most);
        }
    }
    return most;
}

bool outbox_is_empty(const struct outbox *outbox)
{
    return outbox->stores == NULL && outbox->scheduler->returned == NULL;
}

/* ---- the end ---- */

static void close_source(struct outbox_source *source, struct moment moment)
{
    cancel_of(source, NULL);
    run_commands(source);
    release_leaving(source, NULL);
    while (source->attached != NULL) {
        detach(&source->attached);
    }
    free_source(source, moment);
}

void outbox_close(struct outbox *outbox, struct moment moment)
{
    take_back(outbox, moment);
    while (outbox->stores != NULL) {
        struct outbox_store *store = outbox->stores;
        outbox->stores = store->next;
        while (store->sources != NULL) {
            struct outbox_source *source = store->sources;
            store->sources = source->next;
            close_source(source, moment);
        }
        free_store(store);
    }
}

void outbox_abandon(struct outbox *outbox)
{
    for (struct outbox_store *store = outbox->stores; store != NULL; store = store->next) {
        if (store->store != NULL) {
            store->driver->abandon(store->store);
        }
    }
    outbox->stores = NULL;
}
