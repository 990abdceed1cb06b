/* clip/tokens.h -- a model's tokenizer, whichever it is. */
#ifndef CLIPC_CLIP_TOKENS_H
#define CLIPC_CLIP_TOKENS_H

#include "clip/pretrained.h"
#include "clip/token_files.h"
#include "text/bpe.h"
#include "text/clean.h"
#include "text/wordpiece.h"

/* Const once made.  One of the first three, or none: texts go by ids. */
typedef struct tokenizer {
    bpe *bpe;
    wordpiece *wordpiece;
    pretrained *pretrained;
    bool cleans; /* texts, as open_clip does before anything else */
    clean_rules cleaning;
    const char *name; /* "openai", "bpe", "wordpiece", "sentencepiece", "tokenizer.json",
                         or what is not supported */
} tokenizer;

/* Of the source's own files (vocab.txt; vocab.json and merges.txt; tokenizer.json and
 * .model, see clip/pretrained.h), else the built-in vocabulary if the model is of
 * OpenAI's; open_clip's own tokenizer reads no files.  `name` points into the source or
 * lasts for ever. */
int tokenizer_make(tokenizer *t, token_files *f, clipc_err *err);
/* The same, read here.  Before net_open, which takes over the tensors. */
int tokenizer_open(tokenizer *t, const model_source *s, clipc_err *err);
/* The same, with the files that a copy of the model in a layout ("clipc", "hf",
 * "open_clip") needs: clipc those that the tokenizer is made of, others all there are;
 * open_clip none if the vocabulary is OpenAI's, which it has. */
int tokenizer_copy(tokenizer *t, token_files *f, model_source *s, const char *to,
                   clipc_err *err);
void tokenizer_free(tokenizer *t);

/* One thread's scratch. */
typedef struct tokens_work {
    bpe_work *bpe;
    wordpiece_work *wordpiece;
    clean_work *cleaner; /* if the tokenizer cleans */
    buf clean;
    pretrained_work *pretrained;
} tokens_work;

int tokens_work_new(tokens_work *w, const tokenizer *t, clipc_err *err);
void tokens_work_free(tokens_work *w);

/* As clipc_token_text. */
void tokenizer_show(const tokenizer *t, int32_t id, char *out, size_t out_size);

/* One more than the largest id that a text can give. */
size_t tokenizer_size(const tokenizer *t);
/* CLIPC_ERR_FEATURE if a model of so many tokens has not one for each. */
int tokenizer_check(const tokenizer *t, size_t vocab_size, const char *where,
                    clipc_err *err);

/* A text of len bytes. */
typedef struct text_span {
    const char *data;
    size_t len;
} text_span;

/* ids [context_length], as the model's own tokenizer pads and cuts; special: as in
 * bpe_encode.  `where` names the model in messages. */
int tokenizer_run(const tokenizer *t, tokens_work *w, int32_t *ids, size_t context_length,
                  size_t *n_tokens, text_span text, bool special, const char *where,
                  clipc_err *err);

/* What it is made of, for texts that are not cut: the ids of all of a text, without those
 * around it, in w until its next use; */
int tokenizer_encode(const tokenizer *t, tokens_work *w, const int32_t **inner, size_t *n,
                     text_span text, bool special, const char *where, clipc_err *err);
/* how many of them fit; a row of up to as many. */
size_t tokenizer_room(const tokenizer *t, size_t context_length);
void tokenizer_frame(const tokenizer *t, int32_t *ids, size_t context_length,
                     const int32_t *inner, size_t n);

#endif
