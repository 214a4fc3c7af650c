/* The engine and its process: forks, the end, signals. */

#include "engine.h"

#include <signal.h> /* sigaction(2) kill(2) */
#include <stdlib.h> /* calloc(3) exit(3) */

#include <sys/time.h> /* setitimer(2) */
#include <sys/wait.h> /* waitpid(2) */
#include <unistd.h>   /* fork(2) */

#include "engine_fixture.h"

/* Whether ThreadSanitizer watches, as clang and gcc say it. */
#if defined(__has_feature)
#define HAS_FEATURE(name) __has_feature(name)
#else
#define HAS_FEATURE(name) 0
#endif
#if defined(__SANITIZE_THREAD__) || HAS_FEATURE(thread_sanitizer)
enum { THREADS_WATCHED = true };
#else
enum { THREADS_WATCHED = false };
#endif

/* ---- forks ---- */

/*
 * What runs in a child process says by its exit status what was the first thing wrong. One that
 * hangs is ended.
 */
static int wait_for_child(pid_t child)
{
    int status = -1;
    double patience = server_now() + 2 * EXCHANGE_SECONDS;
    while (waitpid(child, &status, WNOHANG) == 0) {
        if (server_now() > patience) {
            (void)kill(child, SIGKILL);
        }
        server_sleep(1);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static int grandchild_status(const struct engine *engine)
{
    pid_t child = fork();
    if (child == 0) {
        _exit(engine_is_inherited(engine) ? 0 : 1);
    }
    return wait_for_child(child);
}

static void fork_is_noticed_in_the_child_only(void)
{
    struct server *server = start_server();
    struct endpoint *endpoint = endpoint_at(server, "/ok");
    struct engine *idle = new_engine();
    struct engine *running = new_engine();
    CHECK_EXCHANGE(running, endpoint, FAILURE_NONE, 200);
    pid_t child = fork();
    if (child == 0) {
        bool inherited = engine_is_inherited(idle) && engine_is_inherited(running);
        _exit(!inherited ? 1 : grandchild_status(running) != 0 ? 2 : 0);
    }
    CHECK_INT(wait_for_child(child), 0);
    CHECK(!engine_is_inherited(idle) && !engine_is_inherited(running));
    CHECK_EXCHANGE(running, endpoint, FAILURE_NONE, 200);
    CHECK_EXCHANGE(idle, endpoint, FAILURE_NONE, 200);
    engine_free(idle);
    engine_free(running);
    endpoint_release(endpoint);
    server_stop(server);
}

static int deliver_in_child(const struct server *server)
{
    struct engine *engine = new_engine();
    struct endpoint *endpoint = endpoint_at(server, "/ok");
    int status = engine_is_inherited(engine) ? 1 : 0;
    for (int i = 0; i < 3; i++) {
        struct request *answer = exchange(engine, endpoint);
        if (answer == NULL || answer->outcome.failure != FAILURE_NONE) {
            status = 2;
        }
        request_free(answer);
    }
    engine_free(engine);
    endpoint_release(endpoint);
    return status;
}

/* Forked in the middle of the parent's traffic, whose own goes on undisturbed. */
static void child_may_have_an_engine_of_its_own(void)
{
    if (THREADS_WATCHED) {
        CHECK_SKIP("ThreadSanitizer allows a forked child no threads");
        return;
    }
    struct server *server = start_server();
    struct endpoint *endpoint = endpoint_with(server, "/held", 3);
    struct engine *engine = new_engine();
    submit_numbered(engine, endpoint, 10);
    CHECK(server_await(&server->requests, 3));
    pid_t child = fork();
    if (child == 0) {
        _exit(deliver_in_child(server));
    }
    CHECK_INT(wait_for_child(child), 0);
    server_open(server);
    CHECK_SIZE(take_numbered(engine, 10, FAILURE_NONE), 10);
    engine_free(engine);
    endpoint_release(endpoint);
    server_stop(server);
}

/* ---- the end of the process ---- */

static void *end_when_told(void *how)
{
    int number;
    (void)sigwait(how, &number);
    exit(7);
    return NULL;
}

static void end_now(int number)
{
    (void)number;
    exit(8);
}

/* Runs in a child process, which a SIGALRM must end though its only caller drives for long. */
static void drive_to_the_end(const struct server *server, bool by_handler)
{
    pthread_t thread;
    sigset_t alarm_alone;
    struct sigaction action = {.sa_handler = end_now};
    struct endpoint *held = endpoint_at(server, "/held");
    struct engine *engine = new_engine();
    (void)sigaction(SIGALRM, &action, NULL);
    if (!by_handler) {
        (void)sigemptyset(&alarm_alone);
        (void)sigaddset(&alarm_alone, SIGALRM);
        (void)pthread_sigmask(SIG_BLOCK, &alarm_alone, NULL);
        (void)pthread_create(&thread, NULL, end_when_told, &alarm_alone);
    }
    submit_and_drive(engine, held, 0, EXCHANGE_SECONDS);
    server_sleep(EXCHANGE_SECONDS * 1000);
    _exit(1);
}

static void process_ends_while_the_caller_drives(void)
{
    if (THREADS_WATCHED) {
        CHECK_SKIP("ThreadSanitizer allows a forked child no threads");
        return;
    }
    for (int by_handler = 0; by_handler < 2; by_handler++) {
        struct server *server = start_server();
        pid_t child = fork();
        if (child == 0) {
            drive_to_the_end(server, by_handler);
        }
        CHECK(server_await(&server->requests, 1));
        server_sleep(30); /* then it waits, in no library's midst */
        double began = server_now();
        (void)kill(child, SIGALRM);
        CHECK_INT(wait_for_child(child), 7 + by_handler);
        CHECK(server_now() - began < EXCHANGE_SECONDS / 2);
        server_stop(server);
    }
}

/* ---- signals ---- */

static const int SIGNALS[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGUSR1, SIGUSR2, SIGPIPE,
                              SIGTERM, SIGCHLD, SIGTSTP, SIGTTIN, SIGTTOU, SIGURG};
enum { SIGNAL_COUNT = sizeof SIGNALS / sizeof SIGNALS[0] };

static pthread_t main_thread;
static atomic_uint handled;
static atomic_uint handled_elsewhere;

static void handle(int number)
{
    (void)number;
    atomic_fetch_add(&handled, 1);
    if (!pthread_equal(pthread_self(), main_thread)) {
        atomic_fetch_add(&handled_elsewhere, 1);
    }
}

static void set_handlers(void (*handler)(int), sigset_t *set)
{
    struct sigaction action = {.sa_handler = handler};
    (void)sigemptyset(set);
    for (size_t i = 0; i < SIGNAL_COUNT; i++) {
        (void)sigaction(SIGNALS[i], &action, NULL);
        (void)sigaddset(set, SIGNALS[i]);
    }
}

static void send_all(void)
{
    for (size_t i = 0; i < SIGNAL_COUNT; i++) {
        (void)kill(getpid(), SIGNALS[i]);
    }
}

/*
 * While this thread refuses them, only the engine's could take the signals: so they must wait until
 * this one takes them again.
 */
static void signals_are_never_handled_on_the_thread(void)
{
    struct server *server = start_server();
    struct endpoint *endpoint = endpoint_with(server, "/slow", 2);
    struct engine *engine = new_engine();
    sigset_t ours;
    sigset_t before;
    main_thread = pthread_self();
    set_handlers(handle, &ours);
    CHECK_EXCHANGE(engine, endpoint, FAILURE_NONE, 200);
    (void)pthread_sigmask(SIG_BLOCK, &ours, &before);
    for (int i = 0; i < 5; i++) {
        submit_numbered(engine, endpoint, 4);
        send_all();
        CHECK_SIZE(take_numbered(engine, 4, FAILURE_NONE), 4);
    }
    CHECK_SIZE(atomic_load(&handled), 0);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    CHECK_SIZE(atomic_load(&handled), SIGNAL_COUNT);
    CHECK_SIZE(atomic_load(&handled_elsewhere), 0);
    set_handlers(SIG_DFL, &ours);
    engine_free(engine);
    endpoint_release(endpoint);
    server_stop(server);
}

static void mask_of_the_caller_stays_as_it_is(void)
{
    struct server *server = start_server();
    struct endpoint *endpoint = endpoint_at(server, "/ok");
    struct engine *engine = new_engine();
    sigset_t one;
    sigset_t before;
    sigset_t after;
    (void)sigemptyset(&one);
    (void)sigaddset(&one, SIGUSR2);
    (void)pthread_sigmask(SIG_SETMASK, &one, &before);
    CHECK_EXCHANGE(engine, endpoint, FAILURE_NONE, 200);
    engine_stop(engine);
    (void)pthread_sigmask(SIG_SETMASK, &before, &after);
    for (size_t i = 0; i < SIGNAL_COUNT; i++) {
        CHECK_INT(sigismember(&after, SIGNALS[i]), SIGNALS[i] == SIGUSR2);
    }
    engine_free(engine);
    endpoint_release(endpoint);
    server_stop(server);
}

/* While the caller drives they are handled, on its thread, and end nothing. */
static void signals_are_handled_while_the_caller_drives(void)
{
    struct server *server = start_server();
    struct endpoint *endpoint = endpoint_with(server, "/slow", 2);
    struct engine *engine = new_engine();
    struct itimerval often = {.it_value = {.tv_usec = 500}, .it_interval = {.tv_usec = 500}};
    struct itimerval never = {.it_value = {.tv_usec = 0}};
    struct sigaction action = {.sa_handler = handle};
    struct sigaction before;
    main_thread = pthread_self();
    atomic_store(&handled, 0);
    (void)alarm(0); /* this case's limit: there is but one such timer */
    (void)sigaction(SIGALRM, &action, &before);
    (void)setitimer(ITIMER_REAL, &often, NULL);
    for (uint64_t i = 0; i < 5; i++) {
        CHECK(drives(engine, endpoint, i));
    }
    CHECK(atomic_load(&handled) > 5);
    CHECK_SIZE(atomic_load(&handled_elsewhere), 0);
    (void)setitimer(ITIMER_REAL, &never, NULL);
    (void)sigaction(SIGALRM, &before, NULL);
    engine_free(engine);
    endpoint_release(endpoint);
    server_stop(server);
}

/* Runs in a child process, which a SIGPIPE would end. */
static int write_to_who_hangs_up(const struct server *server)
{
    enum { MUCH = 4000000 };
    char *body = calloc(MUCH, 1);
    struct endpoint *endpoint = endpoint_at(server, "/hangs_up");
    struct engine *engine = new_engine();
    for (int i = 0; i < 6; i++) {
        submit_or_free(engine, request_with(endpoint, body, MUCH), EXCHANGE_SECONDS);
        struct request *answer = next_answer(engine);
        if (answer == NULL || answer->outcome.failure != FAILURE_CONNECTION_CLOSED) {
            return 1;
        }
        request_free(answer);
    }
    engine_free(engine);
    return 0;
}

static void peer_that_hangs_up_does_not_end_the_process(void)
{
    if (THREADS_WATCHED) {
        CHECK_SKIP("ThreadSanitizer allows a forked child no threads");
        return;
    }
    struct server *server = start_server();
    pid_t child = fork();
    if (child == 0) {
        (void)signal(SIGPIPE, SIG_DFL);
        _exit(write_to_who_hangs_up(server));
    }
    CHECK_INT(wait_for_child(child), 0);
    server_stop(server);
}

static const struct check_case cases[] = {
    CHECK_CASE(fork_is_noticed_in_the_child_only),
    CHECK_CASE(child_may_have_an_engine_of_its_own),
    CHECK_CASE(process_ends_while_the_caller_drives),
    CHECK_CASE(signals_are_never_handled_on_the_thread),
    CHECK_CASE(mask_of_the_caller_stays_as_it_is),
    CHECK_CASE(signals_are_handled_while_the_caller_drives),
    CHECK_CASE(peer_that_hangs_up_does_not_end_the_process),
};

int main(int count, char **names)
{
    return CHECK_RUN(cases, count, names);
}
