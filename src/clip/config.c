#include "clip/config.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

/* Keys that say nothing about what is computed are read over. */
static const char *const model_keys[] = {"embed_dim",
                                         "quick_gelu",
                                         "vision_cfg",
                                         "text_cfg",
                                         "init_logit_scale",
                                         "init_logit_bias",
                                         "output_dict",
                                         "custom_text",
                                         "multimodal_cfg",
                                         "nonscalar_logit_scale",
                                         NULL};
#define BLOCK_KEYS                                                                    \
    "block_type", "qk_norm", "scaled_cosine_attn", "scale_heads", "scale_attn_inner", \
        "scale_attn", "scale_fc", "ls_init_value", "act_kwargs", "norm_kwargs"
static const char *const vision_keys[] = {"image_size",
                                          "layers",
                                          "width",
                                          "patch_size",
                                          "head_width",
                                          "mlp_ratio",
                                          "heads",
                                          "patch_dropout",
                                          "attentional_pool",
                                          "attn_pooler_queries",
                                          "attn_pooler_heads",
                                          "no_ln_pre",
                                          "pos_embed_type",
                                          "final_ln_after_pool",
                                          "pool_type",
                                          "output_tokens",
                                          "timm_model_name",
                                          "timm_model_pretrained",
                                          "timm_pool",
                                          "timm_proj",
                                          "timm_proj_bias",
                                          "timm_drop",
                                          "timm_drop_path",
                                          "siglip_head",
                                          "siglip_proj",
                                          BLOCK_KEYS,
                                          NULL};
static const char *const text_keys[] = {"context_length",
                                        "vocab_size",
                                        "width",
                                        "heads",
                                        "layers",
                                        "mlp_ratio",
                                        "hf_tokenizer_name",
                                        "tokenizer_mode",
                                        "tokenizer_kwargs",
                                        "embed_cls",
                                        "pad_id",
                                        "eos_id",
                                        "no_causal_mask",
                                        "final_ln_after_pool",
                                        "pool_type",
                                        "proj_bias",
                                        "proj_type",
                                        "output_tokens",
                                        BLOCK_KEYS,
                                        NULL};
static const char *const preprocess_keys[] = {
    "size", "mode", "mean", "std", "interpolation", "resize_mode", "fill_color", NULL};

void clip_cfg_free(clip_cfg *cfg)
{
    for (size_t i = 0; i < cfg->n_templates; i++) free(cfg->templates[i]);
    *cfg = (clip_cfg){0};
}

int template_check(const char *text, clipc_err *err)
{
    const char *hole = strstr(text, "{}");

    if (hole && !strstr(hole + 2, "{}")) return CLIPC_OK;
    return clipc_fail(err, CLIPC_ERR_ARG, "template \"%.80s\": wanted one {} in it",
                      text);
}

int config_templates(clip_cfg *cfg, const json_t *list, const char *where, clipc_err *err)
{
    const size_t n = json_array_size(list);

    if (!list) return CLIPC_OK;
    if (!json_is_array(list) || n > CLIP_TEMPLATES)
        return clipc_fail(err, CLIPC_ERR_FORMAT,
                          "%s: \"templates\" is no list of up to %d", where,
                          CLIP_TEMPLATES);
    for (size_t i = 0; i < n; i++) {
        const char *s = json_string_value(json_array_get(list, i));
        if (!s)
            return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: a template is no string",
                              where);
        const int rc = template_check(s, err);
        if (rc != CLIPC_OK) return rc;
        cfg->templates[cfg->n_templates] = strdup(s);
        if (!cfg->templates[cfg->n_templates++]) return clipc_fail_memory(err, where, 0);
    }
    return CLIPC_OK;
}

/* A channel count times a ratio, as Python's int(width * ratio). */
static size_t times(size_t width, double ratio)
{
    const double x = (double)width * ratio;
    return x > 0.0 && x < 1e9 ? (size_t)x : 0;
}

static int get_stages(image_cfg *c, const json_t *layers, const char *where,
                      clipc_err *err)
{
    if (json_array_size(layers) != 4)
        return clipc_fail(err, CLIPC_ERR_FORMAT,
                          "%s: a ResNet has 4 stages, \"layers\" has %zu", where,
                          json_array_size(layers));
    for (size_t i = 0; i < 4; i++) {
        const json_int_t n = json_integer_value(json_array_get(layers, i));
        if (n < 1 || n > 1000)
            return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: \"layers\" holds %d", where,
                              (int)n);
        c->stages[i] = (size_t)n;
    }
    return CLIPC_OK;
}

/* One of the words; *at is its place among them. */
static int get_word(int *at, const json_t *o, const char *key, const char *const *words,
                    const char *where, clipc_err *err)
{
    const char *word = words[*at];
    const int rc = json_get_string(&word, o, key, where, err);

    if (rc != CLIPC_OK) return rc;
    for (*at = 0; words[*at]; (*at)++)
        if (strcmp(words[*at], word) == 0) return CLIPC_OK;
    return clipc_fail(err, CLIPC_ERR_FEATURE, "%s: %s \"%.40s\" is not supported", where,
                      key, word);
}

/* A key that is there and neither null nor false. */
static bool has(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);
    return v && !json_is_null(v) && !json_is_false(v);
}

