/* The scheduler through long lives at random: each request ends once, and lanes keep their order. */

#include "scheduler.h"

#include <stdio.h> /* snprintf(3) */

#include "random.h"
#include "scheduler_fixture.h"

enum { EVENTS = 40000, MOST = 20000, ENDPOINTS = 3, LANES = 12, FLYING = 64 };

struct story {
    struct scheduler scheduler;
    struct endpoint *endpoints[ENDPOINTS];
    struct random random;
    double now;
    uint64_t accepted;
    uint64_t finished;
    struct request *flying[FLYING];
    size_t flying_count;
    struct request *asked[MOST]; /* with the caller */
    size_t asked_count;
    unsigned char ended[MOST];            /* how often, by ticket */
    unsigned char lane_of[MOST];          /* 0: none; of the endpoint that the ticket says */
    uint64_t sent_last[ENDPOINTS][LANES]; /* ticket of the last first attempt */
    uint64_t busy[ENDPOINTS][LANES];      /* ticket on its way, or to be sent again */
};

static bool one_in(struct story *story, uint64_t chances)
{
    return random_below(&story->random, chances) == 0;
}

static void submit_something(struct story *story)
{
    uint64_t ticket = story->accepted + 1;
    if (ticket >= MOST) {
        return;
    }
    char lane[8] = "";
    unsigned number = (unsigned)random_below(&story->random, LANES);
    if (number > 0) {
        (void)snprintf(lane, sizeof lane, "lane%u", number);
    }
    struct endpoint *endpoint = story->endpoints[ticket % ENDPOINTS];
    struct request *request = made_request(endpoint, lane, ticket);
    request->submitted = story->now;
    request->deadline = story->now + (double)(1 + random_below(&story->random, 40));
    request->ephemeral = number == 0 && one_in(story, 3);
    request->verb = one_in(story, 20) ? REQUEST_SKIP : REQUEST_SEND;
    story->lane_of[ticket] = (unsigned char)number;
    story->accepted = ticket;
    scheduler_accept(&story->scheduler, request, story->now);
}

/* In its lane nothing else is on its way, and nothing younger has gone before it. */
static void check_order(struct story *story, const struct request *request)
{
    size_t at = request->ticket % ENDPOINTS;
    size_t lane = story->lane_of[request->ticket];
    CHECK(request->endpoint->active <= request->endpoint->settings.connections);
    if (lane > 0) {
        CHECK(story->busy[at][lane] == 0 || story->busy[at][lane] == request->ticket);
        CHECK(request->ticket >= story->sent_last[at][lane]);
        story->sent_last[at][lane] = request->ticket;
        story->busy[at][lane] = request->ticket;
    }
}

static void send_something(struct story *story)
{
    struct request *request =
        story->flying_count < FLYING ? scheduler_next(&story->scheduler, story->now) : NULL;
    if (request != NULL) {
        check_order(story, request);
        story->flying[story->flying_count++] = request;
    }
}

static void answer_flying(struct story *story, size_t at, enum failure failure)
{
    struct request *request = story->flying[at];
    story->flying[at] = story->flying[--story->flying_count];
    answer(&story->scheduler, request, failure, story->now);
}

static void answer_something(struct story *story)
{
    static const enum failure failures[] = {
        FAILURE_NONE,         FAILURE_NONE,     FAILURE_NONE,      FAILURE_NONE,
        FAILURE_NONE,         FAILURE_REFUSED,  FAILURE_THROTTLED, FAILURE_TIMEOUT,
        FAILURE_SERVER_ERROR, FAILURE_FORBIDDEN};
    if (story->flying_count > 0) {
        answer_flying(story, random_below(&story->random, story->flying_count),
                      failures[random_below(&story->random, 10)]);
    }
}

/* It is out for good: no request may come out twice. */
static void count_out(struct story *story, const struct request *request)
{
    size_t at = request->ticket % ENDPOINTS;
    size_t lane = story->lane_of[request->ticket];
    CHECK_NOTE("ticket %" PRIu64, request->ticket);
    CHECK_INT(story->ended[request->ticket]++, 0);
    if (lane > 0 && story->busy[at][lane] == request->ticket) {
        story->busy[at][lane] = 0;
    }
    story->finished++;
}

