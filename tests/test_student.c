/* A run that learns from another model: by its directions, by classes that both tell
 * apart. */
#include "check.h"

#include <stdlib.h>

#include "base/file.h"
#include "base/sizes.h"
#include "clipc_train.h"
#include "train/pass.h"
#include "train_rig.h"

#define ROOT "build/test_student/"

static clipc_trainer *open_run(const char *more, const char *out, int how, clipc_err *err)
{
    clipc_trainer *t;
    char json[2048];

    snprintf(json, sizeof json,
             "{\"data\":\"" ROOT "pairs\",\"augment\":{\"flip\":0.5,\"grey\":0,\"crop\":"
             "[0.5,1]},\"batch_size\":16,\"steps\":60,\"warmup\":0,\"lr\":0.002,"
             "\"grad_clip\":0,\"threads\":2,\"precision\":\"f32\"%s}",
             more);
    return clipc_trainer_open(&t, json, "test", out, how, err) == CLIPC_OK ? t : NULL;
}

static clipc_trainer *start(const char *more, const char *out, clipc_err *err)
{
    return open_run(more, out, CLIPC_TRAIN_NEW, err);
}

static clipc_trainer *go_on(const char *more, const char *out, clipc_err *err)
{
    clipc_trainer *t = open_run(more, out, CLIPC_TRAIN_RESUME, err);

    if (!t) fail_msg("%s", err->msg);
    return t;
}

static const char small[] =
    ",\"model\":{\"embed_dim\":16,\"vision_cfg\":{\"image_size\":32,\"layers\":1,"
    "\"width\":32,\"patch_size\":8,\"head_width\":16},\"text_cfg\":{\"context_length\":"
    "12,\"vocab_size\":49408,\"width\":32,\"heads\":2,\"layers\":1}}";

/* distill: a copy of the teacher owes it nothing by embeddings, so the loss is the
 * contrastive one; another start nears it, at its own size and context length */
static void test_student(void **state)
{
    static const char taught[] = ",\"distill\":\"" ROOT "teacher\",\"distill_loss\":"
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
    snprintf(more, sizeof more, ",\"init\":\"" ROOT "teacher\"%s", taught);
    assert_non_null(t = start(more, ROOT "copy", &err));
    CHECK_NEAR(train_rig_steps(t, 1), alone, 1e-4);
    clipc_trainer_free(t);

    snprintf(more, sizeof more, "%s%s,\"seed\":5", small, taught);
    char *size = strstr(more, "\"image_size\":32");
    memcpy(size, "\"image_size\":24", 15);
    assert_non_null(t = start(more, ROOT "student", &err));
    const double first = train_rig_steps(t, 1), last = train_rig_steps(t, 59);
    assert_true(first > 9.0 && last < 0.5 * first); /* measured: 10.7, 2.8 */
    clipc_trainer_free(t);
}

#define NAMES ROOT "names.json"
static const char *const labels[] = {"a red thing", "thing 3", "kind"};
static const char *const templates[] = {"a photo of {}.", "{}"};

/* A student, its teacher, and three classes of two templates; a batch of noise that both
 * see. */
typedef struct lesson {
    model_source source;
    tokenizer tokens;
    net *n, *grads;
    teacher *t;
    classes *c;
    exec *e;
    batch b;
    float *maps; /* and their gradients */
} lesson;

enum { B = 6, CHUNK = 4, SIDE = 32, CONTEXT = 12, DIM = 16, MAPS = 2 * DIM * DIM };

static void make_batch(batch *b, rng *r)
{
    const size_t pixels = (size_t)B * 3 * SIDE * SIDE;

    *b = (batch){.pixels = malloc(pixels * sizeof(float)),
                 .ids = calloc(B * CONTEXT, sizeof(int32_t))};
    rng_fill_normal(r, b->pixels, pixels, 0.0f, 1.0f);
    for (int i = 0; i < B; i++) {
        for (int k = 0; k < 6; k++)
            b->ids[i * CONTEXT + k] = (int32_t)rng_below(r, 49000);
        b->ids[i * CONTEXT + 6] = 49407;
    }
    b->teacher_pixels = b->pixels, b->teacher_ids = b->ids;
}

