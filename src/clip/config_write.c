#include <stdlib.h>
#include <string.h>

#include "clip/config_own.h"
#include "clip/config_parts.h"
#include "clip/timm.h"

/* A decimal that reads back as this float. */
static json_t *real_of(float x)
{
    char digits[32];

    snprintf(digits, sizeof digits, "%.9g", (double)x);
    return json_real(strtod(digits, NULL));
}

static json_t *floats(const float *x)
{
    json_t *list = json_array();

    for (int i = 0; i < 3; i++) json_array_append_new(list, real_of(x[i]));
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
    return json_real(config_times(whole, ratio) == part
                         ? ratio
                         : ((double)part + 0.25) / (double)whole);
}

/* What config_extras reads. */
static void put_extras(json_t *root, const clip_cfg *cfg)
{
    json_t *list = json_array();

    for (size_t i = 0; i < cfg->n_templates; i++)
        json_array_append_new(list, json_string(cfg->templates[i]));
    if (cfg->n_templates) json_object_set(root, "templates", list);
    json_decref(list);
    if (cfg->min_score != 0.0f)
        json_object_set_new(root, "min_score", real_of(cfg->min_score));
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
    json_object_set_new(v, "attentional_pool",
                        c->coca_pool == COCA_ONE        ? json_true()
                        : c->coca_pool == COCA_PARALLEL ? json_string("parallel")
                                                        : json_string("cascade"));
    json_object_set_new(v, "attn_pooler_queries", size_of(c->pooler_queries));
    json_object_set_new(v, "attn_pooler_heads", size_of(c->pooler_heads));
}

static json_t *image_size(const image_cfg *c)
{
    const size_t columns = image_columns(c);

    return columns == c->image_size
               ? size_of(c->image_size)
               : json_pack("[I,I]", (json_int_t)c->image_size, (json_int_t)columns);
}

static json_t *timm_json(const clip_cfg *cfg)
{
    static const char *const projections[] = {[PROJ_NONE] = "none",
                                              [PROJ_LINEAR] = "linear",
                                              [PROJ_LINEAR_BIAS] = "linear",
                                              [PROJ_MLP] = "mlp",
                                              [PROJ_MLP_BIAS] = "mlp"};
    const tower_proj p = cfg->image.proj;

    return json_pack("{s:o,s:s,s:b,s:s,s:s,s:b}", "image_size", image_size(&cfg->image),
                     "timm_model_name", cfg->timm, "timm_model_pretrained", 0,
                     "timm_pool", timm_pool_of(cfg), "timm_proj", projections[p],
                     "timm_proj_bias", p == PROJ_LINEAR_BIAS || p == PROJ_MLP_BIAS);
}

