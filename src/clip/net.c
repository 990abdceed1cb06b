#include "clip/net.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "clip/find.h"
#include "clip/names.h"
#include "io/safetensors.h"
#include "nn/conv.h"
#include "nn/table.h"
#include "text/bpe.h"

static const param_row scale_rows[] = {
    {"logit_scale", offsetof(net, logit_scale), {0}, PARAM_GAIN},
    {"logit_bias", offsetof(net, logit_bias), {0}, PARAM_GAIN},
};

void net_free(net *n)
{
    if (!n) return;
    if (n->ops) n->ops->destroy(n->image);
    textnet_destroy(n->text);
    param_list_free(&n->params);
    arena_free(&n->mem);
    free(n);
}

int net_make(net **out, const clip_cfg *cfg, tower_mode mode, clipc_err *err)
{
    const image_ops *ops = cfg->image.layers ? &vit_ops : &resnet_ops;
    const size_t no_sizes[] = {0};
    net *n = calloc(1, sizeof *n);
    int rc;

    *out = NULL;
    if (!n) return clipc_fail_memory(err, "model", sizeof *n);
    n->cfg = *cfg;
    n->ops = ops;
    const weight_form form = n->form = tower_form(mode, cfg->image.form);
    rc = ops->make(&n->image, &cfg->image, err);
    if (rc == CLIPC_OK) rc = textnet_make(&n->text, &cfg->text, err);
    if (rc == CLIPC_OK) rc = textnet_params(n->text, &n->params, err);
    if (rc == CLIPC_OK)
        rc = param_list_add(&n->params, "", scale_rows, cfg->logit_bias ? 2 : 1, n,
                            no_sizes, err);
    if (rc == CLIPC_OK) rc = ops->params(n->image, &n->params, err);
    if (rc == CLIPC_OK && mode == TOWER_INFER)
        rc = param_list_pack(&n->params, form, err);
    if (rc == CLIPC_OK)
        rc = arena_new(&n->mem, n->params.floats * sizeof(float), "model", err);
    if (rc == CLIPC_OK) {
        param_list_bind(&n->params, (float *)(void *)n->mem.mem);
        *out = n, n = NULL;
    }
    net_free(n);
    return rc;
}

void net_init(net *n, rng *r)
{
    n->ops->init(n->image, r);
    textnet_init(n->text, r);
    *n->logit_scale = logf(1.0f / 0.07f);
    if (n->logit_bias) *n->logit_bias = -10.0f;
}

/* ---- loading
 * ---------------------------------------------------------------------------- */

typedef struct loading {
    net *n;
    bool any; /* a tensor was loaded before */
    const tensor_file *file;
    const kernels *k;
    const char *path;
    naming names;
    float *plain; /* room for the largest parameter, twice */
} loading;

static int wrong_shape(const loading *l, const tensor *t, const param *p, clipc_err *err)
{
    char want[64] = "", have[64] = "";
    size_t at = 0;

    for (size_t i = 0; i < p->n_dims; i++)
        at += (size_t)snprintf(want + at, sizeof want - at, "%s%zu", i ? "," : "",
                               p->dims[i]);
    at = 0;
    for (size_t i = 0; i < t->n_dims && at < sizeof have; i++)
        at += (size_t)snprintf(have + at, sizeof have - at, "%s%zu", i ? "," : "",
                               t->dims[i]);
    return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: %s: shape [%s], wanted [%s]%s", l->path,
                      t->name, have, want, p->n_dims == 2 ? " or its parts" : "");
}

