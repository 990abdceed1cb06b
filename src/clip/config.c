#include "clip/config_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "clip/config_own.h"
#include "clip/timm.h"

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
                                          "clipc",
                                          BLOCK_KEYS,
                                          NULL};
static const char *const text_keys[] = {"context_length",
                                        "vocab_size",
                                        "width",
                                        "heads",
                                        "layers",
                                        "mlp_ratio",
                                        "hf_model_name",
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
                                        "clipc",
                                        BLOCK_KEYS,
                                        NULL};
static const char *const preprocess_keys[] = {
    "size",        "mode",       "mean",        "std", "interpolation",
    "resize_mode", "fill_color", "clipc_as_hf", NULL};

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

int template_fill(buf *out, const char *text, const char *label, clipc_err *err)
{
    const char *hole = strstr(text, "{}");
    int rc = buf_add(out, text, (size_t)(hole - text), err);

    if (rc == CLIPC_OK) rc = buf_puts(out, label, err);
    return rc == CLIPC_OK ? buf_puts(out, hole + 2, err) : rc;
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

int config_extras(clip_cfg *cfg, const json_t *root, const char *where, clipc_err *err)
{
    int rc = config_templates(cfg, json_object_get(root, "templates"), where, err);

    if (rc == CLIPC_OK) rc = json_get_f32(&cfg->min_score, root, "min_score", where, err);
    if (rc == CLIPC_OK && !(fabsf(cfg->min_score) <= 1.0f))
        rc = clipc_fail(err, CLIPC_ERR_FORMAT, "%s: min_score is %g, wanted a cosine",
                        where, (double)cfg->min_score);
    return rc;
}

size_t config_times(size_t width, double ratio)
{
    const double x = (double)width * ratio;
    return x > 0.0 && x < 1e9 ? (size_t)x : 0;
}

static int get_stages(image_cfg *c, const json_t *layers, const char *where,
                      clipc_err *err)
{
    c->family = IMAGE_RESNET;
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

/* How the image tower ends. */
static int get_image_pool(image_cfg *c, const json_t *o, const char *where,
                          clipc_err *err)
{
    static const char *const pools[] = {"tok", "avg", NULL}, *const pairs[] = {"parallel",
                                                                               "cascade",
                                                                               NULL};
    const bool pair = json_is_string(json_object_get(o, "attentional_pool"));
    int pool = 0, second = 0, rc = get_word(&pool, o, "pool_type", pools, where, err);

    if (rc == CLIPC_OK && pair)
        rc = get_word(&second, o, "attentional_pool", pairs, where, err);
    if (pair) c->coca_pool = second ? COCA_CASCADE : COCA_PARALLEL;
    c->pool = pool && !pair ? POOL_AVG : POOL_TOK;
    c->pooler_queries = 256, c->pooler_heads = 8;
    c->pooler = has(o, "attentional_pool");
    if (rc == CLIPC_OK)
        rc = json_get_size(&c->pooler_queries, o, "attn_pooler_queries", where, err);
    if (rc == CLIPC_OK)
        rc = json_get_size(&c->pooler_heads, o, "attn_pooler_heads", where, err);
    if (rc == CLIPC_OK) rc = json_get_bool(&c->no_ln_pre, o, "no_ln_pre", where, err);
    if (rc == CLIPC_OK)
        rc = json_get_bool(&c->ln_post_after_pool, o, "final_ln_after_pool", where, err);
    return rc;
}

/* Whether open_clip's layout could say it too. */
static int check_own(const image_cfg *c, const char *timm, const char *where,
                     clipc_err *err)
{
    const bool of_timm = c->family == IMAGE_CONVNEXT || c->family == IMAGE_FASTVIT;

    if (timm ? c->proj != PROJ_MATRIX : !of_timm) return CLIPC_OK;
    return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: a tower %s timm's name for it", where,
                      timm ? "that cannot have" : "without");
}

/* A side, or rows and columns. */
static int get_image_size(image_cfg *c, const json_t *o, const char *where,
                          clipc_err *err)
{
    const json_t *v = json_object_get(o, "image_size");
    const json_int_t h = json_integer_value(json_array_get(v, 0)),
                     w = json_integer_value(json_array_get(v, 1));

    if (!json_is_array(v))
        return json_get_size(&c->image_size, o, "image_size", where, err);
    if (json_array_size(v) != 2 || h < 1 || w < 1)
        return clipc_fail(err, CLIPC_ERR_FORMAT,
                          "%s: \"image_size\" is neither a side nor rows and columns",
                          where);
    c->image_size = (size_t)h, c->image_width = (size_t)w;
    return CLIPC_OK;
}

static int get_vision(clip_cfg *cfg, const json_t *o, const char *where, clipc_err *err)
{
    const json_t *layers = json_object_get(o, "layers");
    const char *timm = json_string_value(json_object_get(o, "timm_model_name"));
    const json_t *own = json_object_get(o, "clipc");
    image_cfg *c = &cfg->image;
    size_t head_width = 64, heads = 0;
    double mlp_ratio = 4.0;
    int rc = json_check_keys(o, vision_keys, where, err);

    if (rc == CLIPC_OK && own) {
        if (timm) snprintf(cfg->timm, sizeof cfg->timm, "%.60s", timm);
        rc = own_image_read(c, own, where, err);
        return rc == CLIPC_OK ? check_own(c, timm, where, err) : rc;
    }
    c->image_size = 224;
    if (rc == CLIPC_OK) rc = get_image_size(c, o, where, err);
    if (rc == CLIPC_OK && timm) return timm_facts(cfg, o, timm, where, err);
    c->width = 768, c->layers = 12;
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
    c->mlp_width = config_times(c->width, mlp_ratio);
    if (rc == CLIPC_OK && c->layers == 0)
        rc = clipc_fail(err, CLIPC_ERR_FORMAT, "%s: \"layers\" is 0", where);
    if (rc == CLIPC_OK) rc = get_image_pool(c, o, where, err);
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

int config_bert_family(clip_cfg *cfg, const char *name, const char *where, clipc_err *err)
{
    text_cfg *c = &cfg->text;

    c->family = TEXT_BERT;
    c->roberta = strstr(name, "roberta") != NULL || strstr(name, "xlm") != NULL;
    if (!c->roberta && !strstr(name, "bert") && !strstr(name, "BERT") &&
        !strstr(name, "LaBSE"))
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
    int pool = 0, proj = 0, rc = config_bert_family(cfg, name, where, err);

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

/* What open_clip's tokenizer does to a text and its ids. */
static int get_token_rules(clip_cfg *cfg, const json_t *kwargs, const char *where,
                           clipc_err *err)
{
    static const char *const words[] = {"lower", "whitespace", "canonicalize", NULL};
    static const bpe_rules rules[] = {BPE_OPEN_CLIP, BPE_OPEN_CLIP_WHITESPACE,
                                      BPE_OPEN_CLIP_CANONICAL};
    static const char *const known[] = {"clean", "strip_sep_token", NULL};
    int word = 0, rc = json_check_keys(kwargs, known, where, err);

    if (rc == CLIPC_OK)
        rc = json_get_bool(&cfg->strip_sep, kwargs, "strip_sep_token", where, err);
    if (rc != CLIPC_OK || !has(kwargs, "clean")) return rc;
    rc = get_word(&word, kwargs, "clean", words, where, err);
    if (rc == CLIPC_OK) cfg->token_rules = rules[word];
    return rc;
}

static int get_text(clip_cfg *cfg, const json_t *o, const char *where, clipc_err *err)
{
    const char *tokenizer = json_string_value(json_object_get(o, "hf_tokenizer_name"));
    const char *hf = json_string_value(json_object_get(o, "hf_model_name"));
    const json_t *own = json_object_get(o, "clipc");
    text_cfg *c = &cfg->text;
    double mlp_ratio = 4.0;
    int rc;

    if (hf) snprintf(cfg->hf_model, sizeof cfg->hf_model, "%.60s", hf);
    rc = get_token_rules(cfg, json_object_get(o, "tokenizer_kwargs"), where, err);
    if (rc != CLIPC_OK) return rc;
    rc = hf && !own ? get_hf_tower(cfg, o, hf, where, err)
                    : json_check_keys(o, text_keys, where, err);
    if (rc == CLIPC_OK && own) rc = own_text_read(c, own, where, err);
    if (tokenizer && *tokenizer) {
        cfg->foreign_tokens = true;
        snprintf(cfg->tokenizer, sizeof cfg->tokenizer, "%.60s", tokenizer);
    }
    if (rc != CLIPC_OK || own || hf) return rc;
    c->context_length = 77, c->vocab_size = 49408;
    c->width = 512, c->heads = 8, c->layers = 12;
    if (rc == CLIPC_OK)
        rc = json_get_size(&c->context_length, o, "context_length", where, err);
    if (rc == CLIPC_OK) rc = json_get_size(&c->vocab_size, o, "vocab_size", where, err);
    if (rc == CLIPC_OK) rc = json_get_size(&c->width, o, "width", where, err);
    if (rc == CLIPC_OK) rc = json_get_size(&c->heads, o, "heads", where, err);
    if (rc == CLIPC_OK) rc = json_get_size(&c->layers, o, "layers", where, err);
    if (rc == CLIPC_OK) rc = json_get_f64(&mlp_ratio, o, "mlp_ratio", where, err);
    c->mlp_width = config_times(c->width, mlp_ratio);
    if (rc == CLIPC_OK) rc = get_text_pool(c, o, where, err);
    if (rc == CLIPC_OK) rc = get_block(&c->extras, &c->act, &c->eps, o, where, err);
    return rc;
}

static int get_preprocess(preprocess_cfg *p, const json_t *o, const char *where,
                          clipc_err *err)
{
    static const char *const modes[] = {"shortest", "longest", "squash", NULL};
    /* "random" is of training alone. */
    static const char *const filters[] = {"bicubic", "bilinear", "random", NULL};
    int mode = 0, f = 0, rc = json_check_keys(o, preprocess_keys, where, err);
    size_t fill = 0;

    if (rc == CLIPC_OK) rc = json_get_floats(p->mean, 3, o, "mean", where, err);
    if (rc == CLIPC_OK) rc = json_get_floats(p->std, 3, o, "std", where, err);
    if (rc == CLIPC_OK) rc = get_word(&f, o, "interpolation", filters, where, err);
    if (rc == CLIPC_OK) rc = get_word(&mode, o, "resize_mode", modes, where, err);
    if (rc == CLIPC_OK) rc = json_get_size(&fill, o, "fill_color", where, err);
    if (rc == CLIPC_OK) rc = json_get_bool(&p->rgb_first, o, "clipc_as_hf", where, err);
    if (rc == CLIPC_OK && fill > 255)
        rc = clipc_fail(err, CLIPC_ERR_FORMAT, "%s: fill_color %zu, wanted 0 to 255",
                        where, fill);
    if (rc != CLIPC_OK) return rc;
    p->interpolation = f == 1 ? FILTER_BILINEAR : FILTER_BICUBIC;
    p->resize = (resize_mode)mode;
    p->fill = (uint8_t)fill;
    for (int i = 0; i < 3; i++)
        if (!(p->std[i] > 0.0f))
            return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: std is not above 0", where);
    return CLIPC_OK;
}

int config_open_clip(clip_cfg *out, const json_t *model, const json_t *preprocess,
                     const char *where, clipc_err *err)
{
    const json_t *vision = json_object_get(model, "vision_cfg"),
                 *text = json_object_get(model, "text_cfg");
    bool quick_gelu = false;
    int rc;

    /* clipc's own format alone leaves a tower out. */
    *out = (clip_cfg){.layout = LAYOUT_OPEN_CLIP,
                      .no_image = !vision && json_object_get(text, "clipc"),
                      .no_text = !text && json_object_get(vision, "clipc")};
    if ((!json_is_object(vision) && !out->no_image) ||
        (!json_is_object(text) && !out->no_text))
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
    if (out->no_image) out->image.image_size = 1;
    else if (rc == CLIPC_OK) rc = get_vision(out, vision, where, err);
    if (rc == CLIPC_OK && !out->no_text) rc = get_text(out, text, where, err);
    if (out->no_image) out->image.embed_dim = out->text.embed_dim;
    out->preprocess =
        preprocess_default(out->image.image_size, image_columns(&out->image));
    if (rc == CLIPC_OK && preprocess)
        rc = get_preprocess(&out->preprocess, preprocess, where, err);
    return rc;
}

int config_open_clip_root(clip_cfg *out, const json_t *root, const char *where,
                          clipc_err *err)
{
    int rc = config_open_clip(out, json_object_get(root, "model_cfg"),
                              json_object_get(root, "preprocess_cfg"), where, err);

    if (rc == CLIPC_OK) rc = config_extras(out, root, where, err);
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
    if (out->token_rules == BPE_OPENAI)
        out->token_rules = out->foreign_tokens ? BPE_OPEN_CLIP_WHITESPACE : BPE_OPEN_CLIP;
    json_decref(root);
    return rc;
}
