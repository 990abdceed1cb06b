/* Any bytes as a text, under all rules, with and without special strings: what is taken
 * gives ids of the vocabulary. */
#include <stdlib.h>

#include "text/bpe.h"

enum { RULES = BPE_HF + 1 };

static void run(bpe_work *w, const uint8_t *data, size_t size)
{
    int32_t ids[77];

    for (int special = 0; special < 2; special++)
        if (bpe_tokenize(w, ids, 77, NULL, (const char *)data, size, special, NULL) ==
            CLIPC_OK)
            for (int i = 0; i < 77; i++)
                if (ids[i] < 0 || ids[i] >= BPE_VOCAB) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bpe *b[RULES]; /* made once: they are large, and must not remember */
    static bpe_work *w[RULES];

    for (int r = 0; r < RULES; r++) {
        if (!b[r]) {
            if (bpe_new(&b[r], NULL) != CLIPC_OK) abort();
            bpe_set_rules(b[r], (bpe_rules)r);
            if (bpe_work_new(&w[r], b[r], NULL) != CLIPC_OK) abort();
        }
        run(w[r], data, size);
    }
    return 0;
}
