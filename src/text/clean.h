/* text/clean.h -- what the tokenizers of byte pairs do to a text before they split it. */
#ifndef CLIPC_TEXT_CLEAN_H
#define CLIPC_TEXT_CLEAN_H

#include "base/buf.h"

/* Longer texts are refused: a caption has a few hundred bytes. */
enum { TEXT_MAX = 4 << 20 };

typedef enum clean_rules {
    /* openai/CLIP clip/simple_tokenizer.py: ftfy (text/repair.h), html.unescape twice,
     * strip, runs of white space to one blank, Python's str.lower.  open_clip's "lower".
     */
    CLEAN_LOWER,
    CLEAN_WHITESPACE, /* open_clip's "whitespace": the same without lower case */
    CLEAN_CANONICAL,  /* open_clip's "canonicalize": and without ASCII's punctuation */
    /* transformers 5 CLIPTokenizer: NFC, runs of white space to one blank, lower case of
     * each character by itself.  Its white space at the ends, which no token has, goes.
     */
    CLEAN_HF
} clean_rules;

/* One thread's scratch. */
typedef struct clean_work clean_work;

int clean_work_new(clean_work **out, clipc_err *err);
void clean_work_free(clean_work *w);

/* out = the cleaned text of len bytes, NUL among them or not.  Bytes that are not UTF-8
 * are CLIPC_ERR_TEXT, with the place of the first (counted from 1), and so are texts
 * longer than TEXT_MAX bytes. */
int text_clean(buf *out, clean_work *w, const char *text, size_t len, clean_rules rules,
               clipc_err *err);

#endif
