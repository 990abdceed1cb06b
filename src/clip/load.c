#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "clip/names.h"
#include "clip/net.h"
#include "clip/positions.h"
#include "nn/conv.h"
#include "nn/table.h"

typedef struct loading {
    net *n;
    const model_source *s;
    bool any; /* a tensor was loaded before */
    const tensor_file *file;
    const kernels *k;
    const char *path;
    naming names;
    float *plain; /* room for the largest parameter, twice */
} loading;

static int wrong_shape(const loading *l, const tensor *t, const param *p, clipc_err *err)
{
    char want[64], have[64];

    tensor_shape(want, sizeof want, p->dims, p->n_dims);
    tensor_shape(have, sizeof have, t->dims, t->n_dims);
    return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: %s: shape [%s], wanted [%s]%s", l->path,
                      t->name, have, want, p->n_dims == 2 ? " or its parts" : "");
}

/* Stored tensor i, which is a part of p (along the first dimension); *out is NULL where
 * it stands for zeros. */
static int find_part(const tensor **out, const loading *l, const param *p,
                     const stored_as *s, size_t i, clipc_err *err)
{
    const char *name = s->names[i];
    const tensor *t = tensor_find(l->file, name);
    bool same;

    *out = *name ? t : NULL;
    if (!*name) return CLIPC_OK;
    if (!t) return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: no tensor %s", l->path, name);
    /* Dimensions of 1 in front, as timm's position embeddings have, are passed over. */
    const size_t skip = t->n_dims > p->n_dims ? t->n_dims - p->n_dims : 0;
    same = t->n == stored_part(s, i, p->n) && (t->n_dims >= p->n_dims || t->n == 1);
    for (size_t k = 0; same && k < skip; k++) same = t->dims[k] == 1;
    for (size_t k = 0; same && k < p->n_dims && t->n != 1; k++) {
        const size_t d = s->transposed ? p->dims[p->n_dims - 1 - k] : p->dims[k];
        same = t->dims[k + skip] == (k == 0 ? stored_part(s, i, d) : d);
    }
    return same ? CLIPC_OK : wrong_shape(l, t, p, err);
}

static int load_part(loading *l, float *to, const param *p, const stored_as *s, size_t i,
                     clipc_err *err)
{
    const tensor *t;
    const int rc = find_part(&t, l, p, s, i, err);

    if (rc != CLIPC_OK) return rc;
    if (!t) {
        memset(to, 0, stored_part(s, i, p->n) * sizeof *to);
        return CLIPC_OK;
    }
    if (t->n_dims > 0 && l->n->stored != t->dt) l->n->stored = l->any ? DT_COUNT : t->dt;
    l->any |= t->n_dims > 0;
    dtype_to_f32(l->k, to, t->data, t->dt, t->n);
    tensor_forget(l->file, t);
    if (!isfinite(l->k->max_abs(to, t->n)))
        return clipc_fail(err, CLIPC_ERR_NUMBER, "%s: %s: holds NaN or infinity", l->path,
                          t->name);
    return CLIPC_OK;
}

void weights_transpose(float *to, const float *from, size_t rows, size_t cols)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < cols; c++) to[c * rows + r] = from[r * cols + c];
}

void weights_place(void *to, const param *p, const float *plain, weight_form form,
                   const kernels *k)
{
    const size_t N = p->n_dims ? p->dims[0] : 1, K = p->n / (N ? N : 1);

    switch (form == WEIGHTS_PLAIN ? PARAM_MATRIX : p->kind) {
    case PARAM_LINEAR: gemm_pack(k, to, form, mat_t(plain, K), N, K); break;
    case PARAM_CONV:
        conv_pack(k, to, form, plain, N, p->dims[1], p->dims[2] * p->dims[3]);
        break;
    case PARAM_TABLE: table_pack(k, to, form, plain, N, K); break;
    default: memcpy(to, plain, p->n * sizeof *plain);
    }
}

