/* Matrix products on every instruction set that runs here, against a plain loop in
 * double. */
#include "check.h"

#include <stdlib.h>

#include "base/rng.h"
#include "tensor/gemm.h"
#include "tensor/narrow.h"

static const char *const isas[] = {"ref", "avx2", "avx512", "avx512vnni"};

static float *random_floats(rng *r, size_t n)
{
    float *x = malloc((n + 1) * sizeof *x);
    assert_non_null(x);
    rng_fill_normal(r, x, n, 0.0f, 1.0f);
    return x;
}

static exec *exec_for(const char *isa, size_t threads)
{
    clipc_err err;
    exec *x = NULL;

    setenv("CLIPC_ISA", isa, 1);
    CHECK_OK(exec_new(&x, threads, 100, &err), err);
    unsetenv("CLIPC_ISA");
    return x;
}

static double act_double(double x, act f)
{
    switch (f) {
    case ACT_QUICK_GELU: return x / (1.0 + exp(-1.702 * x));
    case ACT_GELU: return 0.5 * x * erfc(-x / sqrt(2.0));
    case ACT_GELU_TANH:
        return 0.5 * x * (1.0 + tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)));
    case ACT_RELU: return x > 0.0 ? x : 0.0;
    default: return x;
    }
}

typedef enum how { UNPACKED, PACKED, SERIAL, HOWS } how;

static void multiply(exec *x, how h, float *C, size_t ldc, mat A, mat B, size_t M,
                     size_t N, size_t K, gemm_opts o)
{
    if (h == UNPACKED) {
        gemm(x, C, ldc, A, B, M, N, K, o);
    } else if (h == SERIAL) {
        gemm_serial(x, x->threads - 1, C, ldc, A, B, M, N, K, o);
    } else {
        float *packed = malloc(gemm_packed_bytes(WEIGHTS_F32, N, K) + 1);
        assert_non_null(packed);
        gemm_pack(x->k, packed, WEIGHTS_F32, B, N, K);
        gemm_packed(x, C, ldc, A, packed, WEIGHTS_F32, M, N, K, o);
        free(packed);
    }
}

/* One product with all that can vary; C has a margin that must stay as it was. */
static void check_product(exec *x, rng *r, how h, size_t M, size_t N, size_t K, int ta,
                          int tb, gemm_opts o, int with_pre)
{
    const size_t ldc = N + 3;
    float *a = random_floats(r, M * K), *b = random_floats(r, K * N);
    float *bias = random_floats(r, N), *c = random_floats(r, M * ldc);
    float *before = random_floats(r, M * ldc), *pre = random_floats(r, M * ldc);
    const mat A = ta ? mat_t(a, M) : mat_of(a, K), B = tb ? mat_t(b, K) : mat_of(b, N);

    memcpy(before, c, M * ldc * sizeof *c);
    o.bias = o.bias ? bias : NULL;
    o.pre = with_pre ? pre : NULL;
    multiply(x, h, c, ldc, A, B, M, N, K, o);
    for (size_t m = 0; m < M; m++)
        for (size_t n = 0; n < ldc; n++) {
            const size_t at = m * ldc + n;
            if (n >= N) {
                assert_true(c[at] == before[at]);
                continue;
            }
            double want = o.accumulate ? (double)before[at] : 0.0;
            for (size_t k = 0; k < K; k++)
                want +=
                    (double)A.p[m * A.rs + k * A.cs] * (double)B.p[k * B.rs + n * B.cs];
            if (o.bias) want += (double)bias[n];
            /* float32 sums of K products of size 1: measured 4e-6 at K = 700 */
            const double tol = 1e-5 + 2e-7 * (double)K;
            if (o.pre) CHECK_NEAR(pre[at], want, tol);
            CHECK_NEAR(c[at], act_double(want, o.f), tol);
        }
    free(a), free(b), free(bias), free(c), free(before), free(pre);
}

