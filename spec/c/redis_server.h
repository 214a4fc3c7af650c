#ifndef SENDAPI_REDIS_SERVER_H
#define SENDAPI_REDIS_SERVER_H

/*
 * A redis-server of the test's own, on a unix socket in a directory of its own, and two that stand
 * in its place: one that passes bytes on and breaks off after so many, and one that answers
 * whatever it is told to.
 */

#include <dirent.h> /* opendir(3) */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#if defined(__linux__)
#include <sys/prctl.h>
#endif

#include <hiredis/hiredis.h>

enum { REDIS_PATH = 100 };

struct redis_server {
    char folder[64];
    char path[REDIS_PATH]; /* of its socket */
    pid_t process;
};

static inline void redis_must(bool fine, const char *what)
{
    if (!fine) {
        printf("    %s: %s\n", what, strerror(errno));
        abort();
    }
}

static inline void redis_nap(long milliseconds)
{
    (void)nanosleep(
        &(struct timespec){.tv_sec = milliseconds / 1000, .tv_nsec = milliseconds % 1000 * 1000000},
        NULL);
}

static inline void redis_execute(const struct redis_server *server)
{
#if defined(__linux__)
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
#endif
    for (int file = 3; file < 256; file++) { /* a pipe of the test's ends when the test closes it */
        (void)close(file);
    }
    if (freopen("/dev/null", "w", stdout) != NULL) {
        (void)execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", server->path,
                     "--dir", server->folder, "--save", "", "--appendonly", "yes", "--appendfsync",
                     "always", (char *)NULL);
    }
    (void)dprintf(STDERR_FILENO, "there is no redis-server to test with: apt-get install "
                                 "redis-server\n");
    _exit(127);
}

/* NULL while it is not there. */
static inline redisContext *redis_connect(const struct redis_server *server)
{
    redisContext *context = redisConnectUnix(server->path);
    if (context != NULL && context->err != 0) {
        redisFree(context);
        context = NULL;
    }
    return context;
}

/* Runs one command, of words without spaces; returns its number, or 0. */
static inline long long redis_do(const struct redis_server *server, const char *format, ...)
{
    va_list arguments;
    redisContext *context = redis_connect(server);
    redis_must(context != NULL, "redis-server");
    va_start(arguments, format);
    redisReply *reply = redisvCommand(context, format, arguments);
    va_end(arguments);
    long long number = reply != NULL && reply->type == REDIS_REPLY_INTEGER ? reply->integer : 0;
    if (reply != NULL && reply->type == REDIS_REPLY_ERROR) {
        printf("    %s: %s\n", format, reply->str);
        number = -1;
    }
    if (reply != NULL) {
        freeReplyObject(reply);
    }
    redisFree(context);
    return number;
}

static inline bool redis_is_up(const struct redis_server *server)
{
    redisContext *context = redis_connect(server);
    redisReply *reply = context != NULL ? redisCommand(context, "PING") : NULL;
    bool up = reply != NULL && reply->type == REDIS_REPLY_STATUS;
    if (reply != NULL) {
        freeReplyObject(reply);
    }
    if (context != NULL) {
        redisFree(context);
    }
    return up;
}

/* Starts it, for the first time or again with what it wrote. */
static inline void redis_start(struct redis_server *server)
{
    if (server->folder[0] == '\0') {
        (void)snprintf(server->folder, sizeof server->folder, "/tmp/sendapi-redis-XXXXXX");
        redis_must(mkdtemp(server->folder) != NULL, "mkdtemp");
        (void)snprintf(server->path, sizeof server->path, "%s/socket", server->folder);
    }
    (void)fflush(stdout);
    server->process = fork();
    redis_must(server->process >= 0, "fork");
    if (server->process == 0) {
        redis_execute(server);
    }
    for (int i = 0; !redis_is_up(server); i++) {
        redis_must(i < 2000 && waitpid(server->process, NULL, WNOHANG) == 0,
                   "redis-server does not start");
        redis_nap(10);
    }
}

