/* Matrix products on every instruction set that runs here, against a plain loop in
 * double, operands beside guard pages. */
#include "check.h"

#include <stdlib.h>

#include "sweep.h"
#include "tensor/block_sizes.h"
#include "tensor/gemm.h"

/* A level's exec, and memory for operands. */
typedef struct rig {
    sweep s;
    exec *x;
} rig;

static rig rig_new(void **state, size_t threads)
{
    rig t = {.s = {.k = level_kernels(state), .g = guard_new(), .r = rng_seed(1, 0)}};
    clipc_err err;

    CHECK_OK(exec_new(&t.x, threads, 100, &err), err);
    assert_ptr_equal(t.x->k, t.s.k);
    return t;
}

static void rig_free(rig *t)
{
    exec_free(t->x);
    guard_free(&t->s.g);
}

/* Who computes: gemm, gemm_serial, or gemm_packed with weights of a form. */
typedef enum how { UNPACKED, SERIAL, PACKED } how;

typedef struct product {
    how how;
    weight_form form; /* PACKED */
    size_t M, N, K, ldc;
    size_t n0, n; /* the columns that C has: gemm_packed_part, where not all */
    mat A, B;
} product;

/* B as its packed form kept it, [N,K]; what was lost is little. */
static mat kept(rig *t, const product *p, const void *packed)
{
    /* of the size: half the last bit of the mantissa; of a column's largest */
    static const double lost[] = {[WEIGHTS_F16] = 0x1p-11, [WEIGHTS_BF16] = 0x1p-8};
    float *w = sweep_floats(&t->s, p->N * p->K);

    gemm_unpack(t->x->k, w, packed, p->form, p->N, p->K);
    for (size_t n = 0; n < p->N; n++) {
        double most = 0.0;
        for (size_t k = 0; k < p->K; k++)
            most = fmax(most, fabs((double)p->B.p[k * p->B.rs + n * p->B.cs]));
        for (size_t k = 0; k < p->K; k++) {
            const double b = (double)p->B.p[k * p->B.rs + n * p->B.cs];
            CHECK_NEAR(w[n * p->K + k], b,
                       p->form == WEIGHTS_I8 ? 0.501 * most / 127.0
                                             : lost[p->form] * fabs(b) + 0x1p-25);
        }
    }
    return mat_t(w, p->K);
}

/* C's columns of the product, and B as it was multiplied with. */
static void multiply(rig *t, product *p, float *C, gemm_opts o)
{
    if (p->how == UNPACKED) {
        gemm(t->x, C, p->ldc, p->A, p->B, p->M, p->N, p->K, o);
    } else if (p->how == SERIAL) {
        gemm_serial(t->x, t->x->threads - 1, C, p->ldc, p->A, p->B, p->M, p->N, p->K, o);
    } else {
        void *packed = guard_take(&t->s.g, gemm_packed_bytes(p->form, p->N, p->K));
        gemm_pack(t->x->k, packed, p->form, p->B, p->N, p->K);
        if (p->n < p->N)
            gemm_packed_part(t->x, C, p->ldc, p->A, packed, p->form, p->M, p->N, p->n0,
                             p->n, p->K, o);
        else gemm_packed(t->x, C, p->ldc, p->A, packed, p->form, p->M, p->N, p->K, o);
        p->B = kept(t, p, packed);
    }
}

/* An operand [rows,cols], or the transpose of what lies in memory; rows there are
 * further apart than they are long. */
static mat operand(rig *t, size_t rows, size_t cols, int transposed)
{
    const size_t n = transposed ? cols : rows, len = transposed ? rows : cols;
    const float *p = sweep_floats(&t->s, (n - 1) * (len + 2) + len);

    return transposed ? mat_t(p, len + 2) : mat_of(p, len + 2);
}

/* What a product may have; the vectors are made here. */
enum { ACCUMULATE = 1, BIAS = 2, PRE = 4, SCALE = 8, ADD = 16 };

static gemm_opts opts_of(rig *t, const product *p, size_t size, int bits, act f)
{
    gemm_opts o = {.accumulate = bits & ACCUMULATE, .f = f};

    if (bits & (BIAS | SCALE)) o.bias = sweep_floats(&t->s, p->n);
    if (bits & SCALE) o.scale = sweep_floats(&t->s, p->n);
    if (bits & ADD) o.add = sweep_floats(&t->s, size);
    if (bits & PRE) o.pre = sweep_floats(&t->s, size);
    return o;
}

