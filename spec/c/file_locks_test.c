/*
 * Places of a lock file. The unit is compiled into this program a second time, with allocations
 * that can be refused.
 */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

static long refuse_at = -1;

static void *malloc_or_refuse(size_t size)
{
    return refuse_at >= 0 && refuse_at-- == 0 ? NULL : malloc(size);
}

#define malloc(size) malloc_or_refuse(size)
#define file_locks_watch_forks refused_watch_forks
#define file_locks_open refused_open
#define file_locks_close refused_close
#define file_locks_take refused_take
#define file_locks_give refused_give
#define file_locks_holds refused_holds
#define file_locks_is_current refused_is_current
#define file_locks_join refused_join
#define file_locks_is_marked refused_is_marked
#define file_locks_mark refused_mark
#include "../../src/file_locks.c"
#undef malloc

static char folder[] = "/tmp/sendapi-locks-XXXXXX";
static char path[64];

static void settle(void)
{
    static unsigned places;
    (void)snprintf(path, sizeof path, "%s/%u", folder, ++places);
}

/* What a process of its own finds: 'h', 't' or 'r' as file_locks_take says. */
static char taken_elsewhere(uint64_t place)
{
    pid_t child = fork();
    if (child == 0) {
        static const char said[] = {
            [FILE_LOCK_HELD] = 'h', [FILE_LOCK_TAKEN] = 't', [FILE_LOCK_REFUSED] = 'r'};
        struct file_locks *locks = file_locks_open(path);
        _exit(locks != NULL ? said[file_locks_take(locks, place)] : 0);
    }
    int status = 0;
    (void)waitpid(child, &status, 0);
    return WIFEXITED(status) ? (char)WEXITSTATUS(status) : '!';
}

static void engines_of_a_process_exclude_each_other(void)
{
    settle();
    struct file_locks *first = file_locks_open(path);
    struct file_locks *second = file_locks_open(path);
    CHECK_INT(file_locks_take(first, 7), FILE_LOCK_HELD);
    CHECK_INT(file_locks_take(first, 7), FILE_LOCK_HELD);
    CHECK_INT(file_locks_take(second, 7), FILE_LOCK_TAKEN);
    CHECK_INT(file_locks_take(second, 8), FILE_LOCK_HELD);
    CHECK(file_locks_holds(first, 7) && !file_locks_holds(second, 7));
    file_locks_give(second, 7); /* not its own */
    CHECK(file_locks_holds(first, 7));
    file_locks_give(first, 7);
    CHECK_INT(file_locks_take(second, 7), FILE_LOCK_HELD);
    file_locks_close(second);
    CHECK_INT(file_locks_take(first, 7), FILE_LOCK_HELD);
    CHECK_INT(file_locks_take(first, ((uint64_t)1 << 62) - 1), FILE_LOCK_HELD);
    file_locks_close(first);
    file_locks_close(NULL);
}

/* The system drops all of a process's locks when it closes any descriptor of the file. */
static void one_close_leaves_the_others_locks(void)
{
    settle();
    struct file_locks *first = file_locks_open(path);
    struct file_locks *second = file_locks_open(path);
    CHECK_INT(file_locks_take(first, 7), FILE_LOCK_HELD);
    CHECK_INT(file_locks_take(second, 8), FILE_LOCK_HELD);
    CHECK_INT(taken_elsewhere(7), 't');
    CHECK_INT(taken_elsewhere(9), 'h');
    file_locks_close(second);
    CHECK_INT(taken_elsewhere(7), 't');
    CHECK_INT(taken_elsewhere(8), 'h');
    file_locks_close(first);
    CHECK_INT(taken_elsewhere(7), 'h');
}

static void child_holds_nothing_and_drops_nothing(void)
{
    settle();
    struct file_locks *locks = file_locks_open(path);
    CHECK_INT(file_locks_take(locks, 7), FILE_LOCK_HELD);
    pid_t child = fork();
    if (child == 0) {
        bool held = file_locks_holds(locks, 7);
        enum file_lock more = file_locks_take(locks, 8);
        file_locks_close(locks);
        _exit(!held && more == FILE_LOCK_REFUSED ? 0 : 1);
    }
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    CHECK_INT(taken_elsewhere(7), 't');
    CHECK(file_locks_holds(locks, 7));
    file_locks_close(locks);
}

