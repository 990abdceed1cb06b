/* Training that begins with a model: what is locked stays to the bit, what learns does so
 * at its own rate, and goes on where it stopped; averages of weights. */
#include "check.h"

#include <stdlib.h>

#include "base/file.h"
#include "clipc.h"
#include "clipc_train.h"
#include "io/any_file.h"
#include "io/safetensors.h"
#include "train_rig.h"

#define ROOT "build/test_init/"

static const char model[] =
    "\"model\":{\"embed_dim\":16,\"vision_cfg\":{\"image_size\":32,\"layers\":3,"
    "\"width\":32,\"patch_size\":8,\"head_width\":16},\"text_cfg\":{\"context_length\":"
    "12,\"vocab_size\":49408,\"width\":32,\"heads\":2,\"layers\":3}}";
static const char resnet[] =
    "\"model\":{\"embed_dim\":16,\"vision_cfg\":{\"image_size\":32,\"layers\":[1,1,1,1],"
    "\"width\":8,\"head_width\":16},\"text_cfg\":{\"context_length\":12,\"vocab_size\":"
    "49408,\"width\":32,\"heads\":2,\"layers\":1}}";
static const char from_base[] = "\"init\":\"" ROOT "base\"";
static const char from_resnet[] = "\"init\":\"" ROOT "resnet\"";

static clipc_trainer *start(const char *what, const char *more, const char *out,
                            int resume)
{
    clipc_trainer *t;
    clipc_err err;
    char json[2048];

    snprintf(
        json, sizeof json,
        "{%s,\"data\":\"" ROOT "pairs\",\"augment\":{\"flip\":0,\"grey\":0,\"crop\":"
        "[1,1],\"ratio\":[1,1]},\"batch_size\":16,\"steps\":6,\"warmup\":0,"
        "\"lr\":0.001,\"weight_decay\":0,\"grad_clip\":0,\"threads\":2,\"precision\":"
        "\"f32\"%s}",
        what, more);
    CHECK_OK(clipc_trainer_open(&t, json, "test", out, resume, &err), err);
    return t;
}

/* Trains for so many steps and saves; *loss is the last one's (NULL: not wanted). */
static void train(const char *what, const char *more, const char *out, size_t steps)
{
    clipc_trainer *t = start(what, more, out, 0);
    clipc_err err;

    train_rig_steps(t, steps);
    CHECK_OK(clipc_trainer_save(t, &err), err);
    clipc_trainer_free(t);
}

static tensor_file *weights(const char *folder)
{
    tensor_file *f;
    clipc_err err;
    char path[256];

    snprintf(path, sizeof path, "%s/open_clip_model.safetensors", folder);
    CHECK_OK(any_file_open(&f, path, &err), err);
    return f;
}

/* Of the i-th tensor of f, in another file. */
static const tensor *same_in(const tensor_file *g, const tensor *t)
{
    const tensor *u = tensor_find(g, t->name);

    assert_non_null(u);
    assert_int_equal(u->n, t->n);
    return u;
}

static bool equal(const tensor *a, const tensor *b)
{
    return memcmp(a->data, b->data, a->n * sizeof(float)) == 0;
}

static void same_models(const char *a, const char *b)
{
    tensor_file *f = weights(a), *g = weights(b);

    for (size_t k = 0; k < tensor_file_count(f); k++)
        if (!equal(tensor_file_at(f, k), same_in(g, tensor_file_at(f, k))))
            fail_msg("%s: %s and %s", tensor_file_at(f, k)->name, a, b);
    tensor_file_free(f);
    tensor_file_free(g);
}

/* `begins`: names of what learns, each ending in a blank. */
static bool is_named(const char *name, const char *begins)
{
    for (size_t n; *begins; begins += n + 1) {
        n = strcspn(begins, " ");
        if (strncmp(name, begins, n) == 0) return true;
    }
    return false;
}

#define TEXT_ALL \
    "token_embedding. positional_embedding transformer. ln_final. text_projection "
#define IMAGE_ALL "visual. "

typedef struct lock_case {
    const char *keys, *learn; /* what learns, beside the temperature */
    bool exact; /* its last block is passed as in training, not as at inference */
} lock_case;

