#include "train/loss.h"

#include <math.h>
#include <string.h>

#include "base/sizes.h"

enum {
    ROWS = 8,     /* a thread's piece */
    FACTORS = 512 /* of 1/2 or more: their product is no denormal */
};

/* Far below every logit, and finite: as good as zero once exponentiated, cleared then. */
static const float MASKED = -1e30f;

/* One direction: rows of x, each against all of y. */
typedef struct direction {
    const kernels *k;
    const objective *o;
    const loss_room *room;
    float scale, bias;
    size_t B;
} direction;

void loss_room_take(loss_room *r, arena *a, size_t B)
{
    pairs_room_take(&r->pairs, a, B, B, false);
    r->next = arena_take(a, B, sizeof *r->next);
    r->sum = arena_take(a, B, sizeof *r->sum);
}

/* ---- equal captions ---- */

typedef struct link_job {
    size_t *next, B;
    const uint64_t *caption; /* NULL: all differ */
} link_job;

static void link_equal(void *arg, size_t thread, size_t begin, size_t end)
{
    const link_job *l = arg;

    (void)thread;
    for (size_t i = begin; i < end; i++) {
        size_t j = i;
        do j = j + 1 == l->B ? 0 : j + 1;
        while (l->caption && l->caption[j] != l->caption[i]);
        l->next[i] = l->caption ? j : i;
    }
}

/* Sets the row's elements at the others of i's caption; returns how many they are. */
static size_t set_equal(const direction *d, float *row, size_t i, float value)
{
    size_t n = 0;

    for (size_t j = d->room->next[i]; j != i; j = d->room->next[j], n++) row[j] = value;
    return n;
}

/* ---- a row of S becomes its gradient ---- */

static double row_total(const float *x, size_t n)
{
    double sum = 0.0;

    for (size_t i = 0; i < n; i++) sum += (double)x[i];
    return sum;
}

static size_t row_top(const float *x, size_t n)
{
    size_t top = 0;

    for (size_t i = 1; i < n; i++)
        if (x[i] > x[top]) top = i;
    return top;
}

/* CE = log sum_j e^S_j - sum_j t_j S_j, where sum_j t_j = 1; its gradient: softmax - t.
 * The logarithm by the row's largest, whose softmax is at least 1 / B. */
static double softmax_row(const direction *d, float *s, size_t i)
{
    const size_t *next = d->room->next;
    const bool masked = d->o->equal == EQUAL_MASKED;
    size_t own = 1, among = d->B;
    double to_own = (double)s[i], to_all = 0.0;

    if (d->o->equal == EQUAL_POSITIVE)
        for (size_t j = next[i]; j != i; j = next[j], own++) to_own += (double)s[j];
    if (masked) among -= set_equal(d, s, i, 0.0f);
    if (d->o->smoothing > 0.0f) to_all = row_total(s, d->B);
    if (masked) set_equal(d, s, i, MASKED);

    const double share = (1.0 - (double)d->o->smoothing) / (double)own;
    const double rest = (double)d->o->smoothing / (double)among;
    const size_t top = row_top(s, d->B);
    const double above = (double)s[top] - share * to_own - rest * to_all;

    d->k->softmax_fwd(s, d->B, 1, d->B, d->scale);
    const double loss = (double)d->scale * above - log((double)s[top]);
    if (rest > 0.0)
        for (size_t j = 0; j < d->B; j++) s[j] -= (float)rest;
    if (masked) set_equal(d, s, i, 0.0f);
    s[i] -= (float)share;
    if (d->o->equal == EQUAL_POSITIVE)
        for (size_t j = next[i]; j != i; j = next[j]) s[j] -= (float)share;
    return loss;
}

static void negate_own(const direction *d, float *s, size_t i)
{
    s[i] = -s[i];
    if (d->o->equal == EQUAL_POSITIVE)
        for (size_t j = d->room->next[i]; j != i; j = d->room->next[j]) s[j] = -s[j];
}

/* sum_j log max(p_j, 1 - p_j), of products: a logarithm takes longer than all else. */
static double log_surer(const float *p, size_t n)
{
    double sum = 0.0;

    for (size_t i = 0; i < n;) {
        const size_t end = min_size(n, i + FACTORS);
        double product = 1.0;
        for (; i < end; i++) product *= p[i] < 0.5f ? 1.0 - (double)p[i] : (double)p[i];
        sum += log(product);
    }
    return sum;
}

/* With u = -l S: -log sigmoid(-u) = max(u, 0) - log(max(p, 1 - p)) where p = sigmoid(u),
 * which is the gradient of u. */
static double sigmoid_row(const direction *d, float *s, size_t i)
{
    const bool masked = d->o->equal == EQUAL_MASKED;
    double loss = 0.0;

    for (size_t j = 0; j < d->B; j++) s[j] = d->scale * s[j] + d->bias;
    negate_own(d, s, i);
    if (masked) set_equal(d, s, i, MASKED);
    for (size_t j = 0; j < d->B; j++) loss += s[j] > 0.0f ? (double)s[j] : 0.0;
    d->k->act_fwd(s, s, d->B, ACT_SIGMOID);
    loss -= log_surer(s, d->B);
    negate_own(d, s, i);
    if (masked) set_equal(d, s, i, 0.0f);
    d->room->sum[i] = row_total(s, d->B);
    return loss;
}

static double one_row(const void *arg, float *s, float *t, size_t i)
{
    const direction *d = arg;

    (void)t;
    return d->o->loss == LOSS_SIGMOID ? sigmoid_row(d, s, i) : softmax_row(d, s, i);
}

float contrastive_fwd_bwd(exec *e, const objective *o, float *dimg, float *dtxt,
                          float *dscale, float *dbias, const loss_room *room,
                          const float *img, const float *txt, const uint64_t *caption,
                          float scale, float bias, size_t B, size_t E)
{
    const bool both = o->loss == LOSS_SOFTMAX;
    const double terms = (double)B * (both ? 2.0 : 1.0);
    link_job links = {room->next, B, o->equal == EQUAL_NEGATIVE ? NULL : caption};
    const direction d = {e->k, o, room, scale, bias, B};
    const two_sides to_text = {img, txt, E}, to_image = {txt, img, E};
    double loss, sum = 0.0;

    memset(dimg, 0, B * E * sizeof *dimg);
    memset(dtxt, 0, B * E * sizeof *dtxt);
    exec_range(e, link_equal, &links, B, ROWS);
    loss = all_pairs(e, one_row, &d, dimg, dtxt, &room->pairs, &to_text, NULL, B, B);
    if (both)
        loss +=
            all_pairs(e, one_row, &d, dtxt, dimg, &room->pairs, &to_image, NULL, B, B);
    else
        for (size_t i = 0; i < B; i++) sum += room->sum[i];

    /* S = scale * (img txt^T) + bias, so d scale = sum of dS * cosine = dimg . img. */
    *dscale = (float)(e->k->dot(dimg, img, B * E) / terms);
    *dbias = (float)(sum / terms);
    e->k->scale(dimg, (float)((double)scale / terms), B * E);
    e->k->scale(dtxt, (float)((double)scale / terms), B * E);
    return (float)(loss / terms);
}
