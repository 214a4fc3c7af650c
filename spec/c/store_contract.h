#ifndef SENDAPI_STORE_CONTRACT_H
#define SENDAPI_STORE_CONTRACT_H

/*
 * What every store keeps to (store.h), as cases that run against any driver. A spec sets `contract`
 * before it runs them:
 *
 *     contract = (struct store_contract){.driver = ..., .settle = ..., .patience = 0};
 *     static const struct check_case cases[] = {STORE_CONTRACT_CASES, CHECK_CASE(of_its_own)};
 */

#include <signal.h>   /* kill(2) */
#include <stdio.h>    /* snprintf(3) */
#include <stdlib.h>   /* calloc(3) free(3) abort(3) */
#include <string.h>   /* memcmp(3) */
#include <sys/wait.h> /* waitpid(2) */
#include <time.h>     /* time(3) nanosleep(2) */
#include <unistd.h>   /* fork(2) pipe(2) */

#include "check.h"
#include "store.h"

struct store_contract {
    const struct store_driver *driver;
    /* Settings of a place where there is nothing yet; what they point to lives until the next. */
    void (*settle)(struct store_settings *settings);
    double patience; /* seconds until the lease of a process that was killed is free */
};

static struct store_contract contract;

/* ---- helpers ---- */

enum { CONTRACT_ROWS = 64 };

/* Copies of what a visit showed. */
struct contract_seen {
    size_t count;
    size_t limit; /* ends the visit when so many were seen; 0: never */
    struct {
        struct store_letter letter;
        char lane[64];
        char action[64];
        char code[STORE_CODE];
        char reason[STORE_REASON];
        unsigned char first, last; /* of the body */
    } rows[CONTRACT_ROWS];
};

static struct contract_seen contract_seen;
static struct store_problem contract_problem;
static struct store_settings contract_settings;

static inline struct store *contract_open_as(const char *owner)
{
    struct store_settings settings = contract_settings;
    settings.owner = owner;
    struct store *store = contract.driver->open(&settings, &contract_problem);
    if (store == NULL) {
        printf("    cannot open: %s\n", contract_problem.reason);
        abort();
    }
    return store;
}

/* The first engine at a new place. */
static inline struct store *contract_begin(void)
{
    contract.settle(&contract_settings);
    return contract_open_as("first");
}

static inline struct store_row contract_row(const char *lane, const char *body)
{
    return (struct store_row){
        .lane = lane,
        .lane_length = strlen(lane),
        .body = body,
        .length = strlen(body),
        .time = 1700000000.25,
        .action = "messages.create",
    };
}

static inline uint64_t contract_append(struct store *store, const char *source, const char *body)
{
    struct store_row row = contract_row("lane", body);
    if (!contract.driver->append(store, source, &row, 1, &contract_problem)) {
        CHECK_TEXT(contract_problem.reason, "");
        return 0;
    }
    return row.id;
}

static inline bool contract_keep(void *context, const struct store_letter *letter)
{
    struct contract_seen *seen = context;
    if (seen->count == CONTRACT_ROWS) {
        abort();
    }
    const struct store_row *row = &letter->row;
    size_t slot = seen->count++;
    seen->rows[slot].letter = *letter;
    (void)snprintf(seen->rows[slot].action, 64, "%s", row->action);
    (void)snprintf(seen->rows[slot].lane, 64, "%.*s", (int)row->lane_length, row->lane);
    (void)snprintf(seen->rows[slot].code, STORE_CODE, "%s", letter->code);
    (void)snprintf(seen->rows[slot].reason, STORE_REASON, "%s", letter->reason);
    seen->rows[slot].first = row->length > 0 ? (unsigned char)row->body[0] : 0;
    seen->rows[slot].last = row->length > 0 ? (unsigned char)row->body[row->length - 1] : 0;
    return seen->count != seen->limit;
}

static inline bool contract_keep_row(void *context, const struct store_row *row)
{
    return contract_keep(context, &(struct store_letter){.row = *row, .code = "", .reason = ""});
}

/* Each visits anew and returns how many there were. */
static inline size_t contract_next(struct store *store, const char *source, uint64_t after,
                                   size_t count, size_t bytes)
{
    contract_seen.count = 0;
    CHECK(contract.driver->next(store, source, after, count, bytes, contract_keep_row,
                                &contract_seen, &contract_problem));
    return contract_seen.count;
}

