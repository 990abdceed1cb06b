/* Both towers against PyTorch in float64 (tests/golden/make_models.py): features, logits,
 * loss, every gradient, one AdamW step; plain and packed weights; both layouts; saved and
 * loaded again. */
#include "check.h"

#include <stdlib.h>

#include "base/file.h"
#include "clip/fold.h"
#include "clip/net.h"
#include "golden_file.h"
#include "io/any_file.h"
#include "io/safetensors.h"
#include "nn/rows.h"
#include "train/loss.h"

#define MODELS   "tests/golden/models/"
#define VARIANTS "tests/golden/variants/"

/* A model with everything that running it needs, and its golden. */
typedef struct rig {
    model_source source;
    clip_cfg cfg; /* the source's */
    net *n;
    exec *e;
    void *image_acts;
    void *text_acts;
    tensor_file *g;
    float *pixels, *img, *txt;
    int32_t *ids;
    size_t B, E;
} rig;

/* The one file of a case, or its folder. */
static const char *model_in(const char *folder, char *path, size_t size)
{
    static const char *const files[] = {"model.pt", "model.gguf"};

    for (size_t i = 0; i < 2; i++) {
        snprintf(path, size, "%s/%s", folder, files[i]);
        if (file_exists(path)) return path;
    }
    return folder;
}

/* Memory for passes of r->n, as it was made. */
static void rig_acts(rig *r, tower_mode mode)
{
    const size_t rows = r->B * r->cfg.text.context_length;
    clipc_err err;

    if (r->n->image)
        CHECK_OK(r->n->ops->acts_make(&r->image_acts, r->n->image, r->B, mode, &err),
                 err);
    if (r->n->text)
        CHECK_OK(
            r->n->text_ops->acts_make(&r->text_acts, r->n->text, r->B, rows, mode, &err),
            err);
}

static void rig_drop(rig *r)
{
    if (r->n->image) r->n->ops->acts_destroy(r->image_acts);
    if (r->n->text) r->n->text_ops->acts_destroy(r->text_acts);
    net_free(r->n);
    source_close(&r->source);
}

/* The model at a path.  without: 'i' or 't', a tower to leave out. */
static void rig_load(rig *r, const char *path, char without, tower_mode mode)
{
    clipc_err err;

    CHECK_OK(source_open(&r->source, path, &err), err);
    r->source.cfg.no_image |= without == 'i', r->source.cfg.no_text |= without == 't';
    r->cfg = r->source.cfg;
    CHECK_OK(net_open(&r->n, &r->source, mode, r->e->k, &err), err);
    rig_acts(r, mode);
}

static void rig_open_without(rig *r, const char *folder, char without, tower_mode mode)
{
    char path[256];
    clipc_err err;
    size_t n, n_pixels = 0;

    *r = (rig){.g = golden_open(folder)};
    CHECK_OK(exec_new(&r->e, 2, 1 << 16, &err), err);
    r->ids = golden_i32(r->g, "ids", &n);
    if (tensor_find(r->g, "pixels")) r->pixels = golden_f32(r->g, "pixels", &n_pixels);
    r->B = tensor_find(r->g, "ids")->dims[0];
    rig_load(r, model_in(folder, path, sizeof path), without, mode);
    r->E = r->cfg.image.embed_dim;
    assert_int_equal(n, r->B * r->cfg.text.context_length);
    if (r->n->image)
        assert_int_equal(n_pixels, r->B * 3 * r->cfg.image.image_size *
                                       image_columns(&r->cfg.image));
    r->img = malloc(r->B * r->E * sizeof(float));
    r->txt = malloc(r->B * r->E * sizeof(float));
    assert_non_null(r->img);
    assert_non_null(r->txt);
}

static void rig_open(rig *r, const char *folder, tower_mode mode)
{
    rig_open_without(r, folder, 0, mode);
}

static void rig_close(rig *r)
{
    rig_drop(r);
    exec_free(r->e);
    tensor_file_free(r->g);
    free(r->pixels), free(r->ids), free(r->img), free(r->txt);
}

static void forward(rig *r)
{
    if (r->n->image)
        r->n->ops->fwd(r->e, r->n->image, r->image_acts, r->img, r->pixels, r->B);
    if (r->n->text)
        r->n->text_ops->fwd(r->e, r->n->text, r->text_acts, r->txt, r->ids, r->B);
}

static void check_within(const rig *r, const float *x, const char *name, double most)
{
    size_t n;
    double *want = golden_f64(r->g, name, &n);

    CHECK_NEAR(relative_error(x, want, n), 0.0, most);
    free(want);
}

static void check_close(const rig *r, const float *x, const char *name)
{
    /* measured 6e-7 on AVX-512, 5e-7 on ref; PyTorch's own float32 5e-7; the ResNet 2e-6
     * and 2e-6 */
    check_within(r, x, name, 1e-5);
}

static void check_forward(const char *folder, tower_mode mode)
{
    rig r;
    size_t n;

    rig_open(&r, folder, mode);
    forward(&r);
    check_close(&r, r.txt, "text_features");
    if (mode == TOWER_TRAIN && r.n->ops->update_stats) {
        check_close(&r, r.img, "train.image_features");
        rig_close(&r);
        return;
    }
    check_close(&r, r.img, "image_features");

    double *want = golden_f64(r.g, "logits_per_image", &n);
    float *logits = malloc(n * sizeof *logits);
    rows_normalize_fwd(r.e, r.img, NULL, r.img, r.B, r.E);
    rows_normalize_fwd(r.e, r.txt, NULL, r.txt, r.B, r.E);
    clipc_similarity(logits, r.img, r.B, r.txt, r.B, r.E, expf(*r.n->logit_scale));
    CHECK_NEAR(relative_error(logits, want, n), 0.0, 1e-5);
    free(want), free(logits);
    rig_close(&r);
}

