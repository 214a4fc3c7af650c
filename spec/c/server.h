#ifndef SENDAPI_SERVER_H
#define SENDAPI_SERVER_H

/*
 * A small hostile HTTP server on a free port of 127.0.0.1, on a thread of its own. What it does
 * with a request stands in a table of plans, found by the request's path.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h> /* size_t */
#include <stdint.h> /* uint64_t */
#include <stdio.h>  /* snprintf(3) perror(3) */
#include <stdlib.h> /* calloc(3) strtoul(3) abort(3) */
#include <string.h> /* strstr(3) */
#include <time.h>   /* clock_gettime(2) */

#include <arpa/inet.h>   /* htonl(3) */
#include <fcntl.h>       /* fcntl(2) */
#include <netinet/in.h>  /* sockaddr_in */
#include <netinet/tcp.h> /* TCP_NODELAY */
#include <poll.h>        /* poll(2) */
#include <signal.h>      /* pthread_sigmask(3) */
#include <sys/socket.h>  /* socket(2) */
#include <unistd.h>      /* close(2) pipe(2) */

enum {
    SERVER_PEERS = 256,
    SERVER_HEAD = 8192, /* bytes of a request's head */
    SERVER_ORDER = 4096,
    SERVER_PIECE = 65536, /* bytes read at once */
};

/* What becomes of the connection once the text is sent. */
enum server_end {
    SERVER_KEEPS,   /* waits for the next request */
    SERVER_CLOSES,  /* says goodbye and reads on until the other side does */
    SERVER_RESETS,  /* breaks it off */
    SERVER_IGNORES, /* neither reads nor writes any more */
};

enum server_moment {
    SERVER_AFTER_BODY, /* the request was read to its end */
    SERVER_AFTER_HEAD, /* its body is still coming */
    SERVER_AT_ONCE,    /* connected, nothing read; the path does not count */
};

struct server_plan {
    const char *path;     /* the whole of it */
    const char *text;     /* sent first; NULL: nothing */
    size_t length;        /* of the text; 0: up to its terminator */
    const char *repeated; /* sent then, over and over; NULL: nothing */
    enum server_end end;
    enum server_moment moment;
    unsigned delay_ms; /* before the text */
    unsigned most;     /* requests of one connection that are answered; then it closes; 0: all */
    bool held;         /* before the text: until server_open */
    bool dripped;      /* the text goes byte by byte */
};

enum server_state { SERVER_READING, SERVER_PAUSING, SERVER_WRITING, SERVER_DRAINING, SERVER_DEAF };

struct server_peer {
    int socket;
    enum server_state state;
    const struct server_plan *plan;
    unsigned requests;
    double due;
    size_t sent;
    char head[SERVER_HEAD + 1];
    size_t head_length;
    bool head_whole;
    size_t body_left;
    char number[24]; /* the digits that the body begins with */
    size_t number_length;
    uint64_t hash;
};

/* Counted for the tests; any thread may read. */
struct server {
    atomic_size_t connections;
    atomic_size_t requests; /* whose head was whole */
    atomic_size_t answered;
    atomic_size_t at_once; /* of them, now */
    atomic_size_t most_at_once;
    unsigned port;

    /* under the lock: the last request, and the order in which numbered bodies came */
    pthread_mutex_t lock;
    char last_head[SERVER_HEAD + 1];
    uint64_t last_hash;
    unsigned long order[SERVER_ORDER];
    size_t order_length;

    /* its thread's own */
    pthread_t thread;
    const struct server_plan *plans;
    size_t plan_count;
    int listener;
    int bell[2]; /* a pipe that wakes the thread */
    atomic_bool open;
    atomic_bool stopping;
    struct server_peer *peers[SERVER_PEERS];
    size_t peer_count;
    char piece[SERVER_PIECE];
};

static inline double server_now(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static inline void server_pause(long microseconds)
{
    struct timespec time = {.tv_sec = microseconds / 1000000,
                            .tv_nsec = microseconds % 1000000 * 1000};
    (void)nanosleep(&time, NULL);
}

static inline void server_sleep(long milliseconds)
{
    server_pause(milliseconds * 1000);
}

/* FNV-1a: the body as the server saw it, for comparison with what was sent. */
static const uint64_t SERVER_HASH = 14695981039346656037u;

static inline uint64_t server_hash(uint64_t hash, const char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        hash = (hash ^ (unsigned char)bytes[i]) * 1099511628211u;
    }
    return hash;
}

