/* Any bytes as a safetensors file: the branches of a FastViT in it are folded, or it is
 * said why not. */
#include "clip/fold.h"
#include "io/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tensor_file *f;

    if (safetensors_parse(&f, data, size, "fuzz", NULL) != CLIPC_OK) return 0;
    fold_fastvit(f, "fuzz", NULL);
    tensor_file_free(f);
    return 0;
}
