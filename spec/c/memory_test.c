/*
 * Every allocation refused in turn: each scenario is run again and again, and each time one more
 * allocation succeeds before one is refused, until none is. Whatever is refused, nothing may crash,
 * leak or get lost.
 *
 * The units are compiled into this program a second time, under names of their own and with an
 * allocator that can refuse; libcurl and OpenSSL are given that allocator, too.
 */

#define OPENSSL_SUPPRESS_DEPRECATED /* as a unit wants it, for all of them here */

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <curl/curl.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <openssl/x509_vfy.h>

/* ---- an allocator that refuses ---- */

enum { ABSURD = 1 << 30 }; /* more bytes than any test has: refused as a system would */

static atomic_long before_refusal; /* allocations that succeed yet; negative: all of them */
static atomic_long round_number;   /* what before_refusal began with */
static atomic_long refusals;
static atomic_long live; /* blocks of the units themselves, not freed yet */

static bool must_refuse(size_t size)
{
    if (size >= ABSURD) {
        return true;
    }
    if (atomic_load(&before_refusal) < 0 || atomic_fetch_sub(&before_refusal, 1) != 0) {
        return false;
    }
    atomic_fetch_add(&refusals, 1);
    return true;
}

static void *counted(void *block)
{
    atomic_fetch_add(&live, block != NULL);
    return block;
}

static void *malloc_or_refuse(size_t size)
{
    return must_refuse(size) ? NULL : malloc(size);
}

static void *calloc_or_refuse(size_t count, size_t size)
{
    return must_refuse(size) ? NULL : calloc(count, size);
}

static void *realloc_or_refuse(void *block, size_t size)
{
    return must_refuse(size) ? NULL : realloc(block, size);
}

static char *strdup_or_refuse(const char *text)
{
    return must_refuse(1) ? NULL : strdup(text);
}

static void *counted_realloc(void *block, size_t size)
{
    void *moved = realloc_or_refuse(block, size);
    return block == NULL ? counted(moved) : moved;
}

/* A block that must be all zero when it is freed. */
static struct {
    const unsigned char *block;
    size_t size;
    bool wiped;
} watched;

static void look_at(const unsigned char *block)
{
    watched.wiped = true;
    for (size_t i = 0; i < watched.size; i++) {
        watched.wiped = watched.wiped && block[i] == 0;
    }
}

static void counted_free(void *block)
{
    if (block != NULL && block == watched.block) {
        look_at(block);
    }
    atomic_fetch_sub(&live, block != NULL);
    free(block);
}

#define malloc(size) counted(malloc_or_refuse(size))
#define calloc(count, size) counted(calloc_or_refuse(count, size))
#define realloc(block, size) counted_realloc(block, size)
#define strdup(text) ((char *)counted(strdup_or_refuse(text)))
#define free(block) counted_free(block)

/* What else the system may refuse. */
#define pthread_create(thread, attributes, run, argument)                                          \
    (must_refuse(0) ? EAGAIN : pthread_create(thread, attributes, run, argument))
#define pthread_mutex_init(lock, attributes)                                                       \
    (must_refuse(0) ? ENOMEM : pthread_mutex_init(lock, attributes))
#define pthread_cond_init(condition, attributes)                                                   \
    (must_refuse(0) ? ENOMEM : pthread_cond_init(condition, attributes))
#define pthread_condattr_init(attributes)                                                          \
    (must_refuse(0) ? ENOMEM : pthread_condattr_init(attributes))

/* ---- the units, under other names: a function that they gain must be named here ---- */

