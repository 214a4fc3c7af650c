#include "failure.h"

#include <limits.h> /* LONG_MAX */
#include <stdbool.h>
#include <string.h> /* strlen(3) memcpy(3) */

#include "check.h"
#include "exact.h"
#include "random.h"

/* The server's error table: every row, with its exact text. */
static const struct row {
    long status;
    const char *text;
    enum failure failure;
    const char *code;
} rows[] = {
    {400, "Bad request", FAILURE_BAD_REQUEST, "bad_request"},
    {400, "Invalid request format", FAILURE_INVALID_REQUEST_FORMAT, "invalid_request_format"},
    {413, "Invalid request size (max: 20971520 bytes)", FAILURE_REQUEST_TOO_LARGE,
     "request_too_large"},
    {422, "Source not found", FAILURE_SOURCE_NOT_FOUND, "source_not_found"},
    {422, "Invalid signature", FAILURE_INVALID_SIGNATURE, "invalid_signature"},
    {422, "Invalid action", FAILURE_INVALID_ACTION, "invalid_action"},
    {422, "Invalid resource format", FAILURE_INVALID_RESOURCE_FORMAT, "invalid_resource_format"},
    {422, "Source doesn't support structured contents", FAILURE_STRUCTURED_CONTENTS_UNSUPPORTED,
     "structured_contents_unsupported"},
    {422, "Type is required for structured contents", FAILURE_STRUCTURED_CONTENT_TYPE_MISSING,
     "structured_content_type_missing"},
    {422, "Source doesn't support this type of structured content",
     FAILURE_STRUCTURED_CONTENT_TYPE_UNSUPPORTED, "structured_content_type_unsupported"},
    {422, "`structured_content`: \"attribute_name\" must not be empty",
     FAILURE_STRUCTURED_CONTENT_ATTRIBUTE_EMPTY, "structured_content_attribute_empty"},
    {422, "The author must be puppetizable", FAILURE_AUTHOR_NOT_PUPPETIZABLE,
     "author_not_puppetizable"},
    {429, "too many typing requests, please try again in a few seconds",
     FAILURE_TOO_MANY_TYPING_REQUESTS, "too_many_typing_requests"},
};
enum { ROW_COUNT = sizeof rows / sizeof rows[0] };

static enum failure answer(long status, const char *body, size_t length)
{
    struct exact exact = exact_copy(body, length);
    enum failure failure = failure_of_answer(status, exact.bytes, length);
    exact_free(&exact);
    return failure;
}

static enum failure answer_text(long status, const char *body)
{
    return answer(status, body, strlen(body));
}

/* What an answer of this status means when its text is none of the table's. */
static enum failure of_status(long status)
{
    static const struct {
        long status;
        enum failure failure;
    } known[] = {
        {400, FAILURE_BAD_REQUEST}, {401, FAILURE_FORBIDDEN}, {403, FAILURE_FORBIDDEN},
        {404, FAILURE_FORBIDDEN},   {408, FAILURE_TIMEOUT},   {413, FAILURE_REQUEST_TOO_LARGE},
        {422, FAILURE_REFUSED},     {429, FAILURE_THROTTLED},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (known[i].status == status) {
            return known[i].failure;
        }
    }
    return status >= 500                   ? FAILURE_SERVER_ERROR
           : status >= 300 && status < 400 ? FAILURE_REDIRECTED
                                           : FAILURE_UNEXPECTED_RESPONSE;
}

/* ---- the table of codes ---- */

static void every_failure_has_its_row(void)
{
    for (int i = 0; i < FAILURE_COUNT; i++) {
        const struct failure_row *row = failure_row((enum failure)i);
        CHECK_NOTE("failure %d", i);
        if (!CHECK(row != NULL && row->code != NULL && row->sentence != NULL)) {
            continue;
        }
        CHECK(row->code[0] != '\0' && row->sentence[0] != '\0');
        CHECK_SIZE(strspn(row->code, "abcdefghijklmnopqrstuvwxyz_"), strlen(row->code));
        CHECK_INT(row->class == CLASS_NONE, i == FAILURE_NONE);
        for (int j = 0; j < i; j++) {
            CHECK(strcmp(row->code, failure_row((enum failure)j)->code) != 0);
        }
    }
}

