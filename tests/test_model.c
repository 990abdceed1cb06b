/* Both towers against PyTorch in float64 (tests/golden/make_models.py, make_variants.py):
 * features and logits; pictures and positions of other sizes; the public functions. */
#include "check.h"

#include <stdlib.h>

#include "io/any_file.h"
#include "levels.h"
#include "model_rig.h"
#include "nn/rows.h"

static void check_forward(const char *folder, tower_mode mode)
{
    rig r;
    size_t n;

    rig_open(&r, folder, mode);
    rig_forward(&r);
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
                                        MODELS "hf_vit",       MODELS "hf_vit_old",
                                        MODELS "oc_rn",        MODELS "effnet"};
    level_kernels(state);
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

    level_kernels(state);
    CHECK_OK(json_read(&root, VARIANTS "golden.json", &err), err);
    assert_true(json_object_size(json_object_get(root, "own_float32_error")) >= 23);
    json_object_foreach(json_object_get(root, "own_float32_error"), name, errors)
    {
        for (size_t i = 0; i < 2; i++) {
            char folder[128];
            rig r;
            snprintf(folder, sizeof folder, VARIANTS "%s", name);
            rig_open(&r, folder, modes[i]);
            rig_forward(&r);
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
    level_kernels(state);
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
    const struct CMUnitTest tests[] = {EACH_LEVEL(test_forward),
                                       EACH_LEVEL(test_variants),
                                       cmocka_unit_test(test_image_size),
                                       cmocka_unit_test(test_shapes),
                                       EACH_LEVEL(test_end_to_end),
                                       cmocka_unit_test(test_index),
                                       cmocka_unit_test(test_bad_checkpoints)};
    return cmocka_run_group_tests_name("model", tests, NULL, NULL);
}
