#include <string.h>

#include "base/file.h"
#include "clip/config_parts.h"

static int get_act(act *out, const json_t *o, const char *where, clipc_err *err)
{
    const char *name = *out == ACT_GELU_TANH ? "gelu_pytorch_tanh" : "quick_gelu";
    const int rc = json_get_string(&name, o, "hidden_act", where, err);

    if (rc != CLIPC_OK) return rc;
    if (strcmp(name, "quick_gelu") == 0) *out = ACT_QUICK_GELU;
    else if (strcmp(name, "gelu") == 0) *out = ACT_GELU;
    else if (strcmp(name, "gelu_pytorch_tanh") == 0 || strcmp(name, "gelu_new") == 0)
        *out = ACT_GELU_TANH;
    else
        return clipc_fail(err, CLIPC_ERR_FEATURE,
                          "%s: hidden_act \"%.40s\" is not supported", where, name);
    return CLIPC_OK;
}

static int get_hf_image(image_cfg *c, const json_t *o, const char *where, clipc_err *err)
{
    size_t channels = 3;
    int rc;

    rc = json_get_size(&c->image_size, o, "image_size", where, err);
    if (rc == CLIPC_OK) rc = json_get_size(&c->width, o, "hidden_size", where, err);
    if (rc == CLIPC_OK)
        rc = json_get_size(&c->heads, o, "num_attention_heads", where, err);
    if (rc == CLIPC_OK)
        rc = json_get_size(&c->layers, o, "num_hidden_layers", where, err);
    if (rc == CLIPC_OK) rc = json_get_size(&c->patch_size, o, "patch_size", where, err);
    if (rc == CLIPC_OK)
        rc = json_get_size(&c->mlp_width, o, "intermediate_size", where, err);
    if (rc == CLIPC_OK) rc = json_get_size(&channels, o, "num_channels", where, err);
    if (rc == CLIPC_OK) rc = json_get_f32(&c->eps, o, "layer_norm_eps", where, err);
    if (rc == CLIPC_OK) rc = get_act(&c->act, o, where, err);
    if (rc == CLIPC_OK && channels != 3)
        rc = clipc_fail(err, CLIPC_ERR_FEATURE, "%s: %zu channels, wanted 3", where,
                        channels);
    return rc;
}

static int get_hf_text(text_cfg *c, const json_t *o, const char *where, clipc_err *err)
{
    int rc;

    rc = json_get_size(&c->context_length, o, "max_position_embeddings", where, err);
    if (rc == CLIPC_OK) rc = json_get_size(&c->vocab_size, o, "vocab_size", where, err);
    if (rc == CLIPC_OK) rc = json_get_size(&c->width, o, "hidden_size", where, err);
    if (rc == CLIPC_OK)
        rc = json_get_size(&c->heads, o, "num_attention_heads", where, err);
    if (rc == CLIPC_OK)
        rc = json_get_size(&c->layers, o, "num_hidden_layers", where, err);
    if (rc == CLIPC_OK)
        rc = json_get_size(&c->mlp_width, o, "intermediate_size", where, err);
    if (rc == CLIPC_OK) rc = json_get_f32(&c->eps, o, "layer_norm_eps", where, err);
    if (rc == CLIPC_OK) rc = get_act(&c->act, o, where, err);
    return rc;
}

/* What transformers takes for missing keys (CLIPConfig, SiglipConfig). */
static void hf_clip_defaults(clip_cfg *cfg)
{
    cfg->image = (image_cfg){.image_size = 224,
                             .width = 768,
                             .heads = 12,
                             .layers = 12,
                             .patch_size = 32,
                             .mlp_width = 3072,
                             .eps = 1e-5f,
                             .act = ACT_QUICK_GELU};
    cfg->text = (text_cfg){.context_length = 77,
                           .vocab_size = 49408,
                           .width = 512,
                           .heads = 8,
                           .layers = 12,
                           .mlp_width = 2048,
                           .eps = 1e-5f,
                           .act = ACT_QUICK_GELU};
}

static void hf_siglip_defaults(clip_cfg *cfg)
{
    hf_clip_defaults(cfg);
    cfg->image.patch_size = 16;
    cfg->text.context_length = 64, cfg->text.vocab_size = 32000;
    cfg->text.width = 768, cfg->text.heads = 12, cfg->text.mlp_width = 3072;
    cfg->image.eps = cfg->text.eps = 1e-6f;
    cfg->image.act = cfg->text.act = ACT_GELU_TANH;
    cfg->image.no_ln_pre = cfg->image.no_class_token = cfg->image.conv1_bias = true;
    cfg->image.pooler = true;
    cfg->image.pooler_form = POOLER_SIGLIP;
    cfg->image.pooler_queries = 1;
    cfg->image.proj = PROJ_NONE;
    cfg->text.no_causal_mask = true;
    cfg->text.pool = TEXT_POOL_LAST;
    cfg->text.proj = PROJ_LINEAR_BIAS;
    cfg->logit_bias = cfg->foreign_tokens = true;
    snprintf(cfg->tokenizer, sizeof cfg->tokenizer, "SiglipTokenizer");
}

