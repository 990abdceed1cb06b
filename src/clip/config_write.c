#include <stdlib.h>
#include <string.h>

#include "clip/config_own.h"
#include "clip/config_parts.h"
#include "clip/timm.h"

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
    return json_real(config_times(whole, ratio) == part
                         ? ratio
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
    put(v, "attentional_pool", true);
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

/* For clipc's own format, where open_clip's keys would not do. */
static json_t *own_vision_json(const clip_cfg *cfg)
{
    json_t *v = json_object();

    if (*cfg->timm) json_object_set_new(v, "timm_model_name", json_string(cfg->timm));
    json_object_set_new(v, "clipc", own_image_json(&cfg->image));
    return v;
}

static json_t *vision_json(const clip_cfg *cfg, bool own)
{
    const image_cfg *c = &cfg->image;
    json_t *v;

    if (own && (*cfg->timm || (c->pooler && c->pooler_form != POOLER_COCA)))
        return own_vision_json(cfg);
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

static json_t *token_rules_json(bpe_rules rules)
{
    static const char *const words[] = {[BPE_OPEN_CLIP] = "lower",
                                        [BPE_OPEN_CLIP_WHITESPACE] = "whitespace",
                                        [BPE_OPEN_CLIP_CANONICAL] = "canonicalize"};
    json_t *o = json_object();

    json_object_set_new(o, "clean", json_string(words[rules]));
    return o;
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
    if (cfg->token_rules != BPE_OPENAI)
        json_object_set_new(t, "tokenizer_kwargs", token_rules_json(cfg->token_rules));
    put_text_pool(t, c);
    put_block(t, &c->extras, c->act, c->eps);
    return t;
}

int config_write_open_clip(buf *out, const clip_cfg *cfg, bool own, clipc_err *err)
{
    static const char *const modes[] = {"shortest", "longest", "squash"};
    const bool bilinear = cfg->preprocess.interpolation == FILTER_BILINEAR;
    json_t *root = json_object(), *model = json_object(), *pre = json_object();

    json_object_set_new(model, "embed_dim", size_of(cfg->image.embed_dim));
    json_object_set_new(model, "quick_gelu",
                        json_boolean(cfg->text.act == ACT_QUICK_GELU));
    put(model, "custom_text", cfg->custom_text);
    if (cfg->logit_bias) json_object_set_new(model, "init_logit_bias", json_real(-10.0));
    json_object_set_new(model, "vision_cfg", vision_json(cfg, own));
    json_object_set_new(model, "text_cfg", text_json(cfg));
    json_object_set_new(pre, "mean", floats(cfg->preprocess.mean));
    json_object_set_new(pre, "std", floats(cfg->preprocess.std));
    json_object_set_new(pre, "interpolation",
                        json_string(bilinear ? "bilinear" : "bicubic"));
    json_object_set_new(pre, "resize_mode", json_string(modes[cfg->preprocess.resize]));
    if (cfg->preprocess.fill)
        json_object_set_new(pre, "fill_color", size_of(cfg->preprocess.fill));
    json_object_set_new(root, "model_cfg", model);
    json_object_set_new(root, "preprocess_cfg", pre);
    if (cfg->n_templates) json_object_set_new(root, "templates", templates_of(cfg));
    return dump(out, root, err);
}

bool config_fits_hf(const clip_cfg *cfg)
{
    const image_cfg *i = &cfg->image;
    const text_cfg *t = &cfg->text;

    return i->family == IMAGE_VIT && image_columns(i) == i->image_size &&
           cfg->preprocess.resize != RESIZE_LONGEST && !block_extras_any(&i->extras) &&
           !block_extras_any(&t->extras) && !i->no_ln_pre && !i->no_class_token &&
           !i->conv1_bias && !i->pooler && i->pool == POOL_TOK &&
           i->proj == PROJ_MATRIX && !t->no_causal_mask && !t->embed_cls &&
           t->pool == TEXT_POOL_ARGMAX && t->proj == PROJ_MATRIX && !cfg->logit_bias &&
           !cfg->foreign_tokens;
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

static json_t *sides(const image_cfg *c)
{
    return json_pack("{sIsI}", "height", (json_int_t)c->image_size, "width",
                     (json_int_t)c->image_size);
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
    json_object_set_new(
        pre, "size",
        cfg->preprocess.resize == RESIZE_SQUASH
            ? sides(i)
            : json_pack("{sI}", "shortest_edge", (json_int_t)i->image_size));
    json_object_set_new(pre, "crop_size", sides(i));
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
