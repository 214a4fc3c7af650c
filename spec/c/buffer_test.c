#include "buffer.h"

#include <stdint.h> /* SIZE_MAX */
#include <stdlib.h> /* free(3) */
#include <string.h> /* memset(3) memcmp(3) */

#include "check.h"
#include "exact.h"
#include "random.h"

static const size_t MAXIMA[] = {0, 1, 2, 3, 1023, 1024, 1025, 2047, 2048, 2049, 4097, 100000};
enum { MAXIMA_COUNT = sizeof MAXIMA / sizeof MAXIMA[0] };

static char pattern(size_t at)
{
    return (char)(unsigned char)(at * 31 + at / 251);
}

static void append_pattern(struct buffer *buffer, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        buffer_append_byte(buffer, pattern(i));
    }
}

static bool holds_pattern(const char *bytes, size_t length)
{
    size_t at = 0;
    while (at < length && bytes[at] == pattern(at)) {
        at++;
    }
    return at == length;
}

static void check_is_empty(const struct buffer *buffer)
{
    CHECK(buffer->memory == NULL);
    CHECK(buffer_bytes(buffer) == NULL);
    CHECK_SIZE(buffer->length, 0);
    CHECK_SIZE(buffer->capacity, 0);
    CHECK_INT(buffer->failure, BUFFER_FINE);
}

static void begins_empty(void)
{
    struct buffer buffer;
    memset(&buffer, 0xA5, sizeof buffer);
    buffer_init(&buffer, 7, 99);
    check_is_empty(&buffer);
    CHECK_SIZE(buffer.front, 7);
    CHECK_SIZE(buffer.maximum, 99);
    buffer_release(&buffer);
}

static void grows_and_keeps_what_it_holds(void)
{
    struct buffer buffer;
    buffer_init(&buffer, 0, SIZE_MAX);
    append_pattern(&buffer, 70000);
    CHECK_INT(buffer.failure, BUFFER_FINE);
    CHECK_SIZE(buffer.length, 70000);
    CHECK(holds_pattern(buffer_bytes(&buffer), buffer.length));
    buffer_release(&buffer);
}

/* Beyond what small memory is made of, growing in steps, and handed over smaller than it was. */
static void many_megabytes_are_kept_as_they_grow(void)
{
    static char piece[1000003];
    struct buffer buffer;
    void *memory = NULL;
    size_t length = 0;
    buffer_init(&buffer, 333, 20971520);
    for (size_t i = 0; i < 20; i++) {
        memset(piece, (int)('a' + i), sizeof piece);
        buffer_append(&buffer, piece, sizeof piece);
    }
    if (CHECK(buffer_take(&buffer, 100, &memory, &length))) {
        CHECK_SIZE(length, 20 * sizeof piece);
        for (size_t i = 0; i < 20; i++) {
            memset(piece, (int)('a' + i), sizeof piece);
            CHECK(memcmp((char *)memory + 333 + i * sizeof piece, piece, sizeof piece) == 0);
        }
    }
    free(memory);
    buffer_release(&buffer);
}

static void takes_every_byte_value(void)
{
    struct buffer buffer;
    char all[256];
    for (size_t i = 0; i < sizeof all; i++) {
        all[i] = (char)(unsigned char)i;
    }
    struct exact exact = exact_copy(all, sizeof all);
    buffer_init(&buffer, 3, sizeof all);
    buffer_append(&buffer, exact.bytes, exact.length);
    CHECK_BYTES(buffer_bytes(&buffer), buffer.length, all, sizeof all);
    buffer_release(&buffer);
    exact_free(&exact);
}

static void check_fills_to(size_t front, size_t maximum)
{
    struct buffer buffer;
    buffer_init(&buffer, front, maximum);
    append_pattern(&buffer, maximum);
    CHECK_INT(buffer.failure, BUFFER_FINE);
    CHECK_SIZE(buffer.length, maximum);
    CHECK(buffer.capacity <= maximum);
    buffer_append_byte(&buffer, 'x');
    CHECK_INT(buffer.failure, BUFFER_TOO_LARGE);
    CHECK_SIZE(buffer.length, maximum);
    CHECK(holds_pattern(buffer_bytes(&buffer), maximum));
    buffer_release(&buffer);
}

