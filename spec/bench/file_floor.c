/*
 * file_floor TOKEN PATH
 *
 * What a file in a message cannot cost less than: encodes it by OpenSSL's base64 and signs that with
 * HMAC-SHA512. Prints the processor's microseconds, without the reading, and the encoded bytes.
 */

#include <stdio.h>  /* fopen(3) fread(3) printf(3) */
#include <stdlib.h> /* malloc(3) exit(3) */
#include <string.h> /* strlen(3) */
#include <time.h>   /* clock_gettime(2) */

#include <openssl/evp.h>
#include <openssl/hmac.h>

enum { MOST = 32 << 20 }; /* bytes of a file */

static void fail(const char *reason)
{
    fprintf(stderr, "file_floor: %s\n", reason);
    exit(EXIT_FAILURE);
}

static size_t read_file(const char *path, unsigned char *bytes)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        fail("cannot read the file");
    }
    size_t length = fread(bytes, 1, MOST, file);
    (void)fclose(file);
    return length;
}

static double now(void)
{
    struct timespec at;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &at);
    return (double)at.tv_sec + (double)at.tv_nsec * 1e-9;
}

int main(int count, char **arguments)
{
    if (count != 3) {
        fail("usage: file_floor TOKEN PATH");
    }
    unsigned char *bytes = malloc(MOST);
    unsigned char *encoded = malloc(MOST / 3 * 4 + 16);
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    if (bytes == NULL || encoded == NULL) {
        fail("not enough memory");
    }
    size_t length = read_file(arguments[2], bytes);
    memset(encoded, 1, MOST / 3 * 4); /* so that the kernel's part is not timed */
    double begin = now();
    int written = EVP_EncodeBlock(encoded, bytes, (int)length);
    if (HMAC(EVP_sha512(), arguments[1], (int)strlen(arguments[1]), encoded, (size_t)written,
             digest, &size) == NULL) {
        fail("cannot sign");
    }
    printf("%.1f %d\n", (now() - begin) * 1e6, written);
    free(bytes);
    free(encoded);
    return EXIT_SUCCESS;
}
