/* The tokenizer against OpenAI's, open_clip's and transformers' own
 * (tests/golden/make_tokens.py). */
#include "check.h"

#include <stdlib.h>

#include "base/file.h"
#include "base/json.h"
#include "text/bpe.h"
#include "text/clean.h"

typedef struct rig {
    bpe *b;
    bpe_work *w;
} rig;

static int setup(void **state)
{
    static rig r;
    clipc_err err;

    if (bpe_new(&r.b, &err) || bpe_work_new(&r.w, r.b, &err)) return -1;
    *state = &r;
    return 0;
}

static int teardown(void **state)
{
    rig *r = *state;

    bpe_work_free(r->w);
    bpe_free(r->b);
    return 0;
}

/* ---- goldens ---- */

static bpe_rules rules_of(const json_t *row, bpe_rules rules)
{
    const char *clean = json_string_value(json_object_get(row, "clean"));

    if (!clean) return rules;
    return strcmp(clean, "lower") == 0        ? BPE_OPEN_CLIP
           : strcmp(clean, "whitespace") == 0 ? BPE_OPEN_CLIP_WHITESPACE
                                              : BPE_OPEN_CLIP_CANONICAL;
}

static void check_row(bpe_work *w, const json_t *row)
{
    const json_t *text = json_object_get(row, "text"),
                 *want = json_object_get(row, "ids");
    const char *s = json_string_value(text);
    clipc_err err;
    const int32_t *ids;
    size_t n;

    CHECK_OK(bpe_encode(w, &ids, &n, s, json_string_length(text), true, &err), err);
    if (n != json_array_size(want))
        fail_msg("\"%s\": %zu tokens, wanted %zu", s, n, json_array_size(want));
    for (size_t i = 0; i < n; i++)
        if (ids[i] != json_integer_value(json_array_get(want, i)))
            fail_msg("\"%s\": token %zu is %d, wanted %d", s, i, (int)ids[i],
                     (int)json_integer_value(json_array_get(want, i)));
}

static size_t check_goldens(rig *r, const char *path, bpe_rules rules)
{
    buf file = {0};
    clipc_err err;
    size_t n = 0;

    CHECK_OK(file_read(&file, path, 1 << 20, &err), err);
    for (char *line = file.data; *line; n++) {
        char *nl = strchr(line, '\n');
        json_t *row;
        CHECK_OK(json_parse_line(&row, line, (size_t)(nl - line), path, &err), err);
        bpe_set_rules(r->b, rules_of(row, rules));
        check_row(r->w, row);
        json_decref(row);
        line = nl + 1;
    }
    bpe_set_rules(r->b, BPE_OPENAI);
    buf_free(&file);
    return n;
}

/* encode: texts of every kind give the references' ids; the second time from the cache of
 * words */
static void test_goldens(void **state)
{
    const char *openai = "tests/golden/tokens/openai.jsonl";

    assert_int_equal(check_goldens(*state, openai, BPE_OPENAI), 555);
    assert_int_equal(check_goldens(*state, openai, BPE_OPENAI), 555);
    assert_int_equal(
        check_goldens(*state, "tests/golden/tokens/open_clip.jsonl", BPE_OPEN_CLIP), 485);
    assert_int_equal(check_goldens(*state, "tests/golden/tokens/hf.jsonl", BPE_HF), 235);
}

/* ---- rows ---- */

/* tokenize: start, end and padding; cut at the context length with the end kept */
static void test_context(void **state)
{
    rig *r = *state;
    clipc_err err;
    int32_t ids[8];
    size_t n;

    CHECK_OK(bpe_tokenize(r->w, ids, 8, &n, "a dog", 5, false, &err), err);
    const int32_t short_one[8] = {BPE_SOT, 320, 1929, BPE_EOT};
    assert_memory_equal(ids, short_one, sizeof ids);
    assert_int_equal(n, 4);
    CHECK_OK(bpe_tokenize(r->w, ids, 8, &n, "a a a a a a a a a", 17, false, &err), err);
    const int32_t cut[8] = {BPE_SOT, 320, 320, 320, 320, 320, 320, BPE_EOT};
    assert_memory_equal(ids, cut, sizeof ids);
    assert_int_equal(n, 11);
    bpe_set_rules(r->b, BPE_HF);
    CHECK_OK(bpe_tokenize(r->w, ids, 5, &n, "a dog", 5, false, &err), err);
    const int32_t padded[5] = {BPE_SOT, 320, 1929, BPE_EOT, BPE_EOT};
    assert_memory_equal(ids, padded, sizeof padded);
    bpe_set_rules(r->b, BPE_OPENAI);
}

