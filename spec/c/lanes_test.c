#include "lanes.h"

#include <stdio.h> /* snprintf(3) */

#include "check.h"
#include "made.h"
#include "random.h"

/* Leaves the lane, and gives the ticket of the next; 0: there is none. */
static uint64_t leave(struct lanes *lanes, struct request *request)
{
    const struct request *next = lanes_leave(lanes, request);
    CHECK(next == NULL || (next->next == NULL && next->previous == NULL));
    return next != NULL ? next->ticket : 0;
}

static void free_all(struct request *const *requests, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        request_free(requests[i]);
    }
}

static void one_behind_the_other(void)
{
    struct endpoint *endpoint = made_endpoint(1);
    struct lanes lanes = {.buckets = NULL};
    struct request *requests[5];
    for (uint64_t i = 0; i < 5; i++) {
        requests[i] = made_request(endpoint, "lane", i + 1);
        CHECK_INT(lanes_enter(&lanes, requests[i]), i == 0 ? LANES_HEAD : LANES_BEHIND);
    }
    CHECK_SIZE(lanes.count, 1);
    CHECK(lanes_leave(&lanes, requests[3]) == NULL); /* it heads no lane */
    for (uint64_t i = 0; i < 5; i++) {
        CHECK_SIZE(leave(&lanes, requests[i]), i < 4 ? i + 2 : 0);
    }
    CHECK_SIZE(lanes.count, 0);
    CHECK(lanes_leave(&lanes, requests[4]) == NULL);
    lanes_release(&lanes);
    free_all(requests, 5);
    endpoint_release(endpoint);
}

static void keys_and_endpoints_are_told_apart(void)
{
    static const char *const keys[] = {"a", "b", "A", "ab", "a ", "aa"};
    struct endpoint *endpoints[2] = {made_endpoint(1), made_endpoint(1)};
    struct lanes lanes = {.buckets = NULL};
    struct request *requests[12];
    for (size_t i = 0; i < 12; i++) {
        requests[i] = made_request(endpoints[i / 6], keys[i % 6], i + 1);
        CHECK_INT(lanes_enter(&lanes, requests[i]), LANES_HEAD);
    }
    CHECK_SIZE(lanes.count, 12);
    lanes_release(&lanes);
    CHECK_SIZE(lanes.count, 0);
    free_all(requests, 12);
    endpoint_release(endpoints[0]);
    endpoint_release(endpoints[1]);
}

static void without_a_key_there_is_no_order(void)
{
    struct endpoint *endpoint = made_endpoint(1);
    struct lanes lanes = {.buckets = NULL};
    struct request *requests[2] = {made_request(endpoint, "", 1), made_request(endpoint, "", 2)};
    CHECK(lanes_leave(&lanes, requests[0]) == NULL);
    CHECK_INT(lanes_enter(&lanes, requests[0]), LANES_HEAD);
    CHECK_INT(lanes_enter(&lanes, requests[1]), LANES_HEAD);
    CHECK_SIZE(lanes.count, 0);
    CHECK(lanes_leave(&lanes, requests[1]) == NULL);
    lanes_release(&lanes);
    free_all(requests, 2);
    endpoint_release(endpoint);
}

/* A head that was away (with the caller) and comes back is still the head. */
static void head_may_enter_again(void)
{
    struct endpoint *endpoint = made_endpoint(1);
    struct lanes lanes = {.buckets = NULL};
    struct request *requests[2] = {made_request(endpoint, "l", 1), made_request(endpoint, "l", 2)};
    CHECK_INT(lanes_enter(&lanes, requests[0]), LANES_HEAD);
    CHECK_INT(lanes_enter(&lanes, requests[1]), LANES_BEHIND);
    CHECK_INT(lanes_enter(&lanes, requests[0]), LANES_HEAD);
    CHECK_SIZE(leave(&lanes, requests[0]), 2);
    CHECK_SIZE(leave(&lanes, requests[1]), 0);
    lanes_release(&lanes);
    free_all(requests, 2);
    endpoint_release(endpoint);
}

static void those_behind_may_go_from_anywhere(void)
{
    for (uint64_t gone = 2; gone <= 4; gone++) {
        struct endpoint *endpoint = made_endpoint(1);
        struct lanes lanes = {.buckets = NULL};
        struct request *requests[4];
        for (uint64_t i = 0; i < 4; i++) {
            requests[i] = made_request(endpoint, "lane", i + 1);
            (void)lanes_enter(&lanes, requests[i]);
        }
        lanes_remove(&lanes, requests[gone - 1]);
        for (uint64_t i = 1; i <= 4; i++) {
            uint64_t next = i + 1 == gone ? i + 2 : i + 1;
            CHECK_SIZE(i == gone ? 0 : leave(&lanes, requests[i - 1]),
                       i == gone || next > 4 ? 0 : next);
        }
        CHECK_SIZE(lanes.count, 0);
        lanes_release(&lanes);
        free_all(requests, 4);
        endpoint_release(endpoint);
    }
}

/* ---- many lanes, beside a model ---- */

enum { LANES = 500, REQUESTS = 4000 };

static void many_lanes_keep_their_order(void)
{
    static struct request *requests[REQUESTS];
    static uint64_t head[LANES]; /* ticket; 0: the lane is empty */
    struct endpoint *endpoint = made_endpoint(1);
    struct lanes lanes = {.buckets = NULL};
    struct random random = {.state = 500};
    for (uint64_t i = 0; i < REQUESTS; i++) {
        char key[16];
        size_t lane = (size_t)random_below(&random, LANES);
        (void)snprintf(key, sizeof key, "thread-%zu", lane);
        requests[i] = made_request(endpoint, key, lane + 1 + LANES * i);
        CHECK_INT(lanes_enter(&lanes, requests[i]), head[lane] == 0 ? LANES_HEAD : LANES_BEHIND);
        head[lane] = head[lane] == 0 ? requests[i]->ticket : head[lane];
    }
    for (uint64_t i = 0; i < REQUESTS; i++) { /* in the order of their coming, each is the head */
        size_t lane = (requests[i]->ticket - 1) % LANES;
        CHECK_SIZE(head[lane], requests[i]->ticket);
        head[lane] = leave(&lanes, requests[i]);
        CHECK(head[lane] == 0 || head[lane] > requests[i]->ticket);
    }
    CHECK_SIZE(lanes.count, 0);
    lanes_release(&lanes);
    free_all(requests, REQUESTS);
    endpoint_release(endpoint);
}

static const struct check_case cases[] = {
    CHECK_CASE(one_behind_the_other),
    CHECK_CASE(keys_and_endpoints_are_told_apart),
    CHECK_CASE(without_a_key_there_is_no_order),
    CHECK_CASE(head_may_enter_again),
    CHECK_CASE(those_behind_may_go_from_anywhere),
    CHECK_CASE(many_lanes_keep_their_order),
};

int main(int count, char **names)
{
    return CHECK_RUN(cases, count, names);
}
