/* Training against open_clip's (tests/golden/make_curve.py): the same pictures in the
 * same order, the same initial weights, the same numbers. */
#include "check.h"

#include <stdlib.h>

#include "base/file.h"
#include "base/json.h"
#include "clipc_train.h"
#include "train/order.h"

#define GOLDEN "tests/golden/curve/"

static const char out[] = "build/test_curve_run", order_file[] = "build/test_curve_order";

static int remove_all(void **state)
{
    (void)state;
    return system("rm -rf build/test_curve_run build/test_curve_order");
}

static json_t *read_json(const char *path)
{
    json_t *root = NULL;
    buf text = {0};
    clipc_err err;

    CHECK_OK(file_read(&text, path, 1 << 20, &err), err);
    CHECK_OK(json_parse(&root, text.data, text.len, path, &err), err);
    buf_free(&text);
    return root;
}

static double number(const json_t *row, size_t column)
{
    return json_number_value(json_array_get(row, column));
}

/* Loss, gradient's norm (relative) and temperature of each step. */
static void check_steps(const char *path, double tolerance)
{
    json_t *golden = read_json(path);
    const json_t *steps = json_object_get(golden, "steps");
    char *config = json_dumps(json_object_get(golden, "config"), 0);
    clipc_trainer *t;
    clipc_train_stats s;
    clipc_err err;

    remove_all(NULL);
    assert_int_equal(json_array_size(steps), 10);
    CHECK_OK(clipc_trainer_open(&t, config, path, out, 0, &err), err);
    for (size_t i = 0; i < json_array_size(steps); i++) {
        const json_t *want = json_array_get(steps, i);
        CHECK_OK(clipc_trainer_step(t, &s, &err), err);
        CHECK_NEAR(s.loss, number(want, 0), tolerance);
        CHECK_NEAR(s.grad_norm / number(want, 1), 1.0, tolerance);
        CHECK_NEAR(s.logit_scale, number(want, 2), tolerance);
    }
    clipc_trainer_free(t);
    free(config);
    json_decref(golden);
}

/* train: ten steps of a ViT are open_clip's: loss, clipping, AdamW and its decay,
 * schedule, the temperature's limit */
static void test_vit(void **state)
{
    (void)state;
    check_steps(GOLDEN "vit.json", 1e-5);
}

/* train: ten steps of a ResNet, its batch norm in training mode */
static void test_resnet(void **state)
{
    (void)state;
    check_steps(GOLDEN "resnet.json", 1e-5);
}

static void write_order(const char *text)
{
    clipc_err err;

    CHECK_OK(file_replace(order_file, text, strlen(text), &err), err);
}

static void check_bad_order(const char *text, const char *what)
{
    sample_order o;
    clipc_err err;

    write_order(text);
    CHECK_FAILS(order_read(&o, order_file, &err), CLIPC_ERR_FORMAT, err, what);
    order_free(&o);
}

/* order: an index a line, with or without an end of the last; what is none is told by
 * line */
static void test_order(void **state)
{
    sample_order o;
    clipc_err err;

    (void)state;
    write_order("3\n0\n12");
    CHECK_OK(order_read(&o, order_file, &err), err);
    assert_int_equal(o.n, 3);
    assert_int_equal(o.v[0], 3);
    assert_int_equal(o.v[2], 12);
    CHECK_OK(order_check(&o, 13, &err), err);
    CHECK_FAILS(order_check(&o, 12, &err), CLIPC_ERR_FORMAT, err, "line 3 is 12");
    order_free(&o);
    check_bad_order("", "no index");
    check_bad_order("1\n\n2\n", "line 2");
    check_bad_order("1\n-2\n", "line 2");
    check_bad_order("1\n2 3\n", "line 2");
    check_bad_order("99999999999999999999\n", "line 1");
    CHECK_FAILS(order_read(&o, "build/no-such-order", &err), CLIPC_ERR_IO, err,
                "no-such-order");
    order_free(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_order),
                                       cmocka_unit_test(test_vit),
                                       cmocka_unit_test(test_resnet)};
    return cmocka_run_group_tests_name("curve", tests, NULL, remove_all);
}