static inline void redis_kill(struct redis_server *server)
{
    (void)kill(server->process, SIGKILL);
    (void)waitpid(server->process, NULL, 0);
}

static inline void redis_remove(const char *folder)
{
    char path[512];
    DIR *directory = opendir(folder);
    struct dirent *entry;
    while (directory != NULL && (entry = readdir(directory)) != NULL) {
        (void)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
            unlink(path) != 0) {
            redis_remove(path);
        }
    }
    if (directory != NULL) {
        (void)closedir(directory);
    }
    (void)rmdir(folder);
}

static inline void redis_stop(struct redis_server *server)
{
    redis_kill(server);
    redis_remove(server->folder);
}

/* ---- what stands in its place ---- */

enum { REDIS_CUTS = 4, REDIS_UP = 0, REDIS_DOWN = 1 };

/* Where a connection breaks off: after so many bytes in one direction; -1: nowhere. */
struct redis_cut {
    int direction;
    long bytes;
};

struct redis_middle {
    char path[REDIS_PATH];
    int listener;
    pthread_t thread;
    atomic_bool stopping;
    atomic_size_t connections;

    const struct redis_server *server; /* that bytes are passed on to; NULL: answers instead */
    pthread_mutex_t lock;
    struct redis_cut cuts[REDIS_CUTS]; /* of this connection and the next ones */
    size_t cut_count;

    const char *info; /* answers INFO */
    const char *answer;
    size_t answer_length;
    const char *lease; /* a command with this in it gets a token; NULL: none does */
    bool drips;        /* the answer, a byte in a while */
};

static inline int redis_listen(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    (void)unlink(path);
    redis_must(listener >= 0 && bind(listener, (struct sockaddr *)&address, sizeof address) == 0 &&
                   listen(listener, 16) == 0,
               "listen");
    return listener;
}

static inline int redis_dial(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int file = socket(AF_UNIX, SOCK_STREAM, 0);
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    if (connect(file, (struct sockaddr *)&address, sizeof address) != 0) {
        (void)close(file);
        return -1;
    }
    return file;
}

/* How many of the bytes may pass; breaks the connection when it is not all. */
static inline size_t redis_allowed(struct redis_middle *middle, int direction, size_t length)
{
    size_t allowed = length;
    (void)pthread_mutex_lock(&middle->lock);
    if (middle->cut_count > 0 && middle->cuts[0].direction == direction) {
        struct redis_cut *cut = &middle->cuts[0];
        allowed = (size_t)cut->bytes < length ? (size_t)cut->bytes : length;
        cut->bytes -= (long)allowed;
        if (allowed < length) {
            memmove(cut, cut + 1, --middle->cut_count * sizeof *cut);
        }
    }
    (void)pthread_mutex_unlock(&middle->lock);
    return allowed;
}

static inline bool redis_send(int file, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t sent = send(file, bytes, length, MSG_NOSIGNAL);
        if (sent <= 0) {
            return false;
        }
        bytes += sent;
        length -= (size_t)sent;
    }
    return true;
}

static inline bool redis_pass(struct redis_middle *middle, int from, int to, int direction)
{
    char bytes[16384];
    ssize_t length = read(from, bytes, sizeof bytes);
    if (length <= 0) {
        return false;
    }
    size_t allowed = redis_allowed(middle, direction, (size_t)length);
    return redis_send(to, bytes, allowed) && allowed == (size_t)length;
}

static inline void redis_pass_on(struct redis_middle *middle, int client)
{
    int server = redis_dial(middle->server->path);
    struct pollfd files[2] = {{.fd = client, .events = POLLIN}, {.fd = server, .events = POLLIN}};
    bool goes_on = server >= 0;
    while (goes_on && !atomic_load(&middle->stopping)) {
        (void)poll(files, 2, 20);
        goes_on = (files[0].revents == 0 || redis_pass(middle, client, server, REDIS_UP)) &&
                  (files[1].revents == 0 || redis_pass(middle, server, client, REDIS_DOWN));
    }
    if (server >= 0) {
        (void)close(server);
    }
}

