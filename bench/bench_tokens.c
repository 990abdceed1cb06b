/* Texts a second of OpenAI's tokenizer on one thread, cleaning included, into rows of 77
 * ids, by processor time.  One pass warms up, the next is measured.
 * usage: bench_tokens FILE     (one text a line) */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "text/bpe.h"

enum { T = 77 };

/* The texts of a file, one by one; *sum keeps the ids from being optimised away. */
static int pass(bpe_work *w, const buf *file, size_t *n, int64_t *sum, clipc_err *err)
{
    int32_t ids[T];
    int rc = CLIPC_OK;

    *n = 0;
    for (const char *s = file->data; rc == CLIPC_OK && *s; ++*n) {
        const char *end = strchr(s, '\n');
        if (!end) end = s + strlen(s);
        rc = bpe_tokenize(w, ids, T, NULL, s, (size_t)(end - s), true, err);
        *sum += ids[1];
        s = *end ? end + 1 : end;
    }
    return rc;
}

int main(int argc, char **argv)
{
    buf file = {0};
    bpe *b = NULL;
    bpe_work *w = NULL;
    clipc_err err;
    size_t n = 0;
    int64_t sum = 0;

    if (argc != 2) return fprintf(stderr, "usage: bench_tokens FILE\n"), 2;
    if (file_read(&file, argv[1], (size_t)1 << 30, &err) || bpe_new(&b, &err) ||
        bpe_work_new(&w, b, &err) || pass(w, &file, &n, &sum, &err))
        return fprintf(stderr, "%s\n", err.msg), 1;
    const clock_t begin = clock();
    if (pass(w, &file, &n, &sum, &err)) return fprintf(stderr, "%s\n", err.msg), 1;
    const double spent = (double)(clock() - begin) / CLOCKS_PER_SEC;
    printf("%.0f %lld\n", (double)n / spent, (long long)sum);
    bpe_work_free(w);
    bpe_free(b);
    buf_free(&file);
    return 0;
}
