#include "train/neighbours.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/sizes.h"
#include "tensor/gemm.h"

enum { SCAN_ROWS = 1024 }; /* of the table as float32 at a time */

/* The batches that were begun when a checkpoint is written lie in the last two groups, of
 * which each has its number in front. */
enum { GROUPS = 2, NUMBERS = 1 };

typedef struct candidate {
    float near;
    uint32_t at; /* in the rest of the group */
} candidate;

struct neighbours {
    neighbours_cfg cfg;
    size_t group;    /* places of one */
    uint16_t *table; /* [samples,E] */
    int64_t *groups; /* [GROUPS]: its number, from 1 (0: none), and its samples [group] */
    int64_t *rest;   /* [group] samples without a batch as yet */
    candidate *found; /* [group] */
    float *near;      /* [group] */
    float *rows;      /* [SCAN_ROWS,E] */
    float *seed;      /* [E] */
    arena mem;
};

static void take(neighbours *n, arena *a)
{
    const size_t E = n->cfg.E;

    n->table = arena_take(a, n->cfg.samples, E * sizeof *n->table);
    n->groups = arena_take(a, GROUPS * (NUMBERS + n->group), sizeof *n->groups);
    n->rest = arena_take(a, n->group, sizeof *n->rest);
    n->found = arena_take(a, n->group, sizeof *n->found);
    n->near = ARENA_FLOATS(a, n->group);
    n->rows = ARENA_FLOATS(a, SCAN_ROWS * E);
    n->seed = ARENA_FLOATS(a, E);
}

/* Not larger than an epoch. */
static size_t group_size(const neighbours_cfg *c)
{
    return min_size(c->candidates, div_up(c->samples, c->batch)) * c->batch;
}

int neighbours_make(neighbours **out, size_t *bytes, const neighbours_cfg *cfg,
                    clipc_err *err)
{
    neighbours shape = {.cfg = *cfg, .group = group_size(cfg)};
    arena measure = arena_measure();

    take(&shape, &measure);
    int rc = arena_make(&shape.mem, bytes, &measure, "hard negatives", err);
    if (rc != CLIPC_OK || bytes) return rc;
    take(&shape, &shape.mem);
    if (!(*out = malloc(sizeof **out))) {
        arena_free(&shape.mem);
        return clipc_fail_memory(err, "hard negatives", sizeof **out);
    }
    **out = shape;
    return CLIPC_OK;
}

void neighbours_free(neighbours *n)
{
    if (n) arena_free(&n->mem);
    free(n);
}

void neighbours_keep(neighbours *n, const kernels *k, const float *img,
                     const size_t *samples, size_t B)
{
    const size_t E = n->cfg.E;

    for (size_t i = 0; i < B; i++)
        k->f32_to_f16(n->table + samples[i] * E, img + i * E, E);
}

/* near[i] = how near sample rest[i] is to rest[0]. */
static void scan(neighbours *n, exec *e, size_t count)
{
    const size_t E = n->cfg.E;

    e->k->f16_to_f32(n->seed, n->table + (size_t)n->rest[0] * E, E);
    for (size_t at = 0; at < count; at += SCAN_ROWS) {
        const size_t rows = min_size(SCAN_ROWS, count - at);
        for (size_t i = 0; i < rows; i++)
            e->k->f16_to_f32(n->rows + i * E, n->table + (size_t)n->rest[at + i] * E, E);
        gemm(e, n->near + at, rows, mat_of(n->seed, E), mat_t(n->rows, E), 1, rows, E,
             (gemm_opts){0});
    }
}

/* The nearest first; of equally near ones the first. */
static int by_nearness(const void *a, const void *b)
{
    const candidate *x = a, *y = b;

    if (x->near != y->near) return x->near > y->near ? -1 : 1;
    return (x->at > y->at) - (x->at < y->at);
}

/* out [size] = the first of the rest and what is nearest to it, which leave the rest. */
static void take_nearest(neighbours *n, exec *e, int64_t *out, size_t size, size_t count)
{
    size_t left = 0;

    scan(n, e, count);
    for (size_t i = 1; i < count; i++) n->found[i] = (candidate){n->near[i], (uint32_t)i};
    qsort(n->found + 1, count - 1, sizeof *n->found, by_nearness);
    out[0] = n->rest[0];
    n->rest[0] = -1;
    for (size_t i = 1; i < size; i++) {
        out[i] = n->rest[n->found[i].at];
        n->rest[n->found[i].at] = -1;
    }
    for (size_t i = 0; i < count; i++)
        if (n->rest[i] >= 0) n->rest[left++] = n->rest[i];
}

/* The samples of places `first` to `end`, which lie in one epoch, batch by batch. */
static void make_up(neighbours *n, exec *e, int64_t *samples, size_t first, size_t end)
{
    const size_t B = n->cfg.batch;

    memcpy(n->rest, samples, (end - first) * sizeof *samples);
    for (size_t at = first; at < end;) {
        const size_t size = min_size(B - at % B, end - at);
        take_nearest(n, e, samples + (at - first), size, end - at);
        at += size;
    }
}

static void make_group(neighbours *n, exec *e, const sampling *s, int64_t *samples,
                       size_t number)
{
    const size_t N = n->cfg.samples, first = number * n->group, end = first + n->group;

    for (size_t i = 0; i < n->group; i++)
        samples[i] = (int64_t)sampling_shuffled(s, first + i);
    for (size_t at = first; at < end;) {
        const size_t to = min_size(end, (at / N + 1) * N);
        make_up(n, e, samples + (at - first), at, to);
        at = to;
    }
}

void neighbours_batch(neighbours *n, exec *e, const sampling *s, size_t *samples,
                      size_t step)
{
    const size_t B = n->cfg.batch, first = step * B, number = first / n->group;
    int64_t *g = n->groups + number % GROUPS * (NUMBERS + n->group);

    if (g[0] != (int64_t)number + 1) {
        make_group(n, e, s, g + NUMBERS, number);
        g[0] = (int64_t)number + 1;
    }
    for (size_t i = 0; i < B; i++) samples[i] = (size_t)g[NUMBERS + first % n->group + i];
}

uint16_t *neighbours_table(neighbours *n, size_t *count)
{
    *count = n->cfg.samples * n->cfg.E;
    return n->table;
}

int64_t *neighbours_groups(neighbours *n, size_t *count)
{
    *count = GROUPS * (NUMBERS + n->group);
    return n->groups;
}

int neighbours_check(const neighbours *n, const char *path, clipc_err *err)
{
    for (size_t g = 0; g < GROUPS; g++) {
        const int64_t *v = n->groups + g * (NUMBERS + n->group);
        for (size_t i = NUMBERS; i < NUMBERS + n->group; i++)
            if (v[i] < 0 || (size_t)v[i] >= n->cfg.samples)
                return clipc_fail(err, CLIPC_ERR_FORMAT,
                                  "%s: hard negatives of sample %" PRId64
                                  ", there are %zu",
                                  path, v[i], n->cfg.samples);
    }
    return CLIPC_OK;
}