static void check_special(rig *r, bpe_rules rules, const char *text, int32_t want)
{
    clipc_err err;
    const int32_t *ids;
    size_t n;

    bpe_set_rules(r->b, rules);
    CHECK_OK(bpe_encode(r->w, &ids, &n, text, strlen(text), false, &err), err);
    assert_true(n > 1);
    for (size_t i = 0; i < n; i++) assert_true(ids[i] < BPE_SOT);
    CHECK_OK(bpe_encode(r->w, &ids, &n, text, strlen(text), true, &err), err);
    assert_int_equal(n, 1);
    assert_int_equal(ids[0], want);
    bpe_set_rules(r->b, BPE_OPENAI);
}

/* encode: what a user typed cannot become a special token unless asked for, in whichever
 * spelling */
static void test_special(void **state)
{
    check_special(*state, BPE_OPENAI, "<|endoftext|>", BPE_EOT);
    check_special(*state, BPE_OPENAI, "&lt;|STARTOFTEXT|&gt;", BPE_SOT);
    check_special(*state, BPE_OPEN_CLIP, "<end_of_text>", BPE_EOT);
    check_special(*state, BPE_HF, "<|startoftext|>", BPE_SOT);
}

/* encode: transformers takes the padding token out of a text like the others */
static void test_pad(void **state)
{
    rig *r = *state;
    clipc_err err;
    const int32_t *ids;
    int32_t row[6];
    size_t n;

    bpe_set_rules(r->b, BPE_HF);
    CHECK_OK(bpe_set_pad(r->b, "!", &err), err);
    CHECK_OK(bpe_encode(r->w, &ids, &n, "hey! you!!", 10, true, &err), err);
    /* transformers 5.23, folder with "pad_token": "!" */
    const int32_t want[] = {2189, 0, 592, 0, 0}, padded[] = {BPE_SOT, 320, BPE_EOT, 0, 0};
    assert_int_equal(n, 5);
    assert_memory_equal(ids, want, sizeof want);
    CHECK_OK(bpe_tokenize(r->w, row, 5, NULL, "a", 1, true, &err), err);
    assert_memory_equal(row, padded, sizeof padded);
    CHECK_OK(bpe_set_pad(r->b, "<no such token>", &err), err);
    CHECK_OK(bpe_encode(r->w, &ids, &n, "hey!", 4, false, &err), err);
    assert_int_equal(ids[1], 256); /* not asked for: the word "!" */
    teardown(state);
    assert_int_equal(setup(state), 0);
}

/* ---- hostile texts ---- */

static void expect_text_error(rig *r, const char *text, size_t len, const char *words)
{
    clipc_err err;
    const int32_t *ids;
    size_t n;

    CHECK_FAILS(bpe_encode(r->w, &ids, &n, text, len, false, &err), CLIPC_ERR_TEXT, err,
                words);
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

    expect_text_error(r, "ab\xff", 3, "byte 3 is not UTF-8");
    expect_text_error(r, "\xed\xa0\x80", 3, "UTF-8");
    expect_text_error(r, "a\0\xc3", 3, "byte 3 is not UTF-8");
    assert_non_null(word);
    for (size_t i = 0; i < LONG; i++) word[i] = (char)('a' + i * i % 7);
    CHECK_OK(bpe_encode(r->w, &ids, &n, word, LONG, false, &err), err);
    assert_true(n > LONG / 20);
    free(word);
}

