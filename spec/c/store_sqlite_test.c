/* The store in a SQLite file: the contract, and what a machine does to a file. */

#include "store_sqlite.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include <sqlite3.h>

#include "crash_vfs.h"
#include "file_locks.h"
#include "file_place.h"
#include "random.h"
#include "store_contract.h"

#if defined(__SANITIZE_THREAD__)
enum { UNDER_TSAN = 1 };
#else
enum { UNDER_TSAN = 0 };
#endif

/* ---- places ---- */

static char folder[64];
static char path[96];
static unsigned places;
static unsigned warnings;
static char warned[STORE_REASON];

static void warn(void *context, const char *sentence)
{
    (void)context;
    warnings++;
    (void)snprintf(warned, sizeof warned, "%s", sentence);
}

static void settle(struct store_settings *settings)
{
    (void)snprintf(path, sizeof path, "%s/%u.db", folder, ++places);
    warnings = 0;
    warned[0] = '\0';
    *settings = (struct store_settings){.path = path, .lease_seconds = 10, .warn = warn};
}

static const char *beside(const char *suffix)
{
    static char name[4][160];
    static unsigned turn;
    char *result = name[turn++ % 4];
    (void)snprintf(result, sizeof name[0], "%s%s", path, suffix);
    return result;
}

/* Deletes what begins with `prefix` and returns how much there was. */
static unsigned sweep(const char *prefix, bool is_deleted)
{
    unsigned count = 0;
    char name[400];
    DIR *stream = opendir(folder);
    const struct dirent *entry = stream != NULL ? readdir(stream) : NULL;
    for (; entry != NULL; entry = readdir(stream)) {
        if (entry->d_name[0] != '.' && strncmp(entry->d_name, prefix, strlen(prefix)) == 0) {
            (void)snprintf(name, sizeof name, "%s/%s", folder, entry->d_name);
            count++;
            if (is_deleted) {
                (void)remove(name);
            }
        }
    }
    if (stream != NULL) {
        (void)closedir(stream);
    }
    return count;
}

static long size_of(const char *name)
{
    struct stat status;
    return stat(name, &status) == 0 ? (long)status.st_size : -1;
}

static void write_file(const char *name, const char *text, long offset)
{
    int descriptor = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    CHECK(descriptor >= 0 &&
          pwrite(descriptor, text, strlen(text), offset) == (ssize_t)strlen(text));
    (void)close(descriptor);
}

