#include "model/head.h"

#include <math.h>
#include <string.h>

#include "nn/linear.h"
#include "nn/rows.h"
#include "nn/table.h"

#define EPS            1e-5f
#define DROPOUT_STREAM ((uint64_t)1 << 60)

enum { DIM_F = 1, DIM_D, DIM_H, DIM_G, DIM_K, TOP_MOST = 64 };

static const param_row rows[] = {
    {"ln.weight", offsetof(head, ln_w), {DIM_F}, PARAM_GAIN},
    {"ln.bias", offsetof(head, ln_b), {DIM_F}, PARAM_GAIN},
    {"linear.weight", offsetof(head, linear), {DIM_D, DIM_F}, PARAM_LINEAR},
    {"mlp.c_fc.weight", offsetof(head, fc_w), {DIM_H, DIM_F}, PARAM_LINEAR},
    {"mlp.c_fc.bias", offsetof(head, fc_b), {DIM_H}, PARAM_GAIN},
    {"mlp.c_proj.weight", offsetof(head, proj_w), {DIM_D, DIM_H}, PARAM_LINEAR},
    {"mlp.c_proj.bias", offsetof(head, proj_b), {DIM_D}, PARAM_GAIN},
    {"gate.c_fc.weight", offsetof(head, gate_fc_w), {DIM_G, DIM_F}, PARAM_LINEAR},
    {"gate.c_fc.bias", offsetof(head, gate_fc_b), {DIM_G}, PARAM_GAIN},
    {"gate.c_proj.weight", offsetof(head, gate_w), {DIM_G}, PARAM_GAIN},
    {"gate.c_proj.bias", offsetof(head, gate_b), {0}, PARAM_GAIN},
    {"class_scale", offsetof(head, class_scale), {0}, PARAM_GAIN},
    {"classifier.weight", offsetof(head, classifier_w), {DIM_K, DIM_F}, PARAM_LINEAR},
    {"classifier.bias", offsetof(head, classifier_b), {DIM_K}, PARAM_GAIN},
    {"classes.weight", offsetof(head, classes), {DIM_K, DIM_D}, PARAM_TABLE},
};

enum { ROWS = sizeof rows / sizeof rows[0] };
_Static_assert(ROWS * sizeof(float *) == sizeof(head), "a weight is not listed");

int head_check(const head_shape *s, clipc_err *err)
{
    const head_cfg *c = &s->cfg;
    const size_t most = 1 << 16;
    const size_t sizes[] = {s->F, s->D, c->hidden, c->gate, c->classes, c->top};

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        if (sizes[i] < 1 || sizes[i] > most)
            return clipc_fail(err, CLIPC_ERR_FORMAT,
                              "vision config: a size of the head is %zu, wanted 1 to %zu",
                              sizes[i], most);
    if (c->top > TOP_MOST || c->top > c->classes)
        return clipc_fail(err, CLIPC_ERR_FORMAT,
                          "vision config: the best %zu of %zu classes, wanted at most %d",
                          c->top, c->classes, TOP_MOST);
    if (!(c->dropout >= 0.0f && c->dropout < 1.0f))
        return clipc_fail(err, CLIPC_ERR_FORMAT,
                          "vision config: the head's dropout is %g, wanted 0 to below 1",
                          (double)c->dropout);
    if (!(fabsf(c->gate_shift) <= 100.0f))
        return clipc_fail(err, CLIPC_ERR_FORMAT,
                          "vision config: the gate's shift is %g, wanted -100 to 100",
                          (double)c->gate_shift);
    return CLIPC_OK;
}

int head_params(head *h, param_list *l, const head_shape *s, clipc_err *err)
{
    const size_t sizes[] = {[DIM_F] = s->F,
                            [DIM_D] = s->D,
                            [DIM_H] = s->cfg.hidden,
                            [DIM_G] = s->cfg.gate,
                            [DIM_K] = s->cfg.classes};

    return param_list_add(l, "visual.head.", rows, ROWS, h, sizes, err);
}

void head_init(head *h, const head_shape *s, rng *r)
{
    const size_t F = s->F, D = s->D, H = s->cfg.hidden, G = s->cfg.gate;
    const float bound = 1.0f / sqrtf((float)F);

    for (size_t i = 0; i < F; i++) h->ln_w[i] = 1.0f;
    memset(h->ln_b, 0, F * sizeof(float));
    rng_fill_normal(r, h->linear, D * F, 0.0f, 0.7f * bound);
    rng_fill_uniform(r, h->fc_w, H * F, -bound, bound);
    memset(h->fc_b, 0, H * sizeof(float));
    memset(h->proj_w, 0, D * H * sizeof(float));
    memset(h->proj_b, 0, D * sizeof(float));
    rng_fill_uniform(r, h->gate_fc_w, G * F, -bound, bound);
    memset(h->gate_fc_b, 0, G * sizeof(float));
    memset(h->gate_w, 0, G * sizeof(float));
    *h->gate_b = 0.0f;
    *h->class_scale = 1.0f;
}

