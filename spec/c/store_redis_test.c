/*
 * The outbox in Redis: what every store keeps to, on a redis-server of the test's own, and what is
 * Redis' own: answers that are lost, servers that die, forget, fill up or lie.
 */

#include "store_redis.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "redis_server.h"
#include "store_contract.h"
#include "store_redis_url.h"

static struct redis_server server;
static unsigned places;
static char url[200];

static const double LEASE = 0.6;

static void settle(struct store_settings *settings)
{
    (void)snprintf(url, sizeof url, "redis+unix://%s?prefix=p%u:&timeout=5", server.path, places++);
    *settings = (struct store_settings){.path = url, .lease_seconds = LEASE};
}

static const struct store_driver *driver = &store_redis;
static struct store_problem problem;

static double seconds_now(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static bool append(struct store *store, const char *body)
{
    struct store_row row = contract_row("lane", body);
    return driver->append(store, "source", &row, 1, &problem);
}

static struct store *open_at(const char *path)
{
    struct store_settings settings = {.path = path, .owner = "one", .lease_seconds = LEASE};
    return driver->open(&settings, &problem);
}

/* ---- urls ---- */

struct url_case {
    const char *text;
    const char *place; /* NULL: refused */
    const char *user, *password, *prefix;
};

static void urls(void)
{
    static const struct url_case cases[] = {
        {"redis://host", "host:6379/0", "", "", "sendapi:"},
        {"redis://host:7/3", "host:7/3", "", "", "sendapi:"},
        {"redis://[::1]:7/3?prefix=a%3Ab", "::1:7/3", "", "", "a:b"},
        {"redis://u%40:p%2F%20@host/", "host:6379/0", "u@", "p/ ", "sendapi:"},
        {"redis://:p@host?timeout=0.5&prefix=", "host:6379/0", "", "p", ""},
        {"redis+unix:///a/b%20c?db=2&prefix=x", "/a/b c", "", "", "x"},
        {"redis://host?lease=1.5", "host:6379/0", "", "", "sendapi:"},
        {"redis+unix://:p@/a", "/a", "", "p", "sendapi:"},
        {"", NULL, NULL, NULL, NULL},
        {"rediss://host", NULL, NULL, NULL, NULL},
        {"http://host", NULL, NULL, NULL, NULL},
        {"redis://", NULL, NULL, NULL, NULL},
        {"redis://host:0", NULL, NULL, NULL, NULL},
        {"redis://host:65536", NULL, NULL, NULL, NULL},
        {"redis://host:99999999999999999999", NULL, NULL, NULL, NULL},
        {"redis://host:x", NULL, NULL, NULL, NULL},
        {"redis://[::1", NULL, NULL, NULL, NULL},
        {"redis://[::1]7", NULL, NULL, NULL, NULL},
        {"redis://host/db", NULL, NULL, NULL, NULL},
        {"redis://secret@host", NULL, NULL, NULL, NULL},
        {"redis://u:@host", NULL, NULL, NULL, NULL},
        {"redis://u:secret%@host", NULL, NULL, NULL, NULL},
        {"redis://u:secret%00@host", NULL, NULL, NULL, NULL},
        {"redis://u:secret%4", NULL, NULL, NULL, NULL},
        {"redis://host?prefix={a}", NULL, NULL, NULL, NULL},
        {"redis://host?timeout=0", NULL, NULL, NULL, NULL},
        {"redis://host?timeout=1e3", NULL, NULL, NULL, NULL},
        {"redis://host?timeout=.5", NULL, NULL, NULL, NULL},
        {"redis://host?timeout=61", NULL, NULL, NULL, NULL},
        {"redis://host?lease=0.9", NULL, NULL, NULL, NULL},
        {"redis://host?lease=61", NULL, NULL, NULL, NULL},
        {"redis://host?lease=", NULL, NULL, NULL, NULL},
        {"redis://host?lease=x", NULL, NULL, NULL, NULL},
        {"redis://host?db=1", NULL, NULL, NULL, NULL},
        {"redis://host?secret", NULL, NULL, NULL, NULL},
        {"redis+unix://relative", NULL, NULL, NULL, NULL},
        {"redis+unix:///a?db=x", NULL, NULL, NULL, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct redis_url parsed;
        problem.reason[0] = '\0';
        CHECK_NOTE("%s", cases[i].text);
        bool fine = redis_url_parse(&parsed, cases[i].text, &problem);
        if (CHECK(fine == (cases[i].place != NULL)) && fine) {
            CHECK_TEXT(parsed.place, cases[i].place);
            CHECK_TEXT(parsed.user, cases[i].user);
            CHECK_TEXT(parsed.password, cases[i].password);
            CHECK_TEXT(parsed.prefix, cases[i].prefix);
        } else {
            CHECK_INT(problem.trouble, STORE_UNFIT);
            CHECK(problem.reason[0] != '\0' && strstr(problem.reason, "secret") == NULL);
        }
    }
}

static void names_of_sources(void)
{
    static const char *const names[] = {"", "a", "}{", "%41", "\xff\x01*?[]\\ "};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char *text = redis_url_encode(names[i]);
        CHECK(strpbrk(text, "{}*?[]\\ :") == NULL);
        CHECK(redis_url_decode(text));
        CHECK_TEXT(text, names[i]);
        free(text);
    }
    char wrong[][8] = {"%", "%4", "%zz", "%00", "a b", "a{"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        CHECK(!redis_url_decode(wrong[i]));
    }
}

/* ---- how the server is set up ---- */

static char warnings[2000];

static void keep_warning(void *context, const char *sentence)
{
    (void)context;
    (void)snprintf(warnings + strlen(warnings), sizeof warnings - strlen(warnings), "%s\n",
                   sentence);
}

static void open_for_warnings(bool is_process_only)
{
    settle(&contract_settings);
    struct store_settings settings = contract_settings;
    settings.owner = "one";
    settings.warn = keep_warning;
    settings.is_process_only = is_process_only;
    warnings[0] = '\0';
    struct store *store = driver->open(&settings, &problem);
    if (CHECK(store != NULL)) {
        driver->close(store);
    }
}

static void warnings_tell_of_what_may_be_lost(void)
{
    open_for_warnings(false);
    CHECK_TEXT(warnings, "");
    (void)redis_do(&server, "CONFIG SET maxmemory-policy allkeys-lru");
    open_for_warnings(false);
    CHECK(strstr(warnings, "noeviction") != NULL);
    (void)redis_do(&server, "CONFIG SET maxmemory-policy noeviction");
    (void)redis_do(&server, "CONFIG SET appendfsync everysec");
    open_for_warnings(false);
    CHECK(strstr(warnings, "up to a second") != NULL);
    open_for_warnings(true);
    CHECK_TEXT(warnings, "");
    (void)redis_do(&server, "CONFIG SET appendfsync no");
    open_for_warnings(false);
    CHECK(strstr(warnings, "appendfsync off") != NULL);
    (void)redis_do(&server, "CONFIG SET appendfsync always");
    (void)redis_do(&server, "CONFIG SET appendonly no");
    open_for_warnings(true);
    CHECK(strstr(warnings, "appendonly off") != NULL);
    (void)redis_do(&server, "CONFIG SET appendonly yes");
}

/* A user that may not ask how the server is set up is not bothered; the outbox works. */
static void little_is_permitted(void)
{
    char path[200];
    (void)redis_do(&server, "ACL SETUSER little on >pass ~* +@all -@dangerous -config -info "
                            "-script");
    (void)snprintf(path, sizeof path, "redis+unix://little:pass@%s?prefix=little:", server.path);
    struct store_settings settings = {.path = path, .owner = "one", .warn = keep_warning};
    warnings[0] = '\0';
    struct store *store = driver->open(&settings, &problem);
    if (CHECK(store != NULL)) {
        CHECK_TEXT(warnings, "");
        CHECK(append(store, "body") && append(store, "body"));
        CHECK_SIZE(contract_look(store, "source", 0), 2);
        driver->close(store);
    }
    (void)redis_do(&server, "ACL DELUSER little");
}

/* A letter that may not be written leaves its row pending. */
static void letters_are_not_permitted(void)
{
    static const char *const commands[] = {"hset", "zadd", "xdel"};
    char path[200];
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        CHECK_NOTE("%s", commands[i]);
        (void)redis_do(&server, "ACL SETUSER half reset on >pass ~* +@all -%s", commands[i]);
        (void)snprintf(path, sizeof path, "redis+unix://half:pass@%s?prefix=half%zu:", server.path,
                       i);
        struct store *store = open_at(path);
        if (!CHECK(store != NULL)) {
            continue;
        }
        uint64_t id = contract_append(store, "source", "body");
        CHECK_INT(contract_lease(store, "source"), STORE_LEASE_HELD);
        CHECK(!contract_bury(store, "source", id));
        CHECK_INT(contract_problem.trouble, STORE_UNAVAILABLE);
        CHECK_SIZE(contract_look(store, "source", 0), 1);
        (void)redis_do(&server, "ACL SETUSER half +@all");
        CHECK(contract_bury(store, "source", id));
        contract_figures(store, "source", 0, 0, 1);
        CHECK_SIZE(contract_letters(store, "source", 0, 9), 1);
        driver->close(store);
    }
    (void)redis_do(&server, "ACL DELUSER half");
}

