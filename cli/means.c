#include "cli/means.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"

enum { ROUNDS = 50 };

static float dot(const float *a, const float *b, size_t dim)
{
    float sum = 0.0f;

    for (size_t d = 0; d < dim; d++) sum += a[d] * b[d];
    return sum;
}

/* far [n]: 1 - the cosine to the nearest centre so far. */
static void keep_nearest(float *far, const float *centre, const float *rows, size_t n,
                         size_t dim)
{
    for (size_t i = 0; i < n; i++)
        far[i] = fminf(far[i], fmaxf(0.0f, 1.0f - dot(rows + i * dim, centre, dim)));
}

/* A row by chance, the more likely the further it is from all centres. */
static size_t draw(rng *r, const float *far, size_t n)
{
    double sum = 0.0;

    for (size_t i = 0; i < n; i++) sum += (double)far[i];
    double left = (double)rng_uniform(r) * sum;
    for (size_t i = 0; i < n; i++)
        if ((left -= (double)far[i]) < 0.0) return i;
    return n - 1;
}

static void begin(float *centres, float *far, const float *rows, size_t n, size_t k,
                  size_t dim)
{
    rng r = rng_seed(0, 0);

    for (size_t i = 0; i < n; i++) far[i] = 2.0f;
    for (size_t c = 0; c < k; c++) {
        const size_t i = draw(&r, far, n);
        memcpy(centres + c * dim, rows + i * dim, dim * sizeof *rows);
        keep_nearest(far, centres + c * dim, rows, n, dim);
    }
}

/* Whether a row came to another group. */
static bool assign(size_t *of, const float *centres, const float *rows, size_t n,
                   size_t k, size_t dim)
{
    bool moved = false;

    for (size_t i = 0; i < n; i++) {
        float best = -INFINITY;
        size_t to = 0;
        for (size_t c = 0; c < k; c++) {
            const float score = dot(rows + i * dim, centres + c * dim, dim);
            if (score > best) best = score, to = c;
        }
        moved = moved || of[i] != to;
        of[i] = to;
    }
    return moved;
}

/* A group without rows keeps its centre. */
static void move_centres(float *centres, double *sums, const size_t *of,
                         const float *rows, size_t n, size_t k, size_t dim)
{
    memset(sums, 0, k * dim * sizeof *sums);
    for (size_t i = 0; i < n; i++)
        for (size_t d = 0; d < dim; d++)
            sums[of[i] * dim + d] += (double)rows[i * dim + d];
    for (size_t c = 0; c < k; c++) {
        double length = 0.0;
        for (size_t d = 0; d < dim; d++) length += sums[c * dim + d] * sums[c * dim + d];
        for (size_t d = 0; length > 0.0 && d < dim; d++)
            centres[c * dim + d] = (float)(sums[c * dim + d] / sqrt(length));
    }
}

int means_find(size_t *of, float *centres, const float *rows, size_t n, size_t k,
               size_t dim, clipc_err *err)
{
    float *far = malloc(n * sizeof *far);
    double *sums = malloc(k * dim * sizeof *sums);
    int rc =
        far && sums ? CLIPC_OK : clipc_fail_memory(err, "groups", k * dim * sizeof *sums);

    if (rc == CLIPC_OK) {
        begin(centres, far, rows, n, k, dim);
        memset(of, 0xff, n * sizeof *of); /* no group yet */
        for (size_t i = 0; i < ROUNDS && assign(of, centres, rows, n, k, dim); i++)
            move_centres(centres, sums, of, rows, n, k, dim);
    }
    free(far);
    free(sums);
    return rc;
}
