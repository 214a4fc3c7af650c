/*
 * "Answers are waiting". The unit is compiled into this program a second time, with a moment in
 * each exchange of the signal at which the other side may act.
 */

#include "wakeup.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h> /* mkdtemp(3) setenv(3) */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "check.h"

/* ---- the unit, under another name ---- */

static void (*meanwhile)(void); /* what the other side does before the next exchange, once */

static void let_the_other_side_act(void)
{
    void (*act)(void) = meanwhile;
    meanwhile = NULL;
    if (act != NULL) {
        act();
    }
}

#define wakeup_init slow_wakeup_init
#define wakeup_destroy slow_wakeup_destroy
#define wakeup_descriptor slow_wakeup_descriptor
#define wakeup_listen slow_wakeup_listen
#define wakeup_calm slow_wakeup_calm
#define wakeup_remind slow_wakeup_remind
#define wakeup_signal slow_wakeup_signal
#define wakeup_listener slow_wakeup_listener
#define wakeup_accept slow_wakeup_accept
#pragma push_macro("atomic_exchange")
#pragma push_macro("atomic_compare_exchange_strong")
#undef atomic_exchange
#undef atomic_compare_exchange_strong
#define atomic_exchange(object, value)                                                             \
    (let_the_other_side_act(), atomic_exchange_explicit(object, value, memory_order_seq_cst))
#define atomic_compare_exchange_strong(object, expected, value)                                    \
    (let_the_other_side_act(),                                                                     \
     atomic_compare_exchange_strong_explicit(object, expected, value, memory_order_seq_cst,        \
                                             memory_order_seq_cst))
#include "../../src/wakeup.c"
#pragma pop_macro("atomic_compare_exchange_strong")
#pragma pop_macro("atomic_exchange")
#undef wakeup_init
#undef wakeup_destroy
#undef wakeup_descriptor
#undef wakeup_listen
#undef wakeup_calm
#undef wakeup_remind
#undef wakeup_signal
#undef wakeup_listener
#undef wakeup_accept

static bool is_readable(int descriptor, int milliseconds)
{
    struct pollfd file = {.fd = descriptor, .events = POLLIN};
    return poll(&file, 1, milliseconds) == 1 && (file.revents & POLLIN) != 0;
}

/* ---- the descriptor ---- */

static void nothing_was_made(void)
{
    struct wakeup wakeup;
    wakeup_init(&wakeup);
    wakeup_signal(&wakeup);
    wakeup_calm(&wakeup);
    CHECK_INT(wakeup_listener(&wakeup), -1);
    wakeup_accept(&wakeup);
    wakeup_destroy(&wakeup);
    wakeup_destroy(&wakeup);
}

static void descriptor_is_readable_from_signal_to_calm(void)
{
    struct wakeup wakeup;
    wakeup_init(&wakeup);
    int descriptor = wakeup_descriptor(&wakeup);
    CHECK(descriptor >= 0 && wakeup_descriptor(&wakeup) == descriptor);
    CHECK((fcntl(descriptor, F_GETFD) & FD_CLOEXEC) != 0);
    CHECK((fcntl(descriptor, F_GETFL) & O_NONBLOCK) != 0);
    CHECK(is_readable(descriptor, 0)); /* there may be answers already */
    for (int i = 0; i < 3; i++) {
        wakeup_calm(&wakeup);
        CHECK(!is_readable(descriptor, 0));
        wakeup_signal(&wakeup);
        CHECK(is_readable(descriptor, 0));
    }
    wakeup_destroy(&wakeup);
}

static void signal_is_given_once(void)
{
    struct wakeup wakeup;
    char bytes[8];
    wakeup_init(&wakeup);
    int descriptor = wakeup_descriptor(&wakeup);
    wakeup_calm(&wakeup);
    for (int i = 0; i < 100000; i++) { /* more than a pipe holds */
        wakeup_signal(&wakeup);
    }
    CHECK_INT(read(descriptor, bytes, sizeof bytes), 1);
    CHECK_INT(read(descriptor, bytes, sizeof bytes), -1);
    wakeup_calm(&wakeup);
    wakeup_signal(&wakeup);
    CHECK(is_readable(descriptor, 0));
    wakeup_destroy(&wakeup);
}

static void descriptor_that_is_kept_readable(void)
{
    struct wakeup wakeup;
    wakeup_init(&wakeup);
    wakeup_remind(&wakeup); /* there is none */
    int descriptor = wakeup_descriptor(&wakeup);
    for (int i = 0; i < 3; i++) {
        wakeup_calm(&wakeup);
        wakeup_remind(&wakeup);
        CHECK(is_readable(descriptor, 0));
    }
    wakeup_calm(&wakeup);
    CHECK(!is_readable(descriptor, 0));
    wakeup_signal(&wakeup);
    CHECK(is_readable(descriptor, 0));
    wakeup_destroy(&wakeup);
}

