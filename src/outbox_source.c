#include "outbox_source.h"

#include <stdio.h>  /* snprintf(3) */
#include <stdlib.h> /* calloc(3) free(3) */
#include <string.h> /* strcmp(3) strdup(3) */

#include "outbox_notices.h"

static const double LEASE = 10.0;        /* seconds */
static const double OPEN_INTERVAL = 1.0; /* seconds until a store is tried again */

/* ---- making and finding ---- */

static bool is_store_of(const struct outbox_store *store, const struct endpoint_outbox *settings)
{
    return store->driver == settings->driver && strcmp(store->path, settings->path) == 0 &&
           store->is_process_only == settings->is_process_only;
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
    const struct deliverer_ears ears = outbox_ears(source);
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

/* ---- endpoints ---- */

bool outbox_attach(struct outbox *outbox, struct endpoint *endpoint, struct moment moment)
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

/* Its figures stay as they are from here on. */
static void resign(struct endpoint *endpoint)
{
    struct endpoint_figures figures = endpoint_figures(endpoint);
    figures.is_deliverer = false;
    endpoint_set_figures(endpoint, &figures);
}

/* What is on its way has its signature already: the key is wiped at once. */
static void detach(struct attached **link)
{
    struct attached *attached = *link;
    struct endpoint *endpoint = attached->endpoint;
    *link = attached->next;
    resign(endpoint);
    hmac_free(endpoint->key);
    endpoint->key = NULL;
    endpoint->source = NULL;
    endpoint_release(endpoint);
    free(attached);
}

void outbox_detach_endpoint(struct outbox_source *source, const struct endpoint *endpoint,
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

void outbox_detach_all(struct outbox_source *source)
{
    while (source->attached != NULL) {
        detach(&source->attached);
    }
    source->deliverer.endpoint = NULL;
}

/* ---- opening and freeing ---- */

static void hear_warning(void *context, const char *sentence)
{
    outbox_warn(context, sentence);
}

static void tell_whether_open(struct outbox_store *store)
{
    bool is_troubled = store->store == NULL;
    if (is_troubled && !store->is_troubled) {
        outbox_tell_closed(store);
    }
    store->is_troubled = is_troubled;
}

void outbox_open_store(struct outbox *outbox, struct outbox_store *store, struct moment moment)
{
    if (store->store != NULL || moment.now < store->open_due) {
        return;
    }
    char owner[sizeof outbox->owner + 2];
    (void)snprintf(owner, sizeof owner, "%s%s", outbox->owner, store->is_process_only ? "p" : "");
    const struct store_settings settings = {
        .path = store->path,
        .is_process_only = store->is_process_only,
        .lease_seconds = LEASE,
        .owner = owner,
        .warn = hear_warning,
        .warn_context = store,
    };
    store->store = store->driver->open(&settings, &store->problem);
    store->open_due = moment.now + OPEN_INTERVAL;
    store->idle_due = moment.now + OUTBOX_IDLE;
    tell_whether_open(store);
    for (struct outbox_source *source = store->sources; source != NULL; source = source->next) {
        use_store(source);
    }
}

static bool is_over(const struct outbox_source *source)
{
    return source->attached == NULL && source->waiting == NULL && source->asking == NULL &&
           source->leaving == NULL && source->deliverer.rows == 0;
}

void outbox_free_source(struct outbox_source *source, struct moment moment)
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
            outbox_free_source(source, moment);
        } else {
            link = &source->next;
        }
    }
}

void outbox_free_store(struct outbox_store *store)
{
    if (store->store != NULL) {
        store->driver->close(store->store);
    }
    free(store->path);
    free(store);
}

void outbox_sweep_stores(struct outbox *outbox, struct moment moment)
{
    for (struct outbox_store **link = &outbox->stores; *link != NULL;) {
        struct outbox_store *store = *link;
        sweep_sources(store, moment);
        if (store->sources == NULL) {
            *link = store->next;
            outbox_free_store(store);
        } else {
            link = &store->next;
        }
    }
}