static void passwords(void)
{
    static const struct {
        const char *user;
        bool fits;
    } cases[] = {{"", false}, {":wrong@", false}, {":right@", true}, {"default:right@", true}};
    char path[200];
    redisContext *admin = redis_connect(&server);
    freeReplyObject(redisCommand(admin, "CONFIG SET requirepass right"));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        (void)snprintf(path, sizeof path, "redis+unix://%s%s?prefix=x", cases[i].user, server.path);
        struct store *store = open_at(path);
        CHECK_NOTE("%s", cases[i].user);
        if (CHECK((store != NULL) == cases[i].fits) && store != NULL) {
            driver->close(store);
        } else {
            CHECK_INT(problem.trouble, STORE_UNFIT);
            CHECK(strstr(problem.reason, "password") != NULL);
            CHECK(strstr(problem.reason, "wrong") == NULL);
        }
    }
    freeReplyObject(redisCommand(admin, "CONFIG SET requirepass %s", ""));
    redisFree(admin);
}

static void check_lease(const char *option, double seconds)
{
    char path[200];
    (void)snprintf(path, sizeof path, "redis+unix://%s?prefix=x%s", server.path, option);
    struct store *store = open_at(path);
    if (CHECK(store != NULL)) {
        CHECK(driver->lease_seconds(store) == seconds);
        CHECK_INT(driver->lease(store, "source", &problem), STORE_LEASE_HELD);
        double left = (double)redis_do(&server, "PTTL x{source}:lease");
        CHECK(left > (seconds - 30) * 1000 && left <= seconds * 1000);
        driver->close(store);
    }
}

static void url_says_how_long_a_lease_is(void)
{
    check_lease("", LEASE);
    check_lease("&lease=1.5", 1.5);
    check_lease("&lease=60", 60);
}

static void db_is_selected(void)
{
    char path[200];
    (void)snprintf(path, sizeof path, "redis+unix://%s?prefix=x&db=3", server.path);
    struct store *store = open_at(path);
    if (CHECK(store != NULL)) {
        CHECK(append(store, "body"));
        CHECK_INT(redis_do(&server, "EXISTS x{source}:pending"), 0);
        driver->close(store);
    }
    (void)snprintf(path, sizeof path, "redis+unix://%s?db=99999", server.path);
    CHECK(open_at(path) == NULL);
    CHECK_INT(problem.trouble, STORE_UNFIT);
    CHECK(strstr(problem.reason, "no such db") != NULL);
}

/* ---- a server that is not there ---- */

static void opening_makes_nothing(void)
{
    settle(&contract_settings);
    long long before = redis_do(&server, "DBSIZE");
    contract_settings.must_exist = true;
    struct store *store = contract_open_as("looking");
    contract_figures(store, "source", 0, 0, 0);
    CHECK(!contract_has_source(store, "source", 0));
    driver->close(store);
    CHECK_INT(redis_do(&server, "DBSIZE"), before);
}

static void nobody_is_there(void)
{
    CHECK(open_at("redis://127.0.0.1:1/0?timeout=1") == NULL);
    CHECK_INT(problem.trouble, STORE_UNAVAILABLE);
    CHECK(strstr(problem.reason, "127.0.0.1:1/0") != NULL);
    CHECK(open_at("redis+unix:///nowhere/at/all") == NULL);
    CHECK_INT(problem.trouble, STORE_UNAVAILABLE);
    CHECK(open_at("redis://name.invalid") == NULL);
    CHECK_INT(problem.trouble, STORE_UNAVAILABLE);
}

static struct store *open_hasty(struct redis_server *own)
{
    char path[200];
    (void)snprintf(path, sizeof path, "redis+unix://%s?timeout=0.3", own->path);
    struct store *store = open_at(path);
    redis_must(store != NULL, "open");
    return store;
}

/* Until it is no longer too soon. */
static bool append_at_last(struct store *store, const char *body)
{
    for (int i = 0; i < 2000; i++) {
        if (append(store, body)) {
            return true;
        }
        redis_nap(10);
    }
    return false;
}

/* What the server reads when it wakes up, after we gave up, does not become a row. */
static void server_that_hangs(void)
{
    struct redis_server own = {.process = 0};
    redis_start(&own);
    struct store *store = open_hasty(&own);
    CHECK(append(store, "before"));
    (void)kill(own.process, SIGSTOP);
    double began = seconds_now();
    for (int i = 0; i < 100; i++) {
        CHECK(!append(store, "during"));
        CHECK_INT(problem.trouble, STORE_UNAVAILABLE);
        CHECK(strstr(problem.reason, "does not answer") != NULL);
    }
    CHECK(seconds_now() - began < 15); /* a hundred timeouts would be 30 */
    (void)kill(own.process, SIGCONT);
    CHECK(append_at_last(store, "after"));
    contract_figures(store, "source", 2, 11, 0);
    driver->close(store);
    redis_stop(&own);
}

