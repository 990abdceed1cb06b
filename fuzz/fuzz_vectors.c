/* Any bytes as the header of a file of vectors, its check made right, which no mutation
 * would hit. */
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "store/vectors.h"

enum { CHECK_AT = 304 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t page[VECTORS_HEAD] = {0};
    vectors_head head;

    memcpy(page, data, size < CHECK_AT ? size : CHECK_AT);
    const uint64_t check = hash_bytes(1, page, CHECK_AT);
    memcpy(page + CHECK_AT, &check, sizeof check);
    if (vectors_parse(&head, page, "fuzz", NULL) != CLIPC_OK) return 0;
    if (head.dim < 1 || head.dim > VECTORS_DIM_MOST || dtype_size(head.type) < 1 ||
        strlen(head.model) > VECTORS_MODEL_MOST)
        abort();
    return 0;
}
