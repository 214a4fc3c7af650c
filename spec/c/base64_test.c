#include "base64.h"

#include <errno.h>  /* ENOENT EACCES */
#include <stdint.h> /* SIZE_MAX */
#include <stdio.h>  /* snprintf(3) remove(3) */
#include <stdlib.h> /* mkdtemp(3) free(3) */
#include <string.h> /* memset(3) */

#include <fcntl.h>      /* open(2) */
#include <sys/socket.h> /* socket(2) */
#include <sys/stat.h>   /* mkfifo(3) chmod(2) */
#include <sys/un.h>     /* sockaddr_un */
#include <unistd.h>     /* ftruncate(2) geteuid(2) */

#include "check.h"
#include "exact.h"

enum {
    PIECE = 12288, /* what the file is read by; its neighbours are where it goes wrong */
    LARGEST = 3 * PIECE + 2,
};

/* ---- the other way to encode: bit by bit ---- */

static size_t encoded(const unsigned char *bytes, size_t length, char *text)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t to = 0;
    for (size_t bit = 0; bit < 8 * length; bit += 6) {
        unsigned value = 0;
        for (size_t i = bit; i < bit + 6; i++) {
            unsigned set = i < 8 * length ? (unsigned)bytes[i / 8] >> (7 - i % 8) & 1 : 0;
            value = value << 1 | set;
        }
        text[to++] = letters[value];
    }
    while (to % 4 != 0) {
        text[to++] = '=';
    }
    return to;
}

static unsigned char *sample(size_t length)
{
    static unsigned char bytes[LARGEST + 1];
    for (size_t i = 0; i < length; i++) {
        bytes[i] = (unsigned char)(i * 167 + i / 256 * 13);
    }
    return bytes;
}

static void check_encoded(const struct buffer *buffer, size_t length)
{
    static char expected[4 * (LARGEST / 3 + 1)];
    size_t expected_length = encoded(sample(length), length, expected);
    CHECK_INT(buffer->failure, BUFFER_FINE);
    CHECK_BYTES(buffer->length > 0 ? buffer_bytes(buffer) : "", buffer->length, expected,
                expected_length);
}

/* ---- bytes ---- */

static void check_vector(const char *bytes, const char *expected)
{
    struct buffer buffer;
    struct exact exact = exact_copy(bytes, strlen(bytes));
    buffer_init(&buffer, 0, SIZE_MAX);
    base64_append(&buffer, exact.bytes, exact.length);
    CHECK_BYTES(buffer.length > 0 ? buffer_bytes(&buffer) : "", buffer.length, expected,
                strlen(expected));
    buffer_release(&buffer);
    exact_free(&exact);
}

static void published_vectors(void)
{
    check_vector("", "");
    check_vector("f", "Zg==");
    check_vector("fo", "Zm8=");
    check_vector("foo", "Zm9v");
    check_vector("foob", "Zm9vYg==");
    check_vector("fooba", "Zm9vYmE=");
    check_vector("foobar", "Zm9vYmFy");
    check_vector("\xFB\xFF\xBF", "+/+/");
}

static void check_length(size_t length)
{
    struct buffer buffer;
    struct exact exact = exact_copy(sample(length), length);
    CHECK_NOTE("%zu bytes", length);
    buffer_init(&buffer, 0, SIZE_MAX);
    base64_append(&buffer, exact.bytes, length);
    check_encoded(&buffer, length);
    buffer_release(&buffer);
    exact_free(&exact);
}

static void every_length(void)
{
    for (size_t length = 0; length < 400; length++) {
        check_length(length);
    }
    for (size_t piece = PIECE; piece <= 3 * PIECE; piece += PIECE) {
        for (size_t length = piece - 3; length <= piece + 2; length++) {
            check_length(length);
        }
    }
}

/* Counts in steps of twelve bits, from `first` on. */
static void count_by_twelve_bits(unsigned char bytes[6144], unsigned first)
{
    for (unsigned i = 0; i < 2048; i++) {
        unsigned one = (first + 2 * i) % 4096;
        unsigned other = (first + 2 * i + 1) % 4096;
        bytes[3 * i] = (unsigned char)(one >> 4);
        bytes[3 * i + 1] = (unsigned char)((one & 15) << 4 | other >> 8);
        bytes[3 * i + 2] = (unsigned char)(other & 255);
    }
}

static void every_pair_of_characters_at_every_place(void)
{
    static unsigned char bytes[6144];
    static char expected[8192];
    for (unsigned first = 0; first < 4; first++) {
        struct buffer buffer;
        CHECK_NOTE("from %u on", first);
        count_by_twelve_bits(bytes, first);
        buffer_init(&buffer, 0, sizeof expected);
        base64_append(&buffer, bytes, sizeof bytes);
        CHECK_BYTES(buffer_bytes(&buffer), buffer.length, expected,
                    encoded(bytes, sizeof bytes, expected));
        buffer_release(&buffer);
    }
}