static const lock_case locks[] = {
    {",\"lock_image\":true", TEXT_ALL, false},
    {",\"lock_text\":true", IMAGE_ALL, false},
    {",\"lock_image\":true,\"lock_image_unlocked_groups\":1", TEXT_ALL "visual.proj ",
     false},
    {",\"lock_image\":true,\"lock_image_unlocked_groups\":2",
     TEXT_ALL "visual.proj visual.ln_post. visual.transformer.resblocks.2. ", true},
    {",\"lock_image\":true,\"lock_image_unlocked_groups\":4",
     TEXT_ALL "visual.proj visual.ln_post. visual.transformer. ", true},
    {",\"lock_text\":true,\"lock_text_unlocked_layers\":1", IMAGE_ALL "text_projection ",
     false},
    {",\"lock_text\":true,\"lock_text_unlocked_layers\":3",
     IMAGE_ALL "text_projection ln_final. transformer.resblocks.2. "
               "transformer.resblocks.1. ",
     true},
};

/* How far two steps from the same weights are apart, as a part of the second. */
static double apart(const tensor *from, const tensor *a, const tensor *b)
{
    const float *x = from->data, *y = a->data, *z = b->data;
    double difference = 0, step = 0;

    for (size_t i = 0; i < a->n; i++) {
        difference += fabs((double)(y[i] - z[i]));
        step += fabs((double)(z[i] - x[i]));
    }
    return difference / step;
}

/* locks: what is locked keeps its bits, what is not makes the step that it makes without
 * locks: exactly, but for what a tower's inference rounds otherwise (measured 2e-3,
 * of the keys' biases, whose gradients are all rounding) */
static void test_locks(void **state)
{
    tensor_file *before = weights(ROOT "base"), *all = weights(ROOT "step");

    (void)state;
    for (size_t i = 0; i < sizeof locks / sizeof locks[0]; i++) {
        train(from_base, locks[i].keys, ROOT "locked", 1);
        tensor_file *after = weights(ROOT "locked");
        for (size_t k = 0; k < tensor_file_count(after); k++) {
            const tensor *t = tensor_file_at(after, k);
            const bool learns =
                strcmp(t->name, "logit_scale") == 0 || is_named(t->name, locks[i].learn);
            const tensor *want = same_in(learns ? all : before, t);
            if (equal(t, want)) continue;
            if (!learns) fail_msg("%s: %s is locked and moved", locks[i].keys, t->name);
            const double by = apart(same_in(before, t), t, want);
            if (locks[i].exact || !(by < 1e-2))
                fail_msg("%s: %s made another step, by %g", locks[i].keys, t->name, by);
        }
        tensor_file_free(after);
        assert_int_equal(system("rm -rf " ROOT "locked"), 0);
    }
    tensor_file_free(before);
    tensor_file_free(all);
}

/* locks: all that learns does move, so that the test above says something */
static void test_moves(void **state)
{
    tensor_file *before = weights(ROOT "base"), *all = weights(ROOT "step");

    (void)state;
    for (size_t k = 0; k < tensor_file_count(all); k++) {
        const tensor *t = tensor_file_at(all, k);
        if (equal(t, same_in(before, t))) fail_msg("%s did not move", t->name);
    }
    tensor_file_free(before);
    tensor_file_free(all);
}

/* A locked ResNet keeps its weights; its running statistics only if it is told so. */
static void test_frozen_statistics(void **state)
{
    (void)state;
    for (int frozen = 0; frozen < 2; frozen++) {
        train(from_resnet,
              frozen ? ",\"lock_image\":true,\"lock_image_freeze_bn_stats\":true"
                     : ",\"lock_image\":true",
              ROOT "locked", 1);
        tensor_file *before = weights(ROOT "resnet"), *after = weights(ROOT "locked");
        for (size_t k = 0; k < tensor_file_count(after); k++) {
            const tensor *t = tensor_file_at(after, k);
            if (strncmp(t->name, "visual.", 7) != 0) continue;
            const bool moves = !frozen && strstr(t->name, "running_");
            if (t->dt == DT_F32 && equal(t, same_in(before, t)) == moves)
                fail_msg("%s, frozen %d", t->name, frozen);
        }
        tensor_file_free(before);
        tensor_file_free(after);
        assert_int_equal(system("rm -rf " ROOT "locked"), 0);
    }
}