/* The switches that both towers' blocks have. */
static int get_block(block_extras *x, act *f, float *eps, const json_t *o,
                     const char *where, clipc_err *err)
{
    static const char *const norm_keys[] = {"eps", NULL},
                             *act_keys[] = {"approximate", NULL};
    static const char *const approximations[] = {"none", "tanh", NULL};
    const json_t *norm = json_object_get(o, "norm_kwargs"),
                 *kwargs = json_object_get(o, "act_kwargs");
    int approximate = 0, rc = CLIPC_OK;

    x->ls = has(o, "ls_init_value");
    rc = json_get_bool(&x->qk_norm, o, "qk_norm", where, err);
    /* open_clip 3.3's own code for it fails on any input. */
    if (rc == CLIPC_OK && has(o, "scaled_cosine_attn"))
        rc = clipc_fail(err, CLIPC_ERR_FEATURE, "%s: scaled_cosine_attn is not supported",
                        where);
    if (rc == CLIPC_OK) rc = json_get_bool(&x->scale_heads, o, "scale_heads", where, err);
    if (rc == CLIPC_OK)
        rc = json_get_bool(&x->scale_attn_inner, o, "scale_attn_inner", where, err);
    if (rc == CLIPC_OK) rc = json_get_bool(&x->scale_attn, o, "scale_attn", where, err);
    if (rc == CLIPC_OK) rc = json_get_bool(&x->scale_fc, o, "scale_fc", where, err);
    if (rc == CLIPC_OK && json_is_object(norm)) {
        rc = json_check_keys(norm, norm_keys, where, err);
        if (rc == CLIPC_OK) rc = json_get_f32(eps, norm, "eps", where, err);
    }
    if (rc == CLIPC_OK && json_is_object(kwargs) && json_object_size(kwargs)) {
        rc = json_check_keys(kwargs, act_keys, where, err);
        if (rc == CLIPC_OK)
            rc =
                get_word(&approximate, kwargs, "approximate", approximations, where, err);
        if (rc == CLIPC_OK && approximate && *f == ACT_GELU) *f = ACT_GELU_TANH;
    }
    return rc;
}

/* timm's ViTs that open_clip's configs name: SigLIP's, pooled by a learned query. */
static const struct {
    const char *name;
    size_t patch, width, depth, heads;
    double mlp_ratio;
    act act;
} timm_vits[] = {
    {"vit_base_patch32_siglip_256", 32, 768, 12, 12, 4.0, ACT_GELU_TANH},
    {"vit_base_patch16_siglip_224", 16, 768, 12, 12, 4.0, ACT_GELU},
    {"vit_base_patch16_siglip_256", 16, 768, 12, 12, 4.0, ACT_GELU},
    {"vit_base_patch16_siglip_384", 16, 768, 12, 12, 4.0, ACT_GELU},
    {"vit_base_patch16_siglip_512", 16, 768, 12, 12, 4.0, ACT_GELU},
    {"vit_large_patch16_siglip_256", 16, 1024, 24, 16, 4.0, ACT_GELU},
    {"vit_large_patch16_siglip_384", 16, 1024, 24, 16, 4.0, ACT_GELU},
    {"vit_large_patch16_siglip_512", 16, 1024, 24, 16, 4.0, ACT_GELU_TANH},
    {"vit_so400m_patch14_siglip_224", 14, 1152, 27, 16, 3.7362, ACT_GELU},
    {"vit_so400m_patch14_siglip_378", 14, 1152, 27, 16, 3.7362, ACT_GELU},
    {"vit_so400m_patch14_siglip_384", 14, 1152, 27, 16, 3.7362, ACT_GELU},
    {"vit_so400m_patch16_siglip_256", 16, 1152, 27, 16, 3.7362, ACT_GELU_TANH},
    {"vit_so400m_patch16_siglip_384", 16, 1152, 27, 16, 3.7362, ACT_GELU_TANH},
    {"vit_so400m_patch16_siglip_512", 16, 1152, 27, 16, 3.7362, ACT_GELU_TANH},
    {"vit_giantopt_patch16_siglip_256", 16, 1536, 40, 16, 4.0, ACT_GELU_TANH},
    {"vit_giantopt_patch16_siglip_384", 16, 1536, 40, 16, 4.0, ACT_GELU_TANH},
};

static int get_timm(clip_cfg *cfg, const json_t *o, const char *name, const char *where,
                    clipc_err *err)
{
    static const char *const projections[] = {"none", "linear", NULL};
    image_cfg *c = &cfg->image;
    const char *proj = json_string_value(json_object_get(o, "timm_proj"));
    bool bias = false;
    int word = 0, rc = json_get_bool(&bias, o, "timm_proj_bias", where, err);

    for (size_t i = 0; i < sizeof timm_vits / sizeof timm_vits[0]; i++) {
        if (strcmp(timm_vits[i].name, name) != 0) continue;
        cfg->timm = timm_vits[i].name;
        c->patch_size = timm_vits[i].patch, c->width = timm_vits[i].width;
        c->layers = timm_vits[i].depth;
        c->heads = c->pooler_heads = timm_vits[i].heads;
        c->mlp_width = times(c->width, timm_vits[i].mlp_ratio);
        c->act = timm_vits[i].act;
    }
    if (!cfg->timm)
        return clipc_fail(err, CLIPC_ERR_FEATURE,
                          "%s: the timm tower \"%.60s\" is not supported", where, name);
    c->eps = 1e-6f;
    c->no_ln_pre = c->no_class_token = c->conv1_bias = c->pooler = true;
    c->pooler_form = POOLER_TIMM;
    c->pooler_queries = 1;
    if (rc == CLIPC_OK && proj && *proj)
        rc = get_word(&word, o, "timm_proj", projections, where, err);
    c->proj = !word ? PROJ_NONE : bias ? PROJ_LINEAR_BIAS : PROJ_LINEAR;
    return rc;
}

