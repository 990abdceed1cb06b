/* The GGUF reader against ggml's own Python package (tests/golden/make_gguf.py), and
 * against files that lie. */
#include "check.h"

#include <stdlib.h>

#include "base/file.h"
#include "base/json.h"
#include "io/gguf.h"
#include "io/safetensors.h"

#define FOLDER "tests/golden/gguf/"

enum {
    T_U8,
    T_U32 = 4,
    T_BOOL = 7,
    T_STRING,
    T_ARRAY,
    G_F32 = 0,
    G_Q4_0 = 2,
    G_Q2_K = 10
};

/* ---- goldens ---- */

/* As float32, malloc'd. */
static float *values_of(const tensor *t, const char *isa)
{
    float *x = malloc((t->n ? t->n : 1) * sizeof *x);

    assert_non_null(x);
    dtype_to_f32(kernels_named(isa), x, t->data, t->dt, t->n);
    return x;
}

static void check_tensor(const tensor *have, const tensor *want)
{
    static const char *const isas[] = {"ref", "avx2", "avx512", "avx512vnni"};

    assert_string_equal(have->name, want->name);
    assert_int_equal(have->n_dims, want->n_dims);
    for (size_t d = 0; d < want->n_dims; d++)
        assert_int_equal(have->dims[d], want->dims[d]);
    float *y = values_of(want, "ref");
    for (size_t i = 0; i < sizeof isas / sizeof *isas; i++) {
        if (!kernels_named(isas[i])) continue;
        float *x = values_of(have, isas[i]);
        /* Exactly: 11 bits of scale times 8 of a number is no rounding, so that adding
         * the offset is the only one.  But zeros have any sign: where the scale is
         * negative and the number 0, the package gives -0 and we 0 (Q4_0, Q5_0). */
        for (size_t n = 0; n < want->n; n++)
            if (!(x[n] == y[n]))
                fail_msg("%s[%zu] with %s: %.9g, wanted %.9g", want->name, n, isas[i],
                         (double)x[n], (double)y[n]);
        free(x);
    }
    free(y);
}

/* tensors: names, shapes and values of all 13 types are those of the gguf package */
static void test_tensors(void **state)
{
    static const dtype types[] = {DT_BF16, DT_F16,  DT_F32,  DT_F32, DT_F64,
                                  DT_I16,  DT_I32,  DT_I64,  DT_I8,  DT_Q4_0,
                                  DT_Q4_1, DT_Q5_0, DT_Q5_1, DT_Q8_0};
    tensor_file *f, *want;
    clipc_err err;

    (void)state;
    CHECK_OK(gguf_open(&f, FOLDER "types.gguf", &err), err);
    CHECK_OK(safetensors_open(&want, FOLDER "expected.safetensors", &err), err);
    assert_int_equal(tensor_file_count(f), sizeof types / sizeof *types);
    assert_int_equal(tensor_file_count(f), tensor_file_count(want));
    for (size_t i = 0; i < tensor_file_count(f); i++) {
        assert_int_equal(tensor_file_at(f, i)->dt, types[i]);
        check_tensor(tensor_file_at(f, i), tensor_file_at(want, i));
    }
    tensor_file_free(f);
    tensor_file_free(want);
}

/* pairs: all 13 types of value; a string that is no UTF-8 keeps every byte */
static void test_pairs(void **state)
{
    tensor_file *f;
    json_t *want, *value;
    const char *key;
    clipc_err err;

    (void)state;
    CHECK_OK(gguf_open(&f, FOLDER "types.gguf", &err), err);
    CHECK_OK(json_read(&want, FOLDER "expected.json", &err), err);
    const json_t *have = tensor_file_metadata(f);
    json_object_foreach(want, key,
                        value) if (!json_equal(json_object_get(have, key), value))
        fail_msg("%s differs", key);
    assert_int_equal(json_object_size(have), json_object_size(want) + 1);
    const json_t *bytes = json_object_get(have, "test.bytes");
    assert_int_equal(json_string_length(bytes), 5);
    assert_memory_equal(json_string_value(bytes),
                        "\xff\xc0"
                        "a\0b",
                        5);
    json_decref(want);
    tensor_file_free(f);
}

