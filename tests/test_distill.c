/* What a student owes its teacher, against open_clip and PyTorch
 * (tests/golden/make_distill.py); a run that learns from one. */
#include "check.h"

#include <stdlib.h>

#include "clipc_train.h"
#include "golden_file.h"
#include "levels.h"
#include "train/distill.h"
#include "train_rig.h"

#define ROOT "build/test_distill/"

static float *tensor_of(const tensor_file *f, size_t B, const char *what, size_t *n)
{
    char name[96];

    snprintf(name, sizeof name, "%zu/%s", B, what);
    return golden_f32(f, name, n);
}

static float *of_kind(const tensor_file *f, size_t B, distill_kind kind, const char *what,
                      size_t *n)
{
    char name[64];

    snprintf(name, sizeof name, "%s/%s", kind == DISTILL_LOGITS ? "logits" : "embeddings",
             what);
    return tensor_of(f, B, name, n);
}

/* have = before + weight * want, which has all rows or every 50th; measured 4e-7. */
static void check_added(const tensor_file *f, size_t B, distill_kind kind,
                        const char *what, const float *have, float before, float weight,
                        size_t width)
{
    const size_t every = B > 64 ? 50 : 1;
    size_t n;
    float *want = of_kind(f, B, kind, what, &n);

    for (size_t i = 0; i < n; i++) {
        const double x = (double)before + (double)weight * (double)want[i];
        CHECK_NEAR(have[i / width * every * width + i % width], x,
                   1e-6 * (1.0 + fabs(x)));
    }
    free(want);
}

static void check_kind(exec *e, const tensor_file *f, size_t B, distill_kind kind)
{
    const float weight = 0.75f, before = 0.5f;
    size_t n, tn;
    float *img = tensor_of(f, B, "img", &n), *txt = tensor_of(f, B, "txt", NULL);
    float *scale = tensor_of(f, B, "scale", NULL);
    float *timg = of_kind(f, B, kind, "timg", &tn),
          *ttxt = of_kind(f, B, kind, "ttxt", NULL);
    float *d = malloc(2 * n * sizeof *d), dscale = before, loss;
    const distill_side student = {img, txt, scale[0], n / B},
                       teacher = {timg, ttxt, scale[1], tn / B};
    arena a = arena_measure();
    distill_room room;
    clipc_err err;

    distill_room_take(&room, &a, B, n / B);
    CHECK_OK(arena_new(&a, a.used, "test", &err), err);
    distill_room_take(&room, &a, B, n / B);
    for (size_t i = 0; i < 2 * n; i++) d[i] = before;
    loss =
        distill_fwd_bwd(e, kind, weight, d, d + n, &dscale, &room, &student, &teacher, B);
    check_added(f, B, kind, "loss", &loss, 0.0f, weight, 1);
    check_added(f, B, kind, "dscale", &dscale, before, weight, 1);
    check_added(f, B, kind, "dimg", d, before, weight, n / B);
    check_added(f, B, kind, "dtxt", d + n, before, weight, n / B);
    arena_free(&a);
    free(d);
    free(img);
    free(txt);
    free(scale);
    free(timg);
    free(ttxt);
}

/* distill: both kinds, whose gradients are added; one pair, several blocks of rows */
static void test_losses(void **state)
{
    static const size_t batches[] = {1, 7, 64, 600};
    tensor_file *f = golden_open("tests/golden/distill");
    clipc_err err;
    exec *e;

    level_kernels(state);
    CHECK_OK(exec_new(&e, 2, 0, &err), err);
    for (size_t i = 0; i < sizeof batches / sizeof batches[0]; i++) {
        check_kind(e, f, batches[i], DISTILL_LOGITS);
        check_kind(e, f, batches[i], DISTILL_EMBEDDINGS);
    }
    exec_free(e);
    tensor_file_free(f);
}

