#include "transfer.h"

#include <errno.h>   /* ECONNREFUSED */
#include <stdlib.h>  /* calloc(3) free(3) */
#include <string.h>  /* memcpy(3) strdup(3) */
#include <strings.h> /* strncasecmp(3) */
#include <time.h>    /* time(2) */

#include <openssl/x509_vfy.h> /* X509_V_ERR_* */

static const char SIGNATURE_NAME[] = "X-SMCCSDK-SIGNATURE: ";

enum {
    IDLE_SECONDS = 50, /* shorter than what servers and balancers keep: no race with their end */
    LIFETIME_SECONDS = 600, /* so that a moved name is followed */
};

static size_t on_body(char *bytes, size_t size, size_t count, void *context)
{
    struct transfer *transfer = context;
    buffer_append(&transfer->response, bytes, size * count);
    return transfer->response.failure == BUFFER_FINE ? size * count : 0;
}

static void keep_retry_after(struct outcome *outcome, const char *line, size_t length)
{
    static const char name[] = "retry-after:";
    size_t name_length = sizeof name - 1;
    if (length > name_length && strncasecmp(line, name, name_length) == 0) {
        outcome->retry_after =
            retry_after_seconds(line + name_length, length - name_length, time(NULL));
    }
}

/* Each of several heads begins with a status line and ends with an empty one; trailers are none. */
static void note_head(struct transfer *transfer, const char *line, size_t length)
{
    if (length >= 5 && memcmp(line, "HTTP/", 5) == 0) {
        transfer->head_is_whole = false;
    } else if (line[0] == '\r' || line[0] == '\n') {
        transfer->head_is_whole = true;
    }
}

/* libcurl keeps headers in memory: a server that never ends them is cut off like a long body. */
static size_t on_header(char *bytes, size_t size, size_t count, void *context)
{
    struct transfer *transfer = context;
    note_head(transfer, bytes, size * count);
    keep_retry_after(&transfer->request->outcome, bytes, size * count);
    transfer->header_bytes += size * count;
    if (transfer->header_bytes > RESPONSE_MAXIMUM) {
        transfer->response.failure = BUFFER_TOO_LARGE;
        return 0;
    }
    return size * count;
}

/* The headers that never change; the signature's node goes before them. */
static bool make_headers(struct transfer *transfer)
{
    struct curl_slist *list = curl_slist_append(NULL, "Content-Type: application/json");
    transfer->headers = list;
    if (list == NULL || curl_slist_append(list, "Expect:") == NULL) { /* else 1 s over 1 MiB */
        return false;
    }
    memcpy(transfer->signature, SIGNATURE_NAME, sizeof SIGNATURE_NAME);
    transfer->signature_header.data = transfer->signature;
    transfer->signature_header.next = list;
    return true;
}

static void allow_http_only(CURL *easy)
{
#if LIBCURL_VERSION_NUM >= 0x075500
    (void)curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
#else
    (void)curl_easy_setopt(easy, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
}

/* What holds for every request. No redirects, no cookies, no netrc: all of them libcurl's default.
 */
static void set_up(struct transfer *transfer)
{
    CURL *easy = transfer->easy;
    (void)curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
    (void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_POST, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_HTTPHEADER, &transfer->signature_header);
    (void)curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->error);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
    (void)curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    (void)curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
    (void)curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, (long)IDLE_SECONDS);
#if LIBCURL_VERSION_NUM >= 0x075000
    (void)curl_easy_setopt(easy, CURLOPT_MAXLIFETIME_CONN, (long)LIFETIME_SECONDS);
#endif
#if LIBCURL_VERSION_NUM >= 0x075700
    (void)curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L); /* never wait for a resolver's thread */
#endif
    allow_http_only(easy);
}

struct transfer *transfer_new(void)
{
    struct transfer *transfer = calloc(1, sizeof *transfer);
    if (transfer == NULL) {
        return NULL;
    }
    buffer_init(&transfer->response, 0, RESPONSE_MAXIMUM);
    transfer->easy = curl_easy_init();
    transfer->url = curl_url();
    if (transfer->easy == NULL || transfer->url == NULL || !make_headers(transfer)) {
        transfer_free(transfer);
        return NULL;
    }
    set_up(transfer);
    return transfer;
}

void transfer_free(struct transfer *transfer)
{
    if (transfer == NULL) {
        return;
    }
    if (transfer->easy != NULL) {
        curl_easy_cleanup(transfer->easy);
    }
    curl_url_cleanup(transfer->url);
    curl_slist_free_all(transfer->headers);
    buffer_release(&transfer->response);
    endpoint_release(transfer->endpoint);
    free(transfer);
}

struct transfer *transfer_of(CURL *easy)
{
    char *transfer = NULL;
    (void)curl_easy_getinfo(easy, CURLINFO_PRIVATE, &transfer);
    return (struct transfer *)(void *)transfer;
}

