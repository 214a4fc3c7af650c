/* The engine while its caller drives it, and that its thread takes over what the caller leaves. */

#include "engine.h"

#include <math.h>   /* NAN */
#include <stdlib.h> /* strtol(3) */

#include <dirent.h> /* opendir(3) */
#include <sys/un.h> /* sockaddr_un */
#include <unistd.h> /* close(2) */

#include "engine_fixture.h"

/* Whether an answer is there without another wait, as soon as the thread has parked. */
static bool comes_to_drive(struct engine *engine, struct endpoint *endpoint)
{
    bool driven = false;
    for (int i = 0; i < 5000 && !driven; i++) {
        server_sleep(1);
        submit_and_drive(engine, endpoint, 0, EXCHANGE_SECONDS);
        driven = engine_peek(engine) != NULL;
        request_free(next_answer(engine));
    }
    return driven;
}

/* The newest of this process's threads, or 0 where that cannot be told. */
static long newest_thread(void)
{
    long newest = 0;
    DIR *tasks = opendir("/proc/self/task");
    if (tasks != NULL) {
        for (struct dirent *entry; (entry = readdir(tasks)) != NULL;) {
            long number = strtol(entry->d_name, NULL, 10);
            newest = number > newest ? number : newest;
        }
        (void)closedir(tasks);
    }
    return newest;
}

/* How often a thread went to sleep; 0 where that cannot be told. */
static long sleeps_of(long thread)
{
    static const char name[] = "voluntary_ctxt_switches:";
    char text[100];
    long sleeps = 0;
    (void)snprintf(text, sizeof text, "/proc/self/task/%ld/status", thread);
    FILE *file = fopen(text, "r");
    while (file != NULL && fgets(text, sizeof text, file) != NULL) {
        if (strncmp(text, name, sizeof name - 1) == 0) {
            sleeps = strtol(text + sizeof name - 1, NULL, 10);
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return sleeps;
}

/* From the first call on: the thread sleeps all the while. */
static void caller_drives_an_idle_engine(void)
{
    struct server *server = start_server();
    struct endpoint *endpoint = endpoint_at(server, "/ok");
    struct engine *engine = new_engine();
    CHECK(drives(engine, endpoint, 0));
    long thread = newest_thread();
    long before = sleeps_of(thread);
    for (uint64_t i = 1; i < 200; i++) {
        CHECK(drives(engine, endpoint, i));
    }
    CHECK(sleeps_of(thread) <= before + 5);
    CHECK_SIZE(atomic_load(&server->requests), 200);
    CHECK_SIZE(atomic_load(&server->connections), 1);
    check_idle(endpoint);
    engine_free(engine);
    endpoint_release(endpoint);
    server_stop(server);
}

/* The thread keeps what it has begun, and does what comes then. */
static void caller_leaves_a_busy_engine_to_the_thread(void)
{
    struct server *server = start_server();
    struct endpoint *held = endpoint_with(server, "/held", 1);
    struct endpoint *fine = endpoint_at(server, "/ok");
    struct engine *engine = new_engine();
    submit(engine, held, 100);
    CHECK(server_await(&server->requests, 1));
    for (uint64_t i = 0; i < 50; i++) {
        double began = server_now();
        submit_and_drive(engine, fine, i, EXCHANGE_SECONDS);
        struct request *answer = next_answer(engine);
        CHECK(server_now() - began < 9);
        CHECK_SIZE(answer != NULL ? answer->ticket : 999, i);
        request_free(answer);
    }
    server_open(server);
    request_free(next_answer(engine));
    CHECK(comes_to_drive(engine, fine));
    engine_free(engine);
    endpoint_release(held);
    endpoint_release(fine);
    server_stop(server);
}

/* What the caller leaves behind comes by itself, next attempts too. */
static void thread_takes_over_when_the_time_is_over(void)
{
    struct server *server = start_server();
    struct endpoint *held = endpoint_with(server, "/held", 2);
    struct engine *engine = new_engine();
    for (uint64_t i = 0; i < 3; i++) {
        double began = server_now();
        submit_and_drive(engine, held, i, 0.02);
        CHECK(i > 0 || server_now() - began >= 0.02);
        CHECK(engine_take(engine) == NULL);
    }
    double opened = server_now();
    server_open(server);
    CHECK_SIZE(take_numbered(engine, 3, FAILURE_NONE), 3);
    CHECK(server_now() - opened < 9); /* the thread was woken */
    check_idle(held);
    engine_free(engine);
    endpoint_release(held);
    server_stop(server);
}

static void thread_tries_again_what_the_caller_began(void)
{
    struct server *server = start_server();
    struct exchange_url url = url_at(server->port, "/no");
    struct endpoint_settings settings = usual_settings(url.text);
    settings.policy = (struct retry_policy){.attempts = 3, .first = 0.05, .longest = 0.05};
    struct endpoint *endpoint = endpoint_new(&settings);
    struct engine *engine = new_engine();
    submit_and_drive(engine, endpoint, 0, 0.01);
    struct request *answer = next_answer(engine);
    CHECK(answer != NULL && answer->outcome.attempts == 3);
    request_free(answer);
    engine_free(engine);
    endpoint_release(endpoint);
    server_stop(server);
}

static void odd_times_do_not_drive(void)
{
    static const double times[] = {0, -1, NAN};
    struct server *server = start_server();
    struct endpoint *endpoint = endpoint_at(server, "/ok");
    struct engine *engine = new_engine();
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        submit_and_drive(engine, endpoint, 0, times[i]);
        CHECK_SIZE(take_numbered(engine, 1, FAILURE_NONE), 1);
    }
    engine_free(engine);
    endpoint_release(endpoint);
    server_stop(server);
}

/* What was queued before goes too, and any answer ends the drive. */
static void caller_takes_along_what_was_queued(void)
{
    struct server *server = start_server();
    struct endpoint *endpoint = endpoint_with(server, "/ok", 1);
    struct engine *engine = new_engine();
    for (int round = 0; round < 50; round++) {
        submit_numbered(engine, endpoint, 5);
        submit_and_drive(engine, endpoint, 5, EXCHANGE_SECONDS);
        for (uint64_t i = 0; i < 6; i++) {
            struct request *answer = next_answer(engine);
            CHECK_SIZE(answer != NULL ? answer->ticket : 999, i);
            request_free(answer);
        }
    }
    check_idle(endpoint);
    engine_free(engine);
    endpoint_release(endpoint);
    server_stop(server);
}

/* After a drive that brought nothing, as after any submission. */
static void stop_and_cancel_after_a_drive(void)
{
    struct server *server = start_server();
    struct endpoint *held = endpoint_with(server, "/held", 1);
    struct engine *engine = new_engine();
    for (int round = 0; round < 10; round++) {
        submit_and_drive(engine, held, 0, 0.001);
        submit_and_drive(engine, held, 1, 0.001);
        if (round % 2 == 0) {
            engine_stop(engine);
        } else {
            engine_cancel(engine, held);
        }
        CHECK_SIZE(take_numbered(engine, 2, FAILURE_CLOSED), 0);
    }
    submit_and_drive(engine, held, 0, 0.001);
    engine_free(engine);
    check_idle(held);
    CHECK_SIZE(atomic_load(&held->references), 1);
    endpoint_release(held);
    server_stop(server);
}

static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int client = socket(AF_UNIX, SOCK_STREAM, 0);
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    CHECK_INT(connect(client, (struct sockaddr *)&address, sizeof address), 0);
    return client;
}