/* encode: a text whose every repair uncovers one more is given up; of a decent depth it
 * is not; neither is a long run of marks that NFC sorts */
static void test_endless(void **state)
{
    rig *r = *state;
    clipc_err err;
    const int32_t *ids;
    size_t n;
    enum { DEPTH = 20000, FEW = 500, MARKS = 200000 };
    buf text = {0};

    CHECK_OK(buf_puts(&text, "&", &err), err);
    for (int i = 0; i < DEPTH; i++) CHECK_OK(buf_puts(&text, "amp;", &err), err);
    expect_text_error(r, text.data, text.len, "does not end");
    CHECK_OK(bpe_encode(r->w, &ids, &n, text.data, 1 + 4 * FEW, false, &err), err);
    assert_int_equal(n, 1);
    buf_clear(&text);
    CHECK_OK(buf_puts(&text, "a", &err), err);
    for (int i = 0; i < MARKS; i++)
        CHECK_OK(buf_puts(&text, i % 2 ? "\xcc\x81" : "\xcc\x96", &err), err);
    CHECK_OK(bpe_encode(r->w, &ids, &n, text.data, text.len, false, &err), err);
    assert_true(n > MARKS / 20);
    buf_free(&text);
}

/* clean: ASCII comes out the same on its own short way as on the long one, which a letter
 * behind it takes */
static void test_short_way(void **state)
{
    clean_work *w;
    clipc_err err;
    buf text = {0}, out = {0}, longer = {0};

    (void)state;
    CHECK_OK(clean_work_new(&w, &err), err);
    for (int rules = CLEAN_LOWER; rules <= CLEAN_HF; rules++)
        for (int c = 0; c < 0x80; c++) {
            const char middle[] = {'A', (char)c, ' ', (char)c, 'b', (char)c};
            buf_clear(&text);
            CHECK_OK(buf_add(&text, middle, sizeof middle, &err), err);
            CHECK_OK(text_clean(&out, w, text.data, text.len, (clean_rules)rules, &err),
                     err);
            CHECK_OK(buf_puts(&text, " \xc3\xa9", &err), err);
            CHECK_OK(
                text_clean(&longer, w, text.data, text.len, (clean_rules)rules, &err),
                err);
            CHECK_OK(buf_puts(&out, " \xc3\xa9", &err), err);
            assert_int_equal(out.len, longer.len);
            assert_memory_equal(out.data, longer.data, out.len);
        }
    clean_work_free(w);
    buf_free(&text);
    buf_free(&out);
    buf_free(&longer);
}

/* vocab.json and merges.txt, written and read again, give the same ids */
static void test_files(void **state)
{
    rig *r = *state;
    const char *word = "antidisestablishmentarianism";
    buf vocab = {0}, merges = {0};
    clipc_err err;
    bpe *again;
    bpe_work *w;
    const int32_t *ids;
    size_t n;

    CHECK_OK(bpe_vocab_json(&vocab, r->b, &err), err);
    CHECK_OK(bpe_merges_txt(&merges, r->b, &err), err);
    CHECK_OK(bpe_load_hf(&again, &vocab, "vocab.json", &merges, "merges.txt", &err), err);
    CHECK_OK(bpe_work_new(&w, again, &err), err);
    CHECK_OK(bpe_encode(w, &ids, &n, word, strlen(word), false, &err), err);
    const int32_t want[] = {3120, 4262, 7726, 12658, 1585, 44351};
    assert_int_equal(n, 6);
    assert_memory_equal(ids, want, sizeof want);
    assert_true(bpe_equal(again, r->b));
    bpe_work_free(w);
    bpe_free(again);
    buf_free(&vocab);
    buf_free(&merges);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_goldens),   cmocka_unit_test(test_context),
        cmocka_unit_test(test_special),   cmocka_unit_test(test_pad),
        cmocka_unit_test(test_hostile),   cmocka_unit_test(test_endless),
        cmocka_unit_test(test_short_way), cmocka_unit_test(test_files)};
    return cmocka_run_group_tests_name("bpe", tests, setup, teardown);
}