/* Runs SQL on the place's file by a connection of its own. */
static void run_sql(const char *text)
{
    sqlite3 *db = NULL;
    CHECK_INT(sqlite3_open(path, &db), SQLITE_OK);
    CHECK_INT(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
    CHECK_INT(sqlite3_close(db), SQLITE_OK);
}

/* The trouble that opening comes to. */
static enum store_trouble open_trouble(void)
{
    contract_problem = (struct store_problem){.trouble = STORE_FINE};
    struct store *store = store_sqlite.open(&contract_settings, &contract_problem);
    if (store != NULL) {
        store_sqlite.close(store);
    } else {
        CHECK(contract_problem.trouble != STORE_FINE && contract_problem.reason[0] != '\0');
    }
    return contract_problem.trouble;
}

/* ---- allocations of SQLite that are refused ---- */

static sqlite3_mem_methods memory;
static long allocations;
static long refuse_at = -1;
static bool refuses_on;

static bool must_refuse(void)
{
    long turn = allocations++;
    return refuse_at >= 0 && (turn == refuse_at || (refuses_on && turn > refuse_at));
}

static void *allocate(int size)
{
    return must_refuse() ? NULL : memory.xMalloc(size);
}

static void *reallocate(void *block, int size)
{
    return must_refuse() ? NULL : memory.xRealloc(block, size);
}

static void install_allocator(void)
{
    (void)sqlite3_config(SQLITE_CONFIG_GETMALLOC, &memory);
    sqlite3_mem_methods refusing = memory;
    refusing.xMalloc = allocate;
    refusing.xRealloc = reallocate;
    if (!UNDER_TSAN) {
        (void)sqlite3_config(SQLITE_CONFIG_MALLOC, &refusing);
    }
}

/* ---- a life of many rows, and what was confirmed of it ---- */

enum { LIFE_ROWS = 400 };

enum fate {
    NEVER,     /* not appended yet */
    REFUSED,   /* must not be there, unless the power went or the disk stayed broken */
    UNKNOWN,   /* a call that may or may not have been done, in between */
    ACCEPTED,  /* must be pending */
    BURIED,    /* must be a letter */
    DELIVERED, /* must be gone */
};

static struct {
    enum fate fates[LIFE_ROWS]; /* by the number in the body */
    uint64_t ids[LIFE_ROWS];
    size_t lengths[LIFE_ROWS];
    bool is_settled[LIFE_ROWS]; /* ended, and something durable was done since */
    size_t count;
    enum fate found[LIFE_ROWS];
    unsigned wrong_bodies;
} life;

static char life_body[100000];

/* A body that says its number, of any length: what is behind the number is its last digit. */
static struct store_row life_row(size_t number, size_t length)
{
    struct store_row row = contract_row(number % 2 == 0 ? "even" : "odd", "");
    (void)snprintf(life_body, 9, "%08zu", number);
    memset(life_body + 8, '0' + (int)(number % 10), length - 8);
    row.body = life_body;
    row.length = length;
    return row;
}

static bool life_see(const struct store_row *row, enum fate fate)
{
    size_t number = 0;
    for (size_t i = 0; i < 8 && i < row->length; i++) {
        number = number * 10 + (size_t)(row->body[i] - '0');
    }
    if (number >= LIFE_ROWS || life.found[number] != NEVER ||
        (row->length == life.lengths[number] && row->length > 8 &&
         row->body[row->length - 1] != '0' + (char)(number % 10))) {
        life.wrong_bodies++;
        return true;
    }
    life.wrong_bodies += row->length != life.lengths[number];
    life.found[number] = fate;
    return true;
}

static bool life_see_row(void *context, const struct store_row *row)
{
    (void)context;
    return life_see(row, ACCEPTED);
}

static bool life_see_letter(void *context, const struct store_letter *letter)
{
    (void)context;
    return life_see(&letter->row, BURIED);
}

static void life_begin(void)
{
    memset(&life, 0, sizeof life);
}

/* Something durable was done, and with it all ends before it. */
static void life_settle(void)
{
    for (size_t i = 0; i < life.count; i++) {
        life.is_settled[i] = life.fates[i] == DELIVERED || life.fates[i] == BURIED;
    }
}

/* One row, of its own transaction. */
static bool life_append(struct store *store, size_t length)
{
    size_t number = life.count++;
    struct store_row row = life_row(number, length);
    life.lengths[number] = length;
    bool is_done = store_sqlite.append(store, "source", &row, 1, &contract_problem);
    life.fates[number] = is_done ? ACCEPTED : REFUSED;
    life.ids[number] = row.id;
    if (is_done) {
        life_settle();
    }
    return is_done;
}

static size_t life_any(enum fate fate, struct random *random)
{
    size_t start = life.count > 0 ? random_below(random, life.count) : 0;
    for (size_t i = 0; i < life.count; i++) {
        size_t number = (start + i) % life.count;
        if (life.fates[number] == fate) {
            return number;
        }
    }
    return LIFE_ROWS;
}

static bool life_end(struct store *store, size_t number, bool is_delivered)
{
    struct store_end end = {.id = life.ids[number], .is_delivered = is_delivered, .status = 422};
    end.code = end.reason = "why";
    life.fates[number] = UNKNOWN;
    bool is_done = store_sqlite.end(store, "source", &end, 1, &contract_problem);
    life.fates[number] = is_done ? is_delivered ? DELIVERED : BURIED : UNKNOWN;
    return is_done;
}

static bool life_discard(struct store *store, size_t number)
{
    size_t count = 0;
    life.fates[number] = UNKNOWN;
    bool is_done =
        store_sqlite.discard(store, "source", life.ids[number], &count, &contract_problem);
    life.fates[number] = is_done ? DELIVERED : UNKNOWN;
    if (is_done) {
        life_settle();
    }
    return is_done;
}

static size_t life_length(struct random *random)
{
    uint64_t kind = random_below(random, 8);
    return 9 + random_below(random, kind == 0 ? 90000 : kind < 4 ? 6000 : 300);
}

/* One thing that happens to a store; false when it was refused. */
static bool life_step(struct store *store, struct random *random)
{
    size_t number = LIFE_ROWS;
    switch (random_below(random, 8)) {
    case 0:
        number = life_any(BURIED, random);
        return number == LIFE_ROWS || life_discard(store, number);
    case 1:
    case 2:
        number = life_any(ACCEPTED, random);
        return number == LIFE_ROWS || life_end(store, number, random_below(random, 3) > 0);
    case 3: store_sqlite.idle(store); return true;
    default: return life_append(store, life_length(random));
    }
}

struct judgement {
    unsigned lost;   /* accepted, and neither pending nor dead, or a letter that is none */
    unsigned undead; /* ended for good, and pending again */
    unsigned undone; /* ended, and pending again, nothing durable having been done since */
    unsigned ghosts; /* refused, and there */
};

/* Looks through the store for what was confirmed. */
static struct judgement life_judge(struct store *store)
{
    struct judgement judgement = {.lost = 0};
    memset(life.found, 0, sizeof life.found);
    life.wrong_bodies = 0;
    CHECK(store_sqlite.look(store, "source", 0, LIFE_ROWS, life_see_row, NULL, &contract_problem));
    CHECK(store_sqlite.letters(store, "source", 0, LIFE_ROWS, life_see_letter, NULL,
                               &contract_problem));
    CHECK_SIZE(life.wrong_bodies, 0);
    for (size_t i = 0; i < life.count; i++) {
        enum fate fate = life.fates[i];
        enum fate found = life.found[i];
        judgement.lost += (fate == ACCEPTED || fate == BURIED) && found == NEVER;
        bool is_back = (fate == DELIVERED || fate == BURIED) && found == ACCEPTED;
        judgement.undone += is_back && !life.is_settled[i];
        judgement.undead += (is_back && life.is_settled[i]) ||
                            (fate == DELIVERED && found == BURIED) ||
                            (fate == ACCEPTED && found == BURIED);
        judgement.ghosts += fate == REFUSED && found != NEVER;
    }
    return judgement;
}

/* ---- loss of power ---- */

enum { POWER_ROUNDS = 300, POWER_STEPS = 25 };

/* Lives until the power goes, somewhere in it, and is looked at when it is back. */
static struct judgement lose_power(unsigned round, bool is_process_only)
{
    struct random random = {.state = round + 77};
    settle(&contract_settings);
    contract_settings.is_process_only = is_process_only;
    life_begin();
    crash_vfs_reset(round + 1);
    crash_vfs_lose_power_at((long)random_below(&random, is_process_only ? 300 : 400));
    struct store *store = store_sqlite.open(&contract_settings, &contract_problem);
    if (store != NULL) {
        (void)store_sqlite.lease(store, "source", &contract_problem);
        for (unsigned i = 0; i < POWER_STEPS && !crash_vfs_is_dark(); i++) {
            (void)life_step(store, &random);
        }
        crash_vfs_lose_power_at(0);
        store_sqlite.close(store);
    }
    crash_vfs_restore();
    store = contract_open_as("after");
    struct judgement judgement = life_judge(store);
    CHECK_SIZE(warnings, 0); /* nothing was damaged */
    life.count = LIFE_ROWS - 1;
    CHECK(life_append(store, 100)); /* and it goes on */
    store_sqlite.close(store);
    (void)sweep("", true);
    return judgement;
}

static void power_loss_loses_nothing(void)
{
    if (UNDER_TSAN) {
        CHECK_SKIP("one thread");
        return;
    }
    for (unsigned round = 0; round < POWER_ROUNDS; round++) {
        CHECK_NOTE("round %u", round);
        struct judgement judgement = lose_power(round, false);
        CHECK_SIZE(judgement.lost, 0);
        CHECK_SIZE(judgement.undead, 0);
    }
}

/* The same machine takes rows from who asked for no more: the judge above can fail. */
static void power_loss_takes_from_process_only(void)
{
    if (UNDER_TSAN) {
        CHECK_SKIP("one thread");
        return;
    }
    unsigned lost = 0;
    for (unsigned round = 0; round < POWER_ROUNDS; round++) {
        CHECK_NOTE("round %u", round);
        lost += lose_power(round, true).lost;
    }
    CHECK(lost > 0);
    printf("    %u rows lost in %d rounds\n", lost, POWER_ROUNDS);
}

/* Whether what is confirmed after a call failed is there after the power has, too. */
static bool fail_and_lose_power(long call, bool is_idle, bool *is_there)
{
    settle(&contract_settings);
    crash_vfs_reset((uint64_t)call);
    crash_vfs_lose_power_at(LONG_MAX);
    struct store *store = contract_open_as("before");
    CHECK_INT(contract_lease(store, "source"), STORE_LEASE_HELD);
    CHECK(contract_end(store, "source", contract_append(store, "source", "1")));
    crash_vfs_fail_at(crash_vfs_calls() + call, SQLITE_IOERR, false);
    struct store_row row = contract_row("lane", "2");
    if (is_idle) {
        store_sqlite.idle(store);
    } else {
        (void)store_sqlite.append(store, "source", &row, 1, &contract_problem);
    }
    bool has_failed = crash_vfs_has_failed();
    crash_vfs_fail_at(-1, 0, false);
    CHECK(contract_append(store, "source", "3") > 0);
    crash_vfs_lose_power_at(0);
    store_sqlite.close(store);
    crash_vfs_restore();
    store = contract_open_as("after");
    size_t count = contract_look(store, "source", 0);
    *is_there = count > 0 && contract_seen.rows[count - 1].first == '3';
    store_sqlite.close(store);
    (void)sweep("", true);
    return has_failed;
}

static void power_loss_after_a_failure_loses_nothing(void)
{
    if (UNDER_TSAN) {
        CHECK_SKIP("one thread");
        return;
    }
    for (int is_idle = 0; is_idle <= 1; is_idle++) {
        bool has_failed = true;
        for (long call = 0; has_failed; call++) {
            bool is_there = false;
            CHECK_NOTE("call %ld, %d", call, is_idle);
            has_failed = fail_and_lose_power(call, is_idle, &is_there);
            CHECK(is_there);
        }
    }
}

/* ---- calls that fail ---- */

struct failure_kind {
    int code; /* 0: SQLite's allocations are refused */
    bool is_lasting;
    bool heals; /* the disk, before an idle moment; then all ends as by a kill */
};

static void fail_at(const struct failure_kind *kind, long call)
{
    if (kind->code == 0) {
        allocations = 0;
        refuse_at = call;
        refuses_on = kind->is_lasting;
    } else {
        crash_vfs_reset(1);
        crash_vfs_fail_at(call, kind->code, kind->is_lasting);
    }
}

static bool failure_was_met(const struct failure_kind *kind, long call)
{
    return kind->code == 0 ? allocations > call : crash_vfs_has_failed();
}

static void fail_no_more(void)
{
    refuse_at = -1;
    crash_vfs_fail_at(-1, 0, false);
}

/* A problem of the kind that was made, in words. */
static bool said(bool is_done, const struct failure_kind *kind)
{
    if (is_done) {
        return true;
    }
    CHECK(contract_problem.reason[0] != '\0');
    /* a check of the pages cannot tell why it did not get one */
    CHECK(contract_problem.trouble == STORE_UNAVAILABLE ||
          (kind->code == 0 && contract_problem.trouble == STORE_NO_MEMORY));
    contract_problem = (struct store_problem){.trouble = STORE_FINE};
    return false;
}

/* Everything that a store does, each again until it is done or there is no hope. */
static void short_life(const struct failure_kind *kind)
{
    const unsigned tries = kind->is_lasting ? 1 : 3;
    struct store *store = NULL;
    for (unsigned i = 0; store == NULL && i < tries; i++) {
        store = store_sqlite.open(&contract_settings, &contract_problem);
        (void)said(store != NULL, kind);
    }
    if (store == NULL) {
        CHECK(kind->is_lasting);
        return;
    }
    (void)store_sqlite.lease(store, "source", &contract_problem);
    bool is_done = true;
    static const size_t lengths[] = {100, 70000, 20, 6000};
    for (size_t i = 0; i < 4; i++) {
        bool is_accepted = false;
        for (unsigned turn = 0; !is_accepted && turn < tries; turn++) {
            is_accepted = said(life_append(store, lengths[i]), kind);
        }
        is_done = is_done && is_accepted;
    }
    for (size_t i = 0; i < life.count; i++) {
        bool is_ended = life.fates[i] != ACCEPTED || life.lengths[i] == 20;
        for (unsigned turn = 0; !is_ended && turn < tries; turn++) {
            life.fates[i] = ACCEPTED;
            is_ended = said(life_end(store, i, life.lengths[i] != 70000), kind);
        }
        is_done = is_done && is_ended;
    }
    CHECK(is_done || kind->is_lasting);
    struct store_figures figures;
    uint64_t version;
    (void)said(store_sqlite.figures(store, "source", &figures, &contract_problem), kind);
    (void)said(store_sqlite.version(store, "source", &version, &contract_problem), kind);
    memset(life.found, 0, sizeof life.found);
    (void)said(
        store_sqlite.letters(store, "source", 0, 9, life_see_letter, NULL, &contract_problem),
        kind);
    (void)said(
        store_sqlite.next(store, "source", 0, 9, 999999, life_see_row, NULL, &contract_problem),
        kind);
    if (kind->heals) {
        fail_no_more();
    }
    store_sqlite.idle(store);
    if (kind->heals) {
        store_sqlite.abandon(store);
    } else {
        store_sqlite.close(store);
    }
}

static void fail_every_call(const struct failure_kind *kind, bool is_there)
{
    bool was_met = true;
    long call = 0;
    for (; was_met; call++) {
        CHECK_NOTE("code %d, lasting %d, heals %d, call %ld, there %d", kind->code,
                   kind->is_lasting, kind->heals, call, is_there);
        settle(&contract_settings);
        life_begin();
        crash_vfs_reset(1);
        struct store *store = is_there ? contract_open_as("before") : NULL;
        if (store != NULL) {
            CHECK(life_append(store, 30) && life_append(store, 80000));
            store_sqlite.close(store);
        }
        fail_at(kind, call);
        short_life(kind);
        was_met = failure_was_met(kind, call);
        fail_no_more();
        store = contract_open_as("after");
        struct judgement judgement = life_judge(store);
        CHECK_SIZE(judgement.lost, 0);
        CHECK_SIZE(judgement.undead, 0);
        CHECK(judgement.ghosts == 0 || (kind->is_lasting && !kind->heals));
        CHECK_SIZE(warnings, 0); /* what cannot be read is not put aside */
        store_sqlite.close(store);
        (void)sweep("", true);
    }
    printf("    %ld calls, code %d\n", call, kind->code);
}

static void fail_kind(int code, bool is_there)
{
    if (UNDER_TSAN) {
        CHECK_SKIP("one thread");
        return;
    }
    fail_every_call(&(struct failure_kind){code, false, false}, is_there);
    if (code != 0) {
        fail_every_call(&(struct failure_kind){code, true, true}, is_there);
    }
    fail_every_call(&(struct failure_kind){code, true, false}, is_there);
}

static void failing_disk_loses_nothing(void)
{
    fail_kind(SQLITE_IOERR, false);
    fail_kind(SQLITE_IOERR, true);
}

static void full_disk_loses_nothing(void)
{
    fail_kind(SQLITE_FULL, false);
    fail_kind(SQLITE_FULL, true);
}

static void refused_memory_loses_nothing(void)
{
    fail_kind(0, true);
}

static void refused_memory_at_a_new_place_loses_nothing(void)
{
    fail_kind(0, false);
}

/* ---- files that are not as they should be ---- */

static void foreign_files_are_left_alone(void)
{
    settle(&contract_settings);
    run_sql("CREATE TABLE theirs (a); INSERT INTO theirs VALUES (1)");
    long size = size_of(path);
    CHECK_INT(open_trouble(), STORE_UNFIT);
    CHECK_INT(open_trouble(), STORE_UNFIT);
    CHECK_SIZE(size_of(path), size);
    run_sql("SELECT a FROM theirs; PRAGMA application_id = 7; DROP TABLE theirs");
    CHECK_INT(open_trouble(), STORE_UNFIT);
    settle(&contract_settings);
    write_file(path, "My dear diary, this is no database but a text. It is long enough.\n", 0);
    CHECK_INT(open_trouble(), STORE_UNFIT);
    CHECK_INT(open_trouble(), STORE_UNFIT);
    CHECK_SIZE(warnings, 0);
    CHECK_SIZE(size_of(path), 66);
}

/* Its trouble where it must exist, while nothing is made; `present` files are there before. */
static enum store_trouble existing_trouble(unsigned present)
{
    char prefix[32];
    contract_settings.must_exist = true;
    enum store_trouble trouble = open_trouble();
    (void)snprintf(prefix, sizeof prefix, "%u.db", places);
    CHECK_SIZE(sweep(prefix, false), present);
    return trouble;
}

static void what_must_exist_is_not_made(void)
{
    settle(&contract_settings);
    CHECK_INT(existing_trouble(0), STORE_UNAVAILABLE);
    CHECK(strstr(contract_problem.reason, "there is no outbox") != NULL);
    write_file(path, "A text.\n", 0);
    CHECK_INT(existing_trouble(1), STORE_UNAVAILABLE);
    CHECK(strstr(contract_problem.reason, "no lock file") != NULL);
    write_file(beside("-lock"), "", 0);
    CHECK_INT(existing_trouble(2), STORE_UNFIT);
    CHECK_SIZE(size_of(path), 8);
    settle(&contract_settings);
    write_file(path, "", 0);
    write_file(beside("-lock"), "", 0);
    CHECK_INT(existing_trouble(2), STORE_UNFIT);
    CHECK_SIZE(size_of(path), 0);
}

static void what_must_exist_is_opened(void)
{
    struct store *store = contract_begin();
    CHECK(contract_append(store, "source", "body") > 0);
    contract_settings.must_exist = true;
    struct store *other = contract_open_as("other");
    CHECK_SIZE(contract_look(other, "source", 0), 1);
    store_sqlite.close(store);
    store_sqlite.close(other);
    CHECK_INT(open_trouble(), STORE_FINE);
}

static void newer_file_is_refused(void)
{
    struct store *store = contract_begin();
    uint64_t id = contract_append(store, "source", "body");
    store_sqlite.close(store);
    run_sql("PRAGMA user_version = 2");
    CHECK_INT(open_trouble(), STORE_UNFIT);
    CHECK(strstr(contract_problem.reason, "newer") != NULL);
    run_sql("PRAGMA user_version = 1");
    store = contract_open_as("later");
    CHECK_SIZE(contract_look(store, "source", 0), 1);
    CHECK_SIZE(contract_id(0), id);
    store_sqlite.close(store);
}

static void older_file_is_migrated(void)
{
    settle(&contract_settings);
    run_sql("PRAGMA application_id = 1396789321"); /* version 0: without tables */
    struct store *store = contract_open_as("first");
    CHECK(contract_append(store, "source", "body") > 0);
    store_sqlite.close(store);
    CHECK_INT(open_trouble(), STORE_FINE);
}

/* Of many rows, so that there is something to damage. */
static void make_full_place(void)
{
    struct store *store = contract_begin();
    life_begin();
    for (size_t i = 0; i < 100; i++) {
        CHECK(life_append(store, 1000));
    }
    store_sqlite.close(store);
}

static void check_put_aside(void)
{
    char prefix[32];
    struct store *store = contract_open_as("after");
    CHECK_SIZE(warnings, 1);
    CHECK(strstr(warned, ".corrupt-") != NULL);
    contract_figures(store, "source", 0, 0, 0);
    CHECK(contract_append(store, "source", "body") > 0);
    store_sqlite.close(store);
    (void)snprintf(prefix, sizeof prefix, "%u.db.corrupt-", places);
    CHECK(sweep(prefix, false) >= 1); /* its WAL goes with it */
    CHECK_INT(open_trouble(), STORE_FINE);
    CHECK_SIZE(warnings, 1);
}

static void damaged_files_are_put_aside(void)
{
    char garbage[3000];
    memset(garbage, 'x', sizeof garbage - 1);
    garbage[sizeof garbage - 1] = '\0';
    static const long offsets[] = {0, 100, 5 * 4096, 20 * 4096 - 1000};
    for (size_t i = 0; i < 4; i++) {
        CHECK_NOTE("at %ld", offsets[i]);
        make_full_place();
        write_file(path, garbage, offsets[i]);
        check_put_aside();
    }
    CHECK_NOTE("cut");
    make_full_place();
    CHECK_INT(truncate(path, 9 * 4096), 0);
    check_put_aside();
}

static void damage_of_what_must_exist_is_told(void)
{
    char garbage[3000];
    memset(garbage, 'x', sizeof garbage - 1);
    garbage[sizeof garbage - 1] = '\0';
    make_full_place();
    write_file(path, garbage, 20480);
    contract_settings.must_exist = true;
    CHECK_INT(open_trouble(), STORE_UNFIT);
    CHECK_SIZE(warnings, 0);
    contract_settings.must_exist = false;
    check_put_aside();
}

static void damaged_file_in_use_stays(void)
{
    make_full_place();
    struct store *store = contract_open_as("user");
    char garbage[4097];
    memset(garbage, 'x', sizeof garbage - 1);
    garbage[4096] = '\0';
    /* by another process: here it would drop the user's locks */
    pid_t child = fork();
    if (child == 0) {
        store_sqlite.abandon(store);
        write_file(path, garbage, 0);
        for (long page = 1; page < 30; page++) {
            write_file(path, garbage, page * 4096);
        }
        _exit(open_trouble() == STORE_UNFIT && warnings == 0 ? 0 : 1);
    }
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    store_sqlite.close(store);
    check_put_aside();
}

static void places_that_cannot_be(void)
{
    static const char *const wrong[] = {"", "/", "/tmp", "/dev/null", "/nowhere/at/all.db"};
    settle(&contract_settings);
    for (size_t i = 0; i < 5; i++) {
        CHECK_NOTE("%s", wrong[i]);
        contract_settings.path = wrong[i];
        CHECK_INT(open_trouble(), STORE_UNAVAILABLE);
    }
    contract_settings.path = path;
    CHECK_INT(symlink("/nowhere/at/all.db", path), 0);
    CHECK_INT(open_trouble(), STORE_UNAVAILABLE);
}

static void links_lead_to_one_lock(void)
{
    struct store *store = contract_begin();
    char link[128];
    CHECK_INT(contract_lease(store, "source"), STORE_LEASE_HELD);
    (void)snprintf(link, sizeof link, "%s.link", path);
    CHECK_INT(symlink(path, link), 0);
    contract_settings.path = link;
    struct store *other = contract_open_as("other");
    CHECK_INT(contract_lease(other, "source"), STORE_LEASE_TAKEN);
    store_sqlite.close(other);
    store_sqlite.close(store);
}

static void files_are_private(void)
{
    static const char *const suffixes[] = {"", "-wal", "-lock"};
    mode_t before = umask(0);
    struct store *store = contract_begin();
    CHECK(contract_append(store, "source", "body") > 0);
    for (size_t i = 0; i < 3; i++) {
        struct stat status = {.st_mode = 0};
        CHECK_INT(stat(beside(suffixes[i]), &status), 0);
        CHECK_INT(status.st_mode & 0777, 0600);
    }
    store_sqlite.close(store);
    (void)umask(before);
}

static void network_is_told(void)
{
    CHECK_INT(file_place_kind(0x6969), FILE_SYSTEM_NETWORK);
    CHECK_INT(file_place_kind(0xFF534D42), FILE_SYSTEM_NETWORK);
    CHECK_INT(file_place_kind(0xFFFFFFFFFF534D42), FILE_SYSTEM_NETWORK); /* a negative number */
    CHECK_INT(file_place_kind(0x01021997), FILE_SYSTEM_NETWORK);
    CHECK_INT(file_place_kind(0x65735546), FILE_SYSTEM_UNSURE);
    CHECK_INT(file_place_kind(0xEF53), FILE_SYSTEM_LOCAL);
    CHECK_INT(file_place_system(folder), FILE_SYSTEM_LOCAL);
}

/* ---- files that go while they are in use ---- */

static void moved_file_accepts_nothing(void)
{
    static const char *const suffixes[] = {"", "-wal"};
    for (size_t i = 0; i < 2; i++) {
        CHECK_NOTE("%s", suffixes[i]);
        struct store *store = contract_begin();
        CHECK(contract_append(store, "source", "body") > 0);
        char from[128];
        (void)snprintf(from, sizeof from, "%s", beside(suffixes[i]));
        CHECK_INT(rename(from, beside(".away")), 0);
        struct store_row row = contract_row("lane", "body");
        CHECK(!store_sqlite.append(store, "source", &row, 1, &contract_problem));
        CHECK_INT(contract_problem.trouble, STORE_UNAVAILABLE);
        CHECK_INT(rename(beside(".away"), from), 0);
        CHECK(store_sqlite.append(store, "source", &row, 1, &contract_problem));
        CHECK_SIZE(contract_look(store, "source", 0), 2);
        store_sqlite.close(store);
    }
}

static void new_lock_file_takes_the_leases(void)
{
    struct store *first = contract_begin();
    uint64_t id = contract_append(first, "source", "body");
    CHECK_INT(contract_lease(first, "source"), STORE_LEASE_HELD);
    CHECK_INT(remove(beside("-lock")), 0);
    struct store *second = contract_open_as("second");
    CHECK_INT(contract_lease(second, "source"), STORE_LEASE_HELD);
    CHECK(!contract_end(first, "source", id));
    CHECK_INT(contract_problem.trouble, STORE_FENCED);
    CHECK_INT(contract_lease(first, "source"), STORE_LEASE_TAKEN);
    CHECK(contract_end(second, "source", id));
    CHECK(contract_append(first, "source", "body") > id);
    store_sqlite.close(second);
    store_sqlite.close(first);
}

/* Who has the lock of the new file may be writing: a checkpoint would come between. */
static void idle_does_nothing_under_an_old_lock_file(void)
{
    enum { WRITER = 0 };
    struct store *store = contract_begin();
    CHECK(contract_append(store, "source", "body") > 0);
    CHECK_INT(remove(beside("-lock")), 0);
    struct file_locks *locks = file_locks_open(beside("-lock"));
    CHECK_INT(file_locks_take(locks, WRITER), FILE_LOCK_HELD);
    long before = size_of(path);
    store_sqlite.idle(store);
    CHECK_SIZE(size_of(path), before);
    file_locks_close(locks);
    CHECK(contract_append(store, "source", "body") > 0);
    store_sqlite.idle(store);
    CHECK(size_of(path) > before);
    store_sqlite.close(store);
}

static void open_elsewhere_in_the_process_is_refused(void)
{
    if (access("/proc/self/fd", R_OK) != 0) {
        CHECK_SKIP("it cannot be told here");
        return;
    }
    store_sqlite.close(contract_begin());
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    CHECK_INT(open_trouble(), STORE_UNAVAILABLE);
    (void)close(descriptor);
    CHECK_INT(open_trouble(), STORE_FINE);
}

/* ---- size ---- */

static void space_is_given_back(void)
{
    struct store *store = contract_begin();
    CHECK_INT(contract_lease(store, "source"), STORE_LEASE_HELD);
    static char body[1500];
    memset(body, 'b', sizeof body);
    uint64_t first = 0;
    long wal = 0;
    for (size_t i = 0; i < 100; i++) {
        struct store_row rows[128];
        for (size_t j = 0; j < 128; j++) {
            rows[j] = contract_row("lane", "");
            rows[j].body = body;
            rows[j].length = sizeof body;
        }
        CHECK(store_sqlite.append(store, "source", rows, 128, &contract_problem));
        first = first == 0 ? rows[0].id : first;
        wal = size_of(beside("-wal")) > wal ? size_of(beside("-wal")) : wal;
    }
    CHECK(wal < 8 << 20);
    CHECK(size_of(path) > 15 << 20);
    for (size_t i = 0; i < 100; i++) {
        struct store_end ends[128];
        for (size_t j = 0; j < 128; j++) {
            ends[j] = (struct store_end){.id = first + i * 128 + j, .is_delivered = true};
        }
        CHECK(store_sqlite.end(store, "source", ends, 128, &contract_problem));
    }
    for (size_t i = 0; i < 40; i++) {
        store_sqlite.idle(store);
    }
    CHECK(size_of(path) < 2 << 20);
    CHECK(size_of(beside("-wal")) <= 5 << 20);
    store_sqlite.close(store);
}

/* ---- processes and threads ---- */

enum { KILLS = 25 };

/* Appends and ends until it is killed; tells each number whose append was confirmed. */
static void append_until_killed(int told, size_t number)
{
    struct store *store = contract_open_as("victim");
    for (;; number++) {
        struct store_row row = life_row(number, 100);
        if (store_sqlite.append(store, "source", &row, 1, &contract_problem)) {
            (void)!write(told, &number, sizeof number);
        }
    }
}

static void killed_processes_lose_nothing(void)
{
    struct random random = {.state = 4711};
    size_t confirmed = 0;
    store_sqlite.close(contract_begin());
    struct store *store = contract_open_as("judge"); /* stays: the WAL is not put into the file */
    for (unsigned i = 0; i < KILLS; i++) {
        int told[2];
        size_t number;
        CHECK_INT(pipe(told), 0);
        pid_t child = fork();
        if (child == 0) {
            append_until_killed(told[1], (size_t)i * 1000000);
        }
        (void)close(told[1]);
        CHECK(read(told[0], &number, sizeof number) == sizeof number); /* it has begun */
        size_t count = 1;
        long pause_time = (long)random_below(&random, 5000000);
        (void)nanosleep(&(struct timespec){.tv_nsec = pause_time}, NULL);
        (void)kill(child, SIGKILL);
        (void)waitpid(child, NULL, 0);
        while (read(told[0], &number, sizeof number) == sizeof number) {
            count++;
        }
        (void)close(told[0]);
        confirmed += count;
        struct store_figures figures;
        CHECK(store_sqlite.figures(store, "source", &figures, &contract_problem));
        CHECK(figures.pending >= confirmed && figures.pending <= confirmed + i + 1);
    }
    store_sqlite.close(store);
    CHECK_INT(open_trouble(), STORE_FINE);
    CHECK_SIZE(warnings, 0);
}

enum { WRITERS = 3, WRITER_BATCHES = 40, WRITER_ROWS = 64 };

/* Enough for several checkpoints, in each process. */
static void write_much(void)
{
    static char body[3000];
    struct store_row rows[WRITER_ROWS];
    struct store *store = contract_open_as("writer");
    for (int i = 0; i < WRITER_BATCHES; i++) {
        for (int j = 0; j < WRITER_ROWS; j++) {
            rows[j] = contract_row("lane", "");
            rows[j].body = body;
            rows[j].length = sizeof body;
        }
        while (!store_sqlite.append(store, "source", rows, WRITER_ROWS, &contract_problem)) {
            contract_nap();
        }
        store_sqlite.idle(store);
    }
    store_sqlite.close(store);
}

static void checkpoints_of_many_processes(void)
{
    pid_t children[WRITERS];
    int status = -1;
    store_sqlite.close(contract_begin());
    for (int i = 0; i < WRITERS; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            write_much();
            _exit(0);
        }
    }
    for (int i = 0; i < WRITERS; i++) {
        CHECK(waitpid(children[i], &status, 0) == children[i] && status == 0);
    }
    struct store *store = contract_open_as("judge"); /* looks through all pages */
    CHECK_SIZE(warnings, 0);
    const uint64_t count = WRITERS * WRITER_BATCHES * WRITER_ROWS;
    contract_figures(store, "source", count, count * 3000, 0);
    CHECK_SIZE(contract_look(store, "source", count - 10), 10);
    CHECK_SIZE(contract_id(9), count); /* no id is missing */
    store_sqlite.close(store);
}

