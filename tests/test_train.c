/* The trainer: it learns, it repeats itself, it goes on where it stopped. */
#include "check.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/rng.h"
#include "clipc_train.h"
#include "train_rig.h"

static const char pairs[] = "build/test_pairs", out[] = "build/test_run";

static int remove_all(void **state)
{
    (void)state;
    return system("rm -rf build/test_pairs build/test_run build/test_run2");
}

static int make_pairs(void **state)
{
    (void)state;
    train_rig_pairs(pairs);
    return 0;
}

static char *config(int steps, const char *more)
{
    static char text[2048];

    snprintf(
        text, sizeof text,
        "{\"model\":{\"embed_dim\":32,\"vision_cfg\":{\"image_size\":32,\"layers\":1,"
        "\"width\":64,\"patch_size\":8,\"head_width\":32},\"text_cfg\":{\"context_"
        "length\":12,"
        "\"vocab_size\":49408,\"width\":64,\"heads\":2,\"layers\":2}},\"data\":\"%s\","
        "\"augment\":{\"flip\":0,\"grey\":0,\"crop\":[1,1],\"ratio\":[1,1]},"
        "\"batch_size\":64,\"steps\":%d,\"warmup\":10,\"lr\":0.002,\"weight_decay\":0,"
        "\"threads\":2%s}",
        pairs, steps, more);
    return text;
}

/* train: 64 pairs are learned by heart, from chance (ln 64 = 4.16) to almost nothing */
static void test_overfit(void **state)
{
    clipc_trainer *t;
    clipc_val_stats v;
    clipc_err err;
    char more[128];

    (void)state;
    snprintf(more, sizeof more, ",\"val\":\"%s\"", pairs);
    CHECK_OK(clipc_trainer_open(&t, config(300, more), "test", out, 0, &err), err);
    CHECK_NEAR(train_rig_steps(t, 1), log(64.0), 1.2);
    const double last = train_rig_steps(t, 299);
    CHECK_NEAR(last, 0.0, 0.6); /* chance is 4.16; measured 0.1 to 0.3 */
    CHECK_OK(clipc_trainer_validate(t, &v, &err), err);
    assert_int_equal(v.pictures, TRAIN_PAIRS);
    assert_int_equal(v.captions, TRAIN_PAIRS);
    assert_true(v.top1 > 0.9);
    CHECK_OK(clipc_trainer_save(t, &err), err);
    clipc_trainer_free(t);
    remove_all(NULL);
    make_pairs(NULL);
}

/* train: the same seed gives the same losses; resuming gives the losses of the whole run
 */
static void test_repeat(void **state)
{
    clipc_trainer *t;
    clipc_err err;
    double whole, resumed;

    (void)state;
    CHECK_OK(clipc_trainer_open(&t, config(12, ""), "test", out, 0, &err), err);
    train_rig_steps(t, 5);
    CHECK_OK(clipc_trainer_save(t, &err), err);
    whole = train_rig_steps(t, 7);
    clipc_trainer_free(t);
    CHECK_FAILS(clipc_trainer_open(&t, config(12, ""), "test", out, 0, &err),
                CLIPC_ERR_EXISTS, err, "--resume");
    CHECK_OK(clipc_trainer_open(&t, config(12, ""), "test", out, 1, &err), err);
    resumed = train_rig_steps(t, 7);
    clipc_trainer_free(t);
    assert_true(whole == resumed);
    CHECK_OK(clipc_trainer_open(&t, config(12, ""), "test", "build/test_run2", 0, &err),
             err);
    assert_true(train_rig_steps(t, 12) == whole);
    clipc_trainer_free(t);
    remove_all(NULL);
    make_pairs(NULL);
}