/* How the image tower ends. */
static int get_image_pool(image_cfg *c, const json_t *o, const char *where,
                          clipc_err *err)
{
    static const char *const pools[] = {"tok", "avg", NULL};
    const json_t *attentional = json_object_get(o, "attentional_pool");
    int pool = 0, rc = get_word(&pool, o, "pool_type", pools, where, err);

    c->pool = pool ? POOL_AVG : POOL_TOK;
    c->pooler_queries = 256, c->pooler_heads = 8;
    c->pooler = has(o, "attentional_pool");
    if (rc == CLIPC_OK && json_is_string(attentional))
        rc = clipc_fail(err, CLIPC_ERR_FEATURE,
                        "%s: attentional_pool \"%.40s\" is not supported", where,
                        json_string_value(attentional));
    if (rc == CLIPC_OK)
        rc = json_get_size(&c->pooler_queries, o, "attn_pooler_queries", where, err);
    if (rc == CLIPC_OK)
        rc = json_get_size(&c->pooler_heads, o, "attn_pooler_heads", where, err);
    if (rc == CLIPC_OK) rc = json_get_bool(&c->no_ln_pre, o, "no_ln_pre", where, err);
    if (rc == CLIPC_OK)
        rc = json_get_bool(&c->ln_post_after_pool, o, "final_ln_after_pool", where, err);
    return rc;
}

/* Of our own, for clipc's format: a SigLIP tower of any size, and how its pooling head
 * lies in the file. */
static int get_siglip_head(image_cfg *c, const json_t *o, const char *where,
                           clipc_err *err)
{
    static const char *const forms[] = {"", "hf", "timm", NULL};
    static const char *const projections[] = {"matrix", "none", "linear", "linear_bias",
                                              NULL};
    int form = 0, proj = PROJ_NONE,
        rc = get_word(&form, o, "siglip_head", forms, where, err);

    if (rc != CLIPC_OK || !form) return rc;
    c->no_ln_pre = c->no_class_token = c->conv1_bias = c->pooler = true;
    c->pooler_form = form == 1 ? POOLER_SIGLIP : POOLER_TIMM;
    c->pooler_queries = 1, c->pooler_heads = c->heads;
    rc = get_word(&proj, o, "siglip_proj", projections, where, err);
    c->proj = (tower_proj)proj;
    return rc;
}

static void put_siglip_head(json_t *v, const image_cfg *c)
{
    static const char *const projections[] = {"matrix", "none", "linear", "linear_bias"};

    json_object_set_new(v, "siglip_head",
                        json_string(c->pooler_form == POOLER_SIGLIP ? "hf" : "timm"));
    json_object_set_new(v, "siglip_proj", json_string(projections[c->proj]));
}

static int get_vision(clip_cfg *cfg, const json_t *o, const char *where, clipc_err *err)
{
    const json_t *layers = json_object_get(o, "layers");
    const char *timm = json_string_value(json_object_get(o, "timm_model_name"));
    image_cfg *c = &cfg->image;
    size_t head_width = 64, heads = 0;
    double mlp_ratio = 4.0;
    int rc = json_check_keys(o, vision_keys, where, err);

    c->image_size = 224, c->width = 768, c->layers = 12;
    if (rc == CLIPC_OK) rc = json_get_size(&c->image_size, o, "image_size", where, err);
    if (rc == CLIPC_OK && timm) return get_timm(cfg, o, timm, where, err);
    if (rc == CLIPC_OK) rc = json_get_size(&c->width, o, "width", where, err);
    if (rc == CLIPC_OK) rc = json_get_size(&head_width, o, "head_width", where, err);
    if (rc == CLIPC_OK) rc = json_get_size(&heads, o, "heads", where, err);
    if (rc == CLIPC_OK) rc = json_get_f64(&mlp_ratio, o, "mlp_ratio", where, err);
    if (rc != CLIPC_OK) return rc;
    if (head_width == 0)
        return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: head_width is 0", where);
    if (json_is_array(layers)) {
        c->layers = 0;
        c->heads = heads ? heads : c->width * 32 / head_width;
        return get_stages(c, layers, where, err);
    }
    c->patch_size = 16;
    rc = json_get_size(&c->layers, o, "layers", where, err);
    if (rc == CLIPC_OK) rc = json_get_size(&c->patch_size, o, "patch_size", where, err);
    c->heads = heads ? heads : c->width / head_width;
    c->mlp_width = times(c->width, mlp_ratio);
    if (rc == CLIPC_OK && c->layers == 0)
        rc = clipc_fail(err, CLIPC_ERR_FORMAT, "%s: \"layers\" is 0", where);
    if (rc == CLIPC_OK) rc = get_image_pool(c, o, where, err);
    if (rc == CLIPC_OK) rc = get_siglip_head(c, o, where, err);
    if (rc == CLIPC_OK) rc = get_block(&c->extras, &c->act, &c->eps, o, where, err);
    return rc;
}

