/* The exact scan against the plainest search there is, for every type, number of queries
 * and set of kernels; and the kernels it stands on. */
#include "check.h"

#include <stdlib.h>

#include "guard.h"
#include "levels.h"
#include "store_rig.h"
#include "tensor/exec.h"

#define FOLDER "build/test_nearest"
enum { QUERIES = 70, K = 12, N = 700 };

static int remove_all(void **state)
{
    (void)state;
    return system("rm -rf " FOLDER);
}

/* ---- kernels ---- */

/* The same numbers as float32, halves and bytes. */
static void fill_row(const kernels *k, void *row, dtype t, size_t C, uint64_t seed)
{
    float x[600];

    for (size_t c = 0; c < C; c++)
        x[c] = (float)((int)((seed * 31 + c * 17) % 255) - 127);
    if (t != DT_I8) dtype_from_f32(k, row, t, x, C);
    else
        for (size_t c = 0; c < C; c++) ((int8_t *)row)[c] = (int8_t)x[c];
}

static void check_dots(const kernels *k, guard *g, dtype t, size_t n, size_t C)
{
    float *q = guard_take(g, C * sizeof *q), *y = guard_take(g, n * sizeof *y);
    float wide[600];
    const void *rows[9];

    for (size_t c = 0; c < C; c++) q[c] = (float)((int)(c * 7 % 64) - 32) / 64.0f;
    for (size_t i = 0; i < n; i++) {
        void *row = guard_take(g, C * dtype_size(t));
        fill_row(k, row, t, C, i);
        rows[i] = row;
    }
    (t == DT_F16   ? k->dots_f16
     : t == DT_F32 ? k->dots_f32
                   : k->dots_i8)(y, rows, q, n, C);
    for (size_t i = 0; i < n; i++) {
        double want = 0.0;
        fill_row(k, wide, DT_F32, C, i);
        for (size_t c = 0; c < C; c++) want += (double)wide[c] * (double)q[c];
        /* Products are whole multiples of 1/64 and sums below 2^17: all exact. */
        CHECK_NEAR(y[i], want, 0.0);
    }
}

/* dots_*: right, and reads nothing behind its rows */
static void test_dots(void **state)
{
    static const size_t sizes[] = {1, 7, 16, 33, 64, 513};
    static const dtype types[] = {DT_F32, DT_F16, DT_I8};
    const kernels *k = level_kernels(state);
    guard g = guard_new();

    for (int side = 0; side < GUARD_SIDES; side++)
        for (size_t t = 0; t < 3; t++)
            for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
                for (size_t n = 1; n < 10; n++) {
                    guard_clear(&g, side);
                    check_dots(k, &g, types[t], n, sizes[i]);
                }
    guard_free(&g);
}

/* i8_to_f32: every byte */
static void test_bytes(void **state)
{
    const kernels *k = level_kernels(state);
    int8_t x[256];
    float y[256];

    for (int i = 0; i < 256; i++) x[i] = (int8_t)(i - 128);
    k->i8_to_f32(y, x, 256);
    for (int i = 0; i < 256; i++) CHECK_NEAR(y[i], i - 128, 0.0);
}

/* ---- scans ---- */

typedef struct bench {
    store *s;
    int64_t space;
    size_t dim;
    float *queries; /* [QUERIES,dim] */
    double *scores; /* [QUERIES,N] of the rows as they are stored */
} bench;

static void make_bench(bench *b, size_t dim, dtype type)
{
    float *row = malloc(dim * sizeof *row);
    clipc_err err;

    remove_all(NULL);
    b->s = srig_open(FOLDER, STORE_WRITE);
    b->space = srig_space(b->s, b->dim = dim, type);
    srig_fill(b->s, b->space, 0, N);
    b->queries = malloc(QUERIES * dim * sizeof *b->queries);
    b->scores = calloc(QUERIES * N, sizeof *b->scores);
    for (uint64_t q = 0; q < QUERIES; q++)
        srig_row(b->queries + q * dim, dim, 100000 + q);
    for (size_t i = 0; i < N; i++) {
        CHECK_OK(store_vector_get(b->s, row, NULL, b->space, i, &err), err);
        for (size_t q = 0; q < QUERIES; q++)
            for (size_t c = 0; c < dim; c++)
                b->scores[q * N + i] += (double)row[c] * (double)b->queries[q * dim + c];
    }
    free(row);
}

static void free_bench(bench *b)
{
    store_close(b->s);
    free(b->queries);
    free(b->scores);
}

static bool wanted(const slot_set *among, size_t slot)
{
    return !among || among->bits[slot / 64] >> slot % 64 & 1;
}

/* In order, each with its score, and none that was left out is better than the last. */
static void check_hits(const double *scores, const store_hit *hits, size_t n, size_t k,
                       const slot_set *among)
{
    const double tol = 4e-6; /* measured 1e-6: sums of 512 products of float32 */
    size_t there = 0, better = 0;

    for (size_t i = 0; i < n; i++) {
        assert_true(wanted(among, hits[i].slot));
        CHECK_NEAR(hits[i].score, scores[hits[i].slot], tol);
        if (i == 0) continue;
        assert_true(hits[i].score <= hits[i - 1].score);
        if (!(hits[i].score < hits[i - 1].score))
            assert_true(hits[i].slot > hits[i - 1].slot);
    }
    for (size_t i = 0; i < N; i++) {
        there += wanted(among, i);
        better += n && wanted(among, i) && scores[i] > (double)hits[n - 1].score + tol;
    }
    assert_int_equal(n, there < k ? there : k);
    assert_true(better < n || n == 0);
}

