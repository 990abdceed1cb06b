/* text/bpe.h -- OpenAI's byte-pair encoding (openai/CLIP clip/simple_tokenizer.py), with
 * its vocabulary of 49,408: 256 bytes, the same at the end of a word, 48,894 merges,
 * start, end.
 *
 * A text is cleaned (text/clean.h), split by the reference's pattern, and each piece
 * merged from its bytes, lowest rank first. */
#ifndef CLIPC_TEXT_BPE_H
#define CLIPC_TEXT_BPE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

/* Of the built-in vocabulary. */
enum { BPE_SOT = 49406, BPE_EOT = 49407, BPE_VOCAB = 49408 };

/* The merge table and the compiled patterns: const once made, shared by all threads. */
typedef struct bpe bpe;
/* One thread's scratch. */
typedef struct bpe_work bpe_work;

/* The built-in vocabulary: ready in a millisecond or two. */
int bpe_new(bpe **out, clipc_err *err);
/* Another one, from merges as text: a first line that names a version, then two symbols a
 * line, of which each is a character of GPT-2's byte alphabet or what an earlier line
 * made.  As in the reference, lines behind the 48,894th are not read.  Ids are numbered
 * as in the built-in one.  `name` is for messages; the text is not needed afterwards. */
int bpe_load(bpe **out, const char *merges, size_t size, const char *name,
             clipc_err *err);
/* The same with the ids of Hugging Face's vocab.json, {"symbol": id, ...}.  Single bytes
 * that it lacks become the end token, as there; every other symbol must be in it. */
int bpe_load_hf(bpe **out, const buf *vocab, const char *vocab_name, const buf *merges,
                const char *merges_name, clipc_err *err);
void bpe_free(bpe *b);

/* Whether both give the same ids to every text. */
bool bpe_equal(const bpe *a, const bpe *b);

int bpe_work_new(bpe_work **out, clipc_err *err);
void bpe_work_free(bpe_work *w);

/* One more than the largest id that a text can give.  A model must have as many rows. */
size_t bpe_vocab_size(const bpe *b);
int32_t bpe_sot(const bpe *b);
int32_t bpe_eot(const bpe *b);

/* The ids of a text without start and end: *ids points into w and lasts until its next
 * use. special: "<|startoftext|>" and "<|endoftext|>" become the special tokens, as in
 * the reference; otherwise they are ordinary text.  CLIPC_ERR_TEXT if the text is not
 * UTF-8 or longer than TEXT_MAX bytes. */
int bpe_encode(const bpe *b, bpe_work *w, const int32_t **ids, size_t *n,
               const char *text, bool special, clipc_err *err);

/* ids [context_length] = start, the text, end, zeros; cut with the end kept.  *n_tokens
 * (NULL allowed): the length before cutting, start and end counted.  context_length is 2
 * or more. */
int bpe_tokenize(const bpe *b, bpe_work *w, int32_t *ids, size_t context_length,
                 size_t *n_tokens, const char *text, bool special, clipc_err *err);

/* Appends the bytes of a token, "</w>" behind those that end a word.  Nothing for ids
 * that do not exist. */
int bpe_token(buf *out, const bpe *b, int32_t id, clipc_err *err);

/* The two files of Hugging Face's CLIP tokenizer, made from the table. */
int bpe_vocab_json(buf *out, const bpe *b, clipc_err *err);
int bpe_merges_txt(buf *out, const bpe *b, clipc_err *err);

#endif