#define buffer_init refused_buffer_init
#define buffer_release refused_buffer_release
#define buffer_clear refused_buffer_clear
#define buffer_reserve_slow refused_buffer_reserve_slow
#define buffer_take refused_buffer_take
#define hmac_new refused_hmac_new
#define hmac_copy refused_hmac_copy
#define hmac_free refused_hmac_free
#define hmac_digest refused_hmac_digest
#define hmac_hex refused_hmac_hex
#define hmac_sign refused_hmac_sign
#define hmac_verify refused_hmac_verify
#define endpoint_new refused_endpoint_new
#define endpoint_retain refused_endpoint_retain
#define endpoint_release refused_endpoint_release
#define endpoint_admit refused_endpoint_admit
#define endpoint_withdraw refused_endpoint_withdraw
#define endpoint_dismiss refused_endpoint_dismiss
#define endpoint_set_figures refused_endpoint_set_figures
#define endpoint_figures refused_endpoint_figures
#define request_from_buffer refused_request_from_buffer
#define request_cancel_all refused_request_cancel_all
#define request_reset_outcome refused_request_reset_outcome
#define request_free refused_request_free
#define queue_init refused_queue_init
#define queue_destroy refused_queue_destroy
#define queue_push refused_queue_push
#define queue_take refused_queue_take
#define queue_doze refused_queue_doze
#define queue_wait refused_queue_wait
#define queue_rouse refused_queue_rouse
#define lanes_enter refused_lanes_enter
#define lanes_leave refused_lanes_leave
#define lanes_remove refused_lanes_remove
#define lanes_release refused_lanes_release
#define timers_reserve refused_timers_reserve
#define timers_set refused_timers_set
#define timers_clear refused_timers_clear
#define timers_first refused_timers_first
#define timers_release refused_timers_release
#define scheduler_init refused_scheduler_init
#define scheduler_release refused_scheduler_release
#define scheduler_accept refused_scheduler_accept
#define scheduler_next refused_scheduler_next
#define scheduler_answered refused_scheduler_answered
#define scheduler_advance refused_scheduler_advance
#define scheduler_idle refused_scheduler_idle
#define scheduler_finished refused_scheduler_finished
#define scheduler_close refused_scheduler_close
#define scheduler_returned refused_scheduler_returned
#define scheduler_has refused_scheduler_has
#define scheduler_recall refused_scheduler_recall
#define command_request refused_command_request
#define command_add_letter refused_command_add_letter
#define command_dismiss refused_command_dismiss
#define command_free refused_command_free
#define deliverer_init refused_deliverer_init
#define deliverer_use refused_deliverer_use
#define deliverer_take_back refused_deliverer_take_back
#define deliverer_step refused_deliverer_step
#define deliverer_hear refused_deliverer_hear
#define deliverer_idle refused_deliverer_idle
#define deliverer_is_bored refused_deliverer_is_bored
#define deliverer_oldest refused_deliverer_oldest
#define deliverer_close refused_deliverer_close
#define deliverer_find_row refused_deliverer_find_row
#define deliverer_link_row refused_deliverer_link_row
#define deliverer_free_row refused_deliverer_free_row
#define deliverer_room refused_deliverer_room
#define deliverer_byte_room refused_deliverer_byte_room
#define deliverer_has_room refused_deliverer_has_room
#define deliverer_find_blocked refused_deliverer_find_blocked
#define deliverer_forget_blocked refused_deliverer_forget_blocked
#define deliverer_unblock refused_deliverer_unblock
#define deliverer_make_room refused_deliverer_make_room
#define deliverer_recall_all refused_deliverer_recall_all
#define deliverer_start_over refused_deliverer_start_over
#define deliverer_be_troubled refused_deliverer_be_troubled
#define deliverer_lose_lease refused_deliverer_lose_lease
#define deliverer_keep_lease refused_deliverer_keep_lease
#define deliverer_give_up_lease refused_deliverer_give_up_lease
#define deliverer_drain refused_deliverer_drain
#define deliverer_write_ends refused_deliverer_write_ends
#define deliverer_ends_due refused_deliverer_ends_due
#define deliverer_forget_pause refused_deliverer_forget_pause
#define deliverer_may_read refused_deliverer_may_read
#define deliverer_read_on refused_deliverer_read_on
#define outbox_init refused_outbox_init
#define outbox_wants refused_outbox_wants
#define outbox_accept refused_outbox_accept
#define outbox_cancel refused_outbox_cancel
#define outbox_step refused_outbox_step
#define outbox_idle refused_outbox_idle
#define outbox_is_empty refused_outbox_is_empty
#define outbox_is_pressing refused_outbox_is_pressing
#define outbox_finished refused_outbox_finished
#define outbox_abandon refused_outbox_abandon
#define outbox_close refused_outbox_close
#define outbox_attach refused_outbox_attach
#define outbox_detach_endpoint refused_outbox_detach_endpoint
#define outbox_detach_all refused_outbox_detach_all
#define outbox_open_store refused_outbox_open_store
#define outbox_sweep_stores refused_outbox_sweep_stores
#define outbox_free_source refused_outbox_free_source
#define outbox_free_store refused_outbox_free_store
#define outbox_hand_out refused_outbox_hand_out
#define outbox_hand_back refused_outbox_hand_back
#define outbox_fail_to_store refused_outbox_fail_to_store
#define outbox_ears refused_outbox_ears
#define outbox_warn refused_outbox_warn
#define outbox_tell_closed refused_outbox_tell_closed
#define outbox_append refused_outbox_append
#define outbox_count_rows refused_outbox_count_rows
#define outbox_count_ends refused_outbox_count_ends
#define outbox_publish_figures refused_outbox_publish_figures
#define outbox_run_commands refused_outbox_run_commands
#define wakeup_init refused_wakeup_init
#define wakeup_destroy refused_wakeup_destroy
#define wakeup_descriptor refused_wakeup_descriptor
#define wakeup_listen refused_wakeup_listen
#define wakeup_calm refused_wakeup_calm
#define wakeup_remind refused_wakeup_remind
#define wakeup_signal refused_wakeup_signal
#define wakeup_listener refused_wakeup_listener
#define wakeup_accept refused_wakeup_accept
#define traffic_init refused_traffic_init
#define traffic_destroy refused_traffic_destroy
#define traffic_accept refused_traffic_accept
#define traffic_step refused_traffic_step
#define traffic_finished refused_traffic_finished
#define traffic_is_empty refused_traffic_is_empty
#define traffic_sleep refused_traffic_sleep
#define traffic_wake refused_traffic_wake
#define traffic_close refused_traffic_close
#define transfer_new refused_transfer_new
#define transfer_free refused_transfer_free
#define transfer_begin refused_transfer_begin
#define transfer_end refused_transfer_end
#define transfer_cancel refused_transfer_cancel
#define transfer_of refused_transfer_of
#define engine_prepare refused_engine_prepare
#define engine_new refused_engine_new
#define engine_free refused_engine_free
#define engine_submit refused_engine_submit
#define engine_submit_and_drive refused_engine_submit_and_drive
#define engine_resubmit refused_engine_resubmit
#define engine_cancel refused_engine_cancel
#define engine_is_running refused_engine_is_running
#define engine_take refused_engine_take
#define engine_peek refused_engine_peek
#define engine_wait refused_engine_wait
#define engine_descriptor refused_engine_descriptor
#define engine_listen refused_engine_listen
#define engine_calm refused_engine_calm
#define engine_remind refused_engine_remind
#define engine_stop refused_engine_stop
#define engine_abandon refused_engine_abandon
#define engine_is_inherited refused_engine_is_inherited
#define http_exchange refused_http_exchange
#define http_release refused_http_release
#define http_next_header refused_http_next_header