static void each_isa(void (*check)(const char *isa))
{
    int ran = 0;
    for (size_t i = 0; i < sizeof isas / sizeof isas[0]; i++) {
        if (!kernels_named(isas[i])) continue;
        check(isas[i]);
        ran++;
    }
    assert_true(ran > 0);
}

static void shapes(const char *isa)
{
    static const size_t MNK[][3] = {
        {1, 1, 1},    {1, 33, 5},   {2, 16, 256}, {3, 31, 257},  {5, 32, 7},
        {6, 17, 300}, {7, 64, 64},  {13, 5, 31},  {14, 32, 16},  {15, 100, 70},
        {28, 1, 513}, {50, 65, 48}, {129, 40, 9}, {70, 1600, 3}, {9, 300, 700}};
    exec *x = exec_for(isa, 2);
    rng r = rng_seed(1, 0);

    for (size_t i = 0; i < sizeof MNK / sizeof MNK[0]; i++)
        for (int h = 0; h < HOWS; h++)
            for (int t = 0; t < 4; t++)
                check_product(x, &r, (how)h, MNK[i][0], MNK[i][1], MNK[i][2], t & 1,
                              t >> 1, (gemm_opts){0}, 0);
    exec_free(x);
}

/* gemm: every shape of edge tile, both orders of both operands, packed or not */
static void test_shapes(void **state)
{
    (void)state;
    each_isa(shapes);
}

static void epilogues(const char *isa)
{
    exec *x = exec_for(isa, 1);
    rng r = rng_seed(2, 0);
    const float some = 1.0f;

    for (int h = 0; h < HOWS; h++)
        for (int f = ACT_NONE; f <= ACT_RELU; f++)
            for (int bits = 0; bits < 8; bits++)
                check_product(x, &r, (how)h, 19, 45, 300, 0, 1,
                              (gemm_opts){.accumulate = bits & 1,
                                          .bias = bits & 2 ? &some : NULL,
                                          .f = (act)f},
                              (bits & 4) && f != ACT_NONE);
    exec_free(x);
}

/* gemm: accumulate, bias, activation and the values before it, in every combination */
static void test_epilogue(void **state)
{
    (void)state;
    each_isa(epilogues);
}

static void threads_agree(const char *isa)
{
    enum { M = 150, N = 130, K = 600 };
    rng r = rng_seed(3, 0);
    float *a = random_floats(&r, M * K), *b = random_floats(&r, K * N);
    float *one = random_floats(&r, M * N), *c = random_floats(&r, M * N);

    for (size_t threads = 1; threads <= 3; threads++)
        for (int h = UNPACKED; h <= PACKED; h++) {
            exec *x = exec_for(isa, threads);
            float *out = threads == 1 && h == UNPACKED ? one : c;
            multiply(x, (how)h, out, N, mat_of(a, K), mat_t(b, K), M, N, K,
                     (gemm_opts){0});
            assert_memory_equal(out, one, M * N * sizeof *c);
            exec_free(x);
        }
    free(a), free(b), free(one), free(c);
}

/* gemm: the same bits whatever the number of threads, packed before or on the way */
static void test_threads(void **state)
{
    (void)state;
    each_isa(threads_agree);
}

/* Whole numbers; every row and column of every block of 256 k has one of 127, so that
 * bytes hold them with a scale of 1, and bf16 and halves hold them as they are.  The
 * first of them has no others: the largest sums that there are. */
static float *small_numbers(rng *r, size_t rows, size_t K)
{
    float *x = malloc(rows * K * sizeof *x);

    assert_non_null(x);
    for (size_t i = 0; i < rows * K; i++)
        x[i] = i < K || i % K % 256 == 0 ? 127.0f : (float)(int)(rng_u64(r) % 255) - 127.0f;
    return x;
}

