#include "fork_gate.h"

#include <pthread.h>
#include <stdatomic.h>

#include "file_locks.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static unsigned inside;
static unsigned forking;
static atomic_uint generation;

/* Nobody enters any more, so that it does not wait for ever. The lock is kept over the fork. */
static void before_fork(void)
{
    (void)pthread_mutex_lock(&lock);
    forking++;
    while (inside > 0) {
        (void)pthread_cond_wait(&changed, &lock);
    }
}

static void in_parent(void)
{
    forking--;
    (void)pthread_cond_broadcast(&changed);
    (void)pthread_mutex_unlock(&lock);
}

static void in_child(void)
{
    (void)pthread_mutex_init(&lock, NULL);
    (void)pthread_cond_init(&changed, NULL);
    forking = 0;
    (void)atomic_fetch_add(&generation, 1);
}

static void watch(void)
{
    file_locks_watch_forks();
    (void)pthread_atfork(before_fork, in_parent, in_child);
}

void fork_gate_prepare(void)
{
    (void)pthread_once(&once, watch);
}

void fork_gate_enter(void)
{
    (void)pthread_mutex_lock(&lock);
    while (forking > 0) {
        (void)pthread_cond_wait(&changed, &lock);
    }
    inside++;
    (void)pthread_mutex_unlock(&lock);
}

void fork_gate_leave(void)
{
    (void)pthread_mutex_lock(&lock);
    inside--;
    if (inside == 0 && forking > 0) {
        (void)pthread_cond_broadcast(&changed);
    }
    (void)pthread_mutex_unlock(&lock);
}

unsigned fork_gate_generation(void)
{
    return atomic_load_explicit(&generation, memory_order_relaxed);
}
