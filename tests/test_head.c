/* The head of two parts behind an EfficientNet-Lite and its training, against PyTorch
 * (tests/golden/make_head.py). */
#include "check.h"

#include <stdlib.h>

#include "levels.h"
#include "model/head.h"
#include "model/headed.h"
#include "model_rig.h"
#include "train/groups.h"
#include "train/pass.h"

#define HEADED MODELS "headed"

/* forward: plain weights and packed ones */
static void test_forward(void **state)
{
    const tower_mode modes[] = {TOWER_EVAL, TOWER_INFER};

    level_kernels(state);
    for (size_t i = 0; i < 2; i++) {
        rig r;
        rig_open(&r, HEADED, modes[i]);
        rig_forward(&r);
        check_within(&r, r.img, "image_features", 1e-5); /* measured 1e-6 */
        check_within(&r, r.txt, "text_features", 1e-5);  /* measured 3e-7 */
        rig_close(&r);
    }
}

/* ---- training ---- */

typedef struct training {
    rig r;
    net *n, *grads;
} training;

/* A run's net, of whose towers all but the last group is locked. */
static void train_open(training *t, float dropout)
{
    model_source s;
    clipc_err err;

    rig_open(&t->r, HEADED, TOWER_EVAL);
    CHECK_OK(source_open(&s, HEADED, &err), err);
    s.cfg.image.locked = s.cfg.text.locked = 1;
    s.cfg.image.head.dropout = dropout;
    CHECK_OK(net_open(&t->n, &s, TOWER_TRAIN, t->r.e->k, &err), err);
    CHECK_OK(net_make(&t->grads, &s.cfg, TOWER_TRAIN, &err), err);
    source_close(&s);
}

static void train_close(training *t)
{
    net_free(t->n);
    net_free(t->grads);
    rig_close(&t->r);
}

/* Gradients of a batch of which the first pair is the run's `place`; returns the loss. */
static float run(training *t, size_t chunk, size_t place)
{
    const batch b = {.pixels = t->r.pixels, .ids = t->r.ids, .place = place};
    const pass_cfg cfg = {
        .batch = t->r.B, .chunk = chunk, .objective = {.equal = EQUAL_NEGATIVE}};
    clipc_err err;
    pass p;

    memset(t->grads->mem.mem, 0, net_bytes(t->grads));
    CHECK_OK(pass_make(&p, NULL, t->n, t->grads, cfg, &err), err);
    const float loss = pass_run(&p, t->r.e, &b);
    pass_free(&p);
    return loss;
}

static void check_gradients(size_t chunk)
{
    training t;
    size_t n, learn = 0;

    train_open(&t, 0.0f);
    double *loss = golden_f64(t.r.g, "loss", NULL);
    CHECK_NEAR(run(&t, chunk, 0), *loss, 1e-5);
    free(loss);
    for (size_t i = 0; i < t.grads->params.n; i++) {
        const param *p = &t.grads->params.v[i];
        double most = 0.0, off = 0.0;
        char name[160];
        if (!group_learns(&t.n->cfg, p)) {
            for (size_t k = 0; k < p->n; k++) assert_true((*p->slot)[k] == 0.0f);
            continue;
        }
        snprintf(name, sizeof name, "grad.%s", p->name);
        float *want = golden_f32(t.r.g, name, &n);
        assert_int_equal(n, p->n);
        for (size_t k = 0; k < n; k++) {
            most = fmax(most, fabs((double)want[k]));
            off = fmax(off, fabs((double)(*p->slot)[k] - (double)want[k]));
        }
        if (!(off <= 2e-5 * most)) fail_msg("%s: %g of %g", name, off, most);
        free(want);
        learn++;
    }
    assert_int_equal(learn, 13);
    train_close(&t);
}

/* backward: all that learns, and nothing else; whole and in chunks */
static void test_gradients(void **state)
{
    level_kernels(state);
    check_gradients(5);
    check_gradients(2);
}

/* dropout: the same place draws the same, whatever the chunks; another place another;
 * inference none; and the gradients are those of the pass that drew it */
static void test_dropout(void **state)
{
    const float h = 4e-3f;
    training t;

    (void)state;
    train_open(&t, 0.25f);
    const float loss = run(&t, 5, 70);
    CHECK_NEAR(run(&t, 2, 70), loss, 1e-6);
    assert_true(fabsf(run(&t, 5, 75) - loss) > 1e-4f);
    run(&t, 5, 70);
    const param *p = param_find(&t.n->params, "visual.head.mlp.c_fc.weight");
    const param *g = param_find(&t.grads->params, "visual.head.mlp.c_fc.weight");
    float *w = *p->slot, want[4];
    for (size_t i = 0; i < 4; i++) want[i] = (*g->slot)[i * 197];
    for (size_t i = 0; i < 4; i++) {
        const float keep = w[i * 197];
        w[i * 197] = keep + h;
        const double up = (double)run(&t, 5, 70);
        w[i * 197] = keep - h;
        const double down = (double)run(&t, 5, 70);
        w[i * 197] = keep;
        CHECK_NEAR(want[i], (up - down) / (2.0 * (double)h), 2e-4); /* measured 6e-5 */
    }
    train_close(&t);
}

