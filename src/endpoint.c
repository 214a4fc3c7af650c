#include "endpoint.h"

#include <stdlib.h> /* calloc(3) free(3) */
#include <string.h> /* strdup(3) */

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
    if (endpoint == NULL) {
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
    endpoint->last = &endpoint->first;
    atomic_init(&endpoint->references, 1);
    atomic_init(&endpoint->pending, 0);
    atomic_init(&endpoint->pending_bytes, 0);
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
    free(endpoint);
}

/* Adds to a counter unless it would pass the limit. */
static bool add_within(atomic_size_t *counter, size_t amount, size_t limit)
{
    size_t before = atomic_load_explicit(counter, memory_order_relaxed);
    do {
        if (amount > limit || before > limit - amount) {
            return false;
        }
    } while (!atomic_compare_exchange_weak_explicit(counter, &before, before + amount,
                                                    memory_order_relaxed, memory_order_relaxed));
    return true;
}

bool endpoint_admit(struct endpoint *endpoint, size_t bytes)
{
    if (!add_within(&endpoint->pending, 1, endpoint->settings.max_pending)) {
        return false;
    }
    if (!add_within(&endpoint->pending_bytes, bytes, endpoint->settings.max_pending_bytes)) {
        atomic_fetch_sub_explicit(&endpoint->pending, 1, memory_order_relaxed);
        return false;
    }
    return true;
}

void endpoint_dismiss(struct endpoint *endpoint, size_t bytes)
{
    atomic_fetch_sub_explicit(&endpoint->pending, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&endpoint->pending_bytes, bytes, memory_order_relaxed);
}
