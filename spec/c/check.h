#ifndef SENDAPI_CHECK_H
#define SENDAPI_CHECK_H

/*
 * A program of tests: named cases in a table, and checks that say what they found and go on.
 *
 *     static const struct check_case cases[] = {CHECK_CASE(empty_is_empty)};
 *     int main(int count, char **names) { return CHECK_RUN(cases, count, names); }
 *
 * Arguments pick the cases whose names contain one of them. The last line is `N passed, N failed`.
 * A case that could not be tried here says so (CHECK_SKIP) and counts as neither. Checks may be
 * made on any thread; notes and skips only on the one that runs the cases.
 */

#include <inttypes.h> /* intmax_t PRIdMAX */
#include <signal.h>   /* signal(2) */
#include <stdarg.h>   /* va_list */
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h> /* size_t */
#include <stdio.h>  /* printf(3) */
#include <string.h> /* strcmp(3) strstr(3) */
#include <unistd.h> /* alarm(2) */

struct check_case {
    const char *name;
    void (*run)(void);
};

enum {
    CHECK_SHOWN = 20,       /* failures printed of one case */
    CHECK_TIME_LIMIT = 300, /* seconds of one case: past them the program ends */
};

static atomic_uint check_failures; /* of the case that runs */
static bool check_skipped;
static const char *check_running;
static char check_noted[200];

#define CHECK_CASE(function)                                                                       \
    {                                                                                              \
#function, function                                                                        \
    }
#define CHECK_RUN(cases, count, names)                                                             \
    check_run(cases, sizeof(cases) / sizeof(cases)[0], count, names)

#define CHECK_AT __FILE__, __LINE__

/* Each is true when the check held. Texts may be NULL; what is compared is evaluated once. */
#define CHECK(condition) check_true(CHECK_AT, #condition, condition)
#define CHECK_INT(actual, expected)                                                                \
    check_integer(CHECK_AT, #actual, (intmax_t)(actual), (intmax_t)(expected))
#define CHECK_SIZE(actual, expected)                                                               \
    check_size(CHECK_AT, #actual, (uintmax_t)(actual), (uintmax_t)(expected))
#define CHECK_TEXT(actual, expected) check_text(CHECK_AT, #actual, actual, expected)
#define CHECK_BYTES(actual, length, expected, expected_length)                                     \
    check_bytes(CHECK_AT, #actual, actual, length, expected, expected_length)

/* What is printed with the failures that follow: which of many inputs it was. */
#define CHECK_NOTE(...) check_note(__VA_ARGS__)

#define CHECK_SKIP(reason) check_skip(reason)

__attribute__((format(printf, 1, 2))) static inline void check_note(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(check_noted, sizeof check_noted, format, arguments);
    va_end(arguments);
}

static inline void check_skip(const char *reason)
{
    check_skipped = true;
    printf("    skipped: %s\n", reason);
}

/* Counts a failure and prints where it was; false when enough of them were printed. */
static inline bool check_failed(const char *file, int line, const char *what)
{
    unsigned before = atomic_fetch_add(&check_failures, 1);
    if (before == CHECK_SHOWN) {
        printf("    ... and more\n");
    }
    if (before >= CHECK_SHOWN) {
        return false;
    }
    printf("    %s:%d: %s", file, line, what);
    if (check_noted[0] != '\0') {
        printf(" [%s]", check_noted);
    }
    return true;
}

static inline bool check_true(const char *file, int line, const char *what, bool holds)
{
    if (!holds && check_failed(file, line, what)) {
        printf(": is false\n");
    }
    return holds;
}

static inline bool check_integer(const char *file, int line, const char *what, intmax_t actual,
                                 intmax_t expected)
{
    if (actual != expected && check_failed(file, line, what)) {
        printf(": is %" PRIdMAX ", not %" PRIdMAX "\n", actual, expected);
    }
    return actual == expected;
}

static inline bool check_size(const char *file, int line, const char *what, uintmax_t actual,
                              uintmax_t expected)
{
    if (actual != expected && check_failed(file, line, what)) {
        printf(": is %" PRIuMAX ", not %" PRIuMAX "\n", actual, expected);
    }
    return actual == expected;
}

/* At most a hundred bytes, what is not printable as \xhh. */
static inline void check_print(const char *bytes, size_t length)
{
    if (bytes == NULL) {
        printf("NULL");
        return;
    }
    printf("%zu bytes \"", length);
    for (size_t i = 0; i < length && i < 100; i++) {
        unsigned char byte = (unsigned char)bytes[i];
        printf(byte >= 0x20 && byte < 0x7F ? "%c" : "\\x%02x", byte);
    }
    printf(length > 100 ? "...\"" : "\"");
}

static inline bool check_same(const char *actual, size_t length, const char *expected,
                              size_t expected_length)
{
    if (actual == NULL || expected == NULL) {
        return actual == expected;
    }
    return length == expected_length && (length == 0 || memcmp(actual, expected, length) == 0);
}

static inline bool check_bytes(const char *file, int line, const char *what, const char *actual,
                               size_t length, const char *expected, size_t expected_length)
{
    bool equal = check_same(actual, length, expected, expected_length);
    if (!equal && check_failed(file, line, what)) {
        printf(": is ");
        check_print(actual, length);
        printf(", not ");
        check_print(expected, expected_length);
        printf("\n");
    }
    return equal;
}

static inline bool check_text(const char *file, int line, const char *what, const char *actual,
                              const char *expected)
{
    return check_bytes(file, line, what, actual, actual != NULL ? strlen(actual) : 0, expected,
                       expected != NULL ? strlen(expected) : 0);
}

static inline bool check_wanted(const char *name, int count, char **names)
{
    bool wanted = count < 2;
    for (int i = 1; i < count; i++) {
        wanted = wanted || strstr(name, names[i]) != NULL;
    }
    return wanted;
}

/* Says which case it was, in a way that a handler may. */
static inline void check_time_is_up(int number)
{
    static const char after[] = " takes too long\n";
    (void)number;
    (void)!write(STDOUT_FILENO, check_running, strlen(check_running));
    (void)!write(STDOUT_FILENO, after, sizeof after - 1);
    _exit(1);
}

static inline void check_run_one(const struct check_case *one)
{
    check_running = one->name;
    atomic_store(&check_failures, 0);
    check_skipped = false;
    check_noted[0] = '\0';
    (void)alarm(CHECK_TIME_LIMIT);
    one->run();
    (void)alarm(0);
    unsigned failures = atomic_load(&check_failures);
    printf("%s %s\n", failures > 0 ? "not ok " : check_skipped ? "skipped" : "ok     ", one->name);
}

static inline int check_run(const struct check_case *cases, size_t length, int count, char **names)
{
    unsigned passed = 0;
    unsigned failed = 0;
    (void)signal(SIGALRM, check_time_is_up);
    (void)setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
    for (size_t i = 0; i < length; i++) {
        if (check_wanted(cases[i].name, count, names)) {
            check_run_one(&cases[i]);
            failed += atomic_load(&check_failures) > 0;
            passed += atomic_load(&check_failures) == 0 && !check_skipped;
        }
    }
    printf("%u passed, %u failed\n", passed, failed);
    return failed > 0;
}

#endif