static json_t *vision_json(const clip_cfg *cfg)
{
    const image_cfg *c = &cfg->image;
    json_t *v;

    if (*cfg->timm) return timm_json(cfg);
    v = json_object();
    json_object_set_new(v, "image_size", image_size(c));
    if (c->family == IMAGE_VIT) {
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

static json_t *token_rules_json(const clip_cfg *cfg)
{
    static const char *const words[] = {[BPE_OPEN_CLIP] = "lower",
                                        [BPE_OPEN_CLIP_WHITESPACE] = "whitespace",
                                        [BPE_OPEN_CLIP_CANONICAL] = "canonicalize"};
    json_t *o = json_object();

    if (cfg->token_rules != BPE_OPENAI)
        json_object_set_new(o, "clean", json_string(words[cfg->token_rules]));
    if (cfg->strip_sep) json_object_set_new(o, "strip_sep_token", json_true());
    return o;
}

static void put_tokenizer(json_t *t, const clip_cfg *cfg)
{
    if (cfg->foreign_tokens)
        json_object_set_new(t, "hf_tokenizer_name", json_string(cfg->tokenizer));
    if (cfg->token_rules != BPE_OPENAI || cfg->strip_sep)
        json_object_set_new(t, "tokenizer_kwargs", token_rules_json(cfg));
}

/* open_clip's HFTextEncoder, whose sizes are those of a name. */
static json_t *hf_text_json(const clip_cfg *cfg)
{
    static const char *const pools[] = {[BERT_MEAN] = "mean_pooler",
                                        [BERT_CLS] = "cls_last_hidden_state_pooler",
                                        [BERT_POOLER] = "cls_pooler"};
    const text_cfg *c = &cfg->text;
    json_t *t = json_pack("{s:s,s:b,s:I,s:s,s:s?}", "hf_model_name", cfg->hf_model,
                          "hf_model_pretrained", 0, "context_length",
                          (json_int_t)c->context_length, "hf_pooler_type",
                          pools[c->bert_pool], "hf_proj_type",
                          c->proj_hidden           ? "mlp"
                          : c->proj == PROJ_LINEAR ? "linear"
                                                   : NULL);

    put_tokenizer(t, cfg);
    return t;
}

static json_t *text_json(const clip_cfg *cfg)
{
    const text_cfg *c = &cfg->text;
    json_t *t;

    if (c->family == TEXT_BERT) return hf_text_json(cfg);
    t = json_object();
    json_object_set_new(t, "context_length", size_of(c->context_length));
    json_object_set_new(t, "vocab_size", size_of(c->vocab_size));
    json_object_set_new(t, "width", size_of(c->width));
    json_object_set_new(t, "heads", size_of(c->heads));
    json_object_set_new(t, "layers", size_of(c->layers));
    if (c->mlp_width != 4 * c->width)
        json_object_set_new(t, "mlp_ratio", ratio_of(c->mlp_width, c->width));
    put_tokenizer(t, cfg);
    put_text_pool(t, c);
    put_block(t, &c->extras, c->act, c->eps);
    return t;
}

static json_t *preprocess_json(const preprocess_cfg *p)
{
    static const char *const modes[] = {"shortest", "longest", "squash"};
    const bool bilinear = p->interpolation == FILTER_BILINEAR;
    json_t *o = json_object();

    json_object_set_new(o, "mean", floats(p->mean));
    json_object_set_new(o, "std", floats(p->std));
    json_object_set_new(o, "interpolation",
                        json_string(bilinear ? "bilinear" : "bicubic"));
    json_object_set_new(o, "resize_mode", json_string(modes[p->resize]));
    if (p->fill) json_object_set_new(o, "fill_color", size_of(p->fill));
    return o;
}

/* What both files of open_clip's form have, around the towers (NULL: none). */
static int write_model(buf *out, const clip_cfg *cfg, json_t *vision, json_t *text,
                       json_t *preprocess, clipc_err *err)
{
    json_t *root = json_object(), *model = json_object();

    json_object_set_new(model, "embed_dim", size_of(cfg->image.embed_dim));
    json_object_set_new(model, "quick_gelu",
                        json_boolean(cfg->text.act == ACT_QUICK_GELU));
    put(model, "custom_text", cfg->custom_text);
    if (cfg->logit_bias) json_object_set_new(model, "init_logit_bias", json_real(-10.0));
    if (vision) json_object_set_new(model, "vision_cfg", vision);
    if (text) json_object_set_new(model, "text_cfg", text);
    json_object_set_new(root, "model_cfg", model);
    json_object_set_new(root, "preprocess_cfg", preprocess);
    put_extras(root, cfg);
    return dump(out, root, err);
}

static json_t *named_tower(const char *key, const char *name, json_t *own)
{
    json_t *o = json_object();

    if (*name) json_object_set_new(o, key, json_string(name));
    json_object_set_new(o, "clipc", own);
    return o;
}

int config_write_own(buf *out, const clip_cfg *cfg, clipc_err *err)
{
    json_t *vision = NULL, *text = NULL, *preprocess = preprocess_json(&cfg->preprocess);

    put(preprocess, "clipc_as_hf", cfg->preprocess.rgb_first);
    if (!cfg->no_image)
        vision = named_tower("timm_model_name", cfg->timm, own_image_json(&cfg->image));
    if (!cfg->no_text)
        text = named_tower("hf_model_name", cfg->hf_model, own_text_json(&cfg->text));
    if (text) put_tokenizer(text, cfg);
    return write_model(out, cfg, vision, text, preprocess, err);
}

/* What open_clip has no word for; in its folder the towers are told as in our own file.
 */
static bool is_ours(const clip_cfg *cfg)
{
    return cfg->image.head.hidden > 0;
}

int config_write_open_clip(buf *out, const clip_cfg *cfg, clipc_err *err)
{
    if (is_ours(cfg)) return config_write_own(out, cfg, err);
    return write_model(out, cfg, vision_json(cfg), text_json(cfg),
                       preprocess_json(&cfg->preprocess), err);
}

/* ---- what fits where ---- */

static bool is_siglip_image(const image_cfg *c)
{
    return c->no_ln_pre && c->no_class_token && c->conv1_bias && c->pooler &&
           c->pooler_form == POOLER_SIGLIP && c->pooler_queries == 1 &&
           c->pooler_heads == c->heads && c->pooler_mlp_width == c->mlp_width &&
           c->proj == PROJ_NONE;
}

static bool is_clip_image(const image_cfg *c)
{
    return !c->no_ln_pre && !c->no_class_token && !c->conv1_bias && !c->pooler &&
           c->proj == PROJ_MATRIX;
}

/* Whether transformers' CLIPModel or SiglipModel computes what the config says. */
static bool fits_hf(const clip_cfg *cfg)
{
    const image_cfg *i = &cfg->image;
    const text_cfg *t = &cfg->text;

    if (cfg->no_image || cfg->no_text || i->family != IMAGE_VIT ||
        i->front != FRONT_PATCHES || i->pool != POOL_TOK || i->rope_ref ||
        block_extras_any(&i->extras) || block_extras_any(&t->extras) ||
        t->family != TEXT_CLIP || t->embed_cls || image_columns(i) != i->image_size ||
        cfg->preprocess.resize == RESIZE_LONGEST)
        return false;
    if (cfg->logit_bias)
        return is_siglip_image(i) && t->no_causal_mask && t->pool == TEXT_POOL_LAST &&
               t->proj == PROJ_LINEAR_BIAS && cfg->foreign_tokens;
    return is_clip_image(i) && !t->no_causal_mask && t->pool == TEXT_POOL_ARGMAX &&
           t->proj == PROJ_MATRIX && !cfg->foreign_tokens;
}

/* Of a model without a timm tower: one activation's kind is told for both towers. */
static bool fits_open_clip(const clip_cfg *cfg)
{
    const image_cfg *i = &cfg->image;
    const text_cfg *t = &cfg->text;

    if (is_ours(cfg)) return true;
    if (t->family == TEXT_BERT && !*cfg->hf_model) return false;
    if (*cfg->timm || i->family == IMAGE_RESNET) return true;
    return i->family == IMAGE_VIT && !i->no_class_token && !i->conv1_bias &&
           i->front == FRONT_PATCHES && !i->rope_ref && i->proj == PROJ_MATRIX &&
           (t->family == TEXT_BERT ||
            (i->act == ACT_QUICK_GELU) == (t->act == ACT_QUICK_GELU));
}

int config_lay_out(clip_cfg *cfg, clip_layout layout, const char *where, clipc_err *err)
{
    static const char *const others[IMAGE_FAMILIES] = {[IMAGE_VIT] = "relative of theirs",
                                                       [IMAGE_RESNET] = "resnet",
                                                       [IMAGE_CONVNEXT] = "convnext",
                                                       [IMAGE_FASTVIT] = "fastvit",
                                                       [IMAGE_EFFNET] = "efficientnet"};
    const bool hf = layout == LAYOUT_HF;

    cfg->layout = layout;
    if (!hf && is_siglip_image(&cfg->image) && !*cfg->timm) {
        timm_name_siglip(cfg);
        cfg->custom_text = true;
    }
    if (cfg->no_image || cfg->no_text)
        return clipc_fail(err, CLIPC_ERR_FEATURE,
                          "%s: a model of one tower is held by clipc's own format alone",
                          where);
    if (cfg->image.family == IMAGE_FASTVIT)
        return clipc_fail(err, CLIPC_ERR_FEATURE,
                          "%s: a FastViT, whose branches were folded, is held by clipc's "
                          "own format alone",
                          where);
    if (hf && !fits_hf(cfg))
        return clipc_fail(err, CLIPC_ERR_FEATURE,
                          "%s: Hugging Face's layout holds OpenAI's ViT and SigLIP with "
                          "their text towers, no %s",
                          where, others[cfg->image.family]);
    if (!hf && !fits_open_clip(cfg))
        return clipc_fail(err, CLIPC_ERR_FEATURE,
                          "%s: open_clip has no name for a tower of these sizes and this "
                          "activation",
                          where);
    return CLIPC_OK;
}

/* ---- Hugging Face ---- */

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

static json_t *hf_vision_json(const image_cfg *i)
{
    json_t *o = hf_tower(i->width, i->heads, i->layers, i->mlp_width, i->act, i->eps);

    json_object_set_new(o, "image_size", size_of(i->image_size));
    json_object_set_new(o, "patch_size", size_of(i->patch_size));
    json_object_set_new(o, "num_channels", json_integer(3));
    return o;
}

static json_t *hf_text_tower_json(const text_cfg *t)
{
    json_t *o = hf_tower(t->width, t->heads, t->layers, t->mlp_width, t->act, t->eps);

    json_object_set_new(o, "max_position_embeddings", size_of(t->context_length));
    json_object_set_new(o, "vocab_size", size_of(t->vocab_size));
    return o;
}

static json_t *hf_siglip_json(const clip_cfg *cfg)
{
    json_t *vision = hf_vision_json(&cfg->image), *text = hf_text_tower_json(&cfg->text);

    json_object_set_new(vision, "model_type", json_string("siglip_vision_model"));
    json_object_set_new(text, "model_type", json_string("siglip_text_model"));
    json_object_set_new(text, "projection_size", size_of(cfg->text.embed_dim));
    return json_pack("{s:[s],s:s,s:o,s:o}", "architectures", "SiglipModel", "model_type",
                     "siglip", "vision_config", vision, "text_config", text);
}

static json_t *hf_clip_json(const clip_cfg *cfg)
{
    const size_t E = cfg->image.embed_dim, V = cfg->text.vocab_size;
    json_t *vision = hf_vision_json(&cfg->image), *text = hf_text_tower_json(&cfg->text);

    json_object_set_new(vision, "model_type", json_string("clip_vision_model"));
    json_object_set_new(vision, "projection_dim", size_of(E));
    json_object_set_new(text, "model_type", json_string("clip_text_model"));
    json_object_set_new(text, "projection_dim", size_of(E));
    json_object_set_new(text, "bos_token_id", size_of(V - 2));
    /* To transformers this stands for the largest id, wherever the vocabulary has it. */
    json_object_set_new(text, "eos_token_id", json_integer(2));
    return json_pack("{s:[s],s:s,s:o,s:f,s:o,s:o}", "architectures", "CLIPModel",
                     "model_type", "clip", "projection_dim", size_of(E),
                     "logit_scale_init_value", 2.6592, "vision_config", vision,
                     "text_config", text);
}

static json_t *hf_preprocess_json(const clip_cfg *cfg)
{
    static const char *const on[] = {"do_resize", "do_center_crop", "do_rescale",
                                     "do_normalize", "do_convert_rgb"};
    const json_int_t size = (json_int_t)cfg->image.image_size;
    json_t *o = json_pack("{s:s}", "image_processor_type", "CLIPImageProcessor");

    for (size_t k = 0; k < 5; k++) json_object_set_new(o, on[k], json_true());
    json_object_set_new(o, "size",
                        cfg->preprocess.resize == RESIZE_SQUASH
                            ? json_pack("{sIsI}", "height", size, "width", size)
                            : json_pack("{sI}", "shortest_edge", size));
    json_object_set_new(o, "crop_size",
                        json_pack("{sIsI}", "height", size, "width", size));
    json_object_set_new(
        o, "resample",
        json_integer(cfg->preprocess.interpolation == FILTER_BILINEAR ? 2 : 3));
    json_object_set_new(o, "rescale_factor", json_real(1.0 / 255.0));
    json_object_set_new(o, "image_mean", floats(cfg->preprocess.mean));
    json_object_set_new(o, "image_std", floats(cfg->preprocess.std));
    return o;
}

int config_write_hf(buf *config, buf *preprocessor, const clip_cfg *cfg, clipc_err *err)
{
    json_t *root = cfg->logit_bias ? hf_siglip_json(cfg) : hf_clip_json(cfg);
    int rc;

    put_extras(root, cfg);
    rc = dump(config, root, err);
    return rc == CLIPC_OK ? dump(preprocessor, hf_preprocess_json(cfg), err) : rc;
}
