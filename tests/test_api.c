/* The public functions with what their headers do not allow: an error, not a crash. */
#include "check.h"

#include <stdlib.h>

#include "clipc.h"

#define E2E  "tests/golden/models/e2e"
#define COPY "build/test_api"

/* Each of these numbers once chose past the end of a table, or wrapped a size round. */
static void test_numbers(void **state)
{
    clipc_model *m;
    clipc_ctx *c;
    clipc_err err;
    clipc_eval_result r;
    const clipc_eval_options nine = {.task = 9}, below = {.task = -1};

    (void)state;
    CHECK_OK(clipc_model_open(&m, E2E, &err), err);
    CHECK_FAILS(clipc_ctx_new(&c, m, &(clipc_ctx_options){.precision = 7}, &err),
                CLIPC_ERR_ARG, err, "precision 7");
    CHECK_FAILS(clipc_ctx_new(&c, m, &(clipc_ctx_options){.long_texts = -1}, &err),
                CLIPC_ERR_ARG, err, "-1 with long texts");
    CHECK_FAILS(
        clipc_ctx_new(&c, m, &(clipc_ctx_options){.max_batch = SIZE_MAX / 8 + 2}, &err),
        CLIPC_ERR_ARG, err, "max_batch");
    assert_null(c);

    CHECK_OK(clipc_ctx_new(&c, m, NULL, &err), err);
    CHECK_FAILS(clipc_eval(&r, c, E2E, &nine, &err), CLIPC_ERR_ARG, err, "no task 9");
    CHECK_FAILS(clipc_eval_check(E2E, &below, &err), CLIPC_ERR_ARG, err, "no task -1");
    assert_string_equal(clipc_eval_task(CLIPC_EVAL_LINEAR_PROBE), "linear_probe");
    assert_null(clipc_eval_task(3));
    assert_null(clipc_eval_task(-1));
    clipc_ctx_free(c);
    clipc_model_free(m);
}

/* No options are the defaults, as everywhere: an open_clip folder in float32. */
static void test_no_options(void **state)
{
    clipc_model *m;
    clipc_err err;

    (void)state;
    assert_int_equal(system("rm -rf " COPY), 0);
    CHECK_OK(clipc_convert(E2E, COPY, NULL, &err), err);
    CHECK_OK(clipc_model_open(&m, COPY, &err), err);
    assert_string_equal(clipc_model_info_of(m)->format, "open_clip");
    assert_string_equal(clipc_model_info_of(m)->precision, "f32");
    clipc_model_free(m);
    assert_int_equal(system("rm -rf " COPY), 0);
}

/* Counts are enough for some. */
static void test_unheard(void **state)
{
    const clipc_check_options quick = {.files_only = 1};
    clipc_checkup sum;
    clipc_err err;

    (void)state;
    CHECK_OK(clipc_check_model(&sum, "no-such", &quick, NULL, NULL, &err), err);
    assert_int_equal(sum.found[CLIPC_FOUND_PROBLEM], 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_numbers),
                                       cmocka_unit_test(test_no_options),
                                       cmocka_unit_test(test_unheard)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
