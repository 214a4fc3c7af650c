/*
 * curl_floor URL COUNT SIGNATURE BODY
 *
 * The smallest loop over a libcurl multi handle: posts the same signed body COUNT times, 64 at once
 * over connections that are kept alive, and prints the requests per second. Each answer must be 200
 * with the body "ok".
 */

#include <stdbool.h>
#include <stdio.h>  /* fprintf(3) snprintf(3) */
#include <stdlib.h> /* exit(3) strtol(3) */
#include <string.h> /* memcmp(3) strlen(3) */
#include <time.h>   /* clock_gettime(2) */

#include <curl/curl.h>

enum { AT_ONCE = 64 };

struct slot {
    CURL *easy;
    char answer[2];
    size_t length; /* of the whole answer */
};

static void fail(const char *reason)
{
    fprintf(stderr, "curl_floor: %s\n", reason);
    exit(EXIT_FAILURE);
}

static size_t on_body(char *bytes, size_t size, size_t count, void *context)
{
    struct slot *slot = context;
    size_t length = size * count;
    if (slot->length + length <= sizeof slot->answer) {
        memcpy(slot->answer + slot->length, bytes, length);
    }
    slot->length += length;
    return length;
}

static struct curl_slist *make_headers(const char *signature)
{
    char line[256];
    (void)snprintf(line, sizeof line, "X-SMCCSDK-SIGNATURE: %s", signature);
    struct curl_slist *headers = curl_slist_append(NULL, line);
    headers = curl_slist_append(headers, "Content-Type: application/json");
    return curl_slist_append(headers, "Expect:");
}

static void set_up(struct slot *slot, const char *url, struct curl_slist *headers, const char *body)
{
    slot->easy = curl_easy_init();
    curl_easy_setopt(slot->easy, CURLOPT_PRIVATE, slot);
    curl_easy_setopt(slot->easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(slot->easy, CURLOPT_URL, url);
    curl_easy_setopt(slot->easy, CURLOPT_PROXY, "");
    curl_easy_setopt(slot->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(slot->easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(slot->easy, CURLOPT_POSTFIELDS, body);
    curl_easy_setopt(slot->easy, CURLOPT_POSTFIELDSIZE, (long)strlen(body));
    curl_easy_setopt(slot->easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(slot->easy, CURLOPT_WRITEDATA, slot);
}

static void check(const struct slot *slot, CURLcode result)
{
    long status = 0;
    if (result != CURLE_OK) {
        fail(curl_easy_strerror(result));
    }
    curl_easy_getinfo(slot->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status != 200 || slot->length != 2 || memcmp(slot->answer, "ok", 2) != 0) {
        fail("an answer was not 200 \"ok\"");
    }
}

static void start(CURLM *multi, struct slot *slot)
{
    slot->length = 0;
    curl_multi_add_handle(multi, slot->easy);
}

/* Checks what is done, starts each anew while some are left to start, and counts what was done. */
static long turn_over(CURLM *multi, long *left)
{
    int queued;
    long done = 0;
    for (CURLMsg *message; (message = curl_multi_info_read(multi, &queued)) != NULL; done++) {
        CURLcode result = message->data.result;
        char *slot = NULL;
        CURL *easy = message->easy_handle;
        curl_easy_getinfo(easy, CURLINFO_PRIVATE, &slot);
        check((struct slot *)(void *)slot, result);
        curl_multi_remove_handle(multi, easy);
        if (*left > 0) {
            (*left)--;
            start(multi, (struct slot *)(void *)slot);
        }
    }
    return done;
}

static void post_all(CURLM *multi, struct slot slots[AT_ONCE], long count)
{
    long left = count;
    for (int i = 0; i < AT_ONCE && left > 0; i++, left--) {
        start(multi, &slots[i]);
    }
    for (long done = 0; done < count;) {
        int running;
        curl_multi_poll(multi, NULL, 0, 1000, NULL);
        curl_multi_perform(multi, &running);
        done += turn_over(multi, &left);
    }
}

static double now(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + (double)at.tv_nsec * 1e-9;
}

int main(int count, char **arguments)
{
    if (count != 5) {
        fail("usage: curl_floor URL COUNT SIGNATURE BODY");
    }
    long requests = strtol(arguments[2], NULL, 10);
    static struct slot slots[AT_ONCE];
    curl_global_init(CURL_GLOBAL_DEFAULT);
    CURLM *multi = curl_multi_init();
    struct curl_slist *headers = make_headers(arguments[3]);
    for (int i = 0; i < AT_ONCE; i++) {
        set_up(&slots[i], arguments[1], headers, arguments[4]);
    }
    double begin = now();
    post_all(multi, slots, requests);
    printf("%.1f\n", (double)requests / (now() - begin));
    return EXIT_SUCCESS;
}