static inline size_t contract_look(struct store *store, const char *source, uint64_t after)
{
    contract_seen.count = 0;
    CHECK(contract.driver->look(store, source, after, CONTRACT_ROWS, contract_keep_row,
                                &contract_seen, &contract_problem));
    return contract_seen.count;
}

static inline size_t contract_letters(struct store *store, const char *source, uint64_t after,
                                      size_t count)
{
    contract_seen.count = 0;
    CHECK(contract.driver->letters(store, source, after, count, contract_keep, &contract_seen,
                                   &contract_problem));
    return contract_seen.count;
}

static inline uint64_t contract_id(size_t slot)
{
    return slot < contract_seen.count ? contract_seen.rows[slot].letter.row.id : 0;
}

static inline enum store_lease contract_lease(struct store *store, const char *source)
{
    return contract.driver->lease(store, source, &contract_problem);
}

static inline bool contract_end(struct store *store, const char *source, uint64_t id)
{
    struct store_end end = {.id = id, .is_delivered = true, .code = "", .reason = "", .time = 5};
    return contract.driver->end(store, source, &end, 1, &contract_problem);
}

static inline bool contract_bury(struct store *store, const char *source, uint64_t id)
{
    struct store_end end = {.id = id,
                            .code = "invalid_request_format",
                            .reason = "Body can't be blank",
                            .status = 422,
                            .attempts = 3,
                            .time = 1700000009.5};
    return contract.driver->end(store, source, &end, 1, &contract_problem);
}

static inline void contract_figures(struct store *store, const char *source, uint64_t pending,
                                    uint64_t bytes, uint64_t dead)
{
    struct store_figures figures;
    CHECK(contract.driver->figures(store, source, &figures, &contract_problem));
    CHECK_SIZE(figures.pending, pending);
    CHECK_SIZE(figures.pending_bytes, bytes);
    CHECK_SIZE(figures.dead, dead);
    CHECK((figures.oldest > 0) == (pending > 0));
}

static inline size_t contract_retry(struct store *store, const char *source, uint64_t id)
{
    size_t count = 99;
    CHECK(contract.driver->retry(store, source, id, &count, &contract_problem));
    return count;
}

static inline size_t contract_discard(struct store *store, const char *source, uint64_t id)
{
    size_t count = 99;
    CHECK(contract.driver->discard(store, source, id, &count, &contract_problem));
    return count;
}

struct contract_names {
    size_t count;
    char names[8][64];
};

static inline bool contract_keep_name(void *context, const char *source)
{
    struct contract_names *names = context;
    (void)snprintf(names->names[names->count++ % 8], 64, "%s", source);
    return true;
}

static inline bool contract_has_source(struct store *store, const char *source, size_t count)
{
    struct contract_names names = {.count = 0};
    CHECK(contract.driver->sources(store, contract_keep_name, &names, &contract_problem));
    CHECK_SIZE(names.count, count);
    bool found = false;
    for (size_t i = 0; i < names.count && i < 8; i++) {
        found = found || strcmp(names.names[i], source) == 0;
    }
    return found;
}

static inline uint64_t contract_newest(struct store *store, const char *source)
{
    struct store_figures figures;
    CHECK(contract.driver->figures(store, source, &figures, &contract_problem));
    return figures.newest;
}

static inline void contract_nap(void)
{
    (void)nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
}

/* ---- what is appended ---- */

static inline void contract_new_place_is_empty(void)
{
    struct store *store = contract_begin();
    CHECK_INT(contract_lease(store, "source"), STORE_LEASE_HELD);
    CHECK_SIZE(contract_next(store, "source", 0, 10, 1000), 0);
    CHECK_SIZE(contract_look(store, "source", 0), 0);
    CHECK_SIZE(contract_letters(store, "source", 0, 10), 0);
    CHECK_SIZE(contract_retry(store, "source", 0), 0);
    CHECK_SIZE(contract_discard(store, "source", 0), 0);
    CHECK(!contract_has_source(store, "source", 0));
    contract_figures(store, "source", 0, 0, 0);
    contract.driver->idle(store);
    contract.driver->close(store);
}

