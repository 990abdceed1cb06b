#include "text/grow.h"

#include <stdlib.h>

#include "base/ckd.h"

void *grow(void *old, size_t *cap, size_t need, size_t size, clipc_err *err)
{
    size_t bytes, more;

    if (old && need <= *cap) return old;
    if (ckd_add_size(&more, need, need / 2 + 64) || ckd_mul_size(&bytes, more, size)) {
        clipc_fail_memory(err, "tokenizer", SIZE_MAX);
        return NULL;
    }
    void *p = realloc(old, bytes);
    if (p) *cap = more;
    else clipc_fail_memory(err, "tokenizer", bytes);
    return p;
}

void ids_free(id_list *l)
{
    free(l->at);
    *l = (id_list){0};
}

int ids_reserve(id_list *l, size_t more, clipc_err *err)
{
    int32_t *at = grow(l->at, &l->cap, l->n + more, sizeof *at, err);

    if (!at) return CLIPC_ERR_MEMORY;
    l->at = at;
    return CLIPC_OK;
}

int ids_add(id_list *l, int32_t id, clipc_err *err)
{
    const int rc = ids_reserve(l, 1, err);

    if (rc == CLIPC_OK) l->at[l->n++] = id;
    return rc;
}
