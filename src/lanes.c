#include "lanes.h"

#include <stdlib.h> /* calloc(3) malloc(3) free(3) */
#include <string.h> /* memcpy(3) memcmp(3) */

struct lane {
    struct lane *next; /* in its bucket */
    const struct endpoint *endpoint;
    uint64_t head;         /* ticket of the request that goes first */
    struct request *first; /* those behind it */
    struct request *last;
    uint32_t hash;
    size_t length;
    char key[];
};

/* FNV-1a over the key and the endpoint's address. */
static uint32_t hash_of(const struct request *request)
{
    uint32_t hash = 2166136261u ^ (uint32_t)((uintptr_t)request->endpoint >> 4);
    const char *key = request_lane(request);
    for (size_t i = 0; i < request->lane_length; i++) {
        hash = (hash ^ (unsigned char)key[i]) * 16777619u;
    }
    return hash ^ (hash >> 15);
}

/* The link that points at the request's lane, or at the end of its bucket. */
static struct lane **find(const struct lanes *lanes, const struct request *request, uint32_t hash)
{
    struct lane **link = &lanes->buckets[hash & (lanes->bucket_count - 1)];
    for (; *link != NULL; link = &(*link)->next) {
        const struct lane *lane = *link;
        if (lane->hash == hash && lane->endpoint == request->endpoint &&
            lane->length == request->lane_length &&
            memcmp(lane->key, request_lane(request), lane->length) == 0) {
            break;
        }
    }
    return link;
}

static bool grow(struct lanes *lanes)
{
    size_t bucket_count = lanes->bucket_count > 0 ? lanes->bucket_count * 2 : 64;
    struct lane **buckets = calloc(bucket_count, sizeof(struct lane *));
    if (buckets == NULL) {
        return lanes->bucket_count > 0; /* longer chains, but it goes on */
    }
    for (size_t i = 0; i < lanes->bucket_count; i++) {
        for (struct lane *lane = lanes->buckets[i]; lane != NULL;) {
            struct lane *next = lane->next;
            struct lane **bucket = &buckets[lane->hash & (bucket_count - 1)];
            lane->next = *bucket;
            *bucket = lane;
            lane = next;
        }
    }
    free(lanes->buckets);
    lanes->buckets = buckets;
    lanes->bucket_count = bucket_count;
    return true;
}

static enum lanes_place make_lane(struct lanes *lanes, const struct request *request,
                                  struct lane **link, uint32_t hash)
{
    struct lane *lane = malloc(sizeof *lane + request->lane_length);
    if (lane == NULL) {
        return LANES_NO_MEMORY;
    }
    *lane = (struct lane){.endpoint = request->endpoint,
                          .head = request->ticket,
                          .hash = hash,
                          .length = request->lane_length};
    memcpy(lane->key, request_lane(request), request->lane_length);
    *link = lane;
    lanes->count++;
    return LANES_HEAD;
}

static void append(struct lane *lane, struct request *request)
{
    request->next = NULL;
    request->previous = lane->last;
    if (lane->last != NULL) {
        lane->last->next = request;
    } else {
        lane->first = request;
    }
    lane->last = request;
}

static void unlink_request(struct lane *lane, struct request *request)
{
    if (request->previous != NULL) {
        request->previous->next = request->next;
    } else {
        lane->first = request->next;
    }
    if (request->next != NULL) {
        request->next->previous = request->previous;
    } else {
        lane->last = request->previous;
    }
    request->next = NULL;
    request->previous = NULL;
}

enum lanes_place lanes_enter(struct lanes *lanes, struct request *request)
{
    if (request->lane_length == 0) {
        return LANES_HEAD;
    }
    if (lanes->count >= lanes->bucket_count && !grow(lanes)) {
        return LANES_NO_MEMORY;
    }
    uint32_t hash = hash_of(request);
    struct lane **link = find(lanes, request, hash);
    if (*link == NULL) {
        return make_lane(lanes, request, link, hash);
    }
    if ((*link)->head == request->ticket) {
        return LANES_HEAD; /* it comes back from the caller who was asked about it */
    }
    append(*link, request);
    return LANES_BEHIND;
}

static void free_lane(struct lanes *lanes, struct lane **link)
{
    struct lane *lane = *link;
    *link = lane->next;
    free(lane);
    lanes->count--;
}

struct request *lanes_leave(struct lanes *lanes, const struct request *request)
{
    if (request->lane_length == 0 || lanes->bucket_count == 0) {
        return NULL;
    }
    struct lane **link = find(lanes, request, hash_of(request));
    struct lane *lane = *link;
    if (lane == NULL || lane->head != request->ticket) {
        return NULL;
    }
    struct request *next = lane->first;
    if (next == NULL) {
        free_lane(lanes, link);
        return NULL;
    }
    unlink_request(lane, next);
    lane->head = next->ticket;
    return next;
}

void lanes_remove(struct lanes *lanes, struct request *request)
{
    struct lane *lane = *find(lanes, request, hash_of(request));
    unlink_request(lane, request);
}

void lanes_release(struct lanes *lanes)
{
    for (size_t i = 0; i < lanes->bucket_count; i++) {
        while (lanes->buckets[i] != NULL) {
            free_lane(lanes, &lanes->buckets[i]);
        }
    }
    free(lanes->buckets);
    *lanes = (struct lanes){.buckets = NULL};
}
