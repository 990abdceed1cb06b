/* BERT's tokenizer against Hugging Face's (tests/golden/make_wordpiece.py). */
#include "check.h"

#include <stdlib.h>

#include "base/file.h"
#include "base/json.h"
#include "text/clean.h"
#include "text/wordpiece.h"

#define GOLDEN "tests/golden/wordpiece/"
#define FIRST  "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n" /* ids 0 to 4 */

static const wordpiece_options uncased = {true, -1, true, 100};

typedef struct rig {
    buf vocab[2]; /* cased, uncased */
    wordpiece_work *w;
} rig;

static int setup(void **state)
{
    static rig r;
    clipc_err err;

    if (file_read(&r.vocab[0], GOLDEN "cased.txt", 1 << 20, &err) ||
        file_read(&r.vocab[1], GOLDEN "uncased.txt", 1 << 20, &err) ||
        wordpiece_work_new(&r.w, &err))
        return -1;
    *state = &r;
    return 0;
}

static int teardown(void **state)
{
    rig *r = *state;

    buf_free(&r->vocab[0]);
    buf_free(&r->vocab[1]);
    wordpiece_work_free(r->w);
    return 0;
}

/* A vocabulary in the test: FIRST and these tokens, from id 5. */
static wordpiece *load(const char *tokens, const wordpiece_options *o)
{
    buf vocab = {0};
    clipc_err err;
    wordpiece *m;

    CHECK_OK(buf_puts(&vocab, FIRST, &err), err);
    CHECK_OK(buf_puts(&vocab, tokens, &err), err);
    CHECK_OK(wordpiece_load(&m, vocab.data, vocab.len, o, "vocab.txt", &err), err);
    buf_free(&vocab);
    return m;
}

static void check_ids(const wordpiece *m, wordpiece_work *w, const char *text,
                      bool special, const int32_t *want, size_t n_want)
{
    clipc_err err;
    const int32_t *ids;
    size_t n;

    CHECK_OK(wordpiece_encode(m, w, &ids, &n, text, strlen(text), special, &err), err);
    if (n != n_want) fail_msg("\"%s\": %zu tokens, wanted %zu", text, n, n_want);
    for (size_t i = 0; i < n; i++)
        if (ids[i] != want[i])
            fail_msg("\"%s\": token %zu is %d, wanted %d", text, i, (int)ids[i],
                     (int)want[i]);
}

#define CHECK_IDS(m, w, text, special, ...)                \
    do {                                                   \
        const int32_t check_want[] = {__VA_ARGS__};        \
        check_ids(m, w, text, special, check_want,         \
                  sizeof check_want / sizeof *check_want); \
    } while (0)

/* ---- goldens -------------------------------------------------------------------------
 */

/* The tokenizers of the goldens' "o", made when first asked for. */
typedef struct kind {
    char o[4];
    wordpiece *m;
} kind;

static const wordpiece *kind_of(kind *kinds, size_t n, const rig *r, const char *o)
{
    const bool lower = o[0] == 'u';
    const wordpiece_options options = {lower,
                                       strchr(o, 's')   ? 1
                                       : strchr(o, 'a') ? 0
                                                        : -1,
                                       !strchr(o, 'z'), 0};
    clipc_err err;
    size_t i = 0;

    while (i < n && kinds[i].m && strcmp(kinds[i].o, o) != 0) i++;
    assert_true(i < n);
    if (!kinds[i].m) {
        snprintf(kinds[i].o, sizeof kinds[i].o, "%s", o);
        CHECK_OK(wordpiece_load(&kinds[i].m, r->vocab[lower].data, r->vocab[lower].len,
                                &options, "golden", &err),
                 err);
    }
    return kinds[i].m;
}

/* encode: 684 texts of many scripts, under eight settings, give the reference's ids */
static void test_goldens(void **state)
{
    rig *r = *state;
    kind kinds[8] = {0};
    buf file = {0};
    clipc_err err;
    size_t n_texts = 0;

    CHECK_OK(file_read(&file, GOLDEN "texts.jsonl", 1 << 20, &err), err);
    for (char *line = file.data; *line; n_texts++) {
        int32_t want[512];
        char *nl = strchr(line, '\n');
        json_t *row, *ids;
        CHECK_OK(json_parse(&row, line, (size_t)(nl - line), "texts.jsonl", &err), err);
        const char *o = json_string_value(json_object_get(row, "o"));
        ids = json_object_get(row, "ids");
        const size_t n = json_array_size(ids);
        assert_true(n <= 512);
        for (size_t i = 0; i < n; i++)
            want[i] = (int32_t)json_integer_value(json_array_get(ids, i));
        check_ids(kind_of(kinds, 8, r, o), r->w,
                  json_string_value(json_object_get(row, "text")), !strchr(o, 'p'), want,
                  n);
        json_decref(row);
        line = nl + 1;
    }
    assert_int_equal(n_texts, 684);
    for (size_t i = 0; i < 8; i++) wordpiece_free(kinds[i].m);
    buf_free(&file);
}

/* ---- the vocabulary ------------------------------------------------------------------
 */

