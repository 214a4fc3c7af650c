#include "http.h"

#include <ctype.h>  /* isalnum(3) tolower(3) */
#include <stdio.h>  /* snprintf(3) */
#include <string.h> /* memchr(3) strchr(3) */

#include <curl/curl.h>

#include "engine.h"
#include "signals.h"

_Static_assert(HTTP_REASON >= CURL_ERROR_SIZE, "libcurl writes its reasons there");

static const double LONGEST_TIMEOUT = 2147483.0; /* seconds: libcurl counts milliseconds */

/* ---- what is asked ---- */

static bool refuse(struct http_answer *answer, const char *reason)
{
    (void)snprintf(answer->reason, sizeof answer->reason, "%s", reason);
    return false;
}

static bool is_control(char byte)
{
    return (unsigned char)byte < 0x20 || byte == 0x7f;
}

static bool is_one_line(const char *text)
{
    while (*text != '\0' && !is_control(*text)) {
        text++;
    }
    return *text == '\0';
}

/* The bytes that a method or the name of a header may have (RFC 9110, section 5.6.2). */
static size_t token_length(const char *text)
{
    size_t length = 0;
    while (isalnum((unsigned char)text[length]) ||
           (text[length] != '\0' && strchr("!#$%&'*+-.^_`|~", text[length]) != NULL)) {
        length++;
    }
    return length;
}

/* A line without a value would be an order to libcurl. */
static bool is_header(const char *line)
{
    size_t name = token_length(line);
    return name > 0 && line[name] == ':' && line[name + 1 + strspn(line + name + 1, " ")] != '\0' &&
           is_one_line(line);
}

static bool check_words(const struct http_request *request, struct http_answer *answer)
{
    const char *method = request->method;
    if (method != NULL && (method[0] == '\0' || method[token_length(method)] != '\0')) {
        return refuse(answer, "method: a word is needed");
    }
    for (size_t i = 0; i < request->header_count; i++) {
        if (!is_header(request->headers[i])) {
            return refuse(answer, "headers: each must be one line, \"Name: value\"");
        }
    }
    return true;
}

/* Also without the memory to tell. */
static bool has_credentials(CURLU *url)
{
    char *user = NULL;
    char *password = NULL;
    bool none = curl_url_get(url, CURLUPART_USER, &user, 0) == CURLUE_NO_USER &&
                curl_url_get(url, CURLUPART_PASSWORD, &password, 0) == CURLUE_NO_PASSWORD;
    curl_free(user);
    curl_free(password);
    return !none;
}

static bool is_http(CURLU *url)
{
    char *scheme = NULL;
    bool fine = curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
                (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0);
    curl_free(scheme);
    return fine;
}

static bool check_url(CURLU *url, const char *text, struct http_answer *answer)
{
    CURLUcode code = is_one_line(text) && strchr(text, ' ') == NULL
                         ? curl_url_set(url, CURLUPART_URL, text, 0)
                         : CURLUE_MALFORMED_INPUT;
    if (code == CURLUE_OUT_OF_MEMORY) {
        return refuse(answer, "not enough memory");
    }
    if (code == CURLUE_UNSUPPORTED_SCHEME || (code == CURLUE_OK && !is_http(url))) {
        return refuse(answer, "url: only http and https");
    }
    if (code != CURLUE_OK) {
        return refuse(answer, "url: expected something like https://example.com/path");
    }
    if (has_credentials(url)) {
        return refuse(answer, "url: no name or password may be in it");
    }
    return true;
}

static bool add(struct curl_slist **list, const char *line)
{
    struct curl_slist *longer = curl_slist_append(*list, line);
    *list = longer != NULL ? longer : *list;
    return longer != NULL;
}

/* libcurl's own are taken away first: a line with a value goes out all the same. */
static bool list_headers(const struct http_request *request, struct curl_slist **list)
{
    bool fine = add(list, "Expect:") && add(list, "Content-Type:");
    for (size_t i = 0; fine && i < request->header_count; i++) {
        fine = add(list, request->headers[i]);
    }
    return fine;
}

/* ---- what comes ---- */

static size_t on_body(char *bytes, size_t size, size_t count, void *context)
{
    struct http_answer *answer = context;
    buffer_append(&answer->body, bytes, size * count);
    return answer->body.failure == BUFFER_FINE ? size * count : 0;
}

/* A line without its end, its name in lower case; what is no header is passed over. */
static void keep_line(struct buffer *head, const char *line, size_t length)
{
    const char *colon = memchr(line, ':', length);
    if (colon == NULL || colon == line) {
        return;
    }
    for (const char *at = line; at < colon; at++) {
        buffer_append_byte(head, (char)tolower((unsigned char)*at));
    }
    buffer_append(head, colon, length - (size_t)(colon - line));
    buffer_append_byte(head, '\n');
}

/* Each of several heads begins with a status line and ends with an empty one; trailers are none. */
static void take_line(struct http_answer *answer, const char *line, size_t length)
{
    while (length > 0 && (line[length - 1] == '\n' || line[length - 1] == '\r')) {
        length--;
    }
    if (length == 0) {
        answer->head_is_whole = true;
    } else if (length >= 5 && memcmp(line, "HTTP/", 5) == 0) {
        answer->head_is_whole = false;
        buffer_clear(&answer->head);
    } else if (!answer->head_is_whole) {
        keep_line(&answer->head, line, length);
    }
}

static size_t on_header(char *bytes, size_t size, size_t count, void *context)
{
    struct http_answer *answer = context;
    answer->head_bytes += size * count;
    if (answer->head_bytes > HTTP_HEAD_MAXIMUM) {
        answer->head.failure = BUFFER_TOO_LARGE;
        return 0;
    }
    take_line(answer, bytes, size * count);
    return answer->head.failure == BUFFER_FINE ? size * count : 0;
}

