/* What never sends, while memory is refused: buffers, signers, requests, lanes, the outbox. */

#include "refusals.h"

#include "made.h"
#include "memory_store.h"

/* ---- buffer ---- */

static void fill_buffer(void *argument)
{
    struct buffer buffer;
    void *memory = NULL;
    size_t length = 0;
    size_t appended = 0;
    (void)argument;
    buffer_init(&buffer, 10, 10000);
    for (; appended < 9000 && buffer.failure == BUFFER_FINE; appended++) {
        buffer_append_byte(&buffer, (char)(appended % 100));
    }
    size_t held = buffer.failure == BUFFER_FINE ? appended : appended - 1;
    CHECK_SIZE(buffer.length, held);
    for (size_t i = 0; i < buffer.length; i++) {
        CHECK(buffer_bytes(&buffer)[i] == (char)(i % 100));
    }
    bool fine = buffer.failure == BUFFER_FINE;
    CHECK(fine || buffer.failure == BUFFER_NO_MEMORY);
    bool taken = buffer_take(&buffer, 3, &memory, &length);
    CHECK(!taken || fine);
    CHECK(!fine || (length == appended && ((char *)memory)[10 + 8999] == 8999 % 100));
    buffer_release(&buffer);
    counted_free(memory);
}

/* The last of its allocations gives memory back: refused or not, the bytes are handed over. */
static void buffer_survives_every_refusal(void)
{
    CHECK(refuse_in_turn(fill_buffer, NULL) > 4);
}

static void absurd_sizes_are_refused(void)
{
    static const size_t sizes[] = {ABSURD, SIZE_MAX / 2, SIZE_MAX / 2 + 1, SIZE_MAX - 1, SIZE_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct buffer buffer;
        buffer_init(&buffer, 0, SIZE_MAX);
        CHECK(buffer_reserve(&buffer, sizes[i]) == NULL);
        CHECK_INT(buffer.failure, BUFFER_NO_MEMORY);
        buffer_clear(&buffer);
        buffer_append(&buffer, "small", 5);
        CHECK_INT(buffer.failure, BUFFER_FINE);
        CHECK(buffer_reserve(&buffer, sizes[i] - 5) == NULL);
        CHECK_BYTES(buffer_bytes(&buffer), buffer.length, "small", 5);
        buffer_release(&buffer);
    }
}

/* ---- hmac ---- */

static void sign_something(void *argument)
{
    char hex[HMAC_HEX];
    struct hmac *hmac = hmac_new(argument, strlen(argument));
    if (hmac != NULL) {
        memset(hex, '?', sizeof hex);
        bool signed_it = hmac_sign(hmac, "Hi There", 8, hex);
        CHECK(signed_it || hex[0] == '?');
        bool verified = hmac_verify(hmac, "Hi There", 8, hex, HMAC_HEX);
        CHECK(verified == signed_it || atomic_load(&refusals) > 0);
        CHECK(signed_it || !verified);
    } else {
        CHECK(atomic_load(&refusals) > 0);
    }
    allow_all();
    hmac_free(hmac);
}

static void signer_survives_every_refusal(void)
{
    char long_key[300];
    memset(long_key, 'k', sizeof long_key);
    long_key[sizeof long_key - 1] = '\0';
    sign_something(long_key); /* OpenSSL makes ready, which it does only once */
    CHECK(refuse_in_turn(sign_something, "Jefe") > 1);
    CHECK(refuse_in_turn(sign_something, long_key) > 1);
}

static void signer_is_wiped_before_it_is_freed(void)
{
    char hex[HMAC_HEX];
    struct hmac *hmac = hmac_new("Jefe", 4);
    CHECK(hmac_sign(hmac, "Hi There", 8, hex));
    watched.block = (const unsigned char *)hmac;
    watched.size = sizeof *hmac;
    watched.wiped = false;
    hmac_free(hmac);
    watched.block = NULL;
    CHECK(watched.wiped);
}

/* ---- endpoint, request, queue ---- */

static void make_endpoint(void *argument)
{
    struct endpoint *endpoint = endpoint_new(argument);
    CHECK((endpoint == NULL) == (atomic_load(&refusals) > 0));
    endpoint_release(endpoint);
}

static void endpoint_survives_every_refusal(void)
{
    struct endpoint_settings all = {
        .url = "http://x/", .user_agent = "test", .ca_file = "ca.pem", .proxy = "http://y/"};
    struct endpoint_settings none = {.url = NULL};
    CHECK_INT(refuse_in_turn(make_endpoint, &all), 7);
    CHECK_INT(refuse_in_turn(make_endpoint, &none), 3);
}

