#include "failure.h"

#include <stdbool.h>
#include <string.h> /* memcmp(3) strlen(3) */

static const struct failure_row rows[FAILURE_COUNT] = {
    [FAILURE_NONE] = {"ok", CLASS_NONE, "delivered"},
    [FAILURE_BAD_REQUEST] = {"bad_request", CLASS_MESSAGE,
                             "the server could not read the request as JSON"},
    [FAILURE_INVALID_REQUEST_FORMAT] = {"invalid_request_format", CLASS_MESSAGE,
                                        "the server found the request malformed"},
    [FAILURE_REQUEST_TOO_LARGE] = {"request_too_large", CLASS_MESSAGE,
                                   "the request is larger than 20971520 bytes"},
    [FAILURE_SOURCE_NOT_FOUND] = {"source_not_found", CLASS_SOURCE,
                                  "the server does not know this source id"},
    [FAILURE_INVALID_SIGNATURE] =
        {"invalid_signature", CLASS_SOURCE,
         "the server does not accept the signature: is this the source's access token?"},
    [FAILURE_INVALID_ACTION] = {"invalid_action", CLASS_MESSAGE,
                                "the source does not implement this action"},
    [FAILURE_INVALID_RESOURCE_FORMAT] = {"invalid_resource_format", CLASS_MESSAGE,
                                         "the server misses a required field"},
    [FAILURE_STRUCTURED_CONTENTS_UNSUPPORTED] =
        {"structured_contents_unsupported", CLASS_MESSAGE,
         "the source lacks the option view.messaging, which structured contents need"},
    [FAILURE_STRUCTURED_CONTENT_TYPE_MISSING] = {"structured_content_type_missing", CLASS_MESSAGE,
                                                 "the structured content has no type"},
    [FAILURE_STRUCTURED_CONTENT_TYPE_UNSUPPORTED] =
        {"structured_content_type_unsupported", CLASS_MESSAGE,
         "the source does not support this type of structured content"},
    [FAILURE_STRUCTURED_CONTENT_ATTRIBUTE_EMPTY] =
        {"structured_content_attribute_empty", CLASS_MESSAGE,
         "a mandatory attribute of the structured content is empty"},
    [FAILURE_AUTHOR_NOT_PUPPETIZABLE] = {"author_not_puppetizable", CLASS_MESSAGE,
                                         "the author of a structured content must be puppetizable"},
    [FAILURE_TOO_MANY_TYPING_REQUESTS] =
        {"too_many_typing_requests", CLASS_THROTTLED,
         "the thread had a typing.start less than two seconds ago"},
    [FAILURE_REFUSED] = {"refused", CLASS_MESSAGE, "the server refused the message"},
    [FAILURE_THROTTLED] = {"throttled", CLASS_THROTTLED, "the server asks for fewer requests"},
    [FAILURE_FORBIDDEN] = {"forbidden", CLASS_SOURCE, "the server does not let this source in"},
    [FAILURE_REDIRECTED] = {"redirected", CLASS_SOURCE,
                            "the server redirects, which is never followed: is the domain right?"},
    [FAILURE_SERVER_ERROR] = {"server_error", CLASS_TRANSIENT, "the server failed"},
    [FAILURE_UNEXPECTED_RESPONSE] =
        {"unexpected_response", CLASS_TRANSIENT,
         "the server answered something that the protocol does not know"},
    [FAILURE_RESPONSE_INVALID] = {"response_invalid", CLASS_TRANSIENT,
                                  "what came back is not HTTP"},
    [FAILURE_RESPONSE_TOO_LARGE] = {"response_too_large", CLASS_TRANSIENT,
                                    "the answer is larger than 65536 bytes"},
    [FAILURE_CONNECTION_CLOSED] = {"connection_closed", CLASS_TRANSIENT,
                                   "the connection ended before the answer was whole"},
    [FAILURE_CONNECTION_REFUSED] = {"connection_refused", CLASS_TRANSIENT, "nothing listens there"},
    [FAILURE_CONNECTION_FAILED] = {"connection_failed", CLASS_TRANSIENT,
                                   "no connection could be made"},
    [FAILURE_NAME_NOT_RESOLVED] = {"name_not_resolved", CLASS_TRANSIENT,
                                   "the server's name could not be resolved"},
    [FAILURE_TIMEOUT] = {"timeout", CLASS_TRANSIENT, "no whole answer came in time"},
    [FAILURE_CERTIFICATE_UNTRUSTED] = {"certificate_untrusted", CLASS_SOURCE,
                                       "the server's certificate is signed by nobody we trust: the "
                                       "option ca_file names further authorities"},
    [FAILURE_CERTIFICATE_EXPIRED] = {"certificate_expired", CLASS_SOURCE,
                                     "the server's certificate is not valid at this time"},
    [FAILURE_CERTIFICATE_WRONG_HOST] = {"certificate_wrong_host", CLASS_SOURCE,
                                        "the server's certificate is for another name"},
    [FAILURE_TLS_FAILED] = {"tls_failed", CLASS_TRANSIENT, "no TLS session could be made"},
    [FAILURE_INVALID_PARAMS] = {"invalid_params", CLASS_LOCAL,
                                "the params are not what the action takes"},
    [FAILURE_QUEUE_FULL] = {"queue_full", CLASS_LOCAL,
                            "max_pending or max_pending_bytes is reached"},
    [FAILURE_CLOSED] = {"closed", CLASS_LOCAL, "the client was closed"},
    [FAILURE_STALE] = {"stale", CLASS_LOCAL,
                       "typing that could not be sent at once is not sent late"},
    [FAILURE_STORAGE] = {"storage", CLASS_LOCAL, "the outbox could not store it"},
    [FAILURE_NO_MEMORY] = {"no_memory", CLASS_LOCAL, "not enough memory"},
};

