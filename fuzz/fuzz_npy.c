/* Any bytes as a NumPy file. */
#include "io/npy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    npy a = {0};

    if (size < 1 << 16) npy_parse(&a, data, size, "fuzz", kernels_named("ref"), NULL);
    npy_free(&a);
    return 0;
}
