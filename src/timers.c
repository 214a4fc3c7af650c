#include "timers.h"

#include <stdlib.h> /* realloc(3) free(3) */

/* A place counts from 1: 0 means that a request is not in the heap. */
static void place(struct timers *timers, size_t at, struct request *request)
{
    timers->heap[at - 1] = request;
    request->timer = at;
}

static void sift_up(struct timers *timers, struct request *request, size_t at)
{
    while (at > 1 && timers->heap[at / 2 - 1]->due > request->due) {
        place(timers, at, timers->heap[at / 2 - 1]);
        at /= 2;
    }
    place(timers, at, request);
}

static void sift_down(struct timers *timers, struct request *request, size_t at)
{
    while (2 * at <= timers->count) {
        size_t child = 2 * at;
        if (child < timers->count && timers->heap[child]->due < timers->heap[child - 1]->due) {
            child++;
        }
        if (timers->heap[child - 1]->due >= request->due) {
            break;
        }
        place(timers, at, timers->heap[child - 1]);
        at = child;
    }
    place(timers, at, request);
}

bool timers_reserve(struct timers *timers, size_t requests)
{
    if (requests <= timers->capacity) {
        return true;
    }
    size_t capacity = timers->capacity > 0 ? timers->capacity * 2 : 64;
    while (capacity < requests) {
        capacity *= 2;
    }
    struct request **heap = realloc(timers->heap, capacity * sizeof(struct request *));
    if (heap == NULL) {
        return false;
    }
    timers->heap = heap;
    timers->capacity = capacity;
    return true;
}

void timers_set(struct timers *timers, struct request *request, double due)
{
    size_t at = request->timer != 0 ? request->timer : ++timers->count;
    request->due = due;
    if (at > 1 && timers->heap[at / 2 - 1]->due > due) {
        sift_up(timers, request, at);
    } else {
        sift_down(timers, request, at);
    }
}

void timers_clear(struct timers *timers, struct request *request)
{
    size_t at = request->timer;
    if (at == 0) {
        return;
    }
    request->timer = 0;
    struct request *last = timers->heap[--timers->count];
    if (last != request) {
        last->timer = at;
        timers_set(timers, last, last->due);
    }
}

struct request *timers_first(const struct timers *timers)
{
    return timers->count > 0 ? timers->heap[0] : NULL;
}

void timers_release(struct timers *timers)
{
    free(timers->heap);
    *timers = (struct timers){.heap = NULL};
}
