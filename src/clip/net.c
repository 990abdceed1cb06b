#include "clip/net.h"

#include <stdlib.h>
#include <string.h>

static const param_row scale_rows[] = {
    {"logit_scale", offsetof(net, logit_scale), {0}, PARAM_GAIN},
    {"logit_bias", offsetof(net, logit_bias), {0}, PARAM_GAIN},
};

void net_free(net *n)
{
    if (!n) return;
    if (n->ops) n->ops->destroy(n->image);
    if (n->text_ops) n->text_ops->destroy(n->text);
    param_list_free(&n->params);
    arena_free(&n->mem);
    tensor_file_free(n->mapped);
    free(n);
}

static const image_ops *const families[IMAGE_FAMILIES] = {
    [IMAGE_VIT] = &vit_ops,           [IMAGE_RESNET] = &resnet_ops,
    [IMAGE_CONVNEXT] = &convnext_ops, [IMAGE_FASTVIT] = &fastvit_ops,
    [IMAGE_EFFNET] = &effnet_ops,
};

/* Makes the towers that the config has and lists their parameters: text, scale, image. */
static int add_towers(net *n, clipc_err *err)
{
    const clip_cfg *cfg = &n->cfg;
    const size_t no_sizes[] = {0};
    int rc = CLIPC_OK;

    if (!cfg->no_text) {
        n->text_ops = cfg->text.family == TEXT_BERT ? &bert_ops : &textnet_ops;
        rc = n->text_ops->make(&n->text, &cfg->text, err);
        if (rc == CLIPC_OK) rc = n->text_ops->params(n->text, &n->params, err);
    }
    if (rc == CLIPC_OK)
        rc = param_list_add(&n->params, "", scale_rows, cfg->logit_bias ? 2 : 1, n,
                            no_sizes, err);
    if (rc == CLIPC_OK && !cfg->no_image) {
        n->ops = cfg->image.head.hidden ? &headed_ops : families[cfg->image.family];
        rc = n->ops->make(&n->image, &cfg->image, err);
        if (rc == CLIPC_OK) rc = n->ops->params(n->image, &n->params, err);
    }
    return rc;
}

int net_shape(net **out, const clip_cfg *cfg, tower_mode mode, clipc_err *err)
{
    net *n = calloc(1, sizeof *n);
    int rc;

    *out = NULL;
    if (!n) return clipc_fail_memory(err, "model", sizeof *n);
    n->cfg = *cfg;
    n->form = tower_form(mode, cfg->image.form);
    rc = cfg->no_image || cfg->no_text || cfg->image.embed_dim == cfg->text.embed_dim
             ? add_towers(n, err)
             : clipc_fail(err, CLIPC_ERR_FORMAT,
                          "config: the image tower gives %zu numbers, the text tower %zu",
                          cfg->image.embed_dim, cfg->text.embed_dim);
    if (rc == CLIPC_OK && mode == TOWER_INFER)
        rc = param_list_pack(&n->params, n->form, err);
    if (rc == CLIPC_OK) *out = n, n = NULL;
    net_free(n);
    return rc;
}

size_t net_bytes(const net *n)
{
    return n->params.floats * sizeof(float);
}

int net_room(net *n, clipc_err *err)
{
    const int rc = arena_new(&n->mem, net_bytes(n), "model", err);

    if (rc == CLIPC_OK) param_list_bind(&n->params, (float *)(void *)n->mem.mem);
    return rc;
}

int net_make(net **out, const clip_cfg *cfg, tower_mode mode, clipc_err *err)
{
    net *n;
    int rc = net_shape(&n, cfg, mode, err);

    *out = NULL;
    if (rc == CLIPC_OK) rc = net_room(n, err);
    if (rc == CLIPC_OK) *out = n, n = NULL;
    net_free(n);
    return rc;
}

void net_init(net *n, rng *r)
{
    n->ops->init(n->image, r);
    n->text_ops->init(n->text, r);
}