/* How the text tower ends. */
static int get_text_pool(text_cfg *c, const json_t *o, const char *where, clipc_err *err)
{
    static const char *const pools[] = {"argmax", "eos", "first", "last", NULL};
    static const char *const projections[] = {"linear", "none", NULL};
    size_t eos = 2, pad = 0;
    bool bias = false;
    int pool = 0, proj = 0, rc = get_word(&pool, o, "pool_type", pools, where, err);

    if (rc == CLIPC_OK) rc = get_word(&proj, o, "proj_type", projections, where, err);
    if (rc == CLIPC_OK) rc = json_get_bool(&bias, o, "proj_bias", where, err);
    if (rc == CLIPC_OK) rc = json_get_bool(&c->embed_cls, o, "embed_cls", where, err);
    if (rc == CLIPC_OK)
        rc = json_get_bool(&c->no_causal_mask, o, "no_causal_mask", where, err);
    if (rc == CLIPC_OK) rc = json_get_size(&eos, o, "eos_id", where, err);
    if (rc == CLIPC_OK) rc = json_get_size(&pad, o, "pad_id", where, err);
    if (rc == CLIPC_OK && (eos > 1 << 24 || pad > 1 << 24))
        rc = clipc_fail(err, CLIPC_ERR_FORMAT, "%s: eos_id %zu, pad_id %zu", where, eos,
                        pad);
    c->pool = (text_pool)pool;
    c->eos_id = (int32_t)eos, c->pad_id = (int32_t)pad;
    c->proj = proj ? PROJ_NONE : bias ? PROJ_LINEAR_BIAS : PROJ_MATRIX;
    return rc;
}

/* The family of BERT that a name tells of; what the sizes are, the tensors say. */
static int bert_family(clip_cfg *cfg, const char *name, const char *where, clipc_err *err)
{
    text_cfg *c = &cfg->text;

    c->family = TEXT_BERT;
    c->roberta = strstr(name, "roberta") != NULL || strstr(name, "xlm") != NULL;
    if (!c->roberta && !strstr(name, "bert"))
        return clipc_fail(err, CLIPC_ERR_FEATURE,
                          "%s: the Hugging Face text tower \"%.60s\" is not supported",
                          where, name);
    c->pad_id = c->roberta ? 1 : 0;
    c->eps = c->roberta ? 1e-5f : 1e-12f;
    c->act = ACT_GELU;
    c->proj = PROJ_NONE;
    cfg->foreign_tokens = true;
    snprintf(cfg->tokenizer, sizeof cfg->tokenizer, "%.60s", name);
    return CLIPC_OK;
}

/* open_clip's HFTextEncoder. */
static int get_hf_tower(clip_cfg *cfg, const json_t *o, const char *name,
                        const char *where, clipc_err *err)
{
    static const char *const poolers[] = {"mean_pooler", "cls_last_hidden_state_pooler",
                                          "cls_pooler", NULL};
    static const char *const projections[] = {"mlp", "linear", "none", NULL};
    const json_t *proj_type = json_object_get(o, "hf_proj_type");
    text_cfg *c = &cfg->text;
    int pool = 0, proj = 0, rc = bert_family(cfg, name, where, err);

    if (rc != CLIPC_OK) return rc;
    cfg->custom_text = true;
    c->context_length = 77;
    if (!c->roberta) pool = 2; /* open_clip's choice for BERT */
    rc = json_get_size(&c->context_length, o, "context_length", where, err);
    if (rc == CLIPC_OK) rc = get_word(&pool, o, "hf_pooler_type", poolers, where, err);
    if (json_is_null(proj_type)) proj = 2;
    else if (rc == CLIPC_OK)
        rc = get_word(&proj, o, "hf_proj_type", projections, where, err);
    c->bert_pool = (bert_pool)pool;
    c->proj_hidden = proj == 0; /* its width: from the tensors */
    c->proj = proj == 1 ? PROJ_LINEAR : PROJ_NONE;
    return rc;
}

static int get_text(clip_cfg *cfg, const json_t *o, const char *where, clipc_err *err)
{
    const char *tokenizer = json_string_value(json_object_get(o, "hf_tokenizer_name"));
    const char *hf = json_string_value(json_object_get(o, "hf_model_name"));
    text_cfg *c = &cfg->text;
    double mlp_ratio = 4.0;
    int rc;

    if (hf) return get_hf_tower(cfg, o, hf, where, err);
    rc = json_check_keys(o, text_keys, where, err);
    if (tokenizer && *tokenizer) {
        cfg->foreign_tokens = true;
        snprintf(cfg->tokenizer, sizeof cfg->tokenizer, "%.60s", tokenizer);
    }
    c->context_length = 77, c->vocab_size = 49408;
    c->width = 512, c->heads = 8, c->layers = 12;
    if (rc == CLIPC_OK)
        rc = json_get_size(&c->context_length, o, "context_length", where, err);
    if (rc == CLIPC_OK) rc = json_get_size(&c->vocab_size, o, "vocab_size", where, err);
    if (rc == CLIPC_OK) rc = json_get_size(&c->width, o, "width", where, err);
    if (rc == CLIPC_OK) rc = json_get_size(&c->heads, o, "heads", where, err);
    if (rc == CLIPC_OK) rc = json_get_size(&c->layers, o, "layers", where, err);
    if (rc == CLIPC_OK) rc = json_get_f64(&mlp_ratio, o, "mlp_ratio", where, err);
    c->mlp_width = times(c->width, mlp_ratio);
    if (rc == CLIPC_OK) rc = get_text_pool(c, o, where, err);
    if (rc == CLIPC_OK) rc = get_block(&c->extras, &c->act, &c->eps, o, where, err);
    return rc;
}

