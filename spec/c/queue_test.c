#include "queue.h"

#include <float.h>  /* DBL_MAX DBL_MIN */
#include <math.h>   /* NAN INFINITY */
#include <stdint.h> /* uint64_t */
#include <stdlib.h> /* calloc(3) */
#include <time.h>   /* clock_gettime(2) nanosleep(2) */

#include "check.h"
#include "clock.h"
#include "random.h"

static double now(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void sleep_ms(long milliseconds)
{
    struct timespec time = {.tv_nsec = milliseconds * 1000000};
    (void)nanosleep(&time, NULL);
}

/* Requests that only have their names, in one piece: none of them is ever freed by itself. */
static struct request *numbered(size_t count)
{
    struct request *requests = calloc(count, sizeof *requests);
    for (size_t i = 0; i < count; i++) {
        requests[i].ticket = i;
    }
    return requests;
}

static struct request *chain(struct request *requests, size_t count)
{
    for (size_t i = 0; i + 1 < count; i++) {
        requests[i].next = &requests[i + 1];
    }
    return &requests[count - 1];
}

static bool push_chain(struct queue *queue, struct request *requests, size_t count)
{
    return queue_push(queue, requests, chain(requests, count));
}

static void check_taken(struct queue *queue, uint64_t first, uint64_t count)
{
    uint64_t ticket = first;
    for (struct request *at = queue_take(queue); at != NULL; at = at->next) {
        CHECK_SIZE(at->ticket, ticket);
        ticket++;
    }
    CHECK_SIZE(ticket, first + count);
}

/* ---- order ---- */

static void empty_gives_nothing(void)
{
    struct queue queue;
    CHECK(queue_init(&queue));
    CHECK(queue_take(&queue) == NULL);
    CHECK(queue_take(&queue) == NULL);
    CHECK(!queue_wait(&queue, 0));
    queue_destroy(&queue);
}

static void comes_out_in_order(void)
{
    struct queue queue;
    struct request *requests = numbered(100);
    CHECK(queue_init(&queue));
    for (size_t i = 0; i < 100; i++) {
        CHECK(!queue_push(&queue, &requests[i], &requests[i]));
    }
    check_taken(&queue, 0, 100);
    CHECK(queue_take(&queue) == NULL);
    queue_destroy(&queue);
    free(requests);
}

static void chains_stay_whole(void)
{
    struct queue queue;
    struct request *requests = numbered(60);
    CHECK(queue_init(&queue));
    CHECK(!push_chain(&queue, requests, 1));
    CHECK(!push_chain(&queue, requests + 1, 29));
    CHECK(!push_chain(&queue, requests + 30, 2));
    check_taken(&queue, 0, 32);
    CHECK(!push_chain(&queue, requests + 32, 28));
    check_taken(&queue, 32, 28);
    CHECK(queue_take(&queue) == NULL);
    queue_destroy(&queue);
    free(requests);
}

/* What the last link pointed at before is none of the queue's business. */
static void chain_ends_where_it_is_said_to_end(void)
{
    struct queue queue;
    struct request *requests = numbered(10);
    CHECK(queue_init(&queue));
    (void)chain(requests, 10);
    CHECK(!queue_push(&queue, &requests[0], &requests[3]));
    check_taken(&queue, 0, 4);
    queue_destroy(&queue);
    free(requests);
}

static void what_is_left_is_freed(void)
{
    struct queue queue;
    struct endpoint *endpoint = endpoint_new(&(struct endpoint_settings){.url = "http://x/"});
    CHECK(queue_init(&queue));
    for (int i = 0; i < 5; i++) {
        struct buffer buffer;
        buffer_init(&buffer, REQUEST_FRONT, 10);
        buffer_append_byte(&buffer, 'b');
        struct request *request = request_from_buffer(&buffer, endpoint, "", 0);
        (void)queue_push(&queue, request, request);
    }
    CHECK_SIZE(atomic_load(&endpoint->references), 6);
    queue_destroy(&queue);
    CHECK_SIZE(atomic_load(&endpoint->references), 1);
    endpoint_release(endpoint);
}

/* ---- doze ---- */

static void doze_is_refused_when_there_is_something(void)
{
    struct queue queue;
    struct request *requests = numbered(2);
    CHECK(queue_init(&queue));
    CHECK(!push_chain(&queue, requests, 1));
    CHECK(!queue_doze(&queue));
    CHECK(!push_chain(&queue, requests + 1, 1)); /* nobody dozes, so nobody is to be woken */
    check_taken(&queue, 0, 2);
    CHECK(queue_doze(&queue));
    queue_destroy(&queue);
    free(requests);
}

static void only_the_first_to_push_is_told_of_the_doze(void)
{
    struct queue queue;
    struct request *requests = numbered(6);
    CHECK(queue_init(&queue));
    CHECK(queue_doze(&queue));
    CHECK(queue_doze(&queue));
    CHECK(push_chain(&queue, requests, 2));
    CHECK(!push_chain(&queue, requests + 2, 1));
    CHECK(!push_chain(&queue, requests + 3, 3));
    check_taken(&queue, 0, 6);
    queue_destroy(&queue);
    free(requests);
}

static void take_ends_the_doze(void)
{
    struct queue queue;
    struct request *requests = numbered(1);
    CHECK(queue_init(&queue));
    CHECK(queue_doze(&queue));
    CHECK(queue_take(&queue) == NULL);
    CHECK(!push_chain(&queue, requests, 1));
    check_taken(&queue, 0, 1);
    queue_destroy(&queue);
    free(requests);
}

/* ---- wait ---- */

static void check_wait_of_nothing(double seconds)
{
    struct queue queue;
    CHECK_NOTE("%g seconds", seconds);
    CHECK(queue_init(&queue));
    double began = now();
    CHECK(!queue_wait(&queue, seconds));
    CHECK(now() - began < 1);
    queue_destroy(&queue);
}

static void odd_times_do_not_wait(void)
{
    const double odd[] = {0,    -0.0,    -1,     -1e-300, -DBL_MAX, -INFINITY, NAN,
                          -NAN, DBL_MIN, 1e-320, 1e-12,   1e-9,     0.9e-9,    1e-6};
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        check_wait_of_nothing(odd[i]);
    }
}

