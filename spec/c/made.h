#ifndef SENDAPI_MADE_H
#define SENDAPI_MADE_H

/* Endpoints and requests for the tests of what never sends them. */

#include <stdint.h> /* SIZE_MAX */
#include <stdlib.h> /* abort(3) */
#include <string.h> /* strlen(3) */

#include "request.h"

static inline struct endpoint *made_endpoint(size_t connections)
{
    struct endpoint *endpoint = endpoint_new(&(struct endpoint_settings){
        .url = "http://127.0.0.1/",
        .connections = connections,
        .max_pending = SIZE_MAX,
        .max_pending_bytes = SIZE_MAX,
        .policy = {.attempts = 4, .first = 1, .longest = 8},
    });
    if (endpoint == NULL) {
        abort();
    }
    return endpoint;
}

static inline struct request *made_request(struct endpoint *endpoint, const char *lane,
                                           uint64_t ticket)
{
    struct buffer buffer;
    buffer_init(&buffer, REQUEST_FRONT, 10);
    buffer_append(&buffer, "{}", 2);
    struct request *request = request_from_buffer(&buffer, endpoint, lane, strlen(lane));
    if (request == NULL) {
        abort();
    }
    request->ticket = ticket;
    return request;
}

#endif
