/* Any bytes as a GGUF file: every tensor that it accepts is read whole, the metadata is
 * written as JSON where that can be. */
#include <stdlib.h>

#include "io/gguf.h"

static void read_all(const tensor *t)
{
    const kernels *k = kernels_named("ref");
    float x[64];

    for (size_t at = 0; at < t->n; at += 64) {
        size_t bytes;
        if (dtype_bytes(&bytes, t->dt, at)) abort();
        dtype_to_f32(k, x, (const unsigned char *)t->data + bytes, t->dt,
                     t->n - at < 64 ? t->n - at : 64);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tensor_file *f;

    if (gguf_parse(&f, data, size, "fuzz", NULL) != CLIPC_OK) return 0;
    for (size_t i = 0; i < tensor_file_count(f); i++) read_all(tensor_file_at(f, i));
    free(json_dumps(tensor_file_metadata(f), JSON_COMPACT));
    tensor_file_free(f);
    return 0;
}
