/* Any bytes as a table, its first byte the separator; and as a pattern of paths. */
#include <stdlib.h>
#include <string.h>

#include "base/csv.h"
#include "train/patterns.h"

static int count(void *user, const char *path)
{
    size_t *n = user;

    *n += strlen(path);
    return *n < 1 << 16 ? CLIPC_OK : CLIPC_ERR_LIMIT;
}

static void read_table(const uint8_t *data, size_t size)
{
    csv c = csv_start((span){data + 1, size - 1}, (char)data[0], "fuzz");
    size_t records = 0, seen = 0;

    do {
        const int rc = csv_next(&c, NULL);
        if (rc == CLIPC_OK && !c.n) break;
        for (size_t i = 0; rc == CLIPC_OK && i < c.n; i++)
            seen += strlen(csv_field(&c, i));
        if (++records > size || seen > size) abort(); /* each takes a byte at least */
    } while (true);
    csv_free(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *pattern = malloc(size + 1);
    size_t n = 0;

    if (!pattern) abort();
    if (size) {
        read_table(data, size);
        memcpy(pattern, data, size);
    }
    pattern[size] = '\0';
    pattern_each(pattern, count, &n, NULL);
    free(pattern);
    return 0;
}
