/* text/pipeline.h -- tokenizer.json, the tokenizers of Hugging Face's `tokenizers` 0.23:
 * a text is searched for added tokens, normalised, split into words, each word given to
 * the model (BPE, Unigram, WordPiece), the result cut, put between the tokens that begin
 * and end a text, and padded.  What is not supported is refused by name. */
#ifndef CLIPC_TEXT_PIPELINE_H
#define CLIPC_TEXT_PIPELINE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/json.h"

/* Const once made, shared by all threads. */
typedef struct pipeline pipeline;
/* One thread's scratch. */
typedef struct pipeline_work pipeline_work;

/* `root` is not needed afterwards; `where` is for messages.  exact: scores of Unigram are
 * the numbers that the file spells; false: as `tokenizers` reads them, some of them off
 * by one unit in the last place, which decides ties. */
int pipeline_new(pipeline **out, const json_t *root, bool exact, const char *where,
                 clipc_err *err);
void pipeline_free(pipeline *p);

int pipeline_work_new(pipeline_work **out, clipc_err *err);
void pipeline_work_free(pipeline_work *w);

/* Which end is padded and with what, which end of a long text is cut: tokenizer.json's
 * own settings unless these are called.  Without any, -1 and the right ends. */
void pipeline_set_padding(pipeline *p, int32_t id, bool left);
void pipeline_set_truncation(pipeline *p, bool left);
int32_t pipeline_pad(const pipeline *p);
/* Another "post_processor" (NULL or JSON null: none). */
int pipeline_set_frame(pipeline *p, const json_t *spec, const char *where,
                       clipc_err *err);

/* The id of a token by its spelling, -1. */
int32_t pipeline_id(const pipeline *p, const char *token);
/* Appends the spelling of an id; nothing if there is none. */
int pipeline_token(buf *out, const pipeline *p, int32_t id, clipc_err *err);
/* One more than the largest id of the model's own vocabulary; added tokens may lie
 * beyond.
 */
size_t pipeline_vocab_size(const pipeline *p);

/* The ids of a text without those that begin and end it: *ids points into w and lasts
 * until its next use.  special: special tokens in the text become such, as in the
 * reference; otherwise they are ordinary text, even where the model's vocabulary spells
 * them.  CLIPC_ERR_TEXT if the text is not UTF-8 or longer than TEXT_MAX bytes
 * (text/clean.h). */
int pipeline_encode(const pipeline *p, pipeline_work *w, const int32_t **ids, size_t *n,
                    const char *text, size_t len, bool special, clipc_err *err);

/* How many tokens stand around a text. */
size_t pipeline_around(const pipeline *p);
/* ids [context_length] = the n inner ids, cut so that the tokens around a text are kept,
 * and padded.  context_length is pipeline_around or more. */
void pipeline_frame(const pipeline *p, int32_t *ids, size_t context_length,
                    const int32_t *inner, size_t n);
/* Both in one.  *n_tokens (NULL allowed): the length before cutting, the tokens around
 * counted. */
int pipeline_tokenize(const pipeline *p, pipeline_work *w, int32_t *ids,
                      size_t context_length, size_t *n_tokens, const char *text,
                      size_t len, bool special, clipc_err *err);

#endif