static void byte_by_byte_fits_to_the_maximum(void)
{
    for (size_t i = 0; i < MAXIMA_COUNT; i++) {
        CHECK_NOTE("maximum %zu", MAXIMA[i]);
        check_fills_to(0, MAXIMA[i]);
        check_fills_to(333, MAXIMA[i]);
    }
}

static void check_one_append(size_t maximum, size_t count, enum buffer_failure expected)
{
    static char bytes[100001];
    struct buffer buffer;
    buffer_init(&buffer, 1, maximum);
    buffer_append(&buffer, bytes, count);
    CHECK_INT(buffer.failure, expected);
    CHECK_SIZE(buffer.length, expected == BUFFER_FINE ? count : 0);
    buffer_release(&buffer);
}

static void one_append_fits_to_the_maximum(void)
{
    for (size_t i = 0; i < MAXIMA_COUNT; i++) {
        CHECK_NOTE("maximum %zu", MAXIMA[i]);
        check_one_append(MAXIMA[i], MAXIMA[i], BUFFER_FINE);
        check_one_append(MAXIMA[i], MAXIMA[i] + 1, BUFFER_TOO_LARGE);
    }
}

static void append_that_does_not_fit_adds_nothing_of_it(void)
{
    struct buffer buffer;
    buffer_init(&buffer, 0, 10);
    buffer_append(&buffer, "123456789", 9);
    buffer_append(&buffer, "ab", 2);
    CHECK_INT(buffer.failure, BUFFER_TOO_LARGE);
    CHECK_BYTES(buffer_bytes(&buffer), buffer.length, "123456789", 9);
    buffer_release(&buffer);
}

static void failure_is_sticky(void)
{
    struct buffer buffer;
    buffer_init(&buffer, 4, 3);
    buffer_append(&buffer, "ab", 2);
    buffer_append(&buffer, "cd", 2);
    buffer_append_byte(&buffer, 'e');
    buffer_append(&buffer, "", 0);
    CHECK(buffer_reserve(&buffer, 0) == NULL);
    CHECK(buffer_reserve(&buffer, 1) == NULL);
    CHECK(buffer_reserve_slow(&buffer, 0) == NULL);
    CHECK_INT(buffer.failure, BUFFER_TOO_LARGE);
    CHECK_BYTES(buffer_bytes(&buffer), buffer.length, "ab", 2);
    buffer_release(&buffer);
}

static void failure_before_any_memory_is_sticky(void)
{
    struct buffer buffer;
    void *memory = &buffer;
    size_t length = 77;
    buffer_init(&buffer, 8, 0);
    buffer_append_byte(&buffer, 'a');
    CHECK_INT(buffer.failure, BUFFER_TOO_LARGE);
    CHECK(buffer_bytes(&buffer) == NULL);
    CHECK(!buffer_take(&buffer, 0, &memory, &length));
    CHECK(memory == &buffer);
    CHECK_SIZE(length, 77);
    buffer_release(&buffer);
}

/* SIZE_MAX and its neighbours, which overflow once anything is added to them. */
static void check_refuses(size_t front, size_t held, size_t maximum, size_t extra,
                          enum buffer_failure expected)
{
    struct buffer buffer;
    buffer_init(&buffer, front, maximum);
    append_pattern(&buffer, held);
    CHECK(buffer_reserve(&buffer, extra) == NULL);
    CHECK_INT(buffer.failure, expected);
    CHECK_SIZE(buffer.length, held);
    CHECK(held == 0 || holds_pattern(buffer_bytes(&buffer), held));
    buffer_release(&buffer);
}

static void absurd_sizes_are_refused(void)
{
    check_refuses(0, 0, 10, SIZE_MAX, BUFFER_TOO_LARGE);
    check_refuses(0, 10, 10, SIZE_MAX, BUFFER_TOO_LARGE);
    check_refuses(0, 10, 10, SIZE_MAX - 9, BUFFER_TOO_LARGE);
    check_refuses(0, 1, SIZE_MAX, SIZE_MAX, BUFFER_TOO_LARGE);
    check_refuses(0, 5, SIZE_MAX - 1, SIZE_MAX - 5, BUFFER_TOO_LARGE);
    check_refuses(1, 0, SIZE_MAX, SIZE_MAX, BUFFER_NO_MEMORY);
    check_refuses(100, 0, SIZE_MAX, SIZE_MAX - 99, BUFFER_NO_MEMORY);
    check_refuses(100, 1, SIZE_MAX, SIZE_MAX - 1, BUFFER_NO_MEMORY);
    check_refuses(SIZE_MAX, 0, SIZE_MAX, 1, BUFFER_NO_MEMORY);
}

