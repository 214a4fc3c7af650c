/* Dead letters that are retried or discarded by a filter, with a store in memory. */

#include "dead_letters.h"

#include <math.h>
#include <stdio.h>

#include "check.h"
#include "memory_store.h"

static const struct letter_filter any = {.after = -INFINITY, .before = INFINITY};
static struct store *store;
static struct store_problem problem;

static void begin(void)
{
    const struct store_settings settings = {.owner = "us"};
    free(kept.rows);
    free(kept.log);
    kept = (struct memory){.now = 100};
    store = memory_open(&settings, &problem);
    CHECK_INT(memory_lease(store, "source", &problem), STORE_LEASE_HELD);
}

/* A letter that died at `time`, 0: a row that is pending; returns its id. */
static uint64_t add(const char *lane, const char *code, double time)
{
    struct store_row row = {.lane = lane, .lane_length = strlen(lane), .body = "1", .length = 1};
    CHECK(memory_append(store, "source", &row, 1, &problem));
    const struct store_end end = {.id = row.id, .code = code, .reason = "", .time = time};
    CHECK(time == 0 || memory_end(store, "source", &end, 1, &problem));
    return row.id;
}

static void add_many(size_t count)
{
    for (size_t i = 0; i < count; i++) {
        (void)add(i % 2 == 0 ? "even" : "odd", "refused", (double)(i + 1));
    }
}

/* Runs it to its end; returns how many there were. */
static size_t run(bool is_retry, const struct letter_filter *filter)
{
    struct dead_letters work = {.is_retry = is_retry, .filter = filter};
    for (size_t steps = 0; !work.is_done && steps < 1000; steps++) {
        CHECK(dead_letters_step(&memory_driver, store, "source", &work, &problem));
    }
    CHECK(work.is_done);
    return work.count;
}

static uint64_t figures_dead(void)
{
    struct store_figures figures;
    CHECK(memory_figures(store, "source", &figures, &problem));
    return figures.dead;
}

static void one_or_all_need_no_filter(void)
{
    begin();
    add_many(100);
    struct dead_letters one = {.is_retry = true, .id = 5};
    CHECK(dead_letters_step(&memory_driver, store, "source", &one, &problem));
    CHECK(one.is_done);
    CHECK_SIZE(one.count, 1);
    CHECK_SIZE(run(false, NULL), 99);
    memory_close(store);
}

static void empty_filter_matches_all(void)
{
    begin();
    CHECK_SIZE(run(true, &any), 0);
    add_many(100);
    CHECK_SIZE(run(true, &any), 100);
    CHECK_SIZE(figures_dead(), 0);
    memory_close(store);
}

static void all_that_is_given_must_match(void)
{
    static const struct {
        const char *code;
        const char *action;
        const char *lane;
        double after;
        double before;
        size_t count;
    } filters[] = {
        {"refused", NULL, NULL, -INFINITY, INFINITY, 4},
        {"refuse", NULL, NULL, -INFINITY, INFINITY, 0},
        {"", NULL, NULL, -INFINITY, INFINITY, 0},
        {NULL, "messages.create", NULL, -INFINITY, INFINITY, 5},
        {NULL, "users.create", NULL, -INFINITY, INFINITY, 0},
        {NULL, NULL, "42", -INFINITY, INFINITY, 3},
        {NULL, NULL, "4", -INFINITY, INFINITY, 0},
        {NULL, NULL, "", -INFINITY, INFINITY, 1},
        {NULL, NULL, NULL, 3, INFINITY, 3},
        {NULL, NULL, NULL, -INFINITY, 3, 2},
        {NULL, NULL, NULL, 2, 4, 2},
        {NULL, NULL, NULL, 4, 2, 0},
        {NULL, NULL, NULL, -INFINITY, 0, 0},
        {"refused", "messages.create", "42", 2, INFINITY, 1},
    };
    for (size_t i = 0; i < sizeof filters / sizeof filters[0]; i++) {
        CHECK_NOTE("filter %zu", i);
        begin();
        (void)add("42", "refused", 1);
        (void)add("42", "refused", 2);
        (void)add("42", "expired", 3);
        (void)add("423", "refused", 4);
        (void)add("", "refused", 5);
        (void)add("42", "refused", 0);
        const struct letter_filter filter = {
            .code = filters[i].code,
            .action = filters[i].action,
            .lane = filters[i].lane,
            .lane_length = filters[i].lane != NULL ? strlen(filters[i].lane) : 0,
            .after = filters[i].after,
            .before = filters[i].before,
        };
        CHECK_SIZE(run(i % 2 == 0, &filter), filters[i].count);
        CHECK_SIZE(figures_dead(), 5 - filters[i].count);
        memory_close(store);
    }
}

static void lane_is_a_key_or_what_is_behind_its_kind(void)
{
    static const struct {
        const char *lane;
        const char *wanted;
        bool is_same;
    } lanes[] = {
        {"thread 42", "thread 42", true},
        {"thread 42", "42", true},
        {"thread 42", "2", false},
        {"thread 42", "thread", false},
        {"thread 42", " 42", false},
        {"thread 42", "", false},
        {"thread 42", "xthread 42", false},
        {"thread a b", "a b", true},
        {"thread a b", "b", false},
        {"", "", true},
        {"", "42", false},
        {"42", "42", true},
        {"42", "2", false},
        {" ", "", false},
    };
    for (size_t i = 0; i < sizeof lanes / sizeof lanes[0]; i++) {
        CHECK_NOTE("'%s' and '%s'", lanes[i].lane, lanes[i].wanted);
        struct letter_filter filter = any;
        filter.lane = lanes[i].wanted;
        filter.lane_length = strlen(lanes[i].wanted);
        begin();
        (void)add(lanes[i].lane, "refused", 1);
        CHECK_SIZE(run(false, &filter), lanes[i].is_same ? 1 : 0);
        memory_close(store);
    }
}

