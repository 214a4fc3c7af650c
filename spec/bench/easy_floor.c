/*
 * easy_floor URL COUNT SIGNATURE BODY
 *
 * Posts the same signed body COUNT times by curl_easy_perform, one after another with one handle,
 * and prints the requests per second. Each answer must be 200.
 */

#include <stdio.h>  /* fprintf(3) snprintf(3) */
#include <stdlib.h> /* exit(3) strtol(3) */
#include <string.h> /* strlen(3) */
#include <time.h>   /* clock_gettime(2) */

#include <curl/curl.h>

static void fail(const char *reason)
{
    fprintf(stderr, "easy_floor: %s\n", reason);
    exit(EXIT_FAILURE);
}

static size_t on_body(char *bytes, size_t size, size_t count, void *context)
{
    (void)bytes;
    (void)context;
    return size * count;
}

static struct curl_slist *make_headers(const char *signature)
{
    char line[256];
    (void)snprintf(line, sizeof line, "X-SMCCSDK-SIGNATURE: %s", signature);
    struct curl_slist *headers = curl_slist_append(NULL, line);
    headers = curl_slist_append(headers, "Content-Type: application/json");
    return curl_slist_append(headers, "Expect:");
}

static CURL *set_up(char **arguments)
{
    CURL *easy = curl_easy_init();
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_URL, arguments[1]);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, make_headers(arguments[3]));
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, arguments[4]);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)strlen(arguments[4]));
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    return easy;
}

static void post(CURL *easy)
{
    long status = 0;
    CURLcode result = curl_easy_perform(easy);
    if (result != CURLE_OK) {
        fail(curl_easy_strerror(result));
    }
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    if (status != 200) {
        fail("an answer was not 200");
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
        fail("usage: easy_floor URL COUNT SIGNATURE BODY");
    }
    long requests = strtol(arguments[2], NULL, 10);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    CURL *easy = set_up(arguments);
    post(easy); /* connects */
    double begin = now();
    for (long i = 0; i < requests; i++) {
        post(easy);
    }
    printf("%.1f\n", (double)requests / (now() - begin));
    return EXIT_SUCCESS;
}