/* One stored tensor, which is 1/parts of p (along the first dimension). */
static int load_part(loading *l, float *to, const char *name, const param *p,
                     const stored_as *s, clipc_err *err)
{
    const tensor *t = tensor_find(l->file, name);
    bool same;

    if (!t) return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: no tensor %s", l->path, name);
    /* timm's position embeddings have a leading 1. */
    const size_t skip = t->n_dims > p->n_dims ? t->n_dims - p->n_dims : 0;
    same = t->n == p->n / s->n && (t->n_dims >= p->n_dims || t->n == 1);
    for (size_t i = 0; same && i < skip; i++) same = t->dims[i] == 1;
    for (size_t i = 0; same && i < p->n_dims && t->n != 1; i++) {
        const size_t d = s->transposed ? p->dims[p->n_dims - 1 - i] : p->dims[i];
        same = t->dims[i + skip] == (i == 0 ? d / s->n : d);
    }
    if (!same) return wrong_shape(l, t, p, err);
    if (t->n_dims > 0 && l->n->stored != t->dt) l->n->stored = l->any ? DT_COUNT : t->dt;
    l->any |= t->n_dims > 0;
    dtype_to_f32(l->k, to, t->data, t->dt, t->n);
    if (!isfinite(l->k->max_abs(to, t->n)))
        return clipc_fail(err, CLIPC_ERR_NUMBER, "%s: %s: holds NaN or infinity", l->path,
                          name);
    return CLIPC_OK;
}

static void transpose(float *to, const float *from, size_t rows, size_t cols)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < cols; c++) to[c * rows + r] = from[r * cols + c];
}

/* Puts plain values into a form. */
static void place_param(void *to, const param *p, const float *plain, weight_form form,
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

    names_of(&s, p->name, &l->names);
    if (s.transposed) to += p->n;
    for (size_t i = 0; rc == CLIPC_OK && i < s.n; i++)
        rc = load_part(l, to + i * (p->n / s.n), s.names[i], p, &s, err);
    if (rc == CLIPC_OK && s.transposed) transpose(l->plain, to, p->dims[1], p->dims[0]);
    if (rc == CLIPC_OK) place_param(*p->slot, p, l->plain, form, l->k);
    return rc;
}

/* The first of the file names that a layout knows. */
static int open_weights(tensor_file **out, char **path, const char *folder,
                        clip_layout layout, clipc_err *err)
{
    static const char *const names[2][4] = {
        [LAYOUT_OPEN_CLIP] = {"open_clip_model.safetensors", "model.safetensors", NULL,
                              NULL},
        [LAYOUT_HF] = {"model.safetensors", "model.safetensors.index.json", NULL, NULL}};

    for (const char *const *name = names[layout]; *name; name++) {
        *path = path_join(folder, *name);
        if (!*path) return clipc_fail_memory(err, folder, 0);
        if (file_exists(*path)) return safetensors_open(out, *path, err);
        free(*path);
        *path = NULL;
    }
    return clipc_fail(err, CLIPC_ERR_IO, "%s: no %s in it", folder, names[layout][0]);
}

int net_load(net *n, const char *folder, const kernels *k, clipc_err *err)
{
    tensor_file *file = NULL;
    char *path = NULL;
    loading l = {.n = n, .k = k};
    size_t most = 0;
    int rc = open_weights(&file, &path, folder, n->cfg.layout, err);

    for (size_t i = 0; i < n->params.n; i++)
        if (n->params.v[i].n > most) most = n->params.v[i].n;
    if (rc == CLIPC_OK) {
        l.file = file, l.path = path;
        l.names = naming_of_file(file);
        l.plain = malloc(2 * most * sizeof *l.plain);
        if (!l.plain) rc = clipc_fail_memory(err, path, most * sizeof(float));
    }
    for (size_t i = 0; rc == CLIPC_OK && i < n->params.n; i++)
        rc = load_param(&l, &n->params.v[i], n->form, err);
    free(l.plain);
    free(path);
    tensor_file_free(file);
    return rc;
}