static inline void contract_row_comes_back_as_it_was(void)
{
    struct store *store = contract_begin();
    static const char body[] = "{\"a\":\"\0\xff\xfe'%s\"}";
    struct store_row rows[2] = {contract_row("la:ne\xc3\xa9", ""), contract_row("", "")};
    rows[0].body = body;
    rows[0].length = sizeof body - 1;
    CHECK(contract.driver->append(store, "source", rows, 2, &contract_problem));
    CHECK(rows[0].id > 0 && rows[1].id > rows[0].id);
    CHECK_SIZE(contract_look(store, "source", 0), 2);
    CHECK_SIZE(contract_id(0), rows[0].id);
    CHECK_SIZE(contract_id(1), rows[1].id);
    CHECK_TEXT(contract_seen.rows[0].lane, "la:ne\xc3\xa9");
    CHECK_TEXT(contract_seen.rows[0].action, "messages.create");
    CHECK_SIZE(contract_seen.rows[0].letter.row.length, sizeof body - 1);
    CHECK_INT(contract_seen.rows[0].last, '}');
    CHECK(contract_seen.rows[0].letter.row.time == 1700000000.25);
    CHECK_SIZE(contract_seen.rows[1].letter.row.lane_length, 0);
    CHECK_SIZE(contract_seen.rows[1].letter.row.length, 0);
    contract_figures(store, "source", 2, sizeof body - 1, 0);
    contract.driver->close(store);
}

struct contract_bytes {
    const char *bytes;
    size_t length;
    unsigned same;
};

static inline bool contract_compare(void *context, const struct store_row *row)
{
    struct contract_bytes *wanted = context;
    wanted->same +=
        row->length == wanted->length && memcmp(row->body, wanted->bytes, row->length) == 0;
    return true;
}

static inline bool contract_compare_letter(void *context, const struct store_letter *letter)
{
    return contract_compare(context, &letter->row);
}

/* Around the size at which bodies stand beside the table, and far above it. */
static inline void contract_body_of(size_t length)
{
    struct store *store = contract_begin();
    char *body = calloc(length, 1);
    for (size_t i = 0; body != NULL && i < length; i++) {
        body[i] = (char)(i * 31 + i / 251);
    }
    struct contract_bytes wanted = {.bytes = body, .length = length};
    struct store_row row = contract_row("lane", "");
    row.body = body;
    row.length = length;
    CHECK(contract.driver->append(store, "source", &row, 1, &contract_problem));
    CHECK_INT(contract_lease(store, "source"), STORE_LEASE_HELD);
    CHECK(contract.driver->next(store, "source", 0, 9, 9, contract_compare, &wanted,
                                &contract_problem));
    contract_figures(store, "source", 1, length, 0);
    CHECK(contract_bury(store, "source", row.id));
    CHECK(contract.driver->letters(store, "source", 0, 9, contract_compare_letter, &wanted,
                                   &contract_problem));
    contract_figures(store, "source", 0, 0, 1);
    CHECK_SIZE(contract_retry(store, "source", row.id), 1);
    CHECK(
        contract.driver->look(store, "source", 0, 9, contract_compare, &wanted, &contract_problem));
    CHECK_SIZE(wanted.same, 3);
    contract_figures(store, "source", 1, length, 0);
    contract.driver->close(store);
    free(body);
}

static inline void contract_bodies_of_any_size(void)
{
    static const size_t lengths[] = {1, STORE_INLINE - 1, STORE_INLINE, STORE_INLINE + 1, 5000000};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        CHECK_NOTE("%zu bytes", lengths[i]);
        contract_body_of(lengths[i]);
    }
}

static inline void contract_nothing_is_appended(void)
{
    struct store *store = contract_begin();
    CHECK(contract.driver->append(store, "source", NULL, 0, &contract_problem));
    CHECK(!contract_has_source(store, "source", 0));
    contract.driver->close(store);
}

static inline void contract_rows_outlive_their_store(void)
{
    struct store *store = contract_begin();
    uint64_t id = contract_append(store, "source", "one");
    CHECK_INT(contract_lease(store, "source"), STORE_LEASE_HELD);
    CHECK(contract_bury(store, "source", contract_append(store, "source", "two")));
    contract.driver->close(store);
    store = contract_open_as("later");
    contract_figures(store, "source", 1, 3, 1);
    CHECK_INT(contract_lease(store, "source"), STORE_LEASE_HELD);
    CHECK_SIZE(contract_next(store, "source", 0, 10, 1000), 1);
    CHECK_SIZE(contract_id(0), id);
    CHECK(contract_end(store, "source", id));
    CHECK_SIZE(contract_discard(store, "source", 0), 1);
    contract.driver->close(store);
    store = contract_open_as("last");
    CHECK(contract_append(store, "source", "three") > id + 1); /* no id comes twice */
    contract.driver->close(store);
}

