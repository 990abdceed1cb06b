/* How much memory a run takes: what is said, what is chosen, what it is. */
#include "check.h"

#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sizes.h"
#include "clip/source.h"
#include "train/budget.h"
#include "train_rig.h"

#define ROOT "build/test_budget/"

/* Sanitizers take memory of their own. */
#ifdef __has_feature
enum { SANITIZED = __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) };
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif

static int remove_all(void **state)
{
    (void)state;
    return system("rm -rf build/test_budget");
}

static char *config(const char *more)
{
    static char text[1024];

    snprintf(
        text, sizeof text,
        "{\"model\":{\"embed_dim\":32,\"vision_cfg\":{\"image_size\":32,\"layers\":4,"
        "\"width\":128,\"patch_size\":4,\"head_width\":64},\"text_cfg\":{"
        "\"context_length\":16,\"width\":64,\"heads\":2,\"layers\":2}},"
        "\"data\":\"" ROOT "pairs\",\"batch_size\":64,\"steps\":4,\"warmup\":1,"
        "\"threads\":2%s}",
        more);
    return text;
}

/* From a model of that kind. */
static char *from_base(const char *more)
{
    static char text[1024];

    snprintf(text, sizeof text,
             "{\"init\":\"" ROOT "base\",\"data\":\"" ROOT
             "pairs\",\"batch_size\":64,\"steps\":4,\"warmup\":1,\"lr\":0.001,"
             "\"threads\":2%s}",
             more);
    return text;
}

static int make_all(void **state)
{
    clipc_trainer *t;
    clipc_err err;

    remove_all(state);
    train_rig_pairs(ROOT "pairs");
    CHECK_OK(clipc_trainer_open(&t, config(""), "test", ROOT "base", 0, &err), err);
    train_rig_steps(t, 1);
    CHECK_OK(clipc_trainer_save(t, &err), err);
    clipc_trainer_free(t);
    assert_int_equal(system("cd " ROOT " && mkdir -p set/a set/b && cp pairs/00.png set/a"
                            " && cp pairs/01.png set/b"),
                     0);
    return 0;
}

enum { B = 64 };

/* What a pass takes, as fitted to `most`. */
static size_t fitted(pass_cfg *how, net *n, size_t most, int expected)
{
    budget b = {.program = 1000, .weights = 1 << 20};
    clipc_err err = {0};

    assert_int_equal(budget_fit(&b, how, n, most, &err), expected);
    if (expected != CLIPC_OK) assert_non_null(strstr(err.msg, "max_memory"));
    else assert_true(!most || budget_total(&b) <= most);
    assert_int_equal(budget_total(&b), 1000 + (1 << 20) + b.activations);
    return budget_total(&b);
}

static size_t asked(net *n, size_t chunk, bool recompute)
{
    pass_cfg how = {.batch = B, .chunk = chunk, .recompute = recompute};
    return fitted(&how, n, 0, CLIPC_OK);
}

/* budget: as asked if that fits, else recomputing, else the largest chunk, at last both
 */
static void test_choice(void **state)
{
    const pass_cfg whole = {.batch = B, .chunk = B};
    model_source s;
    clipc_err err;
    net *n;

    (void)state;
    CHECK_OK(source_open(&s, "tests/golden/models/oc_vit_quick", &err), err);
    CHECK_OK(net_shape(&n, &s.cfg, TOWER_TRAIN, &err), err);

    pass_cfg how = whole;
    const size_t most = fitted(&how, n, asked(n, B, false), CLIPC_OK);
    assert_true(how.chunk == B && !how.recompute);
    fitted(&how, n, most - 1, CLIPC_OK);
    assert_true(how.chunk == B && how.recompute);

    how = whole;
    fitted(&how, n, asked(n, B, true) - 1, CLIPC_OK);
    assert_true(how.chunk >= 16 && how.chunk < B && !how.recompute);
    /* as many chunks as that, and no fewer */
    const size_t pieces = div_up(B, how.chunk);
    assert_int_equal(how.chunk, div_up(B, pieces));
    assert_true(asked(n, div_up(B, pieces - 1), false) >= asked(n, B, true));

    how = whole;
    fitted(&how, n, asked(n, 16, false) - 1, CLIPC_OK);
    assert_true(how.chunk < B && how.recompute);
    how = whole;
    fitted(&how, n, asked(n, 1, true), CLIPC_OK);
    assert_true(how.chunk == 1 && how.recompute);
    how = whole;
    fitted(&how, n, asked(n, 1, true) - 1, CLIPC_ERR_MEMORY);

    /* a chunk that was asked for stays, and what is asked for is the most that is taken
     */
    how = (pass_cfg){.batch = B, .chunk = 40};
    fitted(&how, n, most, CLIPC_OK);
    assert_true(how.chunk == 40 && !how.recompute);
    net_free(n);
    source_close(&s);
}