int net_config(clip_cfg *out, const char *folder, clipc_err *err)
{
    char *open_clip = path_join(folder, "open_clip_config.json");
    char *hf = path_join(folder, "config.json");
    char *pre = path_join(folder, "preprocessor_config.json");
    int rc;

    *out = (clip_cfg){0};
    if (!open_clip || !hf || !pre) rc = clipc_fail_memory(err, folder, 0);
    else if (file_exists(open_clip)) rc = config_open_clip_file(out, open_clip, err);
    else if (file_exists(hf)) rc = config_hf_files(out, hf, pre, err);
    else
        rc = clipc_fail(
            err, CLIPC_ERR_IO,
            "%s: no model: neither open_clip_config.json nor config.json in it", folder);
    free(open_clip);
    free(hf);
    free(pre);
    return rc;
}

/* ---- saving
 * ----------------------------------------------------------------------------- */

/* The tensors that a parameter is stored as; *made is memory of a transposed copy. */
static int tensors_of(tensor *t, stored_as *s, float **made, const param *p,
                      const naming *names, clipc_err *err)
{
    const float *data = *p->slot;

    names_of(s, p->name, names);
    if (s->transposed) {
        *made = malloc(p->n * sizeof **made);
        if (!*made) return clipc_fail_memory(err, p->name, p->n * sizeof **made);
        transpose(*made, data, p->dims[0], p->dims[1]);
        data = *made;
    }
    for (size_t i = 0; i < s->n; i++) {
        t[i] = (tensor){.name = s->names[i],
                        .dt = DT_F32,
                        .n_dims = p->n_dims,
                        .n = p->n / s->n,
                        .data = data + i * (p->n / s->n)};
        for (size_t d = 0; d < p->n_dims; d++)
            t[i].dims[d] = s->transposed ? p->dims[p->n_dims - 1 - d] : p->dims[d];
        if (s->n > 1) t[i].dims[0] /= s->n;
    }
    return CLIPC_OK;
}

static int save_weights(const net *n, const char *path, dtype stored, const kernels *k,
                        clipc_err *err)
{
    tensor *t = calloc(3 * n->params.n, sizeof *t);
    stored_as *s = calloc(n->params.n, sizeof *s);
    float **made = calloc(n->params.n, sizeof *made);
    int64_t *counts = calloc(n->params.n, sizeof *counts);
    const naming names = naming_of_config(&n->cfg);
    size_t count = 0;
    json_t *about = json_pack("{s:s}", "format", "pt");
    int rc =
        t && s && made && counts && about ? CLIPC_OK : clipc_fail_memory(err, path, 0);

    for (size_t i = 0; rc == CLIPC_OK && i < n->params.n; i++) {
        const param *p = &n->params.v[i];
        rc = tensors_of(t + count, &s[i], &made[i], p, &names, err);
        /* Batch norm's counter is a whole number in torch. */
        if (rc == CLIPC_OK && p->kind == PARAM_STAT && p->n_dims == 0) {
            counts[i] = (int64_t) * *p->slot;
            t[count].dt = DT_I64;
            t[count].data = &counts[i];
        }
        count += s[i].n;
    }
    if (rc == CLIPC_OK) rc = safetensors_write(path, t, count, about, stored, k, err);
    json_decref(about);
    for (size_t i = 0; made && i < n->params.n; i++) free(made[i]);
    free(made);
    free(counts);
    free(s);
    free(t);
    return rc;
}

static int save_text(const char *folder, const char *name, const buf *text,
                     clipc_err *err)
{
    char *path = path_join(folder, name);
    const int rc = path ? file_replace(path, text->data, text->len, err)
                        : clipc_fail_memory(err, folder, 0);
    free(path);
    return rc;
}

static int save_open_clip(const net *n, const char *folder, clipc_err *err)
{
    buf config = {0};
    int rc = config_write_open_clip(&config, &n->cfg, err);

    if (rc == CLIPC_OK) rc = save_text(folder, "open_clip_config.json", &config, err);
    buf_free(&config);
    return rc;
}