/* forward: open_clip's and Hugging Face's layouts, QuickGELU and GELU, odd sizes, float16
 * and old configs; weights plain and packed */
static void test_forward(void **state)
{
    static const char *const cases[] = {MODELS "oc_vit_quick", MODELS "oc_vit_gelu",
                                        MODELS "hf_vit", MODELS "hf_vit_old",
                                        MODELS "oc_rn"};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        check_forward(cases[i], TOWER_INFER);
        check_forward(cases[i], TOWER_EVAL);
        check_forward(cases[i], TOWER_TRAIN);
    }
}

/* variants: what open_clip's and transformers' configs can switch on, each alone */
static void test_variants(void **state)
{
    static const tower_mode modes[] = {TOWER_INFER, TOWER_EVAL};
    json_t *root;
    const char *name;
    json_t *errors;
    clipc_err err;

    (void)state;
    CHECK_OK(json_read(&root, VARIANTS "golden.json", &err), err);
    assert_true(json_object_size(json_object_get(root, "own_float32_error")) >= 23);
    json_object_foreach(json_object_get(root, "own_float32_error"), name, errors)
    {
        for (size_t i = 0; i < 2; i++) {
            char folder[128];
            rig r;
            snprintf(folder, sizeof folder, VARIANTS "%s", name);
            rig_open(&r, folder, modes[i]);
            forward(&r);
            if (r.n->image) check_close(&r, r.img, "image_features");
            check_close(&r, r.txt, "text_features");
            rig_close(&r);
        }
    }
    json_decref(root);
}

/* The image features of grid_larger's golden, from a model in which its positions are. */
static void check_larger(const char *path, const clipc_open_options *o, size_t stored)
{
    rig r = {.g = golden_open(VARIANTS "grid_larger"), .E = 20};
    const clipc_ctx_options raw = {.raw = 1};
    clipc_model *m;
    clipc_ctx *ctx;
    clipc_err err;
    size_t n;

    CHECK_OK(clipc_model_open_with(&m, path, o, &err), err);
    CHECK_OK(clipc_ctx_new(&ctx, m, &raw, &err), err);
    assert_int_equal(clipc_model_info_of(m)->image_size, 28);
    assert_int_equal(clipc_model_info_of(m)->image_columns, 28);
    assert_int_equal(clipc_model_info_of(m)->stored_grid[0], stored);
    assert_int_equal(clipc_model_info_of(m)->stored_grid[1], stored);
    r.pixels = golden_f32(r.g, "pixels", &n);
    r.B = n / (3 * 28 * 28);
    r.img = malloc(r.B * r.E * sizeof *r.img);
    assert_non_null(r.img);
    CHECK_OK(clipc_encode_image_tensors(ctx, r.img, r.pixels, r.B, &err), err);
    check_close(&r, r.img, "image_features");
    free(r.img), free(r.pixels);
    tensor_file_free(r.g);
    clipc_ctx_free(ctx);
    clipc_model_free(m);
}

/* image size as an option: of a folder and of a mapped file, when opened and when
 * rewritten; the same as open_clip's for a config that says so */
static void test_image_size(void **state)
{
    static const char *const layouts[] = {"open_clip", "clipc"};
    const char *small = "build/test_small_grid", *large = "build/test_large_grid";
    const clipc_open_options to_28 = {.image_size = 28};
    clipc_model *m;
    clipc_err err;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        clipc_convert_options o = {.to = layouts[i], .open.image_size = 16};
        CHECK_OK(clipc_convert(VARIANTS "grid_larger", small, &o, &err), err);
        check_larger(small, &to_28, 4);
        o.open = to_28;
        CHECK_OK(clipc_convert(small, large, &o, &err), err);
        check_larger(large, NULL, 0);
        check_larger(large, &to_28, 0);
        assert_int_equal(system("rm -rf build/test_small_grid build/test_large_grid"), 0);
    }
    CHECK_FAILS(clipc_model_open_with(&m, MODELS "oc_rn",
                                      &(clipc_open_options){.image_size = 96}, &err),
                CLIPC_ERR_FEATURE, err, "a ResNet");
    CHECK_OK(clipc_model_open_with(&m, MODELS "oc_rn",
                                   &(clipc_open_options){.image_size = 64}, &err),
             err);
    clipc_model_free(m);
    CHECK_FAILS(clipc_model_open_with(&m, VARIANTS "m_clip", &to_28, &err),
                CLIPC_ERR_FEATURE, err, "no image tower");
    /* 5x3 positions of a file are only known as such where its config says so */
    CHECK_OK(clipc_model_open_with(&m, VARIANTS "rectangle", &to_28, &err), err);
    assert_int_equal(clipc_model_info_of(m)->stored_grid[0], 5);
    assert_int_equal(clipc_model_info_of(m)->stored_grid[1], 3);
    clipc_model_free(m);
}

static void write_text(const char *path, const char *text)
{
    clipc_err err;
    CHECK_OK(file_replace(path, text, strlen(text), &err), err);
}

static preprocess_cfg open_clips(const char *vision, const char *preprocess)
{
    char text[512];
    clip_cfg cfg;
    clipc_err err;

    snprintf(text, sizeof text,
             "{\"model_cfg\":{\"embed_dim\":8,\"vision_cfg\":{%s},\"text_cfg\":{}},"
             "\"preprocess_cfg\":{%s}}",
             vision, preprocess);
    write_text("build/test_pre.json", text);
    CHECK_OK(config_open_clip_file(&cfg, "build/test_pre.json", &err), err);
    const preprocess_cfg p = cfg.preprocess;
    clip_cfg_free(&cfg);
    remove("build/test_pre.json");
    return p;
}

/* preprocessing as stored: open_clip's resize_mode, fill_color and interpolation, and the
 * size in SigLIP's and CLIP's own processors */