/* The thread that waits for a client of the wakeup does not park; nor is it woken too late. */
static void listener_is_seen_by_whoever_drives(void)
{
    struct server *server = start_server();
    struct endpoint *endpoint = endpoint_at(server, "/ok");
    struct engine *engine = new_engine();
    for (int i = 0; i < 10; i++) {
        char byte = 0;
        submit_and_drive(engine, endpoint, 0, EXCHANGE_SECONDS);
        request_free(next_answer(engine));
        int client = connect_to(engine_listen(engine));
        CHECK_INT(recv(client, &byte, 1, 0), 1);
        engine_calm(engine);
        submit_and_drive(engine, endpoint, 1, 0.001);
        CHECK_INT(recv(client, &byte, 1, 0), 1);
        request_free(next_answer(engine));
        engine_calm(engine);
        (void)close(client);
        server_sleep(i % 2);
    }
    engine_free(engine);
    endpoint_release(endpoint);
    server_stop(server);
}

static const struct check_case cases[] = {
    CHECK_CASE(caller_drives_an_idle_engine),
    CHECK_CASE(caller_leaves_a_busy_engine_to_the_thread),
    CHECK_CASE(thread_takes_over_when_the_time_is_over),
    CHECK_CASE(thread_tries_again_what_the_caller_began),
    CHECK_CASE(odd_times_do_not_drive),
    CHECK_CASE(caller_takes_along_what_was_queued),
    CHECK_CASE(stop_and_cancel_after_a_drive),
    CHECK_CASE(listener_is_seen_by_whoever_drives),
};

int main(int count, char **names)
{
    return CHECK_RUN(cases, count, names);
}