static void check_narrow(exec *x, rng *r, weight_form form, size_t M, size_t N, size_t K)
{
    const size_t first = N > 40 ? 32 : 0, n = N - first, ldc = n + 2;
    float *a = small_numbers(r, M, K), *b = small_numbers(r, N, K);
    float *c = random_floats(r, M * ldc), edge = c[n];
    void *packed = malloc(gemm_packed_bytes(form, N, K) + 1);

    assert_non_null(packed);
    gemm_pack(x->k, packed, form, mat_t(b, K), N, K);
    gemm_packed_part(x, c, ldc, mat_of(a, K), packed, form, M, N, first, n, K,
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
    assert_true(c[n] == edge);
    free(a), free(b), free(c), free(packed);
}

static void narrow(const char *isa)
{
    static const size_t MNK[][3] = {{1, 1, 1},    {1, 33, 5},   {2, 16, 256},
                                    {3, 31, 257}, {14, 32, 7},  {15, 64, 66},
                                    {50, 65, 48}, {67, 67, 67}, {130, 41, 515}};
    exec *x = exec_for(isa, 2);
    rng r = rng_seed(5, 0);

    for (int p = PRECISION_F32; p <= PRECISION_I8; p++)
        for (int form = WEIGHTS_F32; form <= WEIGHTS_I8; form++)
            for (size_t i = 0; i < sizeof MNK / sizeof MNK[0]; i++) {
                x->precision = (compute)p;
                check_narrow(x, &r, (weight_form)form, MNK[i][0], MNK[i][1], MNK[i][2]);
            }
    exec_free(x);
}

/* gemm_packed in bf16 and in bytes, or in float32 where that is as fast: exact where the
 * numbers are, for every form of the weights, every shape of edge tile, and for some
 * columns alone */
static void test_narrow(void **state)
{
    (void)state;
    each_isa(narrow);
}

/* One block of K: x = scale * q of narrow.h. */
static float whole_of(double *q, const float *x, size_t n, float largest)
{
    float most = 0.0f;

    for (size_t i = 0; i < n; i++) most = fmaxf(most, fabsf(x[i]));
    for (size_t i = 0; i < n; i++) q[i] = rint((double)(x[i] * (largest / most)));
    return most / largest;
}

static void rounds(const char *isa)
{
    enum { M = 23, N = 37, K = 600, BLOCK = 256 };
    exec *x = exec_for(isa, 1);
    rng r = rng_seed(6, 0);
    float *a = random_floats(&r, M * K), *b = random_floats(&r, N * K);
    float *c = random_floats(&r, M * N);
    void *packed = malloc(gemm_packed_bytes(WEIGHTS_F32, N, K));
    const float largest = strcmp(isa, "avx2") == 0 ? 22 * 127 : 127;
    double qa[BLOCK], qb[BLOCK];

    assert_non_null(packed);
    x->precision = PRECISION_I8;
    gemm_pack(x->k, packed, WEIGHTS_F32, mat_t(b, K), N, K);
    gemm_packed(x, c, N, mat_of(a, K), packed, WEIGHTS_F32, M, N, K, (gemm_opts){0});
    for (size_t m = 0; m < M && x->k->narrow; m++)
        for (size_t n = 0; n < N; n++) {
            double want = 0.0;
            for (size_t k = 0; k < K; k += BLOCK) {
                const size_t kc = K - k < BLOCK ? K - k : BLOCK;
                const double sa = (double)whole_of(qa, a + m * K + k, kc, largest);
                const double sb = (double)whole_of(qb, b + n * K + k, kc, largest);
                for (size_t i = 0; i < kc; i++) want += sa * qa[i] * sb * qb[i];
            }
            /* measured 9.8e-6 on AVX2 and VNNI; products in float32 are 0.5 off */
            CHECK_NEAR(c[m * N + n], want, 2e-5);
        }
    free(a), free(b), free(c), free(packed);
    exec_free(x);
}

/* gemm_packed in int8: every table that has it rounds as it says and adds exactly */
static void test_rounds(void **state)
{
    (void)state;
    each_isa(rounds);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_narrow), cmocka_unit_test(test_rounds),
        cmocka_unit_test(test_shapes), cmocka_unit_test(test_epilogue),
        cmocka_unit_test(test_threads)};
    return cmocka_run_group_tests_name("gemm", tests, NULL, NULL);
}