static void first_is_told(void)
{
    settle();
    bool is_first = false;
    struct file_locks *first = file_locks_open(path);
    struct file_locks *second = file_locks_open(path);
    CHECK(file_locks_join(first, &is_first) && is_first);
    CHECK(file_locks_join(second, &is_first) && !is_first);
    pid_t child = fork();
    if (child == 0) {
        struct file_locks *own = file_locks_open(path);
        _exit(own != NULL && file_locks_join(own, &is_first) && !is_first ? 0 : 1);
    }
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    file_locks_close(first);
    first = file_locks_open(path);
    CHECK(file_locks_join(first, &is_first) && !is_first);
    file_locks_close(second);
    file_locks_close(first);
    first = file_locks_open(path);
    CHECK(file_locks_join(first, &is_first) && is_first);
    file_locks_close(first);
}

static void replaced_file_is_not_current(void)
{
    settle();
    struct file_locks *locks = file_locks_open(path);
    CHECK(file_locks_is_current(locks));
    CHECK(!file_locks_is_marked(locks) && file_locks_mark(locks) && file_locks_mark(locks));
    CHECK(file_locks_is_marked(locks));
    CHECK_INT(remove(path), 0);
    CHECK(!file_locks_is_current(locks));
    struct file_locks *other = file_locks_open(path);
    CHECK(!file_locks_is_current(locks) && file_locks_is_current(other));
    CHECK(!file_locks_is_marked(other));
    CHECK_INT(file_locks_take(locks, 7), FILE_LOCK_HELD);
    CHECK_INT(file_locks_take(other, 7), FILE_LOCK_HELD); /* another file */
    file_locks_close(other);
    file_locks_close(locks);
}

static void what_cannot_be_opened(void)
{
    errno = 0;
    CHECK(file_locks_open("/nowhere/at/all") == NULL);
    CHECK_INT(errno, ENOENT);
    CHECK(file_locks_open(folder) == NULL);
    settle();
    CHECK_INT(symlink("elsewhere", path), 0);
    CHECK(file_locks_open(path) == NULL);
    CHECK_INT(errno, ELOOP);
}

static void refused_allocations(void)
{
    settle();
    for (long i = 0; i < 2; i++) {
        refuse_at = i;
        errno = 0;
        CHECK(file_locks_open(path) == NULL);
        CHECK_INT(errno, ENOMEM);
    }
    struct file_locks *locks = file_locks_open(path);
    refuse_at = 0;
    CHECK_INT(file_locks_take(locks, 7), FILE_LOCK_REFUSED);
    CHECK_INT(errno, ENOMEM);
    CHECK(!file_locks_holds(locks, 7));
    CHECK_INT(taken_elsewhere(7), 'h');
    CHECK_INT(file_locks_take(locks, 7), FILE_LOCK_HELD);
    file_locks_close(locks);
}

static void forget_folder(void)
{
    char name[64];
    for (unsigned i = 1; i < 20; i++) {
        (void)snprintf(name, sizeof name, "%s/%u", folder, i);
        (void)remove(name);
    }
    (void)rmdir(folder);
}

int main(int count, char **names)
{
    static const struct check_case cases[] = {
        CHECK_CASE(engines_of_a_process_exclude_each_other),
        CHECK_CASE(one_close_leaves_the_others_locks),
        CHECK_CASE(child_holds_nothing_and_drops_nothing),
        CHECK_CASE(first_is_told),
        CHECK_CASE(replaced_file_is_not_current),
        CHECK_CASE(what_cannot_be_opened),
        CHECK_CASE(refused_allocations),
    };
    if (mkdtemp(folder) == NULL) {
        return 1;
    }
    int status = CHECK_RUN(cases, count, names);
    forget_folder();
    return status;
}