/* ---- the exchange ---- */

static long milliseconds(double seconds)
{
    double limited = seconds < LONGEST_TIMEOUT ? seconds * 1000.0 : LONGEST_TIMEOUT * 1000.0;
    return limited < 1 ? 1 : (long)limited;
}

static CURLcode set_method(CURL *easy, const struct http_request *request)
{
    CURLcode result = CURLE_OK;
    if (request->body != NULL) {
        (void)curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_length);
        result = curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request->body);
    }
    if (result == CURLE_OK && request->method != NULL) {
        if (strcmp(request->method, "HEAD") == 0) {
            (void)curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
        }
        result = curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
    }
    return result;
}

static void receive_into(CURL *easy, struct http_answer *answer)
{
    (void)curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, answer->reason);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEDATA, answer);
    (void)curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    (void)curl_easy_setopt(easy, CURLOPT_HEADERDATA, answer);
}

/* A setting that libcurl refuses (no memory, a build without it) must not be passed over. */
static CURLcode prepare(CURL *easy, CURLU *url, struct curl_slist *headers,
                        const struct http_request *request, struct http_answer *answer)
{
    (void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    (void)curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    (void)curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, milliseconds(request->timeout));
#if LIBCURL_VERSION_NUM >= 0x075700
    (void)curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L); /* never wait for a resolver's thread */
#endif
    receive_into(easy, answer);
    CURLcode result = curl_easy_setopt(easy, CURLOPT_CURLU, url);
    if (result == CURLE_OK) {
        result = curl_easy_setopt(easy, CURLOPT_PROXY, ""); /* the environment's neither */
    }
    if (result == CURLE_OK && request->ca_file != NULL) {
        result = curl_easy_setopt(easy, CURLOPT_CAINFO, request->ca_file);
    }
    return result == CURLE_OK ? set_method(easy, request) : result;
}

static bool explain(struct http_answer *answer, CURLcode result, size_t limit)
{
    if (answer->head.failure == BUFFER_TOO_LARGE) {
        return refuse(answer, "the head of the answer is too large");
    }
    if (answer->body.failure == BUFFER_TOO_LARGE) {
        (void)snprintf(answer->reason, sizeof answer->reason, "the answer is larger than %zu bytes",
                       limit);
        return false;
    }
    if (answer->head.failure != BUFFER_FINE || answer->body.failure != BUFFER_FINE) {
        return refuse(answer, "not enough memory");
    }
    if (result == CURLE_OK) {
        return refuse(answer, "the connection ended within the head of the answer");
    }
    return answer->reason[0] != '\0' ? false : refuse(answer, curl_easy_strerror(result));
}

static bool perform(CURL *easy, CURLU *url, struct curl_slist *headers,
                    const struct http_request *request, struct http_answer *answer)
{
    CURLcode result = prepare(easy, url, headers, request, answer);
    if (result == CURLE_OK) {
        result = curl_easy_perform(easy);
    }
    (void)curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &answer->status);
    bool whole = result == CURLE_OK && answer->head_is_whole;
    return whole || explain(answer, result, request->limit);
}

static bool ask(CURLU *url, const struct http_request *request, struct http_answer *answer)
{
    struct curl_slist *headers = NULL;
    CURL *easy = curl_easy_init();
    bool ready = easy != NULL && list_headers(request, &headers);
    bool fine =
        ready ? perform(easy, url, headers, request, answer) : refuse(answer, "not enough memory");
    if (easy != NULL) {
        curl_easy_cleanup(easy);
    }
    curl_slist_free_all(headers);
    return fine;
}

/* Also the end of a TLS connection, in the handle's cleanup, may raise SIGPIPE. */
static bool ask_without_signal(CURLU *url, const struct http_request *request,
                               struct http_answer *answer)
{
    struct signals signals;
    signals_hold_pipe(&signals);
    bool fine = ask(url, request, answer);
    signals_release(&signals);
    return fine;
}

bool http_exchange(const struct http_request *request, struct http_answer *answer)
{
    http_release(answer);
    *answer = (struct http_answer){0};
    buffer_init(&answer->head, 0, HTTP_HEAD_MAXIMUM);
    buffer_init(&answer->body, 0, request->limit);
    const char *unfit = engine_prepare();
    if (unfit != NULL) {
        return refuse(answer, unfit);
    }
    CURLU *url = curl_url();
    bool fine = url != NULL ? check_words(request, answer) && check_url(url, request->url, answer)
                            : refuse(answer, "not enough memory");
    fine = fine && ask_without_signal(url, request, answer);
    curl_url_cleanup(url);
    if (!fine) {
        http_release(answer);
    }
    return fine;
}

void http_release(struct http_answer *answer)
{
    buffer_release(&answer->head);
    buffer_release(&answer->body);
}

static const char *skip_blank(const char *from, const char *end)
{
    while (from < end && (*from == ' ' || *from == '\t')) {
        from++;
    }
    return from;
}

bool http_next_header(const struct http_answer *answer, size_t *position,
                      struct http_header *header)
{
    if (*position >= answer->head.length) {
        return false;
    }
    const char *name = buffer_bytes(&answer->head) + *position;
    const char *end = memchr(name, '\n', answer->head.length - *position);
    const char *colon = memchr(name, ':', (size_t)(end - name));
    const char *value = skip_blank(colon + 1, end);
    *position += (size_t)(end - name) + 1;
    while (end > value && (end[-1] == ' ' || end[-1] == '\t')) {
        end--;
    }
    *header = (struct http_header){
        .name = name,
        .name_length = (size_t)(colon - name),
        .value = value,
        .value_length = (size_t)(end - value),
    };
    return true;
}
