/* Any bytes as a tokenizer.json and, behind the first NUL, as a text: what is accepted
 * gives ids that are not negative, special tokens allowed or not, and rows that are full.
 */
#include <stdlib.h>
#include <string.h>

#include "text/pipeline.h"

enum { CONTEXT = 24, TEXT_LIMIT = 4096 };

static void use(const pipeline *p, const char *text, size_t len)
{
    static pipeline_work *w; /* one for all: it must not remember */
    const int32_t *ids;
    int32_t row[CONTEXT];
    size_t n, n_tokens;

    if (!w && pipeline_work_new(&w, NULL) != CLIPC_OK) abort();
    for (int special = 0; special < 2; special++) {
        if (pipeline_encode(p, w, &ids, &n, text, len, special, NULL) != CLIPC_OK) return;
        for (size_t i = 0; i < n; i++)
            if (ids[i] < 0) abort();
        if (pipeline_tokenize(p, w, row, CONTEXT, &n_tokens, text, len, special, NULL) !=
            CLIPC_OK)
            continue; /* no room for what begins and ends a text */
        if (n_tokens < n) abort();
        for (int i = 0; i < CONTEXT; i++)
            if (row[i] < -1) abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char plain[] = "A caf\xc3\xa9 <s>  don't\t12.5 \xe7\x8c\xab</s>";
    const uint8_t *nul = size ? memchr(data, 0, size) : NULL;
    const size_t json = nul ? (size_t)(nul - data) : size;
    const size_t len = nul ? size - json - 1 : 0;
    json_t *root;
    pipeline *p;

    if (json_parse(&root, (const char *)data, json, "fuzz", NULL) != CLIPC_OK) return 0;
    if (pipeline_new(&p, root, false, "fuzz", NULL) == CLIPC_OK) {
        use(p, plain, sizeof plain - 1);
        use(p, (const char *)data + size - len, len < TEXT_LIMIT ? len : TEXT_LIMIT);
        pipeline_free(p);
    }
    json_decref(root);
    return 0;
}