static preprocess_cfg hf_preprocess_default(const clip_cfg *cfg)
{
    preprocess_cfg p = preprocess_default(cfg->image.image_size, cfg->image.image_size);

    p.rgb_first = true;
    if (cfg->image.pooler_form != POOLER_SIGLIP) return p;
    p.resize = RESIZE_SQUASH;
    for (size_t i = 0; i < 3; i++) p.mean[i] = p.std[i] = 0.5f;
    return p;
}

/* Old files carry "text_config_dict", which overrides "text_config" key by key. */
static json_t *merged(const json_t *root, const char *key, const char *old)
{
    json_t *out = json_object();

    json_object_update(out, json_object_get(root, key));
    json_object_update(out, json_object_get(root, old));
    return out;
}

/* SigLIP's processor, and CLIP's where it is told both, resize to height and width
 * whatever the proportions. */
static int get_hf_resize(preprocess_cfg *p, const json_t *root, const char *where,
                         clipc_err *err)
{
    const json_t *size = json_object_get(root, "size");
    size_t h = p->h, w = p->w;
    int rc = CLIPC_OK;

    if (json_is_integer(size) || json_object_get(size, "shortest_edge")) {
        p->resize = RESIZE_SHORTEST;
        rc = json_is_integer(size) ? json_get_size(&h, root, "size", where, err)
                                   : json_get_size(&h, size, "shortest_edge", where, err);
        w = h;
    } else if (json_object_get(size, "height") && json_object_get(size, "width")) {
        p->resize = RESIZE_SQUASH;
        rc = json_get_size(&h, size, "height", where, err);
        if (rc == CLIPC_OK) rc = json_get_size(&w, size, "width", where, err);
    }
    if (rc == CLIPC_OK && (h != p->h || w != p->w))
        rc = clipc_fail(err, CLIPC_ERR_FORMAT,
                        "%s: pictures of %zux%zu for a model of %zux%zu", where, h, w,
                        p->h, p->w);
    return rc;
}

/* What a model needs and no file should switch off. */
static int check_hf_steps(const json_t *root, const preprocess_cfg *p, const char *where,
                          clipc_err *err)
{
    static const char *const steps[] = {"do_resize", "do_rescale", "do_normalize",
                                        "do_center_crop"};

    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        const bool needed = i < 3 || p->resize != RESIZE_SQUASH;
        if (needed && json_is_false(json_object_get(root, steps[i])))
            return clipc_fail(err, CLIPC_ERR_FEATURE, "%s: %s false", where, steps[i]);
    }
    return CLIPC_OK;
}

static int get_hf_preprocess(preprocess_cfg *p, const char *path, clipc_err *err)
{
    json_t *root = NULL;
    json_int_t resample = 3;
    int rc = json_read(&root, path, err);

    if (rc == CLIPC_OK) rc = json_get_floats(p->mean, 3, root, "image_mean", path, err);
    if (rc == CLIPC_OK) rc = json_get_floats(p->std, 3, root, "image_std", path, err);
    if (rc == CLIPC_OK) rc = get_hf_resize(p, root, path, err);
    if (rc == CLIPC_OK) rc = check_hf_steps(root, p, path, err);
    if (json_is_integer(json_object_get(root, "resample")))
        resample = json_integer_value(json_object_get(root, "resample"));
    if (rc == CLIPC_OK && resample != 2 && resample != 3)
        rc = clipc_fail(err, CLIPC_ERR_FEATURE, "%s: resample %d is not supported", path,
                        (int)resample);
    p->interpolation = resample == 2 ? FILTER_BILINEAR : FILTER_BICUBIC;
    for (int i = 0; rc == CLIPC_OK && i < 3; i++)
        if (!(p->std[i] > 0.0f))
            rc = clipc_fail(err, CLIPC_ERR_FORMAT, "%s: image_std is not above 0", path);
    json_decref(root);
    return rc;
}

