/* Hard negatives: which samples share a batch, and that a run with them goes on to the
 * bit. */
#include "check.h"

#include <stdlib.h>

#include "clipc_train.h"
#include "train/neighbours.h"
#include "train_rig.h"

#define ROOT "build/test_neighbours/"

enum { N = 123, E = 8, B = 10, KINDS = 6 };

/* Sample i is of kind i % KINDS: an axis, and a little beside it. */
static void features_of(float *out, size_t i)
{
    memset(out, 0, E * sizeof *out);
    out[i % KINDS] = 0.99f;
    out[KINDS] = 0.1f;
}

/* Pairs of one kind in a batch. */
static size_t alike(const size_t *samples)
{
    size_t n = 0;

    for (size_t i = 0; i < B; i++)
        for (size_t j = 0; j < i; j++) n += samples[i] % KINDS == samples[j] % KINDS;
    return n;
}

/* neighbours: every sample once an epoch, whatever the group's length and however batches
 * lie across epochs; as shuffled before anything was seen, near ones together after */
static void check_epochs(exec *e, size_t candidates, double least)
{
    const neighbours_cfg cfg = {N, E, B, candidates};
    const size_t ends[] = {N};
    size_t seen[N] = {0}, samples[B], near = 0, shuffled = 0, batches = 0;
    float img[E];
    neighbours *n;
    sampling s;
    clipc_err err;

    CHECK_OK(sampling_init(&s, ends, NULL, 1, 5, &err), err);
    CHECK_OK(neighbours_make(&n, NULL, &cfg, &err), err);
    for (size_t step = 0; step * B < 4 * N; step++) {
        neighbours_batch(n, e, &s, samples, step);
        for (size_t i = 0; i < B; i++) {
            const size_t place = step * B + i;
            assert_int_equal(seen[samples[i]]++, place / N);
            if (place < N) assert_int_equal(samples[i], sampling_shuffled(&s, place));
            features_of(img, samples[i]);
            neighbours_keep(n, e->k, img, &samples[i], 1);
        }
        if (step * B < 2 * N) continue;
        near += alike(samples), batches++;
        for (size_t i = 0; i < B; i++) samples[i] = sampling_shuffled(&s, step * B + i);
        shuffled += alike(samples);
    }
    assert_true(batches > 20);
    assert_true((double)near > least * (double)shuffled);
    neighbours_free(n);
    sampling_free(&s);
}

static void test_epochs(void **state)
{
    exec *e;
    clipc_err err;
    const kernels *k;

    (void)state;
    CHECK_OK(kernels_pick(&k, &err), err);
    CHECK_OK(exec_new(&e, 2, 0, &err), err);
    check_epochs(e, 2, 1.1);    /* measured 1.2, */
    check_epochs(e, 5, 2.5);    /* 2.9, */
    check_epochs(e, 1000, 3.5); /* 4.1 times as many as shuffled */
    exec_free(e);
}

static int start(clipc_trainer **t, const char *more, const char *out, int how,
                 clipc_err *err)
{
    char json[1024];

    snprintf(
        json, sizeof json,
        "{\"model\":{\"embed_dim\":16,\"vision_cfg\":{\"image_size\":32,\"layers\":1,"
        "\"width\":32,\"patch_size\":8,\"head_width\":16},\"text_cfg\":{\"context_"
        "length\":12,\"vocab_size\":49408,\"width\":32,\"heads\":2,\"layers\":1}},"
        "\"data\":\"" ROOT "pairs\",\"batch_size\":12,\"warmup\":0,\"lr\":0.002,"
        "\"threads\":2%s}",
        more);
    return clipc_trainer_open(t, json, "test", out, how, err);
}

/* train: stopped at any step, in the middle of a group, at its end or across epochs, it
 * goes on with the same losses; they are not those of a run without */
static void test_resume(void **state)
{
    static const char hard[] = ",\"epochs\":4,\"hard_negatives\":3";
    clipc_trainer *t;
    clipc_err err;

    (void)state;
    CHECK_OK(start(&t, ",\"epochs\":4", ROOT "plain", CLIPC_TRAIN_FORCE, &err), err);
    const double plain = train_rig_steps(t, 20);
    clipc_trainer_free(t);
    for (size_t stop = 7; stop < 14; stop++) {
        CHECK_OK(start(&t, hard, ROOT "run", CLIPC_TRAIN_FORCE, &err), err);
        assert_non_null(strstr(clipc_trainer_memory(t), "hard negatives 0.1, "));
        train_rig_steps(t, stop);
        CHECK_OK(clipc_trainer_save(t, &err), err);
        const double whole = train_rig_steps(t, 20 - stop);
        clipc_trainer_free(t);
        CHECK_OK(start(&t, hard, ROOT "run", CLIPC_TRAIN_RESUME, &err), err);
        assert_true(train_rig_steps(t, 20 - stop) == whole);
        clipc_trainer_free(t);
        assert_true(whole != plain);
    }
}

/* train: what cannot be is told in a line */
static void test_errors(void **state)
{
    clipc_trainer *t;
    clipc_err err;

    (void)state;
    CHECK_FAILS(start(&t, ",\"steps\":9,\"hard_negatives\":4", ROOT "no", 0, &err),
                CLIPC_ERR_ARG, err, "\"hard_negatives\" wants \"epochs\"");
    CHECK_FAILS(start(&t, ",\"epochs\":9,\"hard_negatives\":1025", ROOT "no", 0, &err),
                CLIPC_ERR_FORMAT, err, "hard_negatives");
}

static int make_pairs(void **state)
{
    (void)state;
    train_rig_pairs(ROOT "pairs");
    return 0;
}

static int remove_all(void **state)
{
    (void)state;
    return system("rm -rf " ROOT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_epochs),
                                       cmocka_unit_test(test_resume),
                                       cmocka_unit_test(test_errors)};
    return cmocka_run_group_tests_name("neighbours", tests, make_pairs, remove_all);
}