/* The base ResNet with a projection that is all but nothing: unit rows, and so the loss,
 * are what they were, but the gradients' squares are no numbers. */
static void make_steep(const char *folder)
{
    tensor_file *f = weights(ROOT "resnet");
    tensor t[512];
    char path[256];
    clipc_err err;
    const size_t n = tensor_file_count(f);

    assert_true(n <= sizeof t / sizeof t[0]);
    snprintf(path, sizeof path, "cp -r " ROOT "resnet %s", folder);
    assert_int_equal(system(path), 0);
    for (size_t i = 0; i < n; i++) {
        t[i] = *tensor_file_at(f, i);
        if (strncmp(t[i].name, "visual.attnpool.c_proj.", 23) != 0) continue;
        float *small = malloc(t[i].n * sizeof *small);
        for (size_t k = 0; k < t[i].n; k++)
            small[k] = 1e-19f * ((const float *)t[i].data)[k];
        t[i].data = small;
    }
    snprintf(path, sizeof path, "%s/open_clip_model.safetensors", folder);
    json_t *about = json_object();
    CHECK_OK(safetensors_write(path, t, n, about, DT_F32, kernels_named("ref"), &err),
             err);
    json_decref(about);
    for (size_t i = 0; i < n; i++)
        if (t[i].data != tensor_file_at(f, i)->data) free((void *)(uintptr_t)t[i].data);
    tensor_file_free(f);
}

/* a step that is skipped for its gradients, though its loss is a number, leaves running
 * statistics as they were */
static void test_skipped(void **state)
{
    clipc_train_stats s;
    clipc_err err;

    (void)state;
    make_steep(ROOT "steep");
    clipc_trainer *t = start("\"init\":\"" ROOT "steep\"", "", ROOT "skipped", 0);
    CHECK_OK(clipc_trainer_step(t, &s, &err), err);
    assert_int_equal(s.skipped, 1);
    assert_true(isinf(s.grad_norm));
    CHECK_OK(clipc_trainer_save(t, &err), err);
    clipc_trainer_free(t);
    same_models(ROOT "steep", ROOT "skipped");
}

/* Of the steps of a tensor, in the test with rates and in that without: the ratio. */
static double step_ratio(const tensor_file *before, const tensor_file *plain,
                         const tensor_file *rated, const char *name)
{
    const tensor *t = tensor_find(before, name);
    double a = 0, b = 0;

    assert_non_null(t);
    const float *x = t->data, *y = tensor_find(plain, name)->data,
                *z = tensor_find(rated, name)->data;
    for (size_t i = 0; i < t->n; i++) {
        a += fabs((double)(y[i] - x[i]));
        b += fabs((double)(z[i] - x[i]));
    }
    return b / a;
}

/* rates: AdamW's first step is as long as its rate, whatever the gradient: of a tower its
 * own, of a group of layers the decayed one (3 blocks: groups 0 to 4) */
static void test_rates(void **state)
{
    static const struct {
        const char *name;
        double ratio;
    } want[] = {
        {"visual.proj", .5},
        {"visual.ln_post.weight", .25},
        {"visual.transformer.resblocks.2.attn.in_proj_weight", .25},
        {"visual.transformer.resblocks.0.mlp.c_fc.weight", .0625},
        {"visual.conv1.weight", .03125},
        {"visual.positional_embedding", .03125},
        {"text_projection", 2},
        {"ln_final.bias", 1},
        {"transformer.resblocks.1.attn.out_proj.weight", .5},
        {"token_embedding.weight", .125},
        {"logit_scale", 1},
    };

    (void)state;
    train(from_base, ",\"lr_image\":0.0005,\"lr_text\":0.002,\"layer_decay\":0.5",
          ROOT "rated", 1);
    tensor_file *before = weights(ROOT "base"), *plain = weights(ROOT "step"),
                *rated = weights(ROOT "rated");
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++)
        /* Steps of 3e-5 of weights near 1 are rounded by 6e-8. */
        CHECK_NEAR(step_ratio(before, plain, rated, want[i].name) / want[i].ratio, 1,
                   5e-3);
    tensor_file_free(before);
    tensor_file_free(plain);
    tensor_file_free(rated);
}

