#ifndef SENDAPI_WAKEUP_H
#define SENDAPI_WAKEUP_H

/*
 * "Answers are waiting", for a caller that sleeps in an event loop of its own: a descriptor that
 * becomes readable, or a unix socket whose clients get a byte (nginx's Lua cannot watch a foreign
 * descriptor, but it can read a socket).
 *
 * A signal is given once until the caller calms it. The caller calms first and takes then: what
 * comes in between is signalled anew. Neither side ever blocks.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h> /* size_t */

#include "visibility.h"

SENDAPI_HIDDEN_BEGIN

struct curl_waitfd;

enum {
    WAKEUP_CLIENTS = 4, /* of the unix socket: one is usual */
    WAKEUP_PATH = 100,  /* bytes of its path, with the terminator; systems allow 104 or 108 */
};

/* Descriptors are -1 when there is none. */
struct wakeup {
    atomic_bool signalled;
    atomic_int pipe_write; /* set once by the caller, used by the I/O thread */
    atomic_int offered;    /* a listener on its way from the caller to the I/O thread */
    atomic_int served;     /* the number of the listener that was closed since its client came */

    /* the caller's own */
    int pipe_read;
    int listening;          /* the number of the newest listener; the I/O thread's to close */
    char path[WAKEUP_PATH]; /* of its socket, while it is there; the directory is its own */
    bool swept;

    /* the I/O thread's own */
    int listener;
    int clients[WAKEUP_CLIENTS];
};

void wakeup_init(struct wakeup *wakeup);

/* Closes everything and removes the socket's file. No other thread may use it any more. */
void wakeup_destroy(struct wakeup *wakeup);

/* Caller: the descriptor to watch for reading, made on first use; -1 with errno. */
int wakeup_descriptor(struct wakeup *wakeup);

/*
 * Caller: listens on a unix socket in a directory of its own under $TMPDIR, for one more client;
 * both are removed by the first wakeup_calm after it has come. Returns the path, or NULL with
 * errno. The I/O thread must be woken to see it. One listener at a time: an earlier one that nobody
 * came to is closed. The first time, what processes that were killed have left there is removed.
 */
const char *wakeup_listen(struct wakeup *wakeup);

/* Caller: forgets the signal, before it takes what there is. */
void wakeup_calm(struct wakeup *wakeup);

/* Caller: keeps its descriptor readable, if it has one: it has not taken all there is. */
void wakeup_remind(struct wakeup *wakeup);

/* I/O thread: gives the signal, if it is not given yet. */
void wakeup_signal(struct wakeup *wakeup);

/* I/O thread: the descriptor to poll for new clients, or -1. It stays open until the next call. */
int wakeup_listener(struct wakeup *wakeup);

/* I/O thread: lets in who waits there, signals it at once and closes the listener. */
void wakeup_accept(struct wakeup *wakeup);

SENDAPI_HIDDEN_END

#endif