static void server_that_starts_anew(void)
{
    struct redis_server own = {.process = 0};
    redis_start(&own);
    struct store *store = open_hasty(&own);
    CHECK_INT(contract_lease(store, "source"), STORE_LEASE_HELD);
    uint64_t id = contract_append(store, "source", "before");
    CHECK(contract_bury(store, "source", id));
    CHECK(append(store, "pending"));
    redis_kill(&own);
    CHECK(!append(store, "during"));
    CHECK_INT(problem.trouble, STORE_UNAVAILABLE);
    CHECK(strstr(problem.reason, own.path) != NULL);
    redis_start(&own);
    CHECK(append_at_last(store, "after"));
    contract_figures(store, "source", 2, 12, 1);
    /* what was read may have been lost: once that is told, the lease is had again */
    CHECK(!contract_end(store, "source", id + 1));
    CHECK_INT(problem.trouble = contract_problem.trouble, STORE_FENCED);
    CHECK_INT(contract_lease(store, "source"), STORE_LEASE_HELD);
    CHECK_SIZE(contract_next(store, "source", 0, 10, 1000), 2);
    redis_kill(&own);
    redis_start(&own);
    redis_nap(200);
    CHECK_INT(contract_lease(store, "source"), STORE_LEASE_TAKEN);
    CHECK_INT(contract_lease(store, "source"), STORE_LEASE_HELD);
    driver->close(store);
    redis_stop(&own);
}

/* The bodies that are pending: how often each number is there. */
struct tally {
    unsigned times[20000];
    unsigned others;
};

static bool count_row(void *context, const struct store_row *row)
{
    struct tally *tally = context;
    unsigned long number = strtoul(row->body, NULL, 10);
    if (number < 20000 && row->length > 0) {
        tally->times[number]++;
    } else {
        tally->others++;
    }
    return true;
}

/* A process that appends numbers, and tells which were confirmed: y or n for each. */
static void append_numbers(const struct redis_server *own, int confirmed)
{
    char path[200];
    char body[16];
    (void)snprintf(path, sizeof path, "redis+unix://%s?timeout=1", own->path);
    struct store *store = open_at(path);
    for (int i = 0; store != NULL && i < 20000; i++) {
        (void)snprintf(body, sizeof body, "%d", i);
        bool fine = append(store, body);
        if (write(confirmed, fine ? "y" : "n", 1) != 1) {
            break;
        }
        if (!fine) {
            redis_nap(20);
        }
    }
    for (;;) {
        (void)pause();
    }
}

static void no_confirmed_row_is_lost(void)
{
    static struct tally tally;
    struct redis_server own = {.process = 0};
    int confirmed[2];
    char said[20000];
    redis_start(&own);
    redis_must(pipe(confirmed) == 0, "pipe");
    pid_t child = fork();
    if (child == 0) {
        append_numbers(&own, confirmed[1]);
    }
    for (int i = 0; i < 6; i++) {
        redis_nap(60 + i * 17);
        redis_kill(&own);
        redis_start(&own);
        redis_nap(300);
    }
    (void)kill(child, SIGKILL);
    (void)waitpid(child, NULL, 0);
    (void)close(confirmed[1]);
    ssize_t count = 0;
    for (ssize_t more = 1; more > 0 && count < (ssize_t)sizeof said; count += more) {
        more = read(confirmed[0], said + count, sizeof said - (size_t)count);
    }
    (void)close(confirmed[0]);
    struct store *store = open_hasty(&own);
    CHECK(driver->look(store, "source", 0, SIZE_MAX, count_row, &tally, &problem));
    unsigned kept = 0;
    unsigned failed = 0;
    for (ssize_t i = 0; i < count; i++) { /* the last one may have been killed in between */
        CHECK_NOTE("row %zd of %zd", i, count);
        CHECK(tally.times[i] == (said[i] == 'y') || i + 1 >= count);
        kept += said[i] == 'y';
        failed += said[i] == 'n';
    }
    CHECK_SIZE(tally.others, 0);
    CHECK(kept > 20 && failed > 0);
    driver->close(store);
    redis_stop(&own);
}

/* ---- a connection that breaks ---- */

static struct redis_middle middle;

static struct store *open_through(const char *info)
{
    char path[200];
    redis_stand_in(&middle, server.folder);
    middle.info = info;
    (void)snprintf(path, sizeof path, "redis+unix://%s?prefix=m%u:&timeout=5", middle.path,
                   places++);
    return open_at(path);
}

/* Confirmed or not, a row is there once or not at all; one that is repeated is there once. */
static void append_while_it_breaks(struct store *store, int number, const struct redis_cut *cuts,
                                   size_t count, bool *confirmed)
{
    char body[16];
    (void)snprintf(body, sizeof body, "%d", number);
    redis_break(&middle, cuts, count);
    *confirmed = append(store, body);
    if (number % 2 == 0 && !*confirmed) {
        CHECK_INT(problem.trouble, STORE_UNAVAILABLE);
        *confirmed = append_at_last(store, body);
        CHECK(*confirmed);
    }
    redis_break(&middle, NULL, 0);
}

static void breaks_at_any_byte(void)
{
    static struct tally tally;
    static bool confirmed[20000];
    int number = 0;
    middle = (struct redis_middle){.server = &server};
    struct store *store = open_through("");
    CHECK(append(store, "90000"));
    for (int direction = REDIS_UP; direction <= REDIS_DOWN; direction++) {
        for (long bytes = 0; bytes < (direction == REDIS_UP ? 420 : 30);
             bytes += direction == REDIS_UP ? 3 : 1) {
            struct redis_cut cut = {direction, bytes};
            append_while_it_breaks(store, number, &cut, 1, &confirmed[number]);
            number++;
        }
    }
    for (long bytes = 0; bytes < 4000; bytes += 250) { /* and the next connection, somewhere */
        struct redis_cut cuts[] = {{REDIS_DOWN, bytes % 3}, {bytes % 4 < 2, bytes}};
        append_while_it_breaks(store, number, cuts, 2, &confirmed[number]);
        number++;
    }
    CHECK(append_at_last(store, "90000"));
    unsigned failed = 0;
    memset(&tally, 0, sizeof tally);
    CHECK(driver->look(store, "source", 0, SIZE_MAX, count_row, &tally, &problem));
    for (int i = 0; i < number; i++) {
        CHECK_NOTE("row %d", i);
        CHECK_SIZE(tally.times[i], confirmed[i]);
        failed += !confirmed[i];
    }
    CHECK_SIZE(tally.others, 2); /* before and after */
    CHECK(atomic_load(&middle.connections) > (size_t)number / 2);
    CHECK(failed > 0);
    driver->close(store);
    redis_stand_down(&middle);
}

