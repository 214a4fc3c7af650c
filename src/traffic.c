#include "traffic.h"

#include "clock.h"

enum {
    KEPT_CONNECTIONS = 1024, /* idle ones; libcurl's own choice would close most after a burst */
};

bool traffic_init(struct traffic *traffic, uint64_t seed)
{
    *traffic = (struct traffic){.multi = curl_multi_init()};
    if (traffic->multi == NULL) {
        return false;
    }
    (void)curl_multi_setopt(traffic->multi, CURLMOPT_MAXCONNECTS, (long)KEPT_CONNECTIONS);
    scheduler_init(&traffic->scheduler, seed);
    outbox_init(&traffic->outbox, &traffic->scheduler, seed);
    return true;
}

void traffic_destroy(struct traffic *traffic)
{
    scheduler_release(&traffic->scheduler);
    (void)curl_multi_cleanup(traffic->multi);
    traffic->multi = NULL;
}

static void link_busy(struct traffic *traffic, struct transfer *transfer)
{
    transfer->previous = NULL;
    transfer->next = traffic->busy;
    if (traffic->busy != NULL) {
        traffic->busy->previous = transfer;
    }
    traffic->busy = transfer;
}

static void unlink_busy(struct traffic *traffic, struct transfer *transfer)
{
    if (transfer->previous != NULL) {
        transfer->previous->next = transfer->next;
    } else {
        traffic->busy = transfer->next;
    }
    if (transfer->next != NULL) {
        transfer->next->previous = transfer->previous;
    }
}

static struct transfer *pop_idle(struct traffic *traffic)
{
    struct transfer *transfer = traffic->idle;
    if (transfer == NULL) {
        return transfer_new();
    }
    traffic->idle = transfer->next;
    return transfer;
}

static void push_idle(struct traffic *traffic, struct transfer *transfer)
{
    transfer->next = traffic->idle;
    traffic->idle = transfer;
}

static struct moment moment_at(double now)
{
    return (struct moment){.now = now, .wall = clock_wall()};
}

/* ---- in ---- */

/* Ends what is on its way, of one endpoint or, for NULL, of all. */
static void cancel_transfers(struct traffic *traffic, const struct endpoint *endpoint, double now)
{
    for (struct transfer *transfer = traffic->busy; transfer != NULL;) {
        struct transfer *next = transfer->next;
        if (endpoint == NULL || transfer->request->endpoint == endpoint) {
            struct request *request = transfer_cancel(transfer, traffic->multi);
            unlink_busy(traffic, transfer);
            push_idle(traffic, transfer);
            scheduler_answered(&traffic->scheduler, request, now);
        }
        transfer = next;
    }
}

static void cancel(struct traffic *traffic, struct request *request, double now)
{
    scheduler_close(&traffic->scheduler, request->endpoint, now);
    cancel_transfers(traffic, request->endpoint, now);
    outbox_cancel(&traffic->outbox, request->endpoint, moment_at(now));
    request_free(request);
}

void traffic_accept(struct traffic *traffic, struct request *request, double now)
{
    while (request != NULL) {
        struct request *next = request->next;
        if (request->verb == REQUEST_CANCEL) {
            cancel(traffic, request, now);
        } else if (outbox_wants(request)) {
            outbox_accept(&traffic->outbox, request, moment_at(now));
        } else {
            scheduler_accept(&traffic->scheduler, request, now);
        }
        request = next;
    }
}

/* ---- through ---- */

static void start(struct traffic *traffic, struct request *request, double now)
{
    struct transfer *transfer = pop_idle(traffic);
    if (transfer == NULL) {
        request->outcome.failure = FAILURE_NO_MEMORY;
        scheduler_answered(&traffic->scheduler, request, now);
        return;
    }
    if (request->outcome.attempts > 0) {
        (void)atomic_fetch_add_explicit(&request->endpoint->retries, 1, memory_order_relaxed);
    }
    if (!transfer_begin(transfer, traffic->multi, request, now)) {
        push_idle(traffic, transfer);
        scheduler_answered(&traffic->scheduler, request, now);
        return;
    }
    link_busy(traffic, transfer);
}

static void start_requests(struct traffic *traffic, double now)
{
    struct request *request;
    while ((request = scheduler_next(&traffic->scheduler, now)) != NULL) {
        start(traffic, request, now);
    }
}

static void finish_transfers(struct traffic *traffic)
{
    int left;
    for (CURLMsg *message; (message = curl_multi_info_read(traffic->multi, &left)) != NULL;) {
        if (message->msg != CURLMSG_DONE) {
            continue;
        }
        CURLcode result = message->data.result; /* the message dies with remove_handle */
        struct transfer *transfer = transfer_of(message->easy_handle);
        struct request *request = transfer_end(transfer, traffic->multi, result);
        unlink_busy(traffic, transfer);
        push_idle(traffic, transfer);
        scheduler_answered(&traffic->scheduler, request, clock_now());
    }
}

static void advance_outbox(struct traffic *traffic)
{
    if (!outbox_is_empty(&traffic->outbox)) {
        outbox_step(&traffic->outbox, moment_at(clock_now()));
    }
}

/* The outbox may wait for a disk: meanwhile servers work on what was sent before. */
void traffic_step(struct traffic *traffic, double now)
{
    int running;
    scheduler_advance(&traffic->scheduler, now);
    bool is_first = outbox_is_pressing(&traffic->outbox, now);
    if (is_first) {
        advance_outbox(traffic);
    }
    start_requests(traffic, now);
    (void)curl_multi_perform(traffic->multi, &running);
    if (!is_first) {
        advance_outbox(traffic);
    }
    finish_transfers(traffic);
}

bool traffic_sleep(struct traffic *traffic, int descriptor, double seconds)
{
    double now = clock_now();
    double idle = scheduler_idle(&traffic->scheduler, now, seconds);
    idle = outbox_idle(&traffic->outbox, now, idle);
    struct curl_waitfd extra = {.fd = descriptor, .events = CURL_WAIT_POLLIN};
    (void)curl_multi_poll(traffic->multi, &extra, descriptor >= 0 ? 1 : 0,
                          (int)(idle * 1000.0 + 0.999), NULL);
    return extra.revents != 0;
}

void traffic_wake(struct traffic *traffic)
{
    (void)curl_multi_wakeup(traffic->multi);
}

/* ---- out ---- */

bool traffic_is_empty(const struct traffic *traffic)
{
    return traffic->scheduler.held == 0 && outbox_is_empty(&traffic->outbox);
}

struct request *traffic_finished(struct traffic *traffic, struct request **last)
{
    struct request *end;
    struct request *sent = scheduler_finished(&traffic->scheduler, &end);
    struct request *stored = outbox_finished(&traffic->outbox, last);
    if (sent == NULL) {
        return stored;
    }
    end->next = stored;
    *last = stored != NULL ? *last : end;
    return sent;
}

void traffic_close(struct traffic *traffic, double now)
{
    scheduler_close(&traffic->scheduler, NULL, now);
    cancel_transfers(traffic, NULL, now);
    outbox_close(&traffic->outbox, moment_at(now));
    while (traffic->idle != NULL) {
        struct transfer *transfer = traffic->idle;
        traffic->idle = transfer->next;
        transfer_free(transfer);
    }
}