/* The rate that a head was given is about the share of zeros, and what is kept weighs as
 * much more. */
static void test_dropout_rate(void **state)
{
    training t;
    size_t zeros = 0, n = 0;

    (void)state;
    train_open(&t, 0.25f);
    headed *tower = t.n->image;
    const head_shape s = tower->shape;
    float *f = calloc(512 * s.F, sizeof *f), *out = calloc(512 * s.D, sizeof *out);
    arena measure = arena_measure(), mem;
    head_acts a = {0};
    clipc_err err;
    head_acts_take(&a, &measure, &s, 512, true);
    CHECK_OK(arena_new(&mem, measure.used, "test", &err), err);
    head_acts_take(&a, &mem, &s, 512, true);
    head_fwd(t.r.e, out, f, &tower->head, &a, &s, 512, WEIGHTS_PLAIN,
             &(row_stream){3, 9});
    for (; n < 512 * s.cfg.hidden; n++) {
        zeros += a.drop[n] == 0.0f;
        assert_true(a.drop[n] == 0.0f || a.drop[n] == 1.0f / 0.75f);
    }
    CHECK_NEAR((double)zeros / (double)n, 0.25, 0.03); /* three deviations are .024 */
    arena_free(&mem);
    free(f), free(out);
    train_close(&t);
}

/* the gate's shift: a bias, but none in training */
static void test_shift(void **state)
{
    const row_stream draw = {3, 9};
    float f[2 * 160], plain[2 * 8], shifted[2 * 8], biased[2 * 8], trained[2 * 8];
    training t;
    arena measure = arena_measure(), mem;
    head_acts a = {0};
    clipc_err err;

    (void)state;
    train_open(&t, 0.0f);
    headed *tower = t.n->image;
    head_shape s = tower->shape;
    assert_true(s.F <= 160 && s.D == 8);
    for (size_t i = 0; i < 2 * s.F; i++) f[i] = (float)(i * 7 % 11) / 5.0f;
    head_acts_take(&a, &measure, &s, 2, true);
    CHECK_OK(arena_new(&mem, measure.used, "test", &err), err);
    head_acts_take(&a, &mem, &s, 2, true);
    head_fwd(t.r.e, plain, f, &tower->head, &a, &s, 2, WEIGHTS_PLAIN, NULL);
    s.cfg.gate_shift = 1.5f;
    head_fwd(t.r.e, shifted, f, &tower->head, &a, &s, 2, WEIGHTS_PLAIN, NULL);
    head_fwd(t.r.e, trained, f, &tower->head, &a, &s, 2, WEIGHTS_PLAIN, &draw);
    s.cfg.gate_shift = 0.0f;
    *tower->head.gate_b += 1.5f;
    head_fwd(t.r.e, biased, f, &tower->head, &a, &s, 2, WEIGHTS_PLAIN, NULL);
    assert_memory_equal(shifted, biased, sizeof shifted);
    assert_memory_equal(trained, plain, sizeof plain);
    assert_memory_not_equal(shifted, plain, sizeof plain);
    arena_free(&mem);
    train_close(&t);
}

/* what is no such head, and locks without which it is not trained */
static void test_refused(void **state)
{
    rig r;
    void *made;
    clipc_err err;

    (void)state;
    rig_open(&r, HEADED, TOWER_EVAL);
#define REFUSED(member, value, code, why)                              \
    do {                                                               \
        image_cfg c = r.cfg.image;                                     \
        c.member = value;                                              \
        CHECK_FAILS(headed_ops.make(&made, &c, &err), code, err, why); \
    } while (0)
    REFUSED(family, IMAGE_VIT, CLIPC_ERR_FEATURE, "EfficientNet-Lite alone");
    REFUSED(proj, PROJ_LINEAR, CLIPC_ERR_FEATURE, "EfficientNet-Lite alone");
    REFUSED(head.gate, 0, CLIPC_ERR_FORMAT, "size of the head is 0");
    REFUSED(head.classes, 1 << 20, CLIPC_ERR_FORMAT, "size of the head is 1048576");
    REFUSED(head.top, 8, CLIPC_ERR_FORMAT, "best 8 of 7 classes");
    REFUSED(head.dropout, 1.0f, CLIPC_ERR_FORMAT, "dropout is 1");
    REFUSED(head.gate_shift, NAN, CLIPC_ERR_FORMAT, "shift is nan");
    REFUSED(features, 0, CLIPC_ERR_FORMAT, "is 0");
    CHECK_FAILS(headed_ops.acts_make(&made, NULL, r.n->image, 1, TOWER_TRAIN, &err),
                CLIPC_ERR_FEATURE, err, "lock it, but for one group");
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH_LEVEL(test_forward),       EACH_LEVEL(test_gradients),
        cmocka_unit_test(test_dropout), cmocka_unit_test(test_dropout_rate),
        cmocka_unit_test(test_shift),   cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests_name("head", tests, NULL, NULL);
}