/* load: ids are line numbers, of equal lines the last; white space at the end of a line,
 * '\r' among it, does not count; empty lines do */
static void test_lines(void **state)
{
    rig *r = *state;
    wordpiece *m = load("a\nb \t\nc\r\n\na\n##d\xe3\x80\x80\n##d", &uncased);

    assert_int_equal(wordpiece_vocab_size(m), 12);
    CHECK_IDS(m, r->w, "a b c ad", true, 9, 6, 7, 9, 11);
    wordpiece_free(m);
}

/* token: what the vocabulary says of an id, whole and "##" included; of equal lines the
 * last has it */
static void test_tokens(void **state)
{
    static const char *const want[] = {"[PAD]",     "[UNK]", "[CLS]",  "[SEP]",
                                       "[MASK]",    "",      "##able", "##ab",
                                       "\xc3\xa9z", "un",    ""};
    wordpiece *m = load("un\n##able\n##ab\n\xc3\xa9z\nun\n", &uncased);
    clipc_err err;

    (void)state;
    for (int32_t id = -1; id < 11; id++) {
        buf out = {0};
        CHECK_OK(buf_puts(&out, "<", &err), err);
        CHECK_OK(wordpiece_token(&out, m, id, &err), err);
        assert_string_equal(out.data + 1, id < 0 ? "" : want[id]);
        buf_free(&out);
    }
    wordpiece_free(m);
}

/* load: every special token but [MASK] is needed, and the message names it */
static void test_missing(void **state)
{
    rig *r = *state;
    clipc_err err;
    wordpiece *m;
    const char *no_cls = "[PAD]\n[UNK]\n[SEP]\na\n",
               *no_mask = "a\n[SEP]\n[CLS]\n[UNK]\n[PAD]\n";

    CHECK_FAILS(wordpiece_load(&m, no_cls, strlen(no_cls), NULL, "v.txt", &err),
                CLIPC_ERR_FORMAT, err, "v.txt: no token [CLS]");
    assert_null(m);
    CHECK_FAILS(wordpiece_load(&m, "", 0, NULL, "v.txt", &err), CLIPC_ERR_FORMAT, err,
                "[UNK]");
    CHECK_FAILS(wordpiece_load(&m, "a\nb\xff\n", 5, NULL, "v.txt", &err),
                CLIPC_ERR_FORMAT, err, "v.txt: line 2 is not UTF-8");
    CHECK_OK(wordpiece_load(&m, no_mask, strlen(no_mask), NULL, "v.txt", &err), err);
    assert_int_equal(wordpiece_pad(m), 4);
    assert_int_equal(wordpiece_unk(m), 3);
    assert_int_equal(wordpiece_cls(m), 2);
    assert_int_equal(wordpiece_sep(m), 1);
    assert_int_equal(wordpiece_mask(m), -1);
    CHECK_IDS(m, r->w, "[MASK]", true, 3, 3, 3);
    wordpiece_free(m);
}

/* load: cut anywhere, a vocabulary is read or refused, never read past its end */
static void test_truncated(void **state)
{
    clipc_err err;
    const char *whole = "\xc3\xa9\n##\xe7\x8c\xab\n" FIRST;

    (void)state;
    for (size_t n = 0; n <= strlen(whole); n++) {
        wordpiece *m;
        char *cut = malloc(n ? n : 1); /* exact, for the sanitizer */
        assert_non_null(cut);
        memcpy(cut, whole, n);
        const int rc = wordpiece_load(&m, cut, n, NULL, "cut", &err);
        /* What is needed is there when [SEP] is; [MASK] may be cut. */
        const bool enough = n >= strlen(whole) - strlen("\n[MASK]\n");
        assert_int_equal(rc, enough ? CLIPC_OK : CLIPC_ERR_FORMAT);
        wordpiece_free(m);
        free(cut);
    }
}

/* ---- texts ---------------------------------------------------------------------------
 */

/* encode: longest token first, without going back; a word that cannot be spelt is [UNK]
 */
static void test_longest(void **state)
{
    rig *r = *state;
    wordpiece *m = load("un\nunaff\n##aff\n##able\n##a\n##ab\n##l\nu\n", &uncased);

    CHECK_IDS(m, r->w, "unaffable", true, 6, 8);
    CHECK_IDS(m, r->w, "unab", true, 5, 10);
    CHECK_IDS(m, r->w, "unabl UNABLE unablx able", true, 5, 10, 11, 5, 8, 1, 1);
    wordpiece_free(m);
    m = load("a\n", &uncased); /* no "##": nothing goes on */
    CHECK_IDS(m, r->w, "a aa", true, 5, 1);
    wordpiece_free(m);
}

/* encode: words longer than max_word characters, not bytes, are [UNK] */
static void test_max_word(void **state)
{
    rig *r = *state;
    wordpiece_options o = uncased;

    o.max_word = 3, o.strip_accents = 0;
    wordpiece *m = load("\xc3\xa9\n##\xc3\xa9\n", &o);
    CHECK_IDS(m, r->w, "\xc3\xa9\xc3\xa9\xc3\xa9", true, 5, 6, 6);
    CHECK_IDS(m, r->w, "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9 \xc3\x89", true, 1, 5);
    wordpiece_free(m);
}