/* Never 0, which libcurl takes for "no limit" or for its own. */
static long milliseconds(double seconds)
{
    static const double LONGEST = 2147483.0;
    double limited = seconds < LONGEST ? seconds * 1000.0 : LONGEST * 1000.0;
    return limited < 1 ? 1 : (long)limited;
}

/* A URL parsed here is not parsed again for every request. */
static CURLcode set_url(struct transfer *transfer, const char *text)
{
    return curl_url_set(transfer->url, CURLUPART_URL, text, 0) == CURLUE_OK
               ? curl_easy_setopt(transfer->easy, CURLOPT_CURLU, transfer->url)
               : CURLE_URL_MALFORMAT;
}

/* A setting that libcurl refuses (no memory, a build without it) must not be passed over. */
static CURLcode set_endpoint(struct transfer *transfer, const struct endpoint_settings *settings)
{
    CURL *easy = transfer->easy;
    CURLcode result = set_url(transfer, settings->url);
    if (result == CURLE_OK) {
        result = curl_easy_setopt(easy, CURLOPT_USERAGENT, settings->user_agent);
    }
    if (result == CURLE_OK && settings->ca_file != NULL) {
        result = curl_easy_setopt(easy, CURLOPT_CAINFO, settings->ca_file);
    }
    if (result == CURLE_OK) {
        result = curl_easy_setopt(easy, CURLOPT_PROXY, settings->proxy ? settings->proxy : "");
    }
    if (result == CURLE_OK) {
        result = curl_easy_setopt(
            easy, CURLOPT_HTTP_VERSION,
            (long)(settings->http2 ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1));
    }
    (void)curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                           milliseconds(settings->connect_timeout));
    return result;
}

/* A new handle in the place of the old: curl_easy_reset without memory leaves a broken one. */
static bool renew(struct transfer *transfer)
{
    CURL *easy = curl_easy_init();
    if (easy == NULL) {
        return false;
    }
    curl_easy_cleanup(transfer->easy);
    endpoint_release(transfer->endpoint);
    transfer->easy = easy;
    transfer->endpoint = NULL;
    transfer->used = false;
    set_up(transfer);
    return true;
}

/* A handle serves one endpoint: nothing of another, its authority file above all, may remain. */
static CURLcode turn_to(struct transfer *transfer, struct endpoint *endpoint)
{
    if (transfer->endpoint == endpoint) {
        return CURLE_OK;
    }
    if (transfer->used && !renew(transfer)) {
        return CURLE_OUT_OF_MEMORY;
    }
    transfer->used = true;
    CURLcode result = set_endpoint(transfer, &endpoint->settings);
    if (result == CURLE_OK) {
        endpoint_retain(endpoint);
        transfer->endpoint = endpoint;
    }
    return result;
}

static void load(struct transfer *transfer, struct request *request, double now)
{
    double timeout = request->endpoint->settings.timeout;
    double left = request->deadline - now;
    (void)curl_easy_setopt(transfer->easy, CURLOPT_TIMEOUT_MS,
                           milliseconds(left < timeout ? left : timeout));
    hmac_hex(request->signature, transfer->signature + sizeof SIGNATURE_NAME - 1);
    (void)curl_easy_setopt(transfer->easy, CURLOPT_POSTFIELDS, request_body(request));
    (void)curl_easy_setopt(transfer->easy, CURLOPT_POSTFIELDSIZE_LARGE,
                           (curl_off_t)request->length);
    buffer_clear(&transfer->response);
    transfer->header_bytes = 0;
    transfer->head_is_whole = false;
    transfer->error[0] = '\0';
    transfer->request = request;
}

bool transfer_begin(struct transfer *transfer, CURLM *multi, struct request *request, double now)
{
    request_reset_outcome(request);
    request->outcome.attempts++;
    CURLcode result = turn_to(transfer, request->endpoint);
    if (result != CURLE_OK) {
        request->outcome.failure =
            result == CURLE_OUT_OF_MEMORY ? FAILURE_NO_MEMORY : FAILURE_CONNECTION_FAILED;
        request->outcome.reason = strdup(curl_easy_strerror(result));
        return false;
    }
    load(transfer, request, now);
    if (curl_multi_add_handle(multi, transfer->easy) != CURLM_OK) {
        transfer->request = NULL;
        request->outcome.failure = FAILURE_NO_MEMORY;
        return false;
    }
    return true;
}

static enum failure failure_of_certificate(CURL *easy)
{
    long verified = X509_V_OK;
    (void)curl_easy_getinfo(easy, CURLINFO_SSL_VERIFYRESULT, &verified);
    switch (verified) {
    case X509_V_OK:              /* libcurl compares the name itself, when OpenSSL is content … */
    case X509_V_ERR_UNSPECIFIED: /* … and says this until the comparison is over */
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH: return FAILURE_CERTIFICATE_WRONG_HOST;
    case X509_V_ERR_CERT_NOT_YET_VALID:
    case X509_V_ERR_CERT_HAS_EXPIRED: return FAILURE_CERTIFICATE_EXPIRED;
    default: return FAILURE_CERTIFICATE_UNTRUSTED;
    }
}