#include "../../src/buffer.c"
#include "../../src/hmac.c"
#include "../../src/endpoint.c"
#include "../../src/request.c"
#include "../../src/queue.c"
#define append append_to_lane
#include "../../src/lanes.c"
#undef append
#include "../../src/timers.c"
#include "../../src/scheduler.c"
#include "../../src/command.c"
#include "../../src/deliverer.c"
#include "../../src/deliverer_ends.c"
#include "../../src/deliverer_lease.c"
#include "../../src/deliverer_read.c"
#include "../../src/deliverer_rows.c"
#include "../../src/outbox.c"
#include "../../src/outbox_append.c"
#include "../../src/outbox_commands.c"
#include "../../src/outbox_notices.c"
#include "../../src/outbox_source.c"
#include "../../src/wakeup.c"
#include "../../src/transfer.c"
#define cancel cancel_endpoint
#include "../../src/traffic.c"
#undef cancel
#include "../../src/engine.c"
#define milliseconds http_milliseconds
#define on_body http_on_body
#define on_header http_on_header
#include "../../src/http.c"

#undef malloc
#undef calloc
#undef realloc
#undef strdup
#undef free
#undef pthread_create
#undef pthread_mutex_init
#undef pthread_cond_init
#undef pthread_condattr_init

#include "exchange.h"
#include "made.h"
#include "memory_store.h"

