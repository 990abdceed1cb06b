#include "clip/config.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

static const char *const model_keys[] = {
    "embed_dim",        "quick_gelu",      "vision_cfg",  "text_cfg",
    "init_logit_scale", "init_logit_bias", "output_dict", NULL};
static const char *const vision_keys[] = {"image_size", "layers",     "width",
                                          "patch_size", "head_width", "mlp_ratio",
                                          "heads",      NULL};
static const char *const text_keys[] = {
    "context_length", "vocab_size",        "width", "heads", "layers",
    "mlp_ratio",      "hf_tokenizer_name", NULL};
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

static int get_vision(image_cfg *c, const json_t *o, const char *where, clipc_err *err)
{
    const json_t *layers = json_object_get(o, "layers");
    size_t head_width = 64, heads = 0;
    double mlp_ratio = 4.0;
    int rc = json_check_keys(o, vision_keys, where, err);

    c->image_size = 224, c->width = 768, c->layers = 12;
    if (rc == CLIPC_OK) rc = json_get_size(&c->image_size, o, "image_size", where, err);
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
    return rc;
}

static int get_text(text_cfg *c, const json_t *o, const char *where, clipc_err *err)
{
    double mlp_ratio = 4.0;
    int rc = json_check_keys(o, text_keys, where, err);

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
        rc = get_vision(&out->image, json_object_get(model, "vision_cfg"), where, err);
    if (rc == CLIPC_OK)
        rc = get_text(&out->text, json_object_get(model, "text_cfg"), where, err);
    out->text.embed_dim = out->image.embed_dim;
    out->text.act = out->image.act = quick_gelu ? ACT_QUICK_GELU : ACT_GELU;
    out->text.eps = out->image.eps = 1e-5f;
    out->preprocess = preprocess_default(out->image.image_size);
    if (rc == CLIPC_OK && preprocess)
        rc = get_preprocess(&out->preprocess, preprocess, where, err);
    return rc;
}

int config_open_clip_file(clip_cfg *out, const char *path, clipc_err *err)
{
    json_t *root = NULL;
    int rc;

    *out = (clip_cfg){0};
    rc = json_read(&root, path, err);
    if (rc == CLIPC_OK)
        rc = config_open_clip(out, json_object_get(root, "model_cfg"),
                              json_object_get(root, "preprocess_cfg"), path, err);
    if (rc == CLIPC_OK)
        rc = config_templates(out, json_object_get(root, "templates"), path, err);
    json_decref(root);
    if (rc != CLIPC_OK) clip_cfg_free(out);
    return rc;
}

/* ---- Hugging Face
 * ----------------------------------------------------------------------- */

static int get_act(act *out, const json_t *o, const char *where, clipc_err *err)
{
    const char *name = "quick_gelu";
    const int rc = json_get_string(&name, o, "hidden_act", where, err);

    if (rc != CLIPC_OK) return rc;
    if (strcmp(name, "quick_gelu") == 0) *out = ACT_QUICK_GELU;
    else if (strcmp(name, "gelu") == 0) *out = ACT_GELU;
    else
        return clipc_fail(err, CLIPC_ERR_FEATURE,
                          "%s: hidden_act \"%.40s\" is not supported", where, name);
    return CLIPC_OK;
}

static int get_hf_image(image_cfg *c, const json_t *o, const char *where, clipc_err *err)
{
    size_t channels = 3;
    int rc;

    *c = (image_cfg){.image_size = 224,
                     .width = 768,
                     .heads = 12,
                     .layers = 12,
                     .patch_size = 32,
                     .mlp_width = 3072,
                     .eps = 1e-5f};
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

    *c = (text_cfg){.context_length = 77,
                    .vocab_size = 49408,
                    .width = 512,
                    .heads = 8,
                    .layers = 12,
                    .mlp_width = 2048,
                    .eps = 1e-5f};
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

int config_hf_files(clip_cfg *out, const char *config, const char *preprocessor,
                    clipc_err *err)
{
    json_t *root = NULL, *text = NULL, *vision = NULL;
    size_t embed_dim = 512;
    const char *type = "clip";
    int rc;

    *out = (clip_cfg){.layout = LAYOUT_HF};
    rc = json_read(&root, config, err);
    if (rc == CLIPC_OK) rc = json_get_string(&type, root, "model_type", config, err);
    if (rc == CLIPC_OK && strcmp(type, "clip") != 0)
        rc = clipc_fail(err, CLIPC_ERR_FEATURE,
                        "%s: model_type \"%.40s\" is not supported", config, type);
    if (rc == CLIPC_OK)
        rc = json_get_size(&embed_dim, root, "projection_dim", config, err);
    vision = merged(root, "vision_config", "vision_config_dict");
    text = merged(root, "text_config", "text_config_dict");
    if (rc == CLIPC_OK) rc = get_hf_image(&out->image, vision, config, err);
    if (rc == CLIPC_OK) rc = get_hf_text(&out->text, text, config, err);
    out->image.embed_dim = out->text.embed_dim = embed_dim;
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

static json_t *vision_json(const image_cfg *c)
{
    json_t *v = json_object();

    json_object_set_new(v, "image_size", size_of(c->image_size));
    if (c->layers) {
        json_object_set_new(v, "layers", size_of(c->layers));
        json_object_set_new(v, "patch_size", size_of(c->patch_size));
        json_object_set_new(v, "head_width", size_of(c->width / c->heads));
        json_object_set_new(v, "mlp_ratio", ratio_of(c->mlp_width, c->width));
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

static json_t *text_json(const text_cfg *c)
{
    json_t *t = json_object();

    json_object_set_new(t, "context_length", size_of(c->context_length));
    json_object_set_new(t, "vocab_size", size_of(c->vocab_size));
    json_object_set_new(t, "width", size_of(c->width));
    json_object_set_new(t, "heads", size_of(c->heads));
    json_object_set_new(t, "layers", size_of(c->layers));
    if (c->mlp_width != 4 * c->width)
        json_object_set_new(t, "mlp_ratio", ratio_of(c->mlp_width, c->width));
    return t;
}

int config_write_open_clip(buf *out, const clip_cfg *cfg, clipc_err *err)
{
    const bool bilinear = cfg->preprocess.interpolation == FILTER_BILINEAR;
    json_t *root = json_object(), *model = json_object(), *pre = json_object();

    json_object_set_new(model, "embed_dim", size_of(cfg->image.embed_dim));
    json_object_set_new(model, "quick_gelu",
                        json_boolean(cfg->text.act == ACT_QUICK_GELU));
    json_object_set_new(model, "vision_cfg", vision_json(&cfg->image));
    json_object_set_new(model, "text_cfg", text_json(&cfg->text));
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

static json_t *hf_tower(size_t width, size_t heads, size_t layers, size_t mlp_width,
                        act f, float eps)
{
    json_t *o = json_object();

    json_object_set_new(o, "hidden_size", size_of(width));
    json_object_set_new(o, "num_attention_heads", size_of(heads));
    json_object_set_new(o, "num_hidden_layers", size_of(layers));
    json_object_set_new(o, "intermediate_size", size_of(mlp_width));
    json_object_set_new(o, "hidden_act",
                        json_string(f == ACT_QUICK_GELU ? "quick_gelu" : "gelu"));
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
