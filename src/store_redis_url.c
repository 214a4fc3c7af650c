#include "store_redis_url.h"

#include <stdio.h>  /* snprintf(3) */
#include <stdlib.h> /* malloc(3) */
#include <string.h>

static bool fail(struct store_problem *problem, const char *sentence)
{
    problem->trouble = STORE_UNFIT;
    (void)snprintf(problem->reason, sizeof problem->reason, "%s", sentence);
    return false;
}

/* ---- percent-encoding ---- */

static int hex_value(char digit)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = memchr(digits, digit | (digit >= 'A' ? 0x20 : 0), sizeof digits - 1);
    return at != NULL ? (int)(at - digits) : -1;
}

/* Decodes into a field of `size` bytes; false when it does not fit, or is badly encoded. */
static bool decode(char *field, size_t size, const char *text, size_t length)
{
    size_t written = 0;
    for (size_t i = 0; i < length; i++) {
        char byte = text[i];
        if (byte == '%') {
            int high = i + 2 < length ? hex_value(text[i + 1]) : -1;
            int low = i + 2 < length ? hex_value(text[i + 2]) : -1;
            if (high < 0 || low < 0) {
                return false;
            }
            byte = (char)(high * 16 + low);
            i += 2;
        }
        if (byte == '\0' || written + 1 >= size) {
            return false;
        }
        field[written++] = byte;
    }
    field[written] = '\0';
    return true;
}

static bool stands_for_itself(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') || byte == '_' || byte == '.' || byte == '-';
}

char *redis_url_encode(const char *name)
{
    static const char digits[] = "0123456789ABCDEF";
    char *text = malloc(3 * strlen(name) + 1);
    char *end = text;
    for (; text != NULL && *name != '\0'; name++) {
        unsigned char byte = (unsigned char)*name;
        if (stands_for_itself(*name)) {
            *end++ = *name;
        } else {
            *end++ = '%';
            *end++ = digits[byte >> 4];
            *end++ = digits[byte & 15];
        }
    }
    if (text != NULL) {
        *end = '\0';
    }
    return text;
}

bool redis_url_decode(char *text)
{
    size_t length = strlen(text);
    for (size_t i = 0; i < length; i++) {
        if (text[i] != '%' && !stands_for_itself(text[i])) {
            return false;
        }
    }
    return decode(text, length + 1, text, length);
}

/* ---- numbers, in no locale ---- */

static bool read_whole(const char *text, size_t length, unsigned most, unsigned *number)
{
    unsigned value = 0;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9' || value > most) {
            return false;
        }
        value = value * 10 + (unsigned)(text[i] - '0');
    }
    *number = value;
    return length > 0 && length < 9 && value <= most;
}

static bool read_seconds(const char *text, size_t length, double *seconds)
{
    const char *point = memchr(text, '.', length);
    size_t whole = point != NULL ? (size_t)(point - text) : length;
    size_t digits = point != NULL ? length - whole - 1 : 0;
    unsigned before;
    unsigned after = 0;
    if (!read_whole(text, whole, 60, &before) || (point != NULL && digits == 0) ||
        (digits > 0 && !read_whole(point + 1, digits, 99999999, &after))) {
        return false;
    }
    double fraction = after;
    for (size_t i = 0; i < digits; i++) {
        fraction /= 10;
    }
    *seconds = before + fraction;
    return *seconds >= 0.01 && *seconds <= 60;
}

/* ---- the parts ---- */

static bool read_option(struct redis_url *url, const char *text, size_t length,
                        struct store_problem *problem)
{
    const char *equals = memchr(text, '=', length);
    size_t name = equals != NULL ? (size_t)(equals - text) : length;
    const char *value = equals != NULL ? equals + 1 : text + length;
    size_t rest = length - (size_t)(value - text);
    if (name == 6 && memcmp(text, "prefix", name) == 0) {
        return (decode(url->prefix, sizeof url->prefix, value, rest) &&
                strpbrk(url->prefix, "{}\r\n") == NULL) ||
               fail(problem, "the prefix of the outbox's url is too long, or has braces");
    }
    if (name == 7 && memcmp(text, "timeout", name) == 0) {
        return read_seconds(value, rest, &url->timeout) ||
               fail(problem, "the timeout of the outbox's url is not 0.01 to 60 seconds");
    }
    if (name == 5 && memcmp(text, "lease", name) == 0) {
        return (read_seconds(value, rest, &url->lease) && url->lease >= 1) ||
               fail(problem, "the lease of the outbox's url is not 1 to 60 seconds");
    }
    if (name == 2 && memcmp(text, "db", name) == 0 && url->is_unix) {
        return read_whole(value, rest, 999999, &url->db) ||
               fail(problem, "the db of the outbox's url is not a number");
    }
    return fail(problem, url->is_unix ? "the outbox's url has an option that is not db, lease, "
                                        "prefix or timeout"
                                      : "the outbox's url has an option that is not lease, prefix "
                                        "or timeout");
}

