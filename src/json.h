#ifndef SENDAPI_JSON_H
#define SENDAPI_JSON_H

/*
 * JSON values (RFC 8259) appended to a buffer. What is appended is always ASCII or valid UTF-8.
 * Failures of memory or size stay in the buffer (buffer.h); what is returned here is about the
 * value.
 */

#include <stdbool.h>
#include <stddef.h> /* size_t */
#include <stdint.h> /* int64_t */

#include "buffer.h"
#include "visibility.h"

SENDAPI_HIDDEN_BEGIN

enum {
    JSON_NUMBER_SIZE = 32, /* bytes that hold any formatted number, with its terminator */
};

/*
 * Appends the text quoted and escaped. Returns false when it is not valid UTF-8 (RFC 3629: no
 * surrogates, no overlong forms, nothing above U+10FFFF); part of it may have been appended by
 * then. NUL bytes are characters like any other.
 */
bool json_append_string(struct buffer *buffer, const char *text, size_t length);

void json_append_integer(struct buffer *buffer, int64_t integer);

/*
 * Appends the number with 15 significant digits, or 16 or 17 where it takes them to read back as
 * the same number; without zeros at the end. Of a denormal number there may be a shorter text.
 * False when there is none (nan, inf). Does not depend on the locale.
 */
bool json_append_number(struct buffer *buffer, double number);

void json_append_literal(struct buffer *buffer, const char *literal);

/* The same texts as above, into memory of the caller; they return the length, 0 for nan and inf. */
size_t json_format_integer(int64_t integer, char text[JSON_NUMBER_SIZE]);
size_t json_format_number(double number, char text[JSON_NUMBER_SIZE]);

/* The number of characters (code points) of a text that is valid UTF-8. */
size_t json_count_characters(const char *text, size_t length);

SENDAPI_HIDDEN_END

#endif