static void test_preprocess_config(void **state)
{
    const char *pre = "build/test_preprocessor.json";
    const char *siglip = VARIANTS "hf_siglip/config.json";
    preprocess_cfg p = {0};
    clip_cfg cfg;
    clipc_err err;

    (void)state;
    p = open_clips("\"image_size\":[32,48]",
                   "\"resize_mode\":\"longest\",\"fill_color\":9,"
                   "\"interpolation\":\"bilinear\"");
    assert_true(p.h == 32 && p.w == 48 && p.fill == 9);
    assert_true(p.resize == RESIZE_LONGEST && p.interpolation == FILTER_BILINEAR);
    p = open_clips("\"image_size\":32", "\"resize_mode\":\"squash\"");
    assert_true(p.w == 32 && p.fill == 0);
    assert_true(p.resize == RESIZE_SQUASH && p.interpolation == FILTER_BICUBIC);
    assert_int_equal(open_clips("", "").resize, RESIZE_SHORTEST);

    CHECK_OK(config_hf_files(&cfg, siglip, "build/no-such.json", &err), err);
    assert_true(cfg.preprocess.resize == RESIZE_SQUASH && cfg.preprocess.mean[1] == 0.5f);
    clip_cfg_free(&cfg);
    write_text(pre, "{\"image_processor_type\":\"SiglipImageProcessor\",\"resample\":2,"
                    "\"size\":{\"height\":16,\"width\":16}}");
    CHECK_OK(config_hf_files(&cfg, siglip, pre, &err), err);
    assert_true(cfg.preprocess.resize == RESIZE_SQUASH);
    assert_true(cfg.preprocess.interpolation == FILTER_BILINEAR);
    clip_cfg_free(&cfg);
    write_text(pre, "{\"size\":{\"shortest_edge\":16}}");
    CHECK_OK(config_hf_files(&cfg, siglip, pre, &err), err);
    assert_int_equal(cfg.preprocess.resize, RESIZE_SHORTEST);
    clip_cfg_free(&cfg);
    write_text(pre, "{\"size\":{\"height\":16,\"width\":24}}");
    CHECK_FAILS(config_hf_files(&cfg, siglip, pre, &err), CLIPC_ERR_FORMAT, err,
                "pictures of 16x24 for a model of 16x16");
    remove(pre);
}

/* Gradients of the loss into `grads`; returns the loss. */
static float backward(rig *r, net *grads)
{
    const size_t BE = r->B * r->E;
    float *mem = calloc(2 * BE + 2 * r->B + 2 * r->B * r->B, sizeof *mem);
    float *dimg = mem, *dtxt = dimg + BE, *ni = dtxt + BE, *nt = ni + r->B,
          *work = nt + r->B;
    const float scale = expf(*r->n->logit_scale);
    float dscale;

    forward(r);
    rows_normalize_fwd(r->e, r->img, ni, r->img, r->B, r->E);
    rows_normalize_fwd(r->e, r->txt, nt, r->txt, r->B, r->E);
    const float loss = contrastive_fwd_bwd(r->e, dimg, dtxt, &dscale, work, r->img,
                                           r->txt, NULL, scale, r->B, r->E);
    rows_normalize_bwd(r->e, dimg, dimg, r->img, ni, r->B, r->E);
    rows_normalize_bwd(r->e, dtxt, dtxt, r->txt, nt, r->B, r->E);
    r->n->ops->bwd(r->e, r->n->image, grads->image, r->image_acts, dimg, r->pixels, r->B);
    r->n->text_ops->bwd(r->e, r->n->text, grads->text, r->text_acts, dtxt, r->B);
    *grads->logit_scale += dscale * scale;
    free(mem);
    return loss;
}

static float *golden_of(const rig *r, const char *kind, const param *p)
{
    char name[160];
    size_t n;

    snprintf(name, sizeof name, "%s.%s", kind, p->name);
    float *x = golden_f32(r->g, name, &n);
    assert_int_equal(n, p->n);
    return x;
}

static void check_gradients(const char *folder)
{
    clipc_err err;
    net *grads;
    double all = 0.0;
    rig r;

    rig_open(&r, folder, TOWER_TRAIN);
    CHECK_OK(net_make(&grads, &r.cfg, TOWER_TRAIN, &err), err);
    const double *loss = golden_f64(r.g, "loss", NULL);
    CHECK_NEAR(backward(&r, grads), *loss, 1e-5);
    free((void *)(uintptr_t)loss);
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < grads->params.n; i++) {
            const param *p = &grads->params.v[i];
            if (p->kind == PARAM_STAT) continue;
            float *want = golden_of(&r, "grad", p);
            double diff = 0.0, size = 0.0;
            for (size_t k = 0; k < p->n; k++) {
                const double d = (double)(*p->slot)[k] - (double)want[k];
                diff += d * d;
                size += (double)want[k] * (double)want[k];
            }
            if (pass == 0) all += size;
            else if (!(sqrt(diff) <= 1e-4 * sqrt(size) + 1e-7 * sqrt(all)))
                fail_msg("%s: |g - g*| = %g, |g*| = %g", p->name, sqrt(diff), sqrt(size));
            free(want);
        }
    net_free(grads);
    rig_close(&r);
}

/* backward: every parameter's gradient of the contrastive loss, and the loss itself */
static void test_gradients(void **state)
{
    (void)state;
    check_gradients(MODELS "oc_vit_quick");
    check_gradients(MODELS "oc_vit_gelu");
    check_gradients(MODELS "oc_rn");
}