/* ---- one refusal after the other ---- */

static void allow_all(void)
{
    atomic_store(&before_refusal, -1);
}

/* From here on so many allocations succeed as it is this round's turn, and the next is refused. */
static void arm(void)
{
    atomic_store(&before_refusal, atomic_load(&round_number));
}

enum { MOST_ALLOCATIONS = 3000 };

/* Runs the scenario until nothing was refused in it; returns how often it ran. */
static long refuse_in_turn(void (*scenario)(void *), void *argument)
{
    for (long allowed = 0; allowed < MOST_ALLOCATIONS; allowed++) {
        CHECK_NOTE("allocation %ld refused", allowed + 1);
        atomic_store(&refusals, 0);
        atomic_store(&round_number, allowed);
        arm();
        scenario(argument);
        allow_all();
        CHECK_INT(atomic_load(&live), 0);
        if (atomic_load(&refusals) == 0) {
            return allowed + 1;
        }
    }
    CHECK_INT(atomic_load(&refusals), 0);
    return MOST_ALLOCATIONS;
}

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

/* ---- transfer ---- */

static bool has_header(const struct curl_slist *list, const char *wanted)
{
    while (list != NULL && strcmp(list->data, wanted) != 0) {
        list = list->next;
    }
    return list != NULL;
}

/* A transfer that lacks one of its headers would be understood as something else. */
static void make_transfer(void *argument)
{
    (void)argument;
    struct transfer *transfer = transfer_new();
    if (transfer != NULL) {
        CHECK(has_header(&transfer->signature_header, "Content-Type: application/json"));
        CHECK(has_header(&transfer->signature_header, "Expect:"));
        CHECK(transfer_of(transfer->easy) == transfer);
    }
    transfer_free(transfer);
}

static void transfer_survives_every_refusal(void)
{
    transfer_free(NULL);
    CHECK(refuse_in_turn(make_transfer, NULL) > 4);
}

/* ---- engine ---- */

static const char REFUSED_ANSWER[] =
    "HTTP/1.1 422 No\r\nContent-Length: 17\r\n\r\nInvalid signature";

