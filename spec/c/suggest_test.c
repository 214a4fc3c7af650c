#include "suggest.h"

#include <string.h> /* strlen(3) memset(3) */

#include "check.h"
#include "exact.h"
#include "random.h"

static const char *const FIELDS[] = {
    "id",
    "thread_id",
    "author",
    "recipient",
    "body",
    "title",
    "attachments",
    "actions",
    "categories",
    "context_data",
    "created_at",
    "updated_at",
    "display_url",
    "format",
    "ip",
    "language",
    "in_reply_to_id",
    "preview",
    "structured_content",
    "structured_reply",
    "screenname",
    "firstname",
    "lastname",
    "avatar_url",
    "email",
    "home_phone",
    "mobile_phone",
    "puppetizable",
    "gender",
    "filename",
};
enum { FIELD_COUNT = sizeof FIELDS / sizeof FIELDS[0] };

static struct suggestion suggest(const char *typed)
{
    struct suggestion best = {0};
    struct exact exact = exact_copy(typed, strlen(typed));
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        suggest_consider(&best, exact.bytes, exact.length, FIELDS[i], strlen(FIELDS[i]));
    }
    exact_free(&exact);
    return best;
}

static void likely_mistakes_are_recognised(void)
{
    static const char *const pairs[][2] = {
        {"threadid", "thread_id"},
        {"thraed_id", "thread_id"},
        {"Thread_ID", "thread_id"},
        {"autor", "author"},
        {"auhtor", "author"},
        {"boddy", "body"},
        {"bdoy", "body"},
        {"atachments", "attachments"},
        {"craeted_at", "created_at"},
        {"created-at", "created_at"},
        {"titel", "title"},
        {"langauge", "language"},
        {"screen_name", "screenname"},
        {"puppetisable", "puppetizable"},
        {"in_reply_to", "in_reply_to_id"},
        {"FORMAT", "format"},
        {"categorys", "categories"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        CHECK_NOTE("%s", pairs[i][0]);
        CHECK_TEXT(suggest(pairs[i][0]).word, pairs[i][1]);
    }
}

static void strangers_are_not_near(void)
{
    static const char *const words[] = {"",           "x",        "xyzzy",
                                        "0123456789", "metadata", "\xC3\xA9\xC3\xA9"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        CHECK_NOTE("%s", words[i]);
        CHECK_TEXT(suggest(words[i]).word, NULL);
    }
}

static void check_distance(const char *typed, const char *known, size_t distance)
{
    struct exact one = exact_copy(typed, strlen(typed));
    struct exact other = exact_copy(known, strlen(known));
    struct suggestion best = {0};
    CHECK_NOTE("%s, %s", typed, known);
    suggest_consider(&best, one.bytes, one.length, other.bytes, other.length);
    if (CHECK(best.word == other.bytes)) {
        CHECK_SIZE(best.distance, distance);
    }
    best = (struct suggestion){0};
    suggest_consider(&best, other.bytes, other.length, one.bytes, one.length);
    if (CHECK(best.word == one.bytes)) {
        CHECK_SIZE(best.distance, distance);
    }
    exact_free(&one);
    exact_free(&other);
}

static void every_kind_of_mistake_counts_one(void)
{
    check_distance("language", "language", 0);
    check_distance("LANGUAGE", "language", 0);
    check_distance("anguage", "language", 1);
    check_distance("languag", "language", 1);
    check_distance("lanuage", "language", 1);
    check_distance("llanguage", "language", 1);
    check_distance("languagee", "language", 1);
    check_distance("lanxguage", "language", 1);
    check_distance("xanguage", "language", 1);
    check_distance("languagx", "language", 1);
    check_distance("alnguage", "language", 1);
    check_distance("languaeg", "language", 1);
    check_distance("LANUGAGE", "language", 1);
    check_distance("alnguaeg", "language", 2);
    check_distance("xanguagx", "language", 2);
    check_distance("lanuagee", "language", 2);
}

/* A swap is of neighbours that are next to each other, with nothing put between them after. */
static void swapped_letters_are_not_changed_again(void)
{
    check_distance("cabdefghi", "abxcdefghi", 3);
    check_distance("abcdefghi", "baxcdefghi", 2);
}

static bool is_near(const char *typed, const char *known)
{
    struct suggestion best = {0};
    suggest_consider(&best, typed, strlen(typed), known, strlen(known));
    return best.word != NULL;
}

static void one_letter_in_three_is_near_enough(void)
{
    CHECK(is_near("abX", "abc"));
    CHECK(!is_near("aXX", "abc"));
    CHECK(is_near("abcdXX", "abcdef"));
    CHECK(!is_near("abcXXX", "abcdef"));
    CHECK(is_near("abcdefXXX", "abcdefghi"));
    CHECK(!is_near("abcdeXXXX", "abcdefghi"));
    CHECK(!is_near("abcd", "abcdefghi"));
    CHECK(is_near("abcdef", "abcdefghi"));
    CHECK(!is_near("a", "b"));
    CHECK(!is_near("ab", "xy"));
    CHECK(is_near("a", "A"));
    CHECK(!is_near("abc", ""));
    CHECK(!is_near("", "a"));
    CHECK(!is_near("", ""));
}

static void nearest_wins_and_the_first_of_equals_stays(void)
{
    struct suggestion best = {0};
    suggest_consider(&best, "lastnane", 8, "firstname", 9);
    suggest_consider(&best, "lastnane", 8, "lastnames", 9);
    CHECK_TEXT(best.word, "lastnames");
    suggest_consider(&best, "lastnane", 8, "lastname", 8);
    CHECK_TEXT(best.word, "lastname");
    suggest_consider(&best, "lastnane", 8, "lastnare", 8);
    suggest_consider(&best, "lastnane", 8, "lastnames", 9);
    CHECK_TEXT(best.word, "lastname");
    CHECK_SIZE(best.distance, 1);
}

static void case_folds_letters_only(void)
{
    check_distance("abcXYZ@", "ABCxyz@", 0);
    check_distance("abc@def", "abc`def", 1);
    check_distance("abc[def", "abc{def", 1);
    check_distance("abc\xC3"
                   "def",
                   "abc\xE3"
                   "def",
                   1);
}

/* 63 bytes are compared, 64 are never near, whichever of the two has them. */
static void long_words(void)
{
    char word[5000];
    struct suggestion best = {0};
    memset(word, 'w', sizeof word);
    struct exact longest = exact_copy(word, 63);
    struct exact longer = exact_copy(word, 64);
    suggest_consider(&best, longer.bytes, 64, longest.bytes, 63);
    suggest_consider(&best, longest.bytes, 63, longer.bytes, 64);
    suggest_consider(&best, longer.bytes, 64, longer.bytes, 64);
    suggest_consider(&best, word, sizeof word, word, sizeof word);
    suggest_consider(&best, word, sizeof word, "w", 1);
    CHECK(best.word == NULL);
    suggest_consider(&best, longest.bytes, 63, longest.bytes, 63);
    CHECK(best.word == longest.bytes);
    exact_free(&longest);
    exact_free(&longer);
}

static void lengths_count_not_terminators(void)
{
    struct suggestion best = {0};
    suggest_consider(&best, "a\0b", 3, "a\0c", 3);
    CHECK(best.word != NULL && best.distance == 1);
    best = (struct suggestion){0};
    suggest_consider(&best, "author, and what follows", 6, "author_id", 6);
    CHECK(best.word != NULL && best.distance == 0);
}

/* ---- beside the definition, by recursion ---- */

static char folded(char c)
{
    return (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t defined(const char *a, size_t m, const char *b, size_t n)
{
    if (m == 0 || n == 0) {
        return m + n;
    }
    size_t differs = folded(a[m - 1]) != folded(b[n - 1]);
    size_t cost = least(defined(a, m - 1, b, n), defined(a, m, b, n - 1)) + 1;
    cost = least(cost, defined(a, m - 1, b, n - 1) + differs);
    if (m > 1 && n > 1 && folded(a[m - 1]) == folded(b[n - 2]) &&
        folded(a[m - 2]) == folded(b[n - 1])) {
        cost = least(cost, defined(a, m - 2, b, n - 2) + 1);
    }
    return cost;
}

static size_t random_word(struct random *random, char *word)
{
    size_t length = 1 + (size_t)random_below(random, 6);
    for (size_t i = 0; i < length; i++) {
        word[i] = "abcAB"[random_below(random, 5)];
    }
    return length;
}

static void random_words_agree_with_the_definition(void)
{
    struct random random = {.state = 63};
    for (int i = 0; i < 4000; i++) {
        char a[6];
        char b[6];
        struct suggestion best = {0};
        size_t m = random_word(&random, a);
        size_t n = random_word(&random, b);
        size_t distance = defined(a, m, b, n);
        size_t longer = m > n ? m : n;
        suggest_consider(&best, a, m, b, n);
        CHECK_NOTE("%.*s, %.*s", (int)m, a, (int)n, b);
        if (3 * distance <= longer) {
            CHECK(best.word == b);
        } else if (3 * distance > longer + 2 || distance == longer) {
            CHECK(best.word == NULL);
        }
        CHECK(best.word == NULL || best.distance == distance);
    }
}

static const struct check_case cases[] = {
    CHECK_CASE(likely_mistakes_are_recognised),
    CHECK_CASE(strangers_are_not_near),
    CHECK_CASE(every_kind_of_mistake_counts_one),
    CHECK_CASE(swapped_letters_are_not_changed_again),
    CHECK_CASE(one_letter_in_three_is_near_enough),
    CHECK_CASE(nearest_wins_and_the_first_of_equals_stays),
    CHECK_CASE(case_folds_letters_only),
    CHECK_CASE(long_words),
    CHECK_CASE(lengths_count_not_terminators),
    CHECK_CASE(random_words_agree_with_the_definition),
};

int main(int count, char **names)
{
    return CHECK_RUN(cases, count, names);
}