/* ---- sockets ---- */

static inline void server_must(bool fine, const char *what)
{
    if (!fine) {
        perror(what);
        abort();
    }
}

/* Bound to a free port of 127.0.0.1, which it gives; nobody listens there yet. */
static inline int server_bind(unsigned *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int file = socket(AF_INET, SOCK_STREAM, 0);
    server_must(file >= 0 && fcntl(file, F_SETFD, FD_CLOEXEC) == 0 &&
                    bind(file, (struct sockaddr *)&address, length) == 0 &&
                    getsockname(file, (struct sockaddr *)&address, &length) == 0,
                "bind");
    *port = ntohs(address.sin_port);
    return file;
}

static inline void server_unblock(int file)
{
    server_must(fcntl(file, F_SETFL, O_NONBLOCK) == 0, "fcntl");
}

/* ---- peers ---- */

static inline void server_drop(struct server *server, size_t at)
{
    struct server_peer *peer = server->peers[at];
    if (peer->head_whole && (peer->state == SERVER_READING || peer->state == SERVER_PAUSING)) {
        atomic_fetch_sub(&server->at_once, 1);
    }
    (void)close(peer->socket);
    free(peer);
    server->peers[at] = server->peers[--server->peer_count];
}

static inline void server_ready(struct server_peer *peer)
{
    peer->state = SERVER_READING;
    peer->plan = NULL;
    peer->sent = 0;
    peer->head_length = 0;
    peer->head_whole = false;
    peer->body_left = 0;
    peer->number_length = 0;
    peer->hash = SERVER_HASH;
}

static inline void server_plan(struct server_peer *peer, const struct server_plan *plan)
{
    peer->plan = plan;
    peer->state = SERVER_PAUSING;
    peer->due = server_now() + plan->delay_ms / 1000.0;
}

