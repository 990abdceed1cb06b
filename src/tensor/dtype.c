#include "tensor/dtype.h"

#include <assert.h>
#include <string.h>

static const struct {
    const char *name;
    size_t size;
} types[DT_COUNT] = {
    [DT_F32] = {"F32", 4},   [DT_F16] = {"F16", 2}, [DT_BF16] = {"BF16", 2},
    [DT_F64] = {"F64", 8},   [DT_I64] = {"I64", 8}, [DT_I32] = {"I32", 4},
    [DT_I16] = {"I16", 2},   [DT_I8] = {"I8", 1},   [DT_U8] = {"U8", 1},
    [DT_BOOL] = {"BOOL", 1},
};

size_t dtype_size(dtype t)
{
    return types[t].size;
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

void dtype_to_f32(const kernels *k, float *y, const void *x, dtype t, size_t n)
{
    const unsigned char *p = x;
    uint16_t half[STEP];

    if (t == DT_F32) {
        if (n) memcpy(y, x, n * sizeof *y);
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