/* batch norm: running statistics after one training pass */
static void test_running_stats(void **state)
{
    size_t stats = 0;
    rig r;

    (void)state;
    rig_open(&r, MODELS "oc_rn", TOWER_TRAIN);
    forward(&r);
    r.n->ops->update_stats(r.n->image, r.image_acts, r.B);
    for (size_t i = 0; i < r.n->params.n; i++) {
        const param *p = &r.n->params.v[i];
        if (p->kind != PARAM_STAT) continue;
        float *want = golden_of(&r, "stats", p);
        for (size_t k = 0; k < p->n; k++)
            CHECK_NEAR((*p->slot)[k], want[k], 1e-5 * (1.0 + fabs((double)want[k])));
        free(want);
        stats++;
    }
    assert_int_equal(stats, 3 * (3 + 5 * 3 + 4));
    rig_close(&r);
}

/* adamw: one step from the golden's own gradients equals torch.optim.AdamW's */
static void test_adamw(void **state)
{
    const adamw_step base = {.lr = 1e-3f,
                             .beta1 = 0.9f,
                             .beta2 = 0.98f,
                             .eps = 1e-6f,
                             .c1 = 0.1f,
                             .c2 = 0.02f,
                             .gscale = 1.0f};
    rig r;

    (void)state;
    rig_open(&r, MODELS "oc_vit_quick", TOWER_TRAIN);
    for (size_t i = 0; i < r.n->params.n; i++) {
        const param *p = &r.n->params.v[i];
        float *g = golden_of(&r, "grad", p), *want = golden_of(&r, "adamw", p);
        float *m = calloc(2 * p->n, sizeof *m);
        adamw_step s = base;
        s.weight_decay = param_decays(p) ? 0.2f : 0.0f;
        r.e->k->adamw(*p->slot, m, m + p->n, g, p->n, &s);
        for (size_t k = 0; k < p->n; k++)
            CHECK_NEAR((*p->slot)[k], want[k], 1e-6 * (1.0 + fabs((double)want[k])));
        free(g), free(want), free(m);
    }
    rig_close(&r);
}

static void same_after_saving(const char *folder, clip_layout layout, resize_mode mode)
{
    const char *out = "build/test_saved_model";
    clipc_err err;
    rig r, again;

    rig_open(&r, folder, TOWER_EVAL);
    CHECK_OK(config_lay_out(&r.n->cfg, layout, out, &err), err);
    r.n->cfg.preprocess.resize = mode;
    r.n->cfg.preprocess.fill = mode == RESIZE_LONGEST ? 7 : 0;
    CHECK_OK(net_save(r.n, out, DT_F32, NULL, r.e->k, &err), err);
    rig_open(&again, folder, TOWER_EVAL);
    rig_drop(&again);
    rig_load(&again, out, 0, TOWER_EVAL);
    assert_int_equal(again.cfg.layout, layout);
    assert_memory_equal(again.n->mem.mem, r.n->mem.mem,
                        r.n->params.floats * sizeof(float));
    assert_true(fabsf(again.cfg.preprocess.mean[0] - r.cfg.preprocess.mean[0]) < 1e-7f);
    assert_true(again.cfg.preprocess.resize == r.n->cfg.preprocess.resize);
    assert_true(again.cfg.preprocess.fill == r.n->cfg.preprocess.fill);
    assert_true(again.cfg.preprocess.h == r.n->cfg.preprocess.h);
    assert_true(again.cfg.preprocess.w == r.n->cfg.preprocess.w);
    forward(&again);
    check_close(&again, again.img, "image_features");
    check_close(&again, again.txt, "text_features");
    rig_close(&r);
    rig_close(&again);
    assert_int_equal(system("rm -rf build/test_saved_model"), 0);
}

/* save: a model written in either layout loads with the same weights and config */
static void test_save(void **state)
{
    (void)state;
    same_after_saving(MODELS "oc_vit_gelu", LAYOUT_OPEN_CLIP, RESIZE_LONGEST);
    same_after_saving(MODELS "oc_vit_gelu", LAYOUT_HF, RESIZE_SQUASH);
    same_after_saving(MODELS "hf_vit_old", LAYOUT_HF, RESIZE_SHORTEST);
    same_after_saving(MODELS "hf_vit", LAYOUT_OPEN_CLIP, RESIZE_SHORTEST);
    same_after_saving(MODELS "oc_rn", LAYOUT_OPEN_CLIP, RESIZE_SHORTEST);
    same_after_saving(VARIANTS "eva02_base_patch16_clip_224", LAYOUT_OPEN_CLIP,
                      RESIZE_SHORTEST);
    same_after_saving(VARIANTS "eva_giant_patch14_224", LAYOUT_OPEN_CLIP,
                      RESIZE_SHORTEST);
    same_after_saving(VARIANTS "vit_pe_core_base_patch16_224", LAYOUT_OPEN_CLIP,
                      RESIZE_SHORTEST);
    same_after_saving(VARIANTS "convnext_tiny", LAYOUT_OPEN_CLIP, RESIZE_SHORTEST);
    same_after_saving(VARIANTS "convnext_xxlarge", LAYOUT_OPEN_CLIP, RESIZE_SHORTEST);
    same_after_saving(VARIANTS "vitamin_small_224", LAYOUT_OPEN_CLIP, RESIZE_SHORTEST);
    same_after_saving(VARIANTS "vitamin_xlarge_384", LAYOUT_OPEN_CLIP, RESIZE_SHORTEST);
    same_after_saving(VARIANTS "vit_base_mci_224", LAYOUT_OPEN_CLIP, RESIZE_SHORTEST);
    same_after_saving(VARIANTS "rectangle", LAYOUT_OPEN_CLIP, RESIZE_SQUASH);
    same_after_saving(VARIANTS "rn_rectangle", LAYOUT_OPEN_CLIP, RESIZE_SHORTEST);
    same_after_saving(VARIANTS "attn_pool_parallel", LAYOUT_OPEN_CLIP, RESIZE_SHORTEST);
    same_after_saving(VARIANTS "coca_cascade", LAYOUT_OPEN_CLIP, RESIZE_SHORTEST);
    same_after_saving(VARIANTS "siglip", LAYOUT_OPEN_CLIP, RESIZE_SHORTEST);
    same_after_saving(VARIANTS "siglip", LAYOUT_HF, RESIZE_SHORTEST);
    same_after_saving(VARIANTS "hf_siglip", LAYOUT_HF, RESIZE_SQUASH);
    same_after_saving(VARIANTS "bert_pooler", LAYOUT_OPEN_CLIP, RESIZE_SHORTEST);
    same_after_saving(VARIANTS "bert_linear", LAYOUT_OPEN_CLIP, RESIZE_SHORTEST);
    same_after_saving(VARIANTS "xlm_roberta", LAYOUT_OPEN_CLIP, RESIZE_SHORTEST);
}

