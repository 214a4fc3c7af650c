#include "outbox_append.h"

#include <string.h> /* memcmp(3) memcpy(3) */

#include "outbox_notices.h"

enum { ACTION = 48 }; /* bytes of an action's name, its end included */

/* The encoder writes it first: {"action":"messages.create", and no quote is in it. */
static void copy_action(const struct request *request, const char *body, char action[ACTION])
{
    static const char begin[] = "{\"action\":\"";
    size_t start = sizeof begin - 1;
    size_t length = 0;
    if (request->length > start && memcmp(body, begin, start) == 0) {
        while (start + length < request->length && length < ACTION - 1 &&
               body[start + length] != '"') {
            length++;
        }
        memcpy(action, body + start, length);
    }
    action[length] = '\0';
}

static struct store_row row_of(struct request *request, char action[ACTION], double wall)
{
    copy_action(request, request_body(request), action);
    return (struct store_row){
        .lane = request_lane(request),
        .lane_length = request->lane_length,
        .body = request_body(request),
        .length = request->length,
        .time = wall,
        .action = action,
    };
}

struct batch {
    struct store_row rows[OUTBOX_BATCH];
    struct request *requests[OUTBOX_BATCH];
    char actions[OUTBOX_BATCH][ACTION];
};

/* What goes into one transaction. */
static size_t take_batch(struct outbox_source *source, struct batch *batch, double wall)
{
    size_t count = 0;
    size_t bytes = 0;
    while (source->waiting != NULL && count < OUTBOX_BATCH && bytes < OUTBOX_BATCH_BYTES) {
        struct request *request = source->waiting;
        source->waiting = request->next;
        bytes += request->length;
        batch->requests[count] = request;
        batch->rows[count] = row_of(request, batch->actions[count], wall);
        count++;
    }
    if (source->waiting == NULL) {
        source->waiting_last = &source->waiting;
    }
    return count;
}

static bool write_batch(const struct outbox_source *source, struct store_row *rows, size_t count,
                        struct store_problem *problem)
{
    const struct outbox_store *store = source->store;
    if (store->store == NULL) {
        *problem = store->problem;
        return false;
    }
    return store->driver->append(store->store, source->name, rows, count, problem);
}

void outbox_append(struct outbox_source *source, struct moment moment)
{
    struct batch batch;
    struct store_problem problem;
    size_t count = take_batch(source, &batch, moment.wall);
    bool is_stored = count > 0 && write_batch(source, batch.rows, count, &problem);
    for (size_t i = 0; i < count; i++) {
        struct request *request = batch.requests[i];
        if (is_stored) {
            request->is_stored = true;
            request->outcome.seconds = moment.now - request->submitted;
            outbox_hand_out(source->outbox, request);
        } else {
            outbox_fail_to_store(source->outbox, request, &problem);
        }
    }
    if (is_stored) {
        source->figures.accepted += count;
        source->figures.pending += count;
        source->figures.oldest = source->figures.oldest > 0 ? source->figures.oldest : moment.wall;
        deliverer_hear(&source->deliverer);
    }
}
