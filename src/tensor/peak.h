/* tensor/peak.h -- what one core can do: tiles over panels that stay in its first-level
 * cache are nothing but multiply-adds. */
#ifndef CLIPC_TENSOR_PEAK_H
#define CLIPC_TENSOR_PEAK_H

#include "tensor/exec.h"

/* Operations a second (a multiply-add is two), the best of some rounds of a hundredth of
 * a second; 0 for a precision that these kernels have no products in. */
double kernels_peak(const kernels *k, compute precision);

#endif
