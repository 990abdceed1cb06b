/* Any bytes as a checkpoint of PyTorch: every tensor that it accepts is read whole. */
#include "io/torch_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const kernels *k = kernels_named("ref");
    tensor_file *f;
    float x[64];

    torch_is(data, size);
    if (torch_parse(&f, data, size, "fuzz", NULL) != CLIPC_OK) return 0;
    for (size_t i = 0; i < tensor_file_count(f); i++) {
        const tensor *t = tensor_file_at(f, i);
        const unsigned char *p = t->data;
        for (size_t at = 0; at < t->n; at += 64)
            dtype_to_f32(k, x, p + at * dtype_size(t->dt), t->dt,
                         t->n - at < 64 ? t->n - at : 64);
    }
    tensor_file_free(f);
    return 0;
}
