/* Checkpoints of PyTorch against what PyTorch reads from them, and hostile ones
 * (tests/golden/make_torch.py). */
#include "check.h"

#include <stdlib.h>

#include "base/rng.h"
#include "io/safetensors.h"
#include "io/torch_file.h"

#define FOLDER "tests/golden/torch/"

static const char *const readable[] = {"plain",     "views",    "typed",      "wrapped",
                                       "training",  "compiled", "old",        "old_views",
                                       "old_typed", "script",   "trace",      "zip64",
                                       "system",    "untyped",  "old_by_hand"};
enum { N_READABLE = sizeof readable / sizeof *readable };

static const char *path_of(char path[256], const char *name, const char *end)
{
    snprintf(path, 256, FOLDER "%s.%s", name, end);
    return path;
}

static void read_file(buf *out, const char *name)
{
    char path[256];
    clipc_err err;

    CHECK_OK(file_read(out, path_of(path, name, "pt"), 1 << 20, &err), err);
}

static void check_same(const char *name, const tensor_file *have, const tensor_file *want)
{
    if (tensor_file_count(have) != tensor_file_count(want))
        fail_msg("%s: %zu tensors, wanted %zu", name, tensor_file_count(have),
                 tensor_file_count(want));
    for (size_t i = 0; i < tensor_file_count(want); i++) {
        const tensor *h = tensor_file_at(have, i), *w = tensor_file_at(want, i);
        assert_string_equal(h->name, w->name);
        assert_int_equal(h->dt, w->dt);
        assert_int_equal(h->n_dims, w->n_dims);
        for (size_t d = 0; d < w->n_dims; d++) assert_int_equal(h->dims[d], w->dims[d]);
        if (w->n && memcmp(h->data, w->data, w->n * dtype_size(w->dt)) != 0)
            fail_msg("%s: tensor %s differs", name, w->name);
    }
}

/* torch_open: names, types, shapes and bits of every kind of file are PyTorch's */
static void test_goldens(void **state)
{
    char path[256];
    clipc_err err;

    (void)state;
    for (size_t i = 0; i < N_READABLE; i++) {
        tensor_file *have, *want;
        CHECK_OK(torch_open(&have, path_of(path, readable[i], "pt"), &err), err);
        CHECK_OK(safetensors_open(&want, path_of(path, readable[i], "safetensors"), &err),
                 err);
        assert_true(tensor_file_count(want) > 0);
        check_same(readable[i], have, want);
        tensor_file_free(have);
        tensor_file_free(want);
    }
}

/* A pickle's call of os.system was in two of the files; it is never made */
static void test_nothing_runs(void **state)
{
    (void)state;
    assert_false(file_exists("build/torch_test_ran"));
}

/* TorchScript: the plain attributes of the model are metadata, a buffer of no dimensions
 * stays a tensor */
static void test_metadata(void **state)
{
    tensor_file *f;
    clipc_err err;

    (void)state;
    CHECK_OK(torch_open(&f, FOLDER "script.pt", &err), err);
    const json_t *about = tensor_file_metadata(f);
    assert_int_equal(json_integer_value(json_object_get(about, "input_resolution")), 224);
    assert_true(json_is_true(json_object_get(about, "training")));
    assert_string_equal(tensor_file_string(f, "kind"), "tiny");
    assert_null(json_object_get(about, "blocks.0.training"));
    assert_int_equal(tensor_find(f, "scale")->n_dims, 0);
    assert_non_null(tensor_find(f, "blocks.1.ln.weight"));
    tensor_file_free(f);
}

static bool within(const void *p, const buf *file)
{
    const uintptr_t at = (uintptr_t)p, from = (uintptr_t)file->data;
    return at >= from && at <= from + file->len;
}

/* Row-major tensors lie in the file, also parts of a storage; others are copies */
static void test_in_place(void **state)
{
    static const char *const files[] = {"views", "old_views"};
    static const char *const mapped[] = {"whole", "part", "one", "again", "row"};
    static const char *const copied[] = {"third", "turned", "same", "cube"};
    clipc_err err;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        tensor_file *f;
        buf b = {0};
        read_file(&b, files[i]);
        CHECK_OK(torch_parse(&f, b.data, b.len, files[i], &err), err);
        for (size_t j = 0; j < sizeof mapped / sizeof *mapped; j++)
            assert_true(within(tensor_find(f, mapped[j])->data, &b));
        for (size_t j = 0; j < sizeof copied / sizeof *copied; j++)
            assert_false(within(tensor_find(f, copied[j])->data, &b));
        assert_ptr_equal(tensor_find(f, "whole")->data, tensor_find(f, "again")->data);
        tensor_file_free(f);
        buf_free(&b);
    }
}

