#include "json.h"

#include <float.h>    /* DBL_MAX */
#include <inttypes.h> /* PRId64 */
#include <locale.h>   /* setlocale(3) localeconv(3) */
#include <math.h>     /* isfinite(3) NAN INFINITY */
#include <spawn.h>    /* posix_spawnp(3) */
#include <stdio.h>    /* snprintf(3) */
#include <stdlib.h>   /* strtod(3) mkdtemp(3) setenv(3) */
#include <string.h>   /* memcmp(3) */

#include <fcntl.h>    /* O_WRONLY */
#include <sys/wait.h> /* waitpid(2) */

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

/* ---- integers ---- */

static void check_integer_text(int64_t integer, const char *expected)
{
    char text[JSON_NUMBER_SIZE];
    struct buffer buffer;
    buffer_init(&buffer, 0, ROOM);
    CHECK_SIZE(json_format_integer(integer, text), strlen(expected));
    CHECK_TEXT(text, expected);
    json_append_integer(&buffer, integer);
    CHECK_BYTES(buffer_bytes(&buffer), buffer.length, expected, strlen(expected));
    buffer_release(&buffer);
}

static void known_integers(void)
{
    check_integer_text(0, "0");
    check_integer_text(-1, "-1");
    check_integer_text(1234567890123456789, "1234567890123456789");
    check_integer_text(9007199254740993, "9007199254740993");
    check_integer_text(INT64_MAX, "9223372036854775807");
    check_integer_text(INT64_MIN, "-9223372036854775808");
    check_integer_text(INT32_MIN, "-2147483648");
    check_integer_text(UINT32_MAX, "4294967295");
}

static void integers_read_back(void)
{
    struct random random = {.state = 99};
    for (int i = 0; i < 50000; i++) {
        char text[JSON_NUMBER_SIZE];
        int64_t integer = (int64_t)(random_next(&random) >> random_below(&random, 64));
        integer = i % 2 == 0 ? integer : -integer;
        size_t length = json_format_integer(integer, text);
        CHECK_SIZE(length, strlen(text));
        CHECK_INT(strtoll(text, NULL, 10), integer);
    }
}

/* ---- numbers ---- */

static const char *skip_digits(const char *at)
{
    return at + strspn(at, "0123456789");
}

/* RFC 8259, section 6: number = [ minus ] int [ frac ] [ exp ]. */
static bool is_json_number(const char *text)
{
    const char *at = text + (text[0] == '-');
    const char *end = at[0] == '0' ? at + 1 : skip_digits(at);
    bool fine = end > at;
    if (*end == '.') {
        at = end + 1;
        end = skip_digits(at);
        fine = fine && end > at;
    }
    if (*end == 'e' || *end == 'E') {
        at = end + 1;
        at += *at == '+' || *at == '-';
        end = skip_digits(at);
        fine = fine && end > at;
    }
    return fine && *end == '\0';
}

static double with_bits(uint64_t bits)
{
    double number;
    memcpy(&number, &bits, sizeof number);
    return number;
}

static uint64_t bits_of(double number)
{
    uint64_t bits;
    memcpy(&bits, &number, sizeof bits);
    return bits;
}

/* Read back to the bit, in this locale, whose point is put where JSON has its own. */
static double read_back(const char *text)
{
    char local[JSON_NUMBER_SIZE + 16];
    const char *point = strchr(text, '.');
    if (point == NULL) {
        return strtod(text, NULL);
    }
    (void)snprintf(local, sizeof local, "%.*s%s%s", (int)(point - text), text,
                   localeconv()->decimal_point, point + 1);
    return strtod(local, NULL);
}

static void check_number(double number)
{
    char text[JSON_NUMBER_SIZE];
    size_t length = json_format_number(number, text);
    bool fine = length > 0 && length == strlen(text) && is_json_number(text) &&
                bits_of(read_back(text)) == bits_of(number);
    if (!fine) {
        CHECK_NOTE("%a written as %.40s", number, text);
        CHECK(fine);
    }
}

static void check_number_text(double number, const char *expected)
{
    struct buffer buffer;
    buffer_init(&buffer, 0, ROOM);
    CHECK(json_append_number(&buffer, number));
    CHECK_BYTES(buffer_bytes(&buffer), buffer.length, expected, strlen(expected));
    buffer_release(&buffer);
    check_number(number);
}

