#include "clip/checkpoint_view.h"

#include <string.h>

#include "clip/net.h"

static int add(tensor_file *f, const param *p, const char *weights, const char *where,
               clipc_err *err)
{
    tensor t = {
        .dt = DT_F32, .n_dims = p->n_dims, .data = weights + p->first * sizeof(float)};
    char *name = tensor_file_alloc(f, sizeof p->name, where, err);

    if (!name) return CLIPC_ERR_MEMORY;
    t.name = strcpy(name, p->name);
    memcpy(t.dims, p->dims, p->n_dims * sizeof *t.dims);
    return tensor_file_add(f, t, p->n * sizeof(float), false, where, err);
}

int checkpoint_name_tensors(tensor_file *f, const clip_cfg *cfg, const char *where,
                            clipc_err *err)
{
    const tensor *t = tensor_find(f, "weights");
    const char *weights = t ? t->data : NULL;
    net *n = NULL;
    int rc = net_shape(&n, cfg, TOWER_EVAL, err);

    if (rc == CLIPC_OK && (!t || t->dt != DT_F32 || t->n != n->params.floats))
        rc = clipc_fail(err, CLIPC_ERR_FORMAT,
                        "%s: %zu weights, the model of the folder above has %zu", where,
                        t ? t->n : 0, n->params.floats);
    for (size_t i = 0; rc == CLIPC_OK && i < n->params.n; i++)
        rc = add(f, &n->params.v[i], weights, where, err);
    net_free(n);
    return rc == CLIPC_OK ? tensor_file_finish(f, where, err) : rc;
}