/* The holder's work survives a break as well: what was ended is ended once. */
static void ends_while_it_breaks(void)
{
    middle = (struct redis_middle){.server = &server};
    struct store *store = open_through("");
    unsigned dead = 0;
    for (long bytes = 0; bytes < 12; bytes++) {
        CHECK(contract_lease(store, "source") != STORE_LEASE_UNKNOWN);
        CHECK_INT(contract_lease(store, "source"), STORE_LEASE_HELD);
        uint64_t id = contract_append(store, "source", "body");
        struct redis_cut cut = {REDIS_DOWN, bytes};
        redis_break(&middle, &cut, 1);
        CHECK(contract_bury(store, "source", id));
        redis_break(&middle, NULL, 0);
        contract_figures(store, "source", 0, 0, ++dead);
    }
    driver->close(store);
    redis_stand_down(&middle);
}

/* What breaks off at any byte: a work to do on a source with a letter and two rows. */
enum broken { BROKEN_LEASE, BROKEN_NEXT, BROKEN_END, BROKEN_RETRY, BROKEN_DISCARD, BROKEN_WORKS };

struct breaking {
    struct store *store;
    uint64_t ids[3]; /* the letter's, and the two rows' */
    size_t seen;
    bool is_disordered;
};

static bool see_in_order(void *context, const struct store_row *row)
{
    struct breaking *breaking = context;
    breaking->is_disordered = breaking->is_disordered || breaking->seen >= 2 ||
                              row->id != breaking->ids[1 + breaking->seen];
    breaking->seen++;
    return true;
}

static bool do_work(struct breaking *breaking, enum broken work)
{
    struct store *store = breaking->store;
    const struct store_end ends[] = {
        {.id = breaking->ids[1], .is_delivered = true},
        {.id = breaking->ids[2], .code = "refused", .reason = "why", .status = 422},
    };
    size_t count = 0;
    switch (work) {
    case BROKEN_LEASE: return driver->lease(store, "source", &problem) == STORE_LEASE_HELD;
    case BROKEN_NEXT:
        breaking->seen = 0;
        return driver->next(store, "source", 0, 9, 9999, see_in_order, breaking, &problem);
    case BROKEN_END: return driver->end(store, "source", ends, 2, &problem);
    case BROKEN_RETRY: return driver->retry(store, "source", 0, &count, &problem);
    default: return driver->discard(store, "source", 0, &count, &problem);
    }
}

/* All or nothing, and nothing twice. */
static void check_work(struct breaking *breaking, enum broken work, bool is_done)
{
    static const struct store_figures after[BROKEN_WORKS] = {
        {.pending = 2, .dead = 1}, {.pending = 2, .dead = 1}, {.pending = 0, .dead = 2},
        {.pending = 3, .dead = 0}, {.pending = 2, .dead = 0},
    };
    struct store_figures figures;
    CHECK(driver->figures(breaking->store, "source", &figures, &problem));
    bool is_as_before = figures.pending == 2 && figures.dead == 1;
    bool is_as_after = figures.pending == after[work].pending && figures.dead == after[work].dead;
    CHECK(is_as_after || (is_as_before && !is_done));
    CHECK(!breaking->is_disordered);
    CHECK(work != BROKEN_NEXT || !is_done || breaking->seen == 2);
}

static void break_at(struct breaking *breaking, enum broken work, struct redis_cut cut)
{
    struct store *store = breaking->store;
    CHECK_INT(contract_lease(store, "source"), STORE_LEASE_HELD);
    for (size_t i = 0; i < 3; i++) {
        breaking->ids[i] = contract_append(store, "source", i == 0 ? "letter" : "row");
        CHECK(i > 0 || contract_bury(store, "source", breaking->ids[0]));
    }
    redis_break(&middle, &cut, 1);
    bool is_done = do_work(breaking, work);
    CHECK(is_done || problem.trouble == STORE_UNAVAILABLE);
    redis_break(&middle, NULL, 0);
    double until = seconds_now() + 20;
    while (driver->lease(store, "source", &problem) == STORE_LEASE_UNKNOWN &&
           seconds_now() < until) {
        redis_nap(20);
    }
    check_work(breaking, work, is_done);
    CHECK(do_work(breaking, work)); /* once more is no problem */
    check_work(breaking, work, true);
    (void)redis_do(&server, "FLUSHDB");
    (void)contract_lease(store, "source");
}

static void any_work_while_it_breaks(void)
{
    middle = (struct redis_middle){.server = &server};
    struct breaking breaking = {.store = open_through("")};
    for (enum broken work = 0; work < BROKEN_WORKS; work++) {
        for (long bytes = 0; bytes < 400; bytes += 19) {
            CHECK_NOTE("work %d, up to byte %ld", (int)work, bytes);
            break_at(&breaking, work, (struct redis_cut){REDIS_UP, bytes});
        }
        for (long bytes = 0; bytes < (work == BROKEN_NEXT ? 200 : 12);
             bytes += work == BROKEN_NEXT ? 9 : 1) {
            CHECK_NOTE("work %d, down to byte %ld", (int)work, bytes);
            break_at(&breaking, work, (struct redis_cut){REDIS_DOWN, bytes});
        }
    }
    CHECK_NOTE("%s", "");
    CHECK(atomic_load(&middle.connections) > 100);
    driver->close(breaking.store);
    redis_stand_down(&middle);
}

static void idle_connection_is_closed(void)
{
    struct store *store = contract_begin();
    CHECK(append(store, "one"));
    (void)redis_do(&server, "CLIENT KILL TYPE normal SKIPME yes");
    CHECK(append(store, "two"));
    (void)redis_do(&server, "SCRIPT FLUSH");
    CHECK(append(store, "three"));
    CHECK_INT(contract_lease(store, "source"), STORE_LEASE_HELD);
    (void)redis_do(&server, "CLIENT KILL TYPE normal SKIPME yes");
    CHECK_INT(contract_lease(store, "source"), STORE_LEASE_HELD);
    CHECK_SIZE(contract_next(store, "source", 0, 10, 1000), 3);
    driver->close(store);
}

/* ---- leases ---- */

/* A process that holds the lease, and on a byte tries to go on as if nothing had been. */
static void hold_and_go_on(int from, int to)
{
    char byte = 'n';
    struct store *store = contract_open_as("holder");
    if (contract_lease(store, "source") == STORE_LEASE_HELD &&
        contract_next(store, "source", 0, 10, 1000) == 1) {
        byte = 'y';
    }
    uint64_t id = contract_id(0);
    (void)!write(to, &byte, 1);
    (void)!read(from, &byte, 1);
    bool fenced = !contract_end(store, "source", id);
    fenced = fenced && contract_problem.trouble == STORE_FENCED;
    fenced = fenced && !driver->next(store, "source", 0, 1, 1, contract_keep_row, &contract_seen,
                                     &contract_problem);
    fenced = fenced && contract_problem.trouble == STORE_FENCED;
    fenced = fenced && contract_lease(store, "source") == STORE_LEASE_TAKEN;
    driver->close(store);
    (void)!write(to, fenced ? "y" : "n", 1);
    _exit(0);
}

