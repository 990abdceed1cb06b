/* text/clean.h -- what OpenAI's tokenizer does to a text before it splits it
 * (openai/CLIP clip/simple_tokenizer.py basic_clean, whitespace_clean, lower), but ftfy:
 * html.unescape twice, strip, runs of white space to one blank, Python's str.lower. */
#ifndef CLIPC_TEXT_CLEAN_H
#define CLIPC_TEXT_CLEAN_H

#include "base/buf.h"

/* Longer texts are refused: a caption has a few hundred bytes. */
enum { TEXT_MAX = 4 << 20 };

/* out = cleaned text (cleared first); work is scratch.  Bytes that are not UTF-8 are
 * CLIPC_ERR_TEXT, with the place of the first (counted from 1), and so are texts longer
 * than TEXT_MAX bytes. */
int text_clean(buf *out, buf *work, const char *text, clipc_err *err);

/* Each step alone; `text` is valid UTF-8 of len bytes; they append to out. */
int text_unescape(buf *out, const char *text, size_t len, clipc_err *err);
int text_lower(buf *out, const char *text, size_t len, clipc_err *err);

#endif