static void classes_have_their_names(void)
{
    CHECK_TEXT(failure_class_name(CLASS_NONE), NULL);
    CHECK_TEXT(failure_class_name(CLASS_TRANSIENT), "transient");
    CHECK_TEXT(failure_class_name(CLASS_THROTTLED), "throttled");
    CHECK_TEXT(failure_class_name(CLASS_SOURCE), "source");
    CHECK_TEXT(failure_class_name(CLASS_MESSAGE), "message");
    CHECK_TEXT(failure_class_name(CLASS_LOCAL), "local");
}

static void check_class(enum failure failure, enum failure_class expected)
{
    CHECK_NOTE("%s", failure_row(failure)->code);
    CHECK_INT(failure_row(failure)->class, expected);
}

/* What is at fault decides whether a message is sent again, given up, or waits for its source. */
static void classes_say_what_is_at_fault(void)
{
    static const enum failure source[] = {FAILURE_SOURCE_NOT_FOUND,
                                          FAILURE_INVALID_SIGNATURE,
                                          FAILURE_FORBIDDEN,
                                          FAILURE_REDIRECTED,
                                          FAILURE_CERTIFICATE_EXPIRED,
                                          FAILURE_CERTIFICATE_UNTRUSTED,
                                          FAILURE_CERTIFICATE_WRONG_HOST};
    static const enum failure transient[] = {FAILURE_SERVER_ERROR,      FAILURE_TIMEOUT,
                                             FAILURE_CONNECTION_CLOSED, FAILURE_CONNECTION_FAILED,
                                             FAILURE_NAME_NOT_RESOLVED, FAILURE_CONNECTION_REFUSED};
    static const enum failure local[] = {FAILURE_INVALID_PARAMS, FAILURE_QUEUE_FULL, FAILURE_CLOSED,
                                         FAILURE_NO_MEMORY};
    for (size_t i = 0; i < sizeof source / sizeof source[0]; i++) {
        check_class(source[i], CLASS_SOURCE);
    }
    for (size_t i = 0; i < sizeof transient / sizeof transient[0]; i++) {
        check_class(transient[i], CLASS_TRANSIENT);
    }
    for (size_t i = 0; i < sizeof local / sizeof local[0]; i++) {
        check_class(local[i], CLASS_LOCAL);
    }
    check_class(FAILURE_TOO_MANY_TYPING_REQUESTS, CLASS_THROTTLED);
    check_class(FAILURE_THROTTLED, CLASS_THROTTLED);
}

static void refusals_of_a_message_are_final(void)
{
    for (size_t i = 0; i < ROW_COUNT; i++) {
        bool elsewhere = rows[i].failure == FAILURE_SOURCE_NOT_FOUND ||
                         rows[i].failure == FAILURE_INVALID_SIGNATURE || rows[i].status == 429;
        if (!elsewhere) {
            check_class(rows[i].failure, CLASS_MESSAGE);
        }
    }
    check_class(FAILURE_REFUSED, CLASS_MESSAGE);
}

/* ---- answers ---- */

static void only_200_with_ok_is_delivered(void)
{
    CHECK_INT(answer_text(200, "ok"), FAILURE_NONE);
    CHECK_INT(answer_text(200, " \t\r\n\v\fok\r\n"), FAILURE_NONE);
    static const char *const others[] = {
        "",    "o",      "k",   "okay", "OK",  "Ok", "oks",  "not",       "ok ok",
        "o k", "\"ok\"", "ok.", "0k",   "ok,", "{}", "null", "<p>ok</p>", "\xEF\xBB\xBFok"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        CHECK_NOTE("%s", others[i]);
        CHECK_INT(answer_text(200, others[i]), FAILURE_UNEXPECTED_RESPONSE);
    }
    CHECK_INT(answer(200, "ok\0", 3), FAILURE_UNEXPECTED_RESPONSE);
    CHECK_INT(answer(200, "\0ok", 3), FAILURE_UNEXPECTED_RESPONSE);
}

static void ok_with_another_status_is_not_delivered(void)
{
    for (long status = -1; status < 1100; status++) {
        CHECK_NOTE("status %ld", status);
        if (status != 200) {
            CHECK_INT(answer_text(status, "ok"), of_status(status));
        }
    }
}