/* The caller makes the descriptor, and calms it, in the middle of a signal: the next one counts. */
static struct wakeup interrupted;

static void make_descriptor_and_calm(void)
{
    (void)slow_wakeup_descriptor(&interrupted);
    slow_wakeup_calm(&interrupted);
}

static void descriptor_that_is_made_during_a_signal(void)
{
    slow_wakeup_init(&interrupted);
    meanwhile = make_descriptor_and_calm;
    slow_wakeup_signal(&interrupted);
    CHECK(meanwhile == NULL);
    slow_wakeup_signal(&interrupted);
    CHECK(is_readable(interrupted.pipe_read, 0));
    slow_wakeup_destroy(&interrupted);
}

/* ---- the socket ---- */

static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int client = socket(AF_UNIX, SOCK_STREAM, 0);
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    if (connect(client, (struct sockaddr *)&address, sizeof address) != 0) {
        (void)close(client);
        return -1;
    }
    return client;
}

static size_t drain(int client)
{
    char bytes[64];
    size_t count = 0;
    ssize_t got;
    while ((got = recv(client, bytes, sizeof bytes, MSG_DONTWAIT)) > 0) {
        count += (size_t)got;
    }
    return count;
}

static int let_one_in(struct wakeup *wakeup)
{
    const char *path = wakeup_listen(wakeup);
    int client = path != NULL ? connect_to(path) : -1;
    CHECK(client >= 0);
    CHECK(is_readable(wakeup_listener(wakeup), 1000));
    wakeup_accept(wakeup);
    CHECK_INT(wakeup_listener(wakeup), -1);
    return client;
}

static void client_gets_a_byte_for_a_signal(void)
{
    struct wakeup wakeup;
    wakeup_init(&wakeup);
    int client = let_one_in(&wakeup);
    CHECK_SIZE(drain(client), 1); /* there may be answers already */
    wakeup_signal(&wakeup);
    CHECK_SIZE(drain(client), 0); /* not calmed yet */
    for (int i = 0; i < 3; i++) {
        wakeup_calm(&wakeup);
        wakeup_signal(&wakeup);
        wakeup_signal(&wakeup);
        CHECK_SIZE(drain(client), 1);
    }
    wakeup_destroy(&wakeup);
    CHECK(is_readable(client, 0)); /* its end */
    CHECK_SIZE(drain(client), 0);
    (void)close(client);
}

static bool is_there(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0;
}

/* Nobody but its owner may see the socket, and nothing of it remains. */
static void path_is_private_and_goes_with_its_client(void)
{
    struct wakeup wakeup;
    struct stat status;
    char path[WAKEUP_PATH];
    char folder[WAKEUP_PATH];
    wakeup_init(&wakeup);
    const char *listening = wakeup_listen(&wakeup);
    CHECK(listening != NULL && strlen(listening) < WAKEUP_PATH);
    (void)snprintf(path, sizeof path, "%s", listening);
    (void)snprintf(folder, sizeof folder, "%s", path);
    *strrchr(folder, '/') = '\0';
    CHECK(stat(folder, &status) == 0 && (status.st_mode & 0777) == 0700);
    wakeup_calm(&wakeup);
    CHECK(is_there(path)); /* nobody has come */
    int client = connect_to(path);
    CHECK(wakeup_listener(&wakeup) >= 0);
    wakeup_accept(&wakeup);
    wakeup_calm(&wakeup);
    CHECK(!is_there(path) && !is_there(folder));
    (void)close(client);
    wakeup_destroy(&wakeup);
}

static void listener_that_nobody_came_to_is_replaced(void)
{
    struct wakeup wakeup;
    char first[WAKEUP_PATH];
    wakeup_init(&wakeup);
    (void)snprintf(first, sizeof first, "%s", wakeup_listen(&wakeup));
    int client = let_one_in(&wakeup);
    CHECK(!is_there(first));
    CHECK_SIZE(drain(client), 1);
    (void)snprintf(first, sizeof first, "%s", wakeup_listen(&wakeup));
    CHECK(is_there(first));
    wakeup_destroy(&wakeup);
    CHECK(!is_there(first));
    (void)close(client);
}

/* The caller listens anew while a client of the earlier listener is let in: both are served. */
static void listen_again(void)
{
    CHECK(slow_wakeup_listen(&interrupted) != NULL);
}

