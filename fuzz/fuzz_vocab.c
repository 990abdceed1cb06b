/* Any bytes as merges.txt and, behind the first NUL, as vocab.json: what is accepted
 * encodes a text with ids below its size. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "text/bpe.h"

static char merges_path[] = "/tmp/fuzz_merges.XXXXXX",
            vocab_path[] = "/tmp/fuzz_vocab.XXXXXX";

static void remove_files(void)
{
    unlink(merges_path);
    unlink(vocab_path);
}

static void put(const char *path, const void *data, size_t size)
{
    FILE *f = fopen(path, "wb");

    if (!f || fwrite(data, 1, size, f) != size || fclose(f)) abort();
}

static void use(const bpe *b)
{
    const char *text = "The lower cat's 12 caf\xc3\xa9";
    bpe_work *w;
    int32_t ids[20];

    if (bpe_work_new(&w, b, NULL) != CLIPC_OK) abort();
    if (bpe_tokenize(w, ids, 20, NULL, text, strlen(text), false, NULL)) abort();
    for (int i = 0; i < 20; i++)
        if (ids[i] < 0 || (size_t)ids[i] >= bpe_vocab_size(b)) abort();
    bpe_work_free(w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int made;
    const uint8_t *nul = size ? memchr(data, 0, size) : NULL;
    const size_t merges = nul ? (size_t)(nul - data) : size;
    bpe *b;

    if (!made++) {
        const int m = mkstemp(merges_path), v = mkstemp(vocab_path);
        if (m < 0 || v < 0 || close(m) || close(v) || atexit(remove_files)) abort();
    }
    if (bpe_load(&b, (const char *)data, merges, "fuzz", NULL) == CLIPC_OK) {
        use(b);
        bpe_free(b);
    }
    if (!nul) return 0;
    put(merges_path, data, merges);
    put(vocab_path, nul + 1, size - merges - 1);
    if (bpe_load_hf(&b, vocab_path, merges_path, NULL) == CLIPC_OK) {
        use(b);
        bpe_free(b);
    }
    return 0;
}
