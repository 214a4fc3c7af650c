#include "wakeup.h"

#include <errno.h>      /* errno ENAMETOOLONG */
#include <fcntl.h>      /* fcntl(2) */
#include <stdio.h>      /* snprintf(3) */
#include <stdlib.h>     /* getenv(3) mkdtemp(3) */
#include <string.h>     /* memcpy(3) strlen(3) strrchr(3) */
#include <sys/socket.h> /* socket(2) accept(2) send(2) */
#include <sys/un.h>     /* sockaddr_un */
#include <unistd.h>     /* pipe(2) read(2) write(2) close(2) unlink(2) */

#include "sweep.h"

#if !defined(MSG_NOSIGNAL)
#define MSG_NOSIGNAL 0 /* the I/O thread blocks SIGPIPE in any case */
#endif

void wakeup_init(struct wakeup *wakeup)
{
    memset(wakeup, 0, sizeof *wakeup);
    atomic_init(&wakeup->signalled, false);
    atomic_init(&wakeup->pipe_write, -1);
    atomic_init(&wakeup->offered, -1);
    atomic_init(&wakeup->served, -1);
    wakeup->pipe_read = -1;
    wakeup->listening = -1;
    wakeup->listener = -1;
    for (size_t i = 0; i < WAKEUP_CLIENTS; i++) {
        wakeup->clients[i] = -1;
    }
}

static void close_if_open(int descriptor)
{
    if (descriptor >= 0) {
        (void)close(descriptor);
    }
}

static void remove_path(char path[WAKEUP_PATH])
{
    char *slash = strrchr(path, '/');
    if (slash != NULL) {
        (void)unlink(path);
        *slash = '\0';
        (void)rmdir(path);
    }
    path[0] = '\0';
}

void wakeup_destroy(struct wakeup *wakeup)
{
    close_if_open(wakeup->pipe_read);
    close_if_open(atomic_load(&wakeup->pipe_write));
    close_if_open(atomic_load(&wakeup->offered));
    close_if_open(wakeup->listener);
    for (size_t i = 0; i < WAKEUP_CLIENTS; i++) {
        close_if_open(wakeup->clients[i]);
    }
    remove_path(wakeup->path);
    wakeup_init(wakeup);
}

static bool make_polite(int descriptor)
{
    int flags = fcntl(descriptor, F_GETFL);
    return flags != -1 && fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) != -1 &&
           fcntl(descriptor, F_SETFD, FD_CLOEXEC) != -1;
}

/* A pipe that is full is readable already. */
static void write_byte(int descriptor)
{
    ssize_t written = write(descriptor, "!", 1);
    (void)written;
}

int wakeup_descriptor(struct wakeup *wakeup)
{
    int ends[2];
    if (wakeup->pipe_read >= 0) {
        return wakeup->pipe_read;
    }
    if (pipe(ends) != 0) {
        return -1;
    }
    if (!make_polite(ends[0]) || !make_polite(ends[1])) {
        (void)close(ends[0]);
        (void)close(ends[1]);
        return -1;
    }
    wakeup->pipe_read = ends[0];
    atomic_store(&wakeup->pipe_write, ends[1]);
    atomic_store(&wakeup->signalled, true); /* there may be answers already */
    write_byte(ends[1]);
    return ends[0];
}

static const char PREFIX[] = "sendapi.";
static const char NAME[] = "/wakeup";

static const char *temporary_folder(void)
{
    const char *folder = getenv("TMPDIR");
    return folder != NULL && folder[0] == '/' ? folder : "/tmp";
}

static bool make_path(char path[WAKEUP_PATH])
{
    int length = snprintf(path, WAKEUP_PATH, "%s/%sXXXXXX", temporary_folder(), PREFIX);
    if (length < 0 || (size_t)length + sizeof NAME > WAKEUP_PATH) {
        path[0] = '\0';
        errno = ENAMETOOLONG;
        return false;
    }
    if (mkdtemp(path) == NULL) {
        path[0] = '\0';
        return false;
    }
    memcpy(path + length, NAME, sizeof NAME);
    return true;
}

static bool bind_and_listen(int listener, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, path, strlen(path) + 1);
    return make_polite(listener) &&
           bind(listener, (struct sockaddr *)&address, sizeof address) == 0 &&
           listen(listener, WAKEUP_CLIENTS) == 0;
}

const char *wakeup_listen(struct wakeup *wakeup)
{
    remove_path(wakeup->path);
    if (!wakeup->swept) {
        wakeup->swept = true;
        sweep(temporary_folder(), PREFIX, NAME + 1);
    }
    if (!make_path(wakeup->path)) {
        return NULL;
    }
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    if (listener < 0 || !bind_and_listen(listener, wakeup->path)) {
        int error = errno;
        close_if_open(listener);
        remove_path(wakeup->path);
        errno = error;
        return NULL;
    }
    wakeup->listening = listener;
    atomic_store(&wakeup->served, -1); /* may name an earlier listener of the same number */
    close_if_open(atomic_exchange(&wakeup->offered, listener));
    return wakeup->path;
}

void wakeup_calm(struct wakeup *wakeup)
{
    char bytes[16];
    if (wakeup->pipe_read >= 0) {
        while (read(wakeup->pipe_read, bytes, sizeof bytes) > 0) {
        }
    }
    if (wakeup->path[0] != '\0' && atomic_load(&wakeup->served) == wakeup->listening) {
        remove_path(wakeup->path); /* its client has come */
    }
    atomic_store(&wakeup->signalled, false);
}

void wakeup_remind(struct wakeup *wakeup)
{
    if (wakeup->pipe_read >= 0) {
        write_byte(atomic_load(&wakeup->pipe_write));
    }
}

static void signal_client(int *client)
{
    if (*client >= 0 && send(*client, "!", 1, MSG_NOSIGNAL) < 0 && errno != EAGAIN) {
        (void)close(*client); /* it has gone */
        *client = -1;
    }
}

void wakeup_signal(struct wakeup *wakeup)
{
    if (atomic_exchange(&wakeup->signalled, true)) {
        return;
    }
    int pipe_write = atomic_load(&wakeup->pipe_write); /* only now: see wakeup_descriptor */
    if (pipe_write >= 0) {
        write_byte(pipe_write);
    }
    for (size_t i = 0; i < WAKEUP_CLIENTS; i++) {
        signal_client(&wakeup->clients[i]);
    }
}

int wakeup_listener(struct wakeup *wakeup)
{
    if (atomic_load_explicit(&wakeup->offered, memory_order_relaxed) >= 0) {
        close_if_open(wakeup->listener);
        wakeup->listener = atomic_exchange(&wakeup->offered, -1);
    }
    return wakeup->listener;
}

/* A client beyond the number we keep takes the place of the oldest, which has most likely gone. */
static void keep_client(struct wakeup *wakeup, int client)
{
    close_if_open(wakeup->clients[WAKEUP_CLIENTS - 1]);
    memmove(&wakeup->clients[1], &wakeup->clients[0], (WAKEUP_CLIENTS - 1) * sizeof(int));
    wakeup->clients[0] = client;
    atomic_store(&wakeup->signalled, true);
    signal_client(&wakeup->clients[0]);
}

void wakeup_accept(struct wakeup *wakeup)
{
    int client = accept(wakeup->listener, NULL, NULL);
    if (client < 0) {
        return;
    }
    (void)atomic_exchange(&wakeup->served, wakeup->listener); /* before its number is free again */
    (void)close(wakeup->listener);
    wakeup->listener = -1;
    if (make_polite(client)) {
        keep_client(wakeup, client);
    } else {
        (void)close(client);
    }
}
