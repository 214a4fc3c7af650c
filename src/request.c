#include "request.h"

#include <stdlib.h> /* free(3) */

struct request *request_from_buffer(struct buffer *buffer, struct endpoint *endpoint)
{
    void *memory;
    size_t length;
    if (!buffer_take(buffer, &memory, &length)) {
        return NULL;
    }
    struct request *request = memory;
    *request = (struct request){.endpoint = endpoint, .length = length};
    endpoint_retain(endpoint);
    return request;
}

void request_free(struct request *request)
{
    if (request == NULL) {
        return;
    }
    endpoint_release(request->endpoint);
    free(request->outcome.body);
    free(request->outcome.reason);
    free(request);
}
