#include "train/optimizer.h"

#include <math.h>
#include <string.h>

enum { PIECE = 1 << 15 };

int optimizer_shape(optimizer *o, net *n, clipc_err *err)
{
    *o = (optimizer){.net = n};
    return net_shape(&o->grads, &n->cfg, TOWER_TRAIN, err);
}

static void take(optimizer *o, arena *a)
{
    const size_t floats = o->grads->params.floats;

    o->m = ARENA_FLOATS(a, floats);
    o->v = ARENA_FLOATS(a, floats);
    o->sums = arena_take(a, floats / PIECE + 1, sizeof *o->sums);
}

size_t optimizer_bytes(const optimizer *o)
{
    optimizer like = *o;
    arena measure = arena_measure();

    take(&like, &measure);
    return measure.used;
}

int optimizer_room(optimizer *o, clipc_err *err)
{
    int rc = net_room(o->grads, err);

    if (rc == CLIPC_OK) rc = arena_new(&o->memory, optimizer_bytes(o), "optimizer", err);
    if (rc == CLIPC_OK) take(o, &o->memory);
    return rc;
}

void optimizer_free(optimizer *o)
{
    net_free(o->grads);
    arena_free(&o->memory);
    *o = (optimizer){0};
}

static void zero_piece(void *arg, size_t thread, size_t begin, size_t end)
{
    float *g = arg;

    (void)thread;
    memset(g + begin, 0, (end - begin) * sizeof *g);
}

void optimizer_zero_grads(const optimizer *o, exec *e)
{
    exec_range(e, zero_piece, o->grads->mem.mem, o->grads->params.floats, PIECE);
}

typedef struct norm_job {
    const kernels *k;
    const float *g;
    double *sums; /* of each piece */
} norm_job;

static void norm_piece(void *arg, size_t thread, size_t begin, size_t end)
{
    const norm_job *j = arg;

    (void)thread;
    j->sums[begin / PIECE] = j->k->dot(j->g + begin, j->g + begin, end - begin);
}

/* The pieces' sums are added in their order, whoever made them. */
double optimizer_norm(const optimizer *o, exec *e)
{
    double sum = 0.0;

    for (size_t i = 0; i < o->grads->params.n; i++) {
        const param *p = &o->grads->params.v[i];
        norm_job j = {e->k, *p->slot, o->sums};
        if (p->kind == PARAM_STAT) continue;
        exec_range(e, norm_piece, &j, p->n, PIECE);
        for (size_t at = 0; at * PIECE < p->n; at++) sum += o->sums[at];
    }
    return sqrt(sum);
}

typedef struct adam_job {
    const kernels *k;
    float *w, *m, *v;
    const float *g;
    const adamw_step *s;
} adam_job;

static void adam_piece(void *arg, size_t thread, size_t begin, size_t end)
{
    const adam_job *j = arg;

    (void)thread;
    j->k->adamw(j->w + begin, j->m + begin, j->v + begin, j->g + begin, end - begin,
                j->s);
}

/* As torch.nn.utils.clip_grad_norm_, its 1e-6 included. */
static float clip_factor(double norm, float most)
{
    return (float)fmin((double)most / (norm + 1e-6), 1.0);
}

void optimizer_step(const optimizer *o, exec *e, const train_cfg *c, float lr,
                    double norm, size_t step)
{
    const float accum = 1.0f / (float)c->accum;
    const double clipped = norm * (double)accum, steps = (double)(step + 1);
    adamw_step s = {.lr = lr,
                    .beta1 = c->beta1,
                    .beta2 = c->beta2,
                    .eps = c->eps,
                    .c1 = (float)(1.0 - pow((double)c->beta1, steps)),
                    .c2 = (float)(1.0 - pow((double)c->beta2, steps)),
                    .gscale = accum};
    float *scale = o->net->logit_scale;

    if (c->grad_clip > 0.0f) s.gscale *= clip_factor(clipped, c->grad_clip);
    for (size_t i = 0; i < o->net->params.n; i++) {
        const param *p = &o->net->params.v[i];
        if (p->kind == PARAM_STAT) continue;
        adam_job j = {
            e->k, *p->slot, o->m + p->first, o->v + p->first, *o->grads->params.v[i].slot,
            &s};
        s.weight_decay = param_decays(p) ? c->weight_decay : 0.0f;
        exec_range(e, adam_piece, &j, p->n, PIECE);
    }
    *scale = fminf(fmaxf(*scale, 0.0f), logf(c->logit_scale_max));
}

float schedule_lr(const train_cfg *c, size_t step)
{
    if (step < c->warmup) return c->lr * (float)(step + 1) / (float)c->warmup;
    const double done = (double)(step - c->warmup) / (double)(c->steps - c->warmup);
    return (float)(0.5 * (double)c->lr * (1.0 + cos(3.14159265358979 * fmin(done, 1.0))));
}
