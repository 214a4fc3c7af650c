/*
 * What is known to go wrong with SQLite files, and does not here: second copies of the library,
 * strangers who open the file, networks, places that may only be read, files that are replaced.
 */

#if defined(__linux__)
#define _GNU_SOURCE /* dlmopen(3) syscall(2) */
#endif

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#if defined(__linux__)
#include <sys/statfs.h>
#include <sys/syscall.h>
#endif

#include <sqlite3.h>

#include "sqlite_rows.h"
#include "store_contract.h"
#include "store_sqlite.h"

enum { NOBODY = 65534 };

static char folder[64];
static char path[96];
static unsigned places;

static void settle(struct store_settings *settings)
{
    (void)snprintf(path, sizeof path, "%s/%u.db", folder, ++places);
    *settings = (struct store_settings){.path = path, .lease_seconds = 10};
}

static const char *beside(const char *suffix)
{
    static char name[160];
    (void)snprintf(name, sizeof name, "%s%s", path, suffix);
    return name;
}

/* The trouble that opening comes to. */
static enum store_trouble open_trouble(void)
{
    contract_problem = (struct store_problem){.trouble = STORE_FINE};
    struct store *store = store_sqlite.open(&contract_settings, &contract_problem);
    if (store != NULL) {
        store_sqlite.close(store);
    }
    return contract_problem.trouble;
}

static enum store_trouble append_trouble(struct store *store)
{
    struct store_row row = contract_row("lane", "body");
    contract_problem = (struct store_problem){.trouble = STORE_FINE};
    (void)store_sqlite.append(store, "source", &row, 1, &contract_problem);
    return contract_problem.trouble;
}

/* A copy of SQLite, and what a stranger does with it. */
struct sqlite_copy {
    int (*open)(const char *name, sqlite3 **db);
    int (*exec)(sqlite3 *db, const char *text, int (*row)(void *, int, char **, char **),
                void *context, char **message);
    int (*close)(sqlite3 *db);
};

static void look_and_leave(const struct sqlite_copy *copy, const char *text)
{
    sqlite3 *db = NULL;
    CHECK_INT(copy->open(path, &db), SQLITE_OK);
    CHECK_INT(copy->exec(db, text, NULL, NULL, NULL), SQLITE_OK);
    CHECK_INT(copy->close(db), SQLITE_OK);
}

static const struct sqlite_copy same = {sqlite3_open, sqlite3_exec, sqlite3_close};

/* As luasql and others do that use the system's SQLite, which is ours too. */
static void host_looks_with_the_same_sqlite(void)
{
    struct store *store = contract_begin();
    for (size_t i = 0; i < 20; i++) {
        CHECK(contract_append(store, "source", "body") > 0);
        look_and_leave(&same, "SELECT count(*) FROM pending");
        CHECK(contract_append(store, "source", "body") > 0);
    }
    CHECK_INT(contract_lease(store, "source"), STORE_LEASE_HELD);
    struct store *other = contract_open_as("other");
    CHECK_INT(contract_lease(other, "source"), STORE_LEASE_TAKEN); /* the stranger took no lock */
    CHECK_SIZE(contract_look(other, "source", 0), 40);
    store_sqlite.close(other);
    store_sqlite.close(store);
    store = contract_open_as("after");
    CHECK_SIZE(contract_look(store, "source", 0), 40);
    store_sqlite.close(store);
}

static bool find_second(struct sqlite_copy *copy)
{
#if defined(__GLIBC__) && !defined(__SANITIZE_THREAD__)
    void *library = dlmopen(LM_ID_NEWLM, "libsqlite3.so.0", RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        return false;
    }
    *(void **)(void *)&copy->open = dlsym(library, "sqlite3_open");
    *(void **)(void *)&copy->exec = dlsym(library, "sqlite3_exec");
    *(void **)(void *)&copy->close = dlsym(library, "sqlite3_close");
    return true;
#else
    (void)copy;
    return false;
#endif
}