static void wait_lasts_as_long_as_it_was_told(void)
{
    struct queue queue;
    CHECK(queue_init(&queue));
    for (int i = 1; i <= 4; i++) {
        double seconds = i * 0.03;
        double began = now();
        CHECK(!queue_wait(&queue, seconds));
        double waited = now() - began;
        CHECK(waited >= seconds - 1e-6);
        CHECK(waited < seconds + 2);
    }
    queue_destroy(&queue);
}

/* The nanoseconds run over into the seconds in most of these, whenever the clock stands. */
static void wait_across_a_second(void)
{
    struct queue queue;
    CHECK(queue_init(&queue));
    double fraction = now() - (double)(time_t)now();
    double began = now();
    CHECK(!queue_wait(&queue, 1.001 - fraction));
    CHECK(now() - began >= 1 - fraction);
    CHECK(now() - began < 4);
    queue_destroy(&queue);
}

static void something_is_not_waited_for(void)
{
    const double seconds[] = {0, -5, NAN, 3600, DBL_MAX, INFINITY};
    struct queue queue;
    struct request *requests = numbered(1);
    CHECK(queue_init(&queue));
    CHECK(!push_chain(&queue, requests, 1));
    for (size_t i = 0; i < sizeof seconds / sizeof seconds[0]; i++) {
        CHECK(queue_wait(&queue, seconds[i]));
    }
    check_taken(&queue, 0, 1);
    queue_destroy(&queue);
    free(requests);
}

struct late {
    struct queue *queue;
    struct request *request;
};

static void *push_late(void *argument)
{
    struct late *late = argument;
    sleep_ms(40);
    (void)queue_push(late->queue, late->request, late->request);
    return NULL;
}

/* Times that are longer than any calendar must not come out as none. */
static void long_wait_ends_with_what_comes(void)
{
    const double seconds[] = {60, 86400, 1e12, 1e300, DBL_MAX, INFINITY};
    for (size_t i = 0; i < sizeof seconds / sizeof seconds[0]; i++) {
        pthread_t thread;
        struct queue queue;
        struct request request = {.ticket = 7};
        struct late late = {&queue, &request};
        CHECK_NOTE("%g seconds", seconds[i]);
        CHECK(queue_init(&queue));
        CHECK_INT(pthread_create(&thread, NULL, push_late, &late), 0);
        CHECK(queue_wait(&queue, seconds[i]));
        (void)pthread_join(thread, NULL);
        check_taken(&queue, 7, 1);
        queue_destroy(&queue);
    }
}

/* ---- two threads ---- */

enum { EXCHANGED = 200000, AHEAD = 5000 };