static void clear_forgets_bytes_and_failure(void)
{
    struct buffer buffer;
    buffer_init(&buffer, 2, 4);
    buffer_append(&buffer, "abc", 3);
    char *memory = buffer.memory;
    buffer_append(&buffer, "de", 2);
    buffer_clear(&buffer);
    CHECK_INT(buffer.failure, BUFFER_FINE);
    CHECK_SIZE(buffer.length, 0);
    CHECK(buffer.memory == memory);
    buffer_append(&buffer, "wxyz", 4);
    CHECK(buffer.memory == memory);
    CHECK_BYTES(buffer_bytes(&buffer), buffer.length, "wxyz", 4);
    buffer_release(&buffer);
    buffer_clear(&buffer);
    check_is_empty(&buffer);
}

static void release_is_always_safe(void)
{
    struct buffer buffer;
    buffer_init(&buffer, 5, 6);
    buffer_release(&buffer);
    buffer_release(&buffer);
    buffer_append(&buffer, "123456", 6);
    buffer_append(&buffer, "7", 1);
    buffer_release(&buffer);
    buffer_release(&buffer);
    check_is_empty(&buffer);
    CHECK_SIZE(buffer.front, 5);
    CHECK_SIZE(buffer.maximum, 6);
    buffer_append(&buffer, "again", 5);
    CHECK_BYTES(buffer_bytes(&buffer), buffer.length, "again", 5);
    buffer_release(&buffer);
}

static void reserve_gives_room_and_counts_nothing(void)
{
    struct buffer buffer;
    buffer_init(&buffer, 9, 5000);
    for (size_t extra = 1; extra <= 5000; extra += 833) {
        char *room = buffer_reserve(&buffer, extra);
        if (CHECK(room != NULL)) {
            memset(room, 'r', extra);
        }
        CHECK_SIZE(buffer.length, 0);
    }
    CHECK(buffer_reserve(&buffer, 5000) == buffer_bytes(&buffer));
    CHECK(buffer_reserve(&buffer, 5001) == NULL);
    buffer_release(&buffer);
}

static void appending_nothing_is_fine(void)
{
    struct buffer buffer;
    buffer_init(&buffer, 0, 0);
    buffer_append(&buffer, NULL, 0);
    buffer_append(&buffer, "", 0);
    CHECK_INT(buffer.failure, BUFFER_FINE);
    CHECK_SIZE(buffer.length, 0);
    buffer_release(&buffer);
}

static void check_take(size_t front, size_t count, size_t behind)
{
    struct buffer buffer;
    void *memory = NULL;
    size_t length = 0;
    buffer_init(&buffer, front, 5000);
    append_pattern(&buffer, count);
    if (CHECK(buffer_take(&buffer, behind, &memory, &length))) {
        memset(memory, 'f', front);
        memset((char *)memory + front + count, 'b', behind);
        CHECK_SIZE(length, count);
        CHECK(holds_pattern((char *)memory + front, length));
    }
    check_is_empty(&buffer);
    CHECK(!buffer_take(&buffer, 0, &memory, &length));
    append_pattern(&buffer, 10);
    CHECK(holds_pattern(buffer_bytes(&buffer), 10));
    buffer_release(&buffer);
    free(memory);
}

/* What follows the bytes may be written, beyond the maximum too: it is no content. */
static void take_hands_over_front_bytes_and_room_behind(void)
{
    for (size_t count = 1; count <= 5000; count += 357) {
        CHECK_NOTE("%zu bytes", count);
        check_take(0, count, 0);
        check_take(1, count, 1);
        check_take(777, count, 255);
        check_take(0, count, 100000);
    }
}