static clipc_trainer *start(const char *more, const char *out, clipc_err *err)
{
    clipc_trainer *t;
    char json[2048];

    snprintf(json, sizeof json,
             "{\"data\":\"" ROOT "pairs\",\"augment\":{\"flip\":0.5,\"grey\":0,\"crop\":"
             "[0.5,1]},\"batch_size\":16,\"steps\":60,\"warmup\":0,\"lr\":0.002,"
             "\"grad_clip\":0,\"threads\":2,\"precision\":\"f32\"%s}",
             more);
    return clipc_trainer_open(&t, json, "test", out, 0, err) == CLIPC_OK ? t : NULL;
}

static const char small[] =
    ",\"model\":{\"embed_dim\":16,\"vision_cfg\":{\"image_size\":32,\"layers\":1,"
    "\"width\":32,\"patch_size\":8,\"head_width\":16},\"text_cfg\":{\"context_length\":"
    "12,\"vocab_size\":49408,\"width\":32,\"heads\":2,\"layers\":1}}";

/* distill: a copy of the teacher owes it nothing by embeddings, so the loss is the
 * contrastive one; another start nears it, at its own size and context length */
static void test_student(void **state)
{
    static const char teacher[] = ",\"distill\":\"" ROOT "teacher\",\"distill_loss\":"
                                  "\"embeddings\",\"distill_weight\":10";
    char more[1024];
    clipc_trainer *t;
    clipc_err err;

    (void)state;
    assert_non_null(t = start(small, ROOT "teacher", &err));
    train_rig_steps(t, 40);
    CHECK_OK(clipc_trainer_save(t, &err), err);
    clipc_trainer_free(t);

    snprintf(more, sizeof more, ",\"init\":\"" ROOT "teacher\"");
    assert_non_null(t = start(more, ROOT "alone", &err));
    const double alone = train_rig_steps(t, 1);
    clipc_trainer_free(t);
    snprintf(more, sizeof more, ",\"init\":\"" ROOT "teacher\"%s", teacher);
    assert_non_null(t = start(more, ROOT "copy", &err));
    CHECK_NEAR(train_rig_steps(t, 1), alone, 1e-4);
    clipc_trainer_free(t);

    snprintf(more, sizeof more, "%s%s,\"seed\":5", small, teacher);
    char *size = strstr(more, "\"image_size\":32");
    memcpy(size, "\"image_size\":24", 15);
    assert_non_null(t = start(more, ROOT "student", &err));
    const double first = train_rig_steps(t, 1), last = train_rig_steps(t, 59);
    assert_true(first > 9.0 && last < 0.5 * first); /* measured: 10.7, 2.8 */
    clipc_trainer_free(t);
}

/* distill: what cannot be is told in a line */
static void test_errors(void **state)
{
    char more[1024];
    clipc_err err;

    (void)state;
    snprintf(more, sizeof more, "%s,\"distill\":\"no-such-model\"", small);
    assert_null(start(more, ROOT "no", &err));
    assert_non_null(strstr(err.msg, "no-such-model"));
    snprintf(more, sizeof more, "%s,\"distill\":\"tests/golden/models/oc_rn\"", small);
    assert_null(start(more, ROOT "no", &err));
    assert_non_null(
        strstr(err.msg, "oc_rn: its 40 tokens are not those of its tokenizer"));
    snprintf(more, sizeof more,
             ",\"distill\":\"" ROOT "teacher\",\"distill_loss\":\"embeddings\"");
    assert_null(start(more, ROOT "no", &err));
    assert_non_null(strstr(err.msg, "embeddings of 16 numbers, the model's have 256"));
}

static int make_pairs(void **state)
{
    (void)state;
    train_rig_pairs(ROOT "pairs");
    return 0;
}

static int remove_all(void **state)
{
    (void)state;
    return system("rm -rf " ROOT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {EACH_LEVEL(test_losses),
                                       cmocka_unit_test(test_student),
                                       cmocka_unit_test(test_errors)};
    return cmocka_run_group_tests_name("distill", tests, make_pairs, remove_all);
}
