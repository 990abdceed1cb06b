#include "nn/table.h"

#include <assert.h>
#include <math.h>
#include <string.h>

size_t table_bytes(weight_form form, size_t V, size_t C)
{
    switch (form) {
    case WEIGHTS_F16:
    case WEIGHTS_BF16: return V * C * 2;
    case WEIGHTS_I8: return V * sizeof(float) + V * C;
    default: return V * C * sizeof(float);
    }
}

static void pack_i8(const kernels *k, void *packed, const float *rows, size_t V, size_t C)
{
    float *scale = packed;
    int8_t *q = (int8_t *)(scale + V);

    for (size_t v = 0; v < V; v++, rows += C) {
        scale[v] = k->max_abs(rows, C) / 127.0f;
        for (size_t c = 0; c < C; c++)
            *q++ = (int8_t)(scale[v] > 0.0f ? lrintf(rows[c] / scale[v]) : 0);
    }
}

void table_pack(const kernels *k, void *packed, weight_form form, const float *rows,
                size_t V, size_t C)
{
    switch (form) {
    case WEIGHTS_F16: k->f32_to_f16(packed, rows, V * C); break;
    case WEIGHTS_BF16: k->f32_to_bf16(packed, rows, V * C); break;
    case WEIGHTS_I8: pack_i8(k, packed, rows, V, C); break;
    default: memcpy(packed, rows, V * C * sizeof *rows);
    }
}

void table_row(const kernels *k, float *y, const void *packed, weight_form form, size_t V,
               size_t C, size_t i)
{
    const float *scale = packed;
    const int8_t *q = (const int8_t *)(scale + V) + i * C;

    assert(i < V);
    switch (form) {
    case WEIGHTS_F16: k->f16_to_f32(y, (const uint16_t *)packed + i * C, C); break;
    case WEIGHTS_BF16: k->bf16_to_f32(y, (const uint16_t *)packed + i * C, C); break;
    case WEIGHTS_I8:
        for (size_t c = 0; c < C; c++) y[c] = scale[i] * (float)q[c];
        break;
    default: memcpy(y, (const float *)packed + i * C, C * sizeof *y);
    }
}