static void lesson_open(lesson *l)
{
    rng r = rng_seed(3, 0);
    const kernels *k;
    clipc_err err;

    CHECK_OK(kernels_pick(&k, &err), err);
    CHECK_OK(source_open(&l->source, ROOT "teacher", &err), err);
    CHECK_OK(tokenizer_open(&l->tokens, &l->source, &err), err);
    CHECK_OK(net_make(&l->n, &l->source.cfg, TOWER_TRAIN, &err), err);
    CHECK_OK(net_make(&l->grads, &l->source.cfg, TOWER_TRAIN, &err), err);
    net_init(l->n, &r);
    *l->n->logit_scale = 2.0f;
    CHECK_OK(teacher_open(&l->t, ROOT "teacher", B, k, &err), err);
    CHECK_OK(
        exec_new(&l->e, 2, max_size(pass_scratch(l->n), teacher_scratch(l->t)), &err),
        err);
    CHECK_OK(classes_open(&l->c, NAMES, &l->n->cfg, &err), err);
    CHECK_OK(classes_make(l->c, NULL, DIM, &err), err);
    CHECK_OK(classes_ask(l->c, &l->tokens, l->t, l->e, &err), err);
    make_batch(&l->b, &r);
    l->maps = calloc(2 * MAPS, sizeof *l->maps);
    rng_fill_normal(&r, l->maps, MAPS, 0.0f, 0.25f);
}

static void lesson_close(lesson *l)
{
    free(l->maps);
    free(l->b.pixels);
    free(l->b.ids);
    classes_free(l->c);
    teacher_close(l->t);
    net_free(l->grads);
    net_free(l->n);
    tokenizer_free(&l->tokens);
    source_close(&l->source);
    exec_free(l->e);
}

static double loss_of(lesson *l, distill_kind kind)
{
    const bool by_class = kind == DISTILL_CLASSES;
    const pass_cfg cfg = {.batch = B,
                          .chunk = CHUNK,
                          .objective = {.equal = EQUAL_NEGATIVE},
                          .teacher = l->t,
                          .distill = {.kind = kind,
                                      .weight = 3.0f,
                                      .classes = by_class ? classes_count(l->c) : 0,
                                      .E = DIM,
                                      .teacher_E = DIM,
                                      .maps = l->maps,
                                      .maps_grads = l->maps + MAPS},
                          .classes = by_class ? l->c : NULL};
    clipc_err err;
    pass p;

    CHECK_OK(pass_make(&p, NULL, l->n, l->grads, cfg, &err), err);
    const double loss = (double)pass_run(&p, l->e, &l->b);
    pass_free(&p);
    return loss;
}

/* The loss's slope along a direction at random is what the gradients say; both in parts
 * of their length. */
static void check_slope(lesson *l, distill_kind kind)
{
    const size_t n = l->n->params.floats;
    const double h = 1e-3;
    float *w = (float *)(void *)l->n->mem.mem, *g = (float *)(void *)l->grads->mem.mem;
    float *way = malloc((n + MAPS) * sizeof *way);
    double loss[2], said, size;
    rng r = rng_seed(9, kind);

    rng_fill_normal(&r, way, n + MAPS, 0.0f, 1.0f);
    memset(g, 0, n * sizeof *g);
    memset(l->maps + MAPS, 0, MAPS * sizeof *g);
    loss_of(l, kind);
    said = l->e->k->dot(g, way, n) + l->e->k->dot(l->maps + MAPS, way + n, MAPS);
    size =
        sqrt(l->e->k->dot(g, g, n) + l->e->k->dot(l->maps + MAPS, l->maps + MAPS, MAPS));
    for (int i = 0; i < 2; i++) {
        const float step = (float)(i ? -2.0 * h / size : h / size);
        l->e->k->axpy(w, step, way, n);
        l->e->k->axpy(l->maps, step, way + n, MAPS);
        loss[i] = loss_of(l, kind);
    }
    CHECK_NEAR((loss[0] - loss[1]) / (2.0 * h), said / size, 1e-3); /* measured 2e-4 */
    free(way);
}

/* features, classes: the gradients of a pass, of towers and of maps, are the slope of its
 * loss */
static void test_slopes(void **state)
{
    lesson l;

    (void)state;
    lesson_open(&l);
    check_slope(&l, DISTILL_FEATURES);
    check_slope(&l, DISTILL_CLASSES);
    lesson_close(&l);
}

