/* SentencePiece, tokenizer.json and what transformers makes of a folder's files, against
 * the reference (tests/golden/make_spm.py). */
#include "check.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "clip/tokens.h"
#include "text/clean.h"
#include "text/pipeline.h"
#include "text/sentencepiece.h"

#define GOLDEN "tests/golden/spm/"

enum { N_TEXTS = 201 };

/* The texts, and the rows of one .ids file. */
typedef struct rig {
    char *texts[N_TEXTS];
} rig;

static int setup(void **state)
{
    static rig r;
    buf b = {0};
    clipc_err err;
    char *line;
    size_t n = 0;

    if (file_read(&b, GOLDEN "texts.jsonl", 1 << 20, &err)) return -1;
    for (line = b.data; *line && n < N_TEXTS; n++) {
        json_t *row;
        char *nl = strchr(line, '\n');
        if (json_parse(&row, line, (size_t)(nl - line), "texts", &err)) return -1;
        r.texts[n] = strdup(json_string_value(json_object_get(row, "text")));
        json_decref(row);
        line = nl + 1;
    }
    buf_free(&b);
    *state = &r;
    return n == N_TEXTS ? 0 : -1;
}

static int teardown(void **state)
{
    rig *r = *state;

    for (size_t i = 0; i < N_TEXTS; i++) free(r->texts[i]);
    return 0;
}

static void read_golden(buf *b, const char *name)
{
    char path[128];
    clipc_err err;

    snprintf(path, sizeof path, GOLDEN "%s.ids", name);
    CHECK_OK(file_read(b, path, 1 << 20, &err), err);
}

/* One line of a .ids file against ids; *line moves to the next. */
static void check_row(char **line, const int32_t *ids, size_t n, const char *name,
                      const char *text)
{
    size_t k = 0;

    for (char *end = *line; *end != '\n'; k++, *line = end) {
        const long want = strtol(*line, &end, 10);
        if (k >= n || ids[k] != want)
            fail_msg("%s: \"%s\": token %zu is %d of %zu, wanted %ld", name, text, k,
                     k < n ? (int)ids[k] : -1, n, want);
        if (*end == '\n') {
            k++;
            *line = end;
            break;
        }
    }
    if (k != n) fail_msg("%s: \"%s\": %zu tokens, wanted %zu", name, text, n, k);
    (*line)++;
}

/* ---- goldens -------------------------------------------------------------------------
 */

static spm *load_spm(const char *name)
{
    char path[128];
    buf b = {0};
    clipc_err err;
    spm *m;

    snprintf(path, sizeof path, GOLDEN "%s.model", name);
    CHECK_OK(file_read(&b, path, 1 << 20, &err), err);
    CHECK_OK(spm_new(&m, b.data, b.len, path, &err), err);
    buf_free(&b);
    return m;
}

/* spm_encode: sentencepiece's ids, unigram and BPE, under every option */
static void test_sentencepiece(void **state)
{
    static const char *const names[] = {
        "uni",        "uni_user", "uni_byte",  "uni_raw",  "uni_suffix", "uni_spaces",
        "uni_unused", "bpe",      "bpe_gemma", "bpe_user", "bpe_unused"};
    const rig *r = *state;
    spm_work *w;
    clipc_err err;

    CHECK_OK(spm_work_new(&w, &err), err);
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        spm *m = load_spm(names[k]);
        buf golden = {0};
        id_list ids = {0};
        read_golden(&golden, names[k]);
        char *line = golden.data;
        for (size_t i = 0; i < N_TEXTS; i++) {
            ids.n = 0;
            CHECK_OK(spm_encode(m, w, &ids, r->texts[i], strlen(r->texts[i]), &err), err);
            check_row(&line, ids.at, ids.n, names[k], r->texts[i]);
        }
        ids_free(&ids);
        buf_free(&golden);
        spm_free(m);
    }
    spm_work_free(w);
}

static pipeline *load_pipeline(const char *name)
{
    char path[128];
    json_t *root;
    clipc_err err;
    pipeline *p;

    snprintf(path, sizeof path, GOLDEN "%s.json", name);
    CHECK_OK(json_read(&root, path, &err), err);
    CHECK_OK(pipeline_new(&p, root, false, path, &err), err);
    json_decref(root);
    return p;
}