/* ---- files made here ---- */

static void add_uint(buf *b, uint64_t v, size_t bytes)
{
    unsigned char p[8];

    for (size_t i = 0; i < bytes; i++) p[i] = (unsigned char)(v >> 8 * i);
    assert_int_equal(buf_add(b, p, bytes, NULL), CLIPC_OK);
}

static void add_text(buf *b, const char *s)
{
    add_uint(b, strlen(s), 8);
    assert_int_equal(buf_puts(b, s, NULL), CLIPC_OK);
}

static void begin(buf *b, uint64_t tensors, uint64_t pairs)
{
    buf_clear(b);
    assert_int_equal(buf_puts(b, "GGUF", NULL), CLIPC_OK);
    add_uint(b, 3, 4);
    add_uint(b, tensors, 8);
    add_uint(b, pairs, 8);
}

static void add_pair(buf *b, const char *key, uint64_t type, uint64_t value, size_t bytes)
{
    add_text(b, key);
    add_uint(b, type, 4);
    add_uint(b, value, bytes);
}

/* Of two dimensions, the faster first. */
static void add_entry(buf *b, const char *name, uint64_t fast, uint64_t slow,
                      uint64_t type, uint64_t offset)
{
    add_text(b, name);
    add_uint(b, 2, 4);
    add_uint(b, fast, 8);
    add_uint(b, slow, 8);
    add_uint(b, type, 4);
    add_uint(b, offset, 8);
}

/* `bytes` zeros at a multiple of 32. */
static void add_data(buf *b, size_t bytes)
{
    while (b->len % 32) add_uint(b, 0, 1);
    while (bytes--) add_uint(b, 0, 1);
}

/* Parses an exact copy, so that a read past the end leaves the allocation; reads every
 * tensor. */
static int parse_copy(const char *data, size_t size, clipc_err *err)
{
    char *copy = malloc(size ? size : 1);
    tensor_file *f;

    assert_non_null(copy);
    if (size) memcpy(copy, data, size);
    const int rc = gguf_parse(&f, copy, size, "x.gguf", err);
    if (rc != CLIPC_OK) assert_null(f);
    for (size_t i = 0; rc == CLIPC_OK && i < tensor_file_count(f); i++)
        free(values_of(tensor_file_at(f, i), "ref"));
    if (rc == CLIPC_OK) tensor_file_free(f);
    free(copy);
    return rc;
}

static void check_refused(const buf *b, int code, const char *part)
{
    clipc_err err;

    CHECK_FAILS(parse_copy(b->data, b->len, &err), code, err, part);
    assert_memory_equal(err.msg, "x.gguf: ", 8);
}

/* gguf_is: by the first four bytes; open: a file that is not there, one that is none */
static void test_is(void **state)
{
    tensor_file *f;
    clipc_err err;

    (void)state;
    assert_true(gguf_is("GGUF", 4));
    assert_false(gguf_is("GGUF", 3));
    assert_false(gguf_is("GGML....", 8));
    CHECK_FAILS(gguf_open(&f, FOLDER "none.gguf", &err), CLIPC_ERR_IO, err, "none.gguf");
    CHECK_FAILS(gguf_open(&f, FOLDER "expected.json", &err), CLIPC_ERR_FORMAT, err,
                "no GGUF file");
}

/* versions: 2 reads as 3; 1, 4 and the other byte order are refused */
static void test_versions(void **state)
{
    static const struct {
        const char *version, *part;
        int code;
    } bad[] = {{"\1\0\0\0", "version 1", CLIPC_ERR_FEATURE},
               {"\4\0\0\0", "version 4", CLIPC_ERR_FEATURE},
               {"\0\0\0\0", "version 0", CLIPC_ERR_FEATURE},
               {"\0\0\0\3", "big-endian", CLIPC_ERR_FORMAT}};
    buf b = {0};
    clipc_err err;

    (void)state;
    CHECK_OK(file_read(&b, FOLDER "types.gguf", 1 << 20, &err), err);
    b.data[4] = 2;
    CHECK_OK(parse_copy(b.data, b.len, &err), err);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        memcpy(b.data + 4, bad[i].version, 4);
        check_refused(&b, bad[i].code, bad[i].part);
    }
    buf_free(&b);
}

