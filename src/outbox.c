#include "outbox.h"

#include <stdio.h> /* snprintf(3) */

#include <openssl/rand.h> /* RAND_bytes(3) */

#include "outbox_append.h"
#include "outbox_commands.h"
#include "outbox_notices.h"
#include "outbox_source.h"

void outbox_init(struct outbox *outbox, struct scheduler *scheduler, uint64_t seed)
{
    uint64_t chance[2] = {seed, seed};
    (void)RAND_bytes((unsigned char *)chance, sizeof chance);
    *outbox = (struct outbox){.scheduler = scheduler};
    outbox->finished_last = &outbox->finished;
    (void)snprintf(outbox->owner, sizeof outbox->owner, "%016llx%016llx",
                   (unsigned long long)chance[0], (unsigned long long)chance[1]);
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

static void leave(struct outbox_source *source, struct request *request, struct moment moment)
{
    outbox_detach_endpoint(source, request->endpoint, moment);
    request->next = source->leaving;
    source->leaving = request;
}

static void accept_command(struct outbox *outbox, struct outbox_source *source,
                           struct request *request, struct moment moment)
{
    switch (request->command->kind) {
    case COMMAND_BEGIN: outbox_hand_out(outbox, request); break;
    case COMMAND_LEAVE: leave(source, request, moment); break;
    case COMMAND_ABANDON:
        outbox_detach_endpoint(source, request->endpoint, moment);
        outbox_hand_out(outbox, request);
        break;
    default: put_last(&source->asking_last, request); break;
    }
}

static bool leaves_outbox(const struct request *request)
{
    return request->verb == REQUEST_COMMAND &&
           (request->command->kind == COMMAND_LEAVE || request->command->kind == COMMAND_ABANDON);
}

void outbox_accept(struct outbox *outbox, struct request *request, struct moment moment)
{
    struct endpoint *endpoint = request->endpoint;
    if (leaves_outbox(request) && endpoint->source == NULL) {
        outbox_hand_out(outbox, request);
    } else if (!outbox_attach(outbox, endpoint, moment)) {
        outbox_hand_back(outbox, request,
                         endpoint->key != NULL ? FAILURE_NO_MEMORY : FAILURE_CLOSED, NULL);
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
            outbox_hand_back(source->outbox, request, FAILURE_CLOSED, NULL);
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
            outbox_hand_out(source->outbox, request);
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
        outbox_detach_endpoint(source, endpoint, moment);
    }
}

/* ---- stepping ---- */

static void let_leave(struct outbox_source *source)
{
    while (source->leaving != NULL &&
           (!source->deliverer.draining || source->deliverer.store == NULL)) {
        struct request *request = source->leaving;
        source->leaving = request->next;
        outbox_hand_out(source->outbox, request);
    }
}

/* What is asked is answered by the state after what was submitted before it. */
static void step_source(struct outbox_source *source, struct moment moment)
{
    outbox_count_rows(source, moment.now);
    outbox_append(source, moment);
    deliverer_step(&source->deliverer, moment);
    outbox_count_ends(source);
    if (source->waiting == NULL) {
        outbox_run_commands(source, false);
    }
    outbox_publish_figures(source);
    let_leave(source);
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
    store->idle_due = now + OUTBOX_IDLE;
    store->driver->idle(store->store);
}

static void step_store(struct outbox *outbox, struct outbox_store *store, struct moment moment)
{
    outbox_open_store(outbox, store, moment);
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

static bool has_lease_run_out(const struct outbox *outbox, double now)
{
    bool has_one = false;
    for (const struct outbox_store *store = outbox->stores; store != NULL; store = store->next) {
        for (const struct outbox_source *source = store->sources; source != NULL;
             source = source->next) {
            has_one = has_one || deliverer_has_run_out(&source->deliverer, now);
        }
    }
    return has_one;
}

bool outbox_is_pressing(const struct outbox *outbox, double now)
{
    const struct request *request = outbox->scheduler->returned;
    while (request != NULL && request->outcome.failure == FAILURE_NONE) {
        request = request->next;
    }
    return request != NULL || has_lease_run_out(outbox, now);
}

void outbox_step(struct outbox *outbox, struct moment moment)
{
    take_back(outbox, moment);
    for (struct outbox_store *store = outbox->stores; store != NULL; store = store->next) {
        step_store(outbox, store, moment);
    }
    outbox_sweep_stores(outbox, moment);
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
        double due = store->store == NULL ? store->open_due : now + OUTBOX_IDLE;
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
    outbox_run_commands(source, true);
    release_leaving(source, NULL);
    outbox_detach_all(source);
    outbox_free_source(source, moment);
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
        outbox_free_store(store);
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