static void holder_that_sleeps_is_fenced(void)
{
    int to[2];
    int from[2];
    char byte = 0;
    struct store *store = contract_begin();
    uint64_t id = contract_append(store, "source", "body");
    redis_must(pipe(to) == 0 && pipe(from) == 0, "pipe");
    pid_t child = fork();
    if (child == 0) {
        hold_and_go_on(to[0], from[1]);
    }
    CHECK(read(from[0], &byte, 1) == 1 && byte == 'y');
    (void)kill(child, SIGSTOP);
    CHECK_INT(contract_lease(store, "source"), STORE_LEASE_TAKEN);
    for (int i = 0; i < 2000 && contract_lease(store, "source") != STORE_LEASE_HELD; i++) {
        redis_nap(5);
    }
    (void)kill(child, SIGCONT);
    CHECK(write(to[1], "g", 1) == 1);
    CHECK(read(from[0], &byte, 1) == 1 && byte == 'y');
    (void)waitpid(child, NULL, 0);
    CHECK_INT(contract_lease(store, "source"), STORE_LEASE_HELD); /* for as long as that took */
    CHECK_SIZE(contract_next(store, "source", 0, 10, 1000), 1);
    CHECK(contract_end(store, "source", id));
    driver->close(store);
    for (int i = 0; i < 2; i++) {
        (void)close(to[i]);
        (void)close(from[i]);
    }
}

/* It ran out, but nobody took it: nothing has happened. */
static void lease_that_nobody_took(void)
{
    struct store *store = contract_begin();
    uint64_t id = contract_append(store, "source", "body");
    CHECK_INT(contract_lease(store, "source"), STORE_LEASE_HELD);
    redis_nap((long)(LEASE * 1000) + 200);
    CHECK(contract_end(store, "source", id));
    CHECK_INT(contract_lease(store, "source"), STORE_LEASE_HELD);
    struct store *other = contract_open_as("second");
    CHECK_INT(contract_lease(other, "source"), STORE_LEASE_TAKEN);
    redis_nap((long)(LEASE * 1000) + 200);
    CHECK_INT(contract_lease(other, "source"), STORE_LEASE_HELD);
    CHECK_INT(contract_lease(store, "source"), STORE_LEASE_TAKEN);
    driver->close(other);
    driver->close(store);
}

/* ---- a server that forgets, fills up, or has something else ---- */

static void key(char name[64], const char *part)
{
    (void)snprintf(name, 64, "p%u:{source}:%s", places - 1, part);
}

static void flushed_in_the_middle(void)
{
    struct store *store = contract_begin();
    CHECK_INT(contract_lease(store, "source"), STORE_LEASE_HELD);
    uint64_t id = contract_append(store, "source", "one");
    CHECK(contract_append(store, "source", "two") > id);
    CHECK_SIZE(contract_next(store, "source", 0, 10, 1000), 2);
    (void)redis_do(&server, "FLUSHALL");
    CHECK(append(store, "new"));
    CHECK(!contract_end(store, "source", id)); /* which is the new one's id now */
    CHECK_INT(contract_problem.trouble, STORE_FENCED);
    CHECK_INT(contract_lease(store, "source"), STORE_LEASE_HELD);
    CHECK_SIZE(contract_next(store, "source", 0, 10, 1000), 1);
    CHECK_INT(contract_seen.rows[0].first, 'n');
    driver->close(store);
}

static void lost_counter_gives_no_id_twice(void)
{
    char state[64];
    char pending[64];
    struct store *store = contract_begin();
    CHECK_INT(contract_lease(store, "source"), STORE_LEASE_HELD);
    (void)contract_append(store, "source", "one");
    uint64_t id = contract_append(store, "source", "two");
    CHECK(contract_bury(store, "source", id));
    key(state, "state");
    key(pending, "pending");
    (void)redis_do(&server, "DEL %s", state);
    CHECK(contract_append(store, "source", "three") > id);
    (void)redis_do(&server, "DEL %s %s", state, pending);
    CHECK(contract_append(store, "source", "four") > id);
    (void)redis_do(&server, "HSET %s id 1", state); /* from an older backup */
    CHECK(contract_append(store, "source", "five") > id + 1);
    contract_figures(store, "source", 2, 8, 1);
    driver->close(store);
}

/* Above them a number of a Lua without integers could name two. */
static void ids_end_before_lua_cannot_tell_them_apart(void)
{
    char state[64];
    struct store *store = contract_begin();
    CHECK(append(store, "body"));
    key(state, "state");
    (void)redis_do(&server, "HSET %s id 7999999999999999", state);
    CHECK_SIZE(contract_append(store, "source", "last"), 8000000000000000);
    CHECK(!append(store, "one more"));
    CHECK_INT(problem.trouble, STORE_UNFIT);
    contract_figures(store, "source", 2, 8, 0);
    driver->close(store);
}

/* No MAXLEN, and no group that would keep what was acknowledged. */
static void nothing_is_trimmed_and_nothing_kept(void)
{
    enum { ROWS = 2000 };
    char name[64];
    struct store *store = contract_begin();
    CHECK_INT(contract_lease(store, "source"), STORE_LEASE_HELD);
    struct store_row *rows = calloc(ROWS, sizeof *rows);
    struct store_end *ends = calloc(ROWS, sizeof *ends);
    for (size_t i = 0; i < ROWS; i++) {
        rows[i] = contract_row("lane", "body");
    }
    CHECK(driver->append(store, "source", rows, ROWS, &problem));
    CHECK(driver->append(store, "source", rows, ROWS, &problem));
    key(name, "pending");
    CHECK_INT(redis_do(&server, "XLEN %s", name), 2LL * ROWS);
    for (size_t i = 0; i < ROWS; i++) {
        ends[i] = (struct store_end){.id = rows[i].id, .is_delivered = true};
    }
    CHECK(driver->end(store, "source", ends, ROWS, &problem));
    CHECK_INT(redis_do(&server, "XLEN %s", name), ROWS);
    contract_figures(store, "source", ROWS, 4 * ROWS, 0);
    free(rows);
    free(ends);
    driver->close(store);
}