/* layout: what a folder cannot hold is refused and said; a SigLIP without a name of
 * timm's gets the one of its sizes and activation */
static void test_layouts(void **state)
{
    clip_cfg big = {.image = {.image_size = 256,
                              .width = 768,
                              .heads = 12,
                              .layers = 12,
                              .patch_size = 32,
                              .mlp_width = 3072,
                              .eps = 1e-6f,
                              .act = ACT_GELU_TANH,
                              .no_ln_pre = true,
                              .no_class_token = true,
                              .conv1_bias = true,
                              .pooler = true,
                              .pooler_form = POOLER_SIGLIP,
                              .pooler_queries = 1,
                              .pooler_heads = 12,
                              .pooler_mlp_width = 3072,
                              .proj = PROJ_NONE}};
    static const struct {
        const char *folder, *message;
        clip_layout layout;
    } refused[] = {
        {VARIANTS "hf_siglip", "no name for a tower", LAYOUT_OPEN_CLIP},
        {VARIANTS "m_clip", "one tower", LAYOUT_OPEN_CLIP},
        {VARIANTS "m_clip", "one tower", LAYOUT_HF},
        {VARIANTS "bert_linear", "relative", LAYOUT_HF},
        {VARIANTS "coca", "relative", LAYOUT_HF},
        {VARIANTS "vit_so400m_patch14_siglip_224", "relative", LAYOUT_HF},
        {MODELS "oc_rn", "no resnet", LAYOUT_HF},
    };
    clipc_err err;

    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        model_source s;
        CHECK_OK(source_open(&s, refused[i].folder, &err), err);
        CHECK_FAILS(config_lay_out(&s.cfg, refused[i].layout, "x", &err),
                    CLIPC_ERR_FEATURE, err, refused[i].message);
        source_close(&s);
    }
    CHECK_OK(config_lay_out(&big, LAYOUT_OPEN_CLIP, "x", &err), err);
    assert_string_equal(big.timm, "vit_base_patch32_siglip_256");
    assert_true(big.custom_text);
    big.timm[0] = '\0', big.image.act = ACT_GELU;
    CHECK_FAILS(config_lay_out(&big, LAYOUT_OPEN_CLIP, "x", &err), CLIPC_ERR_FEATURE, err,
                "this activation");
}

/* As written to one file: what mapping it computes, and the weights back.  without: 'i'
 * or 't', a tower to leave out. */
static void check_packed(const char *folder, char without, weight_form form, double most)
{
    const char *out = "build/test_packed.clipc";
    rig r, again;
    clipc_err err;

    rig_open_without(&r, folder, without, TOWER_EVAL);
    CHECK_OK(net_save_packed(r.n, out, form, NULL, NULL, r.e->k, &err), err);
    rig_drop(&r);
    rig_load(&r, out, 0, TOWER_EVAL);
    assert_int_equal(r.source.form, form);
    rig_open_without(&again, folder, without, TOWER_EVAL);
    assert_int_equal(again.n->params.floats, r.n->params.floats);
    if (form == WEIGHTS_F32)
        assert_memory_equal(again.n->mem.mem, r.n->mem.mem,
                            r.n->params.floats * sizeof(float));
    else
        for (size_t i = 0; i < r.n->params.floats; i++)
            CHECK_NEAR(((float *)(void *)r.n->mem.mem)[i],
                       ((float *)(void *)again.n->mem.mem)[i], most * 4);
    assert_int_equal(!r.n->image, !again.n->image);
    assert_int_equal(!r.n->text, !again.n->text);
    rig_close(&again);

    rig_drop(&r);
    rig_load(&r, out, 0, TOWER_INFER);
    assert_non_null(r.n->mapped);
    forward(&r);
    if (r.n->image) check_within(&r, r.img, "image_features", most);
    if (r.n->text) check_within(&r, r.txt, "text_features", most);
    rig_close(&r);
    remove(out);
}

/* packed: clipc's own file in every form, of a ViT, a ResNet and relatives, of a model
 * of one tower */
static void test_packed(void **state)
{
    static const struct {
        const char *folder;
        char without;
    } cases[] = {{MODELS "oc_vit_gelu", 0},
                 {MODELS "oc_vit_gelu", 't'},
                 {MODELS "oc_vit_gelu", 'i'},
                 {MODELS "oc_rn", 0},
                 {VARIANTS "coca", 0},
                 {VARIANTS "coca_cascade", 0},
                 {VARIANTS "qk_norm", 0},
                 {VARIANTS "text_siglip", 0},
                 {VARIANTS "hf_siglip", 0},
                 {VARIANTS "siglip", 0},
                 {VARIANTS "bert_pooler", 0},
                 {VARIANTS "bert_linear", 0},
                 {VARIANTS "xlm_roberta", 0},
                 {VARIANTS "m_clip", 0},
                 {VARIANTS "eva02_base_patch16_clip_224", 0},
                 {VARIANTS "eva02_enormous_patch14_clip_224", 0},
                 {VARIANTS "vit_pe_core_base_patch16_224", 0},
                 {VARIANTS "convnext_tiny", 0},
                 {VARIANTS "convnext_xxlarge", 0},
                 {VARIANTS "rectangle_resized", 0},
                 {VARIANTS "eva02_resized", 0},
                 {VARIANTS "vitamin_small_224", 0},
                 {VARIANTS "vitamin_xlarge_384", 0},
                 {VARIANTS "vit_base_mci_224", 0},
                 {VARIANTS "fastvit_mci0", 0},
                 {VARIANTS "fastvit_mci3", 0}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        check_packed(cases[i].folder, cases[i].without, WEIGHTS_F32, 1e-5);
        check_packed(cases[i].folder, cases[i].without, WEIGHTS_F16, 4e-3);
        check_packed(cases[i].folder, cases[i].without, WEIGHTS_BF16, 3e-2);
        check_packed(cases[i].folder, cases[i].without, WEIGHTS_I8, 6e-2);
    }
}