static void make_request_of(void *argument)
{
    struct endpoint_settings settings = {.url = "http://x/"};
    struct endpoint *endpoint = endpoint_new(&settings);
    struct buffer buffer;
    buffer_init(&buffer, REQUEST_FRONT, REQUEST_MAXIMUM);
    buffer_append(&buffer, argument, strlen(argument));
    struct request *request =
        endpoint != NULL ? request_from_buffer(&buffer, endpoint, "lane", 4) : NULL;
    CHECK(request != NULL || atomic_load(&refusals) > 0);
    if (request != NULL) {
        CHECK_BYTES(request_body(request), request->length, argument, strlen(argument));
        CHECK_SIZE(atomic_load(&endpoint->references), 2);
    }
    request_free(request);
    buffer_release(&buffer);
    endpoint_release(endpoint);
}

static void request_survives_every_refusal(void)
{
    CHECK(refuse_in_turn(make_request_of, "{\"action\":\"typing.stop\"}") > 3);
}

static void make_queue(void *argument)
{
    struct queue queue;
    (void)argument;
    bool made = queue_init(&queue);
    CHECK(made == (atomic_load(&refusals) == 0));
    if (made) {
        queue_destroy(&queue);
    }
}

static void queue_survives_every_refusal(void)
{
    CHECK(refuse_in_turn(make_queue, NULL) > 3);
}

/* ---- scheduler ---- */

static struct request *accept_made(struct scheduler *scheduler, struct endpoint *endpoint,
                                   const char *lane, uint64_t ticket)
{
    struct request *request = made_request(endpoint, lane, ticket);
    request->deadline = 1000;
    scheduler_accept(scheduler, request, 0);
    return request;
}

static size_t free_finished(struct scheduler *scheduler)
{
    struct request *last;
    size_t count = 0;
    for (struct request *next, *at = scheduler_finished(scheduler, &last); at != NULL; at = next) {
        next = at->next;
        request_free(at);
        count++;
    }
    return count;
}

/* Lanes and timers of their own for each: whatever is refused, each comes out. */
static void schedule_in_want(void *argument)
{
    struct scheduler scheduler;
    struct request *request;
    allow_all();
    struct endpoint *endpoint = made_endpoint(8);
    (void)argument;
    scheduler_init(&scheduler, 1);
    arm();
    for (uint64_t i = 1; i <= 150; i++) {
        char lane[8];
        (void)snprintf(lane, sizeof lane, "%u", (unsigned)(i % 75));
        long left = atomic_load(&before_refusal);
        allow_all(); /* the request itself is made in any case */
        request = made_request(endpoint, lane, i);
        request->deadline = 1000;
        atomic_store(&before_refusal, left);
        scheduler_accept(&scheduler, request, 0);
    }
    while ((request = scheduler_next(&scheduler, 0)) != NULL) {
        scheduler_answered(&scheduler, request, 0);
    }
    CHECK_SIZE(free_finished(&scheduler), 150);
    CHECK_SIZE(scheduler.held, 0);
    scheduler_release(&scheduler);
    endpoint_release(endpoint);
}

static void scheduler_survives_every_refusal(void)
{
    CHECK(refuse_in_turn(schedule_in_want, NULL) > 50);
}

/* What comes back from its caller and finds no memory must not leave its lane shut behind it. */
static void lane_goes_on_when_its_head_finds_no_memory(void)
{
    struct scheduler scheduler;
    struct request *last;
    struct endpoint *endpoint = made_endpoint(1);
    endpoint->settings.asks = true;
    scheduler_init(&scheduler, 1);
    struct request *head = accept_made(&scheduler, endpoint, "lane", 1);
    struct request *second = accept_made(&scheduler, endpoint, "lane", 2);
    CHECK(scheduler_next(&scheduler, 0) == head);
    head->outcome.failure = FAILURE_SERVER_ERROR;
    scheduler_answered(&scheduler, head, 0);
    CHECK(scheduler_finished(&scheduler, &last) == head && head->outcome.question);
    for (uint64_t i = 3; scheduler.held < scheduler.timers.capacity; i++) {
        (void)accept_made(&scheduler, endpoint, "", i);
    }
    head->verb = REQUEST_AGAIN;
    atomic_store(&before_refusal, 0);
    scheduler_accept(&scheduler, head, 0);
    allow_all();
    CHECK_INT(head->outcome.failure, FAILURE_NO_MEMORY);
    CHECK_INT(second->state, REQUEST_READY);
    scheduler_close(&scheduler, NULL, 0);
    CHECK(free_finished(&scheduler) > 60);
    scheduler_release(&scheduler);
    endpoint_release(endpoint);
    CHECK_INT(atomic_load(&live), 0);
}

/* ---- the outbox ---- */

enum { KEPT = 12 };

struct keeping {
    struct scheduler scheduler;
    struct outbox outbox;
    struct endpoint *endpoint;
    double now;
    unsigned finished;
    unsigned stored;
    unsigned delivered;
    uint64_t last_of_lane[2];
};

static struct moment keeping_moment(const struct keeping *keeping)
{
    return (struct moment){.now = keeping->now, .wall = keeping->now};
}

