#include "hmac.h"

#include <pthread.h>
#include <string.h> /* memset(3) strlen(3) */

#include <openssl/evp.h>  /* EVP_sha512(3) */
#include <openssl/hmac.h> /* HMAC(3): the other way to make a signature */

#include "check.h"
#include "exact.h"
#include "random.h"

/* A text `count` times over, as long as the vectors need it. */
struct part {
    const char *text;
    size_t count;
};

struct vector {
    struct part key;
    struct part data;
    const char *hex; /* shorter than a signature where the vector is truncated */
};

static const char TOKEN[] = "3YJZzqMJ5Ec7i2JGvnt8TgvleD7dtpwpmag4S6MuRA2GQdfvV4STIsxDRJ4fEjO8";
static const char BODY[] = "{\"action\":\"implementation.info\",\"time\":\"2012-10-01T17:18:40Z\"}";
static const char SIGNATURE[] = "826b61e7939505b2e773ef43a2aad53ec0385dd9d783fbd1c8fea00d0e2a3e2f"
                                "b0ae0a5b2eb342356b61c41b5f19baec4c1f7e7e37a5b486fe9b593942017ff9";

/* RFC 4231, section 4: the SHA-512 lines of the seven test cases, in order. */
static const struct vector vectors[] = {
    {{"\x0b", 20},
     {"Hi There", 1},
     "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cde"
     "daa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854"},
    {{"Jefe", 1},
     {"what do ya want for nothing?", 1},
     "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
     "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"},
    {{"\xaa", 20},
     {"\xdd", 50},
     "fa73b0089d56a284efb0f0756c890be9b1b5dbdd8ee81a3655f83e33b2279d39"
     "bf3e848279a722c806b485a47e67c807b946a337bee8942674278859e13292fb"},
    {{"\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17"
      "\x18\x19",
      1},
     {"\xcd", 50},
     "b0ba465637458c6990e5a8c5f61d4af7e576d97ff94b872de76f8050361ee3db"
     "a91ca5c11aa25eb4d679275cc5788063a5f19741120c4f2de2adebeb10a298dd"},
    {{"\x0c", 20}, {"Test With Truncation", 1}, "415fad6271580a531d4179bc891d87a6"},
    {{"\xaa", 131},
     {"Test Using Larger Than Block-Size Key - Hash Key First", 1},
     "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f352"
     "6b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598"},
    {{"\xaa", 131},
     {"This is a test using a larger than block-size key and a larger than block-size data. The "
      "key needs to be hashed before being used by the HMAC algorithm.",
      1},
     "e37b6a775dc87dbaa4dfa9f96e5e3ffddebd71f8867289865df5a32d20cdc944"
     "b6022cac3c4982b10d5eeb55c3e4de15134676fb6de0446065c97440fa8c6a58"},
};

static struct exact whole(struct part part)
{
    size_t length = strlen(part.text);
    struct exact exact = exact_room(length * part.count);
    for (size_t i = 0; i < part.count; i++) {
        memcpy(exact.bytes + i * length, part.text, length);
    }
    return exact;
}

static void check_vector(const struct vector *vector)
{
    struct exact key = whole(vector->key);
    struct exact data = whole(vector->data);
    struct exact hex = exact_room(HMAC_HEX);
    struct hmac *hmac = hmac_new(key.bytes, key.length);
    bool cut = strlen(vector->hex) < HMAC_HEX;
    CHECK(hmac_sign(hmac, data.bytes, data.length, hex.bytes));
    CHECK_BYTES(hex.bytes, strlen(vector->hex), vector->hex, strlen(vector->hex));
    CHECK(hmac_verify(hmac, data.bytes, data.length, hex.bytes, HMAC_HEX));
    CHECK_INT(hmac_verify(hmac, data.bytes, data.length, vector->hex, strlen(vector->hex)), !cut);
    hmac_free(hmac);
    exact_free(&hex);
    exact_free(&data);
    exact_free(&key);
}

static void published_vectors(void)
{
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        CHECK_NOTE("test case %zu", i + 1);
        check_vector(&vectors[i]);
    }
}

static struct hmac *new_signer(void)
{
    return hmac_new(TOKEN, sizeof TOKEN - 1);
}

static void vector_of_the_protocol(void)
{
    char hex[HMAC_HEX];
    struct hmac *hmac = new_signer();
    for (int i = 0; i < 3; i++) {
        CHECK(hmac_sign(hmac, BODY, sizeof BODY - 1, hex));
        CHECK_BYTES(hex, HMAC_HEX, SIGNATURE, HMAC_HEX);
    }
    hmac_free(hmac);
}

