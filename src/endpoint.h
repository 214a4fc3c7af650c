#ifndef SENDAPI_ENDPOINT_H
#define SENDAPI_ENDPOINT_H

/*
 * Where a client's requests go, and how: fixed when the client is made.
 *
 * Ownership: counted. The client holds one reference, each request another; whoever drops the last
 * frees it. Threads: the settings never change, so any thread may read them; the counters are
 * atomic; what is marked so belongs to the I/O thread alone.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h> /* size_t */

#include "visibility.h"

SENDAPI_HIDDEN_BEGIN

struct request;

struct endpoint_settings {
    const char *url; /* whole, with the source id */
    const char *user_agent;
    const char *ca_file;      /* NULL: libcurl's own authorities */
    const char *proxy;        /* NULL: none, whatever the environment says */
    long timeout_ms;          /* for the whole exchange */
    long connect_timeout_ms;  /* for name, connection and TLS together */
    size_t connections;       /* requests on their way at once; 0 counts as 1 */
    size_t max_pending;       /* requests accepted and not answered yet */
    size_t max_pending_bytes; /* their bodies */
    bool http2;               /* let the server choose HTTP/2 over TLS */
};

struct endpoint {
    struct endpoint_settings settings; /* its texts are owned here */
    atomic_size_t references;
    atomic_size_t pending;
    atomic_size_t pending_bytes;

    /* the I/O thread's own */
    size_t active;         /* requests on their way */
    struct request *first; /* requests that wait for a connection, in order */
    struct request **last;
};

/* Copies the settings. NULL without memory. The caller holds the one reference. */
struct endpoint *endpoint_new(const struct endpoint_settings *settings);

void endpoint_retain(struct endpoint *endpoint);

/* NULL is harmless. */
void endpoint_release(struct endpoint *endpoint);

/* Counts a request in, or returns false when max_pending or max_pending_bytes would be passed. */
bool endpoint_admit(struct endpoint *endpoint, size_t bytes);

/* Counts out what endpoint_admit counted in. */
void endpoint_dismiss(struct endpoint *endpoint, size_t bytes);

SENDAPI_HIDDEN_END

#endif
