#include "engine.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h> /* offsetof */
#include <stdint.h> /* uint64_t uintptr_t */
#include <stdlib.h> /* calloc(3) free(3) */

#include <curl/curl.h>

#include "clock.h"
#include "command.h"
#include "traffic.h"
#include "process.h"
#include "queue.h"
#include "signals.h"
#include "wakeup.h"

enum {
    OLDEST_LIBCURL = 0x074400, /* 7.68.0 brought curl_multi_wakeup */
    LONGEST_SLEEP = 10,        /* seconds; submissions and timers end it earlier */
};

struct engine {
    struct queue submissions;
    struct queue answers;
    struct wakeup wakeup;
    atomic_bool stopping;

    pthread_mutex_t driving; /* whoever holds it drives the traffic */
    struct traffic traffic;
    bool knocked; /* somebody waits at the wakeup's listener */

    struct process_member member; /* while there is a thread */
    atomic_bool halted;           /* it has been joined, by the end of the process */

    /* the caller's own */
    pthread_t thread;
    bool running;
    bool has_outbox;       /* the thread uses a store, which may block: nobody else drives */
    unsigned generation;   /* of forks, when it was made */
    struct request *taken; /* answers taken from the queue, not by the program yet */
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static CURLcode global_result = CURLE_FAILED_INIT;

/* What this thread, a caller, drives now. */
static _Thread_local const struct engine *driven;

/* Never undone: the host may use libcurl as well. */
static void initialize(void)
{
    global_result = curl_global_init(CURL_GLOBAL_DEFAULT);
    process_watch();
}

static const char *refusal(void)
{
    const curl_version_info_data *version = curl_version_info(CURLVERSION_NOW);
    if (global_result != CURLE_OK) {
        return "libcurl could not be initialized";
    }
    if (version->version_num < OLDEST_LIBCURL) {
        return "libcurl 7.68.0 or later is needed";
    }
    if ((version->features & CURL_VERSION_ASYNCHDNS) == 0) {
        return "libcurl was built without asynchronous name resolution";
    }
    return NULL;
}

static bool make_parts(struct engine *engine)
{
    if (!queue_init(&engine->submissions)) {
        return false;
    }
    if (!queue_init(&engine->answers)) {
        queue_destroy(&engine->submissions);
        return false;
    }
    if (pthread_mutex_init(&engine->driving, NULL) != 0) {
        queue_destroy(&engine->submissions);
        queue_destroy(&engine->answers);
        return false;
    }
    return true;
}

static struct engine *allocate(void)
{
    struct engine *engine = calloc(1, sizeof *engine);
    if (engine == NULL || !make_parts(engine)) {
        free(engine);
        return NULL;
    }
    atomic_init(&engine->stopping, false);
    atomic_init(&engine->halted, false);
    engine->generation = process_generation();
    wakeup_init(&engine->wakeup);
    return engine;
}

const char *engine_prepare(void)
{
    (void)pthread_once(&once, initialize);
    return refusal();
}

struct engine *engine_new(const char **reason)
{
    *reason = engine_prepare();
    if (*reason != NULL) {
        return NULL;
    }
    struct engine *engine = allocate();
    if (engine == NULL) {
        *reason = "not enough memory";
        return NULL;
    }
    return engine;
}

/* Counts out a question too: nobody is left to decide it. */
static void discard(struct request *request)
{
    if (request->outcome.question) {
        endpoint_dismiss(request->endpoint, request);
    }
    request_free(request);
}

void engine_free(struct engine *engine)
{
    if (engine == NULL) {
        return;
    }
    engine_stop(engine);
    for (struct request *request; (request = engine_take(engine)) != NULL;) {
        discard(request);
    }
    queue_destroy(&engine->submissions);
    queue_destroy(&engine->answers);
    (void)pthread_mutex_destroy(&engine->driving);
    wakeup_destroy(&engine->wakeup);
    free(engine);
}

bool engine_is_inherited(const struct engine *engine)
{
    return engine->generation != process_generation();
}

void engine_abandon(struct engine *engine)
{
    outbox_abandon(&engine->traffic.outbox);
}

/* ---- driving: under its lock ---- */

static bool is_stopping(struct engine *engine)
{
    return atomic_load_explicit(&engine->stopping, memory_order_acquire);
}

/* Hands the finished requests to the caller, a batch at once; false when there are none. */
static bool publish(struct engine *engine)
{
    struct request *last;
    struct request *first = traffic_finished(&engine->traffic, &last);
    if (first != NULL) {
        (void)queue_push(&engine->answers, first, last);
        wakeup_signal(&engine->wakeup);
    }
    return first != NULL;
}

static bool step(struct engine *engine)
{
    if (engine->knocked) {
        engine->knocked = false;
        wakeup_accept(&engine->wakeup);
    }
    double now = clock_now();
    traffic_accept(&engine->traffic, queue_take(&engine->submissions), now);
    traffic_step(&engine->traffic, now);
    return publish(engine);
}

static void sleep_at_most(struct engine *engine, double seconds)
{
    engine->knocked = traffic_sleep(&engine->traffic, wakeup_listener(&engine->wakeup), seconds);
}

/* Whether nothing comes by itself: no answer, and nobody who wants to be told of one. */
static bool may_park(struct engine *engine)
{
    return traffic_is_empty(&engine->traffic) && wakeup_listener(&engine->wakeup) < 0;
}

/* ---- the I/O thread ---- */

static void drive_until_parked(struct engine *engine)
{
    (void)pthread_mutex_lock(&engine->driving);
    while (!is_stopping(engine)) {
        (void)step(engine);
        if (may_park(engine)) {
            break;
        }
        if (queue_doze(&engine->submissions)) {
            sleep_at_most(engine, LONGEST_SLEEP);
        }
    }
    (void)pthread_mutex_unlock(&engine->driving);
}

static void close_requests(struct engine *engine)
{
    (void)pthread_mutex_lock(&engine->driving);
    double now = clock_now();
    traffic_accept(&engine->traffic, queue_take(&engine->submissions), now);
    traffic_close(&engine->traffic, now);
    (void)publish(engine);
    (void)pthread_mutex_unlock(&engine->driving);
}

/* Parks first: who has made the thread may drive. */
static void *run(void *argument)
{
    struct engine *engine = argument;
    while (!is_stopping(engine)) {
        (void)queue_wait(&engine->submissions, LONGEST_SLEEP);
        drive_until_parked(engine);
    }
    close_requests(engine);
    return NULL;
}

/* Wherever the thread sleeps, and whoever drives. */
static void wake_all(struct engine *engine)
{
    traffic_wake(&engine->traffic);
    queue_rouse(&engine->submissions);
}

static void halt(struct engine *engine)
{
    if (!atomic_exchange(&engine->halted, true)) {
        atomic_store_explicit(&engine->stopping, true, memory_order_release);
        wake_all(engine);
        (void)pthread_join(engine->thread, NULL);
    }
}

/*
 * A handler of a signal that came while this thread drives may end the process, as unsound as that
 * is: then the thread is parked and stays so, for want of the lock.
 */
static void halt_member(struct process_member *member)
{
    struct engine *engine =
        (struct engine *)(void *)((char *)member - offsetof(struct engine, member));
    if (driven != engine) {
        halt(engine);
    }
}

/* ---- the caller's side ---- */

/* The thread inherits a mask without the host's signals, so none of its handlers runs there. */
static bool start_thread(struct engine *engine)
{
    struct signals signals;
    signals_hold(&signals);
    bool started = pthread_create(&engine->thread, NULL, run, engine) == 0;
    signals_release(&signals);
    return started;
}

static bool ensure_running(struct engine *engine)
{
    if (engine->running) {
        return true;
    }
    if (!traffic_init(&engine->traffic, (uint64_t)(clock_now() * 1e9) ^ (uintptr_t)engine)) {
        return false;
    }
    atomic_store(&engine->stopping, false);
    atomic_store(&engine->halted, false);
    engine->running = start_thread(engine);
    if (engine->running) {
        engine->member.end = halt_member;
        process_enlist(&engine->member);
    } else {
        traffic_destroy(&engine->traffic);
    }
    return engine->running;
}

static void push(struct engine *engine, struct request *request)
{
    bool is_outboxed = request->endpoint->settings.outbox.driver != NULL;
    engine->has_outbox = engine->has_outbox || is_outboxed;
    if (queue_push(&engine->submissions, request, request)) {
        traffic_wake(&engine->traffic);
    }
}

bool engine_submit(struct engine *engine, struct request *request)
{
    if (!ensure_running(engine)) {
        return false;
    }
    push(engine, request);
    return true;
}

static bool begin_driving(struct engine *engine)
{
    driven = engine; /* before it is so, and until it is no more: see halt_member */
    bool locked = pthread_mutex_trylock(&engine->driving) == 0;
    if (locked && !is_stopping(engine)) {
        return true;
    }
    if (locked) { /* the process ends */
        (void)pthread_mutex_unlock(&engine->driving);
    }
    driven = NULL;
    return false;
}

/* What is left goes on without this thread. */
static void end_driving(struct engine *engine)
{
    bool done = may_park(engine);
    (void)pthread_mutex_unlock(&engine->driving);
    driven = NULL;
    if (!done) {
        queue_rouse(&engine->submissions);
    }
}

/* Until there is an answer, or that time has come. */
static void drive(struct engine *engine, double until)
{
    struct signals signals;
    for (;;) {
        signals_hold(&signals);
        bool answered = step(engine);
        signals_release(&signals);
        double left = answered ? 0 : until - clock_now();
        if (left <= 0 || is_stopping(engine)) {
            return;
        }
        sleep_at_most(engine, left);
    }
}

bool engine_submit_and_drive(struct engine *engine, struct request *request, double seconds)
{
    if (!ensure_running(engine)) {
        return false;
    }
    bool is_outboxed = engine->has_outbox || request->endpoint->settings.outbox.driver != NULL;
    if (is_outboxed || !(seconds > 0) || !begin_driving(engine)) {
        push(engine, request);
        return true;
    }
    double now = clock_now();
    traffic_accept(&engine->traffic, queue_take(&engine->submissions), now);
    traffic_accept(&engine->traffic, request, now);
    drive(engine, now + seconds);
    end_driving(engine);
    return true;
}

void engine_cancel(struct engine *engine, struct endpoint *endpoint)
{
    struct request *request = engine->running ? request_cancel_all(endpoint) : NULL;
    if (request != NULL && !engine_submit(engine, request)) {
        request_free(request);
    }
}

bool engine_is_running(const struct engine *engine)
{
    return engine->running;
}

bool engine_resubmit(struct engine *engine, struct request *request)
{
    return engine->running && engine_submit(engine, request);
}

const struct request *engine_peek(struct engine *engine)
{
    if (engine->taken == NULL) {
        engine->taken = queue_take(&engine->answers);
    }
    return engine->taken;
}

struct request *engine_take(struct engine *engine)
{
    (void)engine_peek(engine);
    struct request *request = engine->taken;
    if (request != NULL) {
        engine->taken = request->next;
        request->next = NULL;
        if (request->verb == REQUEST_COMMAND) {
            command_dismiss(request);
        } else if (!request->outcome.question) {
            endpoint_dismiss(request->endpoint, request);
        }
    }
    return request;
}

bool engine_wait(struct engine *engine, double seconds)
{
    return engine->taken != NULL || queue_wait(&engine->answers, seconds);
}

int engine_descriptor(struct engine *engine)
{
    return wakeup_descriptor(&engine->wakeup);
}

const char *engine_listen(struct engine *engine)
{
    const char *path = ensure_running(engine) ? wakeup_listen(&engine->wakeup) : NULL;
    if (path != NULL) {
        wake_all(engine);
    }
    return path;
}

void engine_calm(struct engine *engine)
{
    wakeup_calm(&engine->wakeup);
}

void engine_remind(struct engine *engine)
{
    wakeup_remind(&engine->wakeup);
}

void engine_stop(struct engine *engine)
{
    struct signals signals;
    if (!engine->running) {
        return;
    }
    process_delist(&engine->member);
    halt(engine);
    engine->running = false;
    engine->has_outbox = false;
    signals_hold(&signals); /* connections are closed */
    traffic_destroy(&engine->traffic);
    signals_release(&signals);
}
