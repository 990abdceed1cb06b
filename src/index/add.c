#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "index/batch.h"

static int check_key(const char *key, clipc_err *err)
{
    return key && *key ? CLIPC_OK : clipc_fail(err, CLIPC_ERR_ARG, "index: an empty key");
}

int clipc_index_add_image(clipc_index *x, clipc_ctx *ctx, const char *key,
                          const void *data, size_t size, const char *meta, clipc_err *err)
{
    batch *b = calloc(1, sizeof *b);
    int rc = check_key(key, err);

    if (rc == CLIPC_OK)
        rc = b ? batch_init(b, x->dim, err) : clipc_fail_memory(err, "batch", sizeof *b);
    if (rc == CLIPC_OK) {
        b->n = 1;
        b->v[0].key = key;
        rc = buf_add(&b->v[0].bytes, data, size, err);
    }
    if (rc == CLIPC_OK) {
        batch_look(b, 0);
        rc = batch_encode(b, x, ctx, err);
    }
    if (rc == CLIPC_OK && b->v[0].state == BATCH_FAILED) {
        if (err) *err = b->v[0].why;
        rc = b->v[0].why.code;
    }
    if (rc == CLIPC_OK) rc = batch_put(b, x, meta, err);
    if (b) batch_free(b);
    free(b);
    return rc;
}

/* to [dim] = from, of unit length. */
static int to_unit(float *to, const float *from, size_t dim, const char *key,
                   clipc_err *err)
{
    double sum = 0.0;

    for (size_t d = 0; d < dim; d++) sum += (double)from[d] * (double)from[d];
    if (!isfinite(sum) || sum <= 0.0)
        return clipc_fail(err, CLIPC_ERR_NUMBER,
                          "%s: the vector is zero or holds NaN or infinity", key);
    for (size_t d = 0; d < dim; d++) to[d] = (float)((double)from[d] / sqrt(sum));
    return CLIPC_OK;
}

static int put_vector(clipc_index *x, const char *key, const float *unit,
                      const char *meta, clipc_err *err)
{
    const store_item it = {.root = x->root,
                           .key = bytes_of(key, strlen(key)),
                           .hashed = true,
                           .hash = content_hash(unit, x->dim * sizeof *unit),
                           .meta = meta};
    const int rc = store_vector_put(x->s, x->space, &it.hash, unit, err);

    return rc == CLIPC_OK ? store_item_put(x->s, NULL, &it, err) : rc;
}

int clipc_index_add_vectors(clipc_index *x, const char *const *keys, const float *vectors,
                            const char *const *metas, size_t n, clipc_err *err)
{
    float *unit = malloc(x->dim * sizeof *unit);
    int rc;

    if (!unit) return clipc_fail_memory(err, "vector", x->dim * sizeof *unit);
    rc = index_write_begin(x, err);
    if (rc == CLIPC_OK) {
        for (size_t i = 0; rc == CLIPC_OK && i < n; i++) {
            rc = check_key(keys[i], err);
            if (rc == CLIPC_OK)
                rc = to_unit(unit, vectors + i * x->dim, x->dim, keys[i], err);
            if (rc == CLIPC_OK)
                rc = put_vector(x, keys[i], unit, metas ? metas[i] : NULL, err);
        }
        rc = index_write_end(x, rc, err);
    }
    free(unit);
    return rc;
}
