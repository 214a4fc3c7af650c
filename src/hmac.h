#ifndef SENDAPI_HMAC_H
#define SENDAPI_HMAC_H

/*
 * HMAC-SHA512 (RFC 2104, FIPS 180-4) under a key that is set once.
 *
 * The key is absorbed into two digest states when the signer is made; the token itself is not kept.
 * A signature then costs the two copies and the digest of the message.
 *
 * Threads: signing changes nothing in a signer, so several may use one at once.
 */

#include <stdbool.h>
#include <stddef.h> /* size_t */

#include "visibility.h"

SENDAPI_HIDDEN_BEGIN

enum {
    HMAC_BYTES = 64,
    HMAC_HEX = 2 * HMAC_BYTES, /* characters, without a terminator */
};

struct hmac; /* opaque: two digest states */

/* Returns a signer, or NULL without memory. Free it with hmac_free. */
struct hmac *hmac_new(const void *key, size_t length);

/* The same signer once more, or NULL without memory. */
struct hmac *hmac_copy(const struct hmac *hmac);

/* Wipes the key's traces and frees. NULL is harmless. */
void hmac_free(struct hmac *hmac);

/*
 * Writes the signature as it is, half as long as its text. Returns false, `out` being undefined
 * then, when OpenSSL fails (no memory).
 */
bool hmac_digest(const struct hmac *hmac, const void *bytes, size_t length,
                 unsigned char out[HMAC_BYTES]);

/* A signature's text: HMAC_HEX lower-case characters, no terminator. */
void hmac_hex(const unsigned char signature[HMAC_BYTES], char hex[HMAC_HEX]);

/* Both at once. Returns false, and writes nothing, when OpenSSL fails (no memory). */
bool hmac_sign(const struct hmac *hmac, const void *bytes, size_t length, char hex[HMAC_HEX]);

/*
 * True when `hex`, in either case, is the signature of the bytes. The time taken does not depend on
 * where the two differ. A text of another length is never right.
 */
bool hmac_verify(const struct hmac *hmac, const void *bytes, size_t length, const char *hex,
                 size_t hex_length);

SENDAPI_HIDDEN_END

#endif
