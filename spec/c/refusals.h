#ifndef SENDAPI_REFUSALS_H
#define SENDAPI_REFUSALS_H

/*
 * Every allocation refused in turn: each scenario is run again and again, and each time one more
 * allocation succeeds before one is refused, until none is. Whatever is refused, nothing may crash,
 * leak or get lost.
 *
 * The units are compiled into the program a second time, under names of their own and with an
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

static inline bool must_refuse(size_t size)
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

static inline void *counted(void *block)
{
    atomic_fetch_add(&live, block != NULL);
    return block;
}

static inline void *malloc_or_refuse(size_t size)
{
    return must_refuse(size) ? NULL : malloc(size);
}

static inline void *calloc_or_refuse(size_t count, size_t size)
{
    return must_refuse(size) ? NULL : calloc(count, size);
}

static inline void *realloc_or_refuse(void *block, size_t size)
{
    return must_refuse(size) ? NULL : realloc(block, size);
}

static inline char *strdup_or_refuse(const char *text)
{
    return must_refuse(1) ? NULL : strdup(text);
}

static inline void *counted_realloc(void *block, size_t size)
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

static inline void look_at(const unsigned char *block)
{
    watched.wiped = true;
    for (size_t i = 0; i < watched.size; i++) {
        watched.wiped = watched.wiped && block[i] == 0;
    }
}

static inline void counted_free(void *block)
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
#define letter_filter_copy refused_letter_filter_copy
#define dead_letters_step refused_dead_letters_step
#define command_new refused_command_new
#define command_request refused_command_request
#define command_add_letter refused_command_add_letter
#define command_dismiss refused_command_dismiss
#define command_free refused_command_free
#define deliverer_init refused_deliverer_init
#define deliverer_use refused_deliverer_use
#define deliverer_take_back refused_deliverer_take_back
#define deliverer_step refused_deliverer_step
#define deliverer_hear refused_deliverer_hear
#define deliverer_has_run_out refused_deliverer_has_run_out
#define deliverer_idle refused_deliverer_idle
#define deliverer_is_failing refused_deliverer_is_failing
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
#define deliverer_only_waits refused_deliverer_only_waits
#define deliverer_block_lanes refused_deliverer_block_lanes
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
#define begin begin_letters
#define keep keep_letter
#define put put_filter
#define settle settle_letter
#include "../../src/dead_letters.c"
#undef begin
#undef keep
#undef put
#undef settle
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

#include "check.h"

/* ---- one refusal after the other ---- */

static inline void allow_all(void)
{
    atomic_store(&before_refusal, -1);
}

/* From here on so many allocations succeed as it is this round's turn, and the next is refused. */
static inline void arm(void)
{
    atomic_store(&before_refusal, atomic_load(&round_number));
}

enum { MOST_ALLOCATIONS = 3000 };

/* Runs the scenario until nothing was refused in it; returns how often it ran. */
static inline long refuse_in_turn(void (*scenario)(void *), void *argument)
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

/* ---- the libraries' allocations ---- */

static inline void plain_free(void *block)
{
    free(block);
}

static inline void *openssl_malloc(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return malloc_or_refuse(size);
}

static inline void *openssl_realloc(void *block, size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return realloc_or_refuse(block, size);
}

static inline void openssl_free(void *block, const char *file, int line)
{
    (void)file;
    (void)line;
    free(block);
}

/* Runs the cases with those allocators; the program's status. */
#define REFUSALS_RUN(cases, count, names)                                                          \
    refusals_run(cases, sizeof(cases) / sizeof(cases)[0], count, names)

static inline int refusals_run(const struct check_case *cases, size_t length, int count,
                               char **names)
{
    allow_all();
    if (CRYPTO_set_mem_functions(openssl_malloc, openssl_realloc, openssl_free) != 1 ||
        curl_global_init_mem(CURL_GLOBAL_DEFAULT, malloc_or_refuse, plain_free, realloc_or_refuse,
                             strdup_or_refuse, calloc_or_refuse) != CURLE_OK) {
        printf("the libraries do not take this allocator\n");
        return 1;
    }
    int status = check_run(cases, length, count, names);
    curl_global_cleanup();
    return status;
}

#endif
