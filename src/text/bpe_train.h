/* text/bpe_train.h -- learns a vocabulary of byte pairs from texts (Sennrich et al. 2016,
 * arXiv:1508.07909), with the merges of BpeTrainer in Hugging Face's tokenizers 0.23.
 *
 * The words of all texts are counted, then again and again the most frequent pair of
 * neighbours in them becomes a token; of equally frequent ones that of the lower left
 * token, then of the lower right one.  Tokens are numbered as in text/bpe.h: 256 bytes,
 * the same at the end of a word, merges, start, end.
 *
 * No two merges make the same string, which bpe_load relies on: what lies between two
 * bounds that no merge crosses is merged in the same way wherever it stands.  So a pair
 * first occurs when the younger of its tokens is made, and never again once it is merged.
 *
 * Memory is some 400 bytes a different word of eight letters. */
#ifndef CLIPC_TEXT_BPE_TRAIN_H
#define CLIPC_TEXT_BPE_TRAIN_H

#include "text/bpe.h"

/* Tokens of the smallest vocabulary: bytes, start, end.  The largest is BPE_VOCAB, as the
 * references read no more merges. */
enum { BPE_LEAST = 514 };
/* Longer words, which are none, are passed over: each merge goes through whole words. */
enum { BPE_WORD_MAX = 4096 };

typedef struct bpe_trainer bpe_trainer;

int bpe_trainer_new(bpe_trainer **out, clipc_err *err);
void bpe_trainer_free(bpe_trainer *t);

/* Counts the words of a text as the tokenizer of rules BPE_HF sees them.  CLIPC_ERR_TEXT
 * as from bpe_encode. */
int bpe_trainer_add(bpe_trainer *t, const char *text, size_t len, clipc_err *err);
/* Counts one word of len bytes `count` times. */
int bpe_trainer_add_word(bpe_trainer *t, const char *word, size_t len, uint64_t count,
                         clipc_err *err);

uint64_t bpe_trainer_words(const bpe_trainer *t);   /* so far */
size_t bpe_trainer_different(const bpe_trainer *t); /* of them */

/* A vocabulary of `size` tokens, BPE_LEAST to BPE_VOCAB, or fewer where no pair occurs
 * min_count times (1 or more); it uses up the words.  on_progress (NULL allowed) hears of
 * the tokens so far; what it returns other than CLIPC_OK ends the learning. */
int bpe_trainer_run(bpe **out, bpe_trainer *t, size_t size, uint64_t min_count,
                    int (*on_progress)(void *user, size_t done), void *user,
                    clipc_err *err);

#endif