static enum failure failure_of_connect(CURL *easy)
{
    long error = 0;
    (void)curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &error);
    return error == ECONNREFUSED ? FAILURE_CONNECTION_REFUSED : FAILURE_CONNECTION_FAILED;
}

static enum failure failure_of_write(const struct transfer *transfer)
{
    return transfer->response.failure == BUFFER_NO_MEMORY ? FAILURE_NO_MEMORY
                                                          : FAILURE_RESPONSE_TOO_LARGE;
}

/* Whether there was a connection, its TLS session included, that the request could go by. */
static bool is_connected(const struct transfer *transfer)
{
    double seconds = 0;
    (void)curl_easy_getinfo(transfer->easy, CURLINFO_PRETRANSFER_TIME, &seconds);
    return seconds > 0;
}

/* Whether the first byte of an answer has come. */
static bool has_begun(const struct transfer *transfer)
{
    double seconds = 0;
    (void)curl_easy_getinfo(transfer->easy, CURLINFO_STARTTRANSFER_TIME, &seconds);
    return seconds > 0;
}

/* libcurl says "out of memory" as well of a header line that never ends. */
static enum failure failure_of_memory(const struct transfer *transfer)
{
    return has_begun(transfer) ? FAILURE_RESPONSE_TOO_LARGE : FAILURE_NO_MEMORY;
}

/* An answer without a status line is of another protocol to it, as is a url that we never make. */
static enum failure failure_of_protocol(const struct transfer *transfer)
{
    return has_begun(transfer) ? FAILURE_RESPONSE_INVALID : FAILURE_CONNECTION_FAILED;
}

/* What it means that no whole answer came. */
static enum failure failure_of_result(const struct transfer *transfer, CURLcode result)
{
    switch (result) {
    case CURLE_OPERATION_TIMEDOUT: return FAILURE_TIMEOUT;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY: return FAILURE_NAME_NOT_RESOLVED;
    case CURLE_COULDNT_CONNECT: return failure_of_connect(transfer->easy);
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR: return FAILURE_CONNECTION_CLOSED;
    case CURLE_PEER_FAILED_VERIFICATION: return failure_of_certificate(transfer->easy);
    case CURLE_SSL_CACERT_BADFILE: return FAILURE_CERTIFICATE_UNTRUSTED;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_ENGINE_INITFAILED: return FAILURE_TLS_FAILED;
    case CURLE_UNSUPPORTED_PROTOCOL: return failure_of_protocol(transfer);
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_BAD_CONTENT_ENCODING:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM: return FAILURE_RESPONSE_INVALID;
    case CURLE_WRITE_ERROR: return failure_of_write(transfer);
    case CURLE_OUT_OF_MEMORY: return failure_of_memory(transfer);
    default: return FAILURE_CONNECTION_FAILED;
    }
}

static void keep_body(struct outcome *outcome, const struct buffer *response)
{
    size_t length =
        response->length < OUTCOME_BODY_MAXIMUM ? response->length : OUTCOME_BODY_MAXIMUM;
    outcome->body = length > 0 ? malloc(length) : NULL;
    if (outcome->body != NULL) {
        memcpy(outcome->body, buffer_bytes(response), length);
        outcome->body_length = length;
    }
}

static void write_outcome(struct transfer *transfer, CURLcode result)
{
    struct outcome *outcome = &transfer->request->outcome;
    const struct buffer *response = &transfer->response;
    (void)curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &outcome->status);
    if (result == CURLE_OK && !transfer->head_is_whole) {
        outcome->failure = FAILURE_CONNECTION_CLOSED; /* libcurl is content with half a head */
    } else if (result == CURLE_OK) {
        outcome->failure = failure_of_answer(
            outcome->status, response->length > 0 ? buffer_bytes(response) : "", response->length);
    } else {
        outcome->failure = failure_of_result(transfer, result);
        outcome->unreached = !is_connected(transfer);
        outcome->reason =
            strdup(transfer->error[0] != '\0' ? transfer->error : curl_easy_strerror(result));
    }
    if (outcome->failure != FAILURE_NONE) {
        keep_body(outcome, response);
    }
}

static struct request *remove_from(struct transfer *transfer, CURLM *multi)
{
    struct request *request = transfer->request;
    (void)curl_multi_remove_handle(multi, transfer->easy);
    transfer->request = NULL;
    return request;
}

struct request *transfer_end(struct transfer *transfer, CURLM *multi, CURLcode result)
{
    write_outcome(transfer, result);
    return remove_from(transfer, multi);
}

struct request *transfer_cancel(struct transfer *transfer, CURLM *multi)
{
    transfer->request->outcome.failure = FAILURE_CLOSED;
    return remove_from(transfer, multi);
}
