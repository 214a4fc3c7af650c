#include "queue.h"

#include <time.h> /* clock_gettime(2) */

#if defined(__APPLE__)
#define WAIT_CLOCK CLOCK_REALTIME /* has no pthread_condattr_setclock */
#define set_clock(attributes) 0
#else
#define WAIT_CLOCK CLOCK_MONOTONIC
#define set_clock(attributes) pthread_condattr_setclock(attributes, WAIT_CLOCK)
#endif

static const double LONGEST_WAIT = 86400.0; /* seconds */

static bool init_condition(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;
    if (pthread_condattr_init(&attributes) != 0) {
        return false;
    }
    bool fine = set_clock(&attributes) == 0 && pthread_cond_init(condition, &attributes) == 0;
    (void)pthread_condattr_destroy(&attributes);
    return fine;
}

bool queue_init(struct queue *queue)
{
    queue->first = NULL;
    queue->last = &queue->first;
    queue->dozing = false;
    queue->roused = false;
    if (!init_condition(&queue->filled)) {
        return false;
    }
    if (pthread_mutex_init(&queue->lock, NULL) != 0) {
        (void)pthread_cond_destroy(&queue->filled);
        return false;
    }
    return true;
}

void queue_destroy(struct queue *queue)
{
    struct request *request = queue->first;
    while (request != NULL) {
        struct request *next = request->next;
        request_free(request);
        request = next;
    }
    (void)pthread_mutex_destroy(&queue->lock);
    (void)pthread_cond_destroy(&queue->filled);
}

bool queue_push(struct queue *queue, struct request *first, struct request *last)
{
    last->next = NULL;
    (void)pthread_mutex_lock(&queue->lock);
    *queue->last = first;
    queue->last = &last->next;
    bool dozed = queue->dozing;
    queue->dozing = false;
    (void)pthread_mutex_unlock(&queue->lock);
    (void)pthread_cond_signal(&queue->filled); /* now, so that who wakes finds the lock free */
    return dozed;
}

void queue_rouse(struct queue *queue)
{
    (void)pthread_mutex_lock(&queue->lock);
    queue->roused = true;
    (void)pthread_mutex_unlock(&queue->lock);
    (void)pthread_cond_signal(&queue->filled);
}

struct request *queue_take(struct queue *queue)
{
    (void)pthread_mutex_lock(&queue->lock);
    struct request *first = queue->first;
    queue->first = NULL;
    queue->last = &queue->first;
    queue->dozing = false;
    (void)pthread_mutex_unlock(&queue->lock);
    return first;
}

bool queue_doze(struct queue *queue)
{
    (void)pthread_mutex_lock(&queue->lock);
    queue->dozing = queue->first == NULL;
    bool dozing = queue->dozing;
    (void)pthread_mutex_unlock(&queue->lock);
    return dozing;
}

static struct timespec deadline(double seconds)
{
    struct timespec at;
    double wait = seconds > 0 ? (seconds < LONGEST_WAIT ? seconds : LONGEST_WAIT) : 0;
    (void)clock_gettime(WAIT_CLOCK, &at);
    time_t whole = (time_t)wait;
    at.tv_sec += whole;
    at.tv_nsec += (long)((wait - (double)whole) * 1e9);
    if (at.tv_nsec >= 1000000000L) {
        at.tv_nsec -= 1000000000L;
        at.tv_sec++;
    }
    return at;
}

bool queue_wait(struct queue *queue, double seconds)
{
    struct timespec at = deadline(seconds);
    (void)pthread_mutex_lock(&queue->lock);
    int result = 0;
    while (queue->first == NULL && !queue->roused && result == 0) {
        result = pthread_cond_timedwait(&queue->filled, &queue->lock, &at);
    }
    queue->roused = false;
    bool filled = queue->first != NULL;
    (void)pthread_mutex_unlock(&queue->lock);
    return filled;
}
