/* The file of features that locked towers made: it keeps, it survives, it refuses. */
#include "check.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "train/feature_cache.h"

enum { E = 5, ROWS = 700 };
static const char path[] = "build/test_features/of/some.features";

static int remove_all(void **state)
{
    (void)state;
    return system("rm -rf build/test_features");
}

static void row_of(float *row, uint64_t key)
{
    for (size_t i = 0; i < E; i++) row[i] = (float)key * 0.25f + (float)i;
}

static feature_cache *open_cache(void)
{
    feature_cache *c;
    clipc_err err;

    CHECK_OK(feature_cache_open(&c, path, 7, E, &err), err);
    return c;
}

/* Rows 1 to n, each that of its key. */
static void check_rows(feature_cache *c, size_t n)
{
    float row[E];

    assert_int_equal(feature_cache_count(c), n);
    for (uint64_t key = 1; key <= n; key++) {
        row_of(row, key);
        assert_true(feature_cache_has(c, key));
        assert_memory_equal(feature_cache_get(c, key), row, sizeof row);
    }
    assert_false(feature_cache_has(c, n + 1));
    assert_null(feature_cache_get(c, n + 1));
}

static void put_rows(feature_cache *c, size_t from, size_t to)
{
    float row[E];
    clipc_err err;

    for (uint64_t key = from; key <= to; key++) {
        row_of(row, key);
        CHECK_OK(feature_cache_put(c, key, row, &err), err);
    }
}

/* The file grows twice, is closed and found again; a key is kept once. */
static void test_keeps(void **state)
{
    feature_cache *c = open_cache();

    (void)state;
    put_rows(c, 1, ROWS);
    put_rows(c, 1, 3);
    check_rows(c, ROWS);
    feature_cache_close(c);
    c = open_cache();
    check_rows(c, ROWS);
    feature_cache_close(c);
}

/* A record whose bytes are not those that were written, and all behind it, is free. */
static void test_torn(void **state)
{
    feature_cache *c;
    const int fd = open(path, O_WRONLY);
    const size_t record = 16 + 6 * sizeof(float);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, "x", 1, (off_t)(64 + 500 * record + 18)), 1);
    close(fd);
    c = open_cache();
    check_rows(c, 500);
    put_rows(c, 501, 520);
    check_rows(c, 520);
    feature_cache_close(c);
}

/* Another model's file is refused, as is one that is none; a file that was made and not
 * yet begun is as a new one. */
static void test_refuses(void **state)
{
    feature_cache *c;
    clipc_err err;

    (void)state;
    CHECK_FAILS(feature_cache_open(&c, path, 8, E, &err), CLIPC_ERR_FORMAT, err,
                "some.features: holds features of another model");
    CHECK_FAILS(feature_cache_open(&c, path, 7, E + 1, &err), CLIPC_ERR_FORMAT, err,
                "another model");
    CHECK_FAILS(feature_cache_open(&c, "tests/golden/pixels/grey.png", 7, E, &err),
                CLIPC_ERR_FORMAT, err, "holds no features");
    assert_int_equal(truncate(path, 0), 0);
    c = open_cache();
    check_rows(c, 0);
    feature_cache_close(c);
}

/* No room: told in a line, and what is there stays. */
static void test_full(void **state)
{
    struct rlimit limit, old;
    feature_cache *c = open_cache();
    float row[E];
    clipc_err err;

    (void)state;
    put_rows(c, 1, 256);
    row_of(row, 257);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    limit = old, limit.rlim_cur = 12000;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    signal(SIGXFSZ, SIG_IGN);
    CHECK_FAILS(feature_cache_put(c, 257, row, &err), CLIPC_ERR_IO, err, "cannot grow");
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    check_rows(c, 256);
    put_rows(c, 257, 300);
    check_rows(c, 300);
    feature_cache_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keeps), cmocka_unit_test(test_torn),
        cmocka_unit_test(test_refuses), cmocka_unit_test(test_full)};
    return cmocka_run_group_tests_name("feature cache", tests, remove_all, remove_all);
}