/* SigLIP has no projection of pictures: what its texts are projected to is its width. */
static int siglip_sizes(clip_cfg *cfg, const json_t *text, const json_t *vision,
                        const char *where, clipc_err *err)
{
    bool head = true;
    size_t E = cfg->text.width;
    int rc = json_get_bool(&head, vision, "vision_use_head", where, err);

    if (rc == CLIPC_OK && !head)
        rc = clipc_fail(err, CLIPC_ERR_FEATURE,
                        "%s: SigLIP without its pooling head is not supported", where);
    if (rc == CLIPC_OK) rc = json_get_size(&E, text, "projection_size", where, err);
    cfg->image.pooler_heads = cfg->image.heads;
    cfg->image.pooler_mlp_width = cfg->image.mlp_width;
    cfg->image.embed_dim = cfg->text.embed_dim = E;
    return rc;
}

static int get_hf(clip_cfg *cfg, const json_t *root, const char *type, const json_t *text,
                  const json_t *vision, const char *where, clipc_err *err)
{
    const bool siglip = strcmp(type, "siglip") == 0;
    size_t embed_dim = 512;
    int rc = CLIPC_OK;

    if (!siglip && strcmp(type, "clip") != 0)
        rc = clipc_fail(err, CLIPC_ERR_FEATURE,
                        "%s: model_type \"%.40s\" is not supported", where, type);
    if (siglip) hf_siglip_defaults(cfg);
    else hf_clip_defaults(cfg);
    if (rc == CLIPC_OK) rc = get_hf_image(&cfg->image, vision, where, err);
    if (rc == CLIPC_OK) rc = get_hf_text(&cfg->text, text, where, err);
    if (rc == CLIPC_OK && siglip) return siglip_sizes(cfg, text, vision, where, err);
    if (rc == CLIPC_OK)
        rc = json_get_size(&embed_dim, root, "projection_dim", where, err);
    cfg->image.embed_dim = cfg->text.embed_dim = embed_dim;
    return rc;
}

/* M-CLIP's text towers (M-CLIP/XLM-Roberta-Large-Vit-L-14 and others): the encoder named
 * by modelBase, the mean of its rows, a linear layer.  Sizes come from the tensors. */
static int get_mclip(clip_cfg *cfg, const json_t *root, const char *where, clipc_err *err)
{
    const char *base = "xlm-roberta-large";
    int rc = json_get_string(&base, root, "modelBase", where, err);

    if (rc == CLIPC_OK) rc = config_bert_family(cfg, base, where, err);
    cfg->no_image = cfg->no_logit_scale = true;
    cfg->text.bert_pool = BERT_MEAN;
    cfg->image.image_size = 1;
    return rc;
}

int config_hf_files(clip_cfg *out, const char *config, const char *preprocessor,
                    clipc_err *err)
{
    json_t *root = NULL, *text = NULL, *vision = NULL;
    const char *type = "clip";
    int rc;

    *out = (clip_cfg){.layout = LAYOUT_HF};
    rc = json_read(&root, config, err);
    vision = merged(root, "vision_config", "vision_config_dict");
    text = merged(root, "text_config", "text_config_dict");
    if (rc == CLIPC_OK) rc = json_get_string(&type, root, "model_type", config, err);
    if (rc == CLIPC_OK)
        rc = strcmp(type, "M-CLIP") == 0
                 ? get_mclip(out, root, config, err)
                 : get_hf(out, root, type, text, vision, config, err);
    out->preprocess = hf_preprocess_default(out);
    if (rc == CLIPC_OK && file_exists(preprocessor))
        rc = get_hf_preprocess(&out->preprocess, preprocessor, err);
    if (rc == CLIPC_OK) rc = config_extras(out, root, config, err);
    json_decref(text);
    json_decref(vision);
    json_decref(root);
    if (rc != CLIPC_OK) clip_cfg_free(out);
    return rc;
}

/* ---- sentence-transformers and GGUF ---- */

int config_sentence(clip_cfg *cfg, const json_t *bert, const json_t *limits,
                    const json_t *pooling, const char *where, clipc_err *err)
{
    const char *type = "";
    bool mean = true;
    size_t heads = 0;
    int rc = json_get_string(&type, bert, "model_type", where, err);

    *cfg = (clip_cfg){.layout = LAYOUT_HF, .no_image = true, .no_logit_scale = true};
    cfg->preprocess = preprocess_default(1, 1);
    if (rc == CLIPC_OK) rc = config_bert_family(cfg, type, where, err);
    if (rc == CLIPC_OK)
        rc = json_get_f32(&cfg->text.eps, bert, "layer_norm_eps", where, err);
    if (rc == CLIPC_OK) rc = json_get_size(&heads, bert, "n_heads", where, err);
    if (rc == CLIPC_OK)
        rc = json_get_size(&heads, bert, "num_attention_heads", where, err);
    if (rc == CLIPC_OK)
        rc = json_get_bool(&mean, pooling, "pooling_mode_mean_tokens", where, err);
    cfg->text.heads = heads;
    cfg->text.context_length = 128;
    if (rc == CLIPC_OK && json_is_integer(json_object_get(limits, "max_seq_length")))
        rc = json_get_size(&cfg->text.context_length, limits, "max_seq_length", where,
                           err);
    cfg->text.bert_pool = mean ? BERT_MEAN : BERT_CLS;
    return rc;
}