/* pairs: every claim about lengths, types and nesting is checked */
static void test_bad_pairs(void **state)
{
    const uint64_t huge[] = {100, 1u << 31, (uint64_t)1 << 60, UINT64_MAX - 7,
                             UINT64_MAX};
    buf b = {0};

    (void)state;
    for (size_t i = 0; i < sizeof huge / sizeof *huge; i++) {
        begin(&b, 0, huge[i]);
        check_refused(&b, CLIPC_ERR_FORMAT, "do not fit");
        begin(&b, huge[i], 0);
        check_refused(&b, CLIPC_ERR_FORMAT, "do not fit");
        begin(&b, 0, 1);
        add_uint(&b, huge[i], 8), add_data(&b, 32);
        check_refused(&b, CLIPC_ERR_FORMAT, "longer than the rest");
        begin(&b, 0, 1);
        add_pair(&b, "s", T_STRING, huge[i], 8);
        check_refused(&b, CLIPC_ERR_FORMAT, "key s: a string is longer");
        for (uint64_t type = 0; type < 13; type++) {
            begin(&b, 0, 1);
            add_pair(&b, "a", T_ARRAY, type, 4), add_uint(&b, huge[i], 8);
            check_refused(&b, CLIPC_ERR_FORMAT, "key a: an array is longer");
        }
    }
    begin(&b, 0, 1), add_pair(&b, "k", 13, 0, 8);
    check_refused(&b, CLIPC_ERR_FORMAT, "key k: a value of unknown type");
    begin(&b, 0, 1), add_pair(&b, "k", T_BOOL, 2, 1);
    check_refused(&b, CLIPC_ERR_FORMAT, "key k: a bool");
    begin(&b, 0, 1), add_pair(&b, "", T_BOOL, 1, 1);
    check_refused(&b, CLIPC_ERR_FORMAT, "empty");
    begin(&b, 0, 1), add_pair(&b, "caf\xc3\xa9", T_BOOL, 1, 1);
    check_refused(&b, CLIPC_ERR_FORMAT, "printable ASCII");
    begin(&b, 0, 2), add_pair(&b, "k", T_U8, 1, 1), add_pair(&b, "k", T_U32, 2, 4);
    check_refused(&b, CLIPC_ERR_FORMAT, "key k: stored twice");
    begin(&b, 0, 2), add_pair(&b, "some.key", T_U8, 1, 1), add_text(&b, "k");
    check_refused(&b, CLIPC_ERR_FORMAT, "key k: the file ends");
    buf_free(&b);
}

/* pairs: arrays are read 4 deep and no deeper; many empty ones are too many values */
static void test_nesting(void **state)
{
    buf b = {0};
    clipc_err err;

    (void)state;
    for (size_t depth = 4; depth <= 5; depth++) {
        begin(&b, 0, 1);
        add_text(&b, "k"), add_uint(&b, T_ARRAY, 4);
        for (size_t i = 1; i < depth; i++) add_uint(&b, T_ARRAY, 4), add_uint(&b, 1, 8);
        add_uint(&b, T_U8, 4), add_uint(&b, 1, 8), add_uint(&b, 7, 1);
        if (depth == 4) CHECK_OK(parse_copy(b.data, b.len, &err), err);
        else check_refused(&b, CLIPC_ERR_FORMAT, "4 deep");
    }
    begin(&b, 0, 1), add_pair(&b, "k", T_ARRAY, T_BOOL, 4), add_uint(&b, 1 << 22, 8);
    const size_t at = b.len;
    assert_int_equal(buf_reserve(&b, 1 << 22, NULL), CLIPC_OK);
    memset(b.data + at, 1, 1 << 22);
    b.len += 1 << 22;
    check_refused(&b, CLIPC_ERR_FORMAT, "4194304 values");
    buf_free(&b);
}