void head_acts_take(head_acts *a, arena *mem, const head_shape *s, size_t B, bool train)
{
    const size_t F = s->F, D = s->D, H = s->cfg.hidden, G = s->cfg.gate;

    a->root = ARENA_FLOATS(mem, B * F);
    a->x = ARENA_FLOATS(mem, B * F);
    a->fc = ARENA_FLOATS(mem, B * H);
    a->act = ARENA_FLOATS(mem, B * H);
    a->z = ARENA_FLOATS(mem, B * D);
    a->gate_fc = ARENA_FLOATS(mem, B * G);
    a->gate_act = ARENA_FLOATS(mem, B * G);
    a->g = ARENA_FLOATS(mem, B);
    a->logits = ARENA_FLOATS(mem, B * s->cfg.classes);
    a->k = ARENA_FLOATS(mem, B * D);
    a->row = ARENA_FLOATS(mem, D);
    if (!train) return;
    a->mean = ARENA_FLOATS(mem, B);
    a->rstd = ARENA_FLOATS(mem, B);
    a->drop = ARENA_FLOATS(mem, B * H);
    a->norm = ARENA_FLOATS(mem, B);
    a->dz = ARENA_FLOATS(mem, B * D);
    a->dfc = ARENA_FLOATS(mem, B * H);
    a->dgate = ARENA_FLOATS(mem, B * G);
    a->dx = ARENA_FLOATS(mem, B * F);
    a->part = ARENA_FLOATS(mem, rows_parts(B) * 2 * F);
}

/* What is kept is larger, so that the sum stays what it was. */
static void draw_dropout(float *drop, float rate, const row_stream *from, size_t row,
                         size_t H)
{
    rng r = rng_seed(from->seed, DROPOUT_STREAM | (from->first + row));

    for (size_t i = 0; i < H; i++)
        drop[i] = rng_uniform(&r) < rate ? 0.0f : 1.0f / (1.0f - rate);
}

/* z, unit rows, from x. */
static void trained_part(exec *e, const head *h, head_acts *a, const head_shape *s,
                         size_t B, weight_form form, const row_stream *draw)
{
    const size_t F = s->F, D = s->D, H = s->cfg.hidden;

    linear_fwd(e, a->fc, a->x, h->fc_w, form, B, F, H, (gemm_opts){.bias = h->fc_b});
    rows_act_fwd(e, a->act, a->fc, B * H, ACT_GELU);
    a->dropped = draw && s->cfg.dropout > 0.0f;
    if (a->dropped) {
        for (size_t b = 0; b < B; b++)
            draw_dropout(a->drop + b * H, s->cfg.dropout, draw, b, H);
        rows_mul(e, a->act, a->drop, B * H);
    }
    linear_fwd(e, a->z, a->x, h->linear, form, B, F, D, (gemm_opts){.bias = h->proj_b});
    linear_fwd(e, a->z, a->act, h->proj_w, form, B, H, D,
               (gemm_opts){.accumulate = true});
    rows_normalize_fwd(e, a->z, a->norm, a->z, B, D);
}

/* Numbers of the `top` largest of x, largest first, of equals the first. */
static void find_best(size_t *best, size_t top, const float *x, size_t n)
{
    size_t kept = 0;

    for (size_t i = 0; i < n; i++) {
        if (kept == top && !(x[i] > x[best[top - 1]])) continue;
        size_t at = kept < top ? kept++ : top - 1;
        for (; at && x[i] > x[best[at - 1]]; at--) best[at] = best[at - 1];
        best[at] = i;
    }
}

/* k, unit rows, from f. */
static void class_part(exec *e, const float *f, const head *h, head_acts *a,
                       const head_shape *s, size_t B, weight_form form)
{
    const size_t D = s->D, K = s->cfg.classes, top = s->cfg.top;
    size_t best[TOP_MOST];

    linear_fwd(e, a->logits, f, h->classifier_w, form, B, s->F, K,
               (gemm_opts){.bias = h->classifier_b});
    memset(a->k, 0, B * D * sizeof *a->k);
    for (size_t b = 0; b < B; b++) {
        const float *l = a->logits + b * K;
        find_best(best, top, l, K);
        for (size_t i = 0; i < top; i++) {
            table_row(e->k, a->row, h->classes, form, K, D, best[i]);
            e->k->axpy(a->k + b * D, expf(l[best[i]] - l[best[0]]), a->row, D);
        }
    }
    rows_normalize_fwd(e, a->k, NULL, a->k, B, D);
}