static void every_row_is_recognised(void)
{
    for (size_t i = 0; i < ROW_COUNT; i++) {
        CHECK_NOTE("%s", rows[i].text);
        CHECK_INT(answer_text(rows[i].status, rows[i].text), rows[i].failure);
        CHECK_TEXT(failure_row(rows[i].failure)->code, rows[i].code);
    }
}

static enum failure between(const struct row *row, const char *before, const char *after)
{
    char text[200];
    (void)snprintf(text, sizeof text, "%s%s%s", before, row->text, after);
    return answer_text(row->status, text);
}

static void white_space_around_a_row_does_not_count(void)
{
    for (size_t i = 0; i < ROW_COUNT; i++) {
        CHECK_NOTE("%s", rows[i].text);
        CHECK_INT(between(&rows[i], "", "\n"), rows[i].failure);
        CHECK_INT(between(&rows[i], "\r\n", ""), rows[i].failure);
        CHECK_INT(between(&rows[i], " \t\n\v\f\r", " \t\n\v\f\r"), rows[i].failure);
    }
}

static void more_around_a_row_is_another_text(void)
{
    static const char *const more[] = {".", "x", "\xC2\xA0", "\x1f", "\x0e", "\x08", "_"};
    for (size_t i = 0; i < ROW_COUNT; i++) {
        bool attribute = rows[i].failure == FAILURE_STRUCTURED_CONTENT_ATTRIBUTE_EMPTY;
        enum failure expected = of_status(rows[i].status);
        for (size_t j = 0; j < sizeof more / sizeof more[0]; j++) {
            CHECK_NOTE("%s and %s", rows[i].text, more[j]);
            CHECK_INT(between(&rows[i], "", more[j]), expected);
            CHECK_INT(between(&rows[i], more[j], ""), expected);
        }
        CHECK_INT(between(&rows[i], "", rows[i].text), attribute ? rows[i].failure : expected);
    }
}

static void cut_row_is_another_text(void)
{
    for (size_t i = 0; i < ROW_COUNT; i++) {
        size_t length = strlen(rows[i].text);
        enum failure expected = of_status(rows[i].status);
        for (size_t kept = 0; kept < length; kept++) {
            CHECK_NOTE("%.*s", (int)kept, rows[i].text);
            CHECK_INT(answer(rows[i].status, rows[i].text, kept), expected);
        }
        CHECK_INT(answer(rows[i].status, rows[i].text, length + 1), expected); /* with a NUL */
    }
}

/* Of the row with an attribute only its two ends are fixed; of the others every character is. */
static void changed_row_is_another_text(void)
{
    for (size_t i = 0; i < ROW_COUNT; i++) {
        char text[100];
        size_t length = strlen(rows[i].text);
        for (size_t at = 0; at < length; at++) {
            memcpy(text, rows[i].text, length);
            text[at] = (char)(text[at] ^ 0x20);
            bool name = rows[i].failure == FAILURE_STRUCTURED_CONTENT_ATTRIBUTE_EMPTY && at > 18 &&
                        at < length - 17;
            CHECK_NOTE("%.*s", (int)length, text);
            CHECK_INT(answer(rows[i].status, text, length),
                      name ? rows[i].failure : of_status(rows[i].status));
        }
    }
}

static void row_with_another_status_is_not_that_row(void)
{
    static const long statuses[] = {200, 201, 302, 400, 404, 413, 422, 429, 500, 503};
    for (size_t i = 0; i < ROW_COUNT; i++) {
        for (size_t j = 0; j < sizeof statuses / sizeof statuses[0]; j++) {
            CHECK_NOTE("%ld %s", statuses[j], rows[i].text);
            if (statuses[j] != rows[i].status) {
                CHECK_INT(answer_text(statuses[j], rows[i].text), of_status(statuses[j]));
            }
        }
    }
}

