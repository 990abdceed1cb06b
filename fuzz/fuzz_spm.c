/* Any bytes as a SentencePiece model and, behind the last "\xff\xff", as a text: what is
 * accepted gives ids of its pieces. */
#include <stdlib.h>
#include <string.h>

#include "text/sentencepiece.h"

/* Where the text begins; size if there is none. */
static size_t text_at(const uint8_t *data, size_t size)
{
    for (size_t i = size; i-- > 1;)
        if (data[i] == 0xff && data[i - 1] == 0xff) return i + 1;
    return size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char plain[] = "the cat \xe2\x98\x83 ffff  foo bar";
    static spm_work *w; /* one for all: it must not remember */
    const size_t at = text_at(data, size), model = at < size ? at - 2 : size;
    id_list ids = {0};
    spm *m;

    if (!w && spm_work_new(&w, NULL) != CLIPC_OK) abort();
    if (spm_new(&m, data, model, "fuzz", NULL) != CLIPC_OK) return 0;
    if (spm_encode(m, w, &ids, plain, sizeof plain - 1, NULL) != CLIPC_OK &&
        spm_size(m) == 0)
        abort();
    spm_encode(m, w, &ids, (const char *)data + at, size - at, NULL);
    for (size_t i = 0; i < ids.n; i++)
        if (ids.at[i] < 0 || (size_t)ids.at[i] >= spm_size(m)) abort();
    ids_free(&ids);
    spm_free(m);
    return 0;
}
