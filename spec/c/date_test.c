#include "date.h"

#include <float.h>  /* DBL_MAX */
#include <math.h>   /* NAN INFINITY */
#include <stdint.h> /* int64_t */
#include <stdio.h>  /* snprintf(3) */
#include <stdlib.h> /* setenv(3) */
#include <string.h> /* memcpy(3) */
#include <time.h>   /* tzset(3) */

#include "check.h"
#include "exact.h"
#include "random.h"

static const double FIRST = -62135596800.0; /* 0001-01-01T00:00:00Z */
static const double LAST = 253402300799.0;  /* 9999-12-31T23:59:59Z */

/* The number next to another, towards more (1) or less (-1). */
static double beside(double number, int direction)
{
    int64_t bits;
    memcpy(&bits, &number, sizeof bits);
    bits += number < 0 ? -direction : direction;
    memcpy(&number, &bits, sizeof number);
    return number;
}

static void check_date(double seconds, const char *expected)
{
    char text[DATE_SIZE];
    size_t length = date_format(seconds, text);
    CHECK_NOTE("%.17g", seconds);
    CHECK_SIZE(length, strlen(expected));
    if (length > 0) {
        CHECK_TEXT(text, expected);
    }
}

static void known_dates(void)
{
    check_date(0, "1970-01-01T00:00:00Z");
    check_date(-0.0, "1970-01-01T00:00:00Z");
    check_date(1, "1970-01-01T00:00:01Z");
    check_date(-1, "1969-12-31T23:59:59Z");
    check_date(1349111920, "2012-10-01T17:18:40Z");
    check_date(1328832000, "2012-02-10T00:00:00Z");
    check_date(2147483647, "2038-01-19T03:14:07Z");
    check_date(2147483648, "2038-01-19T03:14:08Z");
    check_date(-2147483649, "1901-12-13T20:45:51Z");
    check_date(4294967296, "2106-02-07T06:28:16Z");
}

static void leap_years(void)
{
    check_date(951782400, "2000-02-29T00:00:00Z");
    check_date(951868800, "2000-03-01T00:00:00Z");
    check_date(1709164800, "2024-02-29T00:00:00Z");
    check_date(4107456000, "2100-02-28T00:00:00Z");
    check_date(4107542400, "2100-03-01T00:00:00Z");
    check_date(-2203977600, "1900-02-28T00:00:00Z");
    check_date(-2203891200, "1900-03-01T00:00:00Z");
}

static void ends_of_the_calendar(void)
{
    check_date(FIRST, "0001-01-01T00:00:00Z");
    check_date(FIRST + 0.5, "0001-01-01T00:00:00.500Z");
    check_date(LAST, "9999-12-31T23:59:59Z");
    check_date(LAST + 0.875, "9999-12-31T23:59:59.875Z");
    check_date(beside(LAST + 1, -1), "9999-12-31T23:59:59.999Z");
    check_date(beside(FIRST, -1), "");
    check_date(FIRST - 1, "");
    check_date(LAST + 1, "");
}

static void what_is_no_date(void)
{
    const double none[] = {NAN,  -NAN,  INFINITY, -INFINITY, DBL_MAX, -DBL_MAX, 1e18,
                           1e19, -1e18, 9.3e18,   -9.3e18,   1e300,   -1e300,   253402300800.0};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        check_date(none[i], "");
    }
}

static void longest_text_fits_its_room(void)
{
    struct exact room = exact_room(DATE_SIZE);
    CHECK_SIZE(date_format(LAST + 0.875, room.bytes), 24);
    CHECK_SIZE(date_format(NAN, room.bytes), 0);
    exact_free(&room);
}

static void milliseconds(void)
{
    check_date(0.5, "1970-01-01T00:00:00.500Z");
    check_date(0.25, "1970-01-01T00:00:00.250Z");
    check_date(0.0078125, "1970-01-01T00:00:00.008Z");
    check_date(1349111920.875, "2012-10-01T17:18:40.875Z");
    check_date(1349111920.9999998, "2012-10-01T17:18:40.999Z");
    check_date(1349111920.0001, "2012-10-01T17:18:40Z");
    check_date(1349111920.0009, "2012-10-01T17:18:40.001Z");
}