/* pipeline_encode: the ids of `tokenizers`, for each kind of normalizer, pre-tokenizer
 * and model */
static void test_pipelines(void **state)
{
    static const char *const names[] = {"roberta",
                                        "left",
                                        "gpt4",
                                        "suffix",
                                        "prefix",
                                        "mixed",
                                        "gemma",
                                        "gemma_old",
                                        "t5",
                                        "added",
                                        "byte",
                                        "added_old",
                                        "bert",
                                        "bert_raw",
                                        "bert_old",
                                        "split_removed",
                                        "split_isolated",
                                        "split_merged_with_previous",
                                        "split_merged_with_next",
                                        "split_contiguous"};
    const rig *r = *state;
    pipeline_work *w;
    clipc_err err;

    CHECK_OK(pipeline_work_new(&w, &err), err);
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        pipeline *p = load_pipeline(names[k]);
        buf golden = {0};
        read_golden(&golden, names[k]);
        char *line = golden.data;
        for (size_t i = 0; i < N_TEXTS; i++) {
            const int32_t *ids;
            size_t n;
            CHECK_OK(pipeline_encode(p, w, &ids, &n, r->texts[i], strlen(r->texts[i]),
                                     true, &err),
                     err);
            check_row(&line, ids, n, names[k], r->texts[i]);
        }
        buf_free(&golden);
        pipeline_free(p);
    }
    pipeline_work_free(w);
}

typedef struct hub_case {
    const char *name, *tokenizer;
    size_t context_length;
} hub_case;

static void load_folder(tokenizer *t, const hub_case *c)
{
    char path[128], config[160];
    model_source s = {.path = path};
    clipc_err err;

    snprintf(path, sizeof path, GOLDEN "%s", c->name);
    snprintf(config, sizeof config, "%s/open_clip_config.json", path);
    if (file_exists(config)) CHECK_OK(config_open_clip_file(&s.cfg, config, &err), err);
    s.cfg.foreign_tokens = true;
    snprintf(s.cfg.tokenizer, sizeof s.cfg.tokenizer, "%s", c->tokenizer);
    CHECK_OK(tokenizer_open(t, &s, &err), err);
    assert_non_null(t->pretrained);
    clip_cfg_free(&s.cfg);
}

/* tokenizer_run: open_clip's HFTokenizer and transformers' AutoTokenizer on folders
 * of SigLIP, SigLIP 2, XLM-R, RoBERTa, mT5: cleaned, cut, padded */
static void test_folders(void **state)
{
    static const hub_case cases[] = {{"siglip", "timm/ViT-B-16-SigLIP", 64},
                                     {"siglip2", "timm/ViT-B-16-SigLIP2", 64},
                                     {"siglip2_hf", "", 64},
                                     {"siglip_hf", "", 64},
                                     {"siglip_hf_cased", "", 64},
                                     {"xlmr", "xlm-roberta-base", 77},
                                     {"xlmr_json", "xlm-roberta-base", 77},
                                     {"roberta_hub", "roberta-base", 77},
                                     {"mt5", "google/mt5-base", 77},
                                     {"fast", "x", 40}};
    const rig *r = *state;
    clipc_err err;

    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        tokenizer t;
        tokens_work w;
        buf golden = {0};
        load_folder(&t, &cases[k]);
        CHECK_OK(tokens_work_new(&w, &t, &err), err);
        read_golden(&golden, cases[k].name);
        char *line = golden.data;
        for (size_t i = 0; i < N_TEXTS; i++) {
            int32_t ids[77];
            size_t n;
            CHECK_OK(tokenizer_run(&t, &w, ids, cases[k].context_length, &n,
                                   (text_span){r->texts[i], strlen(r->texts[i])}, true,
                                   cases[k].name, &err),
                     err);
            check_row(&line, ids, cases[k].context_length, cases[k].name, r->texts[i]);
        }
        buf_free(&golden);
        tokens_work_free(&w);
        tokenizer_free(&t);
    }
}

/* ---- files that are not what they should be ------------------------------------------
 */

