/* What configs say of towers and preprocessing, and what is refused of them; FastViT
 * folded. */
#include "check.h"

#include <stdlib.h>

#include "base/file.h"
#include "clip/fold.h"
#include "io/safetensors.h"
#include "model_rig.h"

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
    CHECK_FAILS(r.n->ops->acts_make(&tower, NULL, r.n->image, 1, TOWER_TRAIN, &err),
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

static size_t sentence_context(const char *limits, clipc_err *err)
{
    json_t *bert = json_loads("{\"model_type\":\"bert\"}", 0, NULL);
    json_t *more = limits ? json_loads(limits, 0, NULL) : NULL;
    clip_cfg cfg;
    const int rc = config_sentence(&cfg, bert, more, NULL, "here", err);
    const size_t context = rc == CLIPC_OK ? cfg.text.context_length : 0;

    clip_cfg_free(&cfg);
    json_decref(bert), json_decref(more);
    return context;
}

/* config: where sentence-transformers cuts a text */
static void test_sentence(void **state)
{
    clipc_err err;

    (void)state;
    assert_int_equal(sentence_context(NULL, &err), 128);
    assert_int_equal(sentence_context("{\"max_seq_length\":null}", &err), 128);
    assert_int_equal(sentence_context("{\"max_seq_length\":256}", &err), 256);
    assert_int_equal(sentence_context("{\"max_seq_length\":-1}", &err), 0);
    assert_non_null(strstr(err.msg, "max_seq_length"));
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
    CHECK_FAILS(convnext_ops.acts_make(&acts, NULL, tower, 1, TOWER_TRAIN, &err),
                CLIPC_ERR_FEATURE, err, "is not trained, it is a ConvNeXt");
    convnext_ops.destroy(tower);
    CHECK_FAILS(open_config(&cfg,
                            "{\"timm_model_name\": \"convnext_large_mlp\", "
                            "\"timm_pool\": \"\", \"timm_proj\": \"linear\"}",
                            &err),
                CLIPC_ERR_FEATURE, err, "\"convnext_large_mlp\" is not supported");
    CHECK_FAILS(open_config(&cfg, "{\"clipc\": {\"family\": \"convnext\"}}", &err),
                CLIPC_ERR_FORMAT, err, "without timm's name");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_preprocess_config), cmocka_unit_test(test_fold),
        cmocka_unit_test(test_fastvit),           cmocka_unit_test(test_two_poolers),
        cmocka_unit_test(test_convnext_config),   cmocka_unit_test(test_sentence)};
    return cmocka_run_group_tests_name("configs", tests, NULL, NULL);
}