/* classes: their directions are a classifier's, of the teacher and of the student */
static void test_directions(void **state)
{
    float want[3 * DIM];
    clipc_model *m;
    clipc_ctx *ctx;
    clipc_err err;
    lesson l;

    (void)state;
    lesson_open(&l);
    CHECK_OK(clipc_model_open(&m, ROOT "teacher", &err), err);
    CHECK_OK(clipc_ctx_new(&ctx, m, NULL, &err), err);
    CHECK_OK(clipc_classifier(ctx, want, labels, 3, templates, 2, &err), err);
    for (size_t i = 0; i < 3 * DIM; i++)
        CHECK_NEAR(classes_teacher(l.c)[i], want[i], 1e-6); /* measured 3e-7 */
    clipc_ctx_free(ctx);
    clipc_model_free(m);
    lesson_close(&l);
}

/* A run that learns, goes on to the bit where it was cut, and takes the same steps in
 * chunks. */
static void check_run(const char *more, double least)
{
    char chunks[1024];
    clipc_trainer *t;
    clipc_err err;

    assert_int_equal(system("rm -rf " ROOT "run " ROOT "chunks"), 0);
    assert_non_null(t = start(more, ROOT "run", &err));
    const double first = train_rig_steps(t, 1), fifth = train_rig_steps(t, 4);
    train_rig_steps(t, 15);
    CHECK_OK(clipc_trainer_save(t, &err), err);
    const double last = train_rig_steps(t, 20);
    clipc_trainer_free(t);
    if (!(first - last > least)) fail_msg("from %g to %g: %s", first, last, more);

    t = go_on(more, ROOT "run", &err);
    assert_true(train_rig_steps(t, 20) == last);
    clipc_trainer_free(t);

    snprintf(chunks, sizeof chunks, "%s,\"chunk\":5", more);
    assert_non_null(t = start(chunks, ROOT "chunks", &err));
    CHECK_NEAR(train_rig_steps(t, 5), fifth, 1e-4);
    clipc_trainer_free(t);
}

/* features, classes: the student has other widths than its teacher; classes with a locked
 * text tower too, whose directions are computed once */
static void test_runs(void **state)
{
    static const char features[] = ",\"distill\":\"" ROOT "teacher\",\"distill_loss\":"
                                   "\"features\",\"distill_weight\":10";
    static const char by_class[] = ",\"distill\":\"" ROOT "teacher\",\"distill_loss\":"
                                   "\"classes\",\"distill_weight\":2,"
                                   "\"distill_classes\":\"" NAMES "\"";
    char more[1024];

    (void)state;
    snprintf(more, sizeof more, "%s%s,\"seed\":5", small, features);
    memcpy(strstr(more, "\"embed_dim\":16"), "\"embed_dim\":24", 14);
    check_run(more, 2.0); /* measured 14.5 */
    snprintf(more, sizeof more, "%s%s,\"seed\":5", small, by_class);
    memcpy(strstr(more, "\"embed_dim\":16"), "\"embed_dim\":24", 14);
    check_run(more, 0.5); /* measured 1.4 */
    snprintf(more, sizeof more, ",\"init\":\"" ROOT "teacher\",\"lock_text\":true%s",
             by_class);
    check_run(more, 0.0); /* as good as its teacher to begin with: 0.005 */
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
    snprintf(more, sizeof more,
             ",\"distill\":\"" ROOT "teacher\",\"distill_loss\":\"classes\"");
    assert_null(start(more, ROOT "no", &err));
    assert_non_null(strstr(err.msg, "wants a file of them, \"distill_classes\""));
    strcat(more, ",\"distill_classes\":\"" ROOT "one.txt\"");
    assert_null(start(more, ROOT "no", &err));
    assert_non_null(strstr(err.msg, "one.txt: fewer than two classes"));
}

static int make_pairs(void **state)
{
    static const char names[] =
        "{\"task\":\"zeroshot\",\"classes\":[\"a red thing\",\"thing 3\",\"kind\"],"
        "\"templates\":[\"a photo of {}.\",\"{}\"]}";
    clipc_err err;

    (void)state;
    train_rig_pairs(ROOT "pairs");
    CHECK_OK(file_replace(NAMES, names, sizeof names - 1, &err), err);
    CHECK_OK(file_replace(ROOT "one.txt", "\nthing\n", 7, &err), err);
    return 0;
}

static int remove_all(void **state)
{
    (void)state;
    return system("rm -rf " ROOT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_student), cmocka_unit_test(test_directions),
        cmocka_unit_test(test_slopes), cmocka_unit_test(test_runs),
        cmocka_unit_test(test_errors)};
    return cmocka_run_group_tests_name("student", tests, make_pairs, remove_all);
}
