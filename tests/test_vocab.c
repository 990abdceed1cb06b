/* Learned vocabularies against Hugging Face's trainer (tests/golden/make_vocab_bpe.py).
 */
#include "check.h"

#include <stdlib.h>

#include "base/file.h"
#include "base/json.h"
#include "text/bpe_train.h"

#define GOLDEN "tests/golden/vocab/"

static buf file_of(const char *path)
{
    buf b = {0};
    clipc_err err;

    CHECK_OK(file_read(&b, path, 1 << 20, &err), err);
    return b;
}

static bpe_trainer *trainer(void)
{
    bpe_trainer *t;
    clipc_err err;

    CHECK_OK(bpe_trainer_new(&t, &err), err);
    return t;
}

/* Calls on(user, line, length) for each line of a file. */
static void each_line(const char *path,
                      void (*on)(void *user, const char *line, size_t len), void *user)
{
    buf b = file_of(path);

    for (char *p = b.data, *end; *p; p = end + 1) {
        end = strchr(p, '\n');
        assert_non_null(end);
        on(user, p, (size_t)(end - p));
    }
    buf_free(&b);
}

static void add_counted(void *user, const char *line, size_t len)
{
    const char *tab = memchr(line, '\t', len);
    clipc_err err;

    assert_non_null(tab);
    CHECK_OK(bpe_trainer_add_word(user, line, (size_t)(tab - line),
                                  strtoull(tab + 1, NULL, 10), &err),
             err);
}

static void add_caption(void *user, const char *line, size_t len)
{
    clipc_err err;

    CHECK_OK(bpe_trainer_add(user, line, len, &err), err);
}

static bpe *learned(bpe_trainer *t, size_t size, uint64_t least)
{
    clipc_err err;
    bpe *b;

    CHECK_OK(bpe_trainer_run(&b, t, size, least, NULL, NULL, &err), err);
    bpe_trainer_free(t);
    return b;
}

static void check_merges(const bpe *b, const char *path)
{
    buf want = file_of(path), have = {0};
    clipc_err err;

    CHECK_OK(bpe_merges_txt(&have, b, &err), err);
    assert_string_equal(have.data, want.data);
    buf_free(&want);
    buf_free(&have);
}

/* the merges of counted words until none is left, ties and words that overlap themselves
 * included; and of pairs that occur three times */
static void test_words(void **state)
{
    (void)state;
    for (int least = 1; least <= 3; least += 2) {
        bpe_trainer *t = trainer();
        each_line(GOLDEN "words.tsv", add_counted, t);
        bpe *b = learned(t, BPE_VOCAB, (uint64_t)least);
        check_merges(b, least == 1 ? GOLDEN "words.merges" : GOLDEN "words3.merges");
        bpe_free(b);
    }
}

static void check_ids(void *user, const char *line, size_t len)
{
    json_t *row = NULL;
    clipc_err err;
    const int32_t *ids;
    size_t n;

    CHECK_OK(json_parse_line(&row, line, len, "captions.jsonl", &err), err);
    const json_t *text = json_object_get(row, "text"),
                 *want = json_object_get(row, "ids");
    CHECK_OK(bpe_encode(user, &ids, &n, json_string_value(text), json_string_length(text),
                        true, &err),
             err);
    if (n != json_array_size(want))
        fail_msg("\"%s\": %zu tokens, wanted %zu", json_string_value(text), n,
                 json_array_size(want));
    for (size_t i = 0; i < n; i++)
        assert_int_equal(ids[i], json_integer_value(json_array_get(want, i)));
    json_decref(row);
}

/* captions split into words, the size that was asked for, and through vocab.json and
 * merges.txt the ids of transformers' tokenizer */
static void test_captions(void **state)
{
    bpe_trainer *t = trainer();
    buf vocab = {0}, merges = {0};
    clipc_err err;
    bpe *again;
    bpe_work *w;

    (void)state;
    each_line(GOLDEN "captions.txt", add_caption, t);
    bpe *b = learned(t, 700, 2);
    check_merges(b, GOLDEN "captions.merges");
    assert_int_equal(bpe_vocab_size(b), 700);
    CHECK_OK(bpe_vocab_json(&vocab, b, &err), err);
    CHECK_OK(bpe_merges_txt(&merges, b, &err), err);
    CHECK_OK(bpe_load_hf(&again, &vocab, "vocab.json", &merges, "merges.txt", &err), err);
    CHECK_OK(bpe_work_new(&w, again, &err), err);
    each_line(GOLDEN "captions.jsonl", check_ids, w);
    bpe_work_free(w);
    bpe_free(again);
    bpe_free(b);
    buf_free(&vocab);
    buf_free(&merges);
}

/* the smallest vocabulary has no merges; no words, no merges; words that are none are
 * passed over, and bytes that are no UTF-8 refused */
static void test_edges(void **state)
{
    static char run[BPE_WORD_MAX + 1];
    bpe_trainer *t = trainer();
    clipc_err err;
    bpe *b;

    (void)state;
    memset(run, 'a', sizeof run);
    CHECK_OK(bpe_trainer_add(t, "two cats, two dogs", 18, &err), err);
    assert_int_equal(bpe_trainer_words(t), 5);
    assert_int_equal(bpe_trainer_different(t), 4);
    CHECK_OK(bpe_trainer_add(t, run, sizeof run, &err), err);
    assert_int_equal(bpe_trainer_words(t), 5);
    CHECK_OK(bpe_trainer_add(t, run, sizeof run - 1, &err), err);
    assert_int_equal(bpe_trainer_words(t), 6);
    assert_int_equal(bpe_trainer_add(t, "caf\xe9", 4, &err), CLIPC_ERR_TEXT);
    b = learned(t, BPE_LEAST, 1);
    assert_int_equal(bpe_vocab_size(b), BPE_LEAST);
    bpe_free(b);
    b = learned(trainer(), BPE_VOCAB, 1);
    assert_int_equal(bpe_vocab_size(b), BPE_LEAST);
    bpe_free(b);
}

static int stop_at(void *user, size_t done)
{
    return done >= *(const size_t *)user ? CLIPC_ERR_STOPPED : CLIPC_OK;
}

/* whoever watches may end it */
static void test_stopped(void **state)
{
    const size_t at = BPE_LEAST + 100;
    bpe_trainer *t = trainer();
    clipc_err err;
    bpe *b;

    (void)state;
    each_line(GOLDEN "words.tsv", add_counted, t);
    assert_int_equal(
        bpe_trainer_run(&b, t, BPE_VOCAB, 1, stop_at, (void *)(uintptr_t)&at, &err),
        CLIPC_ERR_STOPPED);
    assert_null(b);
    bpe_trainer_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words), cmocka_unit_test(test_captions),
        cmocka_unit_test(test_edges), cmocka_unit_test(test_stopped)};
    return cmocka_run_group_tests_name("vocab", tests, NULL, NULL);
}
