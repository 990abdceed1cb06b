/* Any bytes as a text, with and without special tokens. */
#include <stdlib.h>
#include <string.h>

#include "text/bpe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bpe *b; /* made once: the table is large */
    bpe_work *w;
    char *text = malloc(size + 1);
    int32_t ids[77];

    if (!text || (!b && bpe_new(&b, NULL) != CLIPC_OK) ||
        bpe_work_new(&w, NULL) != CLIPC_OK)
        abort();
    if (size) memcpy(text, data, size);
    text[size] = '\0';
    for (int special = 0; special < 2; special++)
        if (bpe_tokenize(b, w, ids, 77, NULL, text, special, NULL) == CLIPC_OK)
            for (int i = 0; i < 77; i++)
                if (ids[i] < 0 || ids[i] >= BPE_VOCAB) abort();
    bpe_work_free(w);
    free(text);
    return 0;
}