static void nothing_may_be_null(void)
{
    struct buffer buffer;
    buffer_init(&buffer, 0, 0);
    base64_append(&buffer, NULL, 0);
    CHECK_INT(buffer.failure, BUFFER_FINE);
    CHECK_SIZE(buffer.length, 0);
    buffer_release(&buffer);
}

static void follows_what_is_there(void)
{
    struct buffer buffer;
    buffer_init(&buffer, 11, 100);
    buffer_append(&buffer, "\"content\":\"", 11);
    base64_append(&buffer, "foob", 4);
    buffer_append_byte(&buffer, '"');
    CHECK_BYTES(buffer_bytes(&buffer), buffer.length, "\"content\":\"Zm9vYg==\"", 20);
    buffer_release(&buffer);
}

static void check_maximum(size_t length, size_t maximum, enum buffer_failure expected)
{
    struct buffer buffer;
    CHECK_NOTE("%zu bytes, maximum %zu", length, maximum);
    buffer_init(&buffer, 0, maximum);
    base64_append(&buffer, sample(length), length);
    CHECK_INT(buffer.failure, expected);
    CHECK(buffer.length <= maximum);
    buffer_release(&buffer);
}

static void more_than_the_maximum_fails(void)
{
    for (size_t length = 1; length < 40; length++) {
        check_maximum(length, (length + 2) / 3 * 4 - 1, BUFFER_TOO_LARGE);
        check_maximum(length, 0, BUFFER_TOO_LARGE);
    }
    check_maximum(PIECE + 1, PIECE / 3 * 4 + 3, BUFFER_TOO_LARGE);
    check_maximum(PIECE + 1, PIECE / 3 * 4 + 5, BUFFER_FINE);
}

static void exactly_the_maximum_fits(void)
{
    for (size_t length = 0; length < 40; length++) {
        check_maximum(length, (length + 2) / 3 * 4, BUFFER_FINE);
    }
    check_maximum(PIECE, PIECE / 3 * 4, BUFFER_FINE);
    check_maximum(LARGEST, (LARGEST + 2) / 3 * 4, BUFFER_FINE);
}

static void failed_buffer_takes_nothing_more(void)
{
    struct buffer buffer;
    int error = 0;
    buffer_init(&buffer, 0, 9);
    buffer_append(&buffer, "12345", 5);
    base64_append(&buffer, "foobar", 6);
    CHECK_INT(buffer.failure, BUFFER_TOO_LARGE);
    base64_append(&buffer, "f", 1);
    (void)base64_append_file(&buffer, "/dev/null", &error);
    CHECK_BYTES(buffer_bytes(&buffer), 5, "12345", 5);
    CHECK_SIZE(buffer.length, 5);
    buffer_release(&buffer);
}

/* ---- files ---- */

static char folder[] = "/tmp/sendapi-base64-XXXXXX";

static const char *path_of(const char *name)
{
    static char path[300];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static bool write_file(const char *path, const unsigned char *bytes, size_t length)
{
    FILE *file = fopen(path, "wb");
    if (!CHECK(file != NULL)) {
        return false;
    }
    size_t written = length > 0 ? fwrite(bytes, 1, length, file) : 0;
    return CHECK(fclose(file) == 0 && written == length);
}

static int lowest_free_descriptor(void)
{
    int file = open("/dev/null", O_RDONLY | O_CLOEXEC);
    (void)close(file);
    return file;
}

/* Nothing may be appended, and no descriptor may stay open. */
static void check_no_file(const char *path, enum base64_file expected, int expected_error)
{
    struct buffer buffer;
    int error = -1;
    int descriptor = lowest_free_descriptor();
    CHECK_NOTE("%.100s", path);
    buffer_init(&buffer, 0, SIZE_MAX);
    CHECK_INT(base64_append_file(&buffer, path, &error), expected);
    if (expected == BASE64_FILE_FAILED) {
        CHECK_INT(error, expected_error);
    }
    CHECK_SIZE(buffer.length, 0);
    CHECK_INT(buffer.failure, BUFFER_FINE);
    CHECK_INT(lowest_free_descriptor(), descriptor);
    buffer_release(&buffer);
}

static void check_file_of(size_t length)
{
    struct buffer buffer;
    int error = 0;
    int descriptor = lowest_free_descriptor();
    const char *path = path_of("file");
    CHECK_NOTE("%zu bytes", length);
    buffer_init(&buffer, 0, SIZE_MAX);
    if (write_file(path, sample(length), length)) {
        CHECK_INT(base64_append_file(&buffer, path, &error), BASE64_FILE_FINE);
        check_encoded(&buffer, length);
    }
    CHECK_INT(lowest_free_descriptor(), descriptor);
    buffer_release(&buffer);
    (void)remove(path);
}

static void files_of_every_length(void)
{
    static const size_t lengths[] = {0,
                                     1,
                                     2,
                                     3,
                                     4,
                                     5,
                                     6,
                                     12287,
                                     12288,
                                     12289,
                                     12290,
                                     24575,
                                     2 * PIECE,
                                     2 * PIECE + 1,
                                     3 * PIECE - 1,
                                     3 * PIECE,
                                     LARGEST};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        check_file_of(lengths[i]);
    }
}