static int save_hf(const net *n, const char *folder, clipc_err *err)
{
    buf config = {0}, pre = {0}, vocab = {0}, merges = {0};
    bpe *b = NULL;
    int rc = config_write_hf(&config, &pre, &n->cfg, err);

    if (rc == CLIPC_OK) rc = bpe_new(&b, err);
    if (rc == CLIPC_OK) rc = bpe_vocab_json(&vocab, b, err);
    if (rc == CLIPC_OK) rc = bpe_merges_txt(&merges, b, err);
    if (rc == CLIPC_OK) rc = save_text(folder, "config.json", &config, err);
    if (rc == CLIPC_OK) rc = save_text(folder, "preprocessor_config.json", &pre, err);
    if (rc == CLIPC_OK) rc = save_text(folder, "vocab.json", &vocab, err);
    if (rc == CLIPC_OK) rc = save_text(folder, "merges.txt", &merges, err);
    bpe_free(b);
    buf_free(&config);
    buf_free(&pre);
    buf_free(&vocab);
    buf_free(&merges);
    return rc;
}

int net_save(const net *n, const char *folder, dtype stored, const kernels *k,
             clipc_err *err)
{
    const bool hf = n->cfg.layout == LAYOUT_HF;
    char *path =
        path_join(folder, hf ? "model.safetensors" : "open_clip_model.safetensors");
    int rc = path ? CLIPC_OK : clipc_fail_memory(err, folder, 0);

    if (rc == CLIPC_OK && hf && !config_fits_hf(&n->cfg))
        rc = clipc_fail(
            err, CLIPC_ERR_FEATURE,
            "%s: Hugging Face's CLIP layout holds OpenAI's ViT and text tower, "
            "no %s; use open_clip's",
            folder, n->cfg.image.layers ? "relative of theirs" : "ResNet");
    if (rc == CLIPC_OK && !hf && n->cfg.image.pooler_form == POOLER_SIGLIP)
        rc = clipc_fail(err, CLIPC_ERR_FEATURE,
                        "%s: a SigLIP of Hugging Face's layout cannot be written in "
                        "open_clip's",
                        folder);
    if (rc == CLIPC_OK) rc = file_mkdirs(folder, err);
    if (rc == CLIPC_OK)
        rc = hf ? save_hf(n, folder, err) : save_open_clip(n, folder, err);
    if (rc == CLIPC_OK) rc = save_weights(n, path, stored, k, err);
    free(path);
    return rc;
}

int clipc_convert(const char *from, const char *to, const char *layout,
                  const char *precision, int overwrite, clipc_err *err)
{
    const dtype stored = strcmp(precision, "f32") == 0    ? DT_F32
                         : strcmp(precision, "f16") == 0  ? DT_F16
                         : strcmp(precision, "bf16") == 0 ? DT_BF16
                                                          : DT_COUNT;
    const bool hf = strcmp(layout, "hf") == 0;
    const kernels *k = NULL;
    char *folder = NULL;
    clip_cfg cfg = {0};
    net *n = NULL;
    int rc;

    if (stored == DT_COUNT || (!hf && strcmp(layout, "open_clip") != 0))
        return clipc_fail(err, CLIPC_ERR_ARG, "%s, %s: no such layout or precision",
                          layout, precision);
    if (!overwrite && file_exists(to))
        return clipc_fail(err, CLIPC_ERR_EXISTS, "%s: exists already", to);
    rc = find_model(&folder, from, err);
    if (rc == CLIPC_OK) rc = kernels_pick(&k, err);
    if (rc == CLIPC_OK) rc = net_config(&cfg, folder, err);
    if (rc == CLIPC_OK) rc = net_make(&n, &cfg, TOWER_EVAL, err);
    if (rc == CLIPC_OK) rc = net_load(n, folder, k, err);
    if (rc == CLIPC_OK) {
        n->cfg.layout = hf ? LAYOUT_HF : LAYOUT_OPEN_CLIP;
        rc = net_save(n, to, stored, k, err);
    }
    net_free(n);
    clip_cfg_free(&cfg);
    free(folder);
    return rc;
}
