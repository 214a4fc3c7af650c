#ifndef SENDAPI_TRANSFER_H
#define SENDAPI_TRANSFER_H

/*
 * One libcurl easy handle, set up once and used again and again: it carries one request at a time
 * and says what became of it. Everything here belongs to the I/O thread.
 */

#include <stdbool.h>
#include <stddef.h> /* size_t */

#include <curl/curl.h>

#include "request.h"
#include "visibility.h"

SENDAPI_HIDDEN_BEGIN

struct transfer {
    struct transfer *next; /* the engine's lists of idle and of busy ones */
    struct transfer *previous;
    CURL *easy;
    CURLU *url;                         /* the endpoint's, parsed once */
    struct request *request;            /* owned while busy, else NULL */
    struct endpoint *endpoint;          /* what the handle is set up for; a reference, or NULL */
    struct curl_slist signature_header; /* links to the headers that never change */
    struct curl_slist *headers;
    char signature[sizeof "X-SMCCSDK-SIGNATURE: " + HMAC_HEX]; /* terminated, as it was made */
    struct buffer response;
    bool used; /* set up for an endpoint, perhaps in part */
    size_t header_bytes;
    bool head_is_whole; /* as far as the headers have come */
    char error[CURL_ERROR_SIZE];
};

/* NULL without memory. */
struct transfer *transfer_new(void);

/* Frees an idle transfer. NULL is harmless. */
void transfer_free(struct transfer *transfer);

/*
 * Takes the request and adds the handle to the multi handle; the exchange ends by the endpoint's
 * timeout and by the request's deadline. When that fails the request has its outcome, remains the
 * caller's, and false is returned.
 */
bool transfer_begin(struct transfer *transfer, CURLM *multi, struct request *request, double now);

/* Removes the handle, writes the outcome and gives the request back. The transfer is idle then. */
struct request *transfer_end(struct transfer *transfer, CURLM *multi, CURLcode result);

/* Removes the handle before its time: the outcome is FAILURE_CLOSED. */
struct request *transfer_cancel(struct transfer *transfer, CURLM *multi);

/* The transfer of a handle that the multi handle reports. */
struct transfer *transfer_of(CURL *easy);

SENDAPI_HIDDEN_END

#endif