static void missing_files(void)
{
    static char long_path[6000];
    memset(long_path, 'a', sizeof long_path - 1);
    check_no_file(path_of("missing"), BASE64_FILE_FAILED, ENOENT);
    check_no_file(path_of("no/such/folder"), BASE64_FILE_FAILED, ENOENT);
    check_no_file("", BASE64_FILE_FAILED, ENOENT);
    check_no_file("/dev/null/file", BASE64_FILE_FAILED, ENOTDIR);
    check_no_file(long_path, BASE64_FILE_FAILED, ENAMETOOLONG);
    if (CHECK(symlink("loop", path_of("loop")) == 0)) {
        check_no_file(path_of("loop"), BASE64_FILE_FAILED, ELOOP);
        (void)remove(path_of("loop"));
    }
}

static void what_is_no_regular_file(void)
{
    check_no_file(folder, BASE64_FILE_NOT_REGULAR, 0);
    check_no_file("/", BASE64_FILE_NOT_REGULAR, 0);
    check_no_file("/dev/null", BASE64_FILE_NOT_REGULAR, 0);
    check_no_file("/dev/zero", BASE64_FILE_NOT_REGULAR, 0);
    if (CHECK(symlink("/dev/zero", path_of("link")) == 0)) {
        check_no_file(path_of("link"), BASE64_FILE_NOT_REGULAR, 0);
        (void)remove(path_of("link"));
    }
}

static void pipe_does_not_hang(void)
{
    const char *path = path_of("pipe");
    if (!CHECK(mkfifo(path, 0600) == 0)) {
        return;
    }
    check_no_file(path, BASE64_FILE_NOT_REGULAR, 0);
    int writer = open(path, O_RDWR | O_CLOEXEC);
    CHECK(writer >= 0 && write(writer, "bytes", 5) == 5);
    check_no_file(path, BASE64_FILE_NOT_REGULAR, 0);
    (void)close(writer);
    (void)remove(path);
}

static void socket_is_no_file(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *path = path_of("socket");
    int file = socket(AF_UNIX, SOCK_STREAM, 0);
    memcpy(address.sun_path, path, strlen(path) + 1);
    if (CHECK(bind(file, (struct sockaddr *)&address, sizeof address) == 0)) {
        check_no_file(path, BASE64_FILE_FAILED, ENXIO);
    }
    (void)close(file);
    (void)remove(path);
}

/* Root reads whatever it likes, so as root the question is asked as nobody. */
static void unreadable_file(void)
{
    const char *path = path_of("secret");
    bool root = geteuid() == 0;
    if (!write_file(path, sample(10), 10) || !CHECK(chmod(path, 0) == 0)) {
        return;
    }
    (void)chmod(folder, 0755);
    if (root && seteuid(65534) != 0) {
        CHECK_SKIP("root that cannot be anybody else");
    } else {
        check_no_file(path, BASE64_FILE_FAILED, EACCES);
    }
    CHECK(!root || seteuid(0) == 0);
    (void)remove(path);
}

/* A terabyte of holes, which takes no room: had any of it been read, it would stand in the buffer.
 */
static void too_large_file_is_not_read(void)
{
    struct buffer buffer;
    int error = 0;
    const char *path = path_of("huge");
    int file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    buffer_init(&buffer, 0, 20971520);
    buffer_append(&buffer, "before", 6);
    if (file < 0 || ftruncate(file, (off_t)1 << 40) != 0) {
        CHECK_SKIP("no room for a file of holes");
    } else {
        CHECK_INT(base64_append_file(&buffer, path, &error), BASE64_FILE_FINE);
        CHECK_INT(buffer.failure, BUFFER_TOO_LARGE);
        CHECK_BYTES(buffer_bytes(&buffer), buffer.length, "before", 6);
        CHECK(buffer.capacity < 20971520);
    }
    (void)close(file);
    (void)remove(path);
    buffer_release(&buffer);
}