/* Folds a FastViT's tensors: all but one, one made a vector, one under another name. */
static int fold_changed(const char *lack, const char *flat, const char *renamed,
                        clipc_err *err)
{
    const char *name = VARIANTS "fastvit_mci0/open_clip_model.safetensors";
    tensor_file *whole, *f;
    int rc;

    CHECK_OK(safetensors_open(&whole, name, err), *err);
    CHECK_OK(tensor_file_new(&f, name, err), *err);
    for (size_t i = 0; i < tensor_file_count(whole); i++) {
        tensor t = *tensor_file_at(whole, i);
        size_t bytes;
        dtype_bytes(&bytes, t.dt, t.n);
        if (lack && strcmp(t.name, lack) == 0) continue;
        if (flat && strcmp(t.name, flat) == 0) t.dims[0] = t.n, t.n_dims = 1;
        if (renamed && strcmp(t.name, "logit_scale") == 0) t.name = renamed;
        CHECK_OK(tensor_file_add(f, t, bytes, false, name, err), *err);
    }
    CHECK_OK(tensor_file_finish(f, name, err), *err);
    rc = fold_fastvit(f, name, err);
    tensor_file_free(f);
    tensor_file_free(whole);
    return rc;
}

#define T     "visual.trunk."
#define BLOCK T "stages.0.blocks.1."
#define ATTN  T "stages.3.blocks.0."

/* fold: branches that lack a tensor, or have one of a wrong shape */
static void test_fold(void **state)
{
    static const char *const needed[] = {
        T "stem.0.conv_kxk.0.bn.running_var",
        T "stem.1.conv_scale.bn.bias",
        T "stem.2.identity.running_mean",
        T "stages.1.downsample.proj.0.small_conv.bn.weight",
        BLOCK "token_mixer.norm.identity.weight",
        BLOCK "token_mixer.layer_scale.gamma",
        BLOCK "mlp.conv.bn.bias",
        BLOCK "mlp.fc2.bias",
        BLOCK "layer_scale.gamma",
        T "stages.3.pos_emb.pos_enc.bias",
        ATTN "norm.weight",
        ATTN "token_mixer.proj.bias",
        ATTN "layer_scale_1.gamma"};
    static const struct {
        const char *name, *why;
    } flat[] = {
        {T "stem.0.conv_kxk.0.conv.weight", "no weights"},
        {T "stem.0.conv_scale.conv.weight", "shape [12], wanted [4,3,3,3]"},
        {T "stages.1.downsample.proj.0.small_conv.conv.weight",
         "shape [72], wanted [8,1,7,7]"},
        {BLOCK "token_mixer.mixer.conv_scale.conv.weight", "shape [4], wanted [4,1,3,3]"},
        {ATTN "layer_scale_2.gamma", "shape [32], wanted [32,1,1]"}};
    clipc_err err;

    (void)state;
    CHECK_OK(fold_changed(NULL, NULL, NULL, &err), err);
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++) {
        char why[128];
        snprintf(why, sizeof why, "no tensor %s", needed[i]);
        CHECK_FAILS(fold_changed(needed[i], NULL, NULL, &err), CLIPC_ERR_FORMAT, err,
                    why);
    }
    for (size_t i = 0; i < sizeof flat / sizeof flat[0]; i++)
        CHECK_FAILS(fold_changed(NULL, flat[i].name, NULL, &err), CLIPC_ERR_FORMAT, err,
                    flat[i].why);
    CHECK_FAILS(fold_changed(NULL, NULL, ATTN "mlp.reparam_fc2.bias", &err),
                CLIPC_ERR_FORMAT, err, "stored twice");
}

#undef T
#undef BLOCK
#undef ATTN

static image_cfg fastvit_cfg(void)
{
    return (image_cfg){.family = IMAGE_FASTVIT,
                       .image_size = 64,
                       .embed_dim = 20,
                       .stages = {1, 1},
                       .dims = {16, 32},
                       .mlp_dims = {8, 8},
                       .attention_stages = 1,
                       .proj = PROJ_LINEAR_BIAS};
}