/* The server's texts, each with the status it comes with. */
static const struct {
    long status;
    enum failure failure;
    const char *text;
} texts[] = {
    {400, FAILURE_BAD_REQUEST, "Bad request"},
    {400, FAILURE_INVALID_REQUEST_FORMAT, "Invalid request format"},
    {413, FAILURE_REQUEST_TOO_LARGE, "Invalid request size (max: 20971520 bytes)"},
    {422, FAILURE_SOURCE_NOT_FOUND, "Source not found"},
    {422, FAILURE_INVALID_SIGNATURE, "Invalid signature"},
    {422, FAILURE_INVALID_ACTION, "Invalid action"},
    {422, FAILURE_INVALID_RESOURCE_FORMAT, "Invalid resource format"},
    {422, FAILURE_STRUCTURED_CONTENTS_UNSUPPORTED, "Source doesn't support structured contents"},
    {422, FAILURE_STRUCTURED_CONTENT_TYPE_MISSING, "Type is required for structured contents"},
    {422, FAILURE_STRUCTURED_CONTENT_TYPE_UNSUPPORTED,
     "Source doesn't support this type of structured content"},
    {422, FAILURE_AUTHOR_NOT_PUPPETIZABLE, "The author must be puppetizable"},
    {429, FAILURE_TOO_MANY_TYPING_REQUESTS,
     "too many typing requests, please try again in a few seconds"},
};

const struct failure_row *failure_row(enum failure failure)
{
    return &rows[failure];
}

const char *failure_class_name(enum failure_class class)
{
    static const char *const names[] = {NULL,     "transient", "throttled",
                                        "source", "message",   "local"};
    return names[class];
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static void trim(const char **text, size_t *length)
{
    while (*length > 0 && is_space((*text)[*length - 1])) {
        (*length)--;
    }
    while (*length > 0 && is_space(**text)) {
        (*text)++;
        (*length)--;
    }
}

static bool equals(const char *text, size_t length, const char *other)
{
    return length == strlen(other) && memcmp(text, other, length) == 0;
}

/* `structured_content`: "attribute_name" must not be empty; with or without the back quotes. */
static bool is_empty_attribute(const char *text, size_t length)
{
    static const char end[] = "must not be empty";
    static const char begin[] = "structured_content";
    size_t end_length = sizeof end - 1;
    size_t begin_length = sizeof begin - 1;
    size_t quote = length > 0 && text[0] == '`';
    return length > quote + begin_length + end_length &&
           memcmp(text + quote, begin, begin_length) == 0 &&
           memcmp(text + length - end_length, end, end_length) == 0;
}

static enum failure failure_of_text(long status, const char *text, size_t length)
{
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (texts[i].status == status && equals(text, length, texts[i].text)) {
            return texts[i].failure;
        }
    }
    if (status == 422 && is_empty_attribute(text, length)) {
        return FAILURE_STRUCTURED_CONTENT_ATTRIBUTE_EMPTY;
    }
    return FAILURE_NONE;
}

static enum failure failure_of_status(long status)
{
    switch (status) {
    case 400: return FAILURE_BAD_REQUEST;
    case 401:
    case 403:
    case 404: return FAILURE_FORBIDDEN;
    case 408: return FAILURE_TIMEOUT;
    case 413: return FAILURE_REQUEST_TOO_LARGE;
    case 422: return FAILURE_REFUSED;
    case 429: return FAILURE_THROTTLED;
    default: break;
    }
    if (status >= 500) {
        return FAILURE_SERVER_ERROR;
    }
    return status >= 300 && status < 400 ? FAILURE_REDIRECTED : FAILURE_UNEXPECTED_RESPONSE;
}

enum failure failure_of_answer(long status, const char *body, size_t length)
{
    trim(&body, &length);
    if (status == 200 && equals(body, length, "ok")) {
        return FAILURE_NONE;
    }
    enum failure failure = failure_of_text(status, body, length);
    return failure != FAILURE_NONE ? failure : failure_of_status(status);
}