enum { THREADS = 2, THREAD_BATCHES = 60 };

static struct store_settings thread_settings;
static atomic_bool is_over;

/* An engine's thread: appends, competes for the lease, ends what it may. */
static void *live_beside_others(void *argument)
{
    struct store_problem problem;
    struct store *store = store_sqlite.open(&thread_settings, &problem);
    (void)argument;
    for (int i = 0; CHECK(store != NULL) && i < THREAD_BATCHES; i++) {
        struct store_row rows[3];
        for (int j = 0; j < 3; j++) {
            rows[j] = contract_row("lane", "body");
        }
        CHECK(store_sqlite.append(store, "source", rows, 3, &problem));
        if (store_sqlite.lease(store, "source", &problem) == STORE_LEASE_HELD) {
            struct store_end end = {.id = rows[1].id, .is_delivered = true};
            CHECK(store_sqlite.end(store, "source", &end, 1, &problem));
            store_sqlite.idle(store);
            store_sqlite.release(store, "source");
        } else {
            struct store_end end = {.id = rows[1].id, .is_delivered = true};
            while (store_sqlite.lease(store, "source", &problem) != STORE_LEASE_HELD) {
                contract_nap();
            }
            CHECK(store_sqlite.end(store, "source", &end, 1, &problem));
            store_sqlite.release(store, "source");
        }
    }
    if (store != NULL) {
        store_sqlite.close(store);
    }
    return NULL;
}

