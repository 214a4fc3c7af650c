#include "request.h"

#include <stdlib.h> /* calloc(3) free(3) */
#include <string.h> /* memcpy(3) */

#include "command.h"

struct request *request_from_buffer(struct buffer *buffer, struct endpoint *endpoint,
                                    const char *lane, size_t lane_length)
{
    void *memory;
    size_t length;
    size_t kept = lane_length < LANE_MAXIMUM ? lane_length : LANE_MAXIMUM;
    if (!buffer_take(buffer, kept, &memory, &length)) {
        return NULL;
    }
    struct request *request = memory;
    *request = (struct request){.endpoint = endpoint,
                                .length = length,
                                .lane_length = (unsigned)kept,
                                .outcome = {.retry_after = -1}};
    if (kept > 0) {
        memcpy(request_body(request) + length, lane, kept);
    }
    endpoint_retain(endpoint);
    return request;
}

struct request *request_cancel_all(struct endpoint *endpoint)
{
    struct request *request = calloc(1, sizeof *request);
    if (request != NULL) {
        request->verb = REQUEST_CANCEL;
        request->endpoint = endpoint;
        endpoint_retain(endpoint);
    }
    return request;
}

void request_reset_outcome(struct request *request)
{
    unsigned attempts = request->outcome.attempts;
    free(request->outcome.body);
    free(request->outcome.reason);
    request->outcome = (struct outcome){.attempts = attempts, .retry_after = -1};
}

void request_free(struct request *request)
{
    if (request == NULL) {
        return;
    }
    endpoint_release(request->endpoint);
    free(request->outcome.body);
    free(request->outcome.reason);
    command_free(request->command);
    free(request);
}