static void many_go_step_by_step(void)
{
    struct letter_filter filter = any;
    filter.lane = "odd";
    filter.lane_length = 3;
    begin();
    add_many(1000);
    struct dead_letters work = {.filter = &filter};
    CHECK(dead_letters_step(&memory_driver, store, "source", &work, &problem));
    CHECK(!work.is_done);
    CHECK_SIZE(work.count, DEAD_LETTERS_STEP / 2);
    CHECK_SIZE(run(false, &filter), 500 - DEAD_LETTERS_STEP / 2);
    CHECK_SIZE(figures_dead(), 500);
    memory_close(store);
}

/* Everything that was made pending dies again at once, and further ones die. */
static void what_dies_meanwhile_is_left_alone(void)
{
    struct letter_filter filter = any;
    filter.code = "refused";
    begin();
    add_many(100);
    struct dead_letters work = {.is_retry = true, .filter = &filter};
    for (size_t steps = 0; !work.is_done && steps < 1000; steps++) {
        CHECK(dead_letters_step(&memory_driver, store, "source", &work, &problem));
        for (uint64_t id = 101; id <= kept.last_id; id++) {
            const struct store_end end = {.id = id, .code = "refused", .reason = "", .time = 1};
            CHECK(memory_end(store, "source", &end, 1, &problem));
        }
        (void)add("even", "refused", 1);
    }
    CHECK(work.is_done);
    CHECK_SIZE(work.count, 100);
    memory_close(store);
}

/* Those that are gone when their turn comes are not counted. */
static void what_goes_meanwhile_is_no_trouble(void)
{
    struct letter_filter filter = any;
    filter.code = "refused";
    size_t count = 0;
    begin();
    add_many(100);
    struct dead_letters work = {.is_retry = true, .filter = &filter};
    CHECK(dead_letters_step(&memory_driver, store, "source", &work, &problem));
    CHECK(memory_discard(store, "source", 0, &count, &problem));
    CHECK_SIZE(count, 100 - DEAD_LETTERS_STEP);
    CHECK(dead_letters_step(&memory_driver, store, "source", &work, &problem));
    CHECK(work.is_done);
    CHECK_SIZE(work.count, DEAD_LETTERS_STEP);
    memory_close(store);
}

/* ---- a store that fails ---- */

static unsigned refusals;

static bool refused_letters(struct store *from, const char *source, uint64_t after, size_t count,
                            store_letter_visitor *visit, void *context,
                            struct store_problem *trouble)
{
    return !memory_fails(refusals == 1, trouble) &&
           memory_letters(from, source, after, count, visit, context, trouble);
}

static bool refused_figures(struct store *from, const char *source, struct store_figures *figures,
                            struct store_problem *trouble)
{
    return !memory_fails(refusals == 2, trouble) && memory_figures(from, source, figures, trouble);
}

static bool refused_discard(struct store *from, const char *source, uint64_t id, size_t *count,
                            struct store_problem *trouble)
{
    return !memory_fails(refusals == 3 && id == 7, trouble) &&
           memory_discard(from, source, id, count, trouble);
}

static void failing_store_goes_on_where_it_was(void)
{
    struct letter_filter filter = any;
    struct store_driver driver = memory_driver;
    filter.code = "refused";
    driver.letters = refused_letters;
    driver.figures = refused_figures;
    driver.discard = refused_discard;
    for (unsigned i = 1; i <= 3; i++) {
        CHECK_NOTE("function %u", i);
        begin();
        add_many(10);
        refusals = i;
        struct dead_letters work = {.filter = &filter};
        CHECK(!dead_letters_step(&driver, store, "source", &work, &problem));
        CHECK_TEXT(problem.reason, "the disk is full");
        CHECK(!work.is_done);
        CHECK_SIZE(work.count, i == 3 ? 6 : 0);
        refusals = 0;
        CHECK(dead_letters_step(&driver, store, "source", &work, &problem));
        CHECK(work.is_done);
        CHECK_SIZE(work.count, 10);
        memory_close(store);
    }
}

static void filter_is_copied(void)
{
    char lane[] = "a\0b";
    char code[] = "refused";
    struct letter_filter filter = {
        .code = code, .lane = lane, .lane_length = 3, .after = 1, .before = 2};
    struct letter_filter *copy = letter_filter_copy(&filter);
    CHECK(copy != NULL);
    lane[0] = 'x';
    code[0] = 'x';
    CHECK_TEXT(copy->code, "refused");
    CHECK(copy->action == NULL);
    CHECK_SIZE(copy->lane_length, 3);
    CHECK(memcmp(copy->lane, "a\0b", 4) == 0);
    CHECK(copy->after == 1 && copy->before == 2);
    free(copy);
}

static const struct check_case cases[] = {
    CHECK_CASE(one_or_all_need_no_filter),
    CHECK_CASE(empty_filter_matches_all),
    CHECK_CASE(all_that_is_given_must_match),
    CHECK_CASE(lane_is_a_key_or_what_is_behind_its_kind),
    CHECK_CASE(many_go_step_by_step),
    CHECK_CASE(what_dies_meanwhile_is_left_alone),
    CHECK_CASE(what_goes_meanwhile_is_no_trouble),
    CHECK_CASE(failing_store_goes_on_where_it_was),
    CHECK_CASE(filter_is_copied),
};

int main(int count, char **names)
{
    int status = CHECK_RUN(cases, count, names);
    free(kept.rows);
    free(kept.log);
    return status;
}
