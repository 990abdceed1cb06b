/* The processor limits of control groups, in made-up folders; the affinity mask. */
#define _GNU_SOURCE
#include "check.h"

#include <sched.h>
#include <stdlib.h>

#include "base/cpus.h"
#include "base/file.h"

#define ROOT "build/test_cpus"

static void put(const char *path, const char *text)
{
    const char *name = path_base(path);
    char folder[128];
    clipc_err err;

    snprintf(folder, sizeof folder, "%.*s", (int)(name - path), path);
    CHECK_OK(file_mkdirs(folder, &err), err);
    CHECK_OK(file_replace(path, text, strlen(text), &err), err);
}

static size_t limit(const char *self)
{
    put(ROOT "/self", self);
    return cpus_of_cgroups(ROOT, ROOT "/self");
}

static int fresh(void **state)
{
    (void)state;
    return system("rm -rf " ROOT);
}

/* version 2: rounded up; the least of the group and those around it */
static void test_v2(void **state)
{
    (void)state;
    put(ROOT "/a/b/cpu.max", "350000 100000\n");
    assert_int_equal(limit("0::/a/b\n"), 4);
    put(ROOT "/a/b/cpu.max", "1000 100000\n");
    assert_int_equal(limit("0::/a/b\n"), 1);
    put(ROOT "/a/b/cpu.max", "max 100000\n");
    assert_int_equal(limit("0::/a/b\n"), SIZE_MAX);
    put(ROOT "/a/cpu.max", "600000 200000\n");
    assert_int_equal(limit("0::/a/b\n"), 3);
    assert_int_equal(limit("0::/a"), 3);
    put(ROOT "/cpu.max", "200000 100000\n");
    assert_int_equal(limit("0::/a/b\n"), 2);
    assert_int_equal(limit("0::/\n"), 2);
}

/* a process that sees part of the tree: its path leads nowhere, or out; what is there
 * counts */
static void test_elsewhere(void **state)
{
    (void)state;
    put("build/cpu.max", "100000 100000\n"); /* outside */
    put(ROOT "/cpu.max", "500000 100000\n");
    assert_int_equal(limit("0::/docker/0123\n"), 5);
    assert_int_equal(limit("0::/../..\n"), 5);
    assert_int_equal(limit("0::/a/../..\n"), 5);
    remove("build/cpu.max");
}

/* version 1, beside version 2 without processors and other controllers */
static void test_v1(void **state)
{
    static const char self[] =
        "12:cpuset:/c\n3:cpuacct,cpu:/a/b\n2:memory:/a\n1:name=cpu:/d\n0::/\n";

    (void)state;
    put(ROOT "/cpu/a/b/cpu.cfs_quota_us", "250000\n");
    put(ROOT "/cpu/a/b/cpu.cfs_period_us", "100000\n");
    put(ROOT "/cpu/c/cpu.cfs_quota_us", "100000\n");
    put(ROOT "/cpu/c/cpu.cfs_period_us", "100000\n");
    assert_int_equal(limit(self), 3);
    put(ROOT "/cpu/a/cpu.cfs_quota_us", "-1\n");
    put(ROOT "/cpu/a/cpu.cfs_period_us", "100000\n");
    assert_int_equal(limit(self), 3);
    put(ROOT "/cpu/cpu.cfs_quota_us", "200000\n");
    assert_int_equal(limit(self), 3); /* no period is no limit */
    put(ROOT "/cpu/cpu.cfs_period_us", "100000\n");
    assert_int_equal(limit(self), 2);
}

/* what makes no sense limits nothing */
static void test_odd(void **state)
{
    static const char *const limits[] = {"",
                                         "\n",
                                         "max",
                                         "0 100000",
                                         "100000 0",
                                         "100000",
                                         "-1 100000",
                                         "1e5 x",
                                         "99999999999999999999999 1",
                                         "100000 99999999999999999999999",
                                         "x y",
                                         " 1 1"};
    static const char *const selves[] = {"",      "\n\n",      ":",       "::",
                                         "0:",    "0::",       "0",       "cpu",
                                         "1:cpu", "1:,cpu,:/", "0::////", "0::a/\n:::"};
    static char large[1 << 17];

    (void)state;
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        put(ROOT "/a/cpu.max", limits[i]);
        assert_int_equal(limit("0::/a\n"), SIZE_MAX);
    }
    for (size_t i = 0; i < sizeof selves / sizeof selves[0]; i++)
        assert_int_equal(limit(selves[i]), SIZE_MAX);
    memset(large, '/', sizeof large - 1);
    memcpy(large, "0::", 3);
    assert_int_equal(limit(large), SIZE_MAX);
    large[4000] = '\0';
    assert_int_equal(limit(large), SIZE_MAX);
    put(ROOT "/a/cpu.max", large);
    assert_int_equal(limit("0::/a\n"), SIZE_MAX);
    assert_int_equal(cpus_of_cgroups(ROOT, ROOT "/none"), SIZE_MAX);
    assert_int_equal(cpus_of_cgroups(ROOT, ROOT), SIZE_MAX);
}

/* here: what the affinity mask has, as long as it has little */
static void test_here(void **state)
{
    cpu_set_t before, one;
    int cpu = 0;

    (void)state;
    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    assert_in_range(cpus_usable(), 1, CPU_COUNT(&before));
    while (!CPU_ISSET(cpu, &before)) cpu++;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    assert_int_equal(cpus_usable(), 1);
    assert_int_equal(sched_setaffinity(0, sizeof before, &before), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_v2, fresh, fresh),
        cmocka_unit_test_setup_teardown(test_elsewhere, fresh, fresh),
        cmocka_unit_test_setup_teardown(test_v1, fresh, fresh),
        cmocka_unit_test_setup_teardown(test_odd, fresh, fresh),
        cmocka_unit_test(test_here)};
    return cmocka_run_group_tests_name("cpus", tests, NULL, NULL);
}