static void check_limit(const char *json, int rc, size_t bytes)
{
    json_t *root = json_loads(json, 0, NULL);
    size_t got = 7;
    clipc_err err = {0};

    assert_non_null(root);
    assert_int_equal(budget_limit(&got, root, "test", &err), rc);
    if (rc == CLIPC_OK) assert_int_equal(got, bytes);
    else assert_non_null(strstr(err.msg, "max_memory"));
    json_decref(root);
}

/* budget: "max_memory" is bytes or a number with a unit */
static void test_limit(void **state)
{
    (void)state;
    check_limit("{}", CLIPC_OK, 7);
    check_limit("{\"max_memory\":0}", CLIPC_OK, 0);
    check_limit("{\"max_memory\":123456}", CLIPC_OK, 123456);
    check_limit("{\"max_memory\":\"4G\"}", CLIPC_OK, (size_t)4 << 30);
    check_limit("{\"max_memory\":\"1.5K\"}", CLIPC_OK, 1536);
    check_limit("{\"max_memory\":\"4X\"}", CLIPC_ERR_FORMAT, 0);
    check_limit("{\"max_memory\":\"4GB\"}", CLIPC_ERR_FORMAT, 0);
    check_limit("{\"max_memory\":\"\"}", CLIPC_ERR_FORMAT, 0);
    check_limit("{\"max_memory\":true}", CLIPC_ERR_FORMAT, 0);
    check_limit("{\"max_memory\":-1}", CLIPC_ERR_FORMAT, 0);
    check_limit("{\"max_memory\":\"1e300\"}", CLIPC_ERR_FORMAT, 0);
}

/* train: the keys do what they say, and the loss stays what it was */
static void test_keys(void **state)
{
    static const char *const more[] = {"", ",\"chunk\":24", ",\"recompute\":true",
                                       ",\"chunk\":24,\"recompute\":true"};
    static const char *const told[] = {"64 of 64 pairs at a time", "24 of 64 pairs",
                                       "64 of 64 pairs at a time, blocks computed again",
                                       "24 of 64 pairs at a time, blocks computed again"};
    double loss[4];

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        clipc_trainer *t;
        clipc_err err;
        CHECK_OK(clipc_trainer_open(&t, config(more[i]), "test", ROOT "run",
                                    CLIPC_TRAIN_FORCE, &err),
                 err);
        assert_non_null(strstr(clipc_trainer_memory(t), told[i]));
        loss[i] = train_rig_steps(t, 4);
        clipc_trainer_free(t);
    }
    assert_true(loss[0] == loss[2] && loss[1] == loss[3]);
    CHECK_NEAR(loss[1], loss[0], 1e-4); /* measured 0 */
}

/* train: blocks computed again above those that are locked */
static void test_locked(void **state)
{
#define LOCKED ",\"lock_image\":true,\"lock_image_unlocked_groups\":4"
    static const char *const more[] = {LOCKED, LOCKED ",\"recompute\":true",
                                       LOCKED ",\"recompute\":true,\"chunk\":24"};
    double loss[3];
    clipc_trainer *t;
    clipc_err err;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        CHECK_OK(clipc_trainer_open(&t, from_base(more[i]), "test", ROOT "run",
                                    CLIPC_TRAIN_FORCE, &err),
                 err);
        loss[i] = train_rig_steps(t, 3);
        clipc_trainer_free(t);
    }
    assert_true(loss[0] == loss[1]);
    CHECK_NEAR(loss[2], loss[0], 1e-4);
}

