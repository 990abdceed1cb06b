#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "task/checkup.h"

static const char *const acts[] = {[ACT_NONE] = "none", [ACT_QUICK_GELU] = "quick_gelu",
                                   [ACT_GELU] = "gelu", [ACT_GELU_TANH] = "gelu_tanh",
                                   [ACT_RELU] = "relu", [ACT_RELU6] = "relu6",
                                   [ACT_SILU] = "silu", [ACT_SIGMOID] = "sigmoid"};

/* A file that came with the model as JSON; NULL if there is none that can be read. */
static json_t *file_json(const model_source *s, const char *name)
{
    json_t *root = NULL;
    buf text = {0};

    if (source_has(s, name) && source_file(&text, s, name, NULL) == CLIPC_OK)
        json_parse(&root, text.data, text.len, name, NULL);
    buf_free(&text);
    return root;
}

/* ---- activation ---- */

/* What the names of published weights tell (open_clip's pretrained.py); the first word
 * that is in a name counts. */
static const struct {
    const char *word;
    act act;
} by_name[] = {
    {"quickgelu", ACT_QUICK_GELU},
    {"openai", ACT_QUICK_GELU},
    {"dfn2b_s39b", ACT_GELU},
    {"dfn2b", ACT_QUICK_GELU},
    {"dfn5b", ACT_QUICK_GELU},
    {"metaclip_400m", ACT_QUICK_GELU},
    {"metaclip_2pt5b", ACT_QUICK_GELU},
    {"metaclip_fullcc", ACT_QUICK_GELU},
    {"laion2b", ACT_GELU},
    {"datacomp", ACT_GELU},
    {"commonpool", ACT_GELU},
};

/* Whether a word is in a name, in whatever case. */
static bool holds(const char *name, const char *word)
{
    const size_t n = strlen(word);

    for (; name && *name; name++) {
        size_t i = 0;
        while (i < n && (name[i] | 0x20) == word[i]) i++;
        if (i == n) return true;
    }
    return false;
}

/* Towers whose activation the config alone tells. */
static bool told(const clip_cfg *cfg, bool text)
{
    return text ? !cfg->no_text && cfg->text.family == TEXT_CLIP
                : !cfg->no_image && cfg->image.family == IMAGE_VIT && !*cfg->timm;
}

/* name: of the model, or what its config.json says that it was made from. */
static bool contradicts_name(checkup *c, const model_source *s, const char *name)
{
    const act is = told(&s->cfg, true) ? s->cfg.text.act : s->cfg.image.act;
    const size_t n = sizeof by_name / sizeof by_name[0];
    size_t i = 0;

    while (i < n && !(name && holds(name, by_name[i].word))) i++;
    if (i == n || by_name[i].act == is) return false;
    checkup_say(c, CLIPC_FOUND_WARNING, "activation",
                "%s by %s, but the name \"%.80s\" is of weights trained with %s; if that "
                "is so, change %s",
                acts[is], s->config_by, name, acts[by_name[i].act],
                s->cfg.layout == LAYOUT_HF ? "hidden_act" : "quick_gelu");
    return true;
}

/* The last part of a path, whatever slashes end it. */
static const char *last_part(const char *path)
{
    size_t n = strlen(path);

    while (n && path[n - 1] == '/') n--;
    while (n && path[n - 1] != '/') n--;
    return path + n;
}

static void check_activation(checkup *c, const model_source *s, const json_t *config)
{
    const act pictures = s->cfg.image.act, text = s->cfg.text.act;
    const bool both = told(&s->cfg, false) && told(&s->cfg, true);

    if (!told(&s->cfg, false) && !told(&s->cfg, true)) {
        checkup_say(c, CLIPC_FOUND_OK, "activation", "as all towers of the kind have it");
        return;
    }
    if (both && pictures != text)
        checkup_say(c, CLIPC_FOUND_WARNING, "activation",
                    "%s for pictures, %s for texts by %s; no model is known to differ so",
                    acts[pictures], acts[text], s->config_by);
    else if (strcmp(s->config_by, "weights") == 0)
        checkup_say(c, CLIPC_FOUND_NOTE, "activation",
                    "%s is assumed, as no config tells; if results are poor, put an "
                    "open_clip_config.json with quick_gelu beside the file",
                    acts[text]);
    else if (!contradicts_name(c, s, last_part(s->path)) &&
             !contradicts_name(
                 c, s, json_string_value(json_object_get(config, "_name_or_path"))))
        checkup_say(c, CLIPC_FOUND_OK, "activation", "%s by %s",
                    acts[told(&s->cfg, true) ? text : pictures], s->config_by);
}