/*
 * Its locks do not exclude those of our copy, being of the same process: as the last that closes, as
 * it thinks, it puts the WAL into the file and deletes it. What is written to a WAL that is gone
 * would be lost, so it is refused.
 */
static void second_sqlite_in_the_process(void)
{
    struct sqlite_copy second;
    if (!find_second(&second)) {
        CHECK_SKIP("no second copy can be had");
        return;
    }
    struct store *store = contract_begin();
    uint64_t id = contract_append(store, "source", "body");
    CHECK_INT(contract_lease(store, "source"), STORE_LEASE_HELD);
    look_and_leave(&second, "SELECT count(*) FROM pending");
    CHECK(access(beside("-wal"), F_OK) != 0);
    CHECK_INT(append_trouble(store), STORE_UNAVAILABLE);
    CHECK(strstr(contract_problem.reason, "moved or deleted") != NULL);
    CHECK(!contract_end(store, "source", id));
    store_sqlite.close(store);
    store = contract_open_as("after");
    CHECK_SIZE(contract_look(store, "source", 0), 1);
    CHECK(contract_append(store, "source", "body") > id);
    store_sqlite.close(store);
}

/* Opens it anew in a process of its own, appends, and dies with all of it in the WAL. */
static void append_elsewhere(const char *body)
{
    pid_t child = fork();
    if (child == 0) {
        struct store *store = contract_open_as("elsewhere");
        bool fine = store != NULL && contract_append(store, "source", body) > 0;
        _exit(fine ? 0 : 1);
    }
    int status = 1;
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK_INT(status, 0);
}

/* Another process makes a WAL of its own then: what is written to ours would be lost as before. */
static void another_wal_has_the_name(void)
{
    struct sqlite_copy second;
    if (!find_second(&second)) {
        CHECK_SKIP("no second copy can be had");
        return;
    }
    struct store *store = contract_begin();
    CHECK(contract_append(store, "source", "one") > 0);
    look_and_leave(&second, "SELECT count(*) FROM pending");
    append_elsewhere("two");
    CHECK_INT(append_trouble(store), STORE_UNAVAILABLE);
    store_sqlite.close(store);
    store = contract_open_as("after");
    CHECK_SIZE(contract_look(store, "source", 0), 2);
    store_sqlite.close(store);
}

/* ---- the file system ---- */

#if defined(__linux__)
static long network; /* what statfs(2) shall say; 0: the truth */

int statfs(const char *name, struct statfs *status)
{
    int result = (int)syscall(SYS_statfs, name, status);
    if (network != 0) {
        status->f_type = network;
    }
    return result;
}

static void network_is_refused(void)
{
    static const long kinds[] = {0x6969, 0xFF534D42, 0x01021997};
    settle(&contract_settings);
    for (size_t i = 0; i < 3; i++) {
        network = kinds[i];
        CHECK(!store_sqlite.check(path, &contract_problem));
        CHECK_INT(contract_problem.trouble, STORE_UNFIT);
        CHECK(strstr(contract_problem.reason, "network") != NULL);
        CHECK_INT(open_trouble(), STORE_UNFIT);
        CHECK(strstr(contract_problem.reason, "network") != NULL);
        CHECK(access(path, F_OK) != 0 && access(beside("-lock"), F_OK) != 0);
    }
    network = 0;
    CHECK(store_sqlite.check(path, &contract_problem));
    CHECK_INT(open_trouble(), STORE_FINE);
}
#else
static void network_is_refused(void)
{
    CHECK_SKIP("statfs of Linux");
}
#endif