/* g from x. */
static void gate(exec *e, const head *h, head_acts *a, const head_shape *s, size_t B,
                 weight_form form, bool trains)
{
    const size_t F = s->F, G = s->cfg.gate;
    const float bias = *h->gate_b + (trains ? 0.0f : s->cfg.gate_shift);

    linear_fwd(e, a->gate_fc, a->x, h->gate_fc_w, form, B, F, G,
               (gemm_opts){.bias = h->gate_fc_b});
    rows_act_fwd(e, a->gate_act, a->gate_fc, B * G, ACT_GELU);
    for (size_t b = 0; b < B; b++) {
        const double t = e->k->dot(h->gate_w, a->gate_act + b * G, G);
        a->g[b] = 1.0f / (1.0f + expf(-((float)t + bias)));
    }
}

void head_fwd(exec *e, float *out, const float *f, const head *h, head_acts *a,
              const head_shape *s, size_t B, weight_form form, const row_stream *draw)
{
    const size_t F = s->F, D = s->D;

    for (size_t i = 0; i < B * F; i++) a->root[i] = sqrtf(fmaxf(f[i], 0.0f));
    rows_layernorm_fwd(e, a->x, a->mean, a->rstd, a->root, h->ln_w, h->ln_b, B, F, EPS);
    trained_part(e, h, a, s, B, form, draw);
    class_part(e, f, h, a, s, B, form);
    gate(e, h, a, s, B, form, draw != NULL);
    memset(out, 0, B * D * sizeof *out);
    for (size_t b = 0; b < B; b++, out += D) {
        e->k->axpy(out, 1.0f - a->g[b], a->z + b * D, D);
        e->k->axpy(out, a->g[b] * *h->class_scale, a->k + b * D, D);
    }
}

/* dz, and dgate behind gelu, from dout. */
static void mixture_bwd(exec *e, head *d, const float *dout, const head *h, head_acts *a,
                        const head_shape *s, size_t B)
{
    const size_t D = s->D, G = s->cfg.gate;

    memset(a->dz, 0, B * D * sizeof *a->dz);
    memset(a->dgate, 0, B * G * sizeof *a->dgate);
    for (size_t b = 0; b < B; b++, dout += D) {
        const float g = a->g[b];
        const double of_z = e->k->dot(dout, a->z + b * D, D);
        const double of_k = e->k->dot(dout, a->k + b * D, D);
        const float dg = (float)((double)*h->class_scale * of_k - of_z);
        const float dt = dg * g * (1.0f - g);
        *d->class_scale += (float)((double)g * of_k);
        *d->gate_b += dt;
        e->k->axpy(d->gate_w, dt, a->gate_act + b * G, G);
        e->k->axpy(a->dgate + b * G, dt, h->gate_w, G);
        e->k->axpy(a->dz + b * D, 1.0f - g, dout, D);
    }
}

/* dx [B,K] += dy w. */
static void add_dx(exec *e, float *dx, const float *dy, const float *w, size_t B,
                   size_t K, size_t O)
{
    gemm(e, dx, K, mat_of(dy, O), mat_of(w, K), B, K, O, (gemm_opts){.accumulate = true});
}

void head_bwd(exec *e, head *d, const float *dout, const head *h, head_acts *a,
              const head_shape *s, size_t B)
{
    const size_t F = s->F, D = s->D, H = s->cfg.hidden, G = s->cfg.gate;

    mixture_bwd(e, d, dout, h, a, s, B);
    rows_normalize_bwd(e, a->dz, a->dz, a->z, a->norm, B, D);
    linear_bwd(e, a->dfc, d->proj_w, d->proj_b, a->dz, a->act, h->proj_w, B, H, D);
    if (a->dropped) rows_mul(e, a->dfc, a->drop, B * H);
    rows_act_bwd(e, a->dfc, a->dfc, a->fc, B * H, ACT_GELU);
    rows_act_bwd(e, a->dgate, a->dgate, a->gate_fc, B * G, ACT_GELU);
    linear_bwd(e, a->dx, d->linear, NULL, a->dz, a->x, h->linear, B, F, D);
    linear_bwd(e, NULL, d->fc_w, d->fc_b, a->dfc, a->x, h->fc_w, B, F, H);
    add_dx(e, a->dx, a->dfc, h->fc_w, B, F, H);
    linear_bwd(e, NULL, d->gate_fc_w, d->gate_fc_b, a->dgate, a->x, h->gate_fc_w, B, F,
               G);
    add_dx(e, a->dx, a->dgate, h->gate_fc_w, B, F, G);
    /* The gradient of the roots goes nowhere: over x, which is done with. */
    rows_layernorm_bwd(e, a->x, d->ln_w, d->ln_b, a->part, a->dx, a->root, h->ln_w,
                       a->mean, a->rstd, B, F);
}