/* FastViT: what it is not made for; its sizes when a file names wrong ones */
static void test_fastvit(void **state)
{
    image_cfg c[7];
    void *tower;
    clipc_err err;
    rig r;

    (void)state;
    rig_open(&r, VARIANTS "fastvit_mci0", TOWER_EVAL);
    CHECK_FAILS(config_lay_out(&r.n->cfg, LAYOUT_OPEN_CLIP, "x", &err), CLIPC_ERR_FEATURE,
                err, "branches were folded");
    CHECK_FAILS(config_lay_out(&r.n->cfg, LAYOUT_HF, "x", &err), CLIPC_ERR_FEATURE, err,
                "branches were folded");
    CHECK_FAILS(r.n->ops->acts_make(&tower, r.n->image, 1, TOWER_TRAIN, &err),
                CLIPC_ERR_FEATURE, err, "it is a FastViT");
    rig_close(&r);

    for (size_t i = 0; i < 7; i++) c[i] = fastvit_cfg();
    CHECK_OK(fastvit_ops.make(&tower, &c[0], &err), err);
    fastvit_ops.destroy(tower);
    c[0].dims[1] = 40;
    CHECK_FAILS(fastvit_ops.make(&tower, &c[0], &err), CLIPC_ERR_FORMAT, err,
                "40 channels of 16");
    c[1].dims[1] = 48;
    CHECK_FAILS(fastvit_ops.make(&tower, &c[1], &err), CLIPC_ERR_FORMAT, err,
                "heads of 32");
    c[2].stages[0] = 0;
    CHECK_FAILS(fastvit_ops.make(&tower, &c[2], &err), CLIPC_ERR_FORMAT, err,
                "number of stages");
    c[3].attention_stages = SIZE_MAX;
    CHECK_FAILS(fastvit_ops.make(&tower, &c[3], &err), CLIPC_ERR_FORMAT, err,
                "with attention");
    c[4].squeeze_stages = 3;
    CHECK_FAILS(fastvit_ops.make(&tower, &c[4], &err), CLIPC_ERR_FORMAT, err,
                "excitation");
    c[5].mlp_dims[1] = 0;
    CHECK_FAILS(fastvit_ops.make(&tower, &c[5], &err), CLIPC_ERR_FORMAT, err, "MLP");
    c[6].proj = PROJ_LINEAR;
    CHECK_FAILS(fastvit_ops.make(&tower, &c[6], &err), CLIPC_ERR_FEATURE, err,
                "classifier");
}

/* shapes: our parameter tables have exactly the tensors of OpenAI's nine models */
static void test_shapes(void **state)
{
    clipc_err err;
    json_t *root, *spec;
    const char *name;

    (void)state;
    CHECK_OK(json_read(&root, MODELS "shapes.json", &err), err);
    json_object_foreach(json_object_get(root, "models"), name, spec)
    {
        const json_t *tensors = json_object_get(spec, "tensors");
        param_list l = {0};
        clip_cfg cfg;
        void *tower;
        void *text;

        const image_ops *ops = strncmp(name, "RN", 2) == 0 ? &resnet_ops : &vit_ops;
        CHECK_OK(
            config_open_clip(&cfg, json_object_get(spec, "model_cfg"), NULL, name, &err),
            err);
        CHECK_OK(ops->make(&tower, &cfg.image, &err), err);
        CHECK_OK(textnet_ops.make(&text, &cfg.text, &err), err);
        CHECK_OK(ops->params(tower, &l, &err), err);
        CHECK_OK(textnet_ops.params(text, &l, &err), err);
        /* logit_scale belongs to neither tower */
        assert_int_equal(l.n + 1, json_object_size(tensors));
        assert_int_equal(l.count + 1,
                         json_integer_value(json_object_get(spec, "params")));
        for (size_t i = 0; i < l.n; i++) {
            const json_t *dims = json_object_get(tensors, l.v[i].name);
            if (!dims) fail_msg("%s: %s is no tensor of it", name, l.v[i].name);
            assert_int_equal(json_array_size(dims), l.v[i].n_dims);
            for (size_t d = 0; d < l.v[i].n_dims; d++)
                assert_int_equal(json_integer_value(json_array_get(dims, d)),
                                 l.v[i].dims[d]);
        }
        param_list_free(&l);
        ops->destroy(tower);
        textnet_ops.destroy(text);
        clip_cfg_free(&cfg);
    }
    json_decref(root);
}

static void end_to_end(size_t batch)
{
    const char *folder = MODELS "e2e";
    const clipc_ctx_options options = {.threads = 2, .max_batch = batch};
    clipc_model *m;
    clipc_ctx *ctx;
    clipc_err err;
    json_t *g;
    const char *labels[6], *template;
    float weights[6 * 16], vector[16], scores[6];

    CHECK_OK(json_read(&g, MODELS "e2e/golden.json", &err), err);
    for (size_t i = 0; i < 6; i++)
        labels[i] = json_string_value(json_array_get(json_object_get(g, "labels"), i));
    template = json_string_value(json_object_get(g, "template"));
    CHECK_OK(clipc_model_open(&m, folder, &err), err);
    CHECK_OK(clipc_ctx_new(&ctx, m, &options, &err), err);
    CHECK_OK(clipc_classifier(ctx, weights, labels, 6, &template, 1, &err), err);
    for (size_t i = 0; i < 3; i++) {
        const json_t *want = json_array_get(json_object_get(g, "scores"), i);
        char path[256];
        snprintf(path, sizeof path, "%s/%s", folder,
                 json_string_value(json_array_get(json_object_get(g, "images"), i)));
        CHECK_OK(clipc_encode_image_file(ctx, vector, path, &err), err);
        clipc_similarity(scores, vector, 1, weights, 6, 16,
                         clipc_model_info_of(m)->logit_scale);
        clipc_softmax(scores, 1, 6);
        for (size_t k = 0; k < 6; k++) /* measured 1e-7 */
            CHECK_NEAR(scores[k], json_real_value(json_array_get(want, k)), 2e-6);
    }
    clipc_ctx_free(ctx);
    clipc_model_free(m);
    json_decref(g);
}

/* end to end: a JPEG, a PNG with alpha and a WebP with texts give open_clip's
 * probabilities */
static void test_end_to_end(void **state)
{
    (void)state;
    end_to_end(1);
    end_to_end(4);
}