static void memory_is_full(void)
{
    struct store *store = contract_begin();
    uint64_t ids[3];
    for (size_t i = 0; i < 3; i++) {
        ids[i] = contract_append(store, "source", "body");
    }
    (void)redis_do(&server, "CONFIG SET maxmemory 1");
    CHECK(!append(store, "no room"));
    CHECK_INT(problem.trouble, STORE_UNAVAILABLE);
    CHECK(strstr(problem.reason, "maxmemory") != NULL);
    /* what is there can be delivered, or there would never be room */
    CHECK_INT(contract_lease(store, "source"), STORE_LEASE_HELD);
    CHECK_INT(contract_lease(store, "source"), STORE_LEASE_HELD);
    CHECK_SIZE(contract_next(store, "source", 0, 10, 1000), 3);
    CHECK(contract_end(store, "source", ids[0]));
    CHECK(contract_bury(store, "source", ids[1]));
    size_t count;
    CHECK(!driver->retry(store, "source", 0, &count, &problem));
    CHECK_INT(problem.trouble, STORE_UNAVAILABLE);
    contract_figures(store, "source", 1, 4, 1);
    (void)redis_do(&server, "CONFIG SET maxmemory 0");
    CHECK(append(store, "room"));
    contract_figures(store, "source", 2, 8, 1);
    driver->close(store);
}

static void expect_unfit(struct store *store, const char *word)
{
    struct store_figures figures;
    size_t count;
    uint64_t version;
    CHECK(!append(store, "body"));
    CHECK_INT(problem.trouble, STORE_UNFIT);
    CHECK(strstr(problem.reason, word) != NULL);
    CHECK(!driver->figures(store, "source", &figures, &problem));
    CHECK_INT(problem.trouble, STORE_UNFIT);
    CHECK(!driver->look(store, "source", 0, 10, contract_keep_row, &contract_seen, &problem));
    CHECK_INT(problem.trouble, STORE_UNFIT);
    CHECK(!driver->letters(store, "source", 0, 10, contract_keep, &contract_seen, &problem));
    CHECK(!driver->retry(store, "source", 0, &count, &problem));
    CHECK(!driver->discard(store, "source", 0, &count, &problem));
    CHECK_INT(problem.trouble, STORE_UNFIT);
    CHECK_INT(contract_lease(store, "source"), STORE_LEASE_UNKNOWN);
    (void)driver->version(store, "source", &version, &problem);
}

static void keys_of_somebody_else(void)
{
    static const char *const parts[] = {"state", "pending", "dead", "letters"};
    char name[64];
    for (size_t i = 0; i < 4; i++) {
        struct store *store = contract_begin();
        CHECK_NOTE("%s", parts[i]);
        key(name, parts[i]);
        (void)redis_do(&server, "SET %s x", name);
        expect_unfit(store, "not the outbox's");
        CHECK_INT(redis_do(&server, "STRLEN %s", name), 1);
        driver->close(store);
    }
}

static void newer_format(void)
{
    char name[64];
    struct store *store = contract_begin();
    CHECK(append(store, "body"));
    key(name, "state");
    (void)redis_do(&server, "HSET %s format 2", name);
    expect_unfit(store, "newer version");
    driver->close(store);
}

static void rows_of_somebody_else(void)
{
    static const char *const rows[] = {"XADD %s 5-1 l a b c t 1 a e", "XADD %s 5-0 x y",
                                       "XADD %s 18446744073709551614-0 l a b c t 1 a e",
                                       "XADD %s 5-0 l a b c t 1 a e f g"};
    char name[64];
    for (size_t i = 0; i < 4; i++) {
        struct store *store = contract_begin();
        key(name, "pending");
        CHECK_NOTE("%s", rows[i]);
        (void)redis_do(&server, rows[i], name);
        CHECK(!driver->look(store, "source", 0, 10, contract_keep_row, &contract_seen, &problem));
        CHECK_INT(problem.trouble, STORE_UNFIT);
        CHECK(i == 2 ? !append(store, "behind") : append(store, "behind"));
        driver->close(store);
    }
    struct store *store = contract_begin();
    key(name, "pending");
    (void)redis_do(&server, "XADD %s 5-0 l a b c t notime a e", name);
    CHECK(!driver->look(store, "source", 0, 10, contract_keep_row, &contract_seen, &problem));
    key(name, "dead");
    (void)redis_do(&server, "ZADD %s 3 3", name);
    CHECK(!driver->letters(store, "source", 0, 10, contract_keep, &contract_seen, &problem));
    CHECK_INT(problem.trouble, STORE_UNFIT);
    driver->close(store);
}

static void many_letters(void)
{
    enum { MANY = 2500 };
    static struct store_end ends[MANY];
    static struct store_row rows[MANY];
    static struct tally tally;
    static char bodies[MANY][16];
    struct store *store = contract_begin();
    CHECK_INT(contract_lease(store, "source"), STORE_LEASE_HELD);
    for (int i = 0; i < MANY; i++) {
        (void)snprintf(bodies[i], sizeof bodies[i], "%d", i);
        rows[i] = contract_row("lane", bodies[i]);
    }
    CHECK(driver->append(store, "source", rows, MANY, &problem));
    for (int i = 0; i < MANY; i++) {
        ends[i] = (struct store_end){.id = rows[i].id, .code = "x", .reason = "", .time = 1};
    }
    CHECK(driver->end(store, "source", ends, MANY, &problem));
    contract_figures(store, "source", 0, 0, MANY);
    CHECK_SIZE(contract_retry(store, "source", 0), MANY);
    memset(&tally, 0, sizeof tally);
    CHECK(driver->look(store, "source", 0, SIZE_MAX, count_row, &tally, &problem));
    for (int i = 0; i < MANY; i++) {
        CHECK_SIZE(tally.times[i], 1);
    }
    driver->close(store);
}

static void too_much_at_once(void)
{
    struct store *store = contract_begin();
    struct store_row rows[3] = {contract_row("", ""), contract_row("", ""), contract_row("", "")};
    for (size_t i = 0; i < 3; i++) {
        rows[i].body = "";
        rows[i].length = 100 << 20; /* never read */
    }
    CHECK(!driver->append(store, "source", rows, 3, &problem));
    CHECK_INT(problem.trouble, STORE_UNAVAILABLE);
    CHECK(strstr(problem.reason, "bytes at once") != NULL);
    driver->close(store);
}

/* ---- a server that lies ---- */

static const char GOOD_INFO[] = "run_id:abc\r\nredis_version:7.0.1\r\nrole:master\r\n";

#define REPLY(text)                                                                                \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }

