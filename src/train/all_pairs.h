/* train/all_pairs.h -- all rows x [N,E] against all rows y [M,E], of which S = x y^T
 * holds the cosines, a block of its rows at a time: a loss turns each row of S into its
 * gradient, which goes on to x and y.  A few megabytes however large S is.
 *
 * The other direction, whose rows are the columns of S, multiplies them anew: beside the
 * towers that is little, and nothing is transposed. */
#ifndef CLIPC_TRAIN_ALL_PAIRS_H
#define CLIPC_TRAIN_ALL_PAIRS_H

#include "base/arena.h"
#include "tensor/gemm.h"

typedef struct pairs_room {
    float *s, *t; /* a block of rows of S and, with a teacher, of its */
    double *loss; /* [N] of each row, so that they are added in one order */
} pairs_room;

void pairs_room_take(pairs_room *r, arena *a, size_t N, size_t M, bool taught);

typedef struct two_sides {
    const float *x, *y; /* [N,E], [M,E] */
    size_t E;
} two_sides;

/* Called by any thread: s [M], row i of S, becomes its gradient; t, the teacher's row,
 * may become anything (NULL without one).  Returns the row's loss. */
typedef double pairs_row(const void *arg, float *s, float *t, size_t i);

/* dx [N,E], dy [M,E] += the gradients; teacher: of its own E, or NULL.  Returns the sum
 * of the rows' losses. */
double all_pairs(exec *e, pairs_row *row, const void *arg, float *dx, float *dy,
                 const pairs_room *room, const two_sides *own, const two_sides *teacher,
                 size_t N, size_t M);

#endif
