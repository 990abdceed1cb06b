/* The backward pass and one AdamW step against PyTorch (tests/golden/make_models.py). */
#include "check.h"

#include <stdlib.h>

#include "levels.h"
#include "model_rig.h"
#include "nn/rows.h"
#include "train/loss.h"

/* Gradients of the loss into `grads`; returns the loss. */
static float backward(rig *r, net *grads)
{
    const size_t BE = r->B * r->E;
    float *mem = calloc(2 * BE + 2 * r->B + 2 * r->B * r->B, sizeof *mem);
    float *dimg = mem, *dtxt = dimg + BE, *ni = dtxt + BE, *nt = ni + r->B,
          *work = nt + r->B;
    const float scale = expf(*r->n->logit_scale);
    float dscale;

    rig_forward(r);
    rows_normalize_fwd(r->e, r->img, ni, r->img, r->B, r->E);
    rows_normalize_fwd(r->e, r->txt, nt, r->txt, r->B, r->E);
    const float loss = contrastive_fwd_bwd(r->e, dimg, dtxt, &dscale, work, r->img,
                                           r->txt, NULL, scale, r->B, r->E);
    rows_normalize_bwd(r->e, dimg, dimg, r->img, ni, r->B, r->E);
    rows_normalize_bwd(r->e, dtxt, dtxt, r->txt, nt, r->B, r->E);
    r->n->ops->bwd(r->e, r->n->image, grads->image, r->image_acts, dimg, r->pixels, r->B);
    r->n->text_ops->bwd(r->e, r->n->text, grads->text, r->text_acts, dtxt, r->B);
    *grads->logit_scale += dscale * scale;
    free(mem);
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

static void check_gradients(const char *folder)
{
    clipc_err err;
    net *grads;
    double all = 0.0;
    rig r;

    rig_open(&r, folder, TOWER_TRAIN);
    CHECK_OK(net_make(&grads, &r.cfg, TOWER_TRAIN, &err), err);
    const double *loss = golden_f64(r.g, "loss", NULL);
    CHECK_NEAR(backward(&r, grads), *loss, 1e-5);
    free((void *)(uintptr_t)loss);
    for (int pass = 0; pass < 2; pass++)
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
            if (pass == 0) all += size;
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
    check_gradients(MODELS "oc_vit_quick");
    check_gradients(MODELS "oc_vit_gelu");
    check_gradients(MODELS "oc_rn");
    check_gradients(MODELS "effnet");
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
                                       EACH_LEVEL(test_adamw)};
    return cmocka_run_group_tests_name("gradients", tests, NULL, NULL);
}