/* ---- beside OpenSSL's own HMAC ---- */

static void to_hex(const unsigned char *bytes, size_t length, char *hex)
{
    for (size_t i = 0; i < length; i++) {
        hex[2 * i] = "0123456789abcdef"[bytes[i] / 16];
        hex[2 * i + 1] = "0123456789abcdef"[bytes[i] % 16];
    }
}

static void check_beside(const char *key, size_t key_length, const char *data, size_t length)
{
    unsigned char digest[HMAC_BYTES];
    char expected[HMAC_HEX];
    char hex[HMAC_HEX];
    unsigned char signature[HMAC_BYTES];
    struct exact exact_key = exact_copy(key, key_length);
    struct exact exact_data = exact_copy(data, length);
    struct hmac *hmac = hmac_new(exact_key.bytes, key_length);
    CHECK(HMAC(EVP_sha512(), key, (int)key_length, (const unsigned char *)data, length, digest,
               NULL) != NULL);
    to_hex(digest, HMAC_BYTES, expected);
    CHECK(hmac_sign(hmac, exact_data.bytes, length, hex));
    CHECK_BYTES(hex, HMAC_HEX, expected, HMAC_HEX);
    CHECK(hmac_digest(hmac, exact_data.bytes, length, signature));
    CHECK_BYTES((const char *)signature, HMAC_BYTES, (const char *)digest, HMAC_BYTES);
    hmac_free(hmac);
    exact_free(&exact_key);
    exact_free(&exact_data);
}

static void keys_and_data_of_every_length(void)
{
    static char bytes[5000];
    struct random random = {.state = 512};
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (char)(unsigned char)random_below(&random, 256);
    }
    for (size_t length = 0; length < 300; length++) {
        CHECK_NOTE("%zu bytes", length);
        check_beside(bytes, length, bytes + 1, 40);
        check_beside(bytes, 64, bytes + 2, length);
    }
    check_beside(bytes, sizeof bytes, bytes, sizeof bytes);
    check_beside(bytes, 127, bytes, 4096);
    check_beside(bytes, 128, bytes, 4097);
    check_beside(bytes, 129, bytes, 4095);
}

static void nothing_is_signed_too(void)
{
    char of_null[HMAC_HEX];
    char of_empty[HMAC_HEX];
    struct hmac *without = hmac_new(NULL, 0);
    struct hmac *with = hmac_new("", 0);
    CHECK(hmac_sign(without, NULL, 0, of_null));
    CHECK(hmac_sign(with, "", 0, of_empty));
    CHECK_BYTES(of_null, HMAC_HEX, of_empty, HMAC_HEX);
    CHECK(hmac_verify(without, NULL, 0, of_empty, HMAC_HEX));
    check_beside("", 0, "", 0);
    hmac_free(with);
    hmac_free(without);
}

static void key_may_go_once_the_signer_is_made(void)
{
    char key[sizeof TOKEN];
    char hex[HMAC_HEX];
    memcpy(key, TOKEN, sizeof key);
    struct hmac *hmac = hmac_new(key, sizeof key - 1);
    memset(key, 'x', sizeof key);
    CHECK(hmac_sign(hmac, BODY, sizeof BODY - 1, hex));
    CHECK_BYTES(hex, HMAC_HEX, SIGNATURE, HMAC_HEX);
    hmac_free(hmac);
}

static void signers_do_not_mix(void)
{
    char hex[HMAC_HEX];
    struct hmac *one = new_signer();
    struct hmac *other = hmac_new("other", 5);
    for (int i = 0; i < 3; i++) {
        CHECK(hmac_sign(other, BODY, (size_t)i * 7, hex));
        CHECK(!hmac_verify(one, BODY, (size_t)i * 7, hex, HMAC_HEX));
        CHECK(hmac_sign(one, BODY, sizeof BODY - 1, hex));
        CHECK_BYTES(hex, HMAC_HEX, SIGNATURE, HMAC_HEX);
        CHECK(!hmac_verify(other, BODY, sizeof BODY - 1, hex, HMAC_HEX));
    }
    hmac_free(other);
    hmac_free(one);
}

static void freeing_nothing_is_harmless(void)
{
    hmac_free(NULL);
}

/* ---- verify ---- */

static bool verifies(struct hmac *hmac, const char *hex, size_t length)
{
    struct exact exact = exact_copy(hex, length);
    bool right = hmac_verify(hmac, BODY, sizeof BODY - 1, exact.bytes, length);
    exact_free(&exact);
    return right;
}

