/* Any bytes as merges.txt and, behind the first NUL, as vocab.json: what is accepted
 * encodes a text with ids below its size. */
#include <stdlib.h>
#include <string.h>

#include "text/bpe.h"

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
    const uint8_t *nul = size ? memchr(data, 0, size) : NULL;
    const size_t n = nul ? (size_t)(nul - data) : size;
    /* Only read. */
    const buf merges = {.data = (char *)(uintptr_t)data, .len = n};
    const buf vocab = {.data = (char *)(uintptr_t)data + n + 1, .len = size - n - !!nul};
    bpe *b;

    if (bpe_load(&b, merges.data, merges.len, "fuzz", NULL) == CLIPC_OK) {
        use(b);
        bpe_free(b);
    }
    if (nul && bpe_load_hf(&b, &vocab, "fuzz", &merges, "fuzz", NULL) == CLIPC_OK) {
        use(b);
        bpe_free(b);
    }
    return 0;
}