/* encode: what a user typed cannot become a special token unless asked for */
static void test_special(void **state)
{
    rig *r = *state;
    wordpiece *m = load("[\nsep\n]\na\n", &uncased);

    CHECK_IDS(m, r->w, "a[SEP][SEP a", true, 8, 3, 5, 6, 8);
    CHECK_IDS(m, r->w, "a[SEP]", false, 8, 5, 6, 7);
    CHECK_IDS(m, r->w, "[sep][MASK]", true, 5, 6, 7, 4);
    wordpiece_free(m);
}

/* tokenize: [CLS], text, [SEP], [PAD]s; cut at the context length with [SEP] kept */
static void test_context(void **state)
{
    rig *r = *state;
    wordpiece *m = load("a\nb\n", NULL);
    clipc_err err;
    int32_t ids[6];
    size_t n;

    CHECK_OK(wordpiece_tokenize(m, r->w, ids, 6, &n, "a b", 3, false, &err), err);
    const int32_t short_one[6] = {2, 5, 6, 3, 0, 0};
    assert_memory_equal(ids, short_one, sizeof ids);
    assert_int_equal(n, 4);
    CHECK_OK(wordpiece_tokenize(m, r->w, ids, 6, &n, "b a b a b", 9, false, &err), err);
    const int32_t cut[6] = {2, 6, 5, 6, 5, 3};
    assert_memory_equal(ids, cut, sizeof ids);
    assert_int_equal(n, 7);
    CHECK_OK(wordpiece_tokenize(m, r->w, ids, 2, NULL, "", 0, false, &err), err);
    assert_int_equal(ids[0], 2);
    assert_int_equal(ids[1], 3);
    CHECK_FAILS(wordpiece_tokenize(m, r->w, ids, 1, &n, "a", 1, false, &err),
                CLIPC_ERR_ARG, err, "context of 1");
    wordpiece_free(m);
}

/* encode: bytes that are no UTF-8 are an error with their place, behind a special token
 * too; so is a text that is too long */
static void test_not_text(void **state)
{
    rig *r = *state;
    wordpiece *m = load("a\n", &uncased);
    clipc_err err;
    const int32_t *ids;
    size_t n;
    char *text = malloc(TEXT_MAX + 2);

    assert_non_null(text);
    CHECK_FAILS(wordpiece_encode(m, r->w, &ids, &n, "ab\xff", 3, false, &err),
                CLIPC_ERR_TEXT, err, "byte 3 is not UTF-8");
    CHECK_FAILS(wordpiece_encode(m, r->w, &ids, &n, "a[SEP]\xed\xa0\x80", 9, true, &err),
                CLIPC_ERR_TEXT, err, "byte 7 is not UTF-8");
    CHECK_FAILS(wordpiece_encode(m, r->w, &ids, &n, "\xe7\x8c[SEP]", 7, true, &err),
                CLIPC_ERR_TEXT, err, "byte 1 is not UTF-8");
    memset(text, 'a', TEXT_MAX + 1);
    text[TEXT_MAX + 1] = '\0';
    CHECK_FAILS(wordpiece_encode(m, r->w, &ids, &n, text, strlen(text), false, &err),
                CLIPC_ERR_TEXT, err, "more than");
    assert_int_equal(n, 0);
    free(text);
    wordpiece_free(m);
}

/* encode: half a million accents in the wrong order are put in order, and not slowly
 * (comparing neighbours would take minutes) */
static void test_many_marks(void **state)
{
    rig *r = *state;
    enum { PAIRS = 1 << 18 };
    wordpiece_options o = uncased;
    o.max_word = SIZE_MAX;
    /* U+1B44 has class 9, U+11446 class 7; neither is an accent to the reference. */
    wordpiece *m = load("a\n##\xe1\xad\x84\n##\xf0\x91\x91\x86\n", &o);
    clipc_err err;
    const int32_t *ids;
    size_t n;
    char *text = malloc(1 + 7 * PAIRS + 1);

    assert_non_null(text);
    text[0] = 'a';
    for (size_t i = 0; i < PAIRS; i++)
        memcpy(text + 1 + 7 * i, "\xe1\xad\x84\xf0\x91\x91\x86", 8);
    CHECK_OK(wordpiece_encode(m, r->w, &ids, &n, text, strlen(text), false, &err), err);
    assert_int_equal(n, 1 + 2 * PAIRS);
    for (size_t i = 1; i < n; i++) assert_int_equal(ids[i], i <= PAIRS ? 7 : 6);
    free(text);
    wordpiece_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_goldens),   cmocka_unit_test(test_lines),
        cmocka_unit_test(test_tokens),    cmocka_unit_test(test_missing),
        cmocka_unit_test(test_truncated), cmocka_unit_test(test_longest),
        cmocka_unit_test(test_max_word),  cmocka_unit_test(test_special),
        cmocka_unit_test(test_context),   cmocka_unit_test(test_not_text),
        cmocka_unit_test(test_many_marks)};
    return cmocka_run_group_tests_name("wordpiece", tests, setup, teardown);
}
