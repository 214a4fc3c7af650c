#include "engine.h"

#include <pthread.h>
#include <signal.h> /* sigfillset(3) */
#include <stdatomic.h>
#include <stdlib.h> /* calloc(3) free(3) */

#include <curl/curl.h>

#include "queue.h"
#include "transfer.h"

enum {
    OLDEST_LIBCURL = 0x074400, /* 7.68.0 brought curl_multi_wakeup */
    KEPT_CONNECTIONS = 1024,   /* idle ones; libcurl's own choice would close most after a burst */
    LONGEST_SLEEP = 10000,     /* milliseconds; submissions and timers end it earlier */
};

struct engine {
    struct queue submissions;
    struct queue answers;
    CURLM *multi;
    atomic_bool stopping;

    /* the caller's own */
    pthread_t thread;
    bool running;
    unsigned generation;   /* of forks, when it was made */
    struct request *taken; /* answers taken from the queue, not by the program yet */

    /* the I/O thread's own */
    struct transfer *idle;
    struct transfer *busy;
    struct request *finished;
    struct request **finished_last;
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static CURLcode global_result = CURLE_FAILED_INIT;
static atomic_uint fork_generation;

static void count_fork(void)
{
    atomic_fetch_add(&fork_generation, 1);
}

/* Never undone: the host may use libcurl as well. */
static void initialize(void)
{
    global_result = curl_global_init(CURL_GLOBAL_DEFAULT);
    (void)pthread_atfork(NULL, NULL, count_fork);
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

static struct engine *allocate(void)
{
    struct engine *engine = calloc(1, sizeof *engine);
    if (engine == NULL || !queue_init(&engine->submissions)) {
        free(engine);
        return NULL;
    }
    if (!queue_init(&engine->answers)) {
        queue_destroy(&engine->submissions);
        free(engine);
        return NULL;
    }
    atomic_init(&engine->stopping, false);
    engine->generation = atomic_load(&fork_generation);
    engine->finished_last = &engine->finished;
    return engine;
}

struct engine *engine_new(const char **reason)
{
    (void)pthread_once(&once, initialize);
    *reason = refusal();
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

void engine_free(struct engine *engine)
{
    if (engine == NULL) {
        return;
    }
    engine_stop(engine);
    for (struct request *request; (request = engine_take(engine)) != NULL;) {
        request_free(request);
    }
    queue_destroy(&engine->submissions);
    queue_destroy(&engine->answers);
    free(engine);
}

bool engine_is_inherited(const struct engine *engine)
{
    return engine->generation != atomic_load_explicit(&fork_generation, memory_order_relaxed);
}

/* ---- the I/O thread ---- */

static void link_busy(struct engine *engine, struct transfer *transfer)
{
    transfer->previous = NULL;
    transfer->next = engine->busy;
    if (engine->busy != NULL) {
        engine->busy->previous = transfer;
    }
    engine->busy = transfer;
}

static void unlink_busy(struct engine *engine, struct transfer *transfer)
{
    if (transfer->previous != NULL) {
        transfer->previous->next = transfer->next;
    } else {
        engine->busy = transfer->next;
    }
    if (transfer->next != NULL) {
        transfer->next->previous = transfer->previous;
    }
}

static struct transfer *pop_idle(struct engine *engine)
{
    struct transfer *transfer = engine->idle;
    if (transfer == NULL) {
        return transfer_new();
    }
    engine->idle = transfer->next;
    return transfer;
}

static void push_idle(struct engine *engine, struct transfer *transfer)
{
    transfer->next = engine->idle;
    engine->idle = transfer;
}

static void finish(struct engine *engine, struct request *request)
{
    request->next = NULL;
    *engine->finished_last = request;
    engine->finished_last = &request->next;
}

/* Hands the finished requests to the caller, a batch at once. */
static void publish(struct engine *engine)
{
    if (engine->finished == NULL) {
        return;
    }
    struct request *last = engine->finished;
    while (last->next != NULL) {
        last = last->next;
    }
    (void)queue_push(&engine->answers, engine->finished, last);
    engine->finished = NULL;
    engine->finished_last = &engine->finished;
}

/* Sends a request for which its endpoint has a connection free. */
static void start(struct engine *engine, struct request *request)
{
    struct transfer *transfer = pop_idle(engine);
    if (transfer == NULL) {
        request->outcome.failure = FAILURE_NO_MEMORY;
        finish(engine, request);
        return;
    }
    struct endpoint *endpoint = request->endpoint;
    if (!transfer_begin(transfer, engine->multi, request)) {
        push_idle(engine, transfer);
        finish(engine, request);
        return;
    }
    endpoint->active++;
    link_busy(engine, transfer);
}

static void append_waiting(struct endpoint *endpoint, struct request *request)
{
    request->next = NULL;
    *endpoint->last = request;
    endpoint->last = &request->next;
}

static struct request *pop_waiting(struct endpoint *endpoint)
{
    struct request *request = endpoint->first;
    if (request != NULL) {
        endpoint->first = request->next;
        if (endpoint->first == NULL) {
            endpoint->last = &endpoint->first;
        }
    }
    return request;
}

static void start_waiting(struct engine *engine, struct endpoint *endpoint)
{
    while (endpoint->first != NULL && endpoint->active < endpoint->settings.connections) {
        start(engine, pop_waiting(endpoint));
    }
}

static void accept_submissions(struct engine *engine)
{
    struct request *request = queue_take(&engine->submissions);
    while (request != NULL) {
        struct request *next = request->next;
        struct endpoint *endpoint = request->endpoint;
        append_waiting(endpoint, request);
        endpoint_retain(endpoint); /* the request may be answered, and gone, before we look again */
        start_waiting(engine, endpoint);
        endpoint_release(endpoint);
        request = next;
    }
}

/* Moves a transfer whose request came back from the busy ones to the idle ones. */
static void retire(struct engine *engine, struct transfer *transfer, struct request *request)
{
    request->endpoint->active--;
    unlink_busy(engine, transfer);
    push_idle(engine, transfer);
    finish(engine, request);
}

static void finish_transfers(struct engine *engine)
{
    int left;
    for (CURLMsg *message; (message = curl_multi_info_read(engine->multi, &left)) != NULL;) {
        if (message->msg != CURLMSG_DONE) {
            continue;
        }
        CURLcode result = message->data.result; /* the message dies with remove_handle */
        struct transfer *transfer = transfer_of(message->easy_handle);
        struct request *request = transfer_end(transfer, engine->multi, result);
        retire(engine, transfer, request);
        start_waiting(engine, request->endpoint);
    }
}

static void close_waiting(struct engine *engine, struct endpoint *endpoint)
{
    for (struct request *request; (request = pop_waiting(endpoint)) != NULL;) {
        request->outcome.failure = FAILURE_CLOSED;
        finish(engine, request);
    }
}

/* Requests wait only at endpoints that have transfers, so the busy ones lead to every request. */
static void close_requests(struct engine *engine)
{
    struct request *submitted = queue_take(&engine->submissions);
    while (submitted != NULL) {
        struct request *next = submitted->next;
        submitted->outcome.failure = FAILURE_CLOSED;
        finish(engine, submitted);
        submitted = next;
    }
    while (engine->busy != NULL) {
        struct transfer *transfer = engine->busy;
        struct request *request = transfer_cancel(transfer, engine->multi);
        close_waiting(engine, request->endpoint);
        retire(engine, transfer, request);
    }
}

static void free_transfers(struct engine *engine)
{
    while (engine->idle != NULL) {
        struct transfer *transfer = engine->idle;
        engine->idle = transfer->next;
        transfer_free(transfer);
    }
}

static void *run(void *argument)
{
    struct engine *engine = argument;
    while (!atomic_load_explicit(&engine->stopping, memory_order_acquire)) {
        int running;
        accept_submissions(engine);
        (void)curl_multi_perform(engine->multi, &running);
        finish_transfers(engine);
        publish(engine);
        if (queue_doze(&engine->submissions)) {
            (void)curl_multi_poll(engine->multi, NULL, 0, LONGEST_SLEEP, NULL);
        }
    }
    close_requests(engine);
    publish(engine);
    free_transfers(engine);
    return NULL;
}

/* ---- the caller's side ---- */

/* The thread inherits a mask without the host's signals, so none of its handlers runs there. */
static bool start_thread(struct engine *engine)
{
    sigset_t blocked;
    sigset_t before;
    (void)sigfillset(&blocked);
    (void)sigdelset(&blocked, SIGILL);
    (void)sigdelset(&blocked, SIGFPE);
    (void)sigdelset(&blocked, SIGSEGV);
    (void)sigdelset(&blocked, SIGBUS);
    (void)pthread_sigmask(SIG_SETMASK, &blocked, &before);
    bool started = pthread_create(&engine->thread, NULL, run, engine) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

static bool ensure_running(struct engine *engine)
{
    if (engine->running) {
        return true;
    }
    engine->multi = curl_multi_init();
    if (engine->multi == NULL) {
        return false;
    }
    (void)curl_multi_setopt(engine->multi, CURLMOPT_MAXCONNECTS, (long)KEPT_CONNECTIONS);
    atomic_store(&engine->stopping, false);
    engine->running = start_thread(engine);
    if (!engine->running) {
        (void)curl_multi_cleanup(engine->multi);
        engine->multi = NULL;
    }
    return engine->running;
}

bool engine_submit(struct engine *engine, struct request *request)
{
    if (!ensure_running(engine)) {
        return false;
    }
    if (queue_push(&engine->submissions, request, request)) {
        (void)curl_multi_wakeup(engine->multi);
    }
    return true;
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
        endpoint_dismiss(request->endpoint, request->length);
    }
    return request;
}

bool engine_wait(struct engine *engine, double seconds)
{
    return engine->taken != NULL || queue_wait(&engine->answers, seconds);
}

void engine_stop(struct engine *engine)
{
    if (!engine->running) {
        return;
    }
    atomic_store_explicit(&engine->stopping, true, memory_order_release);
    (void)curl_multi_wakeup(engine->multi);
    (void)pthread_join(engine->thread, NULL);
    engine->running = false;
    (void)curl_multi_cleanup(engine->multi);
    engine->multi = NULL;
}
