/* tensor/dtype.h -- element types of stored tensors. */
#ifndef CLIPC_TENSOR_DTYPE_H
#define CLIPC_TENSOR_DTYPE_H

#include <stddef.h>
#include <stdint.h>

#include "tensor/kernels.h"

typedef enum dtype {
    DT_F32,
    DT_F16,
    DT_BF16,
    DT_F64,
    DT_I64,
    DT_I32,
    DT_I16,
    DT_I8,
    DT_U8,
    DT_BOOL,
    DT_COUNT
} dtype;

/* Bytes of one element. */
size_t dtype_size(dtype t);
/* "F32", "F16", "BF16", ... as safetensors spells them. */
const char *dtype_name(dtype t);
/* DT_COUNT for an unknown name. */
dtype dtype_named(const char *name);

/* y[0..n) = the float32 values of n elements at x (little-endian, any alignment); every
 * type but BOOL. */
void dtype_to_f32(const kernels *k, float *y, const void *x, dtype t, size_t n);
/* The other way, rounding to nearest even; t is F32, F16 or BF16. */
void dtype_from_f32(const kernels *k, void *y, dtype t, const float *x, size_t n);

#endif