/* resumption: with locks and a moving average, the same bits as a run left alone */
static void test_resume(void **state)
{
    static const char *const inner[] = {"", "/ema"};
    const char keys[] = ",\"lock_image\":true,\"lock_image_unlocked_groups\":2,"
                        "\"lock_text\":true,\"ema\":0.9";
    clipc_trainer *t;
    clipc_err err;

    (void)state;
    train(from_base, keys, ROOT "whole", 6);
    train(from_base, keys, ROOT "cut", 3);
    t = start(from_base, keys, ROOT "cut", 1);
    train_rig_steps(t, 3);
    CHECK_OK(clipc_trainer_save(t, &err), err);
    clipc_trainer_free(t);
    for (size_t i = 0; i < 2; i++) {
        char a[64], b[64];
        snprintf(a, sizeof a, ROOT "whole%s", inner[i]);
        snprintf(b, sizeof b, ROOT "cut%s", inner[i]);
        same_models(a, b);
    }
}

/* locks beside recomputation: the same bits; beside chunks: the same step but for the
 * order of sums */
static void test_chunks(void **state)
{
    const char keys[] =
        ",\"lock_image\":true,\"lock_image_unlocked_groups\":3,"
        "\"lock_text\":true,\"cache_texts\":true,\"cache_dir\":\"" ROOT "cache\"";
    char more[512];

    (void)state;
    train(from_base, keys, ROOT "plain", 1);
    snprintf(more, sizeof more, "%s,\"recompute\":true", keys);
    train(from_base, more, ROOT "again", 1);
    same_models(ROOT "plain", ROOT "again");
    snprintf(more, sizeof more, "%s,\"chunk\":5", keys);
    train(from_base, more, ROOT "chunks", 1);
    tensor_file *before = weights(ROOT "base"), *plain = weights(ROOT "plain"),
                *chunks = weights(ROOT "chunks");
    for (size_t k = 0; k < tensor_file_count(plain); k++) {
        const tensor *t = tensor_file_at(plain, k), *x = same_in(before, t);
        const tensor *y = same_in(chunks, t);
        if (!equal(t, y) && !(apart(x, y, t) < 1e-3)) /* measured 1e-7 */
            fail_msg("%s: in chunks another step, by %g", t->name, apart(x, y, t));
    }
    tensor_file_free(before);
    tensor_file_free(plain);
    tensor_file_free(chunks);
    assert_int_equal(system("rm -rf " ROOT "plain " ROOT "cache"), 0);
}

/* cache_texts: a text's kept features are, to the bit, those that it would have again;
 * also for a run that finds all of them */
static void test_cached_texts(void **state)
{
    const char plain[] = ",\"lock_text\":true";
    const char cached[] =
        ",\"lock_text\":true,\"cache_texts\":true,\"cache_dir\":\"" ROOT "cache\"";

    (void)state;
    train(from_base, plain, ROOT "plain", 4);
    for (int i = 0; i < 2; i++) {
        train(from_base, cached, ROOT "cached", 4);
        same_models(ROOT "plain", ROOT "cached");
        assert_int_equal(system("rm -rf " ROOT "cached"), 0);
    }
    assert_int_equal(system("rm -rf " ROOT "plain " ROOT "cache"), 0);
}

/* How many records of 16 numbers a file has. */
static size_t count_records(const char *path)
{
    span s;
    size_t n = 0;
    clipc_err err;

    CHECK_OK(file_map(&s, path, &err), err);
    for (size_t at = 64; at + 80 <= s.size; at += 80) {
        uint64_t key;
        memcpy(&key, s.data + at, sizeof key);
        n += key != 0;
    }
    file_unmap(&s);
    return n;
}

/* cache_features: the same for pictures, cut and resumed with half of them kept; each is
 * seen in as many views as were asked for */
static void test_cached_views(void **state)
{
    const char keys[] =
        ",\"lock_image\":true,\"cache_features\":1,\"cache_dir\":\"" ROOT "cache\"";
    clipc_trainer *t;
    clipc_err err;

    (void)state;
    train(from_base, keys, ROOT "first", 6);
    assert_int_equal(system("mv " ROOT "cache/pictures-*.features " ROOT "kept"), 0);
    train(from_base, keys, ROOT "cut2", 3);
    t = start(from_base, keys, ROOT "cut2", 1);
    train_rig_steps(t, 3);
    CHECK_OK(clipc_trainer_save(t, &err), err);
    clipc_trainer_free(t);
    same_models(ROOT "first", ROOT "cut2");
    /* 96 draws of 64 pictures meet some 50 of them. */
    assert_in_range(count_records(ROOT "kept"), 35, TRAIN_PAIRS);
}

