#include "tensor/kernels.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "tensor/isa.h"

/* Fastest first. */
static const kernels *const tables[] = {
#if defined(__x86_64__)
    &kernels_avx512vnni,
    &kernels_avx512,
    &kernels_avx2,
#endif
    &kernels_ref,
};

enum { N_TABLES = sizeof tables / sizeof tables[0] };

static bool runs_here(const kernels *k)
{
#if defined(__x86_64__)
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (k == &kernels_avx2) return avx2;
    const bool avx512 =
        avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    if (k == &kernels_avx512) return avx512;
    if (k == &kernels_avx512vnni)
        return avx512 && __builtin_cpu_supports("avx512bf16") &&
               __builtin_cpu_supports("avx512vnni") &&
               __builtin_cpu_supports("avx512vbmi");
#endif
    return k == &kernels_ref;
}

const kernels *kernels_named(const char *name)
{
    for (size_t i = 0; i < N_TABLES; i++)
        if (strcmp(tables[i]->name, name) == 0)
            return runs_here(tables[i]) ? tables[i] : NULL;
    return NULL;
}

int kernels_pick(const kernels **out, clipc_err *err)
{
    const char *name = getenv("CLIPC_ISA");

    *out = NULL;
    if (name && *name) {
        *out = kernels_named(name);
        if (*out) return CLIPC_OK;
        return clipc_fail(err, CLIPC_ERR_ARG,
                          "CLIPC_ISA=%s: not one of ref, avx2, avx512, avx512vnni that "
                          "this CPU can run",
                          name);
    }
    for (size_t i = 0; i < N_TABLES && !*out; i++)
        if (runs_here(tables[i])) *out = tables[i];
    return CLIPC_OK;
}
