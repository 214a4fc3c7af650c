#ifndef SENDAPI_DATE_H
#define SENDAPI_DATE_H

/* Epoch seconds as the ISO 8601 text that the protocol uses (UTC, the Gregorian calendar). */

#include <stddef.h> /* size_t */

#include "visibility.h"

SENDAPI_HIDDEN_BEGIN

enum {
    DATE_SIZE = 32, /* bytes that hold any formatted date, with its terminator */
};

/*
 * Writes 2012-10-01T17:18:40Z, with milliseconds (the nearest of that second) when there are any,
 * and returns the length. Returns 0 for what is not a number or lies outside the years 1 to 9999.
 */
size_t date_format(double seconds, char text[DATE_SIZE]);

SENDAPI_HIDDEN_END

#endif
