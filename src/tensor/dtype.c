#include "tensor/dtype.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include "base/ckd.h"

static const struct {
    const char *name;
    size_t size;  /* bytes of a block */
    size_t block; /* elements in it */
} types[DT_COUNT] = {
    [DT_F32] = {"F32", 4, 1},     [DT_F16] = {"F16", 2, 1},
    [DT_BF16] = {"BF16", 2, 1},   [DT_F64] = {"F64", 8, 1},
    [DT_I64] = {"I64", 8, 1},     [DT_I32] = {"I32", 4, 1},
    [DT_I16] = {"I16", 2, 1},     [DT_I8] = {"I8", 1, 1},
    [DT_U8] = {"U8", 1, 1},       [DT_BOOL] = {"BOOL", 1, 1},
    [DT_Q8_0] = {"Q8_0", 34, 32}, [DT_Q5_0] = {"Q5_0", 22, 32},
    [DT_Q5_1] = {"Q5_1", 24, 32}, [DT_Q4_0] = {"Q4_0", 18, 32},
    [DT_Q4_1] = {"Q4_1", 20, 32},
};

size_t dtype_size(dtype t)
{
    return types[t].size;
}

int dtype_bytes(size_t *bytes, dtype t, size_t n)
{
    return n % types[t].block || ckd_mul_size(bytes, n / types[t].block, types[t].size);
}

const char *dtype_name(dtype t)
{
    return types[t].name;
}

dtype dtype_named(const char *name)
{
    int t = 0;
    while (t < DT_COUNT && strcmp(types[t].name, name) != 0) t++;
    return (dtype)t;
}

/* One element of the types that are never in a hot path. */
static float element(const unsigned char *x, dtype t)
{
    double d;
    int64_t i64;
    int32_t i32;
    int16_t i16;

    switch (t) {
    case DT_F64: return memcpy(&d, x, sizeof d), (float)d;
    case DT_I64: return memcpy(&i64, x, sizeof i64), (float)i64;
    case DT_I32: return memcpy(&i32, x, sizeof i32), (float)i32;
    case DT_I16: return memcpy(&i16, x, sizeof i16), (float)i16;
    case DT_I8: return (float)(int8_t)*x;
    default: return (float)*x;
    }
}

enum { STEP = 512 }; /* elements moved to an aligned buffer at a time */

/* Blocks of ggml (ggml-quants.c): a half-precision scale d, in the _1 types an offset m
 * behind it, in the 5-bit types the 32 highest bits, then the rest, 4 or 8 bits each; of
 * 4 bits the low halves hold elements 0 to 15, the high ones 16 to 31. */
static void block_to_f32(const kernels *k, float *y, const unsigned char *x, dtype t)
{
    const bool offset = t == DT_Q5_1 || t == DT_Q4_1, five = t == DT_Q5_0 || t == DT_Q5_1;
    const float zero = offset ? 0.0f : five ? 16.0f : 8.0f;
    uint16_t half[2] = {0};
    uint32_t high = 0;
    float dm[2];

    memcpy(half, x, offset ? 4 : 2);
    k->f16_to_f32(dm, half, 2);
    x += offset ? 4 : 2;
    if (t == DT_Q8_0) {
        for (size_t i = 0; i < 32; i++) y[i] = dm[0] * (float)(int8_t)x[i];
        return;
    }
    if (five) memcpy(&high, x, 4), x += 4;
    for (size_t i = 0; i < 32; i++) {
        const uint32_t low = i < 16 ? x[i] & 15u : x[i - 16] >> 4u;
        y[i] = dm[0] * ((float)(low | (high >> i & 1u) << 4) - zero) + dm[1];
    }
}

void dtype_to_f32(const kernels *k, float *y, const void *x, dtype t, size_t n)
{
    const unsigned char *p = x;
    uint16_t half[STEP];

    if (t == DT_F32) {
        if (n) memcpy(y, x, n * sizeof *y);
        return;
    }
    if (types[t].block > 1) {
        for (size_t i = 0; i < n; i += types[t].block, p += types[t].size)
            block_to_f32(k, y + i, p, t);
        return;
    }
    if (t != DT_F16 && t != DT_BF16) {
        for (size_t i = 0; i < n; i++) y[i] = element(p + i * dtype_size(t), t);
        return;
    }
    for (size_t i = 0; i < n; i += STEP) {
        const size_t m = n - i < STEP ? n - i : STEP;
        memcpy(half, p + i * sizeof *half, m * sizeof *half);
        (t == DT_F16 ? k->f16_to_f32 : k->bf16_to_f32)(y + i, half, m);
    }
}

void dtype_from_f32(const kernels *k, void *y, dtype t, const float *x, size_t n)
{
    unsigned char *p = y;
    uint16_t half[STEP];

    assert(t == DT_F32 || t == DT_F16 || t == DT_BF16);
    if (t == DT_F32) {
        if (n) memcpy(y, x, n * sizeof *x);
        return;
    }
    for (size_t i = 0; i < n; i += STEP) {
        const size_t m = n - i < STEP ? n - i : STEP;
        (t == DT_F16 ? k->f32_to_f16 : k->f32_to_bf16)(half, x + i, m);
        memcpy(p + i * sizeof *half, half, m * sizeof *half);
    }
}