static char upper(char c)
{
    return (char)(c >= 'a' && c <= 'f' ? c - 'a' + 'A' : c);
}

static void either_case_is_right(void)
{
    char every[HMAC_HEX];
    char second[HMAC_HEX];
    struct hmac *hmac = new_signer();
    for (size_t i = 0; i < HMAC_HEX; i++) {
        every[i] = upper(SIGNATURE[i]);
        second[i] = i % 2 == 0 ? every[i] : SIGNATURE[i];
    }
    CHECK(verifies(hmac, SIGNATURE, HMAC_HEX));
    CHECK(verifies(hmac, every, HMAC_HEX));
    CHECK(verifies(hmac, second, HMAC_HEX));
    hmac_free(hmac);
}

static void another_length_is_wrong(void)
{
    char longer[3 * HMAC_HEX];
    struct hmac *hmac = new_signer();
    memset(longer, '0', sizeof longer);
    memcpy(longer, SIGNATURE, HMAC_HEX);
    for (size_t length = 0; length <= sizeof longer; length++) {
        CHECK_NOTE("%zu characters", length);
        CHECK_INT(verifies(hmac, longer, length), length == HMAC_HEX);
    }
    CHECK(!hmac_verify(hmac, BODY, sizeof BODY - 1, NULL, 0));
    hmac_free(hmac);
}

/* Every other character in every place; only the same letter in upper case may pass. */
static void every_wrong_character_is_noticed(void)
{
    char hex[HMAC_HEX];
    struct hmac *hmac = new_signer();
    for (size_t at = 0; at < HMAC_HEX; at++) {
        memcpy(hex, SIGNATURE, HMAC_HEX);
        for (unsigned value = 0; value < 256; value++) {
            hex[at] = (char)(unsigned char)value;
            bool right = hex[at] == SIGNATURE[at] || hex[at] == upper(SIGNATURE[at]);
            if (hmac_verify(hmac, BODY, sizeof BODY - 1, hex, HMAC_HEX) != right) {
                CHECK_NOTE("character %02x at %zu", value, at);
                CHECK_INT(!right, right);
            }
        }
    }
    hmac_free(hmac);
}

static void every_wrong_bit_of_the_body_is_noticed(void)
{
    char body[sizeof BODY - 1];
    struct hmac *hmac = new_signer();
    for (size_t bit = 0; bit < 8 * sizeof body; bit++) {
        memcpy(body, BODY, sizeof body);
        body[bit / 8] = (char)(body[bit / 8] ^ (1 << bit % 8));
        CHECK(!hmac_verify(hmac, body, sizeof body, SIGNATURE, HMAC_HEX));
    }
    CHECK(!hmac_verify(hmac, BODY, sizeof BODY - 2, SIGNATURE, HMAC_HEX));
    CHECK(!hmac_verify(hmac, BODY, sizeof BODY, SIGNATURE, HMAC_HEX)); /* with its terminator */
    hmac_free(hmac);
}

/* ---- threads, each with a signer of its own ---- */

static void *sign_often(void *argument)
{
    char hex[HMAC_HEX];
    struct hmac *hmac = new_signer();
    (void)argument;
    for (int i = 0; i < 500; i++) {
        CHECK(hmac_sign(hmac, BODY, sizeof BODY - 1, hex));
        CHECK_BYTES(hex, HMAC_HEX, SIGNATURE, HMAC_HEX);
    }
    hmac_free(hmac);
    return NULL;
}

static void threads_sign_side_by_side(void)
{
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++) {
        CHECK_INT(pthread_create(&threads[i], NULL, sign_often, NULL), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        (void)pthread_join(threads[i], NULL);
    }
}

static const struct check_case cases[] = {
    CHECK_CASE(published_vectors),
    CHECK_CASE(vector_of_the_protocol),
    CHECK_CASE(keys_and_data_of_every_length),
    CHECK_CASE(nothing_is_signed_too),
    CHECK_CASE(key_may_go_once_the_signer_is_made),
    CHECK_CASE(signers_do_not_mix),
    CHECK_CASE(freeing_nothing_is_harmless),
    CHECK_CASE(either_case_is_right),
    CHECK_CASE(another_length_is_wrong),
    CHECK_CASE(every_wrong_character_is_noticed),
    CHECK_CASE(every_wrong_bit_of_the_body_is_noticed),
    CHECK_CASE(threads_sign_side_by_side),
};

int main(int count, char **names)
{
    return CHECK_RUN(cases, count, names);
}
