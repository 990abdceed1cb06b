#include "train/distill.h"

#include <math.h>
#include <string.h>

#include "base/sizes.h"
#include "nn/linear.h"
#include "nn/rows.h"

size_t distill_maps(const distillation *d)
{
    return d->kind == DISTILL_FEATURES ? 2 * d->teacher_E * d->E : 0;
}

void distill_room_take(distill_room *r, arena *a, const distillation *d, size_t B)
{
    const size_t texts = d->classes ? d->classes : B;

    if (d->kind != DISTILL_EMBEDDINGS) r->dimg = ARENA_FLOATS(a, B * d->E);
    if (d->kind == DISTILL_LOGITS || d->kind == DISTILL_CLASSES) {
        pairs_room_take(&r->pairs, a, B, texts, true);
        r->dtxt = ARENA_FLOATS(a, texts * d->E);
    } else if (d->kind == DISTILL_FEATURES) {
        r->y = ARENA_FLOATS(a, B * d->teacher_E);
        r->dy = ARENA_FLOATS(a, B * d->teacher_E);
        r->y_norm = ARENA_FLOATS(a, B);
    }
}

/* ---- probabilities ---- */

typedef struct direction {
    const kernels *k;
    float scale, teacher_scale;
    size_t M;
} direction;

/* s, logits without their scale, becomes softmax - t, the gradient.  The logarithm by the
 * row's largest, whose softmax is at least 1 / M. */
static double teach_row(const void *arg, float *s, float *t, size_t i)
{
    const direction *d = arg;
    double to_target = 0.0;
    size_t top = 0;

    (void)i;
    d->k->softmax_fwd(t, d->M, 1, d->M, d->teacher_scale);
    for (size_t j = 0; j < d->M; j++) {
        to_target += (double)t[j] * (double)s[j];
        if (s[j] > s[top]) top = j;
    }
    const double above = (double)s[top] - to_target;
    d->k->softmax_fwd(s, d->M, 1, d->M, d->scale);
    const double loss = (double)d->scale * above - log((double)s[top]);
    for (size_t j = 0; j < d->M; j++) s[j] -= t[j];
    return loss;
}

/* to += factor * from, which is used up. */
static void add_times(exec *e, float *to, float *from, double factor, size_t n)
{
    e->k->scale(from, (float)factor, n);
    e->k->add(to, from, n);
}

/* Of the texts for each picture and, unless these are of classes, the reverse. */
static double by_probabilities(exec *e, const distillation *d, distill_grads to,
                               const distill_room *room, const distill_side *s,
                               const distill_side *t, size_t B)
{
    const bool both = !d->classes;
    const size_t E = d->E, M = both ? B : d->classes;
    const double share = (double)d->weight / (both ? 2.0 : 1.0) / (double)B;
    const direction way = {e->k, s->scale, t->scale, M};
    const two_sides own[] = {{s->img, s->txt, E}, {s->txt, s->img, E}};
    const two_sides teacher[] = {{t->img, t->txt, d->teacher_E},
                                 {t->txt, t->img, d->teacher_E}};

    memset(room->dimg, 0, B * E * sizeof(float));
    memset(room->dtxt, 0, M * E * sizeof(float));
    double loss = all_pairs(e, teach_row, &way, room->dimg, room->dtxt, &room->pairs,
                            &own[0], &teacher[0], B, M);
    if (both)
        loss += all_pairs(e, teach_row, &way, room->dtxt, room->dimg, &room->pairs,
                          &own[1], &teacher[1], M, B);
    *to.scale += (float)(share * e->k->dot(room->dimg, s->img, B * E));
    add_times(e, to.img, room->dimg, share * (double)s->scale, B * E);
    add_times(e, to.txt, room->dtxt, share * (double)s->scale, M * E);
    return share * loss;
}

/* ---- directions ---- */

/* Of one side: dx += the gradient of -share times the sum of cosines, which is returned.
 */
static double side_by_embeddings(exec *e, double share, float *dx, const float *x,
                                 const float *tx, size_t n)
{
    e->k->axpy(dx, (float)-share, tx, n);
    return e->k->dot(x, tx, n);
}

/* The same behind its map w, whose gradient is added to dw. */
static double side_by_features(exec *e, const distillation *d, double share, float *dx,
                               const float *w, float *dw, const distill_room *room,
                               const float *x, const float *tx, size_t B)
{
    const size_t E = d->E, TE = d->teacher_E;

    linear_fwd(e, room->y, x, w, WEIGHTS_PLAIN, B, E, TE, (gemm_opts){0});
    rows_normalize_fwd(e, room->y, room->y_norm, room->y, B, TE);
    memset(room->dy, 0, B * TE * sizeof(float));
    const double cosines = side_by_embeddings(e, share, room->dy, room->y, tx, B * TE);
    rows_normalize_bwd(e, room->dy, room->dy, room->y, room->y_norm, B, TE);
    linear_bwd(e, room->dimg, dw, NULL, room->dy, x, w, B, E, TE);
    e->k->add(dx, room->dimg, B * E);
    return cosines;
}

static double by_directions(exec *e, const distillation *d, distill_grads to,
                            const distill_room *room, const distill_side *s,
                            const distill_side *t, size_t B)
{
    const double share = (double)d->weight / (2.0 * (double)B);
    const size_t map = d->teacher_E * d->E, n = B * d->E;
    const double cosines =
        d->kind == DISTILL_FEATURES
            ? side_by_features(e, d, share, to.img, d->maps, d->maps_grads, room, s->img,
                               t->img, B) +
                  side_by_features(e, d, share, to.txt, d->maps + map,
                                   d->maps_grads + map, room, s->txt, t->txt, B)
            : side_by_embeddings(e, share, to.img, s->img, t->img, n) +
                  side_by_embeddings(e, share, to.txt, s->txt, t->txt, n);

    return share * (2.0 * (double)B - cosines);
}

float distill_fwd_bwd(exec *e, const distillation *d, distill_grads to,
                      const distill_room *room, const distill_side *student,
                      const distill_side *teacher, size_t B)
{
    const bool probable = d->kind == DISTILL_LOGITS || d->kind == DISTILL_CLASSES;

    return (float)(probable ? by_probabilities(e, d, to, room, student, teacher, B)
                            : by_directions(e, d, to, room, student, teacher, B));
}
