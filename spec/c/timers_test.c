#include "timers.h"

#include <stdlib.h> /* calloc(3) */

#include "check.h"
#include "random.h"

enum { REQUESTS = 300 };

/* Walks the heap: no request is due before the one above it, and each knows its place. */
static void check_heap(const struct timers *timers)
{
    for (size_t i = 1; i <= timers->count; i++) {
        CHECK_SIZE(timers->heap[i - 1]->timer, i);
        CHECK(i == 1 || timers->heap[i / 2 - 1]->due <= timers->heap[i - 1]->due);
    }
}

static void empty_has_no_first(void)
{
    struct timers timers = {.heap = NULL};
    struct request request = {.ticket = 1};
    CHECK(timers_first(&timers) == NULL);
    timers_clear(&timers, &request);
    CHECK(timers_reserve(&timers, 0));
    timers_release(&timers);
    timers_release(&timers);
}

static void one_comes_and_goes(void)
{
    struct timers timers = {.heap = NULL};
    struct request request = {.ticket = 1};
    CHECK(timers_reserve(&timers, 1));
    timers_set(&timers, &request, 5);
    CHECK(timers_first(&timers) == &request && request.due == 5);
    timers_set(&timers, &request, 3);
    CHECK_SIZE(timers.count, 1);
    CHECK(request.due == 3);
    timers_clear(&timers, &request);
    timers_clear(&timers, &request);
    CHECK(timers_first(&timers) == NULL);
    CHECK_SIZE(request.timer, 0);
    timers_release(&timers);
}

static void check_drained_in_order(struct timers *timers, size_t count)
{
    double before = -1e300;
    struct request *first;
    for (; (first = timers_first(timers)) != NULL; count--) {
        CHECK(first->due >= before);
        before = first->due;
        timers_clear(timers, first);
    }
    CHECK_SIZE(count, 0);
}

static void comes_out_by_time(void)
{
    static struct request requests[REQUESTS];
    struct timers timers = {.heap = NULL};
    struct random random = {.state = 9};
    CHECK(timers_reserve(&timers, REQUESTS));
    for (size_t kind = 0; kind < 4; kind++) {
        for (size_t i = 0; i < REQUESTS; i++) {
            double due[] = {(double)i, -(double)i, 1, (double)random_below(&random, 50)};
            timers_set(&timers, &requests[i], due[kind]);
        }
        check_heap(&timers);
        check_drained_in_order(&timers, REQUESTS);
    }
    timers_release(&timers);
}

static void room_grows_and_keeps_what_is_there(void)
{
    struct request *requests = calloc(5000, sizeof *requests);
    struct timers timers = {.heap = NULL};
    for (size_t i = 0; i < 5000; i++) {
        CHECK(timers_reserve(&timers, i + 1));
        timers_set(&timers, &requests[i], (double)(i * 7919 % 5000));
    }
    check_heap(&timers);
    check_drained_in_order(&timers, 5000);
    timers_release(&timers);
    free(requests);
}

/* What the heap should hold, in no order. */
struct model {
    double due[REQUESTS]; /* negative: not in */
    size_t count;
};

static void model_set(struct model *model, size_t at, double due)
{
    model->count += (due >= 0) - (size_t)(model->due[at] >= 0);
    model->due[at] = due;
}

static double model_first(const struct model *model)
{
    double first = -1;
    for (size_t i = 0; i < REQUESTS; i++) {
        if (model->due[i] >= 0 && (first < 0 || model->due[i] < first)) {
            first = model->due[i];
        }
    }
    return first;
}

static void change(struct timers *timers, struct request *requests, struct model *model,
                   struct random *random)
{
    size_t at = (size_t)random_below(random, REQUESTS);
    if (random_below(random, 3) == 0) {
        timers_clear(timers, &requests[at]);
        model_set(model, at, -1);
    } else {
        double due = (double)random_below(random, 1000) / 8;
        timers_set(timers, &requests[at], due);
        model_set(model, at, due);
    }
}

static void random_changes_beside_a_model(void)
{
    static struct request requests[REQUESTS];
    struct timers timers = {.heap = NULL};
    struct model model = {.count = 0};
    struct random random = {.state = 1234};
    for (size_t i = 0; i < REQUESTS; i++) {
        model.due[i] = -1;
    }
    CHECK(timers_reserve(&timers, REQUESTS));
    for (int i = 0; i < 20000; i++) {
        CHECK_NOTE("change %d", i);
        change(&timers, requests, &model, &random);
        const struct request *first = timers_first(&timers);
        CHECK_SIZE(timers.count, model.count);
        CHECK((first != NULL ? first->due : -1) == model_first(&model));
        if (i % 100 == 0) {
            check_heap(&timers);
        }
    }
    check_drained_in_order(&timers, model.count);
    timers_release(&timers);
}

static const struct check_case cases[] = {
    CHECK_CASE(empty_has_no_first),
    CHECK_CASE(one_comes_and_goes),
    CHECK_CASE(comes_out_by_time),
    CHECK_CASE(room_grows_and_keeps_what_is_there),
    CHECK_CASE(random_changes_beside_a_model),
};

int main(int count, char **names)
{
    return CHECK_RUN(cases, count, names);
}