/* For root every file can be written: a child is somebody else. */
static int run_as_nobody(int (*run)(void))
{
    int status = -1;
    CHECK(getuid() != 0 ||
          (chown(folder, NOBODY, NOBODY) == 0 &&
           (access(path, F_OK) != 0 || chown(path, NOBODY, NOBODY) == 0) &&
           (access(beside("-lock"), F_OK) != 0 || chown(beside("-lock"), NOBODY, NOBODY) == 0)));
    pid_t child = fork();
    if (child == 0) {
        _exit(getuid() == 0 && setuid(NOBODY) != 0 ? 99 : run());
    }
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status));
    (void)chown(folder, getuid(), getgid());
    (void)chmod(folder, 0700);
    return WEXITSTATUS(status);
}

static int meet_places_to_be_read(void)
{
    if (chmod(path, 0400) != 0 || open_trouble() != STORE_UNAVAILABLE ||
        strstr(contract_problem.reason, "read") == NULL) {
        return 1;
    }
    if (chmod(path, 0600) != 0 || open_trouble() != STORE_FINE) {
        return 2;
    }
    contract_settings.path = beside(".new");
    if (chmod(folder, 0500) != 0 || open_trouble() != STORE_UNAVAILABLE ||
        strstr(contract_problem.reason, "Permission denied") == NULL) {
        return 3;
    }
    return chmod(folder, 0700) == 0 && open_trouble() == STORE_FINE ? 0 : 4;
}

static void places_that_may_only_be_read(void)
{
    struct store *store = contract_begin();
    CHECK(contract_append(store, "source", "body") > 0);
    store_sqlite.close(store);
    CHECK_INT(run_as_nobody(meet_places_to_be_read), 0);
    store = contract_open_as("after");
    CHECK_SIZE(contract_look(store, "source", 0), 1);
    store_sqlite.close(store);
}

/* ---- files that are replaced ---- */

static void copy_file(const char *from, const char *to)
{
    char bytes[4096];
    int in = open(from, O_RDONLY | O_CLOEXEC);
    int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ssize_t count = 0;
    while ((count = read(in, bytes, sizeof bytes)) > 0) {
        CHECK(write(out, bytes, (size_t)count) == count);
    }
    CHECK(in >= 0 && out >= 0 && count == 0);
    (void)close(in);
    (void)close(out);
}

/* SQLite would wait for ever for somebody to write to it. */
static void journal_is_a_pipe(void)
{
    struct store *store = contract_begin();
    CHECK(contract_append(store, "source", "body") > 0);
    store_sqlite.close(store);
    CHECK_INT(mkfifo(beside("-journal"), 0600), 0);
    CHECK_INT(open_trouble(), STORE_UNAVAILABLE);
    CHECK(strstr(contract_problem.reason, "journal") != NULL);
    CHECK_INT(remove(beside("-journal")), 0);
    store = contract_open_as("after");
    CHECK_SIZE(contract_look(store, "source", 0), 1);
    store_sqlite.close(store);
}

static void file_is_deleted_in_use(void)
{
    struct store *store = contract_begin();
    uint64_t id = contract_append(store, "source", "body");
    CHECK_INT(contract_lease(store, "source"), STORE_LEASE_HELD);
    CHECK_INT(remove(path), 0);
    CHECK_INT(append_trouble(store), STORE_UNAVAILABLE);
    CHECK(!contract_end(store, "source", id));
    CHECK_INT(contract_problem.trouble, STORE_UNAVAILABLE);
    store_sqlite.close(store);
}

/* What is in it is put into the file by who has it open, and nothing more is written to it. */
static void wal_is_deleted_in_use(void)
{
    struct store *store = contract_begin();
    CHECK(contract_append(store, "source", "body") > 0);
    CHECK_INT(remove(beside("-wal")), 0);
    CHECK_INT(append_trouble(store), STORE_UNAVAILABLE);
    store_sqlite.close(store);
    store = contract_open_as("after");
    CHECK_SIZE(contract_look(store, "source", 0), 1);
    store_sqlite.close(store);
}