static int get_preprocess(preprocess_cfg *p, const json_t *o, const char *where,
                          clipc_err *err)
{
    const char *interpolation = "bicubic", *resize_mode = "shortest";
    int rc = json_check_keys(o, preprocess_keys, where, err);

    if (rc == CLIPC_OK) rc = json_get_floats(p->mean, 3, o, "mean", where, err);
    if (rc == CLIPC_OK) rc = json_get_floats(p->std, 3, o, "std", where, err);
    if (rc == CLIPC_OK)
        rc = json_get_string(&interpolation, o, "interpolation", where, err);
    if (rc == CLIPC_OK) rc = json_get_string(&resize_mode, o, "resize_mode", where, err);
    if (rc != CLIPC_OK) return rc;
    if (strcmp(resize_mode, "shortest") != 0)
        return clipc_fail(err, CLIPC_ERR_FEATURE,
                          "%s: resize_mode \"%s\" is not supported", where, resize_mode);
    if (strcmp(interpolation, "bilinear") == 0) p->interpolation = FILTER_BILINEAR;
    else if (strcmp(interpolation, "bicubic") != 0)
        return clipc_fail(err, CLIPC_ERR_FEATURE,
                          "%s: interpolation \"%s\" is not supported", where,
                          interpolation);
    for (int i = 0; i < 3; i++)
        if (!(p->std[i] > 0.0f))
            return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: std is not above 0", where);
    return CLIPC_OK;
}

int config_open_clip(clip_cfg *out, const json_t *model, const json_t *preprocess,
                     const char *where, clipc_err *err)
{
    bool quick_gelu = false;
    int rc;

    *out = (clip_cfg){.layout = LAYOUT_OPEN_CLIP};
    out->image.embed_dim = 0;
    if (!json_is_object(model) || !json_is_object(json_object_get(model, "vision_cfg")) ||
        !json_is_object(json_object_get(model, "text_cfg")))
        return clipc_fail(err, CLIPC_ERR_FORMAT,
                          "%s: no model_cfg with vision_cfg and text_cfg", where);
    rc = json_check_keys(model, model_keys, where, err);
    if (rc == CLIPC_OK)
        rc = json_get_size(&out->image.embed_dim, model, "embed_dim", where, err);
    if (rc == CLIPC_OK) rc = json_get_bool(&quick_gelu, model, "quick_gelu", where, err);
    if (rc == CLIPC_OK)
        rc = json_get_bool(&out->custom_text, model, "custom_text", where, err);
    out->custom_text |= has(model, "multimodal_cfg");
    out->logit_bias = has(model, "init_logit_bias");
    out->text.act = out->image.act = quick_gelu ? ACT_QUICK_GELU : ACT_GELU;
    out->text.eps = out->image.eps = 1e-5f;
    out->text.embed_dim = out->image.embed_dim;
    if (rc == CLIPC_OK)
        rc = get_vision(out, json_object_get(model, "vision_cfg"), where, err);
    if (rc == CLIPC_OK)
        rc = get_text(out, json_object_get(model, "text_cfg"), where, err);
    out->preprocess = preprocess_default(out->image.image_size);
    if (rc == CLIPC_OK && preprocess)
        rc = get_preprocess(&out->preprocess, preprocess, where, err);
    return rc;
}

int config_open_clip_root(clip_cfg *out, const json_t *root, const char *where,
                          clipc_err *err)
{
    int rc = config_open_clip(out, json_object_get(root, "model_cfg"),
                              json_object_get(root, "preprocess_cfg"), where, err);

    if (rc == CLIPC_OK)
        rc = config_templates(out, json_object_get(root, "templates"), where, err);
    if (rc != CLIPC_OK) clip_cfg_free(out);
    return rc;
}

int config_open_clip_file(clip_cfg *out, const char *path, clipc_err *err)
{
    json_t *root = NULL;
    int rc;

    *out = (clip_cfg){0};
    rc = json_read(&root, path, err);
    if (rc == CLIPC_OK) rc = config_open_clip_root(out, root, path, err);
    json_decref(root);
    return rc;
}

/* ---- Hugging Face
 * ----------------------------------------------------------------------- */

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
    snprintf(cfg->tokenizer, sizeof cfg->tokenizer, "SentencePiece");
}

/* Old files carry "text_config_dict", which overrides "text_config" key by key. */
static json_t *merged(const json_t *root, const char *key, const char *old)
{
    json_t *out = json_object();

    json_object_update(out, json_object_get(root, key));
    json_object_update(out, json_object_get(root, old));
    return out;
}