/* ---- two configs ---- */

static void differ(few *f, const char *what, size_t a, size_t b)
{
    char text[96];

    snprintf(text, sizeof text, "%s %zu, here %zu", what, b, a);
    if (a != b) few_add(f, text);
}

static void compare(checkup *c, const clip_cfg *a, const clip_cfg *b)
{
    const bool texts = told(a, true) && a->text.act != b->text.act,
               acts_differ = texts || (told(a, false) && a->image.act != b->image.act);
    few other = {0};

    if (acts_differ)
        checkup_say(c, CLIPC_FOUND_WARNING, "activation",
                    "open_clip_config.json means %s, config.json says %s: one of them is "
                    "wrong, and clipc goes by the first",
                    acts[texts ? a->text.act : a->image.act],
                    acts[texts ? b->text.act : b->image.act]);
    differ(&other, "image size", a->image.image_size, b->image.image_size);
    if (a->image.patch_size)
        differ(&other, "patch size", a->image.patch_size, b->image.patch_size);
    differ(&other, "context length", a->text.context_length, b->text.context_length);
    differ(&other, "embedding", a->image.embed_dim, b->image.embed_dim);
    differ(&other, "text width", a->text.width, b->text.width);
    differ(&other, "text layers", a->text.layers, b->text.layers);
    if (other.n)
        checkup_say(
            c, CLIPC_FOUND_WARNING, "configs",
            "config.json contradicts open_clip_config.json: %s; other programs may "
            "read the first",
            few_text(&other));
    else if (!acts_differ)
        checkup_say(c, CLIPC_FOUND_OK, "configs",
                    "config.json and open_clip_config.json agree");
}

/* A folder of open_clip's that is one of transformers' too. */
static int check_configs(checkup *c, const model_source *s, const json_t *config,
                         clipc_err *err)
{
    char *path;
    clip_cfg other = {0};

    if (strcmp(s->config_by, "open_clip_config.json") != 0 ||
        !json_object_get(config, "vision_config"))
        return CLIPC_OK;
    path = path_join(s->path, "config.json");
    if (path && config_hf_files(&other, path, "", NULL) == CLIPC_OK)
        compare(c, &s->cfg, &other);
    clip_cfg_free(&other);
    free(path);
    return path ? CLIPC_OK : clipc_fail_memory(err, s->path, 0);
}

/* ---- preprocessing ---- */

enum { OPENAI = 1, INCEPTION = 2, IMAGENET = 4, RAW = 8, LITE = 16 };

static const struct {
    int bit;
    const char *name;
    float mean[3], std[3];
} pixels[] = {
    {OPENAI,
     "OpenAI's",
     {0.48145466f, 0.4578275f, 0.40821073f},
     {0.26862954f, 0.26130258f, 0.27577711f}},
    {INCEPTION, "Inception's (0.5)", {0.5f, 0.5f, 0.5f}, {0.5f, 0.5f, 0.5f}},
    {IMAGENET, "ImageNet's", {0.485f, 0.456f, 0.406f}, {0.229f, 0.224f, 0.225f}},
    {RAW, "none (0 and 1)", {0.0f, 0.0f, 0.0f}, {1.0f, 1.0f, 1.0f}},
    {LITE,
     "EfficientNet-Lite's (127 and 128)",
     {127 / 255.0f, 127 / 255.0f, 127 / 255.0f},
     {128 / 255.0f, 128 / 255.0f, 128 / 255.0f}},
};

enum { N_PIXELS = sizeof pixels / sizeof pixels[0] };

/* What models of a kind were published with (open_clip's pretrained.py). */
typedef struct custom {
    const char *kind;
    int usual, seen; /* sets of mean and std: of most, of some */
    resize_mode resize;
    filter filter;
} custom;

