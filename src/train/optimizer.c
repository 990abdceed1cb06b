#include "train/optimizer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "train/groups.h"

enum { PIECE = 1 << 15 };

/* What learns beside the net begins at random however the run does. */
static const float MORE_RATE = 1e-3f;

/* A net without memory for what does not learn.  Running statistics, which take little,
 * keep theirs: checkpoints of old have it. */
int optimizer_shape(optimizer *o, net *n, size_t n_more, clipc_err *err)
{
    const param_list *l = &n->params;
    bool *keep = calloc(l->n, sizeof *keep);
    int rc = keep ? net_shape(&o->grads, &n->cfg, TOWER_TRAIN, err)
                  : clipc_fail_memory(err, "optimizer", l->n);

    o->net = n;
    o->n_more = n_more;
    for (size_t i = 0; keep && i < l->n; i++)
        keep[i] = l->v[i].kind == PARAM_STAT || group_learns(&n->cfg, &l->v[i]);
    if (rc == CLIPC_OK) rc = param_list_keep(&o->grads->params, keep, err);
    free(keep);
    return rc;
}

size_t optimizer_moments(const optimizer *o)
{
    return o->grads->params.floats + o->n_more;
}

static void take(optimizer *o, arena *a)
{
    const size_t floats = optimizer_moments(o);

    o->m = ARENA_FLOATS(a, floats);
    o->v = ARENA_FLOATS(a, floats);
    o->more = ARENA_FLOATS(a, o->n_more);
    o->more_grads = ARENA_FLOATS(a, o->n_more);
    o->slices = arena_take(a, o->net->params.n + 1, sizeof *o->slices);
    o->sums = arena_take(a, floats / PIECE + 1, sizeof *o->sums);
}

size_t optimizer_bytes(const optimizer *o)
{
    optimizer like = *o;
    arena measure = arena_measure();

    take(&like, &measure);
    return measure.used;
}

/* The rate of a parameter that learns, as a part of the schedule's. */
static float rate_of(const train_cfg *c, const param *p)
{
    const tower_side side = group_side(p);
    const size_t below = group_count(&c->model, side) - 1 - group_of(&c->model, p);
    const float own = side == SIDE_IMAGE  ? c->lr_image
                      : side == SIDE_TEXT ? c->lr_text
                                          : 0.0f;

    return (own > 0.0f ? own / c->lr : 1.0f) * powf(c->layer_decay, (float)below);
}

static void add_slice(optimizer *o, slice s)
{
    if (s.n && s.rate > 0.0f) o->slices[o->n_slices++] = s;
}

static void fill_slices(optimizer *o, const train_cfg *c)
{
    const size_t own = o->grads->params.floats;
    const float more_rate = c->lr > 0.0f ? fmaxf(MORE_RATE / c->lr, 1.0f) : 1.0f;

    for (size_t i = 0; i < o->net->params.n; i++) {
        const param *p = &o->net->params.v[i], *g = &o->grads->params.v[i];
        if (group_learns(&c->model, p))
            add_slice(o, (slice){*p->slot, o->m + g->first, o->v + g->first, *g->slot,
                                 p->n, rate_of(c, p), param_decays(p)});
    }
    add_slice(o, (slice){o->more, o->m + own, o->v + own, o->more_grads, o->n_more,
                         more_rate, true});
}

int optimizer_room(optimizer *o, const train_cfg *c, clipc_err *err)
{
    int rc = net_room(o->grads, err);

    if (rc == CLIPC_OK) rc = arena_new(&o->memory, optimizer_bytes(o), "optimizer", err);
    if (rc != CLIPC_OK) return rc;
    take(o, &o->memory);
    fill_slices(o, c);
    return CLIPC_OK;
}

void optimizer_free(optimizer *o)
{
    net_free(o->grads);
    arena_free(&o->memory);
    *o = (optimizer){0};
}

size_t optimizer_learns(const optimizer *o)
{
    size_t n = 0;

    for (size_t i = 0; i < o->n_slices; i++) n += o->slices[i].n;
    return n - o->n_more;
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
    exec_range(e, zero_piece, o->more_grads, o->n_more, PIECE);
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

    for (size_t i = 0; i < o->n_slices; i++) {
        const slice *s = &o->slices[i];
        norm_job j = {e->k, s->g, o->sums};
        exec_range(e, norm_piece, &j, s->n, PIECE);
        for (size_t at = 0; at * PIECE < s->n; at++) sum += o->sums[at];
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
    const double steps = (double)(step + 1);
    adamw_step s = {.beta1 = c->beta1,
                    .beta2 = c->beta2,
                    .eps = c->eps,
                    .c1 = (float)(1.0 - pow((double)c->beta1, steps)),
                    .c2 = (float)(1.0 - pow((double)c->beta2, steps)),
                    .gscale = 1.0f};
    float *scale = o->net->logit_scale;

    if (c->grad_clip > 0.0f) s.gscale = clip_factor(norm, c->grad_clip);
    for (size_t i = 0; i < o->n_slices; i++) {
        const slice *p = &o->slices[i];
        adam_job j = {e->k, p->w, p->m, p->v, p->g, &s};
        s.lr = lr * p->rate;
        s.weight_decay = p->decays ? c->weight_decay : 0.0f;
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