static const struct {
    const char *text;
    size_t length;
} lies[] = {
    REPLY("+OK\r\n"),
    REPLY(":5\r\n"),
    REPLY(":-5\r\n"),
    REPLY("$-1\r\n"),
    REPLY("*-1\r\n"),
    REPLY("$-5\r\n"),
    REPLY("*-7\r\n"),
    REPLY("$1\r\nx\r\n"),
    REPLY("$1\r\n7\r\n"),
    REPLY("$20\r\n99999999999999999999\r\n"),
    REPLY("$18\r\n999999999999999999\r\n"),
    REPLY("*1000000000\r\n"),
    REPLY("*2147483647\r\n$1\r\n"),
    REPLY("*99999999999999999999\r\n"),
    REPLY("$99999999999999999999\r\n"),
    REPLY("*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n"),
    REPLY("*3\r\n$1\r\n1\r\n:1\r\n$-1\r\n"),
    REPLY("*3\r\n$1\r\n1\r\n$1\r\n1\r\n$1\r\n1\r\n"),
    REPLY("*5\r\n$1\r\n1\r\n$1\r\n1\r\n$1\r\n1\r\n$2\r\n-1\r\n$1\r\n1\r\n"),
    REPLY("*5\r\n$1\r\n1\r\n$1\r\n1\r\n$1\r\n1\r\n$1\r\n1\r\n$1\r\nx\r\n"),
    REPLY("*1\r\n*5\r\n$1\r\n1\r\n$0\r\n\r\n$0\r\n\r\n$1\r\n5\r\n$3\r\na\0b\r\n"),
    REPLY("*1\r\n*5\r\n$1\r\n0\r\n$0\r\n\r\n$0\r\n\r\n$1\r\n5\r\n$1\r\na\r\n"),
    REPLY("*1\r\n*5\r\n$1\r\n1\r\n$0\r\n\r\n:3\r\n$1\r\n5\r\n$1\r\na\r\n"),
    REPLY("*1\r\n*5\r\n$1\r\n1\r\n$0\r\n\r\n$0\r\n\r\n$1\r\nx\r\n$1\r\na\r\n"),
    REPLY("*1\r\n*4\r\n$1\r\n1\r\n$0\r\n\r\n$0\r\n\r\n$1\r\n5\r\n"),
    REPLY("*1\r\n$1\r\na\r\n"),
    REPLY("*2\r\n$1\r\n0\r\n*1\r\n:5\r\n"),
    REPLY("*2\r\n$2\r\n-1\r\n*0\r\n"),
    REPLY("*2\r\n$30\r\n000000000000000000000000000000\r\n*0\r\n"),
    REPLY("+OK\r\n+OK\r\n+OK\r\n"),
    REPLY("$1\r\n7\r\n$1\r\n7\r\n"),
    REPLY("HTTP/1.1 200 OK\r\n\r\n"),
    REPLY("\0\0\0\0\0\0"),
    REPLY("-\r\n"),
    REPLY("-ERR unknown command 'X', with args beginning with: 'secret'\r\n"),
    REPLY("-secret\r\n"),
    REPLY("-NOSCRIPT\r\n"),
};

static bool keep_any_name(void *context, const char *source)
{
    (void)context;
    return source != NULL;
}

static void expect_sentence(bool fine, bool is_known)
{
    CHECK(!is_known || !fine);
    if (!fine) {
        CHECK(problem.trouble != STORE_FINE && problem.reason[0] != '\0');
        CHECK(strstr(problem.reason, "secret") == NULL);
        CHECK(strstr(problem.reason, "lane") == NULL);
    }
    problem = (struct store_problem){.trouble = STORE_FINE};
}

/* Everything a store does, each on a connection of its own. */
static void do_everything(const char *path)
{
    for (int i = 0; i < 10; i++) {
        struct store_figures figures;
        struct store_end end = {.id = 1, .code = "", .reason = ""};
        uint64_t number;
        size_t count;
        struct store *store = open_at(path);
        if (store == NULL) {
            expect_sentence(false, false);
            continue;
        }
        contract_seen.count = 0;
        struct store_row row = contract_row("lane", "secret");
        if (i == 2 || i == 3) {
            CHECK_INT(driver->lease(store, "source", &problem), STORE_LEASE_HELD);
        }
        expect_sentence(i == 0   ? driver->append(store, "source", &row, 1, &problem)
                        : i == 1 ? driver->discard(store, "source", 0, &count, &problem)
                        : i == 2 ? driver->next(store, "source", 0, 9, 9, contract_keep_row,
                                                &contract_seen, &problem)
                        : i == 3 ? driver->end(store, "source", &end, 1, &problem)
                        : i == 4 ? driver->version(store, "source", &number, &problem)
                        : i == 5 ? driver->figures(store, "source", &figures, &problem)
                        : i == 6 ? driver->letters(store, "source", 0, 9, contract_keep,
                                                   &contract_seen, &problem)
                        : i == 7 ? driver->look(store, "source", 0, 9, contract_keep_row,
                                                &contract_seen, &problem)
                        : i == 8 ? driver->retry(store, "source", 1, &count, &problem)
                                 : driver->sources(store, keep_any_name, NULL, &problem),
                        false);
        driver->abandon(store);
    }
}

static void lies_are_seen_through(void)
{
    char path[200];
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        middle = (struct redis_middle){.info = GOOD_INFO,
                                       .lease = "\r\n600\r\n",
                                       .answer = lies[i].text,
                                       .answer_length = lies[i].length};
        redis_stand_in(&middle, server.folder);
        CHECK_NOTE("lie %zu", i);
        (void)snprintf(path, sizeof path, "redis+unix://%s?timeout=0.05", middle.path);
        do_everything(path);
        (void)snprintf(path, sizeof path, "redis+unix://:secret@%s?timeout=0.05", middle.path);
        struct store *store = open_at(path);
        if (store != NULL) {
            driver->abandon(store);
        } else {
            expect_sentence(false, true);
        }
        redis_stand_down(&middle);
    }
}

/* Byte by byte, none of them late: the whole is. */
static void answer_that_drips(void)
{
    char path[200];
    middle = (struct redis_middle){.info = GOOD_INFO, .drips = true};
    middle.answer = "$500\r\n777777777777777777777777777777777777777777777777777777777777777777777"
                    "7777777777777777777777777777777777777777777777777777777777777777777777777";
    middle.answer_length = strlen(middle.answer);
    redis_stand_in(&middle, server.folder);
    (void)snprintf(path, sizeof path, "redis+unix://%s?timeout=0.2", middle.path);
    struct store *store = open_at(path);
    if (CHECK(store != NULL)) {
        double began = seconds_now();
        CHECK(!append(store, "body"));
        CHECK_INT(problem.trouble, STORE_UNAVAILABLE);
        CHECK(seconds_now() - began < 5); /* the answer takes ten */
        driver->abandon(store);
    }
    redis_stand_down(&middle);
}