static const struct server_plan plans[] = {
    {.path = "/ok", .text = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"},
    {.path = "/refused", .text = REFUSED_ANSWER},
    {.path = "/closes", .end = SERVER_CLOSES},
};

struct scene {
    struct server *server;
    const char *path;
    enum failure failure; /* when nothing is refused */
    long status;
    double drive; /* seconds that the caller drives by itself */
};

static struct request *sign_request(struct endpoint *endpoint)
{
    struct buffer buffer;
    buffer_init(&buffer, REQUEST_FRONT, REQUEST_MAXIMUM);
    buffer_append(&buffer, "{}", 2);
    struct request *request = request_from_buffer(&buffer, endpoint, "lane", 4);
    buffer_release(&buffer);
    if (request != NULL) {
        exchange_sign(request);
        request->submitted = clock_now();
        request->deadline = request->submitted + EXCHANGE_DEADLINE;
        CHECK(endpoint_admit(endpoint, request->length));
    }
    return request;
}

/* Submitted is answered: with what the server said, or with a failure of want. */
static void submit_and_take(struct engine *engine, struct endpoint *endpoint,
                            const struct scene *scene)
{
    struct request *request = sign_request(endpoint);
    if (request == NULL) {
        return;
    }
    if (!engine_submit_and_drive(engine, request, scene->drive)) {
        endpoint_withdraw(endpoint, request->length);
        request_free(request);
        return;
    }
    struct request *answer = next_answer(engine);
    if (CHECK(answer == request)) {
        CHECK(answer->outcome.failure == scene->failure || atomic_load(&refusals) > 0);
        CHECK(scene->failure == FAILURE_NONE || answer->outcome.failure != FAILURE_NONE);
    }
    request_free(answer);
    CHECK(engine_take(engine) == NULL);
    CHECK_SIZE(endpoint->pending, 0);
}

static struct endpoint *endpoint_for(const struct scene *scene)
{
    struct exchange_url url = url_at(scene->server->port, scene->path);
    struct endpoint_settings settings = usual_settings(url.text);
    settings.timeout = 3;
    return endpoint_new(&settings);
}

/* After the refusal the same engine must do its work as if nothing had been. */
static void deliver_in_want(void *argument)
{
    const struct scene *scene = argument;
    const char *reason = NULL;
    struct engine *engine = engine_new(&reason);
    struct endpoint *endpoint = endpoint_for(scene);
    CHECK((engine == NULL) == (reason != NULL));
    if (engine != NULL && endpoint != NULL) {
        submit_and_take(engine, endpoint, scene);
        allow_all();
        CHECK_EXCHANGE(engine, endpoint, scene->failure, scene->status);
    }
    engine_free(engine);
    endpoint_release(endpoint);
}

static void engine_survives_every_refusal(void)
{
    struct scene scenes[] = {{NULL, "/ok", FAILURE_NONE, 200, 0},
                             {NULL, "/refused", FAILURE_INVALID_SIGNATURE, 422, 0},
                             {NULL, "/refused", FAILURE_INVALID_SIGNATURE, 422, 5},
                             {NULL, "/closes", FAILURE_CONNECTION_CLOSED, 0, 0}};
    struct server *server = server_start(plans, sizeof plans / sizeof plans[0]);
    for (size_t i = 0; i < sizeof scenes / sizeof scenes[0]; i++) {
        scenes[i].server = server;
        CHECK(refuse_in_turn(deliver_in_want, &scenes[i]) > 20);
    }
    server_stop(server);
}

/* A handle that served one endpoint is turned to another while there is no memory for it. */
static void turn_in_want(void *argument)
{
    const struct scene *scene = argument;
    const char *reason = NULL;
    allow_all();
    struct scene first = {scene->server, "/ok", FAILURE_NONE, 200, 0};
    struct engine *engine = engine_new(&reason);
    struct endpoint *one = endpoint_for(&first);
    struct endpoint *other = endpoint_for(scene);
    CHECK_EXCHANGE(engine, one, FAILURE_NONE, 200);
    arm();
    submit_and_take(engine, other, scene);
    allow_all();
    CHECK_EXCHANGE(engine, other, scene->failure, scene->status);
    CHECK_EXCHANGE(engine, other, scene->failure, scene->status);
    CHECK_EXCHANGE(engine, one, FAILURE_NONE, 200);
    engine_free(engine);
    endpoint_release(one);
    endpoint_release(other);
}

static void turning_survives_every_refusal(void)
{
    struct server *server = server_start(plans, sizeof plans / sizeof plans[0]);
    struct scene scene = {server, "/refused", FAILURE_INVALID_SIGNATURE, 422, 0};
    CHECK(refuse_in_turn(turn_in_want, &scene) > 10);
    server_stop(server);
}

static size_t submit_eight(struct engine *engine, struct endpoint *endpoint)
{
    size_t submitted = 0;
    for (int i = 0; i < 8; i++) {
        struct request *request = sign_request(endpoint);
        if (request != NULL && engine_submit(engine, request)) {
            submitted++;
        } else if (request != NULL) {
            endpoint_withdraw(endpoint, request->length);
            request_free(request);
        }
    }
    return submitted;
}

static void take_all(struct engine *engine, size_t submitted)
{
    size_t taken = 0;
    for (struct request *answer; (answer = engine_take(engine)) != NULL; taken++) {
        request_free(answer);
    }
    CHECK_SIZE(taken, submitted);
}

/* Several at once, waited for or stopped in the middle: all that were submitted come back. */
static void deliver_many_in_want(const struct scene *scene, bool stopped)
{
    const char *reason = NULL;
    struct engine *engine = engine_new(&reason);
    struct endpoint *endpoint = endpoint_for(scene);
    if (engine != NULL && endpoint != NULL) {
        size_t submitted = submit_eight(engine, endpoint);
        if (stopped) {
            (void)engine_wait(engine, 0.001);
        } else {
            for (size_t left = submitted; left > 0; left--) {
                request_free(next_answer(engine));
            }
            submitted = 0;
        }
        engine_stop(engine);
        take_all(engine, submitted);
        CHECK_SIZE(endpoint->pending, 0);
    }
    engine_free(engine);
    endpoint_release(endpoint);
}

/* How many allocations there are depends on the threads, so their number is fixed beforehand. */
static void many_requests_survive_every_refusal(void)
{
    struct server *server = server_start(plans, sizeof plans / sizeof plans[0]);
    struct scene scene = {server, "/ok", FAILURE_NONE, 200, 0};
    for (long allowed = 0; allowed < 250; allowed++) {
        CHECK_NOTE("allocation %ld refused", allowed + 1);
        atomic_store(&round_number, allowed);
        arm();
        deliver_many_in_want(&scene, allowed % 2 == 0);
        allow_all();
        CHECK_INT(atomic_load(&live), 0);
    }
    server_stop(server);
}

/* ---- one blocking exchange ---- */

struct question {
    struct http_request request;
    bool answered; /* when nothing is refused */
};

static void ask_in_want(void *argument)
{
    const struct question *question = argument;
    struct http_answer answer = {0};
    bool fine = http_exchange(&question->request, &answer);
    CHECK(fine == question->answered || (!fine && atomic_load(&refusals) > 0));
    CHECK(fine ? answer.status == 200 : answer.reason[0] != '\0');
    CHECK(fine || (answer.head.memory == NULL && answer.body.memory == NULL));
    http_release(&answer);
}

static void exchange_survives_every_refusal(void)
{
    static const char *const headers[] = {"X-One: 1", "X-Two: 2"};
    struct server *server = server_start(plans, sizeof plans / sizeof plans[0]);
    struct exchange_url fine = url_at(server->port, "/ok");
    struct exchange_url closing = url_at(server->port, "/closes");
    struct question questions[] = {{{.url = fine.text}, true}, {{.url = closing.text}, false}};
    for (size_t i = 0; i < sizeof questions / sizeof questions[0]; i++) {
        struct http_request *request = &questions[i].request;
        request->method = "PUT";
        request->body = "{}";
        request->body_length = 2;
        request->headers = headers;
        request->header_count = 2;
        request->timeout = 3;
        request->limit = 100;
        CHECK(refuse_in_turn(ask_in_want, &questions[i]) > 20);
    }
    server_stop(server);
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

/* While memory is refused, and when there is some again. */
static void keep_messages(void *argument)
{
    struct keeping keeping = {.now = 1};
    struct request *requests[KEPT];
    (void)argument;
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
        step_outbox(&keeping);
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
    CHECK(refuse_in_turn(keep_messages, NULL) > 20);
}

static const struct check_case cases[] = {
    CHECK_CASE(buffer_survives_every_refusal),
    CHECK_CASE(absurd_sizes_are_refused),
    CHECK_CASE(signer_survives_every_refusal),
    CHECK_CASE(signer_is_wiped_before_it_is_freed),
    CHECK_CASE(endpoint_survives_every_refusal),
    CHECK_CASE(request_survives_every_refusal),
    CHECK_CASE(queue_survives_every_refusal),
    CHECK_CASE(transfer_survives_every_refusal),
    CHECK_CASE(engine_survives_every_refusal),
    CHECK_CASE(turning_survives_every_refusal),
    CHECK_CASE(scheduler_survives_every_refusal),
    CHECK_CASE(lane_goes_on_when_its_head_finds_no_memory),
    CHECK_CASE(many_requests_survive_every_refusal),
    CHECK_CASE(exchange_survives_every_refusal),
    CHECK_CASE(outbox_survives_every_refusal),
};

/* ---- the libraries' allocations ---- */

static void plain_free(void *block)
{
    free(block);
}

static void *openssl_malloc(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return malloc_or_refuse(size);
}

static void *openssl_realloc(void *block, size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return realloc_or_refuse(block, size);
}

static void openssl_free(void *block, const char *file, int line)
{
    (void)file;
    (void)line;
    free(block);
}

int main(int count, char **names)
{
    allow_all();
    if (CRYPTO_set_mem_functions(openssl_malloc, openssl_realloc, openssl_free) != 1 ||
        curl_global_init_mem(CURL_GLOBAL_DEFAULT, malloc_or_refuse, plain_free, realloc_or_refuse,
                             strdup_or_refuse, calloc_or_refuse) != CURLE_OK) {
        printf("the libraries do not take this allocator\n");
        return 1;
    }
    int status = CHECK_RUN(cases, count, names);
    curl_global_cleanup();
    return status;
}