static int gguf_tower(size_t *width, size_t *heads, size_t *layers, size_t *mlp,
                      size_t *embed_dim, float *eps, const json_t *meta,
                      const char *tower, const char *where, clipc_err *err)
{
    const struct {
        const char *key;
        size_t *to;
    } sizes[] = {{"embedding_length", width},
                 {"attention.head_count", heads},
                 {"block_count", layers},
                 {"feed_forward_length", mlp},
                 {"projection_dim", embed_dim}};
    char key[96];
    int rc = CLIPC_OK;

    for (size_t i = 0; rc == CLIPC_OK && i < sizeof sizes / sizeof sizes[0]; i++) {
        snprintf(key, sizeof key, "clip.%s.%s", tower, sizes[i].key);
        rc = json_get_size(sizes[i].to, meta, key, where, err);
    }
    snprintf(key, sizeof key, "clip.%s.attention.layer_norm_epsilon", tower);
    return rc == CLIPC_OK ? json_get_f32(eps, meta, key, where, err) : rc;
}

int config_gguf(clip_cfg *cfg, const json_t *meta, const char *where, clipc_err *err)
{
    const char *arch = "";
    bool text = false, vision = false, gelu = false;
    size_t tokens = json_array_size(json_object_get(meta, "tokenizer.ggml.tokens"));
    image_cfg *i = &cfg->image;
    text_cfg *t = &cfg->text;
    int rc;

    *cfg = (clip_cfg){.layout = LAYOUT_HF, .no_logit_scale = true};
    rc = json_get_string(&arch, meta, "general.architecture", where, err);
    if (rc == CLIPC_OK && strcmp(arch, "clip") != 0)
        rc = clipc_fail(err, CLIPC_ERR_FEATURE,
                        "%s: general.architecture \"%.40s\", wanted clip", where, arch);
    if (rc == CLIPC_OK)
        rc = json_get_bool(&text, meta, "clip.has_text_encoder", where, err);
    if (rc == CLIPC_OK)
        rc = json_get_bool(&vision, meta, "clip.has_vision_encoder", where, err);
    if (rc == CLIPC_OK) rc = json_get_bool(&gelu, meta, "clip.use_gelu", where, err);
    if (rc != CLIPC_OK) return rc;
    cfg->no_image = !vision, cfg->no_text = !text;
    i->act = t->act = gelu ? ACT_GELU : ACT_QUICK_GELU;
    i->eps = t->eps = 1e-5f;
    if (vision)
        rc = gguf_tower(&i->width, &i->heads, &i->layers, &i->mlp_width, &i->embed_dim,
                        &i->eps, meta, "vision", where, err);
    if (rc == CLIPC_OK)
        rc = json_get_size(&i->image_size, meta, "clip.vision.image_size", where, err);
    if (rc == CLIPC_OK)
        rc = json_get_size(&i->patch_size, meta, "clip.vision.patch_size", where, err);
    if (rc == CLIPC_OK && text)
        rc = gguf_tower(&t->width, &t->heads, &t->layers, &t->mlp_width, &t->embed_dim,
                        &t->eps, meta, "text", where, err);
    if (rc == CLIPC_OK)
        rc = json_get_size(&t->context_length, meta, "clip.text.context_length", where,
                           err);
    if (!vision) i->embed_dim = t->embed_dim;
    t->vocab_size = tokens;
    if (text && tokens != 49408) {
        cfg->foreign_tokens = true;
        snprintf(cfg->tokenizer, sizeof cfg->tokenizer, "of %zu tokens, without merges",
                 tokens);
    }
    const size_t side = vision ? i->image_size : 1;
    cfg->preprocess = preprocess_default(side, side);
    if (rc == CLIPC_OK)
        rc = json_get_floats(cfg->preprocess.mean, 3, meta, "clip.vision.image_mean",
                             where, err);
    if (rc == CLIPC_OK)
        rc = json_get_floats(cfg->preprocess.std, 3, meta, "clip.vision.image_std", where,
                             err);
    return rc;
}
