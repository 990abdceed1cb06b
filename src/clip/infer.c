#include <math.h>
#include <stdio.h>
#include <string.h>

#include "clip/config_parts.h"
#include "clip/names.h"

size_t tensor_dim(const tensor_file *f, const char *prefix, const char *name, size_t d)
{
    char whole[NAME_MAX_LEN];

    snprintf(whole, sizeof whole, "%s%s", prefix, name);
    const tensor *t = tensor_find(f, whole);
    return t && d < t->n_dims ? t->dims[d] : 0;
}

static size_t dim(const tensor_file *f, const char *name, size_t d)
{
    return tensor_dim(f, "", name, d);
}

size_t tensor_count(const tensor_file *f, const char *prefix, const char *suffix)
{
    char name[NAME_MAX_LEN];
    size_t n = 0;

    do snprintf(name, sizeof name, "%s%zu%s", prefix, n, suffix);
    while (n < 4096 && tensor_find(f, name) && ++n);
    return n;
}

static size_t root_of(size_t n)
{
    return (size_t)(sqrt((double)n) + 0.5);
}

static void infer_vit(image_cfg *c, const tensor_file *f)
{
    const size_t positions = dim(f, "visual.positional_embedding", 0);

    c->width = dim(f, "visual.conv1.weight", 0);
    c->patch_size = dim(f, "visual.conv1.weight", 3);
    c->layers = tensor_count(f, "visual.transformer.resblocks.", ".ln_1.weight");
    c->image_size = positions ? root_of(positions - 1) * c->patch_size : 0;
    c->heads = c->width / 64;
    c->mlp_width = dim(f, "visual.transformer.resblocks.0.mlp.c_fc.weight", 0);
}

static void infer_resnet(image_cfg *c, const tensor_file *f)
{
    const size_t positions = dim(f, "visual.attnpool.positional_embedding", 0);

    c->family = IMAGE_RESNET;
    for (int s = 0; s < 4; s++) {
        char prefix[32];
        snprintf(prefix, sizeof prefix, "visual.layer%d.", s + 1);
        c->stages[s] = tensor_count(f, prefix, ".conv1.weight");
    }
    c->width = dim(f, "visual.layer1.0.conv1.weight", 0);
    c->image_size = positions ? root_of(positions - 1) * 32 : 0;
    c->heads = c->width * 32 / 64;
}

/* As openai/CLIP's build_model reads the shapes. */
int config_from_weights(clip_cfg *cfg, const tensor_file *f, const char *where,
                        clipc_err *err)
{
    const char *p = tensor_find(f, "text.token_embedding.weight") ? "text." : "";
    char name[64];
    image_cfg *i = &cfg->image;
    text_cfg *t = &cfg->text;

    *cfg = (clip_cfg){.layout = LAYOUT_OPEN_CLIP, .custom_text = *p != '\0'};
    if (!tensor_find(f, "visual.conv1.weight"))
        return clipc_fail(err, CLIPC_ERR_FORMAT,
                          "%s: tensors without a config, and not named as OpenAI's",
                          where);
    if (tensor_find(f, "visual.layer1.0.conv1.weight")) infer_resnet(i, f);
    else infer_vit(i, f);
    snprintf(name, sizeof name, "%stext_projection", p);
    i->embed_dim = t->embed_dim = dim(f, name, 1);
    snprintf(name, sizeof name, "%spositional_embedding", p);
    t->context_length = dim(f, name, 0);
    snprintf(name, sizeof name, "%stoken_embedding.weight", p);
    t->vocab_size = dim(f, name, 0);
    t->width = dim(f, name, 1);
    snprintf(name, sizeof name, "%stransformer.resblocks.", p);
    t->layers = tensor_count(f, name, ".ln_1.weight");
    snprintf(name, sizeof name, "%stransformer.resblocks.0.mlp.c_fc.weight", p);
    t->mlp_width = dim(f, name, 0);
    t->heads = t->width / 64;
    i->act = t->act = ACT_QUICK_GELU;
    i->eps = t->eps = 1e-5f;
    cfg->logit_bias = tensor_find(f, "logit_bias") != NULL;
    cfg->preprocess = preprocess_default(i->image_size, i->image_size);
    return CLIPC_OK;
}

/* Dimension d of the tensor that a parameter is stored as, or of its first part. */
static size_t stored_dim(const tensor_file *f, const naming *n, const char *name,
                         size_t d)
{
    stored_as s;

    names_of(&s, name, n);
    return dim(f, s.names[0], d);
}

int config_bert_sizes(clip_cfg *cfg, const tensor_file *f, const char *where,
                      clipc_err *err)
{
    const naming n = naming_of_file(f);
    text_cfg *c = &cfg->text;
    stored_as s;

    if (!n.bert)
        return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: no BERT text tower in it", where);
    c->vocab_size = stored_dim(f, &n, "bert.embeddings.word_embeddings.weight", 0);
    c->width = stored_dim(f, &n, "bert.embeddings.word_embeddings.weight", 1);
    c->positions = stored_dim(f, &n, "bert.embeddings.position_embeddings.weight", 0);
    c->types = stored_dim(f, &n, "bert.embeddings.token_type_embeddings.weight", 0);
    c->mlp_width = stored_dim(f, &n, "bert.encoder.layer.0.intermediate.dense.weight", 0);
    for (c->layers = 0; c->layers < 4096; c->layers++) {
        char name[96];
        snprintf(name, sizeof name, "bert.encoder.layer.%zu.output.dense.weight",
                 c->layers);
        names_of(&s, name, &n);
        if (!tensor_find(f, s.names[0])) break;
    }
    if (!c->heads) c->heads = c->width / 64;
    if (c->proj_hidden) c->proj_hidden = stored_dim(f, &n, "bert.proj.0.weight", 0);
    if (cfg->no_image) { /* a text tower alone says itself what it gives */
        const size_t E = stored_dim(f, &n, "bert.proj.weight", 0);
        c->embed_dim = E ? E : c->width;
        c->proj = !E                                       ? PROJ_NONE
                  : stored_dim(f, &n, "bert.proj.bias", 0) ? PROJ_LINEAR_BIAS
                                                           : PROJ_LINEAR;
        cfg->image.embed_dim = c->embed_dim;
    }
    return CLIPC_OK;
}