static void check_scan(const bench *b, size_t threads, size_t Q, size_t k,
                       const slot_set *among, store_hit *hits)
{
    size_t n[QUERIES];
    exec *x;
    clipc_err err;

    CHECK_OK(exec_new(&x, threads, 0, &err), err);
    CHECK_OK(store_scan(b->s, x, hits, n, b->space, b->queries, Q, k, among, &err), err);
    for (size_t q = 0; q < Q; q++)
        check_hits(b->scores + q * N, hits + q * k, n[q], k, among);
    exec_free(x);
}

/* To the bit; what pads a hit says nothing. */
static void check_same(const store_hit *a, const store_hit *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(a[i].slot, b[i].slot);
        assert_memory_equal(&a[i].score, &b[i].score, sizeof a[i].score);
    }
}

static void check_all(const bench *b)
{
    static const size_t Qs[] = {1, 3, 4, 33, QUERIES};
    static store_hit hits[QUERIES * K], again[QUERIES * K], all[N];
    slot_set some = {0};
    clipc_err err;

    CHECK_OK(store_select(b->s, &some, b->space, &(store_filter){0}, &err), err);
    assert_int_equal(some.count, N);
    /* Blocks with none, few and all of their slots. */
    for (size_t i = 0; i < 256; i++) some.bits[i / 64] &= ~(UINT64_C(1) << i % 64);
    some.bits[5] = 2, some.bits[6] = 0x80000001, some.bits[7] = 0;
    some.count = 1 + 2 + 64 + N - 512;
    some.bits[4] = UINT64_MAX;
    for (size_t i = 0; i < sizeof Qs / sizeof *Qs; i++) {
        check_scan(b, 1, Qs[i], K, NULL, hits);
        check_scan(b, 3, Qs[i], K, NULL, again);
        check_same(hits, again, Qs[i] * K);
        check_scan(b, 2, Qs[i], K, &some, hits);
    }
    check_scan(b, 2, 1, N, NULL, all);
    slot_set_free(&some);
}

/* store_scan: what a search one by one finds */
static void test_scan(void **state)
{
    static const dtype types[] = {DT_F16, DT_F32, DT_I8};
    static const size_t dims[] = {3, 40, 512};
    bench b;

    level_kernels(state);
    for (size_t t = 0; t < 3; t++)
        for (size_t i = 0; i < 3; i++) {
            make_bench(&b, dims[i], types[t]);
            check_all(&b);
            free_bench(&b);
        }
}

/* Equal scores come by slot, whoever finds them first, also where they are cut off. */
static void test_ties(void **state)
{
    float row[8], queries[5 * 8];
    size_t n[5];
    store_hit hits[5 * K];
    exec *x;
    clipc_err err;
    store *s;

    (void)state;
    remove_all(NULL);
    s = srig_open(FOLDER, STORE_WRITE);
    const int64_t space = srig_space(s, 8, DT_F16);
    srig_fill(s, space, 0, 1);
    srig_row(row, 8, 5);
    CHECK_OK(store_begin(s, &err), err);
    for (uint64_t i = 1; i < 2000; i++) {
        char name[32];
        snprintf(name, sizeof name, "%u", (unsigned)i);
        const store_item item = srig_item(1, name, i);
        CHECK_OK(store_item_put(s, NULL, &item, &err), err);
        CHECK_OK(store_vector_put(s, space, &item.hash, row, &err), err);
    }
    CHECK_OK(store_commit(s, &err), err);
    CHECK_OK(exec_new(&x, 3, 0, &err), err);
    for (size_t q = 0; q < 5; q++) srig_row(queries + 8 * q, 8, 5);
    for (size_t Q = 1; Q <= 5; Q += 4) {
        CHECK_OK(store_scan(s, x, hits, n, space, queries, Q, K, NULL, &err), err);
        for (size_t i = 0; i < K; i++)
            assert_int_equal(hits[(Q - 1) * K + i].slot, 1 + i);
    }
    exec_free(x);
    store_close(s);
}

/* Queries of no number, an empty space, k of nothing. */
static void test_edges(void **state)
{
    float query[4] = {1, 0, 0, 0};
    store_hit hit[3];
    size_t n = 9;
    exec *x;
    clipc_err err;

    (void)state;
    remove_all(NULL);
    store *s = srig_open(FOLDER, STORE_WRITE);
    const int64_t space = srig_space(s, 4, DT_F32);
    CHECK_OK(exec_new(&x, 1, 0, &err), err);
    CHECK_OK(store_scan(s, x, hit, &n, space, query, 1, 3, NULL, &err), err);
    assert_int_equal(n, 0);
    srig_fill(s, space, 0, 2);
    CHECK_OK(store_scan(s, x, hit, &n, space, query, 1, 3, NULL, &err), err);
    assert_int_equal(n, 2);
    CHECK_OK(store_scan(s, x, hit, &n, space, query, 1, 0, NULL, &err), err);
    assert_int_equal(n, 0);
    query[2] = NAN;
    CHECK_FAILS(store_scan(s, x, hit, &n, space, query, 1, 3, NULL, &err),
                CLIPC_ERR_NUMBER, err, "query");
    CHECK_FAILS(store_scan(s, x, hit, &n, 77, query, 1, 3, NULL, &err), CLIPC_ERR_ARG,
                err, "no space 77");
    exec_free(x);
    store_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {EACH_LEVEL(test_dots), EACH_LEVEL(test_bytes),
                                       EACH_LEVEL(test_scan), cmocka_unit_test(test_ties),
                                       cmocka_unit_test(test_edges)};

    return cmocka_run_group_tests_name("nearest", tests, NULL, remove_all);
}