/* The value before the activation that belongs at C[m, n]. */
static double plain(const product *p, const gemm_opts *o, double before, size_t m,
                    size_t n)
{
    const mat *A = &p->A, *B = &p->B;
    double sum = o->accumulate ? before : 0.0;

    for (size_t k = 0; k < p->K; k++)
        sum += (double)A->p[m * A->rs + k * A->cs] *
               (double)B->p[k * B->rs + (p->n0 + n) * B->cs];
    if (o->scale) sum *= (double)o->scale[n];
    if (o->bias) sum += (double)o->bias[n];
    if (o->add) sum += (double)o->add[m * p->ldc + n];
    return sum;
}

/* One product; what lies between C's rows must stay as it was. */
static void check_product(rig *t, product p, int ta, int tb, int bits, act f)
{
    p.ldc = p.n + 3;
    const size_t size = (p.M - 1) * p.ldc + p.n;
    /* float32 sums of K products of size 1: measured 1.1e-5 at K = 36, 4.6e-5 at 257 */
    const double tol = (1.5e-5 + 3e-7 * (double)p.K) * (bits & SCALE ? 2.0 : 1.0);
    float *c = sweep_floats(&t->s, size), *before = sweep_copy(&t->s, c, size);
    const gemm_opts o = opts_of(t, &p, size, bits, f);

    p.A = operand(t, p.M, p.K, ta), p.B = operand(t, p.K, p.N, tb);
    multiply(t, &p, c, o);
    for (size_t at = 0; at < size; at++) {
        const size_t n = at % p.ldc;
        if (n >= p.n) {
            assert_true(c[at] == before[at]);
            continue;
        }
        const double want = plain(&p, &o, (double)before[at], at / p.ldc, n);
        if (o.pre) CHECK_NEAR(o.pre[at], want, tol);
        CHECK_NEAR(c[at], act_double(want, f), tol);
    }
}

/* Every way to compute a product of these sizes, with packed weights also of the columns
 * behind the first 32 and of those before the last. */
static void each_how(rig *t, size_t M, size_t N, size_t K, int ta, int tb, int bits,
                     act f)
{
    static const struct {
        how how;
        weight_form form;
    } ways[] = {{UNPACKED, 0},          {SERIAL, 0},
                {PACKED, WEIGHTS_F32},  {PACKED, WEIGHTS_F16},
                {PACKED, WEIGHTS_BF16}, {PACKED, WEIGHTS_I8}};

    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++)
        for (size_t part = 0; part < (ways[i].how == PACKED && N > 32 ? 3 : 1); part++) {
            const size_t n0 = part == 1 ? 32 : 0, n = part == 2 ? N - 1 : N - n0;
            const product p = {.how = ways[i].how,
                               .form = ways[i].form,
                               .M = M,
                               .N = N,
                               .K = K,
                               .n0 = n0,
                               .n = n};
            guard_clear(&t->s.g, (guard_side)((M + i + part + ta + bits) % GUARD_SIDES));
            check_product(t, p, ta, tb, bits, f);
        }
}

/* gemm: 1 to 67 of each dimension, blocks of each that are cut, both orders of both
 * operands, packed or not, parts */
static void test_shapes(void **state)
{
    static const size_t large[][3] = {{2, 16, 256}, {3, 31, 257}, {6, 17, 300},
                                      {28, 1, 513}, {129, 40, 9}, {70, 1600, 3},
                                      {9, 300, 700}};
    rig t = rig_new(state, 2);

    /* 67 is prime: each dimension takes every value once, in another order. */
    for (size_t i = 0; i < SWEEP_MOST; i++)
        for (int order = 0; order < 4; order++)
            each_how(&t, 1 + i, 1 + i * 29 % SWEEP_MOST, 1 + i * 43 % SWEEP_MOST,
                     order & 1, order >> 1, 0, ACT_NONE);
    for (size_t i = 0; i < sizeof large / sizeof large[0]; i++)
        each_how(&t, large[i][0], large[i][1], large[i][2], i & 1, i >> 1 & 1, 0,
                 ACT_NONE);
    rig_free(&t);
}

/* gemm: more of B than is packed at a time, in depth and in columns; its columns share
 * most of their memory */