/* Most of them have no exact double, and the one next to them may be below: still it is theirs. */
static void every_millisecond(void)
{
    for (int i = 1; i < 1000; i++) {
        char expected[64];
        (void)snprintf(expected, sizeof expected, "2012-10-01T17:18:40.%03dZ", i);
        check_date(1349111920 + i / 1000.0, expected);
        (void)snprintf(expected, sizeof expected, "1969-12-31T23:59:59.%03dZ", 1000 - i);
        check_date(-i / 1000.0, expected);
    }
}

/* The second is the one that has begun, on both sides of 1970. */
static void milliseconds_before_the_epoch(void)
{
    check_date(-0.5, "1969-12-31T23:59:59.500Z");
    check_date(-0.25, "1969-12-31T23:59:59.750Z");
    check_date(-0.0009765625, "1969-12-31T23:59:59.999Z");
    check_date(-1.5, "1969-12-31T23:59:58.500Z");
    check_date(-86400.125, "1969-12-30T23:59:59.875Z");
}

/* So near the next second that what is left rounds up to it: still it is not that one. */
static void a_hair_before_a_second(void)
{
    check_date(-1e-17, "1969-12-31T23:59:59.999Z");
    check_date(-1e-300, "1969-12-31T23:59:59.999Z");
    check_date(-DBL_MIN, "1969-12-31T23:59:59.999Z");
    check_date(1e-300, "1970-01-01T00:00:00Z");
    check_date(beside(1.0, -1), "1970-01-01T00:00:00.999Z");
}

/* Days are counted one by one, with the rule of the leap years, beside what is to be tested. */
static int days_of(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month] + (month == 1 && leap);
}

static void check_month(int year, int month, double first_day)
{
    static const int picks[] = {1, 15, 28};
    char expected[64];
    for (int i = 0; i < 4; i++) {
        int day = i < 3 ? picks[i] : days_of(year, month);
        (void)snprintf(expected, sizeof expected, "%04d-%02d-%02dT12:34:56Z", year, month + 1, day);
        check_date((first_day + day - 1) * 86400 + 45296, expected);
    }
}

static void every_month_of_the_calendar(void)
{
    double first_day = FIRST / 86400;
    for (int year = 1; year <= 9999; year++) {
        for (int month = 0; month < 12; month++) {
            if (year % 10 == 1 || (year > 1890 && year < 2110)) {
                check_month(year, month, first_day);
            }
            first_day += days_of(year, month);
        }
    }
    CHECK(first_day * 86400 == LAST + 1);
}

static void random_times_of_a_day(void)
{
    struct random random = {.state = 1970};
    for (int i = 0; i < 5000; i++) {
        char expected[64];
        int second = (int)random_below(&random, 86400);
        int eighth = (int)random_below(&random, 8);
        int length = snprintf(expected, sizeof expected, "2017-11-06T%02d:%02d:%02d", second / 3600,
                              second / 60 % 60, second % 60);
        (void)snprintf(expected + length, sizeof expected - (size_t)length,
                       eighth > 0 ? ".%03dZ" : "Z", eighth * 125);
        check_date(1509926400.0 + second + eighth / 8.0, expected);
    }
}

static void zone_of_the_host_does_not_matter(void)
{
    static const char *const zones[] = {"XYZ-13", "XYZ+11:30", "America/New_York", ""};
    for (size_t i = 0; i < sizeof zones / sizeof zones[0]; i++) {
        (void)setenv("TZ", zones[i], 1);
        tzset();
        check_date(1349111920, "2012-10-01T17:18:40Z");
    }
    (void)unsetenv("TZ");
    tzset();
}

static const struct check_case cases[] = {
    CHECK_CASE(known_dates),
    CHECK_CASE(leap_years),
    CHECK_CASE(ends_of_the_calendar),
    CHECK_CASE(what_is_no_date),
    CHECK_CASE(longest_text_fits_its_room),
    CHECK_CASE(milliseconds),
    CHECK_CASE(every_millisecond),
    CHECK_CASE(milliseconds_before_the_epoch),
    CHECK_CASE(a_hair_before_a_second),
    CHECK_CASE(every_month_of_the_calendar),
    CHECK_CASE(random_times_of_a_day),
    CHECK_CASE(zone_of_the_host_does_not_matter),
};

int main(int count, char **names)
{
    return CHECK_RUN(cases, count, names);
}