/* spm_new: cut anywhere, a model is read or refused, never read past its end */
static void test_truncated(void **state)
{
    buf b = {0};
    clipc_err err;
    size_t refused = 0;

    (void)state;
    CHECK_OK(file_read(&b, GOLDEN "bpe_user.model", 1 << 20, &err), err);
    for (size_t n = 0; n < b.len; n += n < 400 ? 1 : 37) {
        char *cut = malloc(n ? n : 1); /* exact, for the sanitizer */
        spm *m;
        assert_non_null(cut);
        memcpy(cut, b.data, n);
        const int rc = spm_new(&m, cut, n, "cut", &err);
        refused += rc != CLIPC_OK;
        if (rc != CLIPC_OK) assert_null(m);
        spm_free(m);
        free(cut);
    }
    assert_true(refused > 390);
    buf_free(&b);
}

static int load_bytes(const void *data, size_t size, clipc_err *err)
{
    spm *m;
    const int rc = spm_new(&m, data, size, "x.model", err);

    spm_free(m);
    return rc;
}

/* spm_new: says what is wrong */
static void test_bad_models(void **state)
{
    /* piece "<unk>" of type 2; "a" twice; a trainer_spec that says word model */
    const char unk[] = "\x0a\x09\x0a\x05<unk>\x18\x02",
               a[] = "\x0a\x03\x0a\x01"
                     "a",
               word[] = "\x12\x02\x18\x03", empty[] = "\x0a\x02\x18\x01";
    char whole[64];
    clipc_err err;

    (void)state;
    CHECK_FAILS(load_bytes("", 0, &err), CLIPC_ERR_FORMAT, err, "no pieces");
    CHECK_FAILS(load_bytes("hello", 5, &err), CLIPC_ERR_FORMAT, err, "not SentencePiece");
    CHECK_FAILS(load_bytes(a, sizeof a - 1, &err), CLIPC_ERR_FORMAT, err,
                "no unknown token");
    CHECK_FAILS(load_bytes(empty, sizeof empty - 1, &err), CLIPC_ERR_FORMAT, err,
                "piece 0 is empty");
    snprintf(whole, sizeof whole, "%s%s%s", unk, a, a);
    CHECK_FAILS(load_bytes(whole, strlen(whole), &err), CLIPC_ERR_FORMAT, err, "twice");
    snprintf(whole, sizeof whole, "%s%s%s", unk, unk, a);
    CHECK_FAILS(load_bytes(whole, strlen(whole), &err), CLIPC_ERR_FORMAT, err,
                "two unknown tokens");
    snprintf(whole, sizeof whole, "%s%s%s", unk, a, word);
    CHECK_FAILS(load_bytes(whole, strlen(whole), &err), CLIPC_ERR_FEATURE, err, "word");
    snprintf(whole, sizeof whole, "%s%s", unk, a);
    CHECK_OK(load_bytes(whole, strlen(whole), &err), err);
}

/* A tokenizer.json of a small model and one further member. */
static int load_with(const char *member, clipc_err *err)
{
    char text[512];
    json_t *root;
    pipeline *p;

    snprintf(text, sizeof text,
             "{\"model\": {\"type\": \"Unigram\", \"unk_id\": 0, \"vocab\": "
             "[[\"<unk>\", 0], [\"a\", -1]]}, %s}",
             member);
    CHECK_OK(json_parse(&root, text, strlen(text), "t.json", err), *err);
    const int rc = pipeline_new(&p, root, false, "t.json", err);
    json_decref(root);
    pipeline_free(p);
    return rc;
}

#define SPLIT(regex)                                                             \
    "\"pre_tokenizer\": {\"type\": \"Split\", \"pattern\": {\"Regex\": \"" regex \
    "\"}, \"behavior\": \"Isolated\"}"

/* pipeline_new: what is not supported is refused by name */
static void test_refused(void **state)
{
    clipc_err err;

    (void)state;
    CHECK_FAILS(load_with("\"normalizer\": {\"type\": \"Foo\"}", &err), CLIPC_ERR_FEATURE,
                err, "normalizer \"Foo\"");
    CHECK_FAILS(load_with("\"pre_tokenizer\": {\"type\": \"UnicodeScripts\"}", &err),
                CLIPC_ERR_FEATURE, err, "UnicodeScripts");
    CHECK_FAILS(load_with("\"post_processor\": {\"type\": \"Bar\"}", &err),
                CLIPC_ERR_FEATURE, err, "post-processor \"Bar\"");
    CHECK_FAILS(load_with(SPLIT("[a[b]]"), &err), CLIPC_ERR_FEATURE, err, "set in a set");
    CHECK_FAILS(load_with(SPLIT("a{1,2}+"), &err), CLIPC_ERR_FEATURE, err, "{...}+");
    CHECK_FAILS(load_with(SPLIT("[a&&b]"), &err), CLIPC_ERR_FEATURE, err, "intersection");
    CHECK_FAILS(load_with(SPLIT("(?m)a"), &err), CLIPC_ERR_FEATURE, err, "options");
    CHECK_FAILS(load_with(SPLIT("(a"), &err), CLIPC_ERR_FEATURE, err, "PCRE2 refuses");
    CHECK_OK(load_with(SPLIT("\\\\p{L}+|[^\\\\s\\\\p{L}]+"), &err), err);
}

