#include "deliverer.h"

#include "deliverer_ends.h"
#include "deliverer_lease.h"
#include "deliverer_read.h"
#include "deliverer_rows.h"

void deliverer_init(struct deliverer *deliverer, const struct store_driver *driver,
                    const char *source, double lease_seconds, struct scheduler *scheduler,
                    const struct deliverer_ears *ears)
{
    *deliverer = (struct deliverer){
        .driver = driver,
        .source = source,
        .lease_seconds = lease_seconds,
        .scheduler = scheduler,
        .ears = *ears,
        .probe_wait = DELIVERER_FIRST_PROBE,
    };
}

void deliverer_use(struct deliverer *deliverer, struct endpoint *endpoint, struct moment moment)
{
    deliverer->endpoint = endpoint;
    deliverer->is_pause_told = false;
    deliverer_forget_pause(deliverer);
    deliverer_start_over(deliverer, moment.now);
    deliverer_drain(deliverer, moment.now); /* with nothing on its way the next step begins */
}

void deliverer_step(struct deliverer *deliverer, struct moment moment)
{
    if (deliverer->store == NULL) {
        return;
    }
    deliverer_keep_lease(deliverer, moment.now);
    deliverer_write_ends(deliverer, moment.now);
    deliverer_drain(deliverer, moment.now);
    deliverer_make_room(deliverer, moment.now);
    deliverer_read_on(deliverer, moment);
}

void deliverer_hear(struct deliverer *deliverer)
{
    deliverer->more = true;
}

/* Whether the next step brings it on. */
static bool may_drain(const struct deliverer *deliverer)
{
    const struct deliverer_row *row = deliverer->first;
    while (row != NULL && (row->state != ROW_ENTERED || !scheduler_has(row->request))) {
        row = row->next;
    }
    return row != NULL || (deliverer->entered == 0 && deliverer->ended == 0);
}

static double sooner(double due, double other)
{
    return due < other ? due : other;
}

double deliverer_idle(const struct deliverer *deliverer, double now, double most)
{
    double due = now + most;
    if (deliverer->store == NULL) {
        return most;
    }
    if (deliverer->is_holder || (!deliverer->draining && deliverer->endpoint != NULL)) {
        double asked = deliverer->lease_due;
        if (!deliverer->is_holder && deliverer->is_paused && asked < deliverer->probe_due) {
            asked = deliverer->probe_due;
        }
        due = sooner(due, asked);
    }
    if (deliverer->ended > 0) {
        due = sooner(due, deliverer_ends_due(deliverer));
    }
    if (deliverer->draining && may_drain(deliverer)) {
        due = now;
    }
    if (deliverer->is_holder && deliverer->more && !deliverer_has_room(deliverer)) {
        due = sooner(due, deliverer->block_due);
    }
    if (deliverer->is_holder && deliverer->is_paused && now < deliverer->probe_due) {
        due = sooner(due, deliverer->probe_due);
    }
    if (deliverer_may_read(deliverer, now)) {
        double read = deliverer->more ? 0 : deliverer->version_due;
        due = sooner(due, read > deliverer->read_due ? read : deliverer->read_due);
    }
    return due > now ? due - now : 0;
}

double deliverer_oldest(const struct deliverer *deliverer)
{
    return deliverer->first != NULL ? deliverer->first->time : 0;
}

bool deliverer_is_failing(const struct deliverer *deliverer)
{
    const struct endpoint *endpoint = deliverer->endpoint;
    return deliverer->is_troubled || (endpoint != NULL && endpoint->trouble != FAILURE_NONE);
}

bool deliverer_is_bored(const struct deliverer *deliverer)
{
    return deliverer->rows == 0 && (!deliverer->is_holder || !deliverer->more);
}

void deliverer_close(struct deliverer *deliverer, struct moment moment)
{
    if (deliverer->store != NULL) {
        deliverer->end_due = moment.now;
        deliverer->end_again = moment.now;
        deliverer_write_ends(deliverer, moment.now);
        deliverer_give_up_lease(deliverer);
    }
    while (deliverer->first != NULL) {
        deliverer_free_row(deliverer->first);
    }
    deliverer_forget_blocked(deliverer);
}