static void test_much_to_pack(void **state)
{
    enum { M = 3, N = GEMM_NC + 5, K = 1300, APART = 3 };
    product p = {.how = UNPACKED, .M = M, .N = N, .n = N, .K = K, .ldc = N};
    const gemm_opts o = {0};
    rig t = rig_new(state, 2);
    float *c = sweep_floats(&t.s, M * N);

    _Static_assert(N * K > GEMM_PACK_FLOATS, "all of it is packed at once");
    p.A = operand(&t, M, K, 1);
    p.B = mat_t(sweep_floats(&t.s, (N - 1) * APART + K), APART);
    multiply(&t, &p, c, o);
    for (size_t i = 0; i < M * N; i++) /* measured below 8e-5 */
        CHECK_NEAR(c[i], plain(&p, &o, 0.0, i / N, i % N), 1.6e-4);
    rig_free(&t);
}

/* gemm: accumulate, bias, scale, what is added, activation and the values before it, in
 * every combination that there is */
static void test_epilogue(void **state)
{
    rig t = rig_new(state, 1);

    for (int f = ACT_NONE; f <= ACT_SILU; f++)
        for (int bits = 0; bits < 2 * ADD; bits++) {
            const bool scaled = bits & SCALE;
            if (scaled ? bits & (BIAS | PRE) ||
                             (f != ACT_NONE && f != ACT_RELU && f != ACT_RELU6)
                       : bits & ADD || (bits & PRE && f == ACT_NONE))
                continue;
            each_how(&t, 15, 33, 257, 0, 1, bits, (act)f);
        }
    rig_free(&t);
}

/* gemm: the same bits whatever the number of threads, packed before or on the way */
static void test_threads(void **state)
{
    enum { M = 150, N = 130, K = 600 };
    float *one = NULL;

    for (size_t threads = 1; threads <= 3; threads++) {
        rig t = rig_new(state, threads);
        const float *a = sweep_floats(&t.s, M * K), *b = sweep_floats(&t.s, N * K);
        for (int h = UNPACKED; h <= PACKED; h++) {
            float *c = malloc(M * N * sizeof *c);
            product p = {.how = (how)h,
                         .form = WEIGHTS_F32,
                         .M = M,
                         .N = N,
                         .K = K,
                         .ldc = N,
                         .n = N,
                         .A = mat_of(a, K),
                         .B = mat_t(b, K)};
            assert_non_null(c);
            multiply(&t, &p, c, (gemm_opts){0});
            if (!one) one = c;
            assert_memory_equal(c, one, M * N * sizeof *c);
            if (c != one) free(c);
        }
        rig_free(&t);
    }
    free(one);
}

/* Whole numbers; every row and column of every block of 256 k has one of 127, so that
 * bytes hold them with a scale of 1, and bf16 and halves hold them as they are.  The
 * first of them has no others: the largest sums that there are. */
static float *small_numbers(sweep *s, size_t rows, size_t K)
{
    float *x = guard_take(&s->g, rows * K * sizeof *x);

    for (size_t i = 0; i < rows * K; i++)
        x[i] = i < K || i % K % 256 == 0 ? 127.0f
                                         : (float)(int)rng_below(&s->r, 255) - 127.0f;
    return x;
}

static void check_narrow(rig *t, weight_form form, size_t M, size_t N, size_t K)
{
    const size_t first = N > 40 ? 32 : 0, n = N - first, ldc = n + 2;
    const float *a = small_numbers(&t->s, M, K), *b = small_numbers(&t->s, N, K);
    float *c = sweep_floats(&t->s, (M - 1) * ldc + n), edge = M > 1 ? c[n] : 0.0f;
    void *packed = guard_take(&t->s.g, gemm_packed_bytes(form, N, K));

    gemm_pack(t->x->k, packed, form, mat_t(b, K), N, K);
    gemm_packed_part(t->x, c, ldc, mat_of(a, K), packed, form, M, N, first, n, K,
                     (gemm_opts){0});
    for (size_t m = 0; m < M; m++)
        for (size_t i = 0; i < n; i++) {
            double want = 0.0, size = 0.0;
            for (size_t k = 0; k < K; k++) {
                const double p = (double)a[m * K + k] * (double)b[(first + i) * K + k];
                want += p, size += fabs(p);
            }
            CHECK_NEAR(c[m * ldc + i], want, 1e-6 * size);
        }
    assert_true(M == 1 || c[n] == edge);
}

/* gemm_packed in bf16 and in bytes, or in float32 where that is as fast: exact where the
 * numbers are, for every form of the weights, every shape of edge tile, and for some
 * columns alone */
