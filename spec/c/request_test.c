#include "request.h"

#include <stdalign.h> /* alignof */
#include <stdint.h>   /* uintptr_t */
#include <stdlib.h>   /* malloc(3) */
#include <string.h>   /* strdup(3) */

#include "check.h"

static struct endpoint *new_endpoint(void)
{
    return endpoint_new(&(struct endpoint_settings){
        .url = "http://127.0.0.1/", .max_pending = 10, .max_pending_bytes = 10});
}

static struct request *new_request(struct endpoint *endpoint, const char *body, size_t length)
{
    struct buffer buffer;
    buffer_init(&buffer, REQUEST_FRONT, REQUEST_MAXIMUM);
    buffer_append(&buffer, body, length);
    struct request *request = request_from_buffer(&buffer, endpoint, "", 0);
    buffer_release(&buffer);
    return request;
}

static void body_follows_the_header(void)
{
    static const char body[] = "{\"action\":\"\0\xFF\"}";
    struct endpoint *endpoint = new_endpoint();
    for (size_t length = 1; length < sizeof body; length++) {
        struct request *request = new_request(endpoint, body, length);
        if (CHECK(request != NULL)) {
            CHECK_BYTES(request_body(request), request->length, body, length);
            CHECK_SIZE((uintptr_t)request % alignof(struct request), 0);
        }
        request_free(request);
    }
    endpoint_release(endpoint);
}

/* The room in front is memory that was never written: every field must be set. */
static void header_is_whole(void)
{
    struct endpoint *endpoint = new_endpoint();
    struct buffer buffer;
    buffer_init(&buffer, REQUEST_FRONT, 100);
    buffer_append_byte(&buffer, '{');
    memset(buffer.memory, 0xA5, REQUEST_FRONT);
    struct request *request = request_from_buffer(&buffer, endpoint, "", 0);
    CHECK(request->next == NULL);
    CHECK(request->endpoint == endpoint);
    CHECK_SIZE(request->ticket, 0);
    CHECK_SIZE(request->length, 1);
    CHECK_INT(request->signature[0], 0);
    CHECK_INT(request->signature[HMAC_BYTES - 1], 0);
    CHECK_INT(request->outcome.failure, FAILURE_NONE);
    CHECK_INT(request->outcome.status, 0);
    CHECK_SIZE(request->outcome.attempts, 0);
    CHECK_SIZE(request->counted, 0);
    CHECK(!request->outcome.unreached);
    CHECK(request->outcome.body == NULL);
    CHECK_SIZE(request->outcome.body_length, 0);
    CHECK(request->outcome.reason == NULL);
    request_free(request);
    endpoint_release(endpoint);
}

static void buffer_is_empty_and_usable_afterwards(void)
{
    struct endpoint *endpoint = new_endpoint();
    struct buffer buffer;
    buffer_init(&buffer, REQUEST_FRONT, 100);
    buffer_append(&buffer, "one", 3);
    struct request *one = request_from_buffer(&buffer, endpoint, "", 0);
    CHECK(buffer.memory == NULL && buffer.length == 0);
    buffer_append(&buffer, "other", 5);
    struct request *other = request_from_buffer(&buffer, endpoint, "", 0);
    CHECK_BYTES(request_body(one), one->length, "one", 3);
    CHECK_BYTES(request_body(other), other->length, "other", 5);
    request_free(one);
    request_free(other);
    buffer_release(&buffer);
    endpoint_release(endpoint);
}

static void endpoint_is_held_until_the_request_is_freed(void)
{
    struct endpoint *endpoint = new_endpoint();
    struct request *one = new_request(endpoint, "1", 1);
    struct request *other = new_request(endpoint, "2", 1);
    CHECK_SIZE(atomic_load(&endpoint->references), 3);
    request_free(one);
    CHECK_SIZE(atomic_load(&endpoint->references), 2);
    endpoint_release(endpoint);
    CHECK_TEXT(other->endpoint->settings.url, "http://127.0.0.1/");
    request_free(other);
}

