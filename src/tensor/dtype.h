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
    /* ggml's blocks of 32 numbers that share a scale (and _1 an offset) */
    DT_Q8_0,
    DT_Q5_0,
    DT_Q5_1,
    DT_Q4_0,
    DT_Q4_1,
    DT_COUNT
} dtype;

/* Bytes of one element; of a type that is not made of blocks. */
size_t dtype_size(dtype t);
/* *bytes of n elements.  Not 0: the size overflows, or n is no whole number of blocks. */
int dtype_bytes(size_t *bytes, dtype t, size_t n);
/* "F32", "F16", "BF16", ... as safetensors spells them. */
const char *dtype_name(dtype t);
/* DT_COUNT for an unknown name. */
dtype dtype_named(const char *name);

/* y[0..n) = the float32 values of n elements at x (little-endian, any alignment). */
void dtype_to_f32(const kernels *k, float *y, const void *x, dtype t, size_t n);
/* The other way, rounding to nearest even; t is F32, F16 or BF16. */
void dtype_from_f32(const kernels *k, void *y, dtype t, const float *x, size_t n);

#endif
