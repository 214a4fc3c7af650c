#include "date.h"

#include <stdio.h> /* snprintf(3) */
#include <time.h>  /* gmtime_r(3) */

static const double FIRST = -62135596800.0; /* 0001-01-01T00:00:00Z */
static const double LAST = 253402300800.0;  /* 10000-01-01T00:00:00Z, not included */

size_t date_format(double seconds, char text[DATE_SIZE])
{
    if (!(seconds >= FIRST && seconds < LAST)) {
        return 0;
    }
    time_t time = (time_t)seconds;
    if ((double)time > seconds) {
        time--; /* the cast rounds towards zero, a clock rounds down */
    }
    int milliseconds = (int)((seconds - (double)time) * 1000.0 + 0.5);
    if (milliseconds > 999) {
        milliseconds = 999; /* not into the next second, which may be that of another year */
    }
    struct tm parts;
    if (gmtime_r(&time, &parts) == NULL) {
        return 0;
    }
    int length =
        snprintf(text, DATE_SIZE, "%04d-%02d-%02dT%02d:%02d:%02d", parts.tm_year + 1900,
                 parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec);
    if (length < 0 || length >= DATE_SIZE - 5) {
        return 0;
    }
    size_t used = (size_t)length;
    int rest = milliseconds > 0 ? snprintf(text + used, DATE_SIZE - used, ".%03dZ", milliseconds)
                                : snprintf(text + used, DATE_SIZE - used, "Z");
    return used + (size_t)rest;
}
