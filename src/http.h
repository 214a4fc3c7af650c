#ifndef SENDAPI_HTTP_H
#define SENDAPI_HTTP_H

/*
 * One blocking HTTP exchange by libcurl: http and https only, TLS verified, HTTP/1.1, no redirect,
 * no proxy, no cookie, no connection kept. For tools and tests; a client's requests go through the
 * engine.
 *
 * Threads: any, each with a request and an answer of its own. SIGPIPE is blocked in the thread
 * meanwhile, and one that the exchange caused is swallowed. Times are seconds.
 */

#include <stdbool.h>
#include <stddef.h> /* size_t */

#include "buffer.h"
#include "visibility.h"

SENDAPI_HIDDEN_BEGIN

enum {
    HTTP_HEAD_MAXIMUM = 65536, /* bytes of all heads of an answer, the interim ones too */
    HTTP_REASON = 256,         /* bytes of a reason, its terminator among them */
};

/* Borrowed until http_exchange returns. */
struct http_request {
    const char *url;            /* without credentials */
    const char *method;         /* NULL: POST with a body, else GET */
    const char *body;           /* NULL: none */
    size_t body_length;         /* with a body: may be 0 */
    const char *const *headers; /* "Name: value" each; no type of the content unless one is here */
    size_t header_count;
    double timeout;      /* for all of it; above 0 */
    const char *ca_file; /* PEM; NULL: libcurl's own authorities */
    size_t limit;        /* bytes of an answer's body */
};

/* Valid until http_release; to be zeroed before its first use. */
struct http_answer {
    long status;
    struct buffer head; /* the last head's lines without the status line, names in lower case */
    struct buffer body;
    char reason[HTTP_REASON]; /* why there is none: a sentence, terminated */

    /* while it comes */
    size_t head_bytes;
    bool head_is_whole;
};

/* Within the head; not terminated. */
struct http_header {
    const char *name;
    size_t name_length;
    const char *value;
    size_t value_length;
};

/*
 * Asks, and waits for the whole answer. False, with a reason and nothing to read, when no whole
 * answer came, and when the request itself is none: a url of another scheme or with credentials,
 * a header that is no line of its own. To be released in either case.
 */
bool http_exchange(const struct http_request *request, struct http_answer *answer);

/* Frees what the answer holds. Twice is harmless, and so is a zeroed one. */
void http_release(struct http_answer *answer);

/* The header at `*position`, which begins with 0 and is moved on. False: there are no more. */
bool http_next_header(const struct http_answer *answer, size_t *position,
                      struct http_header *header);

SENDAPI_HIDDEN_END

#endif
