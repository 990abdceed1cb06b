/* The tokenizer against OpenAI's own (tests/golden/make_tokens.py). */
#include "check.h"

#include <stdlib.h>

#include "base/file.h"
#include "base/json.h"
#include "text/bpe.h"

typedef struct rig {
    bpe *b;
    bpe_work *w;
} rig;

static int setup(void **state)
{
    static rig r;
    clipc_err err;

    if (bpe_new(&r.b, &err) || bpe_work_new(&r.w, &err)) return -1;
    *state = &r;
    return 0;
}

static int teardown(void **state)
{
    rig *r = *state;

    bpe_free(r->b);
    bpe_work_free(r->w);
    return 0;
}

static void check_ids(rig *r, const char *text, const json_t *want)
{
    clipc_err err;
    const int32_t *ids;
    size_t n;

    CHECK_OK(bpe_encode(r->b, r->w, &ids, &n, text, true, &err), err);
    if (n != json_array_size(want))
        fail_msg("\"%s\": %zu tokens, wanted %zu", text, n, json_array_size(want));
    for (size_t i = 0; i < n; i++)
        if (ids[i] != json_integer_value(json_array_get(want, i)))
            fail_msg("\"%s\": token %zu is %d, wanted %d", text, i, (int)ids[i],
                     (int)json_integer_value(json_array_get(want, i)));
}

/* encode: 342 texts of every kind give the reference's ids */
static void test_goldens(void **state)
{
    buf file = {0};
    clipc_err err;
    size_t n = 0;

    CHECK_OK(file_read(&file, "tests/golden/tokens.jsonl", 1 << 20, &err), err);
    for (char *line = file.data; *line; n++) {
        char *nl = strchr(line, '\n');
        json_t *row;
        CHECK_OK(json_parse(&row, line, (size_t)(nl - line), "tokens.jsonl", &err), err);
        check_ids(*state, json_string_value(json_object_get(row, "text")),
                  json_object_get(row, "ids"));
        json_decref(row);
        line = nl + 1;
    }
    assert_int_equal(n, 342);
    buf_free(&file);
}

/* tokenize: start, end and zeros; cut at the context length with the end kept */
static void test_context(void **state)
{
    rig *r = *state;
    clipc_err err;
    int32_t ids[8];
    size_t n;

    CHECK_OK(bpe_tokenize(r->b, r->w, ids, 8, &n, "a dog", false, &err), err);
    const int32_t short_one[8] = {BPE_SOT, 320, 1929, BPE_EOT};
    assert_memory_equal(ids, short_one, sizeof ids);
    assert_int_equal(n, 4);
    CHECK_OK(bpe_tokenize(r->b, r->w, ids, 8, &n, "a a a a a a a a a", false, &err), err);
    const int32_t cut[8] = {BPE_SOT, 320, 320, 320, 320, 320, 320, BPE_EOT};
    assert_memory_equal(ids, cut, sizeof ids);
    assert_int_equal(n, 11);
}

/* encode: what a user typed cannot become a special token unless asked for */
static void test_special(void **state)
{
    rig *r = *state;
    clipc_err err;
    const int32_t *ids;
    size_t n;

    CHECK_OK(bpe_encode(r->b, r->w, &ids, &n, "<|endoftext|>", false, &err), err);
    assert_true(n > 1);
    for (size_t i = 0; i < n; i++) assert_true(ids[i] < BPE_SOT);
    CHECK_OK(bpe_encode(r->b, r->w, &ids, &n, "<|endoftext|>", true, &err), err);
    assert_int_equal(n, 1);
    assert_int_equal(ids[0], BPE_EOT);
}

/* encode: bytes that are no UTF-8 are an error; a long word is not slow */
static void test_hostile(void **state)
{
    rig *r = *state;
    clipc_err err;
    const int32_t *ids;
    size_t n;
    enum { LONG = 200000 };
    char *word = malloc(LONG + 1);

    CHECK_FAILS(bpe_encode(r->b, r->w, &ids, &n, "ab\xff", false, &err), CLIPC_ERR_TEXT,
                err, "UTF-8");
    CHECK_FAILS(bpe_encode(r->b, r->w, &ids, &n, "\xed\xa0\x80", false, &err),
                CLIPC_ERR_TEXT, err, "UTF-8");
    assert_non_null(word);
    for (size_t i = 0; i < LONG; i++) word[i] = (char)('a' + i * i % 7);
    word[LONG] = '\0';
    CHECK_OK(bpe_encode(r->b, r->w, &ids, &n, word, false, &err), err);
    assert_true(n > LONG / 20);
    free(word);
}

/* vocab.json and merges.txt, written and read again, give the same ids */
static void test_files(void **state)
{
    rig *r = *state;
    buf vocab = {0}, merges = {0};
    clipc_err err;
    bpe *again;
    const int32_t *ids;
    size_t n;

    CHECK_OK(bpe_vocab_json(&vocab, r->b, &err), err);
    CHECK_OK(bpe_merges_txt(&merges, r->b, &err), err);
    CHECK_OK(bpe_load_hf(&again, &vocab, "vocab.json", &merges, "merges.txt", &err), err);
    CHECK_OK(
        bpe_encode(again, r->w, &ids, &n, "antidisestablishmentarianism", false, &err),
        err);
    const int32_t want[] = {3120, 4262, 7726, 12658, 1585, 44351};
    assert_int_equal(n, 6);
    assert_memory_equal(ids, want, sizeof want);
    bpe_free(again);
    buf_free(&vocab);
    buf_free(&merges);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_goldens), cmocka_unit_test(test_context),
        cmocka_unit_test(test_special), cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_files)};
    return cmocka_run_group_tests_name("bpe", tests, setup, teardown);
}
