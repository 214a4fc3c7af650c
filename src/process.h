#ifndef SENDAPI_PROCESS_H
#define SENDAPI_PROCESS_H

/*
 * What the process does to those who have a thread: it forks, it ends, it unloads this library.
 * Any thread may call any function.
 */

#include <stdbool.h>

#include "visibility.h"

SENDAPI_HIDDEN_BEGIN

/* Somebody whose thread must be gone before the process takes OpenSSL apart. */
struct process_member {
    void (*end)(struct process_member *member);
    struct process_member *next;
    struct process_member **link;
};

/*
 * Once, before the first member and after curl_global_init: from here on forks are counted, members
 * are ended at the process's end, and the library stays in memory: a resolver's thread that libcurl
 * does not wait for may still run then.
 */
void process_watch(void);

/* The number of forks between the first process and this one. */
unsigned process_generation(void);

/*
 * From here until process_delist, `end` may be called by the thread that ends the process, under
 * the lock of the list; or, in a child, never. Enlisted at most once at a time.
 */
void process_enlist(struct process_member *member);

/* Waits for an `end` that is under way. */
void process_delist(struct process_member *member);

SENDAPI_HIDDEN_END

#endif