static void known_numbers(void)
{
    check_number_text(0.0, "0");
    check_number_text(-0.0, "-0");
    check_number_text(1.5, "1.5");
    check_number_text(0.1, "0.1");
    check_number_text(-0.3, "-0.3");
    check_number_text(0.1 + 0.2, "0.30000000000000004");
    check_number_text(1.0 / 3, "0.3333333333333333");
    check_number_text(123456789012345.0, "123456789012345");
    check_number_text(9007199254740991.0, "9007199254740991");
    check_number_text(9007199254740992.0, "9007199254740992");
    check_number_text(1e300, "1e+300");
    check_number_text(5e-5, "5e-05");
    check_number_text(DBL_MAX, "1.7976931348623157e+308");
    check_number_text(DBL_MIN, "2.2250738585072014e-308");
}

static void numbers_that_are_none_are_refused(void)
{
    const double none[] = {
        NAN, -NAN, INFINITY, -INFINITY, with_bits(0x7FF0000000000001), with_bits(UINT64_MAX)};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        char text[JSON_NUMBER_SIZE];
        struct buffer buffer;
        buffer_init(&buffer, 0, ROOM);
        CHECK_SIZE(json_format_number(none[i], text), 0);
        CHECK(!json_append_number(&buffer, none[i]));
        CHECK_SIZE(buffer.length, 0);
        CHECK_INT(buffer.failure, BUFFER_FINE);
        buffer_release(&buffer);
    }
}

/* The number itself and its two neighbours. */
static void check_around(double number)
{
    check_number(number);
    check_number(-number);
    check_number(with_bits(bits_of(number) + 1));
    check_number(with_bits(bits_of(number) - 1));
}

static void numbers_at_every_power_read_back(void)
{
    for (uint64_t exponent = 0; exponent < 2047; exponent++) {
        check_around(with_bits((exponent << 52) | (exponent == 0)));
    }
    for (int shift = 0; shift < 52; shift++) {
        check_around(with_bits((uint64_t)1 << shift)); /* denormals */
    }
    for (int exponent = -323; exponent <= 308; exponent++) {
        char text[16];
        (void)snprintf(text, sizeof text, "1e%d", exponent);
        check_around(strtod(text, NULL));
    }
}

static void random_numbers_read_back(void)
{
    struct random random = {.state = 31337};
    for (int i = 0; i < 30000; i++) {
        double number = with_bits(random_next(&random));
        if (isfinite(number)) {
            check_number(number);
        }
        check_number(with_bits(random_next(&random) >> 12)); /* denormal, or nearly */
        check_number((double)random_below(&random, 100000000) / 1000);
    }
}

/* What was written in few digits comes back in as few. */
static void decimals_stay_short(void)
{
    struct random random = {.state = 8};
    for (int i = 0; i < 20000; i++) {
        char given[40];
        char text[JSON_NUMBER_SIZE];
        (void)snprintf(given, sizeof given, "%d.%02u5", (int)random_below(&random, 1000000),
                       (unsigned)random_below(&random, 100));
        (void)json_format_number(strtod(given, NULL), text);
        CHECK_TEXT(text, given);
    }
}

static void longest_texts_fit_their_room(void)
{
    struct exact room = exact_room(JSON_NUMBER_SIZE);
    CHECK_SIZE(json_format_number(-DBL_MAX, room.bytes), 24);
    CHECK_SIZE(json_format_number(-DBL_MIN, room.bytes), 24);
    CHECK_SIZE(json_format_integer(INT64_MIN, room.bytes), 20);
    exact_free(&room);
}

/* ---- under another locale ---- */

static const char *const COMMA_LOCALES[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "de_DE.utf8",
                                            "fr_FR.utf8",  "pt_BR.UTF-8", "de_DE"};

static bool write_locale_source(const char *path, const char *point)
{
    FILE *file = fopen(path, "w");
    if (file == NULL) {
        return false;
    }
    (void)fprintf(file, "LC_NUMERIC\ndecimal_point \"%s\"\nthousands_sep \"\"\ngrouping -1\n",
                  point);
    (void)fprintf(file, "END LC_NUMERIC\n");
    return fclose(file) == 0;
}

