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

size_t tensor_count(const tensor_file *f, const char *prefix, const char *suffix)
{
    char name[2 * NAME_MAX_LEN];
    size_t n = 0;

    do snprintf(name, sizeof name, "%s%zu%s", prefix, n, suffix);
    while (n < 4096 && tensor_find(f, name) && ++n);
    return n;
}

static size_t root_of(size_t n)
{
    return (size_t)(sqrt((double)n) + 0.5);
}

/* Dimension d of the tensor that a parameter is stored as, or of its first part. */
static size_t stored_dim(const tensor_file *f, const naming *n, const char *name,
                         size_t d)
{
    stored_as s;

    names_of(&s, name, n);
    return tensor_dim(f, "", s.names[0], d);
}

/* How many of the names prefix + 0, 1, 2 ... + suffix a file has. */
static size_t stored_count(const tensor_file *f, const naming *n, const char *prefix,
                           const char *suffix)
{
    stored_as s;

    names_of(&s, prefix, n);
    return tensor_count(f, s.names[0], suffix);
}

static void infer_vit(image_cfg *c, const tensor_file *f, const naming *n)
{
    const size_t positions = stored_dim(f, n, "visual.positional_embedding", 0);

    c->width = stored_dim(f, n, "visual.conv1.weight", 0);
    c->patch_size = stored_dim(f, n, "visual.conv1.weight", 3);
    c->layers = stored_count(f, n, "visual.transformer.resblocks.", ".ln_1.weight");
    c->image_size = positions ? root_of(positions - 1) * c->patch_size : 0;
    c->heads = c->width / 64;
    c->mlp_width = stored_dim(f, n, "visual.transformer.resblocks.0.mlp.c_fc.weight", 0);
}

static void infer_resnet(image_cfg *c, const tensor_file *f, const naming *n)
{
    const size_t positions = stored_dim(f, n, "visual.attnpool.positional_embedding", 0);

    c->family = IMAGE_RESNET;
    for (int s = 0; s < 4; s++) {
        char prefix[32];
        snprintf(prefix, sizeof prefix, "visual.layer%d.", s + 1);
        c->stages[s] = stored_count(f, n, prefix, ".conv1.weight");
    }
    c->width = stored_dim(f, n, "visual.layer1.0.conv1.weight", 0);
    c->image_size = positions ? root_of(positions - 1) * 32 : 0;
    c->heads = c->width * 32 / 64;
}

/* Whether tensor number j of a stage is there, and how many there are. */
static size_t effnet_blocks(const tensor_file *f, const naming *n, size_t stage)
{
    char name[64];
    size_t j = 0;

    do
        snprintf(name, sizeof name, "visual.trunk.blocks.%zu.%zu.conv_dw.weight", stage,
                 j);
    while (j < 4096 && stored_dim(f, n, name, 0) && ++j);
    return j;
}

void config_effnet_sizes(image_cfg *c, const tensor_file *f)
{
    const naming n = naming_of_file(f);

    c->width = stored_dim(f, &n, "visual.trunk.conv_stem.weight", 0);
    c->features = stored_dim(f, &n, "visual.trunk.conv_head.weight", 0);
    for (size_t s = 0; s < IMAGE_STAGES; s++) {
        char name[64];
        snprintf(name, sizeof name, "visual.trunk.blocks.%zu.0.%s.weight", s,
                 s ? "conv_pwl" : "conv_pw");
        c->stages[s] = effnet_blocks(f, &n, s);
        c->dims[s] = stored_dim(f, &n, name, 0);
    }
}

/* The file of an ImageNet model: its features are the embeddings. */
static void infer_effnet(clip_cfg *cfg, const tensor_file *f)
{
    image_cfg *c = &cfg->image;

    cfg->no_text = cfg->no_logit_scale = true;
    c->family = IMAGE_EFFNET;
    c->image_size = 224;
    c->act = ACT_RELU6;
    c->eps = 1e-3f;
    c->proj = PROJ_NONE;
    config_effnet_sizes(c, f);
    c->embed_dim = cfg->text.embed_dim = c->features;
    cfg->preprocess = preprocess_default(c->image_size, c->image_size);
    for (size_t i = 0; i < 3; i++) { /* (x - 127) / 128, of bytes */
        cfg->preprocess.mean[i] = 127.0f / 255.0f;
        cfg->preprocess.std[i] = 128.0f / 255.0f;
    }
}

/* As openai/CLIP's build_model reads the shapes. */
int config_from_weights(clip_cfg *cfg, const tensor_file *f, const char *where,
                        clipc_err *err)
{
    const naming n = naming_of_file(f);
    image_cfg *i = &cfg->image;
    text_cfg *t = &cfg->text;

    *cfg = (clip_cfg){.layout = LAYOUT_OPEN_CLIP,
                      .custom_text = strcmp(n.text_prefix, "text.") == 0};
    if (n.image == SPELLING_EFFNET) return infer_effnet(cfg, f), CLIPC_OK;
    if (!stored_dim(f, &n, "visual.conv1.weight", 0))
        return clipc_fail(err, CLIPC_ERR_FORMAT,
                          "%s: tensors without a config, and not named as OpenAI's",
                          where);
    if (stored_dim(f, &n, "visual.layer1.0.conv1.weight", 0)) infer_resnet(i, f, &n);
    else infer_vit(i, f, &n);
    if (*n.scale_prefix &&
        stored_dim(f, &n, "transformer.resblocks.0.attn.in_proj_weight", 0) !=
            3 * stored_dim(f, &n, "token_embedding.weight", 1))
        return clipc_fail(
            err, CLIPC_ERR_FEATURE,
            "%s: a TinyCLIP whose layers were pruned one by one (its \"auto\" "
            "models: each layer has its own heads) is not supported",
            where);
    i->embed_dim = t->embed_dim = stored_dim(f, &n, "text_projection", 1);
    t->context_length = stored_dim(f, &n, "positional_embedding", 0);
    t->vocab_size = stored_dim(f, &n, "token_embedding.weight", 0);
    t->width = stored_dim(f, &n, "token_embedding.weight", 1);
    t->layers = stored_count(f, &n, "transformer.resblocks.", ".ln_1.weight");
    t->mlp_width = stored_dim(f, &n, "transformer.resblocks.0.mlp.c_fc.weight", 0);
    t->heads = t->width / 64;
    /* TinyCLIP was trained by open_clip's rule: GELU unless a config says otherwise. */
    i->act = t->act = *n.scale_prefix ? ACT_GELU : ACT_QUICK_GELU;
    i->eps = t->eps = 1e-5f;
    cfg->logit_bias = tensor_find(f, "logit_bias") != NULL;
    cfg->preprocess = preprocess_default(i->image_size, i->image_size);
    return CLIPC_OK;
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
    if (!c->context_length) { /* all that it has positions for */
        const size_t before = c->roberta ? (size_t)c->pad_id + 1 : 0;
        c->context_length = c->positions > before ? c->positions - before : 0;
        if (c->context_length > 512) c->context_length = 512;
    }
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
