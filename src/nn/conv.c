#include "nn/conv.h"

void conv_reorder(float *out, const float *w, size_t O, size_t I, size_t taps)
{
    for (size_t o = 0; o < O; o++)
        for (size_t t = 0; t < taps; t++)
            for (size_t i = 0; i < I; i++) *out++ = w[(o * I + i) * taps + t];
}

void conv_pack(const kernels *k, float *packed, const float *plain, float *work, size_t O,
               size_t I, size_t taps)
{
    conv_reorder(work, plain, O, I, taps);
    gemm_pack(k, packed, mat_t(work, taps * I), O, taps * I);
}