/* torch_is: by content, not by a ZIP's or a pickle's look alone */
static void test_recognised(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_READABLE; i++) {
        buf b = {0};
        read_file(&b, readable[i]);
        assert_true(torch_is(b.data, b.len));
        buf_free(&b);
    }
    /* An empty archive; a pickle that is not the magic number; nothing. */
    static const char other_zip[22] = "PK\5\6", other_pickle[32] = "\x80\2}q\1.";
    assert_false(torch_is(other_zip, sizeof other_zip));
    assert_false(torch_is(other_pickle, sizeof other_pickle));
    assert_false(torch_is("", 0));
    assert_false(torch_is("PK\3\4", 4));
}

typedef struct refusal {
    const char *name;
    int code;
    const char *says;
} refusal;

static const refusal refusals[] = {
    {"bad_system", CLIPC_ERR_FORMAT, "asks for posix.system"},
    {"bad_system4", CLIPC_ERR_FORMAT, "asks for posix.system"},
    {"bad_object", CLIPC_ERR_FORMAT, "no dict of tensors"},
    {"bad_offset", CLIPC_ERR_FORMAT, "tensor x: reaches element 6 of a storage of 6"},
    {"bad_stride", CLIPC_ERR_FORMAT, "tensor x: reaches element 6 of a storage of 6"},
    {"bad_overflow", CLIPC_ERR_FORMAT, "tensor x: reaches element"},
    {"bad_huge", CLIPC_ERR_FORMAT, "tensor x: shape overflows"},
    {"bad_negative", CLIPC_ERR_FORMAT, "tensor x: no shape"},
    {"bad_dims", CLIPC_ERR_FORMAT, "tensor x: no shape and strides of 8"},
    {"bad_count", CLIPC_ERR_FORMAT, "tensor x: storage of 7 elements in 24 bytes"},
    {"bad_missing", CLIPC_ERR_FORMAT, "tensor x: its data is not in the file"},
    {"bad_order", CLIPC_ERR_FEATURE, "byte order is not \"little\""},
    {"bad_name", CLIPC_ERR_FORMAT, "name is no plain text"},
    {"bad_long_name", CLIPC_ERR_FORMAT, "name is longer than 512"},
    {"bad_packed", CLIPC_ERR_FEATURE, "record a/data.pkl: compressed"},
    {"bad_memo", CLIPC_ERR_FORMAT, "its memo has gaps"},
    {"bad_protocol", CLIPC_ERR_FORMAT, "unknown protocol"},
    {"bad_opcode", CLIPC_ERR_FORMAT, "byte 2: opcode 0x49"},
    {"bad_stack", CLIPC_ERR_FORMAT, "its stack is empty"},
    {"bad_cut", CLIPC_ERR_FORMAT, "cut off"},
    {"bad_shared", CLIPC_ERR_FORMAT, "shared too often"},
    {"bad_cycle", CLIPC_ERR_FORMAT, "nested deeper than 64"},
    {"bad_deep", CLIPC_ERR_FORMAT, "nested deeper than 64"},
    {"bad_long_names", CLIPC_ERR_FORMAT, "names too long for its size"},
    {"bad_packed_linear", CLIPC_ERR_FEATURE,
     "tensor p: __torch__.torch.classes.quantized.Packed is not supported"},
    {"bad_twice", CLIPC_ERR_FORMAT, "record a/data/0: stored twice"},
    {"bad_beyond", CLIPC_ERR_FORMAT, "record a/data/0: reaches beyond the file"},
    {"bad_old_protocol", CLIPC_ERR_FORMAT, "protocol is not 1001"},
    {"bad_old_big", CLIPC_ERR_FEATURE, "not written by a little-endian machine"},
    {"bad_old_twice", CLIPC_ERR_FORMAT, "a storage that is stored twice"},
    {"bad_old_unknown", CLIPC_ERR_FORMAT, "data of an unknown storage"},
    {"bad_old_part", CLIPC_ERR_FORMAT, "a storage that is not described"},
    {"bad_old_types", CLIPC_ERR_FORMAT, "a storage of two types"},
    {"bad_expand", CLIPC_ERR_LIMIT, "tensor x: its strides blow 4 bytes up to 4000000"},
    {"bad_minus", CLIPC_ERR_FEATURE, "tensor x: stored without its minus sign"},
    {"bad_complex", CLIPC_ERR_FEATURE, "tensor x: torch.ComplexFloatStorage is not"},
    {"bad_old_complex", CLIPC_ERR_FEATURE, "torch.ComplexFloatStorage is not"},
    {"bad_uint16", CLIPC_ERR_FEATURE, "tensor x: torch.uint16 is not supported"},
    {"bad_sparse", CLIPC_ERR_FEATURE, "torch._utils._rebuild_sparse_tensor is not"},
    {"bad_csr", CLIPC_ERR_FEATURE, "torch._utils._rebuild_sparse_tensor is not"},
    {"bad_quantised", CLIPC_ERR_FEATURE, "torch._utils._rebuild_qtensor is not"},
};

