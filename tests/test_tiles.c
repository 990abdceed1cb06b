/* Register tiles and the panels they take, of every instruction set that runs here,
 * against plain loops: all small sizes, nothing touched beyond the operands. */
#include "check.h"

#include <stdbool.h>

#include "sweep.h"
#include "tensor/narrow.h"

enum { PANEL = 32 };

/* One tile's call, and what it works on. */
typedef struct tile_case {
    size_t m, n, kc, ldc;
    int add;
    float *c, *was;
    const char *ahead; /* where nobody may read: a fetch ahead never faults */
} tile_case;

static tile_case tile_of(sweep *s, size_t m, size_t n, size_t kc, int add)
{
    tile_case t = {.m = m, .n = n, .kc = kc, .ldc = n + 3, .add = add};
    const size_t size = (m - 1) * t.ldc + n;

    t.c = sweep_floats(s, size);
    t.was = sweep_copy(s, t.c, size);
    t.ahead = (const char *)s->g.mem;
    return t;
}

/* c is `sum` (and what was there) within `tol` of the sum's size; beside it nothing is
 * new. */
static void check_tile(const tile_case *t, const double *sum, const double *size,
                       double tol)
{
    for (size_t at = 0; at < (t->m - 1) * t->ldc + t->n; at++) {
        const size_t i = at / t->ldc, j = at % t->ldc;
        const double before = t->add ? (double)t->was[at] : 0.0;
        if (j >= t->n) assert_true(t->c[at] == t->was[at]);
        else
            CHECK_NEAR(t->c[at], sum[i * PANEL + j] + before,
                       tol * (size[i * PANEL + j] + fabs(before)));
    }
}

enum { ROWS_MOST = 16 };

static void tile_f32(sweep *s, size_t m, size_t n, size_t kc, int add)
{
    double sum[ROWS_MOST * PANEL] = {0}, size[ROWS_MOST * PANEL] = {0};
    const float *a = sweep_floats(s, kc * m), *b = sweep_floats(s, kc * PANEL);
    const size_t h = n % (PANEL / s->k->nr) * s->k->nr; /* where in the panel */
    const tile_case t = tile_of(s, m, n, kc, add);

    for (size_t k = 0; k < kc; k++)
        for (size_t at = 0; at < m * n; at++) {
            const size_t i = at / n, j = at % n;
            const double p = (double)a[k * m + i] * (double)b[k * PANEL + h + j];
            sum[i * PANEL + j] += p, size[i * PANEL + j] += fabs(p);
        }
    s->k->tile(t.c, t.ldc, a, b + h, m, n, kc, add, t.ahead, 64);
    check_tile(&t, sum, size, 1e-6);
}

/* Element (k, i) of a panel of pairs; of quads, as it lies there. */
static double bf16_at(const uint32_t *y, size_t k, size_t i, size_t m)
{
    const uint32_t bits = (y[k / 2 * m + i] >> 16 * (k % 2)) << 16;
    float x;

    memcpy(&x, &bits, sizeof x);
    return (double)x;
}

static int byte_at(const uint32_t *y, size_t k, size_t i, size_t m)
{
    return (int)(y[k / 4 * m + i] >> 8 * (k % 4) & 255);
}

static void tile_bf16(sweep *s, size_t m, size_t n, size_t kc, int add)
{
    double sum[ROWS_MOST * PANEL] = {0}, size[ROWS_MOST * PANEL] = {0};
    const size_t pairs = (kc + 1) / 2;
    uint32_t *a = guard_take(&s->g, pairs * m * sizeof *a);
    uint32_t *b = guard_take(&s->g, pairs * PANEL * sizeof *b);
    const float *x = sweep_floats(s, kc * m), *w = sweep_floats(s, kc * PANEL);
    const tile_case t = tile_of(s, m, n, kc, add);

    s->k->narrow->pairs(a, x, kc, m);
    s->k->narrow->pairs(b, w, kc, PANEL);
    for (size_t k = 0; k < kc; k++)
        for (size_t at = 0; at < m * n; at++) {
            const size_t i = at / n, j = at % n;
            const double p = bf16_at(a, k, i, m) * bf16_at(b, k, j, PANEL);
            sum[i * PANEL + j] += p, size[i * PANEL + j] += fabs(p);
        }
    s->k->narrow->tile_bf16(t.c, t.ldc, a, b, m, n, kc, add, t.ahead, 64);
    check_tile(&t, sum, size, 1e-6);
}

/* q [kc][m]: column by column x / scale, scale = the largest / 127. */
static void bytes_of(int *q, const float *x, size_t kc, size_t m)
{
    for (size_t i = 0; i < m; i++) {
        float most = 0.0f;
        for (size_t k = 0; k < kc; k++) most = fmaxf(most, fabsf(x[k * m + i]));
        for (size_t k = 0; k < kc; k++)
            q[k * m + i] = (int)lrintf(x[k * m + i] * (127.0f / most));
    }
}

