/* nn/winograd.h -- 3x3 convolutions of stride 1 by F(2x2,3x3) (Lavin and Gray,
 * arXiv:1509.09308): with d a 4x4 tile of the input, g the weights of a pair of channels,
 * a 2x2 tile of the output is
 *
 *   Y = A^t [sum over i of (G g G^t) . (B^t d B)] A      (. number by number)
 *
 * 16 multiplications where plain convolution has 36: for each of the 16 places in a tile
 * a product [tiles,I] times [I,O], of as many tiles at a time as the second-level cache
 * holds.  The gradients are the same sums the other way round: of x, a convolution with
 * the kernels turned; of w, dg = G^t [sum over tiles of (B^t d B) . (A dY A^t)] G.
 *
 * Float32 throughout; sums of four numbers more than plain convolution makes, so errors
 * are a few times larger.  Results do not depend on the number of threads. */
#ifndef CLIPC_NN_WINOGRAD_H
#define CLIPC_NN_WINOGRAD_H

#include "nn/conv.h"

/* Whether this is for such a convolution, and faster.  Weights are transformed at each
 * call, which few tiles do not repay: `tiles` is how many there are. */
bool winograd_fits(const conv_shape *s, size_t tiles);

/* Of one picture. */
size_t winograd_tiles(const conv_shape *s);

/* Floats of `work`, and of each thread's scratch, for convolutions that fit; otherwise
 * zero. */
size_t winograd_work(const conv_shape *s, size_t B);
size_t winograd_scratch(const conv_shape *s);

/* As conv_fwd has it; of o's, without scale nothing.  w is [O,I,3,3] or WEIGHTS_F32.
 * turned: w is [I,O,3,3] instead, its taps from last to first. */
void winograd_fwd(exec *e, float *y, float *work, const float *x, const float *w,
                  weight_form form, bool turned, const conv_shape *s, size_t B,
                  gemm_opts o);

/* dw [O,I,3,3] += */
void winograd_weights_bwd(exec *e, float *dw, float *work, const float *dy,
                          const float *x, const conv_shape *s, size_t B);

#endif