/* index: tensors spread over files that an index names; names that lead elsewhere */
static void test_index(void **state)
{
    const char *part = "build/test_index_part.safetensors";
    const char *index = "build/test_index.index.json";
    tensor_file *whole, *f;
    json_t *map = json_object(), *root = json_pack("{s:o}", "weight_map", map);
    clipc_err err;

    (void)state;
    CHECK_OK(any_file_open(&whole, MODELS "hf_vit/model.safetensors", &err), err);
    assert_int_equal(system("cp " MODELS "hf_vit/model.safetensors "
                            "build/test_index_part.safetensors"),
                     0);
    for (size_t i = 0; i < tensor_file_count(whole); i++)
        json_object_set_new(map, tensor_file_at(whole, i)->name,
                            json_string(path_base(part)));
    assert_int_equal(json_dump_file(root, index, 0), 0);
    CHECK_OK(any_file_open(&f, index, &err), err);
    assert_int_equal(tensor_file_count(f), tensor_file_count(whole));
    for (size_t i = 0; i < tensor_file_count(f); i++) {
        const tensor *a = tensor_file_at(f, i), *b = tensor_file_at(whole, i);
        assert_string_equal(a->name, b->name);
        assert_memory_equal(a->data, b->data, a->n * dtype_size(a->dt));
    }
    tensor_file_free(f);
    json_object_set_new(map, "x",
                        json_string("../"
                                    "test_index_part.safetensors"));
    assert_int_equal(json_dump_file(root, index, 0), 0);
    CHECK_FAILS(any_file_open(&f, index, &err), CLIPC_ERR_FORMAT, err, "plain file name");
    assert_null(f);
    json_decref(root);
    tensor_file_free(whole);
    remove(part), remove(index);
}

/* config: two poolers on a width that is not the embedding's, where open_clip's ln_post
 * would not fit */
static void test_two_poolers(void **state)
{
    json_t *model = json_pack("{s:i,s:{s:s,s:i},s:{}}", "embed_dim", 64, "vision_cfg",
                              "attentional_pool", "cascade", "width", 128, "text_cfg");
    clipc_err err;
    clip_cfg cfg;
    void *tower;

    (void)state;
    CHECK_OK(config_open_clip(&cfg, model, NULL, "x", &err), err);
    assert_int_equal(cfg.image.coca_pool, COCA_CASCADE);
    CHECK_FAILS(vit_ops.make(&tower, &cfg.image, &err), CLIPC_ERR_FORMAT, err,
                "two poolers");
    json_decref(model);
}

static int open_config(clip_cfg *cfg, const char *vision, clipc_err *err)
{
    json_t *root = json_pack("{s:i,s:o,s:{}}", "embed_dim", 20, "vision_cfg",
                             json_loads(vision, 0, NULL), "text_cfg");
    const int rc = config_open_clip(cfg, root, NULL, "config", err);

    json_decref(root);
    return rc;
}

/* config: a ConvNeXt is taken for no other, and needs timm's name in clipc's own words */
static void test_convnext_config(void **state)
{
    clipc_err err;
    clip_cfg cfg;
    void *acts, *tower;

    (void)state;
    CHECK_OK(open_config(&cfg,
                         "{\"timm_model_name\": \"convnext_xxlarge.x\", "
                         "\"timm_pool\": \"\", \"timm_proj\": \"mlp\"}",
                         &err),
             err);
    assert_int_equal(cfg.image.family, IMAGE_CONVNEXT);
    assert_int_equal(cfg.image.proj, PROJ_MLP);
    CHECK_FAILS(convnext_ops.make(&tower, &cfg.image, &err), CLIPC_ERR_FORMAT, err,
                "a ConvNeXt with stages of 0");
    for (size_t s = 0; s < 4; s++)
        cfg.image.stages[s] = 1, cfg.image.dims[s] = 3, cfg.image.mlp_dims[s] = 5;
    CHECK_OK(convnext_ops.make(&tower, &cfg.image, &err), err);
    CHECK_FAILS(convnext_ops.acts_make(&acts, tower, 1, TOWER_TRAIN, &err),
                CLIPC_ERR_FEATURE, err, "is not trained: it is a ConvNeXt");
    convnext_ops.destroy(tower);
    CHECK_FAILS(open_config(&cfg,
                            "{\"timm_model_name\": \"convnext_large_mlp\", "
                            "\"timm_pool\": \"\", \"timm_proj\": \"linear\"}",
                            &err),
                CLIPC_ERR_FEATURE, err, "\"convnext_large_mlp\" is not supported");
    CHECK_FAILS(open_config(&cfg, "{\"clipc\": {\"family\": \"convnext\"}}", &err),
                CLIPC_ERR_FORMAT, err, "without timm's name");
}

/* load: what is wrong with a checkpoint is said in one line */
static void test_bad_checkpoints(void **state)
{
    clipc_model *m;
    clipc_err err;

    (void)state;
    CHECK_FAILS(clipc_model_open(&m, "tests/no-such/", &err), CLIPC_ERR_IO, err,
                "no such model");
    CHECK_FAILS(clipc_model_open(&m, "tests/golden/", &err), CLIPC_ERR_IO, err,
                "no model");
    assert_null(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_forward),
                                       cmocka_unit_test(test_variants),
                                       cmocka_unit_test(test_gradients),
                                       cmocka_unit_test(test_running_stats),
                                       cmocka_unit_test(test_adamw),
                                       cmocka_unit_test(test_save),
                                       cmocka_unit_test(test_layouts),
                                       cmocka_unit_test(test_packed),
                                       cmocka_unit_test(test_shapes),
                                       cmocka_unit_test(test_end_to_end),
                                       cmocka_unit_test(test_index),
                                       cmocka_unit_test(test_two_poolers),
                                       cmocka_unit_test(test_convnext_config),
                                       cmocka_unit_test(test_bad_checkpoints),
                                       cmocka_unit_test(test_image_size),
                                       cmocka_unit_test(test_preprocess_config),
                                       cmocka_unit_test(test_fold),
                                       cmocka_unit_test(test_fastvit)};
    return cmocka_run_group_tests_name("model", tests, NULL, NULL);
}