/* x = the sum of n models' weights, each times its factor. */
static void check_sum(const char *x, const char *const *of, const double *factor,
                      size_t n, double tolerance)
{
    tensor_file *f = weights(x), *g[4];

    for (size_t i = 0; i < n; i++) g[i] = weights(of[i]);
    for (size_t k = 0; k < tensor_file_count(f); k++) {
        const tensor *t = tensor_file_at(f, k);
        for (size_t e = 0; e < t->n; e += 7) {
            double sum = 0;
            for (size_t i = 0; i < n; i++)
                sum += factor[i] * (double)((const float *)same_in(g[i], t)->data)[e];
            CHECK_NEAR(((const float *)t->data)[e], sum, tolerance);
        }
    }
    tensor_file_free(f);
    for (size_t i = 0; i < n; i++) tensor_file_free(g[i]);
}

/* ema: after two steps, by hand: (1-d) is 9/10, then 9/11 (of the temperature, 4, the
 * last bit is 5e-7) */
static void test_ema(void **state)
{
    static const char *const of[] = {ROOT "base", ROOT "step", ROOT "two"};
    static const double factor[] = {.1 * 2 / 11, .9 * 2 / 11, 9. / 11};

    (void)state;
    train(from_base, ",\"ema\":0.999", ROOT "two", 2);
    check_sum(ROOT "two/ema", of, factor, 3, 1e-6);
}

/* average: the share of each; a checkpoint is a model like others */
static void test_average(void **state)
{
    static const char *const of[] = {ROOT "base", ROOT "step", ROOT "whole"};
    static const double one[] = {.75, .25}, equal[] = {1. / 3, 1. / 3, 1. / 3},
                        last[] = {0, 0, 1};
    clipc_share with[2] = {{ROOT "step", .25f}, {ROOT "whole", -1}};
    clipc_convert_options o = {.average = with, .n_average = 1, .overwrite = 1};
    clipc_err err;

    (void)state;
    CHECK_OK(clipc_convert(of[0], ROOT "mean", &o, &err), err);
    check_sum(ROOT "mean", of, one, 2, 1e-6);
    with[0].share = -1, o.n_average = 2;
    CHECK_OK(clipc_convert(of[0], ROOT "mean", &o, &err), err);
    check_sum(ROOT "mean", of, equal, 3, 1e-6);
    with[1].share = .5f;
    CHECK_FAILS(clipc_convert(of[0], ROOT "mean", &o, &err), CLIPC_ERR_ARG, err,
                "shares");
    with[0] = (clipc_share){ROOT "resnet", .5f}, o.n_average = 1;
    CHECK_FAILS(clipc_convert(of[0], ROOT "mean", &o, &err), CLIPC_ERR_ARG, err,
                "resnet: is no model of the same kind");
    o.n_average = 0;
    CHECK_OK(clipc_convert(ROOT "whole/checkpoints/step-0000000006.safetensors",
                           ROOT "mean", &o, &err),
             err);
    check_sum(ROOT "mean", of, last, 3, 0);
}

static int make_models(void **state)
{
    (void)state;
    train_rig_pairs(ROOT "pairs");
    train(model, "", ROOT "base", 1);
    train(resnet, "", ROOT "resnet", 1);
    train(from_base, "", ROOT "step", 1);
    return 0;
}

static int remove_all(void **state)
{
    (void)state;
    return system("rm -rf " ROOT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_locks),        cmocka_unit_test(test_moves),
        cmocka_unit_test(test_rates),        cmocka_unit_test(test_frozen_statistics),
        cmocka_unit_test(test_skipped),      cmocka_unit_test(test_resume),
        cmocka_unit_test(test_ema),          cmocka_unit_test(test_average),
        cmocka_unit_test(test_cached_texts), cmocka_unit_test(test_cached_views),
        cmocka_unit_test(test_chunks),
    };
    return cmocka_run_group_tests_name("init", tests, make_models, remove_all);
}
