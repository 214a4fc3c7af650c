#ifndef SENDAPI_REQUEST_H
#define SENDAPI_REQUEST_H

/*
 * A request on its way, and what became of it: one allocation, with the body behind the header.
 *
 * Exactly one side owns a request at any time, and only the owner touches it:
 *
 *     caller      from request_from_buffer until engine_submit
 *     I/O thread  until it is among the answers
 *     caller      from engine_take until request_free
 *
 * The queues (queue.h) hand it over; their locks order the memory.
 */

#include <stdbool.h>
#include <stddef.h> /* size_t */
#include <stdint.h> /* uint64_t */

#include "buffer.h"
#include "endpoint.h"
#include "failure.h"
#include "hmac.h"
#include "visibility.h"

SENDAPI_HIDDEN_BEGIN

enum {
    REQUEST_MAXIMUM = 20971520,  /* bytes of a body (the protocol, section 2) */
    RESPONSE_MAXIMUM = 65536,    /* bytes read of an answer */
    OUTCOME_BODY_MAXIMUM = 4096, /* bytes of it that are kept */
};

/* Set by the I/O thread, read by the caller afterwards. */
struct outcome {
    enum failure failure; /* FAILURE_NONE: delivered */
    long status;          /* HTTP, 0 without an answer */
    unsigned attempts;
    char *body; /* what the server said, at most OUTCOME_BODY_MAXIMUM; NULL: nothing,
                   or it was delivered */
    size_t body_length;
    char *reason; /* libcurl's words when there was no answer, terminated; or NULL */
};

struct request {
    struct request *next;         /* the link of whatever list the owner keeps it in */
    struct endpoint *endpoint;    /* a reference */
    uint64_t ticket;              /* the caller's name for it */
    size_t length;                /* bytes of the body */
    char signature[HMAC_HEX + 1]; /* terminated */
    struct outcome outcome;
};

/* The room that a buffer keeps at its front for the header. */
#define REQUEST_FRONT sizeof(struct request)

/*
 * Turns a buffer with REQUEST_FRONT into a request, without copying the body, and retains the
 * endpoint. Returns NULL, and leaves the buffer as it is, when the buffer failed or is empty.
 */
struct request *request_from_buffer(struct buffer *buffer, struct endpoint *endpoint);

/* Frees the request, its outcome's texts and its reference. NULL is harmless. */
void request_free(struct request *request);

static inline char *request_body(struct request *request)
{
    return (char *)(request + 1);
}

SENDAPI_HIDDEN_END

#endif
