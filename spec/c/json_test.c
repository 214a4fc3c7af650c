/* Strings and literals; numbers stand in json_number_test.c. */

#include "json.h"

#include <stdio.h>  /* snprintf(3) */
#include <string.h> /* memcmp(3) */

#include "check.h"
#include "exact.h"
#include "random.h"

enum { ROOM = 1 << 20 };

/* ---- strings ---- */

static void check_string(const char *text, size_t length, const char *expected,
                         size_t expected_length)
{
    struct buffer buffer;
    struct exact exact = exact_copy(text, length);
    buffer_init(&buffer, 0, ROOM);
    CHECK(json_append_string(&buffer, exact.bytes, length));
    CHECK_INT(buffer.failure, BUFFER_FINE);
    CHECK_BYTES(buffer_bytes(&buffer), buffer.length, expected, expected_length);
    buffer_release(&buffer);
    exact_free(&exact);
}

static void check_refused(const char *text, size_t length)
{
    struct buffer buffer;
    struct exact exact = exact_copy(text, length);
    buffer_init(&buffer, 0, ROOM);
    CHECK(!json_append_string(&buffer, exact.bytes, length));
    buffer_release(&buffer);
    exact_free(&exact);
}

#define LITERAL(text) text, sizeof(text) - 1

static void known_strings(void)
{
    check_string("", 0, "\"\"", 2);
    check_string(LITERAL("Awesome post !"), LITERAL("\"Awesome post !\""));
    check_string(LITERAL("a\0b\0"), LITERAL("\"a\\u0000b\\u0000\""));
    check_string(LITERAL("\"\\/"), LITERAL("\"\\\"\\\\/\""));
    check_string(LITERAL("\b\f\n\r\t\v\a\x1b\x1f\x7f"),
                 LITERAL("\"\\b\\f\\n\\r\\t\\u000b\\u0007\\u001b\\u001f\x7f\""));
    check_string(LITERAL("\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80"),
                 LITERAL("\"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\""));
    check_string(LITERAL("\xEF\xBB\xBF\xE2\x80\xA8"), LITERAL("\"\xEF\xBB\xBF\xE2\x80\xA8\""));
}

/* What RFC 8259 asks for, with the short forms where there are any. */
static size_t escaped(unsigned char byte, char out[8])
{
    static const char *const shorts[256] = {
        ['"'] = "\\\"", ['\\'] = "\\\\", ['\b'] = "\\b", ['\f'] = "\\f",
        ['\n'] = "\\n", ['\r'] = "\\r",  ['\t'] = "\\t"};
    if (shorts[byte] != NULL) {
        return (size_t)snprintf(out, 8, "%s", shorts[byte]);
    }
    if (byte < 0x20) {
        return (size_t)snprintf(out, 8, "\\u%04x", byte);
    }
    out[0] = (char)byte;
    return 1;
}

static void every_byte_alone(void)
{
    for (unsigned value = 0; value < 256; value++) {
        char byte = (char)(unsigned char)value;
        char expected[16] = "\"";
        CHECK_NOTE("byte %02x", value);
        if (value >= 0x80) {
            check_refused(&byte, 1);
        } else {
            size_t length = 1 + escaped((unsigned char)value, expected + 1);
            expected[length++] = '"';
            check_string(&byte, 1, expected, length);
        }
    }
}

static size_t encode(uint32_t point, char out[4])
{
    if (point < 0x80) {
        out[0] = (char)point;
        return 1;
    }
    size_t size = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    static const unsigned marks[] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (size_t i = size; i-- > 0; point >>= 6) {
        out[i] = (char)(unsigned char)(i > 0 ? 0x80 | (point & 0x3F) : marks[size] | point);
    }
    return size;
}

static bool is_surrogate(uint32_t point)
{
    return point >= 0xD800 && point <= 0xDFFF;
}

/* 256 code points at once, unescaped from U+0080 on, so quoted they come back as they are. */
static void check_row(uint32_t first)
{
    char row[1026] = "\"";
    size_t length = 1;
    for (uint32_t point = first; point < first + 256; point++) {
        length += encode(point, row + length);
    }
    CHECK_SIZE(json_count_characters(row + 1, length - 1), 256);
    row[length++] = '"';
    check_string(row + 1, length - 2, row, length);
}

static void every_character_is_kept(void)
{
    for (uint32_t first = 0x100; first < 0x110000; first += 256) {
        CHECK_NOTE("from U+%04X", (unsigned)first);
        if (!is_surrogate(first)) {
            check_row(first);
        }
    }
}

