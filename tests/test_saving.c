/* Models saved and loaded again, in each layout and packed in each form. */
#include "check.h"

#include <stdlib.h>

#include "model_rig.h"

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
    rig_forward(&again);
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
    same_after_saving(VARIANTS "tf_efficientnet_lite0", LAYOUT_OPEN_CLIP,
                      RESIZE_SHORTEST);
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
    same_after_saving(MODELS "headed", LAYOUT_OPEN_CLIP, RESIZE_SQUASH);
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
        {MODELS "effnet", "no efficientnet", LAYOUT_HF},
        {MODELS "effnet", "no name for a tower", LAYOUT_OPEN_CLIP},
        {MODELS "headed", "no efficientnet", LAYOUT_HF},
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
    rig_forward(&r);
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
                 {VARIANTS "tf_efficientnet_lite0", 0},
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
                 {VARIANTS "fastvit_mci3", 0},
                 {MODELS "headed", 0}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        check_packed(cases[i].folder, cases[i].without, WEIGHTS_F32, 1e-5);
        check_packed(cases[i].folder, cases[i].without, WEIGHTS_F16, 4e-3);
        check_packed(cases[i].folder, cases[i].without, WEIGHTS_BF16, 3e-2);
        check_packed(cases[i].folder, cases[i].without, WEIGHTS_I8, 6e-2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_save),
                                       cmocka_unit_test(test_layouts),
                                       cmocka_unit_test(test_packed)};
    return cmocka_run_group_tests_name("saving", tests, NULL, NULL);
}
