/* nn/seqs.h -- a batch of sequences without padding: rows of all sequences one after the
 * other, sequence b from row start[b] to start[b+1].  Layers that work on rows (linear,
 * layer norm, MLP) do not see it; attention and pooling do. */
#ifndef CLIPC_NN_SEQS_H
#define CLIPC_NN_SEQS_H

#include <stddef.h>

typedef struct seqs {
    size_t B;
    const size_t *start; /* [B+1] */
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
