/* clip/tokens.h -- a model's tokenizer, whichever it is. */
#ifndef CLIPC_CLIP_TOKENS_H
#define CLIPC_CLIP_TOKENS_H

#include "clip/pretrained.h"
#include "clip/source.h"
#include "text/bpe.h"
#include "text/wordpiece.h"

/* Const once made.  One of the three, or none: texts go by ids. */
typedef struct tokenizer {
    bpe *bpe;
    wordpiece *wordpiece;
    canonical_rules cleaning; /* of texts for wordpiece */
    pretrained *pretrained;
    const char *name; /* "openai", "bpe", "wordpiece", "sentencepiece", "tokenizer.json",
                         or what is not supported */
} tokenizer;

/* The folder's own files (vocab.txt; vocab.json and merges.txt; tokenizer.json, .model:
 * see clip/pretrained.h), else the built-in vocabulary if the model is of OpenAI's.
 * `name` points into s or lasts for ever. */
int tokenizer_open(tokenizer *t, const model_source *s, clipc_err *err);
void tokenizer_free(tokenizer *t);

/* One thread's scratch. */
typedef struct tokens_work {
    bpe_work *bpe;
    wordpiece_work *wordpiece;
    pretrained_work *pretrained;
    buf clean, scratch;
} tokens_work;

int tokens_work_new(tokens_work *w, clipc_err *err);
void tokens_work_free(tokens_work *w);

/* One more than the largest id that a text can give. */
size_t tokenizer_size(const tokenizer *t);

/* ids [context_length], as the model's own tokenizer pads and cuts; special: as in
 * bpe_tokenize.  `where` names the model in messages. */
int tokenizer_run(const tokenizer *t, tokens_work *w, int32_t *ids, size_t context_length,
                  size_t *n_tokens, const char *text, bool special, const char *where,
                  clipc_err *err);

#endif
