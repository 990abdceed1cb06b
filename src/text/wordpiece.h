/* text/wordpiece.h -- BERT's WordPiece tokenizer, with the ids of Hugging Face's
 * BertTokenizerFast (transformers 5, where BertTokenizer is the same; tokenizers 0.23).
 *
 * A text is cleaned (control characters vanish, white space becomes blanks), Chinese
 * characters get blanks around them, accents are stripped (NFD without Mn), letters lower
 * case; it is split at blanks and around punctuation, and each word becomes the longest
 * tokens of the vocabulary from left to right, those behind the first spelt "##...".  A
 * word that cannot be spelt so, or is too long, is [UNK].
 *
 * Where the Python tokenizer of earlier versions (BertTokenizerLegacy) differs, this
 * follows the fast one:
 *  - capital sigma becomes U+03C3 everywhere; Python's lower() makes a final one U+03C2;
 *  - the text is not brought to NFC first, which shows where accents are kept;
 *  - U+2B820..U+2B91F are not Chinese characters;
 *  - categories are those of an old Unicode (wordpiece_data.c): later punctuation is not
 *    split off and later accents stay.  Unassigned characters are kept, not removed;
 *  - a line of the vocabulary loses all white space at its end, and '\r' ends no line. */
#ifndef CLIPC_TEXT_WORDPIECE_H
#define CLIPC_TEXT_WORDPIECE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

/* The vocabulary and how texts are cleaned: const once made, shared by all threads. */
typedef struct wordpiece wordpiece;
/* One thread's scratch. */
typedef struct wordpiece_work wordpiece_work;

typedef struct wordpiece_options {
    bool lower_case;
    int strip_accents; /* 1, 0, or -1: as lower_case */
    bool chinese_chars;
    size_t max_word; /* characters; longer words are [UNK].  0: 100, as BERT has it */
} wordpiece_options;

/* The vocabulary of vocab.txt: one token a line, its id the number of the line from 0. Of
 * equal lines the last counts.  [UNK], [CLS], [SEP] and [PAD] must be in it; [MASK] need
 * not, and is ordinary text then (the reference would number it behind the last line).
 * o NULL: uncased, as bert-base-uncased.  `name` is for messages; the text is not needed
 * afterwards. */
int wordpiece_load(wordpiece **out, const char *vocab_txt, size_t size,
                   const wordpiece_options *o, const char *name, clipc_err *err);
void wordpiece_free(wordpiece *m);

int wordpiece_work_new(wordpiece_work **out, clipc_err *err);
void wordpiece_work_free(wordpiece_work *w);

/* One more than the largest id of a token; a model must have as many rows. */
size_t wordpiece_vocab_size(const wordpiece *m);
int32_t wordpiece_unk(const wordpiece *m);
int32_t wordpiece_cls(const wordpiece *m);
int32_t wordpiece_sep(const wordpiece *m);
int32_t wordpiece_pad(const wordpiece *m);
/* -1 if the vocabulary has none. */
int32_t wordpiece_mask(const wordpiece *m);

/* Appends a token as the vocabulary spells it, "##" included.  Nothing for ids that do
 * not exist. */
int wordpiece_token(buf *out, const wordpiece *m, int32_t id, clipc_err *err);

/* The ids of a text of len bytes without [CLS] and [SEP]: *ids points into w and lasts
 * until its next use.  special: "[UNK]", "[CLS]", "[SEP]", "[PAD]" and "[MASK]" in the
 * text, spelt like that, become the special tokens, as in the reference unless
 * split_special_tokens is set; otherwise they are ordinary text.  CLIPC_ERR_TEXT if the
 * text is not UTF-8 or longer than TEXT_MAX bytes (text/clean.h). */
int wordpiece_encode(const wordpiece *m, wordpiece_work *w, const int32_t **ids,
                     size_t *n, const char *text, size_t len, bool special,
                     clipc_err *err);

/* ids [context_length] = [CLS], the n inner ids, [SEP], [PAD]s; cut with [SEP] kept.
 * context_length is 2 or more. */
void wordpiece_frame(const wordpiece *m, int32_t *ids, size_t context_length,
                     const int32_t *inner, size_t n);

/* Both in one.  *n_tokens (NULL allowed): the length before cutting, [CLS] and [SEP]
 * counted. */
int wordpiece_tokenize(const wordpiece *m, wordpiece_work *w, int32_t *ids,
                       size_t context_length, size_t *n_tokens, const char *text,
                       size_t len, bool special, clipc_err *err);

#endif
