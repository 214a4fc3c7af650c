#include "dead_letters.h"

#include <math.h>   /* isinf(3) */
#include <stdlib.h> /* malloc(3) */
#include <string.h> /* memcmp(3) memcpy(3) strcmp(3) strlen(3) */

/* ---- filters ---- */

/* Copies bytes to where the room is, terminates them, and moves on. NULL stays NULL. */
static const char *put(char **room, const char *bytes, size_t length)
{
    char *copy = *room;
    if (bytes == NULL) {
        return NULL;
    }
    memcpy(copy, bytes, length);
    copy[length] = '\0';
    *room += length + 1;
    return copy;
}

struct letter_filter *letter_filter_copy(const struct letter_filter *filter)
{
    size_t code = filter->code != NULL ? strlen(filter->code) : 0;
    size_t action = filter->action != NULL ? strlen(filter->action) : 0;
    struct letter_filter *copy = malloc(sizeof *copy + code + action + filter->lane_length + 3);
    if (copy == NULL) {
        return NULL;
    }
    char *room = (char *)(copy + 1);
    *copy = *filter;
    copy->code = put(&room, filter->code, code);
    copy->action = put(&room, filter->action, action);
    copy->lane = put(&room, filter->lane, filter->lane_length);
    return copy;
}

static bool matches_all(const struct letter_filter *filter)
{
    return filter->code == NULL && filter->action == NULL && filter->lane == NULL &&
           isinf(filter->after) && filter->after < 0 && isinf(filter->before) && filter->before > 0;
}

static bool is_same(const char *wanted, const char *text)
{
    return wanted == NULL || strcmp(wanted, text) == 0;
}

/* A whole key, such as "thread 42", or what is behind its kind. */
static bool is_lane(const struct letter_filter *filter, const struct store_row *row)
{
    size_t length = filter->lane_length;
    if (length > row->lane_length) {
        return false;
    }
    size_t front = row->lane_length - length;
    const char *kind_end = row->lane_length > 0 ? memchr(row->lane, ' ', row->lane_length) : NULL;
    bool is_known = front == 0 || (length > 0 && kind_end == row->lane + front - 1);
    return is_known && (length == 0 || memcmp(filter->lane, row->lane + front, length) == 0);
}

static bool matches(const struct letter_filter *filter, const struct store_letter *letter)
{
    const struct store_row *row = &letter->row;
    return is_same(filter->code, letter->code) && is_same(filter->action, row->action) &&
           (filter->lane == NULL || is_lane(filter, row)) && letter->died >= filter->after &&
           letter->died < filter->before;
}

/* ---- a step ---- */

/* The letters of a step. */
struct page {
    const struct dead_letters *work;
    uint64_t ids[DEAD_LETTERS_STEP]; /* that match */
    size_t count;
    uint64_t last; /* that was seen; 0: none */
    size_t bytes;
};

static bool keep(void *context, const struct store_letter *letter)
{
    struct page *page = context;
    const struct store_row *row = &letter->row;
    if (row->id > page->work->upto) {
        return false;
    }
    if (matches(page->work->filter, letter) && page->count < DEAD_LETTERS_STEP) {
        page->ids[page->count++] = row->id;
    }
    page->last = row->id;
    page->bytes += row->length;
    return page->bytes < DEAD_LETTERS_STEP_BYTES;
}

static bool settle(const struct store_driver *driver, struct store *store, const char *source,
                   struct dead_letters *work, uint64_t id, struct store_problem *problem)
{
    size_t count = 0;
    bool is_fine = work->is_retry ? driver->retry(store, source, id, &count, problem)
                                  : driver->discard(store, source, id, &count, problem);
    work->count += is_fine ? count : 0;
    return is_fine;
}

static bool begin(const struct store_driver *driver, struct store *store, const char *source,
                  struct dead_letters *work, struct store_problem *problem)
{
    struct store_figures figures;
    if (!driver->figures(store, source, &figures, problem)) {
        return false;
    }
    work->upto = figures.newest;
    work->is_begun = true;
    return true;
}

static bool step_page(const struct store_driver *driver, struct store *store, const char *source,
                      struct dead_letters *work, struct store_problem *problem)
{
    struct page page = {.work = work};
    if (!driver->letters(store, source, work->at, DEAD_LETTERS_STEP, keep, &page, problem)) {
        return false;
    }
    for (size_t i = 0; i < page.count; i++) {
        if (!settle(driver, store, source, work, page.ids[i], problem)) {
            return false;
        }
        work->at = page.ids[i];
    }
    work->at = page.last;
    work->is_done = page.last == 0 || page.last >= work->upto;
    return true;
}

bool dead_letters_step(const struct store_driver *driver, struct store *store, const char *source,
                       struct dead_letters *work, struct store_problem *problem)
{
    if (work->filter == NULL || matches_all(work->filter)) {
        work->is_done = settle(driver, store, source, work, work->id, problem);
        return work->is_done;
    }
    if (!work->is_begun && !begin(driver, store, source, work, problem)) {
        return false;
    }
    return step_page(driver, store, source, work, problem);
}
