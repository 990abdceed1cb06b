/* nn/seqs.h -- a batch of sequences without padding: rows of all sequences one after the
 * other, sequence b from row start[b] to start[b+1].  Layers that work on rows (linear,
 * layer norm, MLP) do not see it; attention and pooling do. */
#ifndef CLIPC_NN_SEQS_H
#define CLIPC_NN_SEQS_H

#include <stddef.h>
#include <stdint.h>

typedef struct seqs {
    size_t B;
    const size_t *start;   /* [B+1] */
    const uint8_t *hidden; /* [rows] not 0: nobody attends to the row; NULL: none is */
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
