/* Any bytes as a vocabulary and, behind the first NUL, as a text: what is accepted gives
 * ids below its size, under every setting.  The special tokens are put behind the
 * vocabulary where they are missing, or few inputs would get past them. */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "text/wordpiece.h"

enum { CONTEXT = 32 };

static void use(const wordpiece *m, const char *text)
{
    static wordpiece_work *w; /* one for all: it must not remember */
    const int32_t *ids, size = (int32_t)wordpiece_vocab_size(m);
    int32_t padded[CONTEXT];
    size_t n, n_tokens;

    if (!w && wordpiece_work_new(&w, NULL) != CLIPC_OK) abort();
    for (int special = 0; special < 2; special++) {
        if (wordpiece_tokenize(m, w, padded, CONTEXT, &n_tokens, text, strlen(text),
                               special, NULL) != CLIPC_OK)
            return;
        for (int i = 0; i < CONTEXT; i++)
            if (padded[i] < 0 || padded[i] >= size) abort();
        if (wordpiece_encode(m, w, &ids, &n, text, strlen(text), special, NULL) !=
            CLIPC_OK)
            abort();
        if (n + 2 != n_tokens) abort();
        for (size_t i = 0; i < n; i++)
            if (ids[i] < 0 || ids[i] >= size) abort();
    }
}

static void load(const char *vocab, size_t size, const char *text)
{
    for (int bits = 0; bits < 8; bits++) {
        const wordpiece_options o = {bits & 1, bits & 2 ? -1 : !(bits & 1), bits & 4,
                                     bits == 7 ? 5 : 0};
        wordpiece *m;
        if (wordpiece_load(&m, vocab, size, &o, "fuzz", NULL) != CLIPC_OK) return;
        use(m, text);
        wordpiece_free(m);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *nul = size ? memchr(data, 0, size) : NULL;
    const size_t vocab = nul ? (size_t)(nul - data) : size;
    const size_t len = nul ? size - vocab - 1 : 0;
    char *text = malloc(len + 1);
    buf whole = {0};

    if (!text || buf_add(&whole, data, vocab, NULL) != CLIPC_OK ||
        buf_puts(&whole, "\n[PAD]\n[UNK]\n[CLS]\n[SEP]", NULL) != CLIPC_OK)
        abort();
    if (len) memcpy(text, nul + 1, len);
    text[len] = '\0';
    load((const char *)data, vocab, text);
    load(whole.data, whole.len, text);
    buf_free(&whole);
    free(text);
    return 0;
}