static void errors_are_sentences(void)
{
    static const struct {
        const char *text;
        enum store_trouble trouble;
        const char *word;
    } cases[] = {
        {"-LOADING Redis is loading the dataset in memory\r\n", STORE_UNAVAILABLE, "loading"},
        {"-READONLY You can't write against a read only replica.\r\n", STORE_UNAVAILABLE,
         "replica"},
        {"-ERR Error running script (call to f_1): @user_script:3: @user_script: 3: -OOM command "
         "not allowed when used memory > 'maxmemory'.\r\n",
         STORE_UNAVAILABLE, "maxmemory"},
        {"-OOM command not allowed\r\n", STORE_UNAVAILABLE, "maxmemory"},
        {"-BUSY Redis is busy running a script.\r\n", STORE_UNAVAILABLE, "busy"},
        {"-MISCONF Redis is configured to save RDB snapshots\r\n", STORE_UNAVAILABLE, "disk"},
        {"-NOAUTH Authentication required.\r\n", STORE_UNAVAILABLE, "password"},
        {"-NOPERM this user has no permissions\r\n", STORE_UNAVAILABLE, "permit"},
        {"-MOVED 3999 127.0.0.1:6381\r\n", STORE_UNAVAILABLE, "cluster"},
        {"-CLUSTERDOWN The cluster is down\r\n", STORE_UNAVAILABLE, "cluster"},
        {"-WRONGTYPE Operation against a key\r\n", STORE_UNFIT, "not the outbox's"},
        {"-ERR something else\r\n", STORE_UNAVAILABLE, "ERR"},
    };
    char path[200];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CHECK_NOTE("%.20s", cases[i].text);
        middle = (struct redis_middle){
            .info = GOOD_INFO, .answer = cases[i].text, .answer_length = strlen(cases[i].text)};
        redis_stand_in(&middle, server.folder);
        (void)snprintf(path, sizeof path, "redis+unix://%s?timeout=2", middle.path);
        struct store *store = open_at(path);
        if (CHECK(store != NULL)) {
            CHECK(!append(store, "body"));
            CHECK_INT(problem.trouble, cases[i].trouble);
            CHECK(strstr(problem.reason, cases[i].word) != NULL);
            driver->abandon(store);
        }
        redis_stand_down(&middle);
    }
}

/* What a server answers to the password that is not about it. */
static void answers_to_the_password(void)
{
    static const struct {
        const char *text;
        enum store_trouble trouble;
        const char *word;
    } cases[] = {
        {"-ERR max number of clients reached\r\n", STORE_UNAVAILABLE, "clients"},
        {"-LOADING Redis is loading the dataset in memory\r\n", STORE_UNAVAILABLE, "loading"},
        {"-WRONGPASS invalid username-password pair\r\n", STORE_UNFIT, "password"},
        {"-ERR invalid password secret\r\n", STORE_UNFIT, "password"},
    };
    char path[200];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CHECK_NOTE("%.20s", cases[i].text);
        middle = (struct redis_middle){
            .info = GOOD_INFO, .answer = cases[i].text, .answer_length = strlen(cases[i].text)};
        redis_stand_in(&middle, server.folder);
        (void)snprintf(path, sizeof path, "redis+unix://:secret@%s?timeout=2", middle.path);
        CHECK(open_at(path) == NULL);
        CHECK_INT(problem.trouble, cases[i].trouble);
        CHECK(strstr(problem.reason, cases[i].word) != NULL);
        CHECK(strstr(problem.reason, "secret") == NULL);
        redis_stand_down(&middle);
    }
}

static void servers_that_do_not_fit(void)
{
    static const struct {
        const char *info;
        enum store_trouble trouble;
        const char *word;
    } cases[] = {
        {"redis_version:4.0.14\r\nrole:master\r\n", STORE_UNFIT, "5 or newer"},
        {"redis_version:7.0.1\r\nrole:slave\r\n", STORE_UNAVAILABLE, "replica"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        middle = (struct redis_middle){.answer = ""};
        CHECK(open_through(cases[i].info) == NULL);
        CHECK_INT(problem.trouble, cases[i].trouble);
        CHECK(strstr(problem.reason, cases[i].word) != NULL);
        redis_stand_down(&middle);
    }
}

/* ---- threads ---- */

static void *use_a_store(void *context)
{
    struct store_settings settings = contract_settings;
    struct store_problem own;
    struct store_figures figures;
    settings.owner = context;
    struct store *store = driver->open(&settings, &own);
    bool fine = store != NULL;
    for (int i = 0; i < 200 && fine; i++) {
        struct store_row row = contract_row("lane", "body");
        fine = driver->append(store, "source", &row, 1, &own) &&
               driver->lease(store, "source", &own) != STORE_LEASE_UNKNOWN &&
               driver->figures(store, "source", &figures, &own);
        driver->release(store, "source");
    }
    if (store != NULL) {
        driver->close(store);
    }
    return fine ? context : NULL;
}

static void two_threads_with_a_store_each(void)
{
    pthread_t threads[2];
    static char owners[2][2] = {"a", "b"};
    struct store *store = contract_begin();
    for (int i = 0; i < 2; i++) {
        redis_must(pthread_create(&threads[i], NULL, use_a_store, owners[i]) == 0, "thread");
    }
    for (int i = 0; i < 2; i++) {
        void *result = NULL;
        (void)pthread_join(threads[i], &result);
        CHECK(result == owners[i]);
    }
    contract_figures(store, "source", 400, 1600, 0);
    driver->close(store);
}

static const struct check_case cases[] = {
    CHECK_CASE(urls),
    CHECK_CASE(names_of_sources),
    STORE_CONTRACT_CASES,
    CHECK_CASE(warnings_tell_of_what_may_be_lost),
    CHECK_CASE(little_is_permitted),
    CHECK_CASE(letters_are_not_permitted),
    CHECK_CASE(passwords),
    CHECK_CASE(db_is_selected),
    CHECK_CASE(opening_makes_nothing),
    CHECK_CASE(url_says_how_long_a_lease_is),
    CHECK_CASE(nobody_is_there),
    CHECK_CASE(server_that_hangs),
    CHECK_CASE(server_that_starts_anew),
    CHECK_CASE(no_confirmed_row_is_lost),
    CHECK_CASE(breaks_at_any_byte),
    CHECK_CASE(ends_while_it_breaks),
    CHECK_CASE(any_work_while_it_breaks),
    CHECK_CASE(idle_connection_is_closed),
    CHECK_CASE(holder_that_sleeps_is_fenced),
    CHECK_CASE(lease_that_nobody_took),
    CHECK_CASE(flushed_in_the_middle),
    CHECK_CASE(lost_counter_gives_no_id_twice),
    CHECK_CASE(ids_end_before_lua_cannot_tell_them_apart),
    CHECK_CASE(nothing_is_trimmed_and_nothing_kept),
    CHECK_CASE(memory_is_full),
    CHECK_CASE(keys_of_somebody_else),
    CHECK_CASE(newer_format),
    CHECK_CASE(rows_of_somebody_else),
    CHECK_CASE(many_letters),
    CHECK_CASE(too_much_at_once),
    CHECK_CASE(lies_are_seen_through),
    CHECK_CASE(answer_that_drips),
    CHECK_CASE(errors_are_sentences),
    CHECK_CASE(answers_to_the_password),
    CHECK_CASE(servers_that_do_not_fit),
    CHECK_CASE(two_threads_with_a_store_each),
};

int main(int count, char **names)
{
    redis_start(&server);
    contract = (struct store_contract){.driver = &store_redis, .settle = settle, .patience = LEASE};
    int status = CHECK_RUN(cases, count, names);
    redis_stop(&server);
    return status;
}
