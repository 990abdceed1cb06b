#include "clip/model.h"

#include <math.h>
#include <stdlib.h>

#include "base/file.h"
#include "clip/find.h"

void clipc_model_free(clipc_model *m)
{
    if (!m) return;
    net_free(m->n);
    if (!m->lent) {
        tokenizer_free(&m->tokens);
        source_close(&m->source);
    }
    free(m);
}

static void fill_info(clipc_model *m)
{
    const image_cfg *i = &m->source.cfg.image;
    const text_cfg *t = &m->source.cfg.text;
    static const char *const precision[DT_COUNT + 1] = {
        [DT_F32] = "f32", [DT_F16] = "f16", [DT_BF16] = "bf16", [DT_F64] = "f64"};
    static const char *const forms[] = {[WEIGHTS_F32] = "f32",
                                        [WEIGHTS_F16] = "f16",
                                        [WEIGHTS_BF16] = "bf16",
                                        [WEIGHTS_I8] = "int8"};
    static const char *const acts[] = {
        [ACT_NONE] = "none", [ACT_QUICK_GELU] = "quick_gelu",
        [ACT_GELU] = "gelu", [ACT_GELU_TANH] = "gelu_tanh",
        [ACT_RELU] = "relu", [ACT_RELU6] = "relu6",
        [ACT_SILU] = "silu", [ACT_SIGMOID] = "sigmoid"};
    static const char *const modes[] = {"shortest", "longest", "squash"};
    const char *stored = precision[m->n->stored];

    m->info = (clipc_model_info){
        .path = m->source.path,
        .format = m->source.format,
        .config_by = m->source.config_by,
        .license = m->n->mapped ? tensor_file_string(m->n->mapped, "license") : NULL,
        .origin = m->n->mapped ? tensor_file_string(m->n->mapped, "origin") : NULL,
        .family = m->n->ops ? m->n->ops->family : "none",
        .activation = acts[m->n->text ? t->act : i->act],
        .precision = m->source.packed ? forms[m->source.form]
                     : stored         ? stored
                                      : "mixed",
        .embed_dim = i->embed_dim,
        .image_size = i->image_size,
        .image_columns = image_columns(i),
        .patch_size = i->patch_size,
        .image_width = i->width ? i->width : i->dims[0],
        .image_layers = i->layers,
        .image_heads = i->heads,
        .text_width = t->width,
        .text_layers = t->layers,
        .text_heads = t->heads,
        .context_length = t->context_length,
        .vocab_size = t->vocab_size,
        .pad_id = t->family == TEXT_BERT ? t->pad_id : -1,
        .tokenizer = m->tokens.name,
        .params = m->n->params.count,
        .logit_scale = expf(*m->n->logit_scale),
        .has_logit_bias = m->n->logit_bias != NULL,
        .logit_bias = m->n->logit_bias ? *m->n->logit_bias : 0.0f,
        .resize_mode = modes[m->source.cfg.preprocess.resize],
        .stored_grid = {m->n->stored_grid[0], m->n->stored_grid[1]},
        .stored_context = m->n->stored_context,
        .min_score = m->source.cfg.min_score,
        .n_templates = m->source.cfg.n_templates,
        .templates = (const char *const *)m->source.cfg.templates};
    for (int s = 0; s < IMAGE_STAGES; s++) m->info.image_stages[s] = i->stages[s];
    for (int c = 0; c < 3; c++) {
        m->info.image_mean[c] = m->source.cfg.preprocess.mean[c];
        m->info.image_std[c] = m->source.cfg.preprocess.std[c];
    }
}

int clipc_model_open(clipc_model **out, const char *path, clipc_err *err)
{
    return clipc_model_open_with(out, path, NULL, err);
}

int clipc_model_open_with(clipc_model **out, const char *path,
                          const clipc_open_options *options, clipc_err *err)
{
    clipc_model *m = calloc(1, sizeof *m);
    char *found = NULL;
    int rc;

    *out = NULL;
    if (!m) return clipc_fail_memory(err, "model", sizeof *m);
    rc = find_model(&found, path, err);
    if (rc == CLIPC_OK) rc = kernels_pick(&m->k, err);
    if (rc == CLIPC_OK) rc = source_open_as(&m->source, found, options, err);
    if (rc == CLIPC_OK) rc = tokenizer_open(&m->tokens, &m->source, err);
    if (rc == CLIPC_OK) rc = net_open(&m->n, &m->source, TOWER_INFER, m->k, err);
    free(found);
    if (rc == CLIPC_OK) {
        fill_info(m);
        /* Its tensors were copied, or the net maps them itself. */
        tensor_file_free(m->source.weights);
        m->source.weights = NULL;
        *out = m, m = NULL;
    }
    clipc_model_free(m);
    return rc;
}

/* As yet without memory for the weights, of which its info tells. */
static int shape_of_net(clipc_model **out, const net *n, const tokenizer *t,
                        clipc_err *err)
{
    static char nowhere[] = "the run's weights";
    clipc_model *m = calloc(1, sizeof *m);
    int rc;

    *out = NULL;
    if (!m) return clipc_fail_memory(err, "model", sizeof *m);
    m->lent = true;
    m->tokens = *t;
    m->source = (model_source){
        .path = nowhere, .format = "open_clip", .config_by = "run", .cfg = n->cfg};
    rc = kernels_pick(&m->k, err);
    if (rc == CLIPC_OK) rc = net_shape(&m->n, &n->cfg, TOWER_INFER, err);
    if (rc == CLIPC_OK) *out = m, m = NULL;
    clipc_model_free(m);
    return rc;
}

int model_of_net(clipc_model **out, const net *n, const tokenizer *t, clipc_err *err)
{
    int rc = shape_of_net(out, n, t, err);
    clipc_model *m = *out;

    if (rc == CLIPC_OK) rc = net_room(m->n, err);
    if (rc != CLIPC_OK) {
        clipc_model_free(m);
        *out = NULL;
        return rc;
    }
    for (size_t i = 0; i < n->params.n; i++)
        weights_place(*m->n->params.v[i].slot, &m->n->params.v[i], *n->params.v[i].slot,
                      m->n->form, m->k);
    fill_info(m);
    return CLIPC_OK;
}

int model_of_net_bytes(size_t *bytes, const net *n, const tokenizer *t, size_t threads,
                       clipc_err *err)
{
    const clipc_ctx_options options = {.threads = threads};
    clipc_model *m;
    int rc = shape_of_net(&m, n, t, err);

    if (rc == CLIPC_OK) rc = ctx_bytes(bytes, m, &options, err);
    if (rc == CLIPC_OK) *bytes += net_bytes(m->n);
    clipc_model_free(m);
    return rc;
}

const clipc_model_info *clipc_model_info_of(const clipc_model *m)
{
    return &m->info;
}

void clipc_token_text(const clipc_model *m, int32_t id, char *out, size_t out_size)
{
    tokenizer_show(&m->tokens, id, out, out_size);
}