/* train: a run's folder stays its own, also when its status is asked for beside it */
static void test_lock(void **state)
{
    clipc_trainer *t, *other;
    clipc_train_state s;
    clipc_err err;

    (void)state;
    CHECK_OK(clipc_trainer_open(&t, config(4, ""), "test", out, 0, &err), err);
    train_rig_steps(t, 1);
    for (int i = 0; i < 2; i++) {
        CHECK_OK(clipc_train_status(&s, out, &err), err);
        assert_int_equal(s.process, getpid());
    }
    CHECK_FAILS(
        clipc_trainer_open(&other, config(4, ""), "test", out, CLIPC_TRAIN_FORCE, &err),
        CLIPC_ERR_EXISTS, err, "trains in it");
    clipc_trainer_free(t);
    CHECK_OK(clipc_train_status(&s, out, &err), err);
    assert_int_equal(s.process, 0);
    remove_all(NULL);
    make_pairs(NULL);
}

/* train: configs that make no sense are told by key */
static void test_bad_config(void **state)
{
    clipc_trainer *t;
    clipc_err err;

    (void)state;
    CHECK_FAILS(clipc_trainer_open(&t, "{", "test", out, 0, &err), CLIPC_ERR_FORMAT, err,
                "test");
    CHECK_FAILS(clipc_trainer_open(&t, "{}", "test", out, 0, &err), CLIPC_ERR_ARG, err,
                "--data");
    CHECK_FAILS(clipc_trainer_open(&t, config(12, ",\"lr\":-1"), "test", out, 0, &err),
                CLIPC_ERR_FORMAT, err, "duplicate");
    CHECK_FAILS(clipc_trainer_open(&t, config(12, ",\"beta1\":2"), "test", out, 0, &err),
                CLIPC_ERR_FORMAT, err, "beta1");
    CHECK_FAILS(clipc_trainer_open(&t, config(12, ",\"seed\":-1"), "test", out, 0, &err),
                CLIPC_ERR_FORMAT, err, "seed");
    CHECK_FAILS(
        clipc_trainer_open(&t, config(12, ",\"loss\":\"hinge\""), "test", out, 0, &err),
        CLIPC_ERR_FORMAT, err, "\"loss\" is \"hinge\", wanted softmax or sigmoid");
    CHECK_FAILS(clipc_trainer_open(&t, config(12, ",\"label_smoothing\":1"), "test", out,
                                   0, &err),
                CLIPC_ERR_FORMAT, err, "label_smoothing");
    CHECK_FAILS(clipc_trainer_open(
                    &t, config(12, ",\"loss\":\"sigmoid\",\"label_smoothing\":0.1"),
                    "test", out, 0, &err),
                CLIPC_ERR_FORMAT, err, "softmax loss alone");
}

/* train: with the sigmoid loss, too, it learns and goes on where it stopped */
static void test_sigmoid(void **state)
{
    static const char sigmoid[] = ",\"loss\":\"sigmoid\"";
    clipc_trainer *t;
    clipc_train_stats s;
    clipc_err err;

    (void)state;
    CHECK_OK(clipc_trainer_open(&t, config(150, sigmoid), "test", out, 0, &err), err);
    CHECK_OK(clipc_trainer_step(t, &s, &err), err);
    CHECK_NEAR(s.logit_scale, 10.0, 0.1);
    train_rig_steps(t, 119);
    CHECK_OK(clipc_trainer_save(t, &err), err);
    const double last = train_rig_steps(t, 30);
    /* Knowing no more than that 1 of 64 is right: 64 times the entropy of that, 5.13. */
    assert_true(last < 4.8); /* measured 4.47 */
    clipc_trainer_free(t);
    CHECK_OK(clipc_trainer_open(&t, config(150, sigmoid), "test", out, 1, &err), err);
    assert_true(train_rig_steps(t, 30) == last);
    clipc_trainer_free(t);
    remove_all(NULL);
    make_pairs(NULL);
}

static size_t count_in(const char *path, const char *what)
{
    size_t n = 0;
    clipc_err err;
    buf b = {0};

    CHECK_OK(file_read(&b, path, 1 << 20, &err), err);
    for (const char *p = b.data; (p = strstr(p, what)); p++) n++;
    buf_free(&b);
    return n;
}