static void run_localedef(const char *source, const char *charset, const char *target)
{
    char *arguments[] = {"localedef",     "-c",      "--no-archive", "-i", (char *)source, "-f",
                         (char *)charset, "--quiet", (char *)target, NULL};
    char *environment[] = {"PATH=/usr/bin:/bin", NULL};
    posix_spawn_file_actions_t quiet;
    pid_t child;
    (void)posix_spawn_file_actions_init(&quiet);
    (void)posix_spawn_file_actions_addopen(&quiet, 2, "/dev/null", O_WRONLY, 0);
    if (posix_spawnp(&child, "localedef", &quiet, NULL, arguments, environment) == 0) {
        (void)waitpid(child, NULL, 0);
    }
    (void)posix_spawn_file_actions_destroy(&quiet);
}

static void remove_folder(const char *folder)
{
    char *arguments[] = {"rm", "-rf", (char *)folder, NULL};
    char *environment[] = {"PATH=/usr/bin:/bin", NULL};
    pid_t child;
    if (posix_spawnp(&child, "rm", NULL, NULL, arguments, environment) == 0) {
        (void)waitpid(child, NULL, 0);
    }
}

/* A locale of our own, made for the moment: true when the C library took it. */
static bool set_own_locale(const char *point, const char *charset)
{
    char folder[] = "/tmp/sendapi-locale-XXXXXX";
    char source[64];
    char target[64];
    if (mkdtemp(folder) == NULL) {
        return false;
    }
    (void)snprintf(source, sizeof source, "%s/source", folder);
    (void)snprintf(target, sizeof target, "%s/own", folder);
    bool set = write_locale_source(source, point);
    if (set) {
        run_localedef(source, charset, target);
        (void)setenv("LOCPATH", folder, 1);
        set = setlocale(LC_NUMERIC, "own") != NULL;
        (void)unsetenv("LOCPATH");
    }
    remove_folder(folder);
    return set;
}

static bool set_comma_locale(void)
{
    for (size_t i = 0; i < sizeof COMMA_LOCALES / sizeof COMMA_LOCALES[0]; i++) {
        if (setlocale(LC_NUMERIC, COMMA_LOCALES[i]) != NULL) {
            return true;
        }
    }
    return set_own_locale(",", "ANSI_X3.4-1968");
}

static void check_numbers_here(void)
{
    known_numbers();
    known_integers();
    numbers_that_are_none_are_refused();
    numbers_at_every_power_read_back();
    longest_texts_fit_their_room();
}

static void decimal_comma_changes_nothing(void)
{
    if (!set_comma_locale() || strcmp(localeconv()->decimal_point, ",") != 0) {
        CHECK_SKIP("no locale with a decimal comma, and no localedef(1) to make one");
    } else {
        check_numbers_here();
    }
    (void)setlocale(LC_NUMERIC, "C");
}

static void decimal_point_of_two_bytes_changes_nothing(void)
{
    if (!set_own_locale("<U066B>", "UTF-8") || strlen(localeconv()->decimal_point) != 2) {
        CHECK_SKIP("no locale whose decimal point is two bytes long");
    } else {
        check_numbers_here();
    }
    (void)setlocale(LC_NUMERIC, "C");
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

static void numbers_fit_to_the_maximum(void)
{
    for (size_t maximum = 0; maximum < 40; maximum++) {
        struct buffer buffer;
        buffer_init(&buffer, 0, maximum);
        CHECK(json_append_number(&buffer, -DBL_MIN));
        json_append_integer(&buffer, INT64_MIN);
        CHECK_INT(buffer.failure, maximum < 43 ? BUFFER_TOO_LARGE : BUFFER_FINE);
        buffer_release(&buffer);
    }
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
    CHECK_CASE(known_integers),
    CHECK_CASE(integers_read_back),
    CHECK_CASE(known_numbers),
    CHECK_CASE(numbers_that_are_none_are_refused),
    CHECK_CASE(numbers_at_every_power_read_back),
    CHECK_CASE(random_numbers_read_back),
    CHECK_CASE(decimals_stay_short),
    CHECK_CASE(longest_texts_fit_their_room),
    CHECK_CASE(numbers_fit_to_the_maximum),
    CHECK_CASE(decimal_comma_changes_nothing),
    CHECK_CASE(decimal_point_of_two_bytes_changes_nothing),
    CHECK_CASE(literals),
};

int main(int count, char **names)
{
    return CHECK_RUN(cases, count, names);
}
