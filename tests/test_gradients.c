/* The backward pass and one AdamW step against PyTorch (tests/golden/make_models.py). */
#include "check.h"

#include <stdlib.h>

#include "base/sizes.h"
#include "levels.h"
#include "model_rig.h"
#include "train/pass.h"

/* Gradients of the loss into `grads`, a chunk at a time; returns the loss. */
static float backward(rig *r, net *grads, size_t chunk, bool recompute)
{
    const batch b = {.pixels = r->pixels, .ids = r->ids};
    const pass_cfg cfg = {.batch = r->B,
                          .chunk = chunk,
                          .recompute = recompute,
                          .objective = {.equal = EQUAL_NEGATIVE}};
    clipc_err err;
    pass p;

    CHECK_OK(pass_make(&p, NULL, r->n, grads, cfg, &err), err);
    const float loss = pass_run(&p, r->e, &b);
    pass_free(&p);
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

/* chunk 0: the whole batch */
static void check_gradients(const char *folder, size_t chunk)
{
    clipc_err err;
    net *grads;
    double all = 0.0;
    rig r;

    rig_open(&r, folder, TOWER_TRAIN);
    CHECK_OK(net_make(&grads, &r.cfg, TOWER_TRAIN, &err), err);
    const double *loss = golden_f64(r.g, "loss", NULL);
    CHECK_NEAR(backward(&r, grads, chunk ? chunk : r.B, false), *loss, 1e-5);
    free((void *)(uintptr_t)loss);
    for (int half = 0; half < 2; half++)
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
            if (half == 0) all += size;
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
    level_kernels(state);
    check_gradients(MODELS "oc_vit_quick", 0);
    check_gradients(MODELS "oc_vit_gelu", 0);
    check_gradients(MODELS "oc_rn", 0);
    check_gradients(MODELS "effnet", 0);
}

/* pass: a chunk at a time, the gradient of the whole batch, of 4 and of 3 pairs */
static void test_chunks(void **state)
{
    level_kernels(state);
    for (size_t chunk = 1; chunk < 4; chunk++)
        check_gradients(MODELS "oc_vit_quick", chunk);
    for (size_t chunk = 1; chunk < 3; chunk++)
        check_gradients(MODELS "oc_vit_gelu", chunk);
}

/* In chunks of so many pairs less than the batch. */
static void check_recompute(const char *folder, size_t less)
{
    float loss[2];
    net *grads[2];
    clipc_err err;
    rig r[2];

    for (int i = 0; i < 2; i++) {
        rig_open(&r[i], folder, TOWER_TRAIN);
        CHECK_OK(net_make(&grads[i], &r[i].cfg, TOWER_TRAIN, &err), err);
        loss[i] = backward(&r[i], grads[i], r[i].B - less, i);
    }
    const size_t size = grads[0]->params.floats * sizeof(float);
    assert_true(loss[0] == loss[1]);
    assert_memory_equal(grads[0]->mem.mem, grads[1]->mem.mem, size);
    /* running statistics too */
    assert_memory_equal(r[0].n->mem.mem, r[1].n->mem.mem, size);
    for (int i = 0; i < 2; i++) net_free(grads[i]), rig_close(&r[i]);
}

/* pass: activations made again are those that were, to the bit, and less memory */
static void test_recompute(void **state)
{
    static const char *const folders[] = {MODELS "oc_vit_quick", MODELS "oc_vit_gelu",
                                          MODELS "oc_rn"};

    level_kernels(state);
    for (size_t i = 0; i < 3; i++) {
        check_recompute(folders[i], 0);
        check_recompute(folders[i], 1);
    }
}

static size_t pass_bytes(const rig *r, size_t chunk, bool recompute)
{
    size_t bytes;
    clipc_err err;
    pass p;

    CHECK_OK(pass_make(&p, &bytes, r->n, NULL,
                       (pass_cfg){.batch = r->B, .chunk = chunk, .recompute = recompute},
                       &err),
             err);
    assert_null(p.work.mem);
    pass_free(&p);
    return bytes;
}

/* pass: what it says it would take falls with chunks and recomputation */
static void test_pass_bytes(void **state)
{
    static const char *const folders[] = {MODELS "oc_vit_quick", MODELS "oc_rn"};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        rig r;
        rig_open(&r, folders[i], TOWER_TRAIN);
        const size_t whole = pass_bytes(&r, r.B, false);
        assert_true(pass_bytes(&r, r.B, true) < whole * 8 / 10); /* 63 and 71 % */
        assert_true(pass_bytes(&r, 1, false) < whole * 4 / 10);  /* 25 and 28 % */
        rig_close(&r);
    }
}

/* batch norm: each chunk's statistics move the running ones, once */
static void test_chunk_stats(void **state)
{
    net *grads;
    clipc_err err;
    rig r, want;

    level_kernels(state);
    rig_open(&r, MODELS "oc_rn", TOWER_TRAIN);
    rig_open(&want, MODELS "oc_rn", TOWER_TRAIN);
    const size_t pixels = 3 * r.cfg.image.image_size * r.cfg.image.image_size;
    CHECK_OK(net_make(&grads, &r.cfg, TOWER_TRAIN, &err), err);
    backward(&r, grads, 3, false);
    for (size_t at = 0; at < r.B; at += 3) {
        const size_t n = min_size(3, r.B - at);
        want.n->ops->fwd(want.e, want.n->image, want.image_acts, want.img,
                         want.pixels + at * pixels, n);
        want.n->ops->update_stats(want.n->image, want.image_acts, n);
    }
    assert_memory_equal(r.n->mem.mem, want.n->mem.mem,
                        r.n->params.floats * sizeof(float));
    net_free(grads);
    rig_close(&r);
    rig_close(&want);
}

static void check_running_stats(const char *folder, size_t norms)
{
    size_t stats = 0;
    rig r;

    rig_open(&r, folder, TOWER_TRAIN);
    rig_forward(&r);
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
    assert_int_equal(stats, 3 * norms);
    rig_close(&r);
}

/* batch norm: running statistics after one training pass */
static void test_running_stats(void **state)
{
    level_kernels(state);
    check_running_stats(MODELS "oc_rn", 3 + 5 * 3 + 4);
    check_running_stats(MODELS "effnet", 1 + 2 + 9 * 3 + 1);
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

    level_kernels(state);
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

int main(void)
{
    const struct CMUnitTest tests[] = {EACH_LEVEL(test_gradients),
                                       EACH_LEVEL(test_running_stats),
                                       EACH_LEVEL(test_chunks),
                                       EACH_LEVEL(test_recompute),
                                       cmocka_unit_test(test_pass_bytes),
                                       EACH_LEVEL(test_chunk_stats),
                                       EACH_LEVEL(test_adamw)};
    return cmocka_run_group_tests_name("gradients", tests, NULL, NULL);
}
