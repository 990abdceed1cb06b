/* The losses and their gradients against open_clip and PyTorch
 * (tests/golden/make_losses.py). */
#include "check.h"

#include <stdlib.h>

#include "golden_file.h"
#include "levels.h"
#include "train/loss.h"

static const char *const losses[] = {"softmax", "sigmoid"};
static const char *const equals[] = {"mask", "negatives", "positives"};

typedef struct batch_golden {
    const tensor_file *f;
    size_t B, E;
    float *img, *txt, *logit; /* scale, bias */
    uint64_t *caption;
} batch_golden;

static batch_golden batch_open(const tensor_file *f, size_t B)
{
    batch_golden b = {.f = f, .B = B, .caption = malloc(B * sizeof *b.caption)};
    char name[64];
    size_t n;

    snprintf(name, sizeof name, "%zu/img", B);
    b.img = golden_f32(f, name, &n);
    b.E = n / B;
    snprintf(name, sizeof name, "%zu/txt", B);
    b.txt = golden_f32(f, name, NULL);
    snprintf(name, sizeof name, "%zu/logit", B);
    b.logit = golden_f32(f, name, NULL);
    snprintf(name, sizeof name, "%zu/caption", B);
    int32_t *caption = golden_i32(f, name, &n);
    assert_int_equal(n, B);
    for (size_t i = 0; i < B; i++) b.caption[i] = (uint64_t)caption[i];
    free(caption);
    return b;
}

static void batch_close(batch_golden *b)
{
    free(b->img);
    free(b->txt);
    free(b->logit);
    free(b->caption);
}

/* Parts of 1 and the number itself; measured 5e-7 (gradients), 3e-7 (loss). */
static double bound(double x)
{
    return 1e-6 * (1.0 + fabs(x));
}

/* The golden has all rows or every 50th. */
static void check_rows(const batch_golden *b, const char *of, const char *what,
                       const float *have)
{
    const size_t every = b->B > 64 ? 50 : 1, E = b->E;
    char name[96];
    size_t n;

    snprintf(name, sizeof name, "%s%s", of, what);
    float *want = golden_f32(b->f, name, &n);
    assert_int_equal(n, (b->B + every - 1) / every * E);
    for (size_t i = 0; i < n; i++)
        CHECK_NEAR(have[i / E * every * E + i % E], want[i], bound((double)want[i]));
    free(want);
}

static void check_objective(exec *e, const batch_golden *b, const objective *o)
{
    const size_t n = b->B * b->E;
    float *dimg = malloc(2 * n * sizeof *dimg), *dtxt = dimg + n, dlogit[2];
    arena a = arena_measure();
    char of[64], name[96];
    loss_room room;
    clipc_err err;

    loss_room_take(&room, &a, b->B);
    CHECK_OK(arena_new(&a, a.used, "test", &err), err);
    loss_room_take(&room, &a, b->B);
    const float loss =
        contrastive_fwd_bwd(e, o, dimg, dtxt, dlogit, dlogit + 1, &room, b->img, b->txt,
                            b->caption, b->logit[0], b->logit[1], b->B, b->E);
    snprintf(of, sizeof of, "%zu/%s/%s/%g/", b->B, losses[o->loss], equals[o->equal],
             (double)o->smoothing);
    snprintf(name, sizeof name, "%sloss", of);
    double *want = golden_f64(b->f, name, NULL);
    CHECK_NEAR(loss, *want, bound(*want));
    free(want);
    snprintf(name, sizeof name, "%sdlogit", of);
    float *slope = golden_f32(b->f, name, NULL);
    for (int i = 0; i < 2; i++) CHECK_NEAR(dlogit[i], slope[i], bound((double)slope[i]));
    free(slope);
    check_rows(b, of, "dimg", dimg);
    check_rows(b, of, "dtxt", dtxt);
    free(dimg);
    arena_free(&a);
}

/* loss: both losses, smoothed labels, whatever equal captions are; batches of one pair,
 * of equal captions, of several blocks */
static void test_losses(void **state)
{
    static const size_t batches[] = {1, 2, 7, 33, 64, 1100};
    tensor_file *f = golden_open("tests/golden/losses");
    clipc_err err;
    exec *e;

    level_kernels(state);
    CHECK_OK(exec_new(&e, 2, 0, &err), err);
    for (size_t i = 0; i < sizeof batches / sizeof batches[0]; i++) {
        batch_golden b = batch_open(f, batches[i]);
        for (size_t of = 0; of < 9; of++) {
            const objective o = {of < 6 ? LOSS_SOFTMAX : LOSS_SIGMOID,
                                 (equal_captions)(of % 3), of / 3 == 1 ? 0.1f : 0.0f};
            check_objective(e, &b, &o);
        }
        batch_close(&b);
    }
    exec_free(e);
    tensor_file_free(f);
}

/* loss: a number that is none does not vanish among others */
static void test_not_finite(void **state)
{
    enum { B = 3, E = 2 };
    clipc_err err;
    exec *e;

    (void)state;
    CHECK_OK(exec_new(&e, 1, 0, &err), err);
    for (int i = 0; i < 6 * B * E; i++) {
        float x[2 * B * E] = {0}, d[2 * B * E], dlogit[2], block[B * B];
        size_t next[B];
        double loss[B], sum[B];
        const loss_room room = {{block, NULL, loss}, next, sum};
        const objective o = {i % 2 ? LOSS_SOFTMAX : LOSS_SIGMOID, EQUAL_MASKED, 0};
        x[i / 3] = (i / 2) % 3 == 0 ? NAN : (i / 2) % 3 == 1 ? INFINITY : -INFINITY;
        assert_false(
            isfinite(contrastive_fwd_bwd(e, &o, d, d + B * E, dlogit, dlogit + 1, &room,
                                         x, x + B * E, NULL, 10.0f, -10.0f, B, E)));
    }
    exec_free(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {EACH_LEVEL(test_losses),
                                       cmocka_unit_test(test_not_finite)};
    return cmocka_run_group_tests_name("losses", tests, NULL, NULL);
}