static inline void contract_sources_are_apart(void)
{
    static const char *const names[] = {"a", "A", "a b", "it's {1}:*?[x]", "\xc3\xa9\n\"%s"};
    enum { NAMES = 5 };
    struct store *store = contract_begin();
    for (size_t i = 0; i < NAMES; i++) {
        for (size_t j = 0; j <= i; j++) {
            CHECK(contract_append(store, names[i], "body") > 0);
        }
    }
    for (size_t i = 0; i < NAMES; i++) {
        CHECK_NOTE("source %zu", i);
        contract_figures(store, names[i], i + 1, 4 * (i + 1), 0);
        CHECK(contract_has_source(store, names[i], NAMES));
        CHECK_INT(contract_lease(store, names[i]), STORE_LEASE_HELD);
        CHECK_SIZE(contract_next(store, names[i], 0, 10, 1000), i + 1);
    }
    CHECK(contract_bury(store, "a", contract_look(store, "a", 0) > 0 ? contract_id(0) : 0));
    CHECK(contract_has_source(store, "a", NAMES)); /* has a letter */
    CHECK_SIZE(contract_discard(store, "a", 0), 1);
    CHECK(!contract_has_source(store, "a", NAMES - 1));
    contract.driver->close(store);
}

/* ---- the holder's visits ---- */

static inline void contract_next_goes_on(void)
{
    struct store *store = contract_begin();
    uint64_t ids[10];
    for (size_t i = 0; i < 10; i++) {
        ids[i] = contract_append(store, "source", "12345");
    }
    CHECK_INT(contract_lease(store, "source"), STORE_LEASE_HELD);
    CHECK_SIZE(contract_next(store, "source", 0, 4, 1000), 4);
    CHECK_SIZE(contract_id(3), ids[3]);
    CHECK_SIZE(contract_next(store, "source", ids[3], 4, 1000), 4);
    CHECK_SIZE(contract_id(0), ids[4]);
    CHECK_SIZE(contract_next(store, "source", ids[8], 4, 1000), 1);
    CHECK_SIZE(contract_next(store, "source", ids[9], 4, 1000), 0);
    CHECK_SIZE(contract_next(store, "source", UINT64_MAX, 4, 1000), 0);
    CHECK_SIZE(contract_next(store, "source", 0, 10, 1), 1); /* one at least */
    size_t some = contract_next(store, "source", 0, 10, 20);
    CHECK(some >= 3 && some <= 5);
    CHECK_SIZE(contract_next(store, "source", 0, 10, 18), 4);
    CHECK(contract_end(store, "source", ids[1])); /* out of order, as lanes do it */
    CHECK_SIZE(contract_next(store, "source", 0, 2, 1000), 2);
    CHECK_SIZE(contract_id(1), ids[2]);
    contract.driver->close(store);
}

static inline void contract_visitor_ends_the_visit(void)
{
    struct store *store = contract_begin();
    CHECK_INT(contract_lease(store, "source"), STORE_LEASE_HELD);
    for (size_t i = 0; i < 3; i++) {
        CHECK(contract_append(store, "source", "pending") > 0);
        CHECK(contract_bury(store, "source", contract_append(store, "source", "dead")));
    }
    contract_seen.limit = 2;
    CHECK_SIZE(contract_next(store, "source", 0, 10, 1000), 2);
    CHECK_SIZE(contract_look(store, "source", 0), 2);
    CHECK_SIZE(contract_letters(store, "source", 0, 10), 2);
    contract_seen.limit = 0;
    CHECK_SIZE(contract_letters(store, "source", 0, 10), 3);
    contract.driver->close(store);
}