static void tile_i8(sweep *s, size_t m, size_t n, size_t kc, int add)
{
    double sum[ROWS_MOST * PANEL] = {0}, size[ROWS_MOST * PANEL] = {0};
    int qa[SWEEP_MOST * ROWS_MOST], qb[SWEEP_MOST * PANEL];
    const size_t quads = (kc + 3) / 4;
    uint32_t *a = guard_take(&s->g, quads * m * sizeof *a);
    uint32_t *b = guard_take(&s->g, quads * PANEL * sizeof *b);
    float *a_scale = sweep_floats(s, m), *b_scale = sweep_floats(s, PANEL);
    int32_t *a_sum = guard_take(&s->g, m * sizeof *a_sum);
    const float *x = sweep_floats(s, kc * m), *w = sweep_floats(s, kc * PANEL);
    const tile_case t = tile_of(s, m, n, kc, add);

    s->k->narrow->left_i8(a, a_scale, a_sum, x, kc, m);
    s->k->narrow->right_i8(b, b_scale, w, kc);
    bytes_of(qa, x, kc, m), bytes_of(qb, w, kc, PANEL);
    for (size_t k = 0; k < kc; k++)
        for (size_t at = 0; at < m * n; at++) {
            const size_t i = at / n, j = at % n;
            const double p = (double)a_scale[i] * (double)b_scale[j] *
                             (qa[k * m + i] * qb[k * PANEL + j]);
            sum[i * PANEL + j] += p, size[i * PANEL + j] += fabs(p);
        }
    s->k->narrow->tile_i8(t.c, t.ldc, a, a_scale, a_sum, b, b_scale, m, n, kc, add,
                          t.ahead, 64);
    check_tile(&t, sum, size, 1e-6);
}

/* All sizes of a tile, and depths enough to be uneven in every way. */
static void each_tile(sweep *s, size_t n,
                      void (*check)(sweep *, size_t, size_t, size_t, int))
{
    static const size_t depths[] = {1, 2, 3, 4, 5, 8, 31, SWEEP_MOST};
    const guard_side side = s->g.side;

    for (size_t m = 1; m <= s->k->mr; m++)
        for (size_t i = 0; i < 8; i++)
            for (int add = 0; add < 2; add++) {
                guard_clear(&s->g, side);
                check(s, m, n, depths[i], add);
            }
}

static void tiles(sweep *s, size_t n)
{
    if (n <= s->k->nr) each_tile(s, n, tile_f32);
}

static void tiles_bf16(sweep *s, size_t n)
{
    if (n <= PANEL) each_tile(s, n, tile_bf16);
}

static void tiles_i8(sweep *s, size_t n)
{
    if (n <= PANEL) each_tile(s, n, tile_i8);
}

/* tile: every number of rows and columns, added or not, at every place of a panel */
static void test_tile(void **state)
{
    sweep_lengths(state, tiles);
}

/* tile_bf16: the same, over pairs */
static void test_tile_bf16(void **state)
{
    sweep_lengths(state, tiles_bf16);
}

/* tile_i8: the same, over quads */
static void test_tile_i8(void **state)
{
    sweep_lengths(state, tiles_i8);
}

/* ---- narrow panels ---- */

static void pairs(sweep *s, size_t m, size_t kc)
{
    const size_t size = (kc + 1) / 2 * m;
    float *x = sweep_floats(s, kc * m);
    uint32_t *y = guard_take(&s->g, size * sizeof *y);

    s->k->narrow->pairs(y, x, kc, m);
    for (size_t i = 0; i < 2 * size; i++) {
        const size_t k = i / m;
        uint16_t want = 0;
        if (k < kc) s->k->f32_to_bf16(&want, &x[i], 1);
        assert_int_equal(y[k / 2 * m + i % m] >> 16 * (k % 2) & 0xffff, want);
    }
    s->k->narrow->pairs((uint32_t *)x, x, kc, m);
    assert_memory_equal(x, y, size * sizeof *y);
}

/* The same panel [kc][m] as rows of their own. */
static const float **rows_of(sweep *s, const float *x, size_t m, size_t kc)
{
    const float **rows = guard_take(&s->g, m * sizeof *rows);

    for (size_t i = 0; i < m; i++) {
        float *row = sweep_floats(s, kc);
        for (size_t k = 0; k < kc; k++) row[k] = x[k * m + i];
        rows[i] = row;
    }
    return rows;
}

static void pairs_of_rows(sweep *s, size_t m, size_t kc)
{
    if (m > ROWS_MOST) return;
    const size_t size = (kc + 1) / 2 * m * sizeof(uint32_t);
    const float *x = sweep_floats(s, kc * m);
    uint32_t *y = guard_take(&s->g, size), *want = guard_take(&s->g, size);

    s->k->narrow->pairs_of_rows(y, rows_of(s, x, m, kc), m, kc);
    s->k->narrow->pairs(want, x, kc, m);
    assert_memory_equal(y, want, size);
}