static int load_param(loading *l, const param *p, weight_form form, clipc_err *err)
{
    stored_as s;
    float *to = l->plain;
    int rc = CLIPC_OK;

    if (l->n->cfg.no_logit_scale && strcmp(p->name, "logit_scale") == 0) {
        **p->slot = logf(100.0f);
        return CLIPC_OK;
    }
    names_of(&s, p->name, &l->names);
    const tensor *t = s.first_rows ? NULL : tensor_find(l->file, s.names[0]);
    if (positions_differ(l->n, l->s, p, t)) {
        rc = positions_load(l->plain, l->n, l->s, p, t, l->k, err);
        if (rc == CLIPC_OK) weights_place(*p->slot, p, l->plain, form, l->k);
        return rc;
    }
    if (s.transposed) to += p->n;
    if (s.first_rows) {
        const size_t n =
            (s.first_rows < p->dims[0] ? s.first_rows : p->dims[0]) * (p->n / p->dims[0]);
        rc = load_part(l, to, p, &s, 1, err);
        if (rc == CLIPC_OK) rc = load_part(l, to + p->n, p, &s, 0, err);
        if (rc == CLIPC_OK) memcpy(to, to + p->n, n * sizeof *to);
    }
    for (size_t i = 0, at = 0; rc == CLIPC_OK && !s.first_rows && i < s.n; i++) {
        rc = load_part(l, to + at, p, &s, i, err);
        at += stored_part(&s, i, p->n);
    }
    if (rc == CLIPC_OK && s.transposed)
        weights_transpose(l->plain, to, p->dims[1], p->dims[0]);
    if (rc == CLIPC_OK) weights_place(*p->slot, p, l->plain, form, l->k);
    return rc;
}

/* Every parameter from a checkpoint's tensors, under whatever names. */
static int load_named(net *n, const model_source *s, const kernels *k, clipc_err *err)
{
    loading l = {.n = n, .s = s, .k = k, .file = s->weights, .path = s->weights_path};
    size_t most = 0;
    int rc = CLIPC_OK;

    for (size_t i = 0; i < n->params.n; i++)
        if (n->params.v[i].n > most) most = n->params.v[i].n;
    l.names = naming_of_file(s->weights);
    l.plain = malloc(2 * most * sizeof *l.plain);
    if (!l.plain) rc = clipc_fail_memory(err, s->path, most * sizeof(float));
    for (size_t i = 0; rc == CLIPC_OK && i < n->params.n; i++)
        rc = load_param(&l, &n->params.v[i], n->form, err);
    free(l.plain);
    return rc;
}

/* ---- clipc's own files ---- */

/* The tensor of a parameter, as packed_write left it. */
static int find_packed(const tensor **out, const param *p, const model_source *s,
                       clipc_err *err)
{
    const size_t bytes = param_bytes(p, s->form);

    *out = tensor_find(s->weights, p->name);
    if (!*out)
        return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: no tensor %s", s->path, p->name);
    if ((*out)->n * dtype_size((*out)->dt) != bytes ||
        ((*out)->dt != DT_U8 && (*out)->dt != DT_F32))
        return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: %s: wanted %zu bytes", s->path,
                          p->name, bytes);
    if ((uintptr_t)(*out)->data % sizeof(float))
        return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: %s: is not aligned", s->path,
                          p->name);
    return CLIPC_OK;
}

/* What a parameter is stored as, under a checkpoint's names. */
static int each_named(loading *l, const param *p, net_tensor_fn *on, void *user,
                      clipc_err *err)
{
    stored_as as;
    int rc = CLIPC_OK;

    if (l->n->cfg.no_logit_scale && strcmp(p->name, "logit_scale") == 0) return CLIPC_OK;
    names_of(&as, p->name, &l->names);
    const size_t parts = as.first_rows ? 2 : as.n;
    const tensor *t = as.first_rows ? NULL : tensor_find(l->file, as.names[0]);
    if (positions_differ(l->n, l->s, p, t))
        return on(user, &(net_tensor){p, t->name, t, CLIPC_OK}, err);
    for (size_t k = 0; rc == CLIPC_OK && k < parts; k++) {
        const int found = find_part(&t, l, p, &as, k, err);
        if (*as.names[k]) rc = on(user, &(net_tensor){p, as.names[k], t, found}, err);
    }
    return rc;
}

static int each_packed(loading *l, const param *p, net_tensor_fn *on, void *user,
                       clipc_err *err)
{
    const tensor *t = tensor_find(l->file, p->name);
    const int found =
        positions_differ(l->n, l->s, p, t) ? CLIPC_OK : find_packed(&t, p, l->s, err);

    return on(user, &(net_tensor){p, p->name, t, found}, err);
}