static inline void contract_ended_rows_are_gone(void)
{
    struct store *store = contract_begin();
    CHECK_INT(contract_lease(store, "source"), STORE_LEASE_HELD);
    struct store_end ends[4];
    uint64_t ids[4];
    for (size_t i = 0; i < 4; i++) {
        ids[i] = contract_append(store, "source", "body");
        ends[i] = (struct store_end){.id = ids[i], .is_delivered = i % 2 == 0, .time = 7};
        ends[i].code = ends[i].reason = "";
    }
    CHECK(contract.driver->end(store, "source", ends, 3, &contract_problem));
    contract_figures(store, "source", 1, 4, 1);
    /* said again, because the answer was lost: what is gone stays gone, a letter stays one */
    CHECK(contract.driver->end(store, "source", ends, 4, &contract_problem));
    contract_figures(store, "source", 0, 0, 2);
    CHECK(contract.driver->end(store, "source", ends, 4, &contract_problem));
    CHECK(contract_end(store, "source", UINT64_MAX));
    CHECK(contract.driver->end(store, "source", NULL, 0, &contract_problem));
    contract_figures(store, "source", 0, 0, 2);
    CHECK_SIZE(contract_letters(store, "source", 0, 10), 2);
    CHECK_SIZE(contract_id(0), ids[1]);
    CHECK_SIZE(contract_id(1), ids[3]);
    contract.driver->close(store);
}

/* Ends without a gap between their ids, among them what is gone and a letter with a large body. */
static inline void contract_many_end_at_once(void)
{
    enum { COUNT = 9, LETTER = 2, GONE = 4, LEFT = 6, LARGE = STORE_INLINE + 1 };
    struct store *store = contract_begin();
    static char body[LARGE];
    struct contract_bytes wanted = {.bytes = body, .length = sizeof body};
    struct store_end ends[COUNT];
    struct store_row rows[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        rows[i] = contract_row("lane", "");
        rows[i].body = body;
        rows[i].length = i % 2 == 0 ? sizeof body : 3;
    }
    CHECK_INT(contract_lease(store, "source"), STORE_LEASE_HELD);
    CHECK(contract.driver->append(store, "source", rows, COUNT, &contract_problem));
    CHECK(contract_bury(store, "source", rows[LETTER].id));
    CHECK(contract_end(store, "source", rows[GONE].id));
    size_t count = 0;
    for (size_t i = 0; i < COUNT; i++) {
        if (i != LEFT) {
            ends[count++] = (struct store_end){.id = rows[i].id, .is_delivered = true, .time = 7};
        }
    }
    CHECK(contract.driver->end(store, "source", ends, count, &contract_problem));
    contract_figures(store, "source", 1, sizeof body, 1);
    CHECK(contract.driver->letters(store, "source", 0, 9, contract_compare_letter, &wanted,
                                   &contract_problem));
    CHECK(
        contract.driver->look(store, "source", 0, 9, contract_compare, &wanted, &contract_problem));
    CHECK_SIZE(wanted.same, 2);
    contract.driver->close(store);
}

static inline void contract_letter_says_why(void)
{
    struct store *store = contract_begin();
    CHECK_INT(contract_lease(store, "source"), STORE_LEASE_HELD);
    uint64_t id = contract_append(store, "source", "body");
    CHECK(contract_bury(store, "source", id));
    CHECK_SIZE(contract_letters(store, "source", 0, 10), 1);
    const struct store_letter *letter = &contract_seen.rows[0].letter;
    CHECK_SIZE(letter->row.id, id);
    CHECK_TEXT(contract_seen.rows[0].lane, "lane");
    CHECK_TEXT(contract_seen.rows[0].action, "messages.create");
    CHECK_TEXT(contract_seen.rows[0].code, "invalid_request_format");
    CHECK_TEXT(contract_seen.rows[0].reason, "Body can't be blank");
    CHECK_SIZE(letter->row.length, 4);
    CHECK_INT(letter->status, 422);
    CHECK_SIZE(letter->attempts, 3);
    CHECK(letter->row.time == 1700000000.25);
    CHECK(letter->died == 1700000009.5);
    CHECK_SIZE(contract_letters(store, "source", id, 10), 0);
    contract.driver->close(store);
}

/* ---- letters ---- */

static inline void contract_bury_some(struct store *store, uint64_t ids[4])
{
    CHECK_INT(contract_lease(store, "source"), STORE_LEASE_HELD);
    for (size_t i = 0; i < 4; i++) {
        ids[i] = contract_append(store, "source", i % 2 == 0 ? "even" : "odd");
        CHECK(contract_bury(store, "source", ids[i]));
    }
}