static void check_file_maximum(size_t length, size_t maximum, enum buffer_failure expected)
{
    struct buffer buffer;
    int error = 0;
    const char *path = path_of("file");
    CHECK_NOTE("%zu bytes, maximum %zu", length, maximum);
    buffer_init(&buffer, 0, maximum);
    if (write_file(path, sample(length), length)) {
        CHECK_INT(base64_append_file(&buffer, path, &error), BASE64_FILE_FINE);
        CHECK_INT(buffer.failure, expected);
        CHECK(expected == BUFFER_FINE || buffer.length == 0);
    }
    (void)remove(path);
    buffer_release(&buffer);
}

static void file_that_is_more_than_the_maximum_fails(void)
{
    check_file_maximum(1, 3, BUFFER_TOO_LARGE);
    check_file_maximum(3, 3, BUFFER_TOO_LARGE);
    check_file_maximum(PIECE, PIECE / 3 * 4 - 1, BUFFER_TOO_LARGE);
    check_file_maximum(PIECE + 1, PIECE / 3 * 4 + 3, BUFFER_TOO_LARGE);
    check_file_maximum(PIECE + 1, PIECE / 3 * 4 + 5, BUFFER_FINE);
}

static void file_that_is_exactly_the_maximum_fits(void)
{
    check_file_maximum(0, 0, BUFFER_FINE);
    check_file_maximum(1, 4, BUFFER_FINE);
    check_file_maximum(3, 4, BUFFER_FINE);
    check_file_maximum(PIECE, PIECE / 3 * 4, BUFFER_FINE);
    check_file_maximum(PIECE + 1, PIECE / 3 * 4 + 4, BUFFER_FINE);
}

/* Files of the system's that announce another length than they give: what is read counts. */
static void check_announced_wrongly(const char *path, bool longer, size_t maximum,
                                    enum buffer_failure expected_failure)
{
    static unsigned char bytes[8000];
    static char expected[12000];
    struct buffer buffer;
    struct stat status;
    int error = 0;
    FILE *file = fopen(path, "rb");
    size_t length = file != NULL ? fread(bytes, 1, sizeof bytes, file) : 0;
    if (file != NULL) {
        (void)fclose(file);
    }
    if (length == 0 || stat(path, &status) != 0 || ((size_t)status.st_size < length) != longer) {
        CHECK_SKIP("no file that announces another length");
        return;
    }
    size_t expected_length = encoded(bytes, length, expected);
    buffer_init(&buffer, 0, maximum);
    CHECK_INT(base64_append_file(&buffer, path, &error), BASE64_FILE_FINE);
    CHECK_INT(buffer.failure, expected_failure);
    CHECK_BYTES(buffer.length > 0 ? buffer_bytes(&buffer) : "", buffer.length, expected,
                expected_failure == BUFFER_FINE ? expected_length : 0);
    buffer_release(&buffer);
}

static void file_longer_than_announced(void)
{
    check_announced_wrongly("/proc/version", true, SIZE_MAX, BUFFER_FINE);
    check_announced_wrongly("/proc/version", true, 8, BUFFER_TOO_LARGE);
}

static void file_shorter_than_announced(void)
{
    check_announced_wrongly("/sys/kernel/mm/transparent_hugepage/enabled", false, SIZE_MAX,
                            BUFFER_FINE);
}

static const struct check_case cases[] = {
    CHECK_CASE(published_vectors),
    CHECK_CASE(every_length),
    CHECK_CASE(every_pair_of_characters_at_every_place),
    CHECK_CASE(nothing_may_be_null),
    CHECK_CASE(follows_what_is_there),
    CHECK_CASE(more_than_the_maximum_fails),
    CHECK_CASE(exactly_the_maximum_fits),
    CHECK_CASE(failed_buffer_takes_nothing_more),
    CHECK_CASE(files_of_every_length),
    CHECK_CASE(missing_files),
    CHECK_CASE(what_is_no_regular_file),
    CHECK_CASE(pipe_does_not_hang),
    CHECK_CASE(socket_is_no_file),
    CHECK_CASE(unreadable_file),
    CHECK_CASE(too_large_file_is_not_read),
    CHECK_CASE(file_that_is_more_than_the_maximum_fails),
    CHECK_CASE(file_that_is_exactly_the_maximum_fits),
    CHECK_CASE(file_longer_than_announced),
    CHECK_CASE(file_shorter_than_announced),
};

int main(int count, char **names)
{
    if (mkdtemp(folder) == NULL) {
        perror("mkdtemp");
        return 1;
    }
    int status = CHECK_RUN(cases, count, names);
    (void)rmdir(folder);
    return status;
}