static void count_finished(struct keeping *keeping)
{
    struct request *last;
    struct request *request = outbox_finished(&keeping->outbox, &last);
    while (request != NULL) {
        struct request *next = request->next;
        keeping->finished++;
        keeping->stored += request->is_stored;
        CHECK(request->is_stored || request->outcome.failure == FAILURE_NO_MEMORY);
        request_free(request);
        request = next;
    }
}

/* Everything is delivered at once. */
static void step_outbox(struct keeping *keeping)
{
    struct request *request;
    kept.now = keeping->now;
    scheduler_advance(&keeping->scheduler, keeping->now);
    outbox_step(&keeping->outbox, keeping_moment(keeping));
    while ((request = scheduler_next(&keeping->scheduler, keeping->now)) != NULL) {
        uint64_t *last = &keeping->last_of_lane[request_lane(request)[0] == 'b'];
        CHECK(request->ticket > *last);
        *last = request->ticket;
        keeping->delivered++;
        request->outcome.attempts = 1;
        request->outcome.status = 200;
        scheduler_answered(&keeping->scheduler, request, keeping->now);
    }
    count_finished(keeping);
    keeping->now += 0.5;
}

static struct endpoint *keeping_endpoint(void)
{
    struct hmac *key = hmac_new("token", 5);
    struct endpoint *endpoint = endpoint_new(&(struct endpoint_settings){
        .url = "http://x/",
        .connections = 4,
        .outbox = {.driver = &memory_driver, .path = "memory", .source = "source", .key = key},
    });
    hmac_free(key);
    return endpoint;
}

static void end_keeping(struct keeping *keeping)
{
    scheduler_close(&keeping->scheduler, NULL, keeping->now);
    outbox_close(&keeping->outbox, keeping_moment(keeping));
    scheduler_release(&keeping->scheduler);
    endpoint_release(keeping->endpoint);
    free(kept.rows);
    free(kept.log);
    memset(&kept, 0, sizeof kept);
}

/* While memory is refused, and when there is some again: so many at once. */
static void keep_messages(void *argument)
{
    const unsigned *at_once = argument;
    struct keeping keeping = {.now = 1};
    struct request *requests[KEPT];
    allow_all();
    scheduler_init(&keeping.scheduler, 1);
    outbox_init(&keeping.outbox, &keeping.scheduler, 1);
    keeping.endpoint = keeping_endpoint();
    for (unsigned i = 0; i < KEPT; i++) {
        requests[i] = made_request(keeping.endpoint, i % 2 == 0 ? "a" : "b", i + 1);
    }
    arm();
    for (unsigned i = 0; i < KEPT; i++) {
        outbox_accept(&keeping.outbox, requests[i], keeping_moment(&keeping));
        if ((i + 1) % *at_once == 0) {
            step_outbox(&keeping);
        }
    }
    allow_all();
    for (unsigned i = 0; i < 10; i++) {
        step_outbox(&keeping);
    }
    CHECK_INT(keeping.finished, KEPT);
    CHECK_INT(keeping.delivered, keeping.stored);
    CHECK(keeping.stored >= KEPT - 1);
    CHECK_SIZE(kept.count, 0);
    end_keeping(&keeping);
}

static void outbox_survives_every_refusal(void)
{
    unsigned one = 1;
    unsigned all = KEPT;
    CHECK(refuse_in_turn(keep_messages, &one) > 20);
    CHECK(refuse_in_turn(keep_messages, &all) > 20);
}

static void copy_filter(void *argument)
{
    const struct letter_filter filter = {.code = argument, .lane = "42", .lane_length = 2};
    struct command *command = command_new(COMMAND_RETRY);
    struct letter_filter *copy = letter_filter_copy(&filter);
    CHECK((command != NULL && copy != NULL) || atomic_load(&refusals) > 0);
    if (command != NULL) {
        command->filter = copy;
        copy = NULL;
    }
    command_free(command);
    counted_free(copy);
}

static void filter_survives_every_refusal(void)
{
    char code[] = "refused";
    CHECK_INT(refuse_in_turn(copy_filter, code), 3);
}

static const struct check_case cases[] = {
    CHECK_CASE(buffer_survives_every_refusal),
    CHECK_CASE(absurd_sizes_are_refused),
    CHECK_CASE(signer_survives_every_refusal),
    CHECK_CASE(signer_is_wiped_before_it_is_freed),
    CHECK_CASE(endpoint_survives_every_refusal),
    CHECK_CASE(request_survives_every_refusal),
    CHECK_CASE(queue_survives_every_refusal),
    CHECK_CASE(scheduler_survives_every_refusal),
    CHECK_CASE(lane_goes_on_when_its_head_finds_no_memory),
    CHECK_CASE(outbox_survives_every_refusal),
    CHECK_CASE(filter_survives_every_refusal),
};

int main(int count, char **names)
{
    return REFUSALS_RUN(cases, count, names);
}
