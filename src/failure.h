#ifndef SENDAPI_FAILURE_H
#define SENDAPI_FAILURE_H

/*
 * What can become of a call: the one table of codes, and which of them an HTTP answer means.
 *
 * A code is stable; its sentence is for people and may change. The class says what is at fault, and
 * so what a sender does next.
 */

#include <stddef.h> /* size_t */

#include "visibility.h"

SENDAPI_HIDDEN_BEGIN

enum failure_class {
    CLASS_NONE,      /* delivered */
    CLASS_TRANSIENT, /* the same bytes may succeed later */
    CLASS_THROTTLED, /* the source is too fast */
    CLASS_SOURCE,    /* the source or its configuration is at fault, not the message */
    CLASS_MESSAGE,   /* this message can never succeed */
    CLASS_LOCAL,     /* refused here: nothing was sent */
};

enum failure {
    FAILURE_NONE, /* delivered */

    /* what the server says: a row each of its error table, and what it is not known to say */
    FAILURE_BAD_REQUEST,
    FAILURE_INVALID_REQUEST_FORMAT,
    FAILURE_REQUEST_TOO_LARGE,
    FAILURE_SOURCE_NOT_FOUND,
    FAILURE_INVALID_SIGNATURE,
    FAILURE_INVALID_ACTION,
    FAILURE_INVALID_RESOURCE_FORMAT,
    FAILURE_STRUCTURED_CONTENTS_UNSUPPORTED,
    FAILURE_STRUCTURED_CONTENT_TYPE_MISSING,
    FAILURE_STRUCTURED_CONTENT_TYPE_UNSUPPORTED,
    FAILURE_STRUCTURED_CONTENT_ATTRIBUTE_EMPTY,
    FAILURE_AUTHOR_NOT_PUPPETIZABLE,
    FAILURE_TOO_MANY_TYPING_REQUESTS,
    FAILURE_REFUSED,
    FAILURE_THROTTLED,
    FAILURE_FORBIDDEN,
    FAILURE_REDIRECTED,
    FAILURE_SERVER_ERROR,
    FAILURE_UNEXPECTED_RESPONSE,

    /* what came back was no answer */
    FAILURE_RESPONSE_INVALID,
    FAILURE_RESPONSE_TOO_LARGE,
    FAILURE_CONNECTION_CLOSED,
    FAILURE_CONNECTION_REFUSED,
    FAILURE_CONNECTION_FAILED,
    FAILURE_NAME_NOT_RESOLVED,
    FAILURE_TIMEOUT,
    FAILURE_CERTIFICATE_UNTRUSTED,
    FAILURE_CERTIFICATE_EXPIRED,
    FAILURE_CERTIFICATE_WRONG_HOST,
    FAILURE_TLS_FAILED,

    /* what never left */
    FAILURE_INVALID_PARAMS,
    FAILURE_QUEUE_FULL,
    FAILURE_CLOSED,
    FAILURE_STALE,
    FAILURE_STORAGE,
    FAILURE_NO_MEMORY,

    FAILURE_COUNT,
};

struct failure_row {
    const char *code;         /* as Lua sees it */
    enum failure_class class; /* what it means unless the HTTP status says otherwise */
    const char *sentence;
};

/* The row of a failure; of FAILURE_NONE too. Never NULL. */
const struct failure_row *failure_row(enum failure failure);

/* "transient", "throttled", "source", "message", "local"; NULL for CLASS_NONE. */
const char *failure_class_name(enum failure_class class);

/*
 * What an answer means: 200 with the body `ok` is FAILURE_NONE. White space around the body does
 * not count, and a text that only begins like a row of the server's table is not that row.
 */
enum failure failure_of_answer(long status, const char *body, size_t length);

SENDAPI_HIDDEN_END

#endif