/* Forth by a queue whose consumer dozes elsewhere, back by one whose consumer waits in it. */
struct exchange {
    struct queue forth;
    struct queue back;
    pthread_mutex_t lock;
    pthread_cond_t woken;
    bool wake;
    size_t dozed;
    size_t wakes;
};

static void sleep_elsewhere(struct exchange *exchange)
{
    (void)pthread_mutex_lock(&exchange->lock);
    while (!exchange->wake) {
        (void)pthread_cond_wait(&exchange->woken, &exchange->lock);
    }
    exchange->wake = false;
    (void)pthread_mutex_unlock(&exchange->lock);
}

static void wake(struct exchange *exchange)
{
    (void)pthread_mutex_lock(&exchange->lock);
    CHECK(!exchange->wake); /* one doze, one wake */
    exchange->wake = true;
    (void)pthread_cond_signal(&exchange->woken);
    (void)pthread_mutex_unlock(&exchange->lock);
}

/* Gives back what came, the chain whole or cut after its first. */
static uint64_t give_back(struct exchange *exchange, struct request *first, uint64_t expected)
{
    struct request *last = first;
    CHECK_SIZE(first->ticket, expected);
    for (expected++; last->next != NULL; expected++) {
        last = last->next;
        CHECK_SIZE(last->ticket, expected);
    }
    struct request *second = first->next;
    if (second != NULL && expected % 2 == 0) {
        (void)queue_push(&exchange->back, first, first);
        first = second;
    }
    (void)queue_push(&exchange->back, first, last);
    return expected;
}

static void *answer_all(void *argument)
{
    struct exchange *exchange = argument;
    uint64_t expected = 0;
    while (expected < EXCHANGED) {
        struct request *first = queue_take(&exchange->forth);
        if (first != NULL) {
            expected = give_back(exchange, first, expected);
        } else if (queue_doze(&exchange->forth)) {
            exchange->dozed++;
            sleep_elsewhere(exchange);
        }
    }
    return NULL;
}

static size_t submit_some(struct exchange *exchange, struct request *requests, size_t most,
                          struct random *random)
{
    size_t count = 1 + (size_t)random_below(random, 8);
    count = count < most ? count : most;
    if (push_chain(&exchange->forth, requests, count)) {
        exchange->wakes++;
        wake(exchange);
    }
    return count;
}

static uint64_t collect(struct exchange *exchange, uint64_t expected)
{
    for (struct request *at = queue_take(&exchange->back); at != NULL; expected++) {
        struct request *next = at->next;
        CHECK_SIZE(at->ticket, expected);
        at->next = NULL;
        at = next;
    }
    return expected;
}

static void submit_and_collect(struct exchange *exchange, struct request *requests)
{
    struct random random = {.state = 200000};
    uint64_t submitted = 0;
    uint64_t collected = 0;
    while (collected < EXCHANGED) {
        if (submitted < EXCHANGED && submitted - collected < AHEAD) {
            submitted +=
                submit_some(exchange, requests + submitted, EXCHANGED - submitted, &random);
        } else {
            CHECK(queue_wait(&exchange->back, 30));
        }
        if (random_below(&random, 50) == 0) {
            CHECK(queue_wait(&exchange->back, submitted > collected ? 30 : 0) ==
                  (submitted > collected));
        }
        collected = collect(exchange, collected);
    }
    CHECK_SIZE(submitted, EXCHANGED);
    CHECK_SIZE(collected, EXCHANGED);
}

static void two_threads_lose_nothing_and_keep_the_order(void)
{
    pthread_t thread;
    struct request *requests = numbered(EXCHANGED);
    struct exchange exchange = {.wake = false};
    (void)pthread_mutex_init(&exchange.lock, NULL);
    (void)pthread_cond_init(&exchange.woken, NULL);
    CHECK(queue_init(&exchange.forth) && queue_init(&exchange.back));
    CHECK_INT(pthread_create(&thread, NULL, answer_all, &exchange), 0);
    submit_and_collect(&exchange, requests);
    CHECK_INT(pthread_join(thread, NULL), 0);
    CHECK_SIZE(exchange.wakes, exchange.dozed);
    CHECK(queue_take(&exchange.forth) == NULL && queue_take(&exchange.back) == NULL);
    queue_destroy(&exchange.forth);
    queue_destroy(&exchange.back);
    (void)pthread_cond_destroy(&exchange.woken);
    (void)pthread_mutex_destroy(&exchange.lock);
    free(requests);
}