static void any_attribute_may_be_empty(void)
{
    static const char *const empty[] = {
        "`structured_content`: \"title\" must not be empty",
        "structured_content: \"title\" must not be empty",
        "`structured_content`: \"items\" must not be empty\n",
        "`structured_content`: \"items[0].title\" must not be empty",
        "`structured_content`: \"\" must not be empty",
    };
    static const char *const others[] = {
        "`structured_content`",
        "structured_content",
        "must not be empty",
        "\"title\" must not be empty",
        "structured_contentmust not be empty",
        "`structured_contentmust not be empty",
        "structured_conten: \"title\" must not be empty",
        "``structured_content`: \"title\" must not be empty",
        "`structured_content`: \"title\" must not be empty!",
    };
    for (size_t i = 0; i < sizeof empty / sizeof empty[0]; i++) {
        CHECK_NOTE("%s", empty[i]);
        CHECK_INT(answer_text(422, empty[i]), FAILURE_STRUCTURED_CONTENT_ATTRIBUTE_EMPTY);
        CHECK_INT(answer_text(400, empty[i]), FAILURE_BAD_REQUEST);
    }
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        CHECK_NOTE("%s", others[i]);
        CHECK_INT(answer_text(422, others[i]), FAILURE_REFUSED);
    }
}

static void every_status_has_its_meaning(void)
{
    static const char *const bodies[] = {"", "\n", "<html>nginx</html>", "Something new"};
    for (long status = 0; status < 1100; status++) {
        for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
            CHECK_NOTE("status %ld", status);
            CHECK_INT(answer_text(status, bodies[i]), of_status(status));
        }
    }
    CHECK_INT(answer_text(LONG_MAX, ""), FAILURE_SERVER_ERROR);
    CHECK_INT(answer_text(-422, ""), FAILURE_UNEXPECTED_RESPONSE);
    CHECK_INT(answer_text(LONG_MIN, "ok"), FAILURE_UNEXPECTED_RESPONSE);
}

static void no_body_at_all(void)
{
    for (size_t i = 0; i < ROW_COUNT; i++) {
        CHECK_INT(failure_of_answer(rows[i].status, NULL, 0), of_status(rows[i].status));
    }
    CHECK_INT(failure_of_answer(200, NULL, 0), FAILURE_UNEXPECTED_RESPONSE);
}

static void white_space_only(void)
{
    char blanks[3000];
    memset(blanks, ' ', sizeof blanks);
    for (size_t length = 0; length <= sizeof blanks; length += 100) {
        CHECK_INT(answer(200, blanks, length), FAILURE_UNEXPECTED_RESPONSE);
        CHECK_INT(answer(422, blanks, length), FAILURE_REFUSED);
    }
}

/* Whatever the bytes are, no byte before or behind them is looked at. */
static void random_bodies_mean_their_status(void)
{
    struct random random = {.state = 422};
    for (int i = 0; i < 3000; i++) {
        char body[80];
        size_t length = (size_t)random_below(&random, sizeof body);
        long status = (long)random_below(&random, 600);
        for (size_t at = 0; at < length; at++) {
            body[at] = "ok \n`structed_cn:mubp\0\xFF\x85"[random_below(&random, 25)];
        }
        if (status != 200) {
            CHECK_NOTE("%.*s", (int)length, body);
            CHECK_INT(answer(status, body, length), of_status(status));
        }
    }
}

static const struct check_case cases[] = {
    CHECK_CASE(every_failure_has_its_row),
    CHECK_CASE(classes_have_their_names),
    CHECK_CASE(classes_say_what_is_at_fault),
    CHECK_CASE(refusals_of_a_message_are_final),
    CHECK_CASE(only_200_with_ok_is_delivered),
    CHECK_CASE(ok_with_another_status_is_not_delivered),
    CHECK_CASE(every_row_is_recognised),
    CHECK_CASE(white_space_around_a_row_does_not_count),
    CHECK_CASE(more_around_a_row_is_another_text),
    CHECK_CASE(cut_row_is_another_text),
    CHECK_CASE(changed_row_is_another_text),
    CHECK_CASE(row_with_another_status_is_not_that_row),
    CHECK_CASE(any_attribute_may_be_empty),
    CHECK_CASE(every_status_has_its_meaning),
    CHECK_CASE(no_body_at_all),
    CHECK_CASE(white_space_only),
    CHECK_CASE(random_bodies_mean_their_status),
};

int main(int count, char **names)
{
    return CHECK_RUN(cases, count, names);
}
