#include "engine.h"

#include <pthread.h>
#include <signal.h> /* sigfillset(3) */
#include <stdatomic.h>
#include <stdint.h> /* uint64_t uintptr_t */
#include <stdlib.h> /* atexit(3) calloc(3) free(3) */

#include <curl/curl.h>

#include "clock.h"
#include "queue.h"
#include "scheduler.h"
#include "transfer.h"
#include "wakeup.h"

enum {
    OLDEST_LIBCURL = 0x074400, /* 7.68.0 brought curl_multi_wakeup */
    KEPT_CONNECTIONS = 1024,   /* idle ones; libcurl's own choice would close most after a burst */
    LONGEST_SLEEP = 10,        /* seconds; submissions and timers end it earlier */
};

struct engine {
    struct queue submissions;
    struct queue answers;
    struct wakeup wakeup;
    CURLM *multi;
    atomic_bool stopping;

    atomic_bool halted;  /* the thread has been joined, by the end of the process */
    struct engine *next; /* among the running ones, under their lock */
    struct engine **link;

    /* the caller's own */
    pthread_t thread;
    bool running;
    unsigned generation;   /* of forks, when it was made */
    struct request *taken; /* answers taken from the queue, not by the program yet */

    /* the I/O thread's own */
    struct scheduler scheduler;
    struct transfer *idle;
    struct transfer *busy;
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static CURLcode global_result = CURLE_FAILED_INIT;
static atomic_uint fork_generation;

/* Engines with a thread, for the end of the process. */
static pthread_mutex_t running_lock = PTHREAD_MUTEX_INITIALIZER;
static struct engine *running_engines;

static void enlist(struct engine *engine)
{
    (void)pthread_mutex_lock(&running_lock);
    engine->next = running_engines;
    engine->link = &running_engines;
    if (engine->next != NULL) {
        engine->next->link = &engine->next;
    }
    running_engines = engine;
    (void)pthread_mutex_unlock(&running_lock);
}

static void delist(struct engine *engine)
{
    (void)pthread_mutex_lock(&running_lock);
    *engine->link = engine->next;
    if (engine->next != NULL) {
        engine->next->link = engine->link;
    }
    (void)pthread_mutex_unlock(&running_lock);
}

static void halt(struct engine *engine)
{
    if (!atomic_exchange(&engine->halted, true)) {
        atomic_store_explicit(&engine->stopping, true, memory_order_release);
        (void)curl_multi_wakeup(engine->multi);
        (void)pthread_join(engine->thread, NULL);
    }
}

/*
 * The end of the process without that of the state (os.exit): OpenSSL takes itself down next, under
 * the feet of any thread that still works.
 */
static void halt_all(void)
{
    (void)pthread_mutex_lock(&running_lock);
    for (struct engine *engine = running_engines; engine != NULL; engine = engine->next) {
        halt(engine);
    }
    (void)pthread_mutex_unlock(&running_lock);
}

/* A child has none of its parent's threads, and perhaps a lock that one of them held. */
static void forget_running(void)
{
    (void)pthread_mutex_init(&running_lock, NULL);
    running_engines = NULL;
}

static void count_fork(void)
{
    atomic_fetch_add(&fork_generation, 1);
    forget_running();
}

/* Never undone: the host may use libcurl as well. */
static void initialize(void)
{
    global_result = curl_global_init(CURL_GLOBAL_DEFAULT);
    (void)pthread_atfork(NULL, NULL, count_fork);
    (void)atexit(halt_all); /* runs before what libcurl and OpenSSL have registered by now */
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
    wakeup_destroy(&engine->wakeup);
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

/* Hands the finished requests to the caller, a batch at once. */
static void publish(struct engine *engine)
{
    struct request *last;
    struct request *first = scheduler_finished(&engine->scheduler, &last);
    if (first != NULL) {
        (void)queue_push(&engine->answers, first, last);
        wakeup_signal(&engine->wakeup);
    }
}

static void start(struct engine *engine, struct request *request, double now)
{
    struct transfer *transfer = pop_idle(engine);
    if (transfer == NULL) {
        request->outcome.failure = FAILURE_NO_MEMORY;
        scheduler_answered(&engine->scheduler, request, now);
        return;
    }
    if (request->outcome.attempts > 0) {
        (void)atomic_fetch_add_explicit(&request->endpoint->retries, 1, memory_order_relaxed);
    }
    if (!transfer_begin(transfer, engine->multi, request, now)) {
        push_idle(engine, transfer);
        scheduler_answered(&engine->scheduler, request, now);
        return;
    }
    link_busy(engine, transfer);
}

static void start_requests(struct engine *engine, double now)
{
    struct request *request;
    while ((request = scheduler_next(&engine->scheduler, now)) != NULL) {
        start(engine, request, now);
    }
}

/* Ends what is on its way, of one endpoint or, for NULL, of all. */
static void cancel_transfers(struct engine *engine, const struct endpoint *endpoint, double now)
{
    for (struct transfer *transfer = engine->busy; transfer != NULL;) {
        struct transfer *next = transfer->next;
        if (endpoint == NULL || transfer->request->endpoint == endpoint) {
            struct request *request = transfer_cancel(transfer, engine->multi);
            unlink_busy(engine, transfer);
            push_idle(engine, transfer);
            scheduler_answered(&engine->scheduler, request, now);
        }
        transfer = next;
    }
}

static void cancel(struct engine *engine, struct request *request, double now)
{
    scheduler_close(&engine->scheduler, request->endpoint, now);
    cancel_transfers(engine, request->endpoint, now);
    request_free(request);
}

static void accept_submissions(struct engine *engine, double now)
{
    struct request *request = queue_take(&engine->submissions);
    while (request != NULL) {
        struct request *next = request->next;
        if (request->verb == REQUEST_CANCEL) {
            cancel(engine, request, now);
        } else {
            scheduler_accept(&engine->scheduler, request, now);
        }
        request = next;
    }
}

static void finish_transfers(struct engine *engine, double now)
{
    int left;
    for (CURLMsg *message; (message = curl_multi_info_read(engine->multi, &left)) != NULL;) {
        if (message->msg != CURLMSG_DONE) {
            continue;
        }
        CURLcode result = message->data.result; /* the message dies with remove_handle */
        struct transfer *transfer = transfer_of(message->easy_handle);
        struct request *request = transfer_end(transfer, engine->multi, result);
        unlink_busy(engine, transfer);
        push_idle(engine, transfer);
        scheduler_answered(&engine->scheduler, request, now);
    }
}

static void close_requests(struct engine *engine)
{
    double now = clock_now();
    accept_submissions(engine, now);
    scheduler_close(&engine->scheduler, NULL, now);
    cancel_transfers(engine, NULL, now);
}

static void free_transfers(struct engine *engine)
{
    while (engine->idle != NULL) {
        struct transfer *transfer = engine->idle;
        engine->idle = transfer->next;
        transfer_free(transfer);
    }
}

/* Sleeps until there is something to do: bytes, submissions, a timer, a client of the wakeup. */
static void doze(struct engine *engine)
{
    double idle = scheduler_idle(&engine->scheduler, clock_now(), LONGEST_SLEEP);
    int listener = wakeup_listener(&engine->wakeup);
    struct curl_waitfd extra = {.fd = listener, .events = CURL_WAIT_POLLIN};
    if (queue_doze(&engine->submissions)) {
        (void)curl_multi_poll(engine->multi, &extra, listener >= 0 ? 1 : 0,
                              (int)(idle * 1000.0 + 0.999), NULL);
    }
    if (extra.revents != 0) {
        wakeup_accept(&engine->wakeup);
    }
}

static void *run(void *argument)
{
    struct engine *engine = argument;
    while (!atomic_load_explicit(&engine->stopping, memory_order_acquire)) {
        int running;
        double now = clock_now();
        accept_submissions(engine, now);
        scheduler_advance(&engine->scheduler, now);
        start_requests(engine, now);
        (void)curl_multi_perform(engine->multi, &running);
        finish_transfers(engine, clock_now());
        publish(engine);
        doze(engine);
    }
    close_requests(engine);
    publish(engine);
    free_transfers(engine);
    scheduler_release(&engine->scheduler);
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
    atomic_store(&engine->halted, false);
    scheduler_init(&engine->scheduler, (uint64_t)(clock_now() * 1e9) ^ (uintptr_t)engine);
    engine->running = start_thread(engine);
    if (engine->running) {
        enlist(engine);
    } else {
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

void engine_cancel(struct engine *engine, struct endpoint *endpoint)
{
    struct request *request = engine->running ? request_cancel_all(endpoint) : NULL;
    if (request != NULL && !engine_submit(engine, request)) {
        request_free(request);
    }
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
        if (!request->outcome.question) {
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
        (void)curl_multi_wakeup(engine->multi);
    }
    return path;
}

void engine_calm(struct engine *engine)
{
    wakeup_calm(&engine->wakeup);
}

void engine_stop(struct engine *engine)
{
    if (!engine->running) {
        return;
    }
    delist(engine);
    halt(engine);
    engine->running = false;
    (void)curl_multi_cleanup(engine->multi);
    engine->multi = NULL;
}
