/* nn/conv.h -- 2-d convolutions over channels-last rows, as matrix products. */
#ifndef CLIPC_NN_CONV_H
#define CLIPC_NN_CONV_H

#include "tensor/gemm.h"

/* w [O,I,taps] (torch's order) -> out [O,taps,I]: the order in which patches are gathered
 * from channels-last pixels.  out is not w. */
void conv_reorder(float *out, const float *w, size_t O, size_t I, size_t taps);

/* Packs a convolution's weights for gemm_packed: plain [O,I,taps] as the transpose of
 * [O, taps*I].  work [O*I*taps] is scratch. */
void conv_pack(const kernels *k, float *packed, const float *plain, float *work, size_t O,
               size_t I, size_t taps);

#endif