static inline void contract_retried_letter_stands_behind(void)
{
    struct store *store = contract_begin();
    uint64_t ids[4];
    contract_bury_some(store, ids);
    uint64_t pending = contract_append(store, "source", "pending");
    CHECK_SIZE(contract_newest(store, "source"), ids[3]);
    double before = (double)time(NULL);
    CHECK_SIZE(contract_retry(store, "source", ids[1]), 1);
    CHECK_SIZE(contract_retry(store, "source", ids[1]), 0); /* it is none any more */
    CHECK_SIZE(contract_retry(store, "source", pending), 0);
    contract_figures(store, "source", 2, 10, 3);
    CHECK_SIZE(contract_next(store, "source", 0, 10, 1000), 2);
    CHECK_SIZE(contract_id(0), pending);
    CHECK(contract_id(1) > pending);
    CHECK_INT(contract_seen.rows[1].last, 'd');
    CHECK_TEXT(contract_seen.rows[1].lane, "lane");
    CHECK_TEXT(contract_seen.rows[1].action, "messages.create");
    /* accepted anew: it has all its time again */
    CHECK(contract_seen.rows[1].letter.row.time >= before - 1);
    uint64_t again = contract_id(1);
    CHECK(contract_bury(store, "source", again));
    CHECK_SIZE(contract_newest(store, "source"), again);
    CHECK_SIZE(contract_retry(store, "source", again), 1);
    CHECK_SIZE(contract_newest(store, "source"), ids[3]);
    CHECK_SIZE(contract_next(store, "source", again, 10, 1000), 1);
    CHECK(contract_end(store, "source", contract_id(0)));
    contract_figures(store, "source", 1, 7, 3);
    contract.driver->close(store);
}

static inline void contract_all_letters_are_retried(void)
{
    struct store *store = contract_begin();
    uint64_t ids[4];
    contract_bury_some(store, ids);
    CHECK_SIZE(contract_retry(store, "other", 0), 0);
    CHECK_SIZE(contract_retry(store, "source", 0), 4);
    contract_figures(store, "source", 4, 14, 0);
    CHECK_SIZE(contract_next(store, "source", ids[3], 10, 1000), 4);
    for (size_t i = 0; i < 4; i++) { /* in their order */
        CHECK_INT(contract_seen.rows[i].first, i % 2 == 0 ? 'e' : 'o');
    }
    CHECK(contract_append(store, "source", "behind") > contract_id(3));
    contract.driver->close(store);
}

static inline void contract_letters_are_discarded(void)
{
    struct store *store = contract_begin();
    uint64_t ids[4];
    contract_bury_some(store, ids);
    uint64_t pending = contract_append(store, "source", "pending");
    CHECK_SIZE(contract_discard(store, "source", pending), 0);
    CHECK_SIZE(contract_discard(store, "source", ids[2]), 1);
    CHECK_SIZE(contract_discard(store, "source", ids[2]), 0);
    CHECK_SIZE(contract_discard(store, "other", ids[1]), 0);
    CHECK_SIZE(contract_letters(store, "source", ids[0], 1), 1);
    CHECK_SIZE(contract_id(0), ids[1]);
    CHECK_SIZE(contract_newest(store, "other"), 0);
    CHECK_SIZE(contract_discard(store, "source", 0), 3);
    CHECK_SIZE(contract_newest(store, "source"), 0);
    contract_figures(store, "source", 1, 7, 0);
    contract.driver->close(store);
}

/* ---- several engines ---- */

static inline void contract_lease_is_one_engines(void)
{
    struct store *first = contract_begin();
    struct store *second = contract_open_as("second");
    CHECK_INT(contract_lease(first, "source"), STORE_LEASE_HELD);
    CHECK_INT(contract_lease(first, "source"), STORE_LEASE_HELD);
    CHECK_INT(contract_lease(second, "source"), STORE_LEASE_TAKEN);
    CHECK_INT(contract_lease(second, "other"), STORE_LEASE_HELD);
    contract.driver->release(second, "source"); /* not its own: no effect */
    CHECK_INT(contract_lease(second, "source"), STORE_LEASE_TAKEN);
    contract.driver->release(first, "source");
    CHECK_INT(contract_lease(second, "source"), STORE_LEASE_HELD);
    CHECK_INT(contract_lease(first, "source"), STORE_LEASE_TAKEN);
    contract.driver->close(second);
    CHECK_INT(contract_lease(first, "source"), STORE_LEASE_HELD);
    CHECK_INT(contract_lease(first, "other"), STORE_LEASE_HELD);
    contract.driver->close(first);
}

