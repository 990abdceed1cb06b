/* clip/pretrained.h -- the tokenizer that transformers 5 makes of a model's files
 * (AutoTokenizer.from_pretrained), and what open_clip's HFTokenizer makes of its ids.
 *
 * tokenizer_config.json names a class, or the kind of model does.  SiglipTokenizer is
 * SentencePiece itself behind its own cleaning; of tokenizer.json the classes
 * T5Tokenizer, XLMRobertaTokenizer, RobertaTokenizer, GemmaTokenizer and Siglip2Tokenizer
 * keep no more than the vocabulary and the rules of Precompiled, and build the rest anew;
 * every other class takes it as it is.  Without tokenizer.json the vocabulary comes from
 * spiece.model, sentencepiece.bpe.model or tokenizer.model, or from vocab.json and
 * merges.txt. */
#ifndef CLIPC_CLIP_PRETRAINED_H
#define CLIPC_CLIP_PRETRAINED_H

#include "clip/token_files.h"

/* Const once made, shared by all threads. */
typedef struct pretrained pretrained;
/* One thread's scratch. */
typedef struct pretrained_work pretrained_work;

/* Of files where token_folder_found. */
int pretrained_open(pretrained **out, token_files *files, clipc_err *err);
void pretrained_free(pretrained *p);

int pretrained_work_new(pretrained_work **out, clipc_err *err);
void pretrained_work_free(pretrained_work *w);

/* Appends the spelling of a token; nothing if it has none. */
int pretrained_token(buf *out, const pretrained *p, int32_t id, clipc_err *err);
/* One more than the largest id of its vocabulary. */
size_t pretrained_size(const pretrained *p);
/* "sentencepiece", "tokenizer.json", "bpe": what the vocabulary was read from. */
const char *pretrained_kind(const pretrained *p);

/* As tokenizer_run, tokenizer_encode, tokenizer_room and tokenizer_frame. */
int pretrained_tokenize(const pretrained *p, pretrained_work *w, int32_t *ids,
                        size_t context_length, size_t *n_tokens, const char *text,
                        size_t len, bool special, clipc_err *err);
int pretrained_encode(const pretrained *p, pretrained_work *w, const int32_t **inner,
                      size_t *n, const char *text, size_t len, bool special,
                      clipc_err *err);
size_t pretrained_room(const pretrained *p, size_t context_length);
void pretrained_frame(const pretrained *p, int32_t *ids, size_t context_length,
                      const int32_t *inner, size_t n);

#endif