/* broken samples: a run that goes on has those that it knew, each told once */
static void test_broken(void **state)
{
    clipc_train_stats s;
    clipc_trainer *t;
    clipc_err err;

    (void)state;
    for (int i = 0; i < 6; i++) {
        char path[64];
        snprintf(path, sizeof path, "%s/%02d.png", pairs, 7 * i);
        CHECK_OK(file_replace(path, "no picture", 10, &err), err);
    }
    CHECK_OK(clipc_trainer_open(&t, config(8, ""), "test", out, 0, &err), err);
    train_rig_steps(t, 5);
    CHECK_OK(clipc_trainer_save(t, &err), err);
    clipc_trainer_free(t);
    CHECK_OK(clipc_trainer_open(&t, config(8, ""), "test", out, 1, &err), err);
    CHECK_OK(clipc_trainer_step(t, &s, &err), err);
    assert_int_equal(s.broken, 6);
    assert_non_null(strstr(clipc_trainer_broken(t, 5), ".png"));
    assert_null(clipc_trainer_broken(t, 6));
    clipc_trainer_free(t);
    assert_int_equal(count_in("build/test_run/log.jsonl", "broken_sample"), 6);
    remove_all(NULL);
    make_pairs(NULL);
}

/* Of a model as it is. */
static clipc_val_stats validated(const char *model)
{
    clipc_trainer *t;
    clipc_val_stats v;
    clipc_err err;
    char json[256];

    snprintf(json, sizeof json,
             "{\"init\":\"%s\",\"data\":\"%s\",\"val\":\"%s\",\"batch_size\":4,"
             "\"threads\":2}",
             model, pairs, pairs);
    CHECK_OK(
        clipc_trainer_open(&t, json, "test", "build/test_run2", CLIPC_TRAIN_FORCE, &err),
        err);
    CHECK_OK(clipc_trainer_validate(t, &v, &err), err);
    clipc_trainer_free(t);
    return v;
}

static void check_same(const clipc_val_stats *a, const clipc_val_stats *b)
{
    assert_memory_equal(a->image_to_text, b->image_to_text, sizeof a->image_to_text);
    assert_memory_equal(a->text_to_image, b->text_to_image, sizeof a->text_to_image);
}

/* ema: what validation says, the log, and the best are the average's; the log has the
 * weights' too */
static void test_validated_average(void **state)
{
    clipc_train_state s;
    clipc_trainer *t;
    clipc_val_stats v;
    clipc_err err;
    char more[128], want[64];

    (void)state;
    snprintf(more, sizeof more, ",\"ema\":0.99,\"precision\":\"f32\",\"val\":\"%s\"",
             pairs);
    CHECK_OK(clipc_trainer_open(&t, config(300, more), "test", out, 0, &err), err);
    train_rig_steps(t, 60);
    CHECK_OK(clipc_trainer_validate(t, &v, &err), err);
    CHECK_OK(clipc_trainer_save(t, &err), err);
    clipc_trainer_free(t);
    const clipc_val_stats own = validated("build/test_run"),
                          averaged = validated("build/test_run/ema"),
                          best = validated("build/test_run/best");
    assert_int_equal(v.averaged, 1);
    check_same(&v, &averaged);
    check_same(&v, &best);
    assert_true(own.image_to_text[2] != averaged.image_to_text[2]); /* recall at 10 */
    CHECK_OK(clipc_train_status(&s, out, &err), err);
    assert_int_equal(s.val.averaged, 1);
    CHECK_NEAR(s.val.top1, averaged.top1, 1e-5);
    snprintf(want, sizeof want, "\"val_top1\":%.5f", own.top1);
    assert_int_equal(count_in("build/test_run/log.jsonl", want), 1);
    remove_all(NULL);
    make_pairs(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_config), cmocka_unit_test(test_lock),
        cmocka_unit_test(test_sigmoid),    cmocka_unit_test(test_repeat),
        cmocka_unit_test(test_overfit),    cmocka_unit_test(test_validated_average),
        cmocka_unit_test(test_broken)};
    return cmocka_run_group_tests_name("train", tests, make_pairs, remove_all);
}