static inline const char *redis_find(const char *bytes, size_t length, const char *word)
{
    size_t size = strlen(word);
    for (size_t i = 0; i + size <= length; i++) {
        if (memcmp(bytes + i, word, size) == 0) {
            return bytes + i;
        }
    }
    return NULL;
}

static inline bool redis_send_answer(struct redis_middle *middle, int client)
{
    for (size_t i = 0; middle->drips && i + 1 < middle->answer_length; i++) {
        if (atomic_load(&middle->stopping) || !redis_send(client, middle->answer + i, 1)) {
            return false;
        }
        redis_nap(20);
    }
    return !middle->drips && redis_send(client, middle->answer, middle->answer_length);
}

static inline bool redis_answer(struct redis_middle *middle, int client)
{
    static const char name[] = "$40\r\n0123456789012345678901234567890123456789\r\n";
    char bytes[16384];
    char text[512];
    ssize_t length = read(client, bytes, sizeof bytes);
    if (length <= 0) {
        return false;
    }
    if (redis_find(bytes, (size_t)length, "\r\nINFO\r\n") != NULL) {
        (void)snprintf(text, sizeof text, "$%zu\r\n%s\r\n", strlen(middle->info), middle->info);
        return redis_send(client, text, strlen(text));
    }
    if (redis_find(bytes, (size_t)length, "\r\nLOAD\r\n") != NULL) {
        return redis_send(client, name, sizeof name - 1);
    }
    if (redis_find(bytes, (size_t)length, "\r\nCONFIG\r\n") != NULL) {
        return redis_send(client, "*0\r\n", 4);
    }
    if (middle->lease != NULL && redis_find(bytes, (size_t)length, middle->lease) != NULL) {
        return redis_send(client, "$1\r\n7\r\n", 7);
    }
    return redis_send_answer(middle, client);
}

static inline void *redis_stand(void *context)
{
    struct redis_middle *middle = context;
    while (!atomic_load(&middle->stopping)) {
        struct pollfd file = {.fd = middle->listener, .events = POLLIN};
        int client = poll(&file, 1, 20) == 1 ? accept(middle->listener, NULL, NULL) : -1;
        if (client < 0) {
            continue;
        }
        atomic_fetch_add(&middle->connections, 1);
        if (middle->server != NULL) {
            redis_pass_on(middle, client);
        }
        struct pollfd asked = {.fd = client, .events = POLLIN};
        while (middle->server == NULL && !atomic_load(&middle->stopping) &&
               (poll(&asked, 1, 20) == 0 || redis_answer(middle, client))) {
        }
        (void)close(client);
    }
    return NULL;
}

static inline void redis_stand_in(struct redis_middle *middle, const char *folder)
{
    (void)snprintf(middle->path, sizeof middle->path, "%s/middle", folder);
    middle->listener = redis_listen(middle->path);
    atomic_store(&middle->stopping, false);
    (void)pthread_mutex_init(&middle->lock, NULL);
    redis_must(pthread_create(&middle->thread, NULL, redis_stand, middle) == 0, "pthread_create");
}

static inline void redis_stand_down(struct redis_middle *middle)
{
    atomic_store(&middle->stopping, true);
    (void)pthread_join(middle->thread, NULL);
    (void)close(middle->listener);
    (void)unlink(middle->path);
}

static inline void redis_break(struct redis_middle *middle, const struct redis_cut *cuts,
                               size_t count)
{
    (void)pthread_mutex_lock(&middle->lock);
    for (size_t i = 0; i < count; i++) {
        middle->cuts[i] = cuts[i];
    }
    middle->cut_count = count;
    (void)pthread_mutex_unlock(&middle->lock);
}

#endif
