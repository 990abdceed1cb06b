/* Two towers put together, against PyTorch and transformers (tests/golden/make_head.py,
 * make_effnet.py). */
#include "check.h"

#include <stdlib.h>

#include "clip/vocab_cut.h"
#include "model_rig.h"

#define IMAGE MODELS "effnet_package"
#define TEXT  MODELS "sentences"
#define OWN   "build/test_assemble.clipc"

enum { D = 8 };

static clipc_assemble_options options(void)
{
    return (clipc_assemble_options){.image = IMAGE "/model.pth",
                                    .text = TEXT,
                                    .classes = TEXT "/classes.tsv",
                                    .seed = 1,
                                    .overwrite = 1};
}

static const float *weights(const net *n, const char *name, size_t count)
{
    const param *p = param_find(&n->params, name);

    assert_non_null(p);
    assert_int_equal(p->n, count);
    return *p->slot;
}

/* assemble: the classifier is the package's, its classes are called what transformers
 * makes of their names; what learns begins as it should */
static void test_parts(void **state)
{
    const clipc_assemble_options o = options();
    tensor_file *of_text = golden_open(TEXT), *of_image = golden_open(IMAGE);
    const kernels *k;
    model_source s;
    size_t n;
    net *made;
    clipc_err err;

    (void)state;
    CHECK_OK(kernels_pick(&k, &err), err);
    CHECK_OK(clipc_assemble(OWN, &o, &err), err);
    CHECK_OK(source_open(&s, OWN, &err), err);
    CHECK_OK(net_open(&made, &s, TOWER_EVAL, k, &err), err);
    double *classes = golden_f64(of_text, "classes", &n);
    const float *e = weights(made, "visual.head.classes.weight", n);
    CHECK_NEAR(relative_error(e, classes, n), 0.0, 2e-6); /* measured 4e-7 */
    float *fc = golden_f32(of_image, "classifier", &n);
    assert_memory_equal(weights(made, "visual.head.classifier.weight", n), fc,
                        n * sizeof *fc);
    CHECK_NEAR(*weights(made, "visual.head.class_scale", 1), 1.0, 0.0);
    CHECK_NEAR(*made->logit_scale, log(30.0), 1e-6);
    net_free(made);
    source_close(&s);
    tensor_file_free(of_text), tensor_file_free(of_image);
    free(classes), free(fc);
}

/* a text's vector is the text tower's own, whatever tokens were cut away; one seed gives
 * one file */
static void test_texts(void **state)
{
    static const char *const texts[] = {"cat", "A photo of a Dog!", "bed"};
    clipc_assemble_options o = options();
    const clipc_ctx_options one = {.threads = 1};
    tensor_file *g = golden_open(TEXT);
    size_t n;
    double *want = golden_f64(g, "texts", &n);
    float out[3 * D];
    buf first = {0}, second = {0};
    clipc_model *m;
    clipc_ctx *c;
    clipc_err err;

    (void)state;
    CHECK_OK(clipc_assemble(OWN, &o, &err), err);
    CHECK_OK(clipc_model_open(&m, OWN, &err), err);
    CHECK_OK(clipc_ctx_new(&c, m, &one, &err), err);
    assert_int_equal(clipc_model_info_of(m)->vocab_size, 36); /* of 40 */
    CHECK_OK(clipc_encode_texts(c, out, texts, NULL, 3, &err), err);
    for (size_t i = 0; i < 3 * D; i++) CHECK_NEAR(out[i], (float)want[i], 1e-6);
    clipc_ctx_free(c);
    clipc_model_free(m);
    CHECK_OK(file_read(&first, OWN, 1 << 24, &err), err);
    CHECK_OK(clipc_assemble(OWN, &o, &err), err);
    CHECK_OK(file_read(&second, OWN, 1 << 24, &err), err);
    assert_true(first.len == second.len && !memcmp(first.data, second.data, first.len));
    o.seed = 2;
    CHECK_OK(clipc_assemble(OWN, &o, &err), err);
    CHECK_OK(file_read(&second, OWN, 1 << 24, &err), err);
    assert_memory_not_equal(first.data, second.data, first.len);
    buf_free(&first), buf_free(&second);
    tensor_file_free(g);
    free(want);
}

/* vocabulary: which lines stay */
static void test_cut(void **state)
{
    static const char lines[] = "[PAD]\n[unused12]\n\xc3\xa9\n\xd0\xb4\n##\xce\xb1\n"
                                "\xe2\x82\xac\n\xe4\xb8\xad\n\xff\nend";
    const size_t want[] = {0, 2, 4, 5, 8};
    size_t *kept, n;
    buf words = {0};
    clipc_err err;

    (void)state;
    CHECK_OK(buf_puts(&words, lines, &err), err);
    CHECK_OK(vocab_cut(&kept, &n, &words, &err), err);
    assert_int_equal(n, 5);
    assert_memory_equal(kept, want, sizeof want);
    assert_string_equal(words.data, "[PAD]\n\xc3\xa9\n##\xce\xb1\n\xe2\x82\xac\nend");
    free(kept);
    buf_free(&words);
}

static void refuse(clipc_assemble_options o, int code, const char *why)
{
    clipc_err err;

    remove(OWN);
    CHECK_FAILS(clipc_assemble(OWN, &o, &err), code, err, why);
    assert_false(file_exists(OWN));
}

/* what is no such tower, no such list; nothing is written then, and nothing over a file
 */
static void test_refused(void **state)
{
    const char *list = "build/test_assemble.tsv";
    clipc_assemble_options o = options();
    clipc_err err;

    (void)state;
    o.image = MODELS "oc_vit_gelu";
    refuse(o, CLIPC_ERR_FEATURE, "oc_vit_gelu: no file of an EfficientNet-Lite");
    o = options(), o.text = MODELS "oc_vit_gelu";
    refuse(o, CLIPC_ERR_FEATURE, "oc_vit_gelu: no BERT");
    o = options(), o.classes = list;
    CHECK_OK(file_replace(list, "cat\ndog\n", 8, &err), err);
    refuse(o, CLIPC_ERR_FORMAT, "test_assemble.tsv: 2 lines, wanted one for each of 7");
    CHECK_OK(file_replace(list, "cat\n , \tgloss\n", 14, &err), err);
    refuse(o, CLIPC_ERR_FORMAT, "test_assemble.tsv: line 2: no word");
    remove(list);
    CHECK_OK(file_replace(OWN, "mine", 4, &err), err);
    o = options(), o.overwrite = 0;
    CHECK_FAILS(clipc_assemble(OWN, &o, &err), CLIPC_ERR_EXISTS, err, "exists already");
    remove(OWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts), cmocka_unit_test(test_texts),
        cmocka_unit_test(test_cut), cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests_name("assemble", tests, NULL, NULL);
}
