#ifndef SENDAPI_STORE_H
#define SENDAPI_STORE_H

/*
 * The contract of an outbox's store: where accepted messages are until they are delivered.
 *
 *                                                     +--- retry ----+
 *                                                     v              |
 *     (caller) --- append ---> pending --- end: dead ---> dead letter --- discard ---> gone
 *                                 |
 *                                 +------- end: delivered ----------------------------> gone
 *
 * A row that was appended is pending, or a dead letter with its reason, until it is delivered or
 * somebody discards it: there is no other way out. Rows of one source have ascending ids in the
 * order of their appending, over all processes; a letter that is retried is appended anew, with a
 * new id and the time of its retry, behind what is pending.
 *
 * Any number of processes append to a source; one at a time delivers it, the holder of its lease.
 * Only the holder reads pending rows and ends them. `end` is fenced: of a process whose lease has
 * passed to another it does nothing and says so.
 *
 * Threads: a store belongs to one engine, and is used under its lock by whoever drives (engine.h);
 * it may block, so only the engine's own thread drives an engine with a store. Times are seconds
 * since 1970 (`time`), because rows outlive the process. What is passed in stays the caller's;
 * what a visitor is given is valid until it returns.
 *
 * Failing: every function that returns false has written a problem, has changed nothing that it
 * promises, and may be called again later: a disk may have room again, a server may come back.
 */

#include <stdbool.h>
#include <stddef.h> /* size_t */
#include <stdint.h> /* uint64_t */

#include "visibility.h"

SENDAPI_HIDDEN_BEGIN

enum {
    STORE_REASON = 512,   /* bytes of a sentence, its end included */
    STORE_CODE = 48,      /* bytes of a failure's code, its end included */
    STORE_INLINE = 65536, /* larger bodies stand beside the table of rows */
};

/* Ids are 1 to this, below 2^53: Lua's numbers tell them apart everywhere. */
#define STORE_MOST_ID UINT64_C(9000000000000000)

enum store_trouble {
    STORE_FINE,
    STORE_UNAVAILABLE, /* cannot be reached or written now: disk full, read-only, no server */
    STORE_UNFIT,       /* never usable as it is: corrupt, of a newer version, not ours */
    STORE_FENCED,      /* the lease is another's */
    STORE_NO_MEMORY,
};

struct store_problem {
    enum store_trouble trouble;
    char reason[STORE_REASON]; /* a plain sentence, without password or payload */
};

struct store_settings {
    const char *path;     /* of the file, or the url of the server */
    bool is_process_only; /* durability = "process": survives the process, not the machine */
    bool must_exist;      /* opening makes nothing, and puts nothing damaged aside */
    double lease_seconds; /* for stores whose leases run out, unless the path says otherwise */
    const char *owner;    /* tells this engine from all others, on all machines: random */
    void (*warn)(void *context, const char *sentence); /* while opening; may be NULL */
    void *warn_context;
};

struct store_row {
    uint64_t id;      /* 0 in `append`, which sets it */
    const char *lane; /* the conversation's key; 0 bytes: no order */
    size_t lane_length;
    const char *body; /* the exact bytes to sign and to send */
    size_t length;
    double time;        /* when it was accepted */
    const char *action; /* "messages.create", terminated */
};

/* A dead letter: the row, and why. */
struct store_letter {
    struct store_row row;
    const char *code;   /* a failure's code (failure.h) */
    const char *reason; /* what the server or libcurl said; may be empty */
    long status;        /* HTTP, 0 without an answer */
    unsigned attempts;
    double died;
};

/* What became of a pending row. */
struct store_end {
    uint64_t id;
    bool is_delivered; /* else it becomes a dead letter, by what follows */
    const char *code;
    const char *reason;
    long status;
    unsigned attempts;
    double time;
};

struct store_figures {
    uint64_t pending;
    uint64_t pending_bytes;
    uint64_t dead;
    double oldest;   /* when the oldest pending row was accepted; 0: there is none */
    uint64_t newest; /* the highest id of a dead letter; 0: there is none */
};

