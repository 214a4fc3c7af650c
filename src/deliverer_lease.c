#include "deliverer_lease.h"

#include "deliverer_rows.h"

static const double FREE_INTERVAL = 0.04; /* seconds between two looks whether the holder is dead */

void deliverer_be_troubled(struct deliverer *deliverer, const struct store_problem *problem)
{
    if (!deliverer->is_troubled) {
        deliverer->is_troubled = true;
        deliverer->ears.troubled(deliverer->ears.context, problem);
    }
}

/* What is not done is nobody's affair any more: who has the lease reads it anew. */
static void disown_entered(struct deliverer *deliverer, double now)
{
    deliverer->is_holder = false;
    deliverer_start_over(deliverer, now);
    for (struct deliverer_row *row = deliverer->first; row != NULL; row = row->next) {
        row->is_disowned = row->state == ROW_ENTERED;
    }
}

void deliverer_lose_lease(struct deliverer *deliverer, double now)
{
    disown_entered(deliverer, now);
    deliverer->lease_due = now + DELIVERER_AGAIN;
    for (struct deliverer_row *row = deliverer->first; row != NULL;) {
        struct deliverer_row *next = row->next;
        if (row->state != ROW_ENTERED) {
            deliverer_free_row(row);
        }
        row = next;
    }
}

/* Between two probes another process may try, who may have a better token. */
static bool wants_lease(const struct deliverer *deliverer, double now)
{
    return deliverer->endpoint != NULL && (!deliverer->is_paused || now >= deliverer->probe_due);
}

/* What has run out here may be held yet in the store. */
void deliverer_give_up_lease(struct deliverer *deliverer)
{
    deliverer->driver->release(deliverer->store, deliverer->source);
    deliverer->is_holder = false;
    deliverer->lease_due = 0;
}

static void hold_lease(struct deliverer *deliverer, double now)
{
    if (!deliverer->is_holder) {
        deliverer->is_holder = true;
        deliverer->after = 0;
        deliverer->more = true;
        deliverer->knows_version = false;
        deliverer->version_due = 0;
    }
    deliverer->more = deliverer->more || deliverer->is_troubled; /* a read shows it well */
    deliverer->lease_until = now + deliverer->lease_seconds;
    deliverer->lease_due = now + deliverer->lease_seconds / 3;
}

/* Seconds until it is asked again, having been refused. */
static double lease_interval(const struct deliverer *deliverer)
{
    return deliverer->driver->frees_at_death ? FREE_INTERVAL : DELIVERER_AGAIN;
}

/* `now` is before the store was asked: the lease begins no earlier. */
static void ask_for_lease(struct deliverer *deliverer, double now)
{
    struct store_problem problem;
    switch (deliverer->driver->lease(deliverer->store, deliverer->source, &problem)) {
    case STORE_LEASE_HELD: hold_lease(deliverer, now); return;
    case STORE_LEASE_TAKEN:
        if (deliverer->is_holder || deliverer->ended > 0) {
            deliverer_lose_lease(deliverer, now);
        }
        deliverer->is_troubled = false;
        deliverer->lease_due = now + lease_interval(deliverer);
        return;
    case STORE_LEASE_UNKNOWN: deliverer_be_troubled(deliverer, &problem); break;
    }
    deliverer->lease_due =
        now + (deliverer->is_holder ? deliverer->lease_seconds / 10 : DELIVERER_AGAIN);
}

bool deliverer_has_run_out(const struct deliverer *deliverer, double now)
{
    return deliverer->is_holder && now >= deliverer->lease_until;
}

void deliverer_keep_lease(struct deliverer *deliverer, double now)
{
    if (deliverer_has_run_out(deliverer, now)) { /* the store may say yet that nobody took it */
        disown_entered(deliverer, now);
        deliverer->lease_due = now;
    }
    if (!deliverer->is_holder && (deliverer->draining || !wants_lease(deliverer, now))) {
        return;
    }
    if (now >= deliverer->lease_due) {
        ask_for_lease(deliverer, now);
    }
}

/* What failed on its way waits for its next attempt, and so can be recalled now. */
void deliverer_drain(struct deliverer *deliverer, double now)
{
    if (!deliverer->draining) {
        return;
    }
    deliverer_recall_all(deliverer, now);
    if (deliverer->entered > 0 || (deliverer->ended > 0 && deliverer->has_died)) {
        return;
    }
    if (deliverer->is_holder && !wants_lease(deliverer, now)) {
        if (deliverer->ended > 0) {
            return; /* only the holder may write ends */
        }
        deliverer_give_up_lease(deliverer);
    }
    deliverer->draining = false;
}
