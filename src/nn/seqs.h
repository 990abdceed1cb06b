/* nn/seqs.h -- a batch of sequences without padding: rows of all sequences one after the
 * other, sequence b from row start[b] to start[b+1].  Layers that work on rows (linear,
 * layer norm, MLP) do not see it; attention and pooling do. */
#ifndef CLIPC_NN_SEQS_H
#define CLIPC_NN_SEQS_H

#include <stddef.h>
#include <stdint.h>

/* Sequences whose tokens are found in rows of other sequences too, for nn/queries.h. */
typedef struct queries {
    size_t B;
    const size_t *start; /* [B+1] of the tokens of each sequence */
    const size_t *row;   /* [start[B]] their rows; NULL: as they stand */
    const size_t *first; /* [B+1] of the queries of each; NULL: one each */
} queries;

typedef struct seqs {
    size_t B;
    const size_t *start;   /* [B+1] */
    const uint8_t *hidden; /* [rows] not 0: nobody attends to the row; NULL: none is */
    /* Causal sequences at inference that begin alike have those rows once, with the
     * first of them: all their tokens.  NULL: each has its own. */
    const queries *shared;
} seqs;

static inline size_t seqs_rows(const seqs *s)
{
    return s->start[s->B];
}

static inline size_t seqs_len(const seqs *s, size_t b)
{
    return s->start[b + 1] - s->start[b];
}

#endif
