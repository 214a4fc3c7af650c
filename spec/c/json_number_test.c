/* Integers and numbers, and both where the decimal point is another. */

#include "json.h"

#include <float.h>  /* DBL_MAX */
#include <locale.h> /* setlocale(3) localeconv(3) */
#include <math.h>   /* isfinite(3) NAN INFINITY */
#include <spawn.h>  /* posix_spawnp(3) */
#include <stdio.h>  /* snprintf(3) */
#include <stdlib.h> /* strtod(3) mkdtemp(3) setenv(3) */
#include <string.h> /* memcpy(3) strspn(3) */

#include <fcntl.h>    /* O_WRONLY */
#include <sys/wait.h> /* waitpid(2) */

#include "check.h"
#include "exact.h"
#include "random.h"

enum { ROOM = 1024 };

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

static const struct check_case cases[] = {
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
};

int main(int count, char **names)
{
    return CHECK_RUN(cases, count, names);
}