/* What was delivered since the copy was made is delivered again; nothing that is in it is lost. */
static void file_is_restored_from_a_copy(void)
{
    char copy[160];
    struct store *store = contract_begin();
    uint64_t id = contract_append(store, "source", "one");
    store_sqlite.close(store);
    (void)snprintf(copy, sizeof copy, "%s", beside(".copy"));
    copy_file(path, copy);
    store = contract_open_as("running");
    CHECK_INT(contract_lease(store, "source"), STORE_LEASE_HELD);
    CHECK(contract_end(store, "source", id));
    CHECK(contract_append(store, "source", "two") > id);
    CHECK_INT(rename(copy, path), 0);
    CHECK_INT(append_trouble(store), STORE_UNAVAILABLE);
    store_sqlite.close(store);
    (void)remove(beside("-wal"));
    (void)remove(beside("-shm"));
    store = contract_open_as("after");
    CHECK_SIZE(contract_look(store, "source", 0), 1);
    CHECK_SIZE(contract_id(0), id);
    CHECK(contract_append(store, "source", "three") > id);
    store_sqlite.close(store);
}

/* ---- versions and ids ---- */

static void versions_that_never_were(void)
{
    static const char *const versions[] = {"PRAGMA user_version = -1",
                                           "PRAGMA user_version = -2147483648",
                                           "PRAGMA user_version = 2147483647"};
    for (size_t i = 0; i < 3; i++) {
        CHECK_NOTE("%s", versions[i]);
        struct store *store = contract_begin();
        CHECK(contract_append(store, "source", "body") > 0);
        store_sqlite.close(store);
        look_and_leave(&same, versions[i]);
        CHECK_INT(open_trouble(), STORE_UNFIT);
        CHECK(strstr(contract_problem.reason, "schema") != NULL);
        look_and_leave(&same, "PRAGMA user_version = 1");
        store = contract_open_as("after");
        CHECK_SIZE(contract_look(store, "source", 0), 1);
        store_sqlite.close(store);
    }
}

/* A number of a Lua without integers names one of them only. */
static void ids_end_before_lua_cannot_tell_them_apart(void)
{
    char text[128];
    CHECK(SQLITE_ROWS_LAST_ID <= STORE_MOST_ID && STORE_MOST_ID < UINT64_C(1) << 53);
    struct store *store = contract_begin();
    CHECK(contract_append(store, "source", "body") > 0);
    (void)snprintf(text, sizeof text, "UPDATE source SET last = %llu",
                   (unsigned long long)SQLITE_ROWS_LAST_ID - 2);
    look_and_leave(&same, text);
    CHECK_SIZE(contract_append(store, "source", "last"), SQLITE_ROWS_LAST_ID - 1);
    CHECK_INT(append_trouble(store), STORE_UNFIT);
    CHECK(strstr(contract_problem.reason, "numbered") != NULL);
    CHECK_SIZE(contract_look(store, "source", 0), 2);
    store_sqlite.close(store);
}

int main(int count, char **names)
{
    static const struct check_case cases[] = {
        CHECK_CASE(host_looks_with_the_same_sqlite),
        CHECK_CASE(second_sqlite_in_the_process),
        CHECK_CASE(another_wal_has_the_name),
        CHECK_CASE(network_is_refused),
        CHECK_CASE(places_that_may_only_be_read),
        CHECK_CASE(journal_is_a_pipe),
        CHECK_CASE(file_is_deleted_in_use),
        CHECK_CASE(wal_is_deleted_in_use),
        CHECK_CASE(file_is_restored_from_a_copy),
        CHECK_CASE(versions_that_never_were),
        CHECK_CASE(ids_end_before_lua_cannot_tell_them_apart),
    };
    char clean[96];
    contract = (struct store_contract){.driver = &store_sqlite, .settle = settle};
    (void)snprintf(folder, sizeof folder, "%s/sendapi-traps-XXXXXX",
                   access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (mkdtemp(folder) == NULL) {
        return 1;
    }
    int status = CHECK_RUN(cases, count, names);
    (void)snprintf(clean, sizeof clean, "rm -r %s", folder);
    return system(clean) == 0 ? status : 1;
}