static inline void server_accept(struct server *server)
{
    int file = accept(server->listener, NULL, NULL);
    if (file < 0) {
        return;
    }
    struct server_peer *peer = calloc(1, sizeof *peer);
    server_must(peer != NULL && server->peer_count < SERVER_PEERS, "accept");
    server_unblock(file);
    (void)setsockopt(file, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    peer->socket = file;
    server_ready(peer);
    server->peers[server->peer_count++] = peer;
    atomic_fetch_add(&server->connections, 1);
    if (server->plans[0].moment == SERVER_AT_ONCE) {
        server_plan(peer, &server->plans[0]);
    }
}

/* ---- requests ---- */

/* The path of POST /path HTTP/1.1, or of a proxy's POST http://host/path HTTP/1.1. */
static inline void server_path(const char *head, char *path, size_t size)
{
    const char *target = strchr(head, ' ');
    const char *host = target != NULL ? strstr(target, "http://") : NULL;
    const char *from = host == target + 1 ? strchr(host + 7, '/') : target + 1;
    (void)snprintf(path, size, "%.*s", (int)strcspn(from, " "), from);
}

static inline const struct server_plan *server_find(const struct server *server, const char *head)
{
    char path[200];
    server_path(head, path, sizeof path);
    for (size_t i = 0; i < server->plan_count; i++) {
        if (server->plans[i].path != NULL && strcmp(server->plans[i].path, path) == 0) {
            return &server->plans[i];
        }
    }
    fprintf(stderr, "no plan for this request:\n%s\n", head);
    abort();
}

static inline void server_count(struct server *server)
{
    size_t at_once = atomic_fetch_add(&server->at_once, 1) + 1;
    if (at_once > atomic_load(&server->most_at_once)) {
        atomic_store(&server->most_at_once, at_once);
    }
    atomic_fetch_add(&server->requests, 1);
}

static inline void server_take_head(struct server *server, struct server_peer *peer)
{
    const char *length = strstr(peer->head, "Content-Length: ");
    peer->body_left = length != NULL ? strtoul(length + 16, NULL, 10) : 0;
    peer->head_whole = true;
    peer->requests++;
    peer->plan = server_find(server, peer->head);
    server_count(server);
    if (peer->plan->moment == SERVER_AFTER_HEAD) {
        server_plan(peer, peer->plan);
    }
}

static inline void server_take_body(struct server_peer *peer, const char *bytes, size_t length)
{
    for (size_t i = 0; i < length && peer->number_length < sizeof peer->number - 1; i++) {
        peer->number[peer->number_length++] = bytes[i];
    }
    peer->hash = server_hash(peer->hash, bytes, length);
    peer->body_left -= length < peer->body_left ? length : peer->body_left;
}

static inline void server_remember(struct server *server, struct server_peer *peer)
{
    (void)pthread_mutex_lock(&server->lock);
    memcpy(server->last_head, peer->head, peer->head_length + 1);
    server->last_hash = peer->hash;
    peer->number[peer->number_length] = '\0';
    if (server->order_length < SERVER_ORDER) {
        server->order[server->order_length++] = strtoul(peer->number, NULL, 10);
    }
    (void)pthread_mutex_unlock(&server->lock);
}

/* Bytes of the head up to its blank line; what follows is the body's. Gives how many it took. */
static inline size_t server_feed_head(struct server *server, struct server_peer *peer,
                                      const char *bytes, size_t length)
{
    size_t taken = 0;
    while (taken < length && !peer->head_whole) {
        server_must(peer->head_length < SERVER_HEAD, "head");
        peer->head[peer->head_length++] = bytes[taken++];
        peer->head[peer->head_length] = '\0';
        if (peer->head_length >= 4 &&
            memcmp(peer->head + peer->head_length - 4, "\r\n\r\n", 4) == 0) {
            server_take_head(server, peer);
        }
    }
    return taken;
}

static inline void server_feed(struct server *server, struct server_peer *peer, const char *bytes,
                               size_t length)
{
    size_t taken = server_feed_head(server, peer, bytes, length);
    if (peer->head_whole) {
        server_take_body(peer, bytes + taken, length - taken);
        if (peer->state == SERVER_READING && peer->body_left == 0) {
            server_remember(server, peer);
            server_plan(peer, peer->plan);
        }
    }
}

/* False when the other side is gone. */
static inline bool server_read(struct server *server, struct server_peer *peer)
{
    ssize_t got = recv(peer->socket, server->piece, sizeof server->piece, 0);
    if (got > 0 && peer->state == SERVER_READING) {
        server_feed(server, peer, server->piece, (size_t)got);
    }
    return got > 0;
}

/* ---- answers ---- */

/* False when the connection is over. */
static inline bool server_finish(struct server_peer *peer)
{
    struct linger at_once = {.l_onoff = 1};
    switch (peer->plan->end) {
    case SERVER_KEEPS: server_ready(peer); return true;
    case SERVER_CLOSES: peer->state = SERVER_DRAINING; return shutdown(peer->socket, SHUT_WR) == 0;
    case SERVER_RESETS:
        (void)setsockopt(peer->socket, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        return false;
    case SERVER_IGNORES: break;
    }
    peer->state = SERVER_DEAF;
    return true;
}

static inline bool server_send(struct server_peer *peer, const char *text, size_t length,
                               size_t *sent)
{
    ssize_t put = send(peer->socket, text, length, 0); /* SIGPIPE is blocked */
    *sent = put > 0 ? (size_t)put : 0;
    return put >= 0;
}

static inline size_t server_length(const struct server_plan *plan)
{
    return plan->length > 0 ? plan->length : plan->text != NULL ? strlen(plan->text) : 0;
}

/* Sends what fits. The text's end is the answer's: what comes after it is the next request. */
static inline bool server_write(struct server_peer *peer)
{
    const struct server_plan *plan = peer->plan;
    size_t length = server_length(plan);
    size_t sent = 0;
    if (peer->sent < length) {
        size_t left = plan->dripped ? 1 : length - peer->sent;
        if (!server_send(peer, plan->text + peer->sent, left, &sent)) {
            return false;
        }
        peer->sent += sent;
    } else if (plan->repeated != NULL) {
        return server_send(peer, plan->repeated, strlen(plan->repeated), &sent);
    }
    return peer->sent < length || plan->repeated != NULL || server_finish(peer);
}

/* The pause is over: the first byte may go, and the request counts as answered. */
static inline bool server_begin(struct server *server, struct server_peer *peer)
{
    if (peer->head_whole) {
        atomic_fetch_sub(&server->at_once, 1);
        atomic_fetch_add(&server->answered, 1);
    }
    peer->state = SERVER_WRITING;
    bool worn = peer->plan->most > 0 && peer->requests > peer->plan->most;
    return !worn;
}

/* ---- the thread ---- */

static inline short server_events(const struct server_peer *peer)
{
    return (short)(peer->state == SERVER_DEAF      ? 0
                   : peer->state == SERVER_WRITING ? POLLIN | POLLOUT
                                                   : POLLIN);
}

static inline bool server_step(struct server *server, struct server_peer *peer, short events)
{
    if (peer->state == SERVER_DEAF) {
        return true;
    }
    if ((events & (POLLIN | POLLHUP | POLLERR)) != 0 && !server_read(server, peer)) {
        return false;
    }
    bool held = peer->state == SERVER_PAUSING && peer->plan->held && !atomic_load(&server->open);
    if (peer->state == SERVER_PAUSING && !held && server_now() >= peer->due &&
        !server_begin(server, peer)) {
        return false;
    }
    return peer->state != SERVER_WRITING || (events & POLLOUT) == 0 || server_write(peer);
}

static inline bool server_is_pausing(const struct server *server)
{
    for (size_t i = 0; i < server->peer_count; i++) {
        if (server->peers[i]->state == SERVER_PAUSING ||
            server->peers[i]->state == SERVER_WRITING) {
            return true;
        }
    }
    return false;
}

static inline void server_poll(struct server *server)
{
    struct pollfd files[SERVER_PEERS + 2] = {{server->bell[0], POLLIN, 0},
                                             {server->listener, POLLIN, 0}};
    char rung[64];
    size_t count = server->peer_count;
    for (size_t i = 0; i < count; i++) {
        files[i + 2] =
            (struct pollfd){server->peers[i]->socket, server_events(server->peers[i]), 0};
    }
    (void)poll(files, count + 2, server_is_pausing(server) ? 1 : 1000);
    if (files[0].revents != 0) {
        (void)!read(server->bell[0], rung, sizeof rung);
    }
    for (size_t i = count; i-- > 0;) {
        if (!server_step(server, server->peers[i], files[i + 2].revents)) {
            server_drop(server, i);
        }
    }
    if (files[1].revents != 0) {
        server_accept(server);
    }
}

static inline void *server_run(void *argument)
{
    struct server *server = argument;
    while (!atomic_load(&server->stopping)) {
        server_poll(server);
    }
    while (server->peer_count > 0) {
        server_drop(server, server->peer_count - 1);
    }
    return NULL;
}

/* ---- for the tests ---- */

/* The plans are borrowed until server_stop. Signals are none of the server's. */
static inline struct server *server_start(const struct server_plan *plans, size_t count)
{
    struct server *server = calloc(1, sizeof *server);
    sigset_t all;
    sigset_t before;
    server_must(server != NULL && pipe(server->bell) == 0, "pipe");
    server->plans = plans;
    server->plan_count = count;
    server->listener = server_bind(&server->port);
    server_unblock(server->listener);
    server_unblock(server->bell[0]);
    (void)pthread_mutex_init(&server->lock, NULL);
    server_must(listen(server->listener, 128) == 0, "listen");
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    server_must(pthread_create(&server->thread, NULL, server_run, server) == 0, "thread");
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return server;
}

static inline void server_ring(struct server *server)
{
    (void)!write(server->bell[1], "!", 1);
}

/* Lets the held answers go, these and all that follow. */
static inline void server_open(struct server *server)
{
    atomic_store(&server->open, true);
    server_ring(server);
}

static inline void server_stop(struct server *server)
{
    atomic_store(&server->stopping, true);
    server_ring(server);
    (void)pthread_join(server->thread, NULL);
    (void)close(server->listener);
    (void)close(server->bell[0]);
    (void)close(server->bell[1]);
    (void)pthread_mutex_destroy(&server->lock);
    free(server);
}

/* Waits until a counter has reached a number; false after ten seconds. */
static inline bool server_await(atomic_size_t *counter, size_t number)
{
    double until = server_now() + 30;
    while (atomic_load(counter) < number && server_now() < until) {
        server_sleep(1);
    }
    return atomic_load(counter) >= number;
}

#endif