/* Each of these is refused, with a message that names file, tensor and reason */
static void test_refused(void **state)
{
    char path[256];

    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        const refusal *r = &refusals[i];
        tensor_file *f;
        clipc_err err;
        CHECK_FAILS(torch_open(&f, path_of(path, r->name, "pt"), &err), r->code, err,
                    r->says);
        assert_non_null(strstr(err.msg, path));
        assert_null(f);
    }
}

/* Parses an exact copy, so that a step beyond its end leaves the allocation, and reads
 * all bytes of its tensors. */
static int parse_copy(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    tensor_file *f;
    clipc_err err;
    volatile uint8_t seen = 0; /* keeps the reads */

    assert_non_null(copy);
    if (size) memcpy(copy, data, size);
    torch_is(copy, size);
    const int rc = torch_parse(&f, copy, size, "copy", &err);
    for (size_t i = 0; rc == CLIPC_OK && i < tensor_file_count(f); i++) {
        const tensor *t = tensor_file_at(f, i);
        const uint8_t *p = t->data;
        for (size_t j = 0; j < t->n * dtype_size(t->dt); j++) seen = p[j];
    }
    (void)seen;
    tensor_file_free(f);
    free(copy);
    return rc;
}

/* Any file that is cut off is refused: archives end with their directory, old files with
 * their data */
static void test_cut_off(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_READABLE; i++) {
        buf b = {0};
        read_file(&b, readable[i]);
        assert_int_equal(parse_copy((const uint8_t *)b.data, b.len), CLIPC_OK);
        for (size_t size = 0; size < b.len; size += 97)
            assert_true(parse_copy((const uint8_t *)b.data, size) < 0);
        for (size_t size = b.len - 60; size < b.len; size++)
            assert_true(parse_copy((const uint8_t *)b.data, size) < 0);
        buf_free(&b);
    }
}

/* Bytes changed at random, one to four at a time: no step outside, no leak */
static void test_flipped(void **state)
{
    enum { ROUNDS = 1000 };

    (void)state;
    for (size_t i = 0; i < N_READABLE; i++) {
        rng r = rng_seed(1, i);
        buf b = {0};
        read_file(&b, readable[i]);
        for (size_t j = 0; j < ROUNDS; j++) {
            size_t at[4];
            uint8_t was[4], n = (uint8_t)(1 + rng_below(&r, 4));
            for (size_t k = 0; k < n; k++) {
                at[k] = (size_t)rng_below(&r, b.len);
                was[k] = (uint8_t)b.data[at[k]];
                b.data[at[k]] = (char)rng_below(&r, 256);
            }
            parse_copy((const uint8_t *)b.data, b.len);
            while (n-- > 0) b.data[at[n]] = (char)was[n];
        }
        buf_free(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_goldens),  cmocka_unit_test(test_metadata),
        cmocka_unit_test(test_in_place), cmocka_unit_test(test_recognised),
        cmocka_unit_test(test_refused),  cmocka_unit_test(test_nothing_runs),
        cmocka_unit_test(test_cut_off),  cmocka_unit_test(test_flipped)};
    return cmocka_run_group_tests_name("torch", tests, NULL, NULL);
}