/* ---- rouse ---- */

static void *rouse_soon(void *queue)
{
    sleep_ms(20);
    queue_rouse(queue);
    return NULL;
}

/* Before the wait or in it; once, however often it was called. */
static void rouse_ends_one_wait(void)
{
    struct queue queue;
    pthread_t thread;
    CHECK(queue_init(&queue));
    double began = clock_now();
    queue_rouse(&queue);
    queue_rouse(&queue);
    CHECK(!queue_wait(&queue, 20));
    CHECK_INT(pthread_create(&thread, NULL, rouse_soon, &queue), 0);
    CHECK(!queue_wait(&queue, 20));
    (void)pthread_join(thread, NULL);
    CHECK(clock_now() - began < 15);
    began = clock_now();
    CHECK(!queue_wait(&queue, 0.02));
    CHECK(clock_now() - began >= 0.02);
    queue_destroy(&queue);
}

static void rouse_hides_nothing(void)
{
    struct queue queue;
    struct request *request = numbered(1);
    CHECK(queue_init(&queue));
    queue_rouse(&queue);
    (void)push_chain(&queue, request, 1);
    CHECK(queue_wait(&queue, 20));
    CHECK(queue_take(&queue) == request);
    CHECK(!queue_wait(&queue, 0));
    queue_destroy(&queue);
    free(request);
}

/* ---- many threads ---- */

enum { PRODUCERS = 4, EACH = 5000 };

struct producer {
    pthread_t thread;
    struct queue *queue;
    struct request *requests;
};

static void *produce(void *argument)
{
    struct producer *producer = argument;
    for (size_t i = 0; i < EACH; i += 10) {
        (void)push_chain(producer->queue, producer->requests + i, 10);
    }
    return NULL;
}

/* Each producer's own come in their order, and its chains in one piece. */
static void collect_from(struct queue *queue, struct request *requests)
{
    uint64_t next[PRODUCERS] = {0};
    size_t count = 0;
    while (count < PRODUCERS * EACH && CHECK(queue_wait(queue, 30))) {
        uint64_t previous = 9;
        for (struct request *at = queue_take(queue); at != NULL; at = at->next, count++) {
            size_t producer = (size_t)(at - requests) / EACH;
            CHECK_SIZE(at->ticket, producer * EACH + next[producer]);
            CHECK(at->ticket % 10 == 0 || at->ticket == previous + 1);
            previous = at->ticket;
            next[producer]++;
        }
    }
    CHECK_SIZE(count, PRODUCERS * EACH);
}

static void many_threads_may_push(void)
{
    struct producer producers[PRODUCERS];
    struct queue queue;
    struct request *requests = numbered(PRODUCERS * EACH);
    CHECK(queue_init(&queue));
    for (size_t i = 0; i < PRODUCERS; i++) {
        producers[i] = (struct producer){.queue = &queue, .requests = requests + i * EACH};
        CHECK_INT(pthread_create(&producers[i].thread, NULL, produce, &producers[i]), 0);
    }
    collect_from(&queue, requests);
    for (size_t i = 0; i < PRODUCERS; i++) {
        (void)pthread_join(producers[i].thread, NULL);
    }
    queue_destroy(&queue);
    free(requests);
}

static const struct check_case cases[] = {
    CHECK_CASE(empty_gives_nothing),
    CHECK_CASE(comes_out_in_order),
    CHECK_CASE(chains_stay_whole),
    CHECK_CASE(chain_ends_where_it_is_said_to_end),
    CHECK_CASE(what_is_left_is_freed),
    CHECK_CASE(doze_is_refused_when_there_is_something),
    CHECK_CASE(only_the_first_to_push_is_told_of_the_doze),
    CHECK_CASE(take_ends_the_doze),
    CHECK_CASE(odd_times_do_not_wait),
    CHECK_CASE(wait_lasts_as_long_as_it_was_told),
    CHECK_CASE(wait_across_a_second),
    CHECK_CASE(something_is_not_waited_for),
    CHECK_CASE(long_wait_ends_with_what_comes),
    CHECK_CASE(two_threads_lose_nothing_and_keep_the_order),
    CHECK_CASE(rouse_ends_one_wait),
    CHECK_CASE(rouse_hides_nothing),
    CHECK_CASE(many_threads_may_push),
};

int main(int count, char **names)
{
    return CHECK_RUN(cases, count, names);
}
