/*
 * SHA-512 goes by OpenSSL's own functions for it, not by its generic digests: a keyed state is
 * copied by assignment then, where the generic one is allocated anew for each of the two passes,
 * which costs a tenth of checking, writing and signing a message. They are deprecated since 3.0 for
 * want of providers, not of soundness.
 */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "hmac.h"

#include <stdlib.h> /* calloc(3) free(3) malloc(3) */
#include <string.h> /* memcpy(3) */

#include <openssl/crypto.h> /* OPENSSL_cleanse(3) CRYPTO_memcmp(3) */
#include <openssl/sha.h>    /* SHA512_*(3) */

enum { BLOCK = 128 }; /* SHA-512's block, in bytes */

struct hmac {
    SHA512_CTX inner; /* has absorbed key ^ ipad */
    SHA512_CTX outer; /* has absorbed key ^ opad */
};

static bool absorb(SHA512_CTX *context, const unsigned char key[BLOCK], unsigned char pad)
{
    unsigned char block[BLOCK];
    for (size_t i = 0; i < BLOCK; i++) {
        block[i] = key[i] ^ pad;
    }
    bool fine = SHA512_Init(context) == 1 && SHA512_Update(context, block, sizeof block) == 1;
    OPENSSL_cleanse(block, sizeof block);
    return fine;
}

/* A key longer than a block is replaced by its digest (RFC 2104, section 2). */
static bool set_key(struct hmac *hmac, const void *key, size_t length)
{
    unsigned char block[BLOCK] = {0};
    bool fine = true;
    if (length > BLOCK) {
        fine = SHA512(key, length, block) != NULL;
    } else if (length > 0) {
        memcpy(block, key, length);
    }
    fine = fine && absorb(&hmac->inner, block, 0x36) && absorb(&hmac->outer, block, 0x5c);
    OPENSSL_cleanse(block, sizeof block);
    return fine;
}

struct hmac *hmac_new(const void *key, size_t length)
{
    struct hmac *hmac = calloc(1, sizeof *hmac);
    if (hmac == NULL) {
        return NULL;
    }
    if (!set_key(hmac, key, length)) {
        hmac_free(hmac);
        return NULL;
    }
    return hmac;
}

struct hmac *hmac_copy(const struct hmac *hmac)
{
    struct hmac *copy = malloc(sizeof *copy);
    if (copy != NULL) {
        *copy = *hmac;
    }
    return copy;
}

void hmac_free(struct hmac *hmac)
{
    if (hmac == NULL) {
        return;
    }
    OPENSSL_cleanse(hmac, sizeof *hmac);
    free(hmac);
}

/* Goes on from a keyed state. */
static bool digest(const SHA512_CTX *keyed, const void *bytes, size_t length,
                   unsigned char out[HMAC_BYTES])
{
    SHA512_CTX work = *keyed;
    return SHA512_Update(&work, bytes, length) == 1 &&
           SHA512_Final(out, &work) == 1; /* which wipes the state */
}

/* Each byte's two characters at once: a signature has 64 of them. */
#define PAIRS(high)                                                                                \
    {high, '0'}, {high, '1'}, {high, '2'}, {high, '3'}, {high, '4'}, {high, '5'}, {high, '6'},     \
        {high, '7'}, {high, '8'}, {high, '9'}, {high, 'a'}, {high, 'b'}, {high, 'c'}, {high, 'd'}, \
        {high, 'e'},                                                                               \
    {                                                                                              \
        high, 'f'                                                                                  \
    }

void hmac_hex(const unsigned char signature[HMAC_BYTES], char hex[HMAC_HEX])
{
    static const char pairs[256][2] = {
        PAIRS('0'), PAIRS('1'), PAIRS('2'), PAIRS('3'), PAIRS('4'), PAIRS('5'),
        PAIRS('6'), PAIRS('7'), PAIRS('8'), PAIRS('9'), PAIRS('a'), PAIRS('b'),
        PAIRS('c'), PAIRS('d'), PAIRS('e'), PAIRS('f'),
    };
    for (size_t i = 0; i < HMAC_BYTES; i++) {
        memcpy(hex + 2 * i, pairs[signature[i]], 2);
    }
}

bool hmac_digest(const struct hmac *hmac, const void *bytes, size_t length,
                 unsigned char out[HMAC_BYTES])
{
    return digest(&hmac->inner, bytes, length, out) && digest(&hmac->outer, out, HMAC_BYTES, out);
}

bool hmac_sign(const struct hmac *hmac, const void *bytes, size_t length, char hex[HMAC_HEX])
{
    unsigned char signature[HMAC_BYTES];
    if (!hmac_digest(hmac, bytes, length, signature)) {
        return false;
    }
    hmac_hex(signature, hex);
    return true;
}

bool hmac_verify(const struct hmac *hmac, const void *bytes, size_t length, const char *hex,
                 size_t hex_length)
{
    char expected[HMAC_HEX];
    char given[HMAC_HEX];
    if (hex_length != HMAC_HEX || !hmac_sign(hmac, bytes, length, expected)) {
        return false;
    }
    for (size_t i = 0; i < HMAC_HEX; i++) {
        char c = hex[i];
        given[i] = (char)(c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c);
    }
    return CRYPTO_memcmp(expected, given, HMAC_HEX) == 0;
}
