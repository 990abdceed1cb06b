/* text/normalizer.h -- what tokenizer.json does to a text before it is split
 * ("normalizer" of Hugging Face's `tokenizers` 0.23): NFC, NFD, NFKC, NFKD, Lowercase,
 * Strip, StripAccents, Nmt, Replace, Prepend, Precompiled, ByteLevel, BertNormalizer and
 * sequences of them.
 *
 * Precompiled is not SentencePiece's own way: characters as readers see them (grapheme
 * clusters) of up to five bytes are looked up whole and replaced whole by the shortest
 * rule that they begin with, the others code point by code point. */
#ifndef CLIPC_TEXT_NORMALIZER_H
#define CLIPC_TEXT_NORMALIZER_H

#include "base/buf.h"
#include "base/json.h"
#include "text/pattern.h"
#include "text/runes.h"
#include "text/wordpiece.h"

typedef struct normalizer normalizer;

/* spec: the object; NULL or JSON null: nothing is done.  Kinds that are not there are
 * refused by name. */
int normalizer_new(normalizer **out, const json_t *spec, const char *where,
                   clipc_err *err);
void normalizer_free(normalizer *n);

typedef struct normalizer_work {
    buf other;
    match_list matches;
    runes chars, scratch;
    wordpiece_work *wordpiece;
} normalizer_work;

void normalizer_work_free(normalizer_work *w);

/* Replaces the text, which is UTF-8.  *at_start becomes false when what is now first was
 * not first before. */
int normalizer_run(const normalizer *n, normalizer_work *w, buf *text, bool *at_start,
                   clipc_err *err);

#endif
