#if !defined(_GNU_SOURCE)
#define _GNU_SOURCE /* dladdr(3) */
#endif

#include "process.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h> /* atexit(3) */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct process_member *members;
static atomic_uint generation;

/*
 * The end of the process without that of the state (os.exit): OpenSSL takes itself down next, under
 * the feet of any thread that still works.
 */
static void end_all(void)
{
    (void)pthread_mutex_lock(&lock);
    for (struct process_member *member = members; member != NULL; member = member->next) {
        member->end(member);
    }
    (void)pthread_mutex_unlock(&lock);
}

/* A child has none of its parent's threads, and perhaps a lock that one of them held. */
static void begin_child(void)
{
    (void)atomic_fetch_add(&generation, 1);
    (void)pthread_mutex_init(&lock, NULL);
    members = NULL;
}

/* Part of a program, it is there to the end anyway. */
static void stay_loaded(void)
{
#if defined(RTLD_NODELETE) && defined(RTLD_NOLOAD)
    Dl_info self;
    if (dladdr(&generation, &self) != 0 && self.dli_fname != NULL) {
        (void)dlopen(self.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
    }
#endif
}

void process_watch(void)
{
    stay_loaded();
    (void)pthread_atfork(NULL, NULL, begin_child);
    (void)atexit(end_all); /* runs before what libcurl and OpenSSL have registered by now */
}

unsigned process_generation(void)
{
    return atomic_load_explicit(&generation, memory_order_relaxed);
}

void process_enlist(struct process_member *member)
{
    (void)pthread_mutex_lock(&lock);
    member->next = members;
    member->link = &members;
    if (member->next != NULL) {
        member->next->link = &member->next;
    }
    members = member;
    (void)pthread_mutex_unlock(&lock);
}

void process_delist(struct process_member *member)
{
    (void)pthread_mutex_lock(&lock);
    *member->link = member->next;
    if (member->next != NULL) {
        member->next->link = member->link;
    }
    (void)pthread_mutex_unlock(&lock);
}
