#include "json.h"

#include <inttypes.h> /* PRId64 */
#include <math.h>     /* isfinite(3) */
#include <stdio.h>    /* snprintf(3) */
#include <stdlib.h>   /* strtod(3) */
#include <string.h>   /* memcpy(3) strchr(3) strlen(3) */

/* What a byte needs: nothing, an escape, or a look at the sequence it begins. */
enum { PLAIN = 0, ESCAPED = 1, SEQUENCE = 2 };

enum { SHORT = 24 }; /* bytes */

static inline int byte_class(unsigned char byte)
{
    if (byte >= 0x80) {
        return SEQUENCE;
    }
    return byte < 0x20 || byte == '"' || byte == '\\' ? ESCAPED : PLAIN;
}

static size_t plain_run(const unsigned char *text, size_t length)
{
    size_t run = 0;
    while (run < length && byte_class(text[run]) == PLAIN) {
        run++;
    }
    return run;
}

static bool is_continuation(unsigned char byte)
{
    return (byte & 0xC0) == 0x80;
}

/*
 * The length of the well-formed sequence at `text`, 0 when there is none. The second byte's range
 * rules out overlong forms, surrogates and what lies above U+10FFFF (RFC 3629, section 4).
 */
static size_t sequence_length(const unsigned char *text, size_t length)
{
    unsigned char first = text[0];
    unsigned char low = 0x80;
    unsigned char high = 0xBF;
    size_t size = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    if (first < 0xC2 || first > 0xF4 || length < size) {
        return 0;
    }
    switch (first) {
    case 0xE0: low = 0xA0; break;
    case 0xED: high = 0x9F; break;
    case 0xF0: low = 0x90; break;
    case 0xF4: high = 0x8F; break;
    default: break;
    }
    if (text[1] < low || text[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < size; i++) {
        if (!is_continuation(text[i])) {
            return 0;
        }
    }
    return size;
}

/* The run of well-formed sequences at `text`: 0 when the first one is not. */
static size_t sequence_run(const unsigned char *text, size_t length)
{
    size_t run = 0;
    while (run < length && byte_class(text[run]) == SEQUENCE) {
        size_t size = sequence_length(text + run, length - run);
        if (size == 0) {
            return 0;
        }
        run += size;
    }
    return run;
}

static void append_escape(struct buffer *buffer, unsigned char byte)
{
    static const char short_from[] = "\"\\\b\f\n\r\t";
    static const char short_to[] = "\"\\bfnrt";
    static const char digits[] = "0123456789abcdef";
    const char *found = byte != 0 ? strchr(short_from, byte) : NULL;
    if (found != NULL) {
        char escape[2] = {'\\', short_to[found - short_from]};
        buffer_append(buffer, escape, sizeof escape);
    } else {
        char escape[6] = {'\\', 'u', '0', '0', digits[byte >> 4], digits[byte & 15]};
        buffer_append(buffer, escape, sizeof escape);
    }
}

/* Copies the plain run at the beginning of the text; a short one byte by byte, without a call. */
static size_t copy_run(char *to, const char *text, size_t length)
{
    size_t run = 0;
    if (length <= SHORT) {
        for (; run < length && byte_class((unsigned char)text[run]) == PLAIN; run++) {
            to[run] = text[run];
        }
        return run;
    }
    run = plain_run((const unsigned char *)text, length);
    memcpy(to, text, run);
    return run;
}

/* Most texts need no escape. Returns how far it came; the end quote counts. */
static size_t append_plain(struct buffer *buffer, const char *text, size_t length)
{
    char *end = buffer_reserve(buffer, length + 2);
    if (end == NULL) {
        return 0;
    }
    *end = '"';
    size_t run = copy_run(end + 1, text, length);
    end[run + 1] = '"'; /* overwritten when there is more */
    buffer->length += run + (run == length ? 2 : 1);
    return run + (run == length);
}

bool json_append_string(struct buffer *buffer, const char *text, size_t length)
{
    const unsigned char *bytes = (const unsigned char *)text;
    size_t begun = append_plain(buffer, text, length);
    if (begun > length) {
        return true;
    }
    for (size_t at = begun; at < length;) {
        int class = byte_class(bytes[at]);
        if (class == ESCAPED) {
            append_escape(buffer, bytes[at++]);
            continue;
        }
        size_t run = class == PLAIN ? plain_run(bytes + at, length - at)
                                    : sequence_run(bytes + at, length - at);
        if (run == 0) {
            return false;
        }
        buffer_append(buffer, text + at, run);
        at += run;
    }
    buffer_append_byte(buffer, '"');
    return true;
}

size_t json_format_integer(int64_t integer, char text[JSON_NUMBER_SIZE])
{
    return (size_t)snprintf(text, JSON_NUMBER_SIZE, "%" PRId64, integer);
}

/* printf writes the locale's decimal point, which may be several bytes long. */
static size_t without_locale(char *text)
{
    size_t to = 0;
    bool pointed = false;
    for (size_t from = 0; text[from] != '\0'; from++) {
        bool known = strchr("0123456789+-eE", text[from]) != NULL;
        if (known || !pointed) {
            text[to++] = (char)(known ? text[from] : '.');
        }
        pointed = pointed || !known;
    }
    text[to] = '\0';
    return to;
}

size_t json_format_number(double number, char text[JSON_NUMBER_SIZE])
{
    if (!isfinite(number)) {
        return 0;
    }
    for (int digits = 15; digits <= 17; digits++) {
        (void)snprintf(text, JSON_NUMBER_SIZE, "%.*g", digits, number);
        if (digits == 17 || !(strtod(text, NULL) < number || strtod(text, NULL) > number)) {
            break;
        }
    }
    return without_locale(text);
}

void json_append_integer(struct buffer *buffer, int64_t integer)
{
    char text[JSON_NUMBER_SIZE];
    buffer_append(buffer, text, json_format_integer(integer, text));
}

bool json_append_number(struct buffer *buffer, double number)
{
    char text[JSON_NUMBER_SIZE];
    size_t length = json_format_number(number, text);
    buffer_append(buffer, text, length);
    return length > 0;
}

void json_append_literal(struct buffer *buffer, const char *literal)
{
    buffer_append(buffer, literal, strlen(literal));
}

size_t json_count_characters(const char *text, size_t length)
{
    size_t count = 0;
    for (size_t i = 0; i < length; i++) {
        count += !is_continuation((unsigned char)text[i]);
    }
    return count;
}