static void failed_buffer_is_no_request(void)
{
    struct endpoint *endpoint = new_endpoint();
    struct buffer buffer;
    buffer_init(&buffer, REQUEST_FRONT, 5);
    buffer_append(&buffer, "12345", 5);
    buffer_append_byte(&buffer, '6');
    CHECK(request_from_buffer(&buffer, endpoint, "", 0) == NULL);
    CHECK_INT(buffer.failure, BUFFER_TOO_LARGE);
    CHECK_BYTES(buffer_bytes(&buffer), buffer.length, "12345", 5);
    CHECK_SIZE(atomic_load(&endpoint->references), 1);
    buffer_release(&buffer);
    endpoint_release(endpoint);
}

static void untouched_buffer_is_no_request(void)
{
    struct endpoint *endpoint = new_endpoint();
    struct buffer buffer;
    buffer_init(&buffer, REQUEST_FRONT, 5);
    CHECK(request_from_buffer(&buffer, endpoint, "", 0) == NULL);
    CHECK_SIZE(atomic_load(&endpoint->references), 1);
    buffer_release(&buffer);
    endpoint_release(endpoint);
}

/* Emptied, or given room and nothing in it: it has memory, and still nothing to send. */
static void emptied_buffer_is_no_request(void)
{
    struct endpoint *endpoint = new_endpoint();
    struct buffer buffer;
    buffer_init(&buffer, REQUEST_FRONT, 50);
    (void)buffer_reserve(&buffer, 20);
    struct request *reserved = request_from_buffer(&buffer, endpoint, "", 0);
    CHECK(reserved == NULL);
    buffer_append(&buffer, "12345", 5);
    buffer_clear(&buffer);
    struct request *cleared = request_from_buffer(&buffer, endpoint, "", 0);
    CHECK(cleared == NULL);
    CHECK_SIZE(buffer.front, REQUEST_FRONT);
    request_free(reserved);
    request_free(cleared);
    buffer_release(&buffer);
    endpoint_release(endpoint);
}

static void outcome_goes_with_the_request(void)
{
    struct endpoint *endpoint = new_endpoint();
    struct request *request = new_request(endpoint, "{}", 2);
    request->outcome.body = malloc(OUTCOME_BODY_MAXIMUM);
    request->outcome.body_length = OUTCOME_BODY_MAXIMUM;
    request->outcome.reason = strdup("no route to host");
    request_free(request);
    endpoint_release(endpoint);
}

static void freeing_nothing_is_harmless(void)
{
    request_free(NULL);
}

static void largest_body(void)
{
    struct endpoint *endpoint = new_endpoint();
    struct buffer buffer;
    buffer_init(&buffer, REQUEST_FRONT, REQUEST_MAXIMUM);
    char *room = buffer_reserve(&buffer, REQUEST_MAXIMUM);
    if (CHECK(room != NULL)) {
        memset(room, 'm', REQUEST_MAXIMUM);
        buffer.length = REQUEST_MAXIMUM;
        struct request *request = request_from_buffer(&buffer, endpoint, "", 0);
        CHECK_SIZE(request->length, 20971520);
        CHECK_INT(request_body(request)[20971519], 'm');
        request_free(request);
    }
    buffer_release(&buffer);
    endpoint_release(endpoint);
}

static const struct check_case cases[] = {
    CHECK_CASE(body_follows_the_header),
    CHECK_CASE(header_is_whole),
    CHECK_CASE(buffer_is_empty_and_usable_afterwards),
    CHECK_CASE(endpoint_is_held_until_the_request_is_freed),
    CHECK_CASE(failed_buffer_is_no_request),
    CHECK_CASE(untouched_buffer_is_no_request),
    CHECK_CASE(emptied_buffer_is_no_request),
    CHECK_CASE(outcome_goes_with_the_request),
    CHECK_CASE(freeing_nothing_is_harmless),
    CHECK_CASE(largest_body),
};

int main(int count, char **names)
{
    return CHECK_RUN(cases, count, names);
}
