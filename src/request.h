#ifndef SENDAPI_REQUEST_H
#define SENDAPI_REQUEST_H

/*
 * A request on its way, and what became of it: one allocation, with the body and the lane's key
 * behind the header.
 *
 * Exactly one side owns a request at any time, and only the owner touches it:
 *
 *     caller      from request_from_buffer until engine_submit
 *     I/O thread  until it is among the answers
 *     caller      from engine_take until request_free; or, when the answer is a question, until
 *                 engine_submit gives it back
 *
 * The queues (queue.h) hand it over; their locks order the memory. Times are seconds of clock_now.
 */

#include <stdbool.h>
#include <stddef.h> /* size_t */
#include <stdint.h> /* uint64_t */

#include "buffer.h"
#include "endpoint.h"
#include "failure.h"
#include "hmac.h"
#include "visibility.h"

SENDAPI_HIDDEN_BEGIN

enum {
    REQUEST_MAXIMUM = 20971520,  /* bytes of a body: what the server takes */
    RESPONSE_MAXIMUM = 65536,    /* bytes read of an answer */
    OUTCOME_BODY_MAXIMUM = 4096, /* bytes of it that are kept */
    LANE_MAXIMUM = 255,          /* bytes of a lane's key; a longer one is cut */
};

/* Set by the I/O thread, read by the caller afterwards. */
struct outcome {
    enum failure failure; /* FAILURE_NONE: delivered */
    long status;          /* HTTP, 0 without an answer */
    unsigned attempts;
    bool unreached;     /* the last attempt found no server: no connection, nothing sent */
    bool question;      /* not the end: the caller says whether, and when, it is sent again */
    double retry_after; /* seconds that the server asked for; negative: it did not */
    double seconds;     /* from the submission to here */
    size_t body_length;
    char *body;   /* what the server said, at most OUTCOME_BODY_MAXIMUM; NULL: nothing, or it was
                     delivered */
    char *reason; /* libcurl's words when there was no answer, terminated; or NULL */
};

/* What the caller wants of a request that it submits. */
enum request_verb {
    REQUEST_SEND,
    REQUEST_SKIP,    /* do not send it, but answer as if it had been delivered */
    REQUEST_AGAIN,   /* the answer to a question: send it again after `pause` */
    REQUEST_RELEASE, /* the answer to a question: its lane goes on, the request is freed */
    REQUEST_CANCEL,  /* no request at all: everything of its endpoint ends as FAILURE_CLOSED */
    REQUEST_COMMAND, /* no request at all: something is asked of the outbox, or told by it */
};

/* Where the I/O thread has it; see scheduler.h. */
enum request_state {
    REQUEST_NEW,
    REQUEST_BEHIND, /* behind another one of its lane */
    REQUEST_READY,  /* waits for a connection, or for its source to be well */
    REQUEST_ON_WAY,
    REQUEST_DELAYED, /* waits for its next attempt */
    REQUEST_DONE,
};

struct command;
struct deliverer_row;

struct request {
    struct request *next; /* the links of whatever list the owner keeps it in */
    struct request *previous;
    struct endpoint *endpoint; /* a reference */
    uint64_t ticket;           /* the caller's name for it */
    size_t length;             /* bytes of the body */
    double submitted;
    double deadline;
    double pause; /* with REQUEST_AGAIN: seconds */
    enum request_verb verb;
    bool ephemeral; /* worth nothing when it is late: no second attempt, and messages go first */
    bool is_stored; /* set with its outcome: it is in the outbox, not delivered yet */
    unsigned lane_length;      /* bytes of the lane's key; 0: it has no order */
    struct command *command;   /* with REQUEST_COMMAND; owned */
    struct deliverer_row *row; /* what it delivers from the outbox, whose own it is; or NULL */

    /* the I/O thread's own */
    enum request_state state;
    bool is_probe;    /* sent while its source was taken for dead */
    unsigned counted; /* attempts that count towards the policy's, of outcome.attempts */
    size_t timer;     /* see timers.h */
    double due;

    struct outcome outcome;
    unsigned char signature[HMAC_BYTES]; /* sent as hex, which takes twice the room */
};

/* The room that a buffer keeps at its front for the header. */
#define REQUEST_FRONT sizeof(struct request)

/*
 * Turns a buffer with REQUEST_FRONT into a request in the given lane (0 bytes: none), without
 * copying the body, and retains the endpoint. Returns NULL, and leaves the buffer as it is, when
 * the buffer failed or is empty, or there is no memory.
 */
struct request *request_from_buffer(struct buffer *buffer, struct endpoint *endpoint,
                                    const char *lane, size_t lane_length);

/* A request without a body, for REQUEST_CANCEL. NULL without memory. */
struct request *request_cancel_all(struct endpoint *endpoint);

/* Forgets an earlier attempt's outcome, but for the number of attempts. */
void request_reset_outcome(struct request *request);

/* Frees the request, its outcome's texts and its reference. NULL is harmless. */
void request_free(struct request *request);

static inline char *request_body(struct request *request)
{
    return (char *)(request + 1);
}

static inline const char *request_lane(const struct request *request)
{
    return (const char *)(request + 1) + request->length;
}

SENDAPI_HIDDEN_END

#endif