enum store_lease {
    STORE_LEASE_HELD,    /* by this engine, from now on or still */
    STORE_LEASE_TAKEN,   /* by another one */
    STORE_LEASE_UNKNOWN, /* a problem was written */
};

struct store; /* each implementation's own */

/* Returns false to end the visit. */
typedef bool store_row_visitor(void *context, const struct store_row *row);
typedef bool store_letter_visitor(void *context, const struct store_letter *letter);

struct store_driver {
    const char *name; /* "sqlite", "redis" */

    /*
     * False with a problem when no store can ever be at such a path: what the text says is wrong,
     * or what is there is something else. Any thread; opens nothing, and quotes no url.
     */
    bool (*check)(const char *path, struct store_problem *problem);

    /*
     * NULL with a problem. Makes what is not there yet, unless it must exist; migrates what is
     * older.
     */
    struct store *(*open)(const struct store_settings *settings, struct store_problem *problem);

    /* Gives back its leases. In a child of the process that opened it, `abandon` instead. */
    void (*close)(struct store *store);
    void (*abandon)(struct store *store);

    /*
     * Appends all rows or none; when it returns true they are as durable as the settings ask for,
     * and have their ids.
     */
    bool (*append)(struct store *store, const char *source, struct store_row *rows, size_t count,
                   struct store_problem *problem);

    /*
     * Takes the lease of a source, or renews it. To be called at least three times within
     * lease_seconds by its holder. Never waits for the other.
     */
    enum store_lease (*lease)(struct store *store, const char *source,
                              struct store_problem *problem);
    void (*release)(struct store *store, const char *source); /* harmless when it is not held */

    /* How long its leases are; NULL: as the settings said. */
    double (*lease_seconds)(const struct store *store);

    /* Whether a lease is free as soon as its holder is dead, and cheap to ask for. */
    bool frees_at_death;

    /*
     * Visits pending rows with ids above `after`, ascending, until there are `count` of them, or
     * `bytes` of their bodies with the last one: fewer than either are all that there are. The
     * holder alone.
     */
    bool (*next)(struct store *store, const char *source, uint64_t after, size_t count,
                 size_t bytes, store_row_visitor *visit, void *context,
                 struct store_problem *problem);

    /*
     * Ends rows, all or none. That survives the process at once, the machine with the next append at
     * the latest: before it, a loss of power may bring rows back. An id that is not pending any more
     * is no problem: an end may be said again. STORE_FENCED: the lease was lost.
     */
    bool (*end)(struct store *store, const char *source, const struct store_end *ends, size_t count,
                struct store_problem *problem);

    /*
     * A number that differs from the last one after any other process's append or retry, and may
     * differ without. Cheap: called some 25 times a second.
     */
    bool (*version)(struct store *store, const char *source, uint64_t *version,
                    struct store_problem *problem);

    bool (*figures)(struct store *store, const char *source, struct store_figures *figures,
                    struct store_problem *problem);

    /* Visits dead letters with ids above `after`, ascending, at most `count`. Any process. */
    bool (*letters)(struct store *store, const char *source, uint64_t after, size_t count,
                    store_letter_visitor *visit, void *context, struct store_problem *problem);

    /* Visits pending rows as `next` does, but for looking only: any process. */
    bool (*look)(struct store *store, const char *source, uint64_t after, size_t count,
                 store_row_visitor *visit, void *context, struct store_problem *problem);

    /*
     * Makes letters pending again, or discards them: one, or with id 0 all of the source. *count
     * is how many there were. Very many go in pieces, between which others write: when it fails some
     * may be done.
     */
    bool (*retry)(struct store *store, const char *source, uint64_t id, size_t *count,
                  struct store_problem *problem);
    bool (*discard)(struct store *store, const char *source, uint64_t id, size_t *count,
                    struct store_problem *problem);

    /* Visits the names of all sources that have rows or letters. */
    bool (*sources)(struct store *store, bool (*visit)(void *context, const char *source),
                    void *context, struct store_problem *problem);

    /* Something to do while nothing else is: checkpoints, tidying. May do nothing. */
    void (*idle)(struct store *store);
};

SENDAPI_HIDDEN_END

#endif