static int get_hf_preprocess(preprocess_cfg *p, const char *path, clipc_err *err)
{
    json_t *root = NULL;
    json_int_t resample = 3;
    int rc = json_read(&root, path, err);

    if (rc == CLIPC_OK) rc = json_get_floats(p->mean, 3, root, "image_mean", path, err);
    if (rc == CLIPC_OK) rc = json_get_floats(p->std, 3, root, "image_std", path, err);
    if (json_is_integer(json_object_get(root, "resample")))
        resample = json_integer_value(json_object_get(root, "resample"));
    if (rc == CLIPC_OK && resample != 2 && resample != 3)
        rc = clipc_fail(err, CLIPC_ERR_FEATURE, "%s: resample %d is not supported", path,
                        (int)resample);
    if (resample == 2) p->interpolation = FILTER_BILINEAR;
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
    cfg->image.embed_dim = cfg->text.embed_dim = E;
    return rc;
}

static int get_hf(clip_cfg *cfg, const json_t *root, const json_t *text,
                  const json_t *vision, const char *where, clipc_err *err)
{
    const char *type = "clip";
    size_t embed_dim = 512;
    int rc = json_get_string(&type, root, "model_type", where, err);
    const bool siglip = rc == CLIPC_OK && strcmp(type, "siglip") == 0;

    if (rc == CLIPC_OK && !siglip && strcmp(type, "clip") != 0)
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

int config_hf_files(clip_cfg *out, const char *config, const char *preprocessor,
                    clipc_err *err)
{
    json_t *root = NULL, *text = NULL, *vision = NULL;
    int rc;

    *out = (clip_cfg){.layout = LAYOUT_HF};
    rc = json_read(&root, config, err);
    vision = merged(root, "vision_config", "vision_config_dict");
    text = merged(root, "text_config", "text_config_dict");
    if (rc == CLIPC_OK) rc = get_hf(out, root, text, vision, config, err);
    out->preprocess = preprocess_default(out->image.image_size);
    if (rc == CLIPC_OK && file_exists(preprocessor))
        rc = get_hf_preprocess(&out->preprocess, preprocessor, err);
    if (rc == CLIPC_OK)
        rc = config_templates(out, json_object_get(root, "templates"), config, err);
    json_decref(text);
    json_decref(vision);
    json_decref(root);
    if (rc != CLIPC_OK) clip_cfg_free(out);
    return rc;
}

/* ---- sentence-transformers and GGUF ---- */

int config_sentence(clip_cfg *cfg, const json_t *bert, const json_t *pooling,
                    const char *where, clipc_err *err)
{
    const char *type = "";
    bool mean = true;
    size_t heads = 0;
    int rc = json_get_string(&type, bert, "model_type", where, err);

    *cfg = (clip_cfg){.layout = LAYOUT_HF, .no_image = true, .no_logit_scale = true};
    cfg->preprocess = preprocess_default(1);
    if (rc == CLIPC_OK) rc = bert_family(cfg, type, where, err);
    if (rc == CLIPC_OK)
        rc = json_get_f32(&cfg->text.eps, bert, "layer_norm_eps", where, err);
    if (rc == CLIPC_OK) rc = json_get_size(&heads, bert, "n_heads", where, err);
    if (rc == CLIPC_OK)
        rc = json_get_size(&heads, bert, "num_attention_heads", where, err);
    if (rc == CLIPC_OK)
        rc = json_get_bool(&mean, pooling, "pooling_mode_mean_tokens", where, err);
    cfg->text.heads = heads;
    cfg->text.context_length = 128;
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
    t->vocab_size = tokens;
    if (text && tokens != 49408) {
        cfg->foreign_tokens = true;
        snprintf(cfg->tokenizer, sizeof cfg->tokenizer, "of %zu tokens, without merges",
                 tokens);
    }
    cfg->preprocess = preprocess_default(vision ? i->image_size : 1);
    if (rc == CLIPC_OK)
        rc = json_get_floats(cfg->preprocess.mean, 3, meta, "clip.vision.image_mean",
                             where, err);
    if (rc == CLIPC_OK)
        rc = json_get_floats(cfg->preprocess.std, 3, meta, "clip.vision.image_std", where,
                             err);
    return rc;
}

/* ---- writing
 * ---------------------------------------------------------------------------- */

static json_t *floats(const float *x)
{
    json_t *list = json_array();
    char digits[32];

    /* The shortest decimal that reads back as this float. */
    for (int i = 0; i < 3; i++) {
        snprintf(digits, sizeof digits, "%.9g", (double)x[i]);
        json_array_append_new(list, json_real(strtod(digits, NULL)));
    }
    return list;
}

static json_t *size_of(size_t n)
{
    return json_integer((json_int_t)n);
}

/* The reader takes int(whole * ratio): where the plain quotient would round down, a
 * quarter more keeps it. */
static json_t *ratio_of(size_t part, size_t whole)
{
    char digits[32];

    snprintf(digits, sizeof digits, "%.12g", (double)part / (double)whole);
    const double ratio = strtod(digits, NULL);
    return json_real(times(whole, ratio) == part ? ratio
                                                 : ((double)part + 0.25) / (double)whole);
}

static json_t *templates_of(const clip_cfg *cfg)
{
    json_t *list = json_array();

    for (size_t i = 0; i < cfg->n_templates; i++)
        json_array_append_new(list, json_string(cfg->templates[i]));
    return list;
}

static int dump(buf *out, json_t *root, clipc_err *err)
{
    char *text = json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(12));
    int rc = text ? buf_puts(out, text, err) : clipc_fail_memory(err, "JSON", 0);

    if (rc == CLIPC_OK) rc = buf_puts(out, "\n", err);
    free(text);
    json_decref(root);
    return rc;
}