static custom custom_of(const image_cfg *c)
{
    if (c->family == IMAGE_FASTVIT || c->front == FRONT_MCI)
        return (custom){"MobileCLIP", RAW | OPENAI, 0, RESIZE_SHORTEST, FILTER_BILINEAR};
    if (c->family == IMAGE_EFFNET)
        return (custom){"EfficientNet-Lite", LITE | INCEPTION | OPENAI, IMAGENET,
                        RESIZE_SHORTEST, FILTER_BICUBIC};
    if (c->pooler && c->pooler_form == POOLER_SIGLIP && c->rope_ref)
        return (custom){"Perception Encoder", INCEPTION, 0, RESIZE_SQUASH,
                        FILTER_BILINEAR};
    if (c->pooler && c->pooler_form == POOLER_SIGLIP)
        return (custom){"SigLIP", INCEPTION, 0, RESIZE_SQUASH, FILTER_BICUBIC};
    return (custom){"CLIP", OPENAI, INCEPTION | IMAGENET, RESIZE_SHORTEST,
                    FILTER_BICUBIC};
}

/* The place of mean and std among those known, else N_PIXELS. */
static size_t known_pixels(const preprocess_cfg *p)
{
    for (size_t i = 0; i < N_PIXELS; i++) {
        bool same = true;
        for (size_t k = 0; k < 3; k++)
            same &= fabsf(p->mean[k] - pixels[i].mean[k]) < 1e-3f &&
                    fabsf(p->std[k] - pixels[i].std[k]) < 1e-3f;
        if (same) return i;
    }
    return N_PIXELS;
}

static const char *usual_name(const custom *k)
{
    size_t i = 0;

    while (!(pixels[i].bit & k->usual)) i++;
    return pixels[i].name;
}

static bool check_pixels(checkup *c, const preprocess_cfg *p, const custom *k)
{
    const size_t i = known_pixels(p);

    for (size_t n = 0; n < 3; n++)
        if (p->mean[n] > 2.0f || p->std[n] > 2.0f) {
            checkup_say(c, CLIPC_FOUND_WARNING, "preprocessing",
                        "mean %.4g, std %.4g are of pixels from 0 to 255; divide them by "
                        "255",
                        (double)p->mean[n], (double)p->std[n]);
            return false;
        }
    if (i < N_PIXELS && (pixels[i].bit & k->usual)) return true;
    if (i < N_PIXELS && (pixels[i].bit & k->seen)) {
        checkup_say(
            c, CLIPC_FOUND_NOTE, "preprocessing",
            "mean and std are %s, as few models of the kind have it; most have %s",
            pixels[i].name, usual_name(k));
        return false;
    }
    checkup_say(c, CLIPC_FOUND_WARNING, "preprocessing",
                "mean %.4g %.4g %.4g, std %.4g %.4g %.4g: %s; %s models have %s",
                (double)p->mean[0], (double)p->mean[1], (double)p->mean[2],
                (double)p->std[0], (double)p->std[1], (double)p->std[2],
                i < N_PIXELS ? pixels[i].name : "none that is known", k->kind,
                usual_name(k));
    return false;
}

/* How pictures come to the model's size; CLIPA's squash goes with ImageNet's pixels. */
static bool check_resize(checkup *c, const preprocess_cfg *p, const custom *k)
{
    static const char *const modes[] = {"shortest", "longest", "squash"};
    const size_t i = known_pixels(p);
    const bool clipa = i < N_PIXELS && (pixels[i].bit & k->seen & IMAGENET);
    const resize_mode mode = clipa ? RESIZE_SQUASH : k->resize;
    const filter by = clipa ? FILTER_BILINEAR : k->filter;

    if (p->resize == mode && p->interpolation == by) return true;
    checkup_say(c, CLIPC_FOUND_NOTE, "preprocessing",
                "resize %s, %s; usual for %s: %s, %s", modes[p->resize],
                p->interpolation == FILTER_BICUBIC ? "bicubic" : "bilinear",
                clipa ? "CLIPA" : k->kind, modes[mode],
                by == FILTER_BICUBIC ? "bicubic" : "bilinear");
    return false;
}

/* A size as the configs write it: a number, [rows, columns] or an object.  0: not there.
 */