static void listener_that_is_replaced_during_an_accept(void)
{
    slow_wakeup_init(&interrupted);
    int first = connect_to(slow_wakeup_listen(&interrupted));
    CHECK(slow_wakeup_listener(&interrupted) >= 0);
    meanwhile = listen_again;
    slow_wakeup_accept(&interrupted);
    CHECK(meanwhile == NULL);
    CHECK_SIZE(drain(first), 1);
    slow_wakeup_calm(&interrupted);
    int second = connect_to(interrupted.path);
    CHECK(second >= 0);
    (void)close(first);
    if (second >= 0) {
        (void)close(second);
    }
    slow_wakeup_destroy(&interrupted);
}

static bool is_open(int descriptor)
{
    return fcntl(descriptor, F_GETFD) != -1;
}

/* It may be in a poll: the one who polls closes it, in its own time. */
static void listener_that_is_replaced_stays_open_meanwhile(void)
{
    struct wakeup wakeup;
    wakeup_init(&wakeup);
    (void)wakeup_listen(&wakeup);
    int polled = wakeup_listener(&wakeup);
    for (int i = 0; i < 3; i++) {
        CHECK(wakeup_listen(&wakeup) != NULL);
        CHECK(is_open(polled));
    }
    int newest = wakeup_listener(&wakeup);
    CHECK(newest != polled && !is_open(polled) && is_open(newest));
    CHECK_INT(wakeup_listener(&wakeup), newest);
    int client = connect_to(wakeup.path);
    wakeup_accept(&wakeup);
    CHECK_SIZE(drain(client), 1);
    (void)close(client);
    wakeup_destroy(&wakeup);
}

/* The newest listener has the number of one that was served: its socket is there all the same. */
static void number_that_comes_again_is_another_listener(void)
{
    struct wakeup wakeup;
    wakeup_init(&wakeup);
    for (int i = 0; i < 3; i++) {
        int client = let_one_in(&wakeup);
        (void)close(client);
        CHECK(wakeup_listen(&wakeup) != NULL);
        wakeup_calm(&wakeup);
        CHECK(is_there(wakeup.path));
    }
    wakeup_destroy(&wakeup);
}

static void client_that_has_gone_is_forgotten(void)
{
    struct wakeup wakeup;
    wakeup_init(&wakeup);
    int gone = let_one_in(&wakeup);
    int stays = let_one_in(&wakeup);
    (void)close(gone);
    for (int i = 0; i < 3; i++) {
        (void)drain(stays);
        wakeup_calm(&wakeup);
        wakeup_signal(&wakeup);
        CHECK_SIZE(drain(stays), 1);
    }
    size_t kept = 0;
    for (size_t i = 0; i < WAKEUP_CLIENTS; i++) {
        kept += wakeup.clients[i] >= 0;
    }
    CHECK_SIZE(kept, 1);
    (void)close(stays);
    wakeup_destroy(&wakeup);
}

static void newest_clients_are_kept(void)
{
    enum { CLIENTS = WAKEUP_CLIENTS + 2 };
    struct wakeup wakeup;
    int clients[CLIENTS];
    wakeup_init(&wakeup);
    for (size_t i = 0; i < CLIENTS; i++) {
        clients[i] = let_one_in(&wakeup);
    }
    for (size_t i = 0; i < CLIENTS; i++) {
        (void)drain(clients[i]);
    }
    wakeup_calm(&wakeup);
    wakeup_signal(&wakeup);
    for (size_t i = 0; i < CLIENTS; i++) {
        CHECK_SIZE(drain(clients[i]), i >= CLIENTS - WAKEUP_CLIENTS);
        (void)close(clients[i]);
    }
    wakeup_destroy(&wakeup);
}

/* It never blocks on a client that does not read. */
static void client_that_does_not_read(void)
{
    struct wakeup wakeup;
    wakeup_init(&wakeup);
    int client = let_one_in(&wakeup);
    for (int i = 0; i < 20000; i++) {
        wakeup_calm(&wakeup);
        wakeup_signal(&wakeup);
    }
    CHECK(drain(client) > 0);
    wakeup_calm(&wakeup);
    wakeup_signal(&wakeup);
    CHECK_SIZE(drain(client), 1);
    (void)close(client);
    wakeup_destroy(&wakeup);
}

static void check_refused_in(const char *folder, int error)
{
    struct wakeup wakeup;
    char before[200];
    const char *now = getenv("TMPDIR");
    (void)snprintf(before, sizeof before, "%s", now != NULL ? now : "");
    (void)setenv("TMPDIR", folder, 1);
    wakeup_init(&wakeup);
    errno = 0;
    CHECK_TEXT(wakeup_listen(&wakeup), NULL);
    CHECK_INT(errno, error);
    CHECK_TEXT(wakeup.path, "");
    CHECK_INT(wakeup_listener(&wakeup), -1);
    wakeup_destroy(&wakeup);
    (void)(now != NULL ? setenv("TMPDIR", before, 1) : unsetenv("TMPDIR"));
}