static void put(json_t *o, const char *key, bool on)
{
    if (on) json_object_set_new(o, key, json_true());
}

/* What get_block reads. */
static void put_block(json_t *o, const block_extras *x, act f, float eps)
{
    /* The starting value of layer scale matters to training alone. */
    if (x->ls) json_object_set_new(o, "ls_init_value", json_real(1e-5));
    put(o, "qk_norm", x->qk_norm);
    put(o, "scale_heads", x->scale_heads);
    put(o, "scale_attn_inner", x->scale_attn_inner);
    put(o, "scale_attn", x->scale_attn);
    put(o, "scale_fc", x->scale_fc);
    if (f == ACT_GELU_TANH)
        json_object_set_new(o, "act_kwargs", json_pack("{s:s}", "approximate", "tanh"));
    if (eps < 0.99e-5f || eps > 1.01e-5f)
        json_object_set_new(o, "norm_kwargs", json_pack("{s:f}", "eps", (double)eps));
}

static void put_image_pool(json_t *v, const image_cfg *c)
{
    put(v, "no_ln_pre", c->no_ln_pre);
    put(v, "final_ln_after_pool", c->ln_post_after_pool);
    if (c->pool == POOL_AVG) json_object_set_new(v, "pool_type", json_string("avg"));
    if (!c->pooler) return;
    if (c->pooler_form != POOLER_COCA) {
        put_siglip_head(v, c);
        return;
    }
    put(v, "attentional_pool", true);
    json_object_set_new(v, "attn_pooler_queries", size_of(c->pooler_queries));
    json_object_set_new(v, "attn_pooler_heads", size_of(c->pooler_heads));
}

static json_t *timm_json(const clip_cfg *cfg)
{
    const tower_proj p = cfg->image.proj;

    return json_pack("{s:I,s:s,s:b,s:s,s:s,s:b}", "image_size",
                     (json_int_t)cfg->image.image_size, "timm_model_name", cfg->timm,
                     "timm_model_pretrained", 0, "timm_pool", "map", "timm_proj",
                     p == PROJ_NONE ? "none" : "linear", "timm_proj_bias",
                     p == PROJ_LINEAR_BIAS);
}

static json_t *vision_json(const clip_cfg *cfg)
{
    const image_cfg *c = &cfg->image;
    json_t *v = json_object();

    json_object_set_new(v, "image_size", size_of(c->image_size));
    if (c->layers) {
        json_object_set_new(v, "layers", size_of(c->layers));
        json_object_set_new(v, "patch_size", size_of(c->patch_size));
        json_object_set_new(v, "head_width", size_of(c->width / c->heads));
        json_object_set_new(v, "mlp_ratio", ratio_of(c->mlp_width, c->width));
        put_image_pool(v, c);
        put_block(v, &c->extras, c->act, c->eps);
    } else {
        json_t *stages = json_array();
        for (size_t i = 0; i < 4; i++)
            json_array_append_new(stages, size_of(c->stages[i]));
        json_object_set_new(v, "layers", stages);
        json_object_set_new(v, "head_width", size_of(c->width * 32 / c->heads));
    }
    json_object_set_new(v, "width", size_of(c->width));
    return v;
}

static void put_text_pool(json_t *t, const text_cfg *c)
{
    static const char *const pools[] = {"argmax", "eos", "first", "last"};

    if (c->pool != TEXT_POOL_ARGMAX)
        json_object_set_new(t, "pool_type", json_string(pools[c->pool]));
    if (c->pool == TEXT_POOL_EOS)
        json_object_set_new(t, "eos_id", json_integer(c->eos_id));
    put(t, "no_causal_mask", c->no_causal_mask);
    put(t, "embed_cls", c->embed_cls);
    put(t, "proj_bias", c->proj == PROJ_LINEAR_BIAS);
    if (c->proj == PROJ_NONE) json_object_set_new(t, "proj_type", json_string("none"));
}

static json_t *text_json(const clip_cfg *cfg)
{
    const text_cfg *c = &cfg->text;
    json_t *t = json_object();

    json_object_set_new(t, "context_length", size_of(c->context_length));
    json_object_set_new(t, "vocab_size", size_of(c->vocab_size));
    json_object_set_new(t, "width", size_of(c->width));
    json_object_set_new(t, "heads", size_of(c->heads));
    json_object_set_new(t, "layers", size_of(c->layers));
    if (c->mlp_width != 4 * c->width)
        json_object_set_new(t, "mlp_ratio", ratio_of(c->mlp_width, c->width));
    if (cfg->foreign_tokens)
        json_object_set_new(t, "hf_tokenizer_name", json_string(cfg->tokenizer));
    put_text_pool(t, c);
    put_block(t, &c->extras, c->act, c->eps);
    return t;
}

