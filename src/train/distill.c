#include "train/distill.h"

#include <math.h>
#include <string.h>

#include "base/sizes.h"

enum { BLOCK_ROWS = 256, ROWS = 8 };

void distill_room_take(distill_room *r, arena *a, size_t B, size_t E)
{
    const size_t block = min_size(B, BLOCK_ROWS) * B;

    r->s = ARENA_FLOATS(a, block);
    r->t = ARENA_FLOATS(a, block);
    r->dimg = ARENA_FLOATS(a, B * E);
    r->dtxt = ARENA_FLOATS(a, B * E);
    r->loss = arena_take(a, B, sizeof *r->loss);
}

/* One direction: rows of x, each against all of y. */
typedef struct direction {
    const kernels *k;
    const distill_room *room;
    float scale, teacher_scale;
    size_t B, first; /* which row the block begins with */
} direction;

/* s, logits without their scale, becomes softmax - t, the gradient.  The logarithm by the
 * row's largest, whose softmax is at least 1 / B. */
static double teach_row(const direction *d, float *s, float *t)
{
    double to_target = 0.0;
    size_t top = 0;

    d->k->softmax_fwd(t, d->B, 1, d->B, d->teacher_scale);
    for (size_t j = 0; j < d->B; j++) {
        to_target += (double)t[j] * (double)s[j];
        if (s[j] > s[top]) top = j;
    }
    const double above = (double)s[top] - to_target;
    d->k->softmax_fwd(s, d->B, 1, d->B, d->scale);
    const double loss = (double)d->scale * above - log((double)s[top]);
    for (size_t j = 0; j < d->B; j++) s[j] -= t[j];
    return loss;
}

static void some_rows(void *arg, size_t thread, size_t begin, size_t end)
{
    const direction *d = arg;

    (void)thread;
    for (size_t r = begin; r < end; r++)
        d->room->loss[d->first + r] =
            teach_row(d, d->room->s + r * d->B, d->room->t + r * d->B);
}

/* dx, dy += the gradients of rows x against all of y, not yet times the scale; tx, ty are
 * the teacher's.  Returns the rows' loss. */
static double one_direction(exec *e, direction *d, float *dx, float *dy, const float *x,
                            const float *y, size_t E, const float *tx, const float *ty,
                            size_t TE)
{
    const size_t B = d->B;
    float *s = d->room->s;
    double loss = 0.0;

    for (size_t at = 0; at < B; at += BLOCK_ROWS) {
        const size_t n = min_size(BLOCK_ROWS, B - at);
        d->first = at;
        gemm(e, s, B, mat_of(x + at * E, E), mat_t(y, E), n, B, E, (gemm_opts){0});
        gemm(e, d->room->t, B, mat_of(tx + at * TE, TE), mat_t(ty, TE), n, B, TE,
             (gemm_opts){0});
        exec_range(e, some_rows, d, n, ROWS);
        gemm(e, dx + at * E, E, mat_of(s, B), mat_of(y, E), n, E, B,
             (gemm_opts){.accumulate = true});
        gemm(e, dy, E, mat_t(s, B), mat_of(x + at * E, E), B, E, n,
             (gemm_opts){.accumulate = true});
    }
    for (size_t i = 0; i < B; i++) loss += d->room->loss[i];
    return loss;
}

/* to += factor * from, which is used up. */
static void add_times(exec *e, float *to, float *from, double factor, size_t n)
{
    e->k->scale(from, (float)factor, n);
    e->k->add(to, from, n);
}

static double by_logits(exec *e, double share, float *dimg, float *dtxt, float *dscale,
                        const distill_room *room, const distill_side *s,
                        const distill_side *t, size_t B)
{
    direction d = {
        .k = e->k, .room = room, .scale = s->scale, .teacher_scale = t->scale, .B = B};

    memset(room->dimg, 0, B * s->E * sizeof(float));
    memset(room->dtxt, 0, B * s->E * sizeof(float));
    const double loss = one_direction(e, &d, room->dimg, room->dtxt, s->img, s->txt, s->E,
                                      t->img, t->txt, t->E) +
                        one_direction(e, &d, room->dtxt, room->dimg, s->txt, s->img, s->E,
                                      t->txt, t->img, t->E);
    *dscale += (float)(share * e->k->dot(room->dimg, s->img, B * s->E));
    add_times(e, dimg, room->dimg, share * (double)s->scale, B * s->E);
    add_times(e, dtxt, room->dtxt, share * (double)s->scale, B * s->E);
    return share * loss;
}

static double by_embeddings(exec *e, double share, float *dimg, float *dtxt,
                            const distill_room *room, const distill_side *s,
                            const distill_side *t, size_t B)
{
    const size_t n = B * s->E;
    const double cosines = e->k->dot(s->img, t->img, n) + e->k->dot(s->txt, t->txt, n);

    memcpy(room->dimg, t->img, n * sizeof(float));
    memcpy(room->dtxt, t->txt, n * sizeof(float));
    add_times(e, dimg, room->dimg, -share, n);
    add_times(e, dtxt, room->dtxt, -share, n);
    return share * (2.0 * (double)B - cosines);
}

float distill_fwd_bwd(exec *e, distill_kind kind, float weight, float *dimg, float *dtxt,
                      float *dscale, const distill_room *room,
                      const distill_side *student, const distill_side *teacher, size_t B)
{
    const double share = (double)weight / (2.0 * (double)B);

    return (
        float)(kind == DISTILL_LOGITS
                   ? by_logits(e, share, dimg, dtxt, dscale, room, student, teacher, B)
                   : by_embeddings(e, share, dimg, dtxt, room, student, teacher, B));
}