static void take_finished(struct story *story)
{
    struct request *last;
    struct request *request = scheduler_finished(&story->scheduler, &last);
    while (request != NULL) {
        struct request *next = request->next;
        if (request->outcome.question) {
            story->asked[story->asked_count++] = request;
        } else {
            count_out(story, request);
            request_free(request);
        }
        request = next;
    }
}

static void decide_something(struct story *story)
{
    if (story->asked_count == 0) {
        return;
    }
    size_t at = random_below(&story->random, story->asked_count);
    struct request *request = story->asked[at];
    story->asked[at] = story->asked[--story->asked_count];
    request->verb = one_in(story, 2) ? REQUEST_AGAIN : REQUEST_RELEASE;
    request->pause = (double)random_below(&story->random, 5);
    if (request->verb == REQUEST_RELEASE) {
        count_out(story, request);
    }
    scheduler_accept(&story->scheduler, request, story->now);
}

/* As the engine does: what waits, and then what is on its way. */
static void close_something(struct story *story)
{
    const struct endpoint *endpoint = story->endpoints[random_below(&story->random, ENDPOINTS)];
    scheduler_close(&story->scheduler, endpoint, story->now);
    for (size_t i = story->flying_count; i-- > 0;) {
        if (story->flying[i]->endpoint == endpoint) {
            answer_flying(story, i, FAILURE_CLOSED);
        }
    }
}

static void pass_time(struct story *story)
{
    double idle = scheduler_idle(&story->scheduler, story->now, 2);
    CHECK(idle >= 0 && idle <= 2);
    story->now += one_in(story, 2) ? idle : (double)random_below(&story->random, 100) / 100;
    scheduler_advance(&story->scheduler, story->now);
}

static void live_on(struct story *story)
{
    switch (random_below(&story->random, 16)) {
    case 0:
    case 1:
    case 2:
    case 3: submit_something(story); break;
    case 4:
    case 5:
    case 6:
    case 7: send_something(story); break;
    case 8:
    case 9:
    case 10:
    case 11: answer_something(story); break;
    case 12:
    case 13: decide_something(story); break;
    case 14: pass_time(story); break;
    default:
        if (one_in(story, 100)) {
            close_something(story);
        }
    }
    take_finished(story);
}

/* With a stock of requests in hand and no more to come, everything ends by itself. */
static void live_to_the_end(struct story *story)
{
    for (int i = 0; i < 1000000 && story->finished < story->accepted; i++) {
        send_something(story);
        answer_something(story);
        decide_something(story);
        pass_time(story);
        take_finished(story);
    }
    CHECK_SIZE(story->finished, story->accepted);
    for (uint64_t ticket = 1; ticket <= story->accepted; ticket++) {
        CHECK_INT(story->ended[ticket], 1);
    }
    CHECK(scheduler_next(&story->scheduler, story->now) == NULL);
}

static void check_story(uint64_t seed, bool asks)
{
    static struct story story;
    story = (struct story){.random = {.state = seed}, .now = 1000};
    scheduler_init(&story.scheduler, seed);
    for (size_t i = 0; i < ENDPOINTS; i++) {
        story.endpoints[i] = made_endpoint(1 + 3 * i);
        story.endpoints[i]->settings.asks = asks && i > 0;
    }
    for (int i = 0; i < EVENTS; i++) {
        live_on(&story);
    }
    live_to_the_end(&story);
    CHECK_NOTE("seed %" PRIu64 ", %" PRIu64 " requests", seed, story.accepted);
    CHECK(story.accepted > 5000);
    CHECK_SIZE(story.scheduler.held, 0);
    CHECK_SIZE(story.scheduler.lanes.count, 0);
    CHECK_SIZE(story.scheduler.timers.count, 0);
    scheduler_release(&story.scheduler);
    for (size_t i = 0; i < ENDPOINTS; i++) {
        CHECK_SIZE(story.endpoints[i]->active, 0);
        CHECK_SIZE(atomic_load(&story.endpoints[i]->references), 1);
        endpoint_release(story.endpoints[i]);
    }
}

static void whatever_happens_each_ends_once_and_in_order(void)
{
    for (uint64_t seed = 1; seed <= 4; seed++) {
        check_story(seed, seed % 2 == 0);
    }
}

static const struct check_case cases[] = {
    CHECK_CASE(whatever_happens_each_ends_once_and_in_order),
};

int main(int count, char **names)
{
    return CHECK_RUN(cases, count, names);
}