/* general.alignment: a power of two up to 1 MB, whatever its integer type */
static void test_alignment(void **state)
{
    static const uint64_t bad[] = {0, 3, 48, 1 << 21, (uint64_t)1 << 63, UINT64_MAX};
    buf b = {0};
    clipc_err err;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        begin(&b, 0, 1), add_pair(&b, "general.alignment", 10, bad[i], 8);
        check_refused(&b, CLIPC_ERR_FORMAT, "general.alignment");
    }
    begin(&b, 0, 1), add_pair(&b, "general.alignment", T_BOOL, 1, 1);
    check_refused(&b, CLIPC_ERR_FORMAT, "general.alignment");
    begin(&b, 1, 1), add_pair(&b, "general.alignment", T_U32, 1, 4);
    add_entry(&b, "t", 3, 1, G_F32, 1);
    add_uint(&b, 0, 1);
    for (size_t i = 0; i < 12; i++) add_uint(&b, 0, 1);
    CHECK_OK(parse_copy(b.data, b.len, &err), err);
    begin(&b, 1, 1), add_pair(&b, "general.alignment", T_U32, 1 << 20, 4);
    add_entry(&b, "t", 0, 5, G_F32, 0); /* the data would begin behind the file */
    CHECK_OK(parse_copy(b.data, b.len, &err), err);
    buf_free(&b);
}

static void check_entry(uint64_t fast, uint64_t slow, uint64_t type, uint64_t offset,
                        size_t data, int code, const char *part)
{
    buf b = {0};

    begin(&b, 1, 0);
    add_entry(&b, "v.patch", fast, slow, type, offset);
    add_data(&b, data);
    check_refused(&b, code, part);
    buf_free(&b);
}

/* tensors: types, shapes and offsets that cannot be */
static void test_bad_tensors(void **state)
{
    const uint64_t half = (uint64_t)1 << 32;
    const int format = CLIPC_ERR_FORMAT;
    buf b = {0};

    (void)state;
    check_entry(256, 1, G_Q2_K, 0, 84, CLIPC_ERR_FEATURE,
                "v.patch: no reader for ggml type 10");
    check_entry(2, 2, 0xffffffff, 0, 16, CLIPC_ERR_FEATURE, "ggml type 4294967295");
    check_entry(2, 2, G_F32, 0, 15, format, "v.patch: shape needs 16 bytes, file has 15");
    check_entry(2, 2, G_F32, 16, 64, format, "not aligned");
    check_entry(2, 2, G_F32, 64, 32, format, "behind the data");
    check_entry(2, 2, G_F32, UINT64_MAX - 31, 32, format, "behind the data");
    check_entry(2, 2, G_F32, 32, 32, format, "needs 16 bytes, file has 0");
    check_entry(half, half, G_F32, 0, 32, format, "shape overflows");
    check_entry(half / 2, half, G_F32, 0, 32, format, "shape overflows");
    check_entry(UINT64_MAX, 1, G_F32, 0, 32, format, "row");
    check_entry(2, (uint64_t)1 << 61, G_F32, 0, 32, format, "overflows");
    check_entry(16, 2, G_Q4_0, 0, 64, format, "whole number of blocks");
    begin(&b, 2, 0);
    add_entry(&b, "t", 1, 1, G_F32, 0), add_entry(&b, "t", 1, 1, G_F32, 0);
    add_data(&b, 4);
    check_refused(&b, format, "tensor t: stored twice");
    begin(&b, 1, 0), add_text(&b, "t"), add_uint(&b, 9, 4), add_data(&b, 128);
    check_refused(&b, format, "tensor t: more than 8 dimensions");
    begin(&b, 1, 0), add_entry(&b, "t_t", 1, 1, G_F32, 0), add_data(&b, 4);
    b.data[24 + 8 + 1] = '\0';
    check_refused(&b, format, "NUL");
    buf_free(&b);
}