int net_tensors(net *n, const model_source *s, net_tensor_fn *on, void *user,
                clipc_err *err)
{
    loading l = {.n = n, .s = s, .file = s->weights, .path = s->weights_path};
    int rc = CLIPC_OK;

    l.names = naming_of_file(s->weights);
    for (size_t i = 0; rc == CLIPC_OK && i < n->params.n; i++)
        rc = (s->packed ? each_packed : each_named)(&l, &n->params.v[i], on, user, err);
    return rc;
}

/* Whether all that a net wants is there, before memory is taken for it: a config alone
 * could ask for any amount. */
static int is_there(void *user, const net_tensor *t, clipc_err *err)
{
    (void)user, (void)err;
    return t->rc;
}

/* Positions of another grid, into memory of the net's own. */
static int map_positions(net *n, const model_source *s, const param *p, const tensor *t,
                         const kernels *k, clipc_err *err)
{
    const int rc = arena_new(&n->mem, p->n * sizeof(float), "positions", err);

    if (rc != CLIPC_OK) return rc;
    *p->slot = (float *)(void *)n->mem.mem;
    return positions_load(*p->slot, n, s, p, t, k, err);
}

/* Points every parameter into the file, which the net keeps. */
static int map_packed(net *n, model_source *s, const kernels *k, clipc_err *err)
{
    int rc = CLIPC_OK;

    for (size_t i = 0; rc == CLIPC_OK && i < n->params.n; i++) {
        const param *p = &n->params.v[i];
        const tensor *t = tensor_find(s->weights, p->name);
        if (positions_differ(n, s, p, t)) {
            rc = map_positions(n, s, p, t, k, err);
            continue;
        }
        rc = find_packed(&t, p, s, err);
        /* Inference only reads. */
        if (rc == CLIPC_OK) *p->slot = (float *)(uintptr_t)t->data;
    }
    if (rc == CLIPC_OK) n->mapped = s->weights, s->weights = NULL;
    return rc;
}

void weights_unpack(float *plain, const param *p, const void *packed, weight_form form,
                    const kernels *k)
{
    const size_t N = p->n_dims ? p->dims[0] : 1, K = p->n / N;

    switch (p->kind) {
    case PARAM_LINEAR: gemm_unpack(k, plain, packed, form, N, K); break;
    case PARAM_CONV:
        conv_unpack(k, plain, packed, form, N, p->dims[1], K / p->dims[1]);
        break;
    case PARAM_TABLE:
        for (size_t r = 0; r < N; r++) table_row(k, plain + r * K, packed, form, N, K, r);
        break;
    default: memcpy(plain, packed, p->n * sizeof *plain);
    }
}

/* Copies every parameter out of its packed form. */
static int unpack_all(net *n, const model_source *s, const kernels *k, clipc_err *err)
{
    int rc = CLIPC_OK;

    for (size_t i = 0; rc == CLIPC_OK && i < n->params.n; i++) {
        const param *p = &n->params.v[i];
        const tensor *t = tensor_find(s->weights, p->name);
        if (positions_differ(n, s, p, t)) {
            rc = positions_load(*p->slot, n, s, p, t, k, err);
            continue;
        }
        rc = find_packed(&t, p, s, err);
        if (rc == CLIPC_OK) weights_unpack(*p->slot, p, t->data, s->form, k);
    }
    return rc;
}

/* What a tower says of its config gets the file's name in front. */
static int named(const model_source *s, int rc, clipc_err *err)
{
    char what[sizeof err->msg];

    if (!err || strstr(err->msg, s->path)) return rc;
    memcpy(what, err->msg, sizeof what);
    return clipc_fail(err, rc, "%s: %s", s->path, what);
}

int net_open(net **out, model_source *s, tower_mode mode, const kernels *k,
             clipc_err *err)
{
    const bool map = s->packed && mode == TOWER_INFER;
    net *n = NULL;
    int rc;

    *out = NULL;
    if (map) s->cfg.image.form = s->cfg.text.form = s->form;
    rc = net_shape(&n, &s->cfg, mode, err);
    if (rc != CLIPC_OK) return named(s, rc, err);
    if (!map) rc = net_tensors(n, s, is_there, NULL, err);
    if (rc == CLIPC_OK && !map) rc = net_room(n, err);
    if (rc == CLIPC_OK)
        rc = map         ? map_packed(n, s, k, err)
             : s->packed ? unpack_all(n, s, k, err)
                         : load_named(n, s, k, err);
    if (rc == CLIPC_OK) *out = n;
    else net_free(n);
    return rc;
}
