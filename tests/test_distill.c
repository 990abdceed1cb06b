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

static const char *const kinds[] = {[DISTILL_LOGITS] = "logits",
                                    [DISTILL_EMBEDDINGS] = "embeddings",
                                    [DISTILL_FEATURES] = "features",
                                    [DISTILL_CLASSES] = "classes"};

static float *tensor_of(const tensor_file *f, size_t B, const char *what, size_t *n)
{
    char name[96];

    snprintf(name, sizeof name, "%zu/%s", B, what);
    return golden_f32(f, name, n);
}

/* have = before + weight * want, which has all rows or every 50th; measured 8e-7. */
static void check_added(const tensor_file *f, size_t B, distill_kind kind,
                        const char *what, const float *have, float before, float weight,
                        size_t width)
{
    const size_t every = B > 64 && width > 1 ? 50 : 1;
    char name[64];
    size_t n;

    snprintf(name, sizeof name, "%s/%s", kinds[kind], what);
    float *want = tensor_of(f, B, name, &n);
    for (size_t i = 0; i < n; i++) {
        const double x = (double)before + (double)weight * (double)want[i];
        CHECK_NEAR(have[i / width * every * width + i % width], x,
                   2e-6 * (1.0 + fabs(x)));
    }
    free(want);
}

enum { E = 3, TE = 4, CLASSES = 6, MAPS = 2 * TE * E };

static float *filled(size_t n, float x)
{
    float *v = malloc(n * sizeof *v);

    for (size_t i = 0; i < n; i++) v[i] = x;
    return v;
}

static void check_kind(exec *e, const tensor_file *f, size_t B, distill_kind kind)
{
    const float before = 0.5f;
    const bool classes = kind == DISTILL_CLASSES;
    const size_t width = kind == DISTILL_EMBEDDINGS ? E : TE;
    float *img = tensor_of(f, B, "img", NULL), *scale = tensor_of(f, B, "scale", NULL);
    float *txt = tensor_of(f, B, classes ? "classes" : "txt", NULL);
    float *timg = tensor_of(f, B, width == E ? "3/timg" : "4/timg", NULL);
    float *ttxt = tensor_of(f, B, width == E ? "3/ttxt" : "4/ttxt", NULL);
    float *maps = tensor_of(f, B, "maps", NULL), *dmaps = filled(MAPS, before);
    float *dimg = filled(B * E, before), *dtxt = filled((B + CLASSES) * E, before);
    float dscale = before, loss;
    const distillation d = {.kind = kind,
                            .weight = 0.75f,
                            .classes = classes ? CLASSES : 0,
                            .E = E,
                            .teacher_E = width,
                            .maps = maps,
                            .maps_grads = dmaps};
    const distill_side student = {img, txt, scale[0]}, teacher = {timg, ttxt, scale[1]};
    arena a = arena_measure();
    distill_room room;
    clipc_err err;

    distill_room_take(&room, &a, &d, B);
    CHECK_OK(arena_new(&a, a.used, "test", &err), err);
    distill_room_take(&room, &a, &d, B);
    loss = distill_fwd_bwd(e, &d, (distill_grads){dimg, dtxt, &dscale}, &room, &student,
                           &teacher, B);
    check_added(f, B, kind, "loss", &loss, 0.0f, d.weight, 1);
    check_added(f, B, kind, "dscale", &dscale, before, d.weight, 1);
    check_added(f, B, kind, "dimg", dimg, before, d.weight, E);
    check_added(f, B, kind, "dtxt", dtxt, before, d.weight, E);
    check_added(f, B, kind, "dmaps", dmaps, before, d.weight, 1);
    arena_free(&a);
    free(img);
    free(txt);
    free(scale);
    free(timg);
    free(ttxt);
    free(maps);
    free(dmaps);
    free(dimg);
    free(dtxt);
}

/* distill: all kinds, whose gradients are added; one pair, several blocks of rows */
static void test_losses(void **state)
{
    static const size_t batches[] = {1, 7, 64, 1100};
    tensor_file *f = golden_open("tests/golden/distill");
    clipc_err err;
    exec *e;

    level_kernels(state);
    CHECK_OK(exec_new(&e, 2, 0, &err), err);
    for (size_t i = 0; i < sizeof batches / sizeof batches[0]; i++)
        for (size_t kind = 0; kind < sizeof kinds / sizeof kinds[0]; kind++)
            check_kind(e, f, batches[i], (distill_kind)kind);
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
