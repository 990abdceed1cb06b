#include "train/feature_rows.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "io/npy.h"

int feature_rows_open(feature_rows *r, const char *path, size_t F, clipc_err *err)
{
    npy shape;
    int rc = CLIPC_OK;

    *r = (feature_rows){.path = strdup(path)};
    if (!r->path) rc = clipc_fail_memory(err, path, 0);
    if (rc == CLIPC_OK) rc = file_map(&r->map, path, err);
    if (rc == CLIPC_OK) rc = npy_in_place(&r->v, &shape, r->map, path, err);
    if (rc != CLIPC_OK) return rc;
    if (shape.n_dims != 2 || shape.dims[1] != F)
        return clipc_fail(err, CLIPC_ERR_FORMAT,
                          "%s: no rows of %zu numbers, which the model's features have",
                          path, F);
    r->n = shape.dims[0];
    r->F = F;
    return CLIPC_OK;
}

void feature_rows_free(feature_rows *r)
{
    file_unmap(&r->map);
    free(r->path);
    *r = (feature_rows){0};
}

int feature_rows_get(const float **row, const feature_rows *r, size_t i, clipc_err *err)
{
    *row = r->v + i * r->F;
    for (size_t k = 0; k < r->F; k++)
        if (!isfinite((*row)[k]))
            return clipc_fail(err, CLIPC_ERR_NUMBER, "%s: row %zu: holds NaN or infinity",
                              r->path, i);
    return CLIPC_OK;
}
