#include "hmac.h"

#include <stdlib.h> /* calloc(3) free(3) */
#include <string.h> /* memcpy(3) */

#include <openssl/crypto.h> /* OPENSSL_cleanse(3) CRYPTO_memcmp(3) */
#include <openssl/evp.h>    /* EVP_Digest*(3) */

enum { BLOCK = 128 }; /* SHA-512's block, in bytes */

struct hmac {
    EVP_MD_CTX *inner; /* has absorbed key ^ ipad */
    EVP_MD_CTX *outer; /* has absorbed key ^ opad */
    EVP_MD_CTX *work;
};

static bool absorb(EVP_MD_CTX *context, const unsigned char key[BLOCK], unsigned char pad)
{
    unsigned char block[BLOCK];
    for (size_t i = 0; i < BLOCK; i++) {
        block[i] = key[i] ^ pad;
    }
    bool fine = EVP_DigestInit_ex(context, EVP_sha512(), NULL) == 1 &&
                EVP_DigestUpdate(context, block, sizeof block) == 1;
    OPENSSL_cleanse(block, sizeof block);
    return fine;
}

/* A key longer than a block is replaced by its digest (RFC 2104, section 2). */
static bool set_key(struct hmac *hmac, const void *key, size_t length)
{
    unsigned char block[BLOCK] = {0};
    bool fine = true;
    if (length > BLOCK) {
        fine = EVP_Digest(key, length, block, NULL, EVP_sha512(), NULL) == 1;
    } else if (length > 0) {
        memcpy(block, key, length);
    }
    fine = fine && absorb(hmac->inner, block, 0x36) && absorb(hmac->outer, block, 0x5c);
    OPENSSL_cleanse(block, sizeof block);
    return fine;
}

struct hmac *hmac_new(const void *key, size_t length)
{
    struct hmac *hmac = calloc(1, sizeof *hmac);
    if (hmac == NULL) {
        return NULL;
    }
    hmac->inner = EVP_MD_CTX_new();
    hmac->outer = EVP_MD_CTX_new();
    hmac->work = EVP_MD_CTX_new();
    if (hmac->inner == NULL || hmac->outer == NULL || hmac->work == NULL ||
        !set_key(hmac, key, length)) {
        hmac_free(hmac);
        return NULL;
    }
    return hmac;
}

void hmac_free(struct hmac *hmac)
{
    if (hmac == NULL) {
        return;
    }
    EVP_MD_CTX_free(hmac->inner); /* wipes the state, here and below */
    EVP_MD_CTX_free(hmac->outer);
    EVP_MD_CTX_free(hmac->work);
    free(hmac);
}

static bool digest(EVP_MD_CTX *work, const EVP_MD_CTX *keyed, const void *bytes, size_t length,
                   unsigned char out[HMAC_BYTES])
{
    return EVP_MD_CTX_copy_ex(work, keyed) == 1 && EVP_DigestUpdate(work, bytes, length) == 1 &&
           EVP_DigestFinal_ex(work, out, NULL) == 1;
}

static void write_hex(const unsigned char bytes[HMAC_BYTES], char hex[HMAC_HEX])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < HMAC_BYTES; i++) {
        hex[2 * i] = digits[bytes[i] >> 4];
        hex[2 * i + 1] = digits[bytes[i] & 15];
    }
}

bool hmac_sign(struct hmac *hmac, const void *bytes, size_t length, char hex[HMAC_HEX])
{
    unsigned char out[HMAC_BYTES];
    if (!digest(hmac->work, hmac->inner, bytes, length, out) ||
        !digest(hmac->work, hmac->outer, out, sizeof out, out)) {
        return false;
    }
    write_hex(out, hex);
    return true;
}

bool hmac_verify(struct hmac *hmac, const void *bytes, size_t length, const char *hex,
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
