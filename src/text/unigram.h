/* text/unigram.h -- the most likely segmentation of a text into pieces of a vocabulary
 * with log probabilities (Kudo 2018, arXiv:1804.10959), by Viterbi's algorithm.
 *
 *   best[0] = 0,  best[j] = max over pieces text[i..j) of best[i] + score(piece)
 *
 * Of equal sums the piece found first wins, which begins furthest left; so rounding
 * decides ties (`f` + `ff` or `ff` + `f`), and is as in the reference,
 * in float32 (sentencepiece 0.2) or float64 (Hugging Face's `tokenizers`). */
#ifndef CLIPC_TEXT_UNIGRAM_H
#define CLIPC_TEXT_UNIGRAM_H

#include <stdbool.h>

#include "text/grow.h"
#include "text/trie.h"

typedef struct unigram {
    trie *pieces;
    double *scores;   /* [trie_end_id] */
    double unk_score; /* of a character that is no piece */
    int32_t unk;      /* -1: such characters are an error */
    bool float32;
} unigram;

void unigram_free(unigram *u);

/* A piece of the result: bytes [begin, next's begin). */
typedef struct unigram_piece {
    uint32_t begin;
    int32_t id;
} unigram_piece;

typedef struct unigram_node unigram_node;
typedef struct unigram_work {
    unigram_node *nodes;
    unigram_piece *pieces;
    size_t n, nodes_cap, pieces_cap;
} unigram_work;

void unigram_work_free(unigram_work *w);

/* w->pieces [w->n], with one more behind that holds `len`.  skip, [trie_end_id] or NULL:
 * pieces that are not to be used.  CLIPC_ERR_TEXT if an unknown character is an error.
 * Bytes that are not UTF-8 are taken as characters of the length they claim. */
int unigram_split(const unigram *u, unigram_work *w, const char *text, size_t len,
                  const bool *skip, clipc_err *err);

#endif
