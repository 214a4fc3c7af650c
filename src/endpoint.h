#ifndef SENDAPI_ENDPOINT_H
#define SENDAPI_ENDPOINT_H

/*
 * Where a client's requests go, and how: fixed when the client is made; and the client's figures.
 *
 * Ownership: counted. The client holds one reference, each request another; whoever drops the last
 * frees it. Threads: the settings never change, so any thread may read them; what is atomic may be
 * touched by any; the rest belongs to the side that is named.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h> /* size_t */
#include <stdint.h> /* uint64_t */

#include "histogram.h"
#include "retry.h"
#include "visibility.h"

SENDAPI_HIDDEN_BEGIN

struct hmac;
struct outbox_source;
struct request;
struct store_driver;

/* Where accepted requests are kept until they are delivered (outbox.h). */
struct endpoint_outbox {
    const struct store_driver *driver; /* NULL: there is none */
    const char *path;
    const char *source;     /* the source's id */
    const struct hmac *key; /* signs at sending; copied */
    bool is_process_only;   /* as in store.h */
};

struct endpoint_settings {
    const char *url; /* whole, with the source id */
    const char *user_agent;
    const char *ca_file;      /* NULL: libcurl's own authorities */
    const char *proxy;        /* NULL: none, whatever the environment says */
    double timeout;           /* seconds for one exchange */
    double connect_timeout;   /* seconds for name, connection and TLS together */
    size_t connections;       /* requests on their way at once; 0 counts as 1 */
    size_t max_pending;       /* requests accepted and not answered yet */
    size_t max_pending_bytes; /* their bodies */
    uint64_t tag;             /* the caller's name for it */
    bool http2;               /* let the server choose HTTP/2 over TLS */
    bool asks; /* the caller decides about every failed attempt (request.h: question); a request
                  whose deadline passes between attempts, or before the first, ends without one */
    struct retry_policy policy; /* else this does */
    struct endpoint_outbox outbox;
};

/*
 * What became of the accepted requests: accepted = delivered + stored + refused + failed + pending.
 * What the outbox does with what is stored is counted there (outbox.h).
 */
struct endpoint_counters {
    uint64_t accepted;
    uint64_t delivered;
    uint64_t stored;  /* durable in the outbox */
    uint64_t refused; /* the server answered and said no */
    uint64_t failed;  /* everything else */
    uint64_t bytes;   /* of the accepted bodies */
    struct histogram latency;
};

/*
 * What became of what is in the outbox, of all the source's clients and processes as far as it is
 * known here: accepted = delivered + discarded + dead + pending. What there was at the beginning
 * counts as accepted; what others appended meanwhile is counted when it is seen, and what they
 * delivered or discarded as delivered.
 */
struct endpoint_figures {
    uint64_t accepted;
    uint64_t delivered;
    uint64_t discarded;
    uint64_t dead;
    uint64_t pending;
    double oldest;     /* when the oldest pending row was accepted, since 1970; 0: there is none */
    bool is_paused;    /* for a fault of the source */
    bool is_failing;   /* no server was found well when it was last tried; or the store fails */
    bool is_deliverer; /* no other process delivers it now; not once the endpoint has left */
};

/* Requests in order, linked by next and previous. */
struct request_list {
    struct request *first;
    struct request *last;
};

struct endpoint {
    struct endpoint_settings settings; /* its texts are owned here */
    atomic_size_t references;
    atomic_uint_least64_t retries;
    atomic_size_t notices; /* of the outbox, on their way to the caller */

    /* the caller's own */
    size_t pending;
    size_t pending_bytes;
    size_t asked; /* of the outbox, and not answered yet; to begin or abandon is not counted */
    struct endpoint_counters counters;

    /* the scheduler's own */
    size_t active;                 /* requests on their way */
    struct request_list ready;     /* requests that wait for a connection */
    struct request_list again;     /* the same, of those that have failed before */
    struct request_list ephemeral; /* the same; they go when no other does */
    struct retry_bucket bucket;
    enum failure trouble;   /* what its last attempt came to; FAILURE_NONE: it is well */
    enum failure paused_by; /* what the bucket's not_before is for */
    struct endpoint *next;  /* among those with something ready */
    bool listed;

    pthread_mutex_t lock;            /* for: */
    struct endpoint_figures figures; /* as of the outbox's last step */

    /* the outbox's own */
    struct hmac *key;             /* wiped by the last outbox_leave, or with the endpoint */
    struct outbox_source *source; /* NULL: it is not attached */
};

/* Copies the settings. NULL without memory. The caller holds the one reference. */
struct endpoint *endpoint_new(const struct endpoint_settings *settings);

void endpoint_retain(struct endpoint *endpoint);

/* NULL is harmless. */
void endpoint_release(struct endpoint *endpoint);

/* Counts a request in, or returns false when max_pending or max_pending_bytes would be passed. */
bool endpoint_admit(struct endpoint *endpoint, size_t bytes);

/* Takes back an endpoint_admit whose request could not be submitted. */
void endpoint_withdraw(struct endpoint *endpoint, size_t bytes);

/* The outbox's figures, all of one moment. Any thread. */
void endpoint_set_figures(struct endpoint *endpoint, const struct endpoint_figures *figures);
struct endpoint_figures endpoint_figures(struct endpoint *endpoint);

/* Counts out a request, by its outcome. */
void endpoint_dismiss(struct endpoint *endpoint, const struct request *request);

SENDAPI_HIDDEN_END

#endif
