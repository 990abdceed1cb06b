/* text/bpe.h -- OpenAI's byte-pair encoding (openai/CLIP clip/simple_tokenizer.py), with
 * its vocabulary of 49,408: 256 bytes, the same at the end of a word, 48,894 merges,
 * start, end.
 *
 * A text is cleaned (text/clean.h), split (text/split.h), and each piece merged from its
 * bytes, lowest rank first.  Bytes are counted, so that NUL is a character like others.
 */
#ifndef CLIPC_TEXT_BPE_H
#define CLIPC_TEXT_BPE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

/* Of the built-in vocabulary. */
enum { BPE_SOT = 49406, BPE_EOT = 49407, BPE_VOCAB = 49408 };

/* Whose tokenizer it is: what becomes of a text before its pieces are merged, and which
 * strings are special. */
typedef enum bpe_rules {
    BPE_OPENAI,
    BPE_OPEN_CLIP, /* "<start_of_text>", "<end_of_text>"; clean "lower", its default */
    BPE_OPEN_CLIP_WHITESPACE, /* clean "whitespace" */
    BPE_OPEN_CLIP_CANONICAL,  /* clean "canonicalize" */
    BPE_HF                    /* transformers 5: pads with the end token */
} bpe_rules;

/* The merge table: const once made, shared by all threads. */
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
 * that it lacks become the end token, as there; every other symbol must be in it.  The
 * rules are BPE_HF. */
int bpe_load_hf(bpe **out, const buf *vocab, const char *vocab_name, const buf *merges,
                const char *merges_name, clipc_err *err);
void bpe_free(bpe *b);

/* Before it is used: the rules, BPE_OPENAI unless told otherwise, and what follows of
 * them. */
void bpe_set_rules(bpe *b, bpe_rules rules);
/* BPE_HF: rows are padded with this token, written as in vocab.json, and its spelling
 * becomes a special string.  One that the vocabulary lacks, for which a model has no row,
 * changes nothing. */
int bpe_set_pad(bpe *b, const char *token, clipc_err *err);

/* Whether both have the same merges and ids. */
bool bpe_equal(const bpe *a, const bpe *b);

/* The table must outlive it. */
int bpe_work_new(bpe_work **out, const bpe *b, clipc_err *err);
void bpe_work_free(bpe_work *w);

/* One more than the largest id that a text can give.  A model must have as many rows. */
size_t bpe_vocab_size(const bpe *b);
int32_t bpe_sot(const bpe *b);
int32_t bpe_eot(const bpe *b);

/* The ids of a text of len bytes without start and end: *ids points into w and lasts
 * until its next use.  special: special strings in it become the special tokens, as in
 * the reference; otherwise they are ordinary text.  CLIPC_ERR_TEXT if the text is not
 * UTF-8 or longer than TEXT_MAX bytes. */
int bpe_encode(bpe_work *w, const int32_t **ids, size_t *n, const char *text, size_t len,
               bool special, clipc_err *err);

/* ids [context_length] = start, the n inner ids, end, padding; cut with the end kept.
 * context_length is 2 or more. */
void bpe_frame(const bpe *b, int32_t *ids, size_t context_length, const int32_t *inner,
               size_t n);

/* Both in one.  *n_tokens (NULL allowed): the length before cutting, start and end
 * counted. */
int bpe_tokenize(bpe_work *w, int32_t *ids, size_t context_length, size_t *n_tokens,
                 const char *text, size_t len, bool special, clipc_err *err);

/* Appends the bytes of a token, "</w>" behind those that end a word.  Nothing for ids
 * that do not exist. */
int bpe_token(buf *out, const bpe *b, int32_t id, clipc_err *err);

/* The two files of Hugging Face's CLIP tokenizer, made from the table. */
int bpe_vocab_json(buf *out, const bpe *b, clipc_err *err);
int bpe_merges_txt(buf *out, const bpe *b, clipc_err *err);

#endif