static void folder_that_will_not_do(void)
{
    char long_one[WAKEUP_PATH + 1];
    memset(long_one, 'l', sizeof long_one);
    long_one[0] = '/';
    long_one[sizeof long_one - 1] = '\0';
    check_refused_in(long_one, ENAMETOOLONG);
    long_one[WAKEUP_PATH - 10] = '\0'; /* room for the folder, but not for the socket */
    check_refused_in(long_one, ENAMETOOLONG);
    check_refused_in("/nowhere-at-all", ENOENT);
}

/* What a killed process has left goes when another listens for the first time. */
static void leftovers_are_swept_once(void)
{
    char folder[] = "/tmp/wakeup-test.XXXXXX";
    char left[80];
    char before[200];
    struct wakeup wakeup;
    const struct timespec long_ago[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    const char *now = getenv("TMPDIR");
    (void)snprintf(before, sizeof before, "%s", now != NULL ? now : "");
    CHECK(mkdtemp(folder) != NULL);
    (void)snprintf(left, sizeof left, "%s/sendapi.AbC123", folder);
    (void)setenv("TMPDIR", folder, 1);
    wakeup_init(&wakeup);
    for (int i = 0; i < 2; i++) {
        CHECK_INT(mkdir(left, 0700), 0);
        CHECK_INT(utimensat(AT_FDCWD, left, long_ago, 0), 0);
        CHECK(wakeup_listen(&wakeup) != NULL);
        CHECK(is_there(left) == (i > 0));
    }
    wakeup_destroy(&wakeup);
    CHECK_INT(rmdir(left), 0);
    CHECK_INT(rmdir(folder), 0);
    (void)(now != NULL ? setenv("TMPDIR", before, 1) : unsetenv("TMPDIR"));
}

/* ---- two threads ---- */

enum { ANSWERS = 50000 };

struct traffic {
    struct wakeup wakeup;
    atomic_size_t answers; /* as if they lay in a queue */
};

static void *answer_often(void *argument)
{
    struct traffic *traffic = argument;
    for (size_t i = 0; i < ANSWERS; i++) {
        atomic_fetch_add(&traffic->answers, 1);
        wakeup_signal(&traffic->wakeup);
        if (wakeup_listener(&traffic->wakeup) >= 0) {
            wakeup_accept(&traffic->wakeup);
        }
    }
    return NULL;
}

/* Calms first and takes then: no answer is left lying while the caller sleeps. */
static size_t take_awake(struct traffic *traffic, size_t taken)
{
    wakeup_calm(&traffic->wakeup);
    return taken + atomic_exchange(&traffic->answers, 0);
}

static void no_signal_gets_lost(void)
{
    for (int round = 0; round < 3; round++) {
        struct traffic traffic = {.answers = 0};
        pthread_t thread;
        size_t taken = 0;
        wakeup_init(&traffic.wakeup);
        CHECK_INT(pthread_create(&thread, NULL, answer_often, &traffic), 0);
        int descriptor = wakeup_descriptor(&traffic.wakeup);
        while (taken < ANSWERS && CHECK(is_readable(descriptor, 10000))) {
            taken = take_awake(&traffic, taken);
        }
        (void)pthread_join(thread, NULL);
        CHECK_SIZE(taken, ANSWERS);
        wakeup_destroy(&traffic.wakeup);
    }
}

static const struct check_case cases[] = {
    CHECK_CASE(nothing_was_made),
    CHECK_CASE(descriptor_is_readable_from_signal_to_calm),
    CHECK_CASE(signal_is_given_once),
    CHECK_CASE(descriptor_that_is_kept_readable),
    CHECK_CASE(descriptor_that_is_made_during_a_signal),
    CHECK_CASE(client_gets_a_byte_for_a_signal),
    CHECK_CASE(path_is_private_and_goes_with_its_client),
    CHECK_CASE(listener_that_nobody_came_to_is_replaced),
    CHECK_CASE(listener_that_is_replaced_during_an_accept),
    CHECK_CASE(listener_that_is_replaced_stays_open_meanwhile),
    CHECK_CASE(number_that_comes_again_is_another_listener),
    CHECK_CASE(client_that_has_gone_is_forgotten),
    CHECK_CASE(newest_clients_are_kept),
    CHECK_CASE(client_that_does_not_read),
    CHECK_CASE(folder_that_will_not_do),
    CHECK_CASE(leftovers_are_swept_once),
    CHECK_CASE(no_signal_gets_lost),
};

int main(int count, char **names)
{
    (void)signal(SIGPIPE, SIG_IGN);
    return CHECK_RUN(cases, count, names);
}
