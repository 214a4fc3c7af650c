#include "suggest.h"

#include <string.h> /* memcpy(3) */

enum { LONGEST = 63 };

static unsigned char lower(char c)
{
    return (unsigned char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Damerau-Levenshtein distance in its restricted form (optimal string alignment), by rows. */
static size_t distance(const char *a, size_t a_length, const char *b, size_t b_length)
{
    size_t before[LONGEST + 1] = {0};
    size_t above[LONGEST + 1];
    size_t row[LONGEST + 1];
    for (size_t j = 0; j <= b_length; j++) {
        above[j] = j;
    }
    for (size_t i = 1; i <= a_length; i++) {
        row[0] = i;
        for (size_t j = 1; j <= b_length; j++) {
            size_t replaced = above[j - 1] + (lower(a[i - 1]) != lower(b[j - 1]));
            row[j] = least(replaced, least(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) &&
                lower(a[i - 2]) == lower(b[j - 1])) {
                row[j] = least(row[j], before[j - 2] + 1);
            }
        }
        memcpy(before, above, sizeof above);
        memcpy(above, row, sizeof row);
    }
    return above[b_length];
}

void suggest_consider(struct suggestion *best, const char *typed, size_t typed_length,
                      const char *known, size_t known_length)
{
    if (typed_length == 0 || typed_length > LONGEST || known_length > LONGEST) {
        return;
    }
    size_t longer = typed_length > known_length ? typed_length : known_length;
    size_t found = distance(typed, typed_length, known, known_length);
    if (found <= (longer + 2) / 3 && found < longer &&
        (best->word == NULL || found < best->distance)) {
        *best = (struct suggestion){.word = known, .distance = found};
    }
}
