/* The linear probe's logistic regression against scikit-learn's: tests/golden/probe, by
 * tests/golden/make_probe.py. */
#include "check.h"

#include <stdlib.h>

#include "golden_file.h"
#include "task/lbfgs.h"
#include "task/logistic.h"

enum { N = 1797, LEARNED = 1000, TESTED = N - LEARNED, E = 64, CS = 4 };

/* scikit-learn ends at a gradient of 1e-4, so that the last digits of what is least are
 * not to be had. */
static const double objective_tolerance = 4e-5; /* measured 2.0e-5 */

typedef struct digits {
    tensor_file *f;
    float *x, *c;
    size_t *label;
    exec *e;
} digits;

static void digits_open(digits *d, size_t classes)
{
    clipc_err err;
    size_t n;

    d->f = golden_open("tests/golden/probe");
    const tensor *x = tensor_find(d->f, "x");
    int32_t *label = golden_i32(d->f, "label", &n);
    assert_non_null(x);
    assert_int_equal(x->n, N * E);
    assert_int_equal(n, N);
    d->x = malloc(N * E * sizeof *d->x);
    d->label = malloc(N * sizeof *d->label);
    for (size_t i = 0; i < N * E; i++) d->x[i] = ((const uint8_t *)x->data)[i];
    for (size_t i = 0; i < N; i++) d->label[i] = (size_t)label[i] % classes;
    free(label);
    d->c = golden_f32(d->f, "c", &n);
    assert_int_equal(n, CS);
    CHECK_OK(exec_new(&d->e, 2, 0, &err), err);
}

static void digits_close(digits *d)
{
    tensor_file_free(d->f);
    free(d->x);
    free(d->c);
    free(d->label);
    exec_free(d->e);
}

/* The mean loss in nats of the learned and the penalty, in float64. */
static double objective(const logistic *l, const digits *d, size_t classes, double C)
{
    double sum = 0.0, norm = 0.0;

    for (size_t i = 0; i < LEARNED; i++) {
        double z[10], total = 0.0;
        for (size_t k = 0; k < classes; k++) {
            z[k] = (double)l->b[k];
            for (size_t j = 0; j < E; j++)
                z[k] += (double)l->w[k * E + j] * (double)d->x[i * E + j];
        }
        for (size_t k = 0; k < classes; k++) total += exp(z[k] - z[d->label[i]]);
        sum += log(total);
    }
    for (size_t i = 0; i < classes * E; i++) norm += (double)l->w[i] * (double)l->w[i];
    return sum / LEARNED + (classes == 2 ? 2.0 : 1.0) * norm / (2.0 * C * LEARNED);
}

static size_t best_of(const float *row, size_t classes)
{
    size_t best = 0;

    for (size_t k = 1; k < classes; k++)
        if (row[k] > row[best]) best = k;
    return best;
}

static void compare(size_t classes, const char *name)
{
    char key[32];
    digits d;
    clipc_err err;

    digits_open(&d, classes);
    snprintf(key, sizeof key, "%s.predicted", name);
    int32_t *predicted = golden_i32(d.f, key, NULL);
    snprintf(key, sizeof key, "%s.objective", name);
    float *least = golden_f32(d.f, key, NULL);
    snprintf(key, sizeof key, "%s.minimum", name);
    float *minimum = golden_f32(d.f, key, NULL);
    for (size_t c = 0; c < CS; c++) {
        const labelled data = {d.x, d.label, LEARNED, E, classes};
        const double C = (double)d.c[c];
        float logits[TESTED * 10];
        size_t ours = 0, theirs = 0;
        logistic l;
        CHECK_OK(logistic_fit(&l, d.e, &data, C, &err), err);
        logistic_logits(logits, d.e, &l, d.x + LEARNED * E, TESTED, E, classes);
        for (size_t i = 0; i < TESTED; i++) {
            ours += best_of(logits + i * classes, classes) == d.label[LEARNED + i];
            theirs += (size_t)predicted[c * TESTED + i] == d.label[LEARNED + i];
        }
        print_message("%s, C %g: %zu and %zu right, objective %.6f and %.6f, %zu steps\n",
                      name, C, ours, theirs, objective(&l, &d, classes, C),
                      (double)least[c], l.iterations);
        CHECK_NEAR((double)ours / TESTED, (double)theirs / TESTED, 0.002);
        /* Between the minimum and where scikit-learn stops, which is above it. */
        const double reached = objective(&l, &d, classes, C);
        assert_true(reached > (double)minimum[c] - 1e-6);
        assert_true(reached < (double)least[c] + objective_tolerance);
        free(l.w);
    }
    free(predicted);
    free(least);
    free(minimum);
    digits_close(&d);
}

/* probe: accuracy within 0.2 points of scikit-learn's, at what it minimises */
static void test_ten(void **state)
{
    (void)state;
    compare(10, "ten");
}

/* probe: two classes are penalised as scikit-learn's single row of weights */
static void test_two(void **state)
{
    (void)state;
    compare(2, "two");
}

/* sum of i (x_i - i)^2 + (x_i - i)^4 */
static double bowl(void *user, double *g, const double *x)
{
    double f = 0.0;

    ++*(size_t *)user;
    for (size_t i = 0; i < 50; i++) {
        const double d = x[i] - (double)i, k = (double)(i + 1);
        f += k * d * d + d * d * d * d;
        g[i] = 2 * k * d + 4 * d * d * d;
    }
    return f;
}

/* lbfgs: a bowl whose axes differ fifty times has its bottom where it is */
static void test_bowl(void **state)
{
    const lbfgs_limits limits = {1000, 1e-9};
    double x[50] = {0};
    size_t calls = 0, iterations;
    clipc_err err;

    (void)state;
    CHECK_OK(lbfgs_minimise(x, 50, bowl, &calls, &limits, &iterations, &err), err);
    for (size_t i = 0; i < 50; i++) CHECK_NEAR(x[i], (double)i, 1e-7);
    assert_true(iterations < 80 && calls < 100); /* measured 54 and 62 */
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_bowl),
                                       cmocka_unit_test(test_ten),
                                       cmocka_unit_test(test_two)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
