/*
 * hmac_floor TOKEN BODY
 *
 * Signs the body again and again with HMAC-SHA512, both pads of the key absorbed beforehand, and
 * prints the processor's nanoseconds for one signature, and the signature in hex. Only the digest
 * is timed, not the hex.
 */

#define OPENSSL_SUPPRESS_DEPRECATED /* OpenSSL 3 would rather fetch the digest: that costs time */

#include <stdio.h>  /* printf(3) */
#include <stdlib.h> /* EXIT_FAILURE */
#include <string.h> /* strlen(3) */
#include <time.h>   /* clock_gettime(2) */

#include <openssl/sha.h>

enum {
    BLOCK = 128,       /* SHA-512's block, in bytes */
    WARM_UP = 20000,   /* signatures that are not timed */
    MEASURED = 200000, /* signatures that are */
};

struct keyed {
    SHA512_CTX inner;
    SHA512_CTX outer;
};

static void absorb(SHA512_CTX *context, const unsigned char key[BLOCK], unsigned char pad)
{
    unsigned char block[BLOCK];
    for (size_t i = 0; i < BLOCK; i++) {
        block[i] = key[i] ^ pad;
    }
    SHA512_Init(context);
    SHA512_Update(context, block, sizeof block);
}

static struct keyed set_key(const char *token)
{
    struct keyed keyed;
    unsigned char key[BLOCK] = {0};
    if (strlen(token) > BLOCK) {
        SHA512((const unsigned char *)token, strlen(token), key);
    } else {
        memcpy(key, token, strlen(token));
    }
    absorb(&keyed.inner, key, 0x36);
    absorb(&keyed.outer, key, 0x5c);
    return keyed;
}

static void sign(const struct keyed *keyed, const char *body, size_t length,
                 unsigned char out[SHA512_DIGEST_LENGTH])
{
    SHA512_CTX context = keyed->inner;
    SHA512_Update(&context, body, length);
    SHA512_Final(out, &context);
    context = keyed->outer;
    SHA512_Update(&context, out, SHA512_DIGEST_LENGTH);
    SHA512_Final(out, &context);
}

static double now(void)
{
    struct timespec at;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &at);
    return (double)at.tv_sec + (double)at.tv_nsec * 1e-9;
}

/* Seconds for so many signatures of the body; the last one is left in `out`. */
static double measure(const struct keyed *keyed, const char *body, int count,
                      unsigned char out[SHA512_DIGEST_LENGTH])
{
    size_t length = strlen(body);
    double begin = now();
    for (int i = 0; i < count; i++) {
        sign(keyed, body, length, out);
    }
    return now() - begin;
}

int main(int count, char **arguments)
{
    if (count != 3) {
        fprintf(stderr, "usage: hmac_floor TOKEN BODY\n");
        return EXIT_FAILURE;
    }
    unsigned char out[SHA512_DIGEST_LENGTH];
    struct keyed keyed = set_key(arguments[1]);
    (void)measure(&keyed, arguments[2], WARM_UP, out);
    printf("%.1f ", measure(&keyed, arguments[2], MEASURED, out) * 1e9 / MEASURED);
    for (size_t i = 0; i < sizeof out; i++) {
        printf("%02x", out[i]);
    }
    printf("\n");
    return EXIT_SUCCESS;
}
