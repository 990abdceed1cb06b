/* tensor/isa.h -- compiling part of a file for an instruction set beyond the baseline. */
#ifndef CLIPC_TENSOR_ISA_H
#define CLIPC_TENSOR_ISA_H

#include "tensor/kernels.h"

#if defined(__clang__)
#define ISA_PRAGMA(x) _Pragma(#x)
#define ISA_BEGIN(t) \
    ISA_PRAGMA(clang attribute push(__attribute__((target(t))), apply_to = function))
#define ISA_END ISA_PRAGMA(clang attribute pop)
#else
#define ISA_PRAGMA(x) _Pragma(#x)
#define ISA_BEGIN(t)  ISA_PRAGMA(GCC push_options) ISA_PRAGMA(GCC target(t))
#define ISA_END       ISA_PRAGMA(GCC pop_options)
#endif

extern const kernels kernels_ref;
#if defined(__x86_64__)
extern const kernels kernels_avx2, kernels_avx512, kernels_avx512vnni;
extern const narrow_kernels narrow_avx512vnni;
#endif

#endif