static size_t side_of(const json_t *v)
{
    if (json_is_object(v)) v = json_object_get(v, "height");
    if (json_is_array(v)) v = json_array_get(v, 0);
    return json_is_integer(v) && json_integer_value(v) > 0 ? (size_t)json_integer_value(v)
                                                           : 0;
}

static bool check_side(checkup *c, const char *key, const json_t *v, size_t side)
{
    const size_t has = side_of(v);

    if (!has || has == side) return true;
    checkup_say(
        c, CLIPC_FOUND_WARNING, "preprocessing",
        "\"%s\" is %zu, the image tower's pictures have %zu: clipc resizes to that", key,
        has, side);
    return false;
}

/* What transformers would do otherwise than clipc, and opening let pass. */
static bool check_processor(checkup *c, const json_t *pre, const preprocess_cfg *p)
{
    const json_t *rescale = json_object_get(pre, "rescale_factor");
    const bool same = p->resize == RESIZE_SQUASH ||
                      check_side(c, "crop_size", json_object_get(pre, "crop_size"), p->h);

    if (!json_is_number(rescale) ||
        fabs(json_number_value(rescale) * 255.0 - 1.0) <= 1e-3)
        return same;
    checkup_say(c, CLIPC_FOUND_WARNING, "preprocessing",
                "rescale_factor is %.6g; clipc divides by 255",
                json_number_value(rescale));
    return false;
}

/* open_clip's preprocess_cfg against what lies beside it for transformers. */
static bool check_beside(checkup *c, const preprocess_cfg *p, const json_t *pre)
{
    preprocess_cfg other = *p;
    bool same = true;

    json_get_floats(other.mean, 3, pre, "image_mean", "", NULL);
    json_get_floats(other.std, 3, pre, "image_std", "", NULL);
    for (size_t i = 0; i < 3; i++)
        same &= fabsf(p->mean[i] - other.mean[i]) < 1e-3f &&
                fabsf(p->std[i] - other.std[i]) < 1e-3f;
    if (!same)
        checkup_say(c, CLIPC_FOUND_WARNING, "preprocessing",
                    "preprocessor_config.json has mean %.4g %.4g %.4g, "
                    "open_clip_config.json %.4g %.4g %.4g, which clipc goes by",
                    (double)other.mean[0], (double)other.mean[1], (double)other.mean[2],
                    (double)p->mean[0], (double)p->mean[1], (double)p->mean[2]);
    return same;
}

static void check_preprocessing(checkup *c, const model_source *s,
                                const json_t *open_clip, const json_t *pre)
{
    const preprocess_cfg *p = &s->cfg.preprocess;
    const custom k = custom_of(&s->cfg.image);
    const json_t *own = json_object_get(open_clip, "preprocess_cfg");
    const bool by_open_clip = strcmp(s->config_by, "open_clip_config.json") == 0,
               by_hf = strcmp(s->format, "hf") == 0;
    bool usual = check_pixels(c, p, &k);

    usual &= check_resize(c, p, &k);
    if (by_open_clip) usual &= check_side(c, "size", json_object_get(own, "size"), p->h);
    if (pre && by_hf) usual &= check_processor(c, pre, p);
    if (pre && by_open_clip) usual &= check_beside(c, p, pre);
    if ((open_clip && by_open_clip && !json_object_get(own, "mean")) || (by_hf && !pre) ||
        strcmp(s->config_by, "weights") == 0)
        checkup_say(c, CLIPC_FOUND_NOTE, "preprocessing",
                    "no file tells mean and std: those usual for such configs are taken");
    else if (usual)
        checkup_say(c, CLIPC_FOUND_OK, "preprocessing", "as %s models have it", k.kind);
}

int checkup_config(checkup *c, const model_source *s, clipc_err *err)
{
    json_t *config = file_json(s, "config.json"),
           *open_clip = file_json(s, "open_clip_config.json"),
           *pre = file_json(s, "preprocessor_config.json");
    const int rc = check_configs(c, s, config, err);

    check_activation(c, s, config);
    if (!s->cfg.no_image) check_preprocessing(c, s, open_clip, pre);
    json_decref(config);
    json_decref(open_clip);
    json_decref(pre);
    return rc;
}
