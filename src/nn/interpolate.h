/* nn/interpolate.h -- position embeddings on another grid, as open_clip's
 * resize_pos_embed and timm's resample_abs_pos_embed compute them by PyTorch's
 * F.interpolate(align_corners=False): weights, places and sums in float32 as there, since
 * a place in double would differ by more than the sums round.  Channels last. */
#ifndef CLIPC_NN_INTERPOLATE_H
#define CLIPC_NN_INTERPOLATE_H

#include <stddef.h>

/* mode="bicubic", antialias=True: cubic with a = -0.5, as wide as the coarser grid's
 * steps.  out [H,W,C], in [h,w,C], work [h,W,C]; none may overlap. */
void interpolate_bicubic(float *out, float *work, const float *in, size_t h, size_t w,
                         size_t H, size_t W, size_t C);

/* mode="linear", antialias=False: two rows each, also where rows are passed over.
 * out [N,C], in [n,C] */
void interpolate_linear(float *out, const float *in, size_t n, size_t N, size_t C);

#endif