static void ignore(void *user, const clipc_eval_result *r, const clipc_err *why)
{
    (void)user, (void)why;
    assert_non_null(r);
}

/* What is in the line, in MiB; fails where it is not. */
static double told_of(const char *json, const char *what)
{
    clipc_trainer *t;
    clipc_err err;

    CHECK_OK(clipc_trainer_plan(&t, json, "test", ROOT "run", CLIPC_TRAIN_FORCE, &err),
             err);
    const char *at = strstr(clipc_trainer_memory(t), what);
    assert_non_null(at);
    const double told = strtod(at + strlen(what), NULL);
    clipc_trainer_free(t);
    return told;
}

/* budget: what comes beside the net is told */
static void test_beside(void **state)
{
    (void)state;
    assert_true(told_of(config(",\"distill\":\"" ROOT "base\""), "the teacher ") > 12);
    assert_true(told_of(config(",\"eval\":\"" ROOT "set\""), "evaluations ") > 12);
    /* buffers for 64 pictures of 32 pixels, 0.75 MiB, and 192 views of 32 numbers */
    CHECK_NEAR(told_of(from_base(",\"lock_image\":true,\"cache_features\":3"), "caches "),
               0.8, 0.051);
}

/* 0 if a run's largest size is what it said, or no more, in a process of its own. */
static int run_alone(const char *json, bool exact)
{
    struct rusage used;
    clipc_trainer *t;
    clipc_train_stats s;
    clipc_err err;

    if (clipc_trainer_plan(&t, json, "test", ROOT "alone", CLIPC_TRAIN_FORCE, &err) !=
        CLIPC_OK)
        return 1;
    const double told = strtod(clipc_trainer_memory(t), NULL);
    if (clipc_trainer_start(t, &err) != CLIPC_OK) return 1;
    for (int i = 0; i < 2; i++)
        if (clipc_trainer_step(t, &s, &err) != CLIPC_OK) return 1;
    if (clipc_trainer_wants_eval(t) &&
        clipc_trainer_evaluate(t, ignore, NULL, &err) != CLIPC_OK)
        return 1;
    getrusage(RUSAGE_SELF, &used);
    clipc_trainer_free(t);
    const double was = (double)used.ru_maxrss / 1024;
    /* A small model's products leave room for packed weights, 16 MiB, untouched. */
    if (was < 1.02 * told && (!exact || was > 0.98 * (told - 16))) return 0;
    fprintf(stderr, "%.1f MiB told, %.1f MiB taken\n", told, was);
    return 2;
}

/* train: a run takes the memory that it said */
static void test_taken(void **state)
{
    const char *const more[] = {"",
                                ",\"chunk\":16,\"recompute\":true",
                                ",\"val\":\"" ROOT "pairs\",\"ema\":0.9",
                                ",\"distill\":\"" ROOT "base\"",
                                ",\"eval_every\":2,\"eval\":\"" ROOT "set\"",
                                ""};

    (void)state;
    if (SANITIZED) skip();
    for (size_t i = 0; i < sizeof more / sizeof more[0]; i++) {
        int status;
        const pid_t child = fork();
        /* Of a teacher's file and of what an evaluation could take not all is needed. */
        const bool exact = i < 3 || i == 5;
        if (child == 0)
            _exit(run_alone(i < 5 ? config(more[i]) : from_base(more[i]), exact));
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_choice), cmocka_unit_test(test_limit),
        cmocka_unit_test(test_taken),  cmocka_unit_test(test_beside),
        cmocka_unit_test(test_keys),   cmocka_unit_test(test_locked)};
    return cmocka_run_group_tests_name("budget", tests, make_all, remove_all);
}
