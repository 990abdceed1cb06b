/* Any bytes as a dictionary, up to a NUL; what is behind it as a caption. */
#include <stdlib.h>
#include <string.h>

#include "train/reword.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    dictionary *d = NULL;
    reword_work w = {0};
    buf out = {0};
    bool gloss;

    if (!text || reword_work_new(&w, NULL) != CLIPC_OK) abort();
    if (size) memcpy(text, data, size);
    text[size] = '\0';
    const size_t len = strlen(text);
    const char *caption = len < size ? text + len + 1 : text;
    if (dictionary_parse(&d, text, len, "fuzz", NULL) == CLIPC_OK)
        for (uint64_t seed = 0; seed < 4; seed++) {
            rng r = rng_seed(seed, 0);
            if (reword_caption(&out, &gloss, &w, d, caption, &r, NULL) != CLIPC_OK)
                abort();
            if (w.n && !reword_whole(&w) && gloss) abort();
        }
    dictionary_free(d);
    reword_work_free(&w);
    buf_free(&out);
    free(text);
    return 0;
}