/* pairs: rounded to even, zeros behind an uneven depth, in place too; of rows the same */
static void test_pairs(void **state)
{
    sweep_rows(state, pairs);
    sweep_rows(state, pairs_of_rows);
}

/* Byte (k, i) of y is `zero` more than the nearest to x / scale, and zero behind the
 * last k; the columns' sums times -128 are `sum`, unless NULL. */
static void check_quads(const uint32_t *y, int zero, const float *scale,
                        const int32_t *sum, const float *x, size_t kc, size_t m)
{
    for (size_t i = 0; i < m; i++) {
        double most = 0.0;
        int32_t total = 0;
        for (size_t k = 0; k < kc; k++) most = fmax(most, fabs((double)x[k * m + i]));
        CHECK_NEAR(scale[i], most / 127.0, 1e-7 * most);
        for (size_t k = 0; k < (kc + 3) / 4 * 4; k++) {
            const int q = (int8_t)(byte_at(y, k, i, m) - zero);
            const bool in = k < kc && most > 0.0;
            CHECK_NEAR(q, in ? 127.0 * (double)x[k * m + i] / most : 0.0,
                       in ? 0.5001 : 0);
            total += q;
        }
        if (sum) assert_int_equal(sum[i], -128 * total);
    }
}

static void left_i8(sweep *s, size_t m, size_t kc)
{
    float *x = sweep_floats(s, kc * m), *scale = sweep_floats(s, m);
    uint32_t *y = guard_take(&s->g, (kc + 3) / 4 * m * sizeof *y);
    int32_t *sum = guard_take(&s->g, m * sizeof *sum);

    for (size_t k = 0; k < kc; k++) x[k * m + m / 2] = 0.0f;
    s->k->narrow->left_i8(y, scale, sum, x, kc, m);
    check_quads(y, 0, scale, sum, x, kc, m);
    s->k->narrow->left_i8((uint32_t *)x, scale, sum, x, kc, m);
    assert_memory_equal(x, y, (kc + 3) / 4 * m * sizeof *y);
}

static void right_i8(sweep *s, size_t kc)
{
    float *x = sweep_floats(s, kc * PANEL), *scale = sweep_floats(s, PANEL);
    uint32_t *y = guard_take(&s->g, (kc + 3) / 4 * PANEL * sizeof *y);

    for (size_t k = 0; k < kc; k++) x[k * PANEL + kc % PANEL] = 0.0f;
    s->k->narrow->right_i8(y, scale, x, kc);
    check_quads(y, 128, scale, NULL, x, kc, PANEL);
    assert_ptr_equal(s->k->narrow->right_of_i8(NULL, y, kc), y);
    s->k->narrow->right_i8((uint32_t *)x, scale, x, kc);
    assert_memory_equal(x, y, (kc + 3) / 4 * PANEL * sizeof *y);
}

static void left_rows_i8(sweep *s, size_t m, size_t kc)
{
    if (m > ROWS_MOST) return;
    const size_t size = (kc + 3) / 4 * m * sizeof(uint32_t);
    float *x = sweep_floats(s, kc * m), *scale = sweep_floats(s, m);
    float *want_scale = sweep_floats(s, m);
    uint32_t *y = guard_take(&s->g, size), *want = guard_take(&s->g, size);
    int32_t *sum = guard_take(&s->g, m * sizeof *sum);
    int32_t *want_sum = guard_take(&s->g, m * sizeof *sum);

    for (size_t k = 0; k < kc; k++) x[k * m + m / 2] = 0.0f;
    s->k->narrow->left_rows_i8(y, scale, sum, rows_of(s, x, m, kc), m, kc);
    s->k->narrow->left_i8(want, want_scale, want_sum, x, kc, m);
    assert_memory_equal(y, want, size);
    assert_memory_equal(scale, want_scale, m * sizeof *scale);
    assert_memory_equal(sum, want_sum, m * sizeof *sum);
}

/* left_i8, right_i8, right_of_i8: bytes, scales and sums, columns of zeros, in place
 * too; of rows the same */
static void test_quads(void **state)
{
    sweep_rows(state, left_i8);
    sweep_lengths(state, right_i8);
    sweep_rows(state, left_rows_i8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH_LEVEL(test_tile), EACH_NARROW_LEVEL(test_tile_bf16),
        EACH_NARROW_LEVEL(test_tile_i8), EACH_NARROW_LEVEL(test_pairs),
        EACH_NARROW_LEVEL(test_quads)};
    return cmocka_run_group_tests_name("tiles", tests, NULL, NULL);
}