int config_write_open_clip(buf *out, const clip_cfg *cfg, bool own, clipc_err *err)
{
    const bool bilinear = cfg->preprocess.interpolation == FILTER_BILINEAR;
    json_t *root = json_object(), *model = json_object(), *pre = json_object();

    json_object_set_new(model, "embed_dim", size_of(cfg->image.embed_dim));
    json_object_set_new(model, "quick_gelu",
                        json_boolean(cfg->text.act == ACT_QUICK_GELU));
    put(model, "custom_text", cfg->custom_text);
    if (cfg->logit_bias) json_object_set_new(model, "init_logit_bias", json_real(-10.0));
    json_object_set_new(model, "vision_cfg",
                        !own && cfg->timm ? timm_json(cfg) : vision_json(cfg));
    json_object_set_new(model, "text_cfg", text_json(cfg));
    json_object_set_new(pre, "mean", floats(cfg->preprocess.mean));
    json_object_set_new(pre, "std", floats(cfg->preprocess.std));
    json_object_set_new(pre, "interpolation",
                        json_string(bilinear ? "bilinear" : "bicubic"));
    json_object_set_new(pre, "resize_mode", json_string("shortest"));
    json_object_set_new(root, "model_cfg", model);
    json_object_set_new(root, "preprocess_cfg", pre);
    if (cfg->n_templates) json_object_set_new(root, "templates", templates_of(cfg));
    return dump(out, root, err);
}

bool config_fits_hf(const clip_cfg *cfg)
{
    const image_cfg *i = &cfg->image;
    const text_cfg *t = &cfg->text;

    return i->layers && !block_extras_any(&i->extras) && !block_extras_any(&t->extras) &&
           !i->no_ln_pre && !i->no_class_token && !i->conv1_bias && !i->pooler &&
           i->pool == POOL_TOK && i->proj == PROJ_MATRIX && !t->no_causal_mask &&
           !t->embed_cls && t->pool == TEXT_POOL_ARGMAX && t->proj == PROJ_MATRIX &&
           !cfg->logit_bias && !cfg->foreign_tokens;
}

static const char *hf_act(act f)
{
    return f == ACT_QUICK_GELU  ? "quick_gelu"
           : f == ACT_GELU_TANH ? "gelu_pytorch_tanh"
                                : "gelu";
}

static json_t *hf_tower(size_t width, size_t heads, size_t layers, size_t mlp_width,
                        act f, float eps)
{
    json_t *o = json_object();

    json_object_set_new(o, "hidden_size", size_of(width));
    json_object_set_new(o, "num_attention_heads", size_of(heads));
    json_object_set_new(o, "num_hidden_layers", size_of(layers));
    json_object_set_new(o, "intermediate_size", size_of(mlp_width));
    json_object_set_new(o, "hidden_act", json_string(hf_act(f)));
    json_object_set_new(o, "layer_norm_eps", json_real((double)eps));
    return o;
}

int config_write_hf(buf *config, buf *preprocessor, const clip_cfg *cfg, clipc_err *err)
{
    const image_cfg *i = &cfg->image;
    const text_cfg *t = &cfg->text;
    json_t *root = json_object(), *pre = json_object();
    json_t *vision =
        hf_tower(i->width, i->heads, i->layers, i->mlp_width, i->act, i->eps);
    json_t *text = hf_tower(t->width, t->heads, t->layers, t->mlp_width, t->act, t->eps);
    int rc;

    json_object_set_new(vision, "image_size", size_of(i->image_size));
    json_object_set_new(vision, "patch_size", size_of(i->patch_size));
    json_object_set_new(vision, "num_channels", json_integer(3));
    json_object_set_new(vision, "projection_dim", size_of(i->embed_dim));
    json_object_set_new(vision, "model_type", json_string("clip_vision_model"));
    json_object_set_new(text, "max_position_embeddings", size_of(t->context_length));
    json_object_set_new(text, "vocab_size", size_of(t->vocab_size));
    json_object_set_new(text, "projection_dim", size_of(t->embed_dim));
    json_object_set_new(text, "model_type", json_string("clip_text_model"));
    json_object_set_new(text, "bos_token_id", size_of(t->vocab_size - 2));
    json_object_set_new(text, "eos_token_id", size_of(t->vocab_size - 1));
    json_object_set_new(root, "architectures", json_pack("[s]", "CLIPModel"));
    json_object_set_new(root, "model_type", json_string("clip"));
    json_object_set_new(root, "projection_dim", size_of(i->embed_dim));
    json_object_set_new(root, "logit_scale_init_value", json_real(2.6592));
    json_object_set_new(root, "vision_config", vision);
    json_object_set_new(root, "text_config", text);
    if (cfg->n_templates) json_object_set_new(root, "templates", templates_of(cfg));

    json_object_set_new(pre, "image_processor_type", json_string("CLIPImageProcessor"));
    for (size_t k = 0; k < 5; k++) {
        static const char *const on[] = {"do_resize", "do_center_crop", "do_rescale",
                                         "do_normalize", "do_convert_rgb"};
        json_object_set_new(pre, on[k], json_true());
    }
    json_object_set_new(pre, "size",
                        json_pack("{sI}", "shortest_edge", (json_int_t)i->image_size));
    json_object_set_new(pre, "crop_size",
                        json_pack("{sIsI}", "height", (json_int_t)i->image_size, "width",
                                  (json_int_t)i->image_size));
    json_object_set_new(
        pre, "resample",
        json_integer(cfg->preprocess.interpolation == FILTER_BILINEAR ? 2 : 3));
    json_object_set_new(pre, "rescale_factor", json_real(1.0 / 255.0));
    json_object_set_new(pre, "image_mean", floats(cfg->preprocess.mean));
    json_object_set_new(pre, "image_std", floats(cfg->preprocess.std));
    rc = dump(config, root, err);
    const int rc2 = dump(preprocessor, pre, err);
    return rc != CLIPC_OK ? rc : rc2;
}