static inline void contract_only_the_holder_reads_and_ends(void)
{
    struct store *first = contract_begin();
    struct store *second = contract_open_as("second");
    uint64_t id = contract_append(second, "source", "body");
    CHECK(!contract_end(second, "source", id)); /* nobody's */
    CHECK_INT(contract_problem.trouble, STORE_FENCED);
    CHECK_INT(contract_lease(first, "source"), STORE_LEASE_HELD);
    CHECK(!contract_end(second, "source", id));
    CHECK_INT(contract_problem.trouble, STORE_FENCED);
    CHECK(contract_problem.reason[0] != '\0');
    CHECK(!contract.driver->next(second, "source", 0, 1, 1, contract_keep_row, &contract_seen,
                                 &contract_problem));
    CHECK_INT(contract_problem.trouble, STORE_FENCED);
    CHECK_SIZE(contract_look(second, "source", 0), 1);
    contract_figures(second, "source", 1, 4, 0);
    contract.driver->release(first, "source");
    CHECK(!contract_end(first, "source", id));
    CHECK_INT(contract_problem.trouble, STORE_FENCED);
    contract_figures(first, "source", 1, 4, 0);
    contract.driver->close(second);
    contract.driver->close(first);
}

static inline void contract_ids_ascend_over_all_engines(void)
{
    struct store *first = contract_begin();
    struct store *second = contract_open_as("second");
    uint64_t last = 0;
    for (size_t i = 0; i < 20; i++) {
        uint64_t id = contract_append(i % 3 == 0 ? first : second, "source", "body");
        CHECK(id > last);
        last = id;
    }
    CHECK_SIZE(contract_look(first, "source", 0), 20);
    contract.driver->close(second);
    contract.driver->close(first);
}

static inline uint64_t contract_version(struct store *store)
{
    uint64_t version = 0;
    CHECK(contract.driver->version(store, "source", &version, &contract_problem));
    return version;
}

static inline void contract_version_tells_of_others(void)
{
    struct store *first = contract_begin();
    struct store *second = contract_open_as("second");
    CHECK_INT(contract_lease(first, "source"), STORE_LEASE_HELD);
    uint64_t empty = contract_version(first);
    uint64_t id = contract_append(second, "source", "body");
    uint64_t appended = contract_version(first);
    CHECK(appended != empty);
    CHECK(contract_append(second, "source", "body") > 0);
    uint64_t again = contract_version(first);
    CHECK(again != appended);
    CHECK(contract_bury(first, "source", id));
    uint64_t buried = contract_version(first);
    CHECK_SIZE(contract_retry(second, "source", 0), 1);
    CHECK(contract_version(first) != buried);
    contract.driver->close(second);
    contract.driver->close(first);
}

/* ---- several processes ---- */

enum { CONTRACT_CHILDREN = 4, CONTRACT_BATCHES = 4, CONTRACT_BATCH = 3 };

static inline void contract_append_batches(int child)
{
    char owner[32];
    (void)snprintf(owner, sizeof owner, "child %d", child);
    struct store *store = contract_open_as(owner);
    for (int i = 0; i < CONTRACT_BATCHES; i++) {
        struct store_row rows[CONTRACT_BATCH];
        char bodies[CONTRACT_BATCH][3];
        for (int j = 0; j < CONTRACT_BATCH; j++) {
            (void)snprintf(bodies[j], 3, "%c%c", 'a' + child, '0' + i * CONTRACT_BATCH + j);
            rows[j] = contract_row("lane", bodies[j]);
        }
        while (!contract.driver->append(store, "source", rows, CONTRACT_BATCH, &contract_problem)) {
            contract_nap();
        }
    }
    contract.driver->close(store);
}

static inline void contract_many_processes_append(void)
{
    contract.driver->close(contract_begin());
    pid_t children[CONTRACT_CHILDREN];
    for (int i = 0; i < CONTRACT_CHILDREN; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            contract_append_batches(i);
            _exit(0);
        }
    }
    for (int i = 0; i < CONTRACT_CHILDREN; i++) {
        int status = -1;
        CHECK(waitpid(children[i], &status, 0) == children[i] && status == 0);
    }
    struct store *store = contract_open_as("judge");
    CHECK_SIZE(contract_look(store, "source", 0),
               CONTRACT_CHILDREN * CONTRACT_BATCHES * CONTRACT_BATCH);
    unsigned char expected[CONTRACT_CHILDREN] = {'0', '0', '0', '0'};
    for (size_t i = 0; i < contract_seen.count; i++) { /* each child's in its order */
        int child = contract_seen.rows[i].first - 'a';
        CHECK_INT(contract_seen.rows[i].last, expected[child]++);
    }
    contract.driver->close(store);
}