static void engines_in_threads(void)
{
    pthread_t threads[THREADS];
    settle(&thread_settings);
    for (int i = 0; i < THREADS; i++) {
        CHECK_INT(pthread_create(&threads[i], NULL, live_beside_others, NULL), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    contract_settings = thread_settings;
    struct store *store = contract_open_as("judge");
    contract_figures(store, "source", THREADS * THREAD_BATCHES * 2, THREADS * THREAD_BATCHES * 8,
                     0);
    store_sqlite.close(store);
}

static void *append_all_the_time(void *argument)
{
    struct store_problem problem;
    struct store *store = argument;
    while (!atomic_load(&is_over)) {
        struct store_row row = contract_row("lane", "body");
        CHECK(store_sqlite.append(store, "other", &row, 1, &problem));
    }
    return NULL;
}

/* Letters that were retried, and whether what was appended meanwhile stands between them. */
struct order {
    size_t retried;
    bool is_new;
    bool is_between;
};

static bool keep_order(void *context, const struct store_row *row)
{
    struct order *order = context;
    bool is_new = row->length == 3;
    order->is_between = order->is_between || (order->is_new && !is_new && order->retried > 0);
    order->is_new = is_new;
    order->retried += !is_new;
    return true;
}

static void *append_new_ones(void *argument)
{
    struct store_problem problem;
    while (!atomic_load(&is_over)) {
        struct store_row row = contract_row("lane", "new");
        CHECK(store_sqlite.append(argument, "source", &row, 1, &problem));
    }
    return NULL;
}

static void make_letters(struct store *store, size_t count)
{
    enum { STEP = 100 };
    CHECK_INT(contract_lease(store, "source"), STORE_LEASE_HELD);
    for (size_t made = 0; made < count; made += STEP) {
        struct store_row rows[STEP];
        struct store_end ends[STEP];
        for (size_t i = 0; i < STEP; i++) {
            rows[i] = contract_row("lane", "a letter");
        }
        CHECK(store_sqlite.append(store, "source", rows, STEP, &contract_problem));
        for (size_t i = 0; i < STEP; i++) {
            ends[i] = (struct store_end){.id = rows[i].id, .code = "refused", .reason = ""};
        }
        CHECK(store_sqlite.end(store, "source", ends, STEP, &contract_problem));
    }
}

/* Others write while very many letters are retried. */
static void many_letters_keep_nobody_waiting(void)
{
    enum { MANY = 10000 };
    pthread_t thread;
    struct order order = {0};
    struct store *store = contract_begin();
    struct store *other = contract_open_as("other");
    make_letters(store, MANY);
    atomic_store(&is_over, false);
    CHECK_INT(pthread_create(&thread, NULL, append_new_ones, other), 0);
    CHECK_SIZE(contract_retry(store, "source", 0), MANY);
    atomic_store(&is_over, true);
    (void)pthread_join(thread, NULL);
    CHECK(store_sqlite.look(store, "source", 0, SIZE_MAX, keep_order, &order, &contract_problem));
    CHECK_SIZE(order.retried, MANY);
    CHECK(order.is_between);
    make_letters(store, MANY);
    CHECK_SIZE(contract_discard(store, "source", 0), MANY);
    struct store_figures figures;
    CHECK(store_sqlite.figures(store, "source", &figures, &contract_problem));
    CHECK_SIZE(figures.dead, 0);
    store_sqlite.close(other);
    store_sqlite.close(store);
}

/* Forks in the midst of another thread's writing: the child finds SQLite whole. */
static void forks_in_the_midst(void)
{
    if (UNDER_TSAN) {
        CHECK_SKIP("forks with threads");
        return;
    }
    struct store *store = contract_begin();
    pthread_t thread;
    atomic_store(&is_over, false);
    CHECK_INT(pthread_create(&thread, NULL, append_all_the_time, store), 0);
    for (int i = 0; i < 20; i++) {
        pid_t child = fork();
        if (child == 0) {
            if (i % 2 == 0) {
                store_sqlite.abandon(store);
            }
            struct store *own = contract_open_as("child");
            bool is_fine = contract_append(own, "source", "child") > 0;
            store_sqlite.close(own);
            if (i % 2 == 1) {
                struct store_row row = contract_row("lane", "body");
                is_fine =
                    is_fine && !store_sqlite.append(store, "source", &row, 1, &contract_problem);
                store_sqlite.abandon(store);
            }
            _exit(is_fine ? 0 : 1);
        }
        int status = -1;
        CHECK(waitpid(child, &status, 0) == child && status == 0);
    }
    atomic_store(&is_over, true);
    (void)pthread_join(thread, NULL);
    CHECK_SIZE(contract_look(store, "source", 0), 20);
    store_sqlite.close(store);
    CHECK_INT(open_trouble(), STORE_FINE);
    CHECK_SIZE(warnings, 0);
}

/* What the child opens is its own to SQLite, too: the parent's end does not take its WAL away. */
static void childs_store_outlives_its_parents(void)
{
    int ready[2];
    int go[2];
    char byte = 0;
    struct store *store = contract_begin();
    CHECK(contract_append(store, "source", "before") > 0);
    CHECK(pipe(ready) == 0 && pipe(go) == 0);
    pid_t child = fork();
    if (child == 0) {
        struct store *own = contract_open_as("child");
        (void)!write(ready[1], "r", 1);
        (void)!read(go[0], &byte, 1);
        bool is_fine = contract_append(own, "source", "child") > 0;
        store_sqlite.close(own);
        store_sqlite.abandon(store);
        _exit(is_fine ? 0 : 1);
    }
    CHECK(read(ready[0], &byte, 1) == 1);
    store_sqlite.close(store);
    CHECK(write(go[1], "g", 1) == 1);
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    store = contract_open_as("after");
    CHECK_SIZE(contract_look(store, "source", 0), 2);
    store_sqlite.close(store);
    for (int i = 0; i < 2; i++) {
        (void)close(ready[i]);
        (void)close(go[i]);
    }
}

int main(int count, char **names)
{
    static const struct check_case cases[] = {
        STORE_CONTRACT_CASES,
        CHECK_CASE(power_loss_loses_nothing),
        CHECK_CASE(power_loss_takes_from_process_only),
        CHECK_CASE(power_loss_after_a_failure_loses_nothing),
        CHECK_CASE(failing_disk_loses_nothing),
        CHECK_CASE(full_disk_loses_nothing),
        CHECK_CASE(refused_memory_loses_nothing),
        CHECK_CASE(refused_memory_at_a_new_place_loses_nothing),
        CHECK_CASE(foreign_files_are_left_alone),
        CHECK_CASE(what_must_exist_is_not_made),
        CHECK_CASE(what_must_exist_is_opened),
        CHECK_CASE(newer_file_is_refused),
        CHECK_CASE(older_file_is_migrated),
        CHECK_CASE(damaged_files_are_put_aside),
        CHECK_CASE(damage_of_what_must_exist_is_told),
        CHECK_CASE(damaged_file_in_use_stays),
        CHECK_CASE(places_that_cannot_be),
        CHECK_CASE(links_lead_to_one_lock),
        CHECK_CASE(files_are_private),
        CHECK_CASE(network_is_told),
        CHECK_CASE(moved_file_accepts_nothing),
        CHECK_CASE(new_lock_file_takes_the_leases),
        CHECK_CASE(idle_does_nothing_under_an_old_lock_file),
        CHECK_CASE(open_elsewhere_in_the_process_is_refused),
        CHECK_CASE(space_is_given_back),
        CHECK_CASE(killed_processes_lose_nothing),
        CHECK_CASE(checkpoints_of_many_processes),
        CHECK_CASE(engines_in_threads),
        CHECK_CASE(many_letters_keep_nobody_waiting),
        CHECK_CASE(forks_in_the_midst),
        CHECK_CASE(childs_store_outlives_its_parents),
    };
    contract = (struct store_contract){.driver = &store_sqlite, .settle = settle};
    /* in memory, where there is such a place: what is synced is counted, not waited for */
    (void)snprintf(folder, sizeof folder, "%s/sendapi-store-XXXXXX",
                   access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (mkdtemp(folder) == NULL) {
        return 1;
    }
    install_allocator();
    if (!UNDER_TSAN) {
        crash_vfs_install();
    }
    int status = CHECK_RUN(cases, count, names);
    (void)sweep("", true);
    (void)rmdir(folder);
    return status;
}