static void test_narrow(void **state)
{
    static const size_t large[][3] = {{2, 16, 256}, {3, 31, 257}, {130, 41, 515}};
    rig t = rig_new(state, 2);

    for (int i = 0; i < 2 * 3 * 4; i++) {
        const guard_side side = (guard_side)(i / 12);
        const weight_form form = (weight_form)(WEIGHTS_F32 + i % 4);
        t.x->precision = (compute)(i / 4 % 3);
        for (size_t k = 0; k < SWEEP_MOST; k++) {
            guard_clear(&t.s.g, side);
            check_narrow(&t, form, 1 + k, 1 + k * 29 % SWEEP_MOST,
                         1 + k * 43 % SWEEP_MOST);
        }
        for (size_t k = 0; k < sizeof large / sizeof large[0]; k++) {
            guard_clear(&t.s.g, side);
            check_narrow(&t, form, large[k][0], large[k][1], large[k][2]);
        }
    }
    rig_free(&t);
}

/* One block of K: x = scale * q of narrow.h. */
static float whole_of(double *q, const float *x, size_t n, float largest)
{
    float most = 0.0f;

    for (size_t i = 0; i < n; i++) most = fmaxf(most, fabsf(x[i]));
    for (size_t i = 0; i < n; i++) q[i] = rint((double)(x[i] * (largest / most)));
    return most / largest;
}

/* gemm_packed in int8: every table that has it rounds as it says and adds exactly */
static void test_rounds(void **state)
{
    enum { M = 23, N = 37, K = 600, BLOCK = 256 };
    rig t = rig_new(state, 1);
    const float largest = strcmp(t.x->k->name, "avx2") == 0 ? 22 * 127 : 127;
    const float *a = sweep_floats(&t.s, M * K), *b = sweep_floats(&t.s, N * K);
    float *c = sweep_floats(&t.s, M * N);
    void *packed = guard_take(&t.s.g, gemm_packed_bytes(WEIGHTS_F32, N, K));
    double qa[BLOCK], qb[BLOCK];

    t.x->precision = PRECISION_I8;
    gemm_pack(t.x->k, packed, WEIGHTS_F32, mat_t(b, K), N, K);
    gemm_packed(t.x, c, N, mat_of(a, K), packed, WEIGHTS_F32, M, N, K, (gemm_opts){0});
    for (size_t m = 0; m < M; m++)
        for (size_t n = 0; n < N; n++) {
            double want = 0.0;
            for (size_t k = 0; k < K; k += BLOCK) {
                const size_t kc = K - k < BLOCK ? K - k : BLOCK;
                const double sa = (double)whole_of(qa, a + m * K + k, kc, largest);
                const double sb = (double)whole_of(qb, b + n * K + k, kc, largest);
                for (size_t i = 0; i < kc; i++) want += sa * qa[i] * sb * qb[i];
            }
            /* measured 9.8e-6; float32 products are off by 0.02 and more */
            CHECK_NEAR(c[m * N + n], want, 2e-5);
        }
    rig_free(&t);
}

/* gemm_packed_serial: the bits of gemm_packed, K in two blocks; gemm_packed_row: what was
 * packed */
static void test_packed_serial(void **state)
{
    static const size_t sizes[][3] = {{1, 1, 1}, {57, 40, 300}, {84, 64, 16}};
    rig t = rig_new(state, 2);

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        const size_t M = sizes[i][0], N = sizes[i][1], K = sizes[i][2];
        guard_clear(&t.s.g, t.s.g.side);
        const mat A = operand(&t, M, K, 0), B = operand(&t, K, N, 1);
        float *c = sweep_floats(&t.s, M * N), *want = sweep_floats(&t.s, M * N);
        void *packed = guard_take(&t.s.g, gemm_packed_bytes(WEIGHTS_F32, N, K));
        gemm_pack(t.x->k, packed, WEIGHTS_F32, B, N, K);
        gemm_packed(t.x, want, N, A, packed, WEIGHTS_F32, M, N, K, (gemm_opts){0});
        gemm_packed_serial(t.x, 1, c, N, A, packed, M, N, K);
        assert_memory_equal(c, want, M * N * sizeof *c);
        for (size_t k = 0; k < K; k++)
            for (size_t n = 0; n < N; n++)
                assert_true(gemm_packed_row(packed, N, K, n / 32, k)[n % 32] ==
                            B.p[k * B.rs + n * B.cs]);
    }
    rig_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH_LEVEL(test_packed_serial), EACH_LEVEL(test_shapes),
        EACH_LEVEL(test_much_to_pack),  EACH_LEVEL(test_epilogue),
        EACH_LEVEL(test_threads),       EACH_LEVEL(test_narrow),
        LEVEL_TEST(test_rounds, avx2),  LEVEL_TEST(test_rounds, avx512vnni)};
    return cmocka_run_group_tests_name("gemm", tests, NULL, NULL);
}