static void take_gives_nothing_of_a_failure(void)
{
    struct buffer buffer;
    void *memory = NULL;
    size_t length = 0;
    buffer_init(&buffer, 16, 3);
    CHECK(!buffer_take(&buffer, 0, &memory, &length));
    buffer_append(&buffer, "abc", 3);
    buffer_append(&buffer, "d", 1);
    CHECK(!buffer_take(&buffer, 0, &memory, &length));
    CHECK_BYTES(buffer_bytes(&buffer), buffer.length, "abc", 3);
    CHECK(memory == NULL);
    buffer_release(&buffer);
}

/* ---- random operations beside a model that cannot be wrong ---- */

enum { MODEL_MAXIMUM = 9000 };

struct model {
    char bytes[MODEL_MAXIMUM];
    size_t length;
    bool failed;
};

static void model_append(struct model *model, const char *bytes, size_t count, size_t maximum)
{
    model->failed = model->failed || count > maximum - model->length;
    if (!model->failed) {
        memcpy(model->bytes + model->length, bytes, count);
        model->length += count;
    }
}

static void append_random(struct random *random, struct buffer *buffer, struct model *model)
{
    char bytes[700];
    size_t count = (size_t)random_below(random, random_below(random, 8) == 0 ? 700 : 40);
    for (size_t i = 0; i < count; i++) {
        bytes[i] = (char)(unsigned char)random_below(random, 256);
    }
    struct exact exact = exact_copy(bytes, count);
    buffer_append(buffer, exact.bytes, count);
    exact_free(&exact);
    model_append(model, bytes, count, buffer->maximum);
}

static void take_random(struct buffer *buffer, struct model *model)
{
    void *memory = NULL;
    size_t length = 0;
    if (buffer_take(buffer, model->length % 3, &memory, &length)) {
        CHECK(!model->failed);
        CHECK_BYTES((char *)memory + buffer->front, length, model->bytes, model->length);
        free(memory);
        *model = (struct model){.length = 0};
    }
}

static void step(struct random *random, struct buffer *buffer, struct model *model)
{
    switch (random_below(random, 40)) {
    case 0:
        buffer_clear(buffer);
        *model = (struct model){.length = 0};
        break;
    case 1:
        buffer_release(buffer);
        *model = (struct model){.length = 0};
        break;
    case 2: take_random(buffer, model); break;
    case 3:
        buffer_append_byte(buffer, 'b');
        model_append(model, "b", 1, buffer->maximum);
        break;
    default: append_random(random, buffer, model); break;
    }
}

static void random_operations_agree_with_a_model(void)
{
    static struct model model;
    struct random random = {.state = 20120210};
    for (int round = 0; round < 60; round++) {
        struct buffer buffer;
        model = (struct model){.length = 0};
        buffer_init(&buffer, (size_t)random_below(&random, 300),
                    (size_t)random_below(&random, MODEL_MAXIMUM));
        for (int i = 0; i < 200; i++) {
            step(&random, &buffer, &model);
            CHECK_INT(buffer.failure != BUFFER_FINE, model.failed);
            CHECK_SIZE(buffer.length, model.length);
        }
        const char *bytes = buffer.memory != NULL ? buffer_bytes(&buffer) : "";
        CHECK_BYTES(bytes, buffer.length, model.bytes, model.length);
        buffer_release(&buffer);
    }
}

static const struct check_case cases[] = {
    CHECK_CASE(begins_empty),
    CHECK_CASE(grows_and_keeps_what_it_holds),
    CHECK_CASE(many_megabytes_are_kept_as_they_grow),
    CHECK_CASE(takes_every_byte_value),
    CHECK_CASE(byte_by_byte_fits_to_the_maximum),
    CHECK_CASE(one_append_fits_to_the_maximum),
    CHECK_CASE(append_that_does_not_fit_adds_nothing_of_it),
    CHECK_CASE(failure_is_sticky),
    CHECK_CASE(failure_before_any_memory_is_sticky),
    CHECK_CASE(absurd_sizes_are_refused),
    CHECK_CASE(clear_forgets_bytes_and_failure),
    CHECK_CASE(release_is_always_safe),
    CHECK_CASE(reserve_gives_room_and_counts_nothing),
    CHECK_CASE(appending_nothing_is_fine),
    CHECK_CASE(take_hands_over_front_bytes_and_room_behind),
    CHECK_CASE(take_gives_nothing_of_a_failure),
    CHECK_CASE(random_operations_agree_with_a_model),
};

int main(int count, char **names)
{
    return CHECK_RUN(cases, count, names);
}