/* A file cut anywhere before its last tensor's end is refused. */
static void test_truncated(void **state)
{
    buf b = {0};
    tensor_file *f;
    clipc_err err;
    size_t end = 0;

    (void)state;
    CHECK_OK(file_read(&b, FOLDER "types.gguf", 1 << 20, &err), err);
    CHECK_OK(gguf_parse(&f, b.data, b.len, "x.gguf", &err), err);
    for (size_t i = 0; i < tensor_file_count(f); i++) {
        const tensor *t = tensor_file_at(f, i);
        size_t bytes;
        assert_int_equal(dtype_bytes(&bytes, t->dt, t->n), 0);
        const size_t at = (size_t)((const char *)t->data - b.data) + bytes;
        assert_int_equal((at - bytes) % 64, 0);
        if (at > end) end = at;
    }
    tensor_file_free(f);
    assert_in_range(end, b.len - 63, b.len);
    for (size_t n = 0; n < end; n += 13)
        if (parse_copy(b.data, n, &err) == CLIPC_OK) fail_msg("%zu bytes pass", n);
    assert_int_not_equal(parse_copy(b.data, end - 1, &err), CLIPC_OK);
    CHECK_OK(parse_copy(b.data, end, &err), err);
    buf_free(&b);
}

/* Bits flipped in the header: refused by name, or read without harm. */
static void test_flips(void **state)
{
    enum { ROUNDS = 4000, HEADER = 4736 };
    buf b = {0};
    clipc_err err;
    uint64_t s = 1;
    size_t bad = 0;

    (void)state;
    CHECK_OK(file_read(&b, FOLDER "types.gguf", 1 << 20, &err), err);
    assert_true(b.len > HEADER);
    char *keep = malloc(b.len);
    assert_non_null(keep);
    memcpy(keep, b.data, b.len);
    for (size_t i = 0; i < ROUNDS; i++) {
        for (size_t flips = 0; flips < 1 + i % 3; flips++) {
            s = s * 6364136223846793005u + 1442695040888963407u;
            b.data[(s >> 33) % HEADER] ^= (char)(1u << (s >> 61));
        }
        memset(&err, 0, sizeof err);
        if (parse_copy(b.data, b.len, &err) != CLIPC_OK) {
            assert_memory_equal(err.msg, "x.gguf: ", 8);
            bad++;
        }
        memcpy(b.data, keep, b.len);
    }
    assert_in_range(bad, ROUNDS / 10, ROUNDS * 9 / 10); /* 3160 */
    free(keep);
    buf_free(&b);
}

/* An array as large as CLIP's vocabulary. */
static void test_vocabulary(void **state)
{
    enum { N = 49408 };
    buf b = {0};
    tensor_file *f;
    clipc_err err;
    char token[32];

    (void)state;
    begin(&b, 0, 1), add_pair(&b, "tokenizer.ggml.tokens", T_ARRAY, T_STRING, 4);
    add_uint(&b, N, 8);
    for (unsigned i = 0; i < N; i++) {
        snprintf(token, sizeof token, "token%u</w>", i);
        add_text(&b, token);
    }
    CHECK_OK(gguf_parse(&f, b.data, b.len, "x.gguf", &err), err);
    const json_t *a = json_object_get(tensor_file_metadata(f), "tokenizer.ggml.tokens");
    assert_int_equal(json_array_size(a), N);
    for (unsigned i = 0; i < N; i += 97) {
        snprintf(token, sizeof token, "token%u</w>", i);
        assert_string_equal(json_string_value(json_array_get(a, i)), token);
    }
    tensor_file_free(f);
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tensors),    cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_is),         cmocka_unit_test(test_versions),
        cmocka_unit_test(test_bad_pairs),  cmocka_unit_test(test_nesting),
        cmocka_unit_test(test_alignment),  cmocka_unit_test(test_bad_tensors),
        cmocka_unit_test(test_truncated),  cmocka_unit_test(test_flips),
        cmocka_unit_test(test_vocabulary),
    };
    return cmocka_run_group_tests_name("gguf", tests, NULL, NULL);
}