static void every_surrogate_is_refused(void)
{
    for (uint32_t point = 0xD800; point <= 0xDFFF; point++) {
        char text[4];
        size_t length = encode(point, text);
        CHECK_NOTE("U+%04X", (unsigned)point);
        check_refused(text, length);
    }
}

/* The other way round to tell a good sequence: decode by arithmetic, and see if it encodes back. */
static bool is_one_character(const unsigned char *bytes, size_t length)
{
    static const unsigned char kept[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
    uint32_t point = bytes[0] & kept[length];
    for (size_t i = 1; i < length; i++) {
        point = point << 6 | (bytes[i] & 0x3F);
    }
    char back[4];
    return point <= 0x10FFFF && !is_surrogate(point) && encode(point, back) == length &&
           memcmp(back, bytes, length) == 0;
}

static void check_sequence(struct buffer *buffer, const unsigned char *bytes, size_t length)
{
    buffer_clear(buffer);
    bool fine = json_append_string(buffer, (const char *)bytes, length);
    if (fine != is_one_character(bytes, length)) {
        CHECK_NOTE("%02x %02x %02x %02x, %zu bytes", bytes[0], bytes[1], bytes[2], bytes[3],
                   length);
        CHECK_INT(fine, !fine);
    }
}

/* Leads that are sequences of their own (ASCII) are left out: only whole sequences are compared. */
static void every_sequence_of_two_and_three_bytes(void)
{
    struct buffer buffer;
    buffer_init(&buffer, 0, ROOM);
    for (unsigned first = 0x80; first < 0x100; first++) {
        for (unsigned second = 0; second < 0x100; second++) {
            unsigned char bytes[4] = {(unsigned char)first, (unsigned char)second, 0, 0};
            check_sequence(&buffer, bytes, 2);
            for (unsigned third = 0; third < 0x100 && first >= 0xE0 && first < 0xF1; third++) {
                bytes[2] = (unsigned char)third;
                check_sequence(&buffer, bytes, 3);
            }
        }
    }
    buffer_release(&buffer);
}

static void sequences_of_four_bytes(void)
{
    static const unsigned char ends[] = {0x00, 0x22, 0x7F, 0x80, 0x81, 0xBF, 0xC0, 0xFF};
    struct buffer buffer;
    buffer_init(&buffer, 0, ROOM);
    for (unsigned head = 0xEF00; head <= 0xFFFF; head++) {
        for (size_t tail = 0; tail < 64; tail++) {
            unsigned char bytes[4] = {(unsigned char)(head >> 8), (unsigned char)(head & 0xFF),
                                      ends[tail / 8], ends[tail % 8]};
            if (bytes[0] != 0xEF || tail == 0) {
                check_sequence(&buffer, bytes, 4);
            }
        }
    }
    buffer_release(&buffer);
}

/* Cut after each of its bytes, at the very end of what may be read, and with text before and after.
 */
static void check_truncations(const char *sequence, size_t size)
{
    char text[16] = "abc";
    for (size_t kept = 1; kept < size; kept++) {
        CHECK_NOTE("%zu of %zu bytes", kept, size);
        memcpy(text + 3, sequence, kept);
        check_refused(text + 3, kept);
        check_refused(text, 3 + kept);
        text[3 + kept] = 'z';
        check_refused(text, 4 + kept);
        memcpy(text + 3 + kept, sequence, size);
        check_refused(text, 3 + kept + size);
        memcpy(text + 3, sequence, size);
        memcpy(text + 3 + size, sequence, kept);
        check_refused(text + 3, size + kept);
    }
}

static void every_truncation_is_refused(void)
{
    static const uint32_t points[] = {0x80,   0x7FF,  0x800,   0xFFF,   0x1000,   0xD7FF,
                                      0xE000, 0xFFFF, 0x10000, 0x3FFFF, 0x100000, 0x10FFFF};
    for (size_t i = 0; i < sizeof points / sizeof points[0]; i++) {
        char sequence[4];
        check_truncations(sequence, encode(points[i], sequence));
    }
}

static bool is_valid_utf8(const char *text, size_t length)
{
    size_t at = 0;
    while (at < length) {
        unsigned char first = (unsigned char)text[at];
        size_t size = first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
        if (size > length - at || !is_one_character((const unsigned char *)text + at, size)) {
            return false;
        }
        at += size;
    }
    return true;
}

static void what_was_appended_of_a_bad_string_is_valid(void)
{
    struct random random = {.state = 77};
    struct buffer buffer;
    buffer_init(&buffer, 0, ROOM);
    for (int round = 0; round < 20000; round++) {
        char text[24];
        size_t length = (size_t)random_below(&random, sizeof text);
        for (size_t i = 0; i < length; i++) {
            uint64_t pick = random_next(&random);
            text[i] = (char)(unsigned char)(pick % 3 == 0 ? pick >> 32 : 0x80 | (pick >> 40));
        }
        buffer_clear(&buffer);
        (void)json_append_string(&buffer, text, length);
        CHECK(is_valid_utf8(buffer_bytes(&buffer), buffer.length));
    }
    buffer_release(&buffer);
}

/* Random characters, with what has to be escaped among them, and the text that should come out. */
static size_t random_text(struct random *random, size_t points, char *text, char *quoted,
                          size_t *quoted_length)
{
    static const uint32_t limits[] = {0x20, 0x80, 0x80, 0x800, 0xD800, 0x110000};
    size_t length = 0;
    size_t to = 0;
    quoted[to++] = '"';
    for (size_t i = 0; i < points; i++) {
        uint32_t point = (uint32_t)random_below(random, limits[random_below(random, 6)]);
        point = is_surrogate(point) ? '"' : point;
        size_t size = encode(point, text + length);
        if (point < 0x80) {
            to += escaped((unsigned char)point, quoted + to);
        } else {
            memcpy(quoted + to, text + length, size);
            to += size;
        }
        length += size;
    }
    quoted[to++] = '"';
    *quoted_length = to;
    return length;
}

static void random_texts(void)
{
    static char text[4 * 3000];
    static char quoted[6 * 3000 + 16];
    struct random random = {.state = 4242};
    for (size_t points = 0; points < 3000; points += points < 64 ? 1 : 97) {
        size_t quoted_length;
        CHECK_NOTE("%zu characters", points);
        size_t length = random_text(&random, points, text, quoted, &quoted_length);
        check_string(text, length, quoted, quoted_length);
        CHECK_SIZE(json_count_characters(text, length), points);
    }
}

static void strings_fit_to_the_maximum(void)
{
    static const char text[] = "a\"\xC3\xA9\n\x01"; /* 15 bytes when quoted */
    for (size_t maximum = 0; maximum <= 15; maximum++) {
        struct buffer buffer;
        CHECK_NOTE("maximum %zu", maximum);
        buffer_init(&buffer, 0, maximum);
        CHECK(json_append_string(&buffer, text, sizeof text - 1));
        CHECK_INT(buffer.failure, maximum < 15 ? BUFFER_TOO_LARGE : BUFFER_FINE);
        buffer_release(&buffer);
    }
}

static void characters_are_counted(void)
{
    static const char text[] = "a\0\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80";
    struct exact exact = exact_copy(text, sizeof text - 1);
    CHECK_SIZE(json_count_characters(exact.bytes, exact.length), 5);
    CHECK_SIZE(json_count_characters(exact.bytes, 2), 2);
    CHECK_SIZE(json_count_characters(exact.bytes, 0), 0);
    CHECK_SIZE(json_count_characters(NULL, 0), 0);
    exact_free(&exact);
}

/* ---- literals ---- */

static void literals(void)
{
    struct buffer buffer;
    buffer_init(&buffer, 0, 13);
    json_append_literal(&buffer, "true");
    json_append_literal(&buffer, "");
    json_append_literal(&buffer, "falsenull");
    CHECK_INT(buffer.failure, BUFFER_FINE);
    CHECK_BYTES(buffer_bytes(&buffer), buffer.length, "truefalsenull", 13);
    json_append_literal(&buffer, ",");
    CHECK_INT(buffer.failure, BUFFER_TOO_LARGE);
    buffer_release(&buffer);
}

static const struct check_case cases[] = {
    CHECK_CASE(known_strings),
    CHECK_CASE(every_byte_alone),
    CHECK_CASE(every_character_is_kept),
    CHECK_CASE(every_surrogate_is_refused),
    CHECK_CASE(every_sequence_of_two_and_three_bytes),
    CHECK_CASE(sequences_of_four_bytes),
    CHECK_CASE(every_truncation_is_refused),
    CHECK_CASE(what_was_appended_of_a_bad_string_is_valid),
    CHECK_CASE(random_texts),
    CHECK_CASE(strings_fit_to_the_maximum),
    CHECK_CASE(characters_are_counted),
    CHECK_CASE(literals),
};

int main(int count, char **names)
{
    return CHECK_RUN(cases, count, names);
}