/* ---- texts ---------------------------------------------------------------------------
 */

/* What a user typed cannot become a special token unless asked for, not even where the
 * model's own vocabulary spells it. */
static void test_special(void **state)
{
    const char *text = "a</s>b";
    pipeline *p = load_pipeline("t5");
    const int32_t end = pipeline_id(p, "</s>");
    pipeline_work *w;
    clipc_err err;
    const int32_t *ids;
    size_t n, found[2] = {0, 0};

    (void)state;
    CHECK_OK(pipeline_work_new(&w, &err), err);
    for (int special = 0; special < 2; special++) {
        CHECK_OK(pipeline_encode(p, w, &ids, &n, text, strlen(text), special, &err), err);
        for (size_t i = 0; i < n; i++) found[special] += ids[i] == end;
    }
    assert_int_equal(found[0], 0);
    assert_int_equal(found[1], 1);
    pipeline_work_free(w);
    pipeline_free(p);
}

/* Bytes that are no UTF-8, and texts that are too long, are errors. */
static void test_not_text(void **state)
{
    spm *m = load_spm("bpe");
    pipeline *p = load_pipeline("roberta");
    spm_work *sw;
    pipeline_work *pw;
    clipc_err err;
    id_list list = {0};
    const int32_t *ids;
    size_t n;

    (void)state;
    CHECK_OK(spm_work_new(&sw, &err), err);
    CHECK_OK(pipeline_work_new(&pw, &err), err);
    CHECK_FAILS(spm_encode(m, sw, &list, "ab\xff", 3, &err), CLIPC_ERR_TEXT, err,
                "byte 3 is not UTF-8");
    CHECK_FAILS(pipeline_encode(p, pw, &ids, &n, "ab\xff", 3, true, &err), CLIPC_ERR_TEXT,
                err, "byte 3 is not UTF-8");
    char *text = calloc(1, TEXT_MAX + 1);
    assert_non_null(text);
    CHECK_FAILS(spm_encode(m, sw, &list, text, TEXT_MAX + 1, &err), CLIPC_ERR_TEXT, err,
                "more than");
    free(text);
    ids_free(&list);
    spm_work_free(sw);
    pipeline_work_free(pw);
    spm_free(m);
    pipeline_free(p);
}

/* Half a megabyte of one letter is one word: merged and segmented in a moment. */
static void test_linear(void **state)
{
    enum { LEN = 1 << 19 };
    static const char *const names[] = {"uni", "bpe"};
    char *text = malloc(LEN);
    const double start = clock_now();
    spm_work *w;
    clipc_err err;

    (void)state;
    assert_non_null(text);
    memset(text, 'f', LEN);
    CHECK_OK(spm_work_new(&w, &err), err);
    for (int k = 0; k < 2; k++) {
        spm *m = load_spm(names[k]);
        id_list ids = {0};
        CHECK_OK(spm_encode(m, w, &ids, text, LEN, &err), err);
        assert_true(ids.n > 1000);
        ids_free(&ids);
        spm_free(m);
    }
    assert_true(clock_now() - start < 20); /* measured 0.2; quadratic time: an hour */
    spm_work_free(w);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sentencepiece), cmocka_unit_test(test_pipelines),
        cmocka_unit_test(test_folders),       cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_bad_models),    cmocka_unit_test(test_refused),
        cmocka_unit_test(test_special),       cmocka_unit_test(test_not_text),
        cmocka_unit_test(test_linear)};
    return cmocka_run_group_tests_name("sentencepiece", tests, setup, teardown);
}
