#ifndef SENDAPI_OUTBOX_SOURCE_H
#define SENDAPI_OUTBOX_SOURCE_H

/*
 * The stores of an outbox (outbox.h), the sources in each, and the endpoints that deliver them. For
 * the outbox's own files; belongs to the I/O thread, as all of it.
 */

#include "outbox.h"

SENDAPI_HIDDEN_BEGIN

enum {
    OUTBOX_IDLE = 1,     /* seconds between two calls of a store's `idle` */
    OUTBOX_WARNINGS = 8, /* sentences that are remembered, not to be said again */
};

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
    bool is_troubled; /* and was told so */
    uint32_t warned[OUTBOX_WARNINGS];
    size_t warnings;
    double open_due;
    double idle_due;
    struct outbox_source *sources;
};

/*
 * The endpoint delivers its source from now on; its store and its source are made when they are not
 * there. False without memory, or once the endpoint has left.
 */
bool outbox_attach(struct outbox *outbox, struct endpoint *endpoint, struct moment moment);

/* Undoes it; another endpoint of the source goes on, if there is one. */
void outbox_detach_endpoint(struct outbox_source *source, const struct endpoint *endpoint,
                            struct moment moment);

/* The same for all endpoints of a source that is about to be freed. */
void outbox_detach_all(struct outbox_source *source);

/* Opens a store that is not open, when that is due. */
void outbox_open_store(struct outbox *outbox, struct outbox_store *store, struct moment moment);

/* Frees the sources that have nothing to do any more, and the stores without any. */
void outbox_sweep_stores(struct outbox *outbox, struct moment moment);

/* Free what was unlinked: a source that nothing waits in, a store without sources. */
void outbox_free_source(struct outbox_source *source, struct moment moment);
void outbox_free_store(struct outbox_store *store);

SENDAPI_HIDDEN_END

#endif