static bool read_options(struct redis_url *url, const char *text, struct store_problem *problem)
{
    while (*text != '\0') {
        size_t length = strcspn(text, "&");
        if (!read_option(url, text, length, problem)) {
            return false;
        }
        text += length + (text[length] == '&');
    }
    return true;
}

static bool read_user(struct redis_url *url, const char *text, size_t length,
                      struct store_problem *problem)
{
    const char *colon = memchr(text, ':', length);
    size_t user = colon != NULL ? (size_t)(colon - text) : length;
    return (colon != NULL && decode(url->user, sizeof url->user, text, user) &&
            decode(url->password, sizeof url->password, colon + 1, length - user - 1) &&
            url->password[0] != '\0') ||
           fail(problem, "what stands before the @ of the outbox's url is not user:password or "
                         ":password, percent-encoded");
}

/* host, host:port, [address] or [address]:port */
static bool read_host(struct redis_url *url, const char *text, size_t length)
{
    const char *end = text + length;
    const char *name = text;
    const char *colon = memchr(text, ':', length);
    const char *name_end = colon != NULL ? colon : end;
    if (length > 0 && *text == '[') {
        const char *bracket = memchr(text, ']', length);
        if (bracket == NULL) {
            return false;
        }
        name = text + 1;
        name_end = bracket;
        colon = bracket + 1 < end ? bracket + 1 : NULL;
    }
    return name_end > name &&
           decode(url->host, sizeof url->host, name, (size_t)(name_end - name)) &&
           (colon == NULL ||
            (*colon == ':' && read_whole(colon + 1, (size_t)(end - colon - 1), 65535, &url->port) &&
             url->port > 0));
}

static bool read_server(struct redis_url *url, const char *text, size_t length,
                        struct store_problem *problem)
{
    const char *slash = memchr(text, '/', length);
    size_t host = slash != NULL ? (size_t)(slash - text) : length;
    if (!read_host(url, text, host)) {
        return fail(problem, "the outbox's url has no host, or no port from 1 to 65535");
    }
    if (host + 1 < length && !read_whole(slash + 1, length - host - 1, 999999, &url->db)) {
        return fail(problem, "the db of the outbox's url is not a number");
    }
    (void)snprintf(url->place, sizeof url->place, "%.255s:%u/%u", url->host, url->port, url->db);
    return true;
}

static bool read_path(struct redis_url *url, const char *text, size_t length,
                      struct store_problem *problem)
{
    if (length == 0 || *text != '/' || !decode(url->host, sizeof url->host, text, length)) {
        return fail(problem, "the outbox's url has no absolute path of a socket");
    }
    (void)snprintf(url->place, sizeof url->place, "%.255s", url->host);
    return true;
}

static bool begins_with(const char *text, const char *beginning)
{
    return strncmp(text, beginning, strlen(beginning)) == 0;
}

/* The text behind the scheme; NULL with a problem. */
static const char *read_scheme(struct redis_url *url, const char *text,
                               struct store_problem *problem)
{
    url->is_unix = begins_with(text, "redis+unix://");
    if (url->is_unix || begins_with(text, "redis://")) {
        return strstr(text, "://") + 3;
    }
    (void)fail(problem, begins_with(text, "rediss://")
                            ? "rediss:// is not supported: let stunnel or the like do the TLS, and "
                              "name its local port with redis://"
                            : "the outbox's url begins with neither redis:// nor redis+unix://");
    return NULL;
}

/* Where the user's part ends: the last @ of the part that the query does not belong to. */
static size_t user_end(const char *text, size_t length)
{
    while (length > 0 && text[length - 1] != '@') {
        length--;
    }
    return length;
}

bool redis_url_parse(struct redis_url *url, const char *text, struct store_problem *problem)
{
    *url = (struct redis_url){.port = 6379, .prefix = "sendapi:", .timeout = 2};
    text = read_scheme(url, text, problem);
    if (text == NULL) {
        return false;
    }
    size_t length = strcspn(text, "?");
    const char *options = text + length + (text[length] == '?');
    size_t user = user_end(text, length);
    if (user > 0 && !read_user(url, text, user - 1, problem)) {
        return false;
    }
    text += user;
    length -= user;
    return (url->is_unix ? read_path(url, text, length, problem)
                         : read_server(url, text, length, problem)) &&
           read_options(url, options, problem);
}

void redis_url_wipe(struct redis_url *url)
{
    volatile char *byte = (volatile char *)url;
    for (size_t i = 0; i < sizeof *url; i++) {
        byte[i] = 0;
    }
}
