#include "endpoint.h"

#include <stdlib.h> /* calloc(3) free(3) */
#include <string.h> /* strdup(3) */

#include "hmac.h"
#include "request.h"

/* Copies a text that may be NULL; clears *fine when there is no memory. */
static const char *copy(const char *text, bool *fine)
{
    char *copied = text != NULL ? strdup(text) : NULL;
    *fine = *fine && (text == NULL || copied != NULL);
    return copied;
}

struct endpoint *endpoint_new(const struct endpoint_settings *settings)
{
    struct endpoint *endpoint = calloc(1, sizeof *endpoint);
    if (endpoint == NULL || pthread_mutex_init(&endpoint->lock, NULL) != 0) {
        free(endpoint);
        return NULL;
    }
    bool fine = true;
    endpoint->settings = *settings;
    if (settings->connections == 0) {
        endpoint->settings.connections = 1;
    }
    endpoint->settings.url = copy(settings->url, &fine);
    endpoint->settings.user_agent = copy(settings->user_agent, &fine);
    endpoint->settings.ca_file = copy(settings->ca_file, &fine);
    endpoint->settings.proxy = copy(settings->proxy, &fine);
    endpoint->settings.outbox.path = copy(settings->outbox.path, &fine);
    endpoint->settings.outbox.source = copy(settings->outbox.source, &fine);
    endpoint->settings.outbox.key = NULL; /* the caller's: it may be gone soon */
    endpoint->key = settings->outbox.key != NULL ? hmac_copy(settings->outbox.key) : NULL;
    fine = fine && (settings->outbox.key == NULL || endpoint->key != NULL);
    retry_bucket_init(&endpoint->bucket);
    atomic_init(&endpoint->references, 1);
    atomic_init(&endpoint->retries, 0);
    atomic_init(&endpoint->notices, 0);
    if (!fine) {
        endpoint_release(endpoint);
        return NULL;
    }
    return endpoint;
}

void endpoint_retain(struct endpoint *endpoint)
{
    atomic_fetch_add_explicit(&endpoint->references, 1, memory_order_relaxed);
}

void endpoint_release(struct endpoint *endpoint)
{
    if (endpoint == NULL ||
        atomic_fetch_sub_explicit(&endpoint->references, 1, memory_order_acq_rel) != 1) {
        return;
    }
    free((void *)endpoint->settings.url);
    free((void *)endpoint->settings.user_agent);
    free((void *)endpoint->settings.ca_file);
    free((void *)endpoint->settings.proxy);
    free((void *)endpoint->settings.outbox.path);
    free((void *)endpoint->settings.outbox.source);
    hmac_free(endpoint->key);
    (void)pthread_mutex_destroy(&endpoint->lock);
    free(endpoint);
}

bool endpoint_admit(struct endpoint *endpoint, size_t bytes)
{
    const struct endpoint_settings *settings = &endpoint->settings;
    if (endpoint->pending >= settings->max_pending || bytes > settings->max_pending_bytes ||
        endpoint->pending_bytes > settings->max_pending_bytes - bytes) {
        return false;
    }
    endpoint->pending++;
    endpoint->pending_bytes += bytes;
    endpoint->counters.accepted++;
    endpoint->counters.bytes += bytes;
    return true;
}

static void subtract(struct endpoint *endpoint, size_t bytes)
{
    endpoint->pending--;
    endpoint->pending_bytes -= bytes;
}

void endpoint_withdraw(struct endpoint *endpoint, size_t bytes)
{
    subtract(endpoint, bytes);
    endpoint->counters.accepted--;
    endpoint->counters.bytes -= bytes;
}

void endpoint_set_figures(struct endpoint *endpoint, const struct endpoint_figures *figures)
{
    (void)pthread_mutex_lock(&endpoint->lock);
    endpoint->figures = *figures;
    (void)pthread_mutex_unlock(&endpoint->lock);
}

struct endpoint_figures endpoint_figures(struct endpoint *endpoint)
{
    (void)pthread_mutex_lock(&endpoint->lock);
    struct endpoint_figures figures = endpoint->figures;
    (void)pthread_mutex_unlock(&endpoint->lock);
    return figures;
}

static bool is_refused(const struct outcome *outcome)
{
    enum failure_class class = failure_row(outcome->failure)->class;
    return outcome->status > 0 && class != CLASS_TRANSIENT && class != CLASS_LOCAL;
}

void endpoint_dismiss(struct endpoint *endpoint, const struct request *request)
{
    struct endpoint_counters *counters = &endpoint->counters;
    const struct outcome *outcome = &request->outcome;
    subtract(endpoint, request->length);
    if (outcome->failure == FAILURE_NONE) {
        counters->delivered += !request->is_stored;
        counters->stored += request->is_stored;
        histogram_record(&counters->latency, outcome->seconds);
    } else if (is_refused(outcome)) {
        counters->refused++;
    } else {
        counters->failed++;
    }
}
