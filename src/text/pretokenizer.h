/* text/pretokenizer.h -- how tokenizer.json splits a normalised text into words
 * ("pre_tokenizer" of Hugging Face's `tokenizers` 0.23): BertPreTokenizer, ByteLevel,
 * CharDelimiterSplit, Digits, Metaspace, Punctuation, Split, Whitespace, WhitespaceSplit
 * and sequences of them. */
#ifndef CLIPC_TEXT_PRETOKENIZER_H
#define CLIPC_TEXT_PRETOKENIZER_H

#include "base/buf.h"
#include "base/json.h"
#include "text/pattern.h"

typedef struct pretokenizer pretokenizer;

/* spec: the object; NULL or JSON null: nothing is split.  Kinds that are not there are
 * refused by name. */
int pretokenizer_new(pretokenizer **out, const json_t *spec, const char *where,
                     clipc_err *err);
void pretokenizer_free(pretokenizer *p);

/* A part of the text, or a token that is one already. */
typedef struct word {
    uint32_t begin, len;
    int32_t id;    /* -1: not a token yet */
    bool at_start; /* begins where the user's text does */
} word;

typedef struct word_list {
    word *at;
    size_t n, cap;
} word_list;

void words_free(word_list *l);
/* Empty words are left out, tokens are not. */
int words_add(word_list *l, word w, clipc_err *err);

typedef struct pretokenizer_work {
    buf other;
    word_list next;
    match_list matches;
} pretokenizer_work;

void pretokenizer_work_free(pretokenizer_work *w);

/* Splits every word that is no token; the text itself may change with them. */
int pretokenizer_run(const pretokenizer *p, pretokenizer_work *w, buf *text,
                     word_list *words, clipc_err *err);

#endif