/* A process that takes the lease, says so, and stays until it is killed. */
static inline pid_t contract_holder(void)
{
    int ready[2];
    char byte = 0;
    if (pipe(ready) != 0) {
        abort();
    }
    pid_t child = fork();
    if (child == 0) {
        struct store *store = contract_open_as("holder");
        byte = contract_lease(store, "source") == STORE_LEASE_HELD ? 'y' : 'n';
        (void)!write(ready[1], &byte, 1);
        for (;;) {
            (void)pause();
        }
    }
    (void)close(ready[1]);
    CHECK(read(ready[0], &byte, 1) == 1 && byte == 'y');
    (void)close(ready[0]);
    return child;
}

static inline void contract_dead_holder_is_replaced(void)
{
    contract.driver->close(contract_begin());
    pid_t child = contract_holder();
    struct store *store = contract_open_as("heir");
    CHECK_INT(contract_lease(store, "source"), STORE_LEASE_TAKEN);
    (void)kill(child, SIGKILL);
    (void)waitpid(child, NULL, 0);
    time_t limit = time(NULL) + (time_t)contract.patience + 2;
    enum store_lease lease = contract_lease(store, "source");
    while (lease != STORE_LEASE_HELD && time(NULL) < limit && contract.patience > 0) {
        contract_nap();
        lease = contract_lease(store, "source");
    }
    CHECK_INT(lease, STORE_LEASE_HELD);
    contract.driver->close(store);
}

/* A child leaves its parent's store alone, and what the parent holds stays held. */
static inline void contract_child_abandons(void)
{
    struct store *store = contract_begin();
    CHECK_INT(contract_lease(store, "source"), STORE_LEASE_HELD);
    CHECK(contract_append(store, "source", "before") > 0);
    pid_t child = fork();
    if (child == 0) {
        contract.driver->abandon(store);
        struct store *own = contract_open_as("child");
        bool fine = contract_lease(own, "source") == STORE_LEASE_TAKEN &&
                    contract_append(own, "source", "child") > 0;
        contract.driver->close(own);
        _exit(fine ? 0 : 1);
    }
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    struct store *other = contract_open_as("other");
    CHECK_INT(contract_lease(other, "source"), STORE_LEASE_TAKEN);
    CHECK_INT(contract_lease(store, "source"), STORE_LEASE_HELD);
    CHECK(contract_append(store, "source", "after") > 0);
    CHECK_SIZE(contract_next(store, "source", 0, 10, 1000), 3);
    CHECK(contract_end(store, "source", contract_id(0)));
    contract.driver->close(other);
    contract.driver->close(store);
}

#define STORE_CONTRACT_CASES                                                                       \
    CHECK_CASE(contract_new_place_is_empty), CHECK_CASE(contract_row_comes_back_as_it_was),        \
        CHECK_CASE(contract_bodies_of_any_size), CHECK_CASE(contract_nothing_is_appended),         \
        CHECK_CASE(contract_rows_outlive_their_store), CHECK_CASE(contract_sources_are_apart),     \
        CHECK_CASE(contract_next_goes_on), CHECK_CASE(contract_visitor_ends_the_visit),            \
        CHECK_CASE(contract_ended_rows_are_gone), CHECK_CASE(contract_many_end_at_once),           \
        CHECK_CASE(contract_letter_says_why), CHECK_CASE(contract_retried_letter_stands_behind),   \
        CHECK_CASE(contract_all_letters_are_retried), CHECK_CASE(contract_letters_are_discarded),  \
        CHECK_CASE(contract_lease_is_one_engines),                                                 \
        CHECK_CASE(contract_only_the_holder_reads_and_ends),                                       \
        CHECK_CASE(contract_ids_ascend_over_all_engines),                                          \
        CHECK_CASE(contract_version_tells_of_others), CHECK_CASE(contract_many_processes_append),  \
        CHECK_CASE(contract_dead_holder_is_replaced), CHECK_CASE(contract_child_abandons)

#endif
