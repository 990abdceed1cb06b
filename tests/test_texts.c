/* Texts through the public functions: special strings, NUL, texts that do not fit,
 * tokenizers without a model. */
#include "check.h"

#include <stdlib.h>

#include "base/file.h"
#include "clipc.h"

#define FOLDER "tests/golden/models/e2e" /* open_clip's layout */

enum { E = 16, T = 77, ROOM = T - 2 };

static clipc_model *model;

static int setup(void **state)
{
    clipc_err err;

    (void)state;
    return clipc_model_open(&model, FOLDER, &err);
}

static int teardown(void **state)
{
    (void)state;
    clipc_model_free(model);
    return 0;
}

static void encode_with(float *out, const clipc_ctx_options *o, const char *text,
                        size_t len)
{
    clipc_ctx *ctx;
    clipc_err err;

    CHECK_OK(clipc_ctx_new(&ctx, model, o, &err), err);
    CHECK_OK(clipc_encode_text(ctx, out, text, len, &err), err);
    clipc_ctx_free(ctx);
}

static void encode(float *out, const char *text)
{
    encode_with(out, NULL, text, strlen(text));
}

static void append(char *to, const char *word, size_t times)
{
    while (times--) strcat(to, word);
}

static void unit(double *x)
{
    double sum = 0.0;

    for (int d = 0; d < E; d++) sum += x[d] * x[d];
    for (int d = 0; d < E; d++) x[d] /= sqrt(sum);
}

/* encode: a long text's windows one by one give the same as all of it, whatever the
 * batch; a short text is as ever */
static void test_windows(void **state)
{
    char text[2000] = "", windows[3][1000] = {"", "", ""};
    float part[3][E], got[E];

    (void)state;
    append(windows[0], "cat ", ROOM);
    append(windows[1], "dog ", ROOM);
    append(windows[2], "two red fish ", 3);
    for (int w = 0; w < 3; w++) {
        append(text, windows[w], 1);
        encode(part[w], windows[w]);
    }
    for (size_t batch = 1; batch <= 4; batch++)
        for (int most = 0; most < 2; most++) {
            const clipc_ctx_options o = {.max_batch = batch,
                                         .long_texts =
                                             most ? CLIPC_LONG_MAX : CLIPC_LONG_MEAN};
            double want[E];
            for (int d = 0; d < E; d++) {
                const double a = (double)part[0][d], b = (double)part[1][d],
                             c = (double)part[2][d];
                want[d] = most ? fmax(a, fmax(b, c)) : (a + b + c) / 3.0;
            }
            unit(want);
            encode_with(got, &o, text, strlen(text));
            for (int d = 0; d < E; d++) CHECK_NEAR(got[d], want[d], 1e-6);
            encode_with(got, &o, windows[2], strlen(windows[2]));
            for (int d = 0; d < E; d++) CHECK_NEAR(got[d], part[2][d], 0);
            encode_with(got, &o, windows[0], strlen(windows[0])); /* just fits */
            for (int d = 0; d < E; d++) CHECK_NEAR(got[d], part[0][d], 0);
        }
}

/* encode: a text that does not fit is cut, or refused by name */
static void test_strict(void **state)
{
    const clipc_ctx_options strict = {.long_texts = CLIPC_LONG_ERROR};
    char text[1000] = "", cut[1000] = "";
    float a[E], b[E];
    clipc_ctx *ctx;
    clipc_err err;

    (void)state;
    append(cut, "cat ", ROOM);
    append(text, cut, 1);
    append(text, "dog\n", 1);
    encode(a, text);
    encode(b, cut);
    assert_memory_equal(a, b, sizeof a);
    CHECK_OK(clipc_ctx_new(&ctx, model, &strict, &err), err);
    CHECK_OK(clipc_encode_text(ctx, a, cut, strlen(cut), &err), err);
    CHECK_FAILS(clipc_encode_text(ctx, a, text, strlen(text), &err), CLIPC_ERR_TEXT, err,
                "text \"cat cat");
    assert_non_null(strstr(err.msg, "...\": 78 tokens, the model takes 77"));
    clipc_ctx_free(ctx);
}

/* encode: NUL is a character that the repair removes, and no end; special strings are
 * ordinary text unless compat asks for them */
static void test_characters(void **state)
{
    const clipc_ctx_options compat = {.compat = 1};
    float a[E], b[E];

    (void)state;
    encode(a, "catdog");
    encode_with(b, NULL, "cat\0dog", 7);
    assert_memory_equal(a, b, sizeof a);
    encode(a, "a <end_of_text> b");
    encode_with(b, &compat, "a <end_of_text> c", 17);
    assert_memory_not_equal(a, b, sizeof a);
    encode_with(a, &compat, "a", 1); /* pooled at the first end */
    for (int d = 0; d < E; d++) CHECK_NEAR(a[d], b[d], 1e-6);
}

/* ---- tokenizers ---- */

static void expect_ids(clipc_tokenizer *t, const char *text, int compat,
                       const int32_t *want, size_t n_want, int32_t want_pool)
{
    int32_t ids[T], pool;
    clipc_err err;
    size_t n;

    CHECK_OK(clipc_tokenizer_run(t, ids, &n, &pool, text, strlen(text), compat, &err),
             err);
    assert_memory_equal(ids, want, n_want * sizeof *ids);
    assert_int_equal(pool, want_pool);
}

/* tokenizer: OpenAI's without a model; open_clip's special strings are others */
static void test_tokenizers(void **state)
{
    const int32_t special[] = {49406, 320, 49407, 321, 49407, 0};
    clipc_tokenizer *t;
    clipc_err err;
    char token[32];

    (void)state;
    CHECK_OK(clipc_tokenizer_open(&t, NULL, &err), err);
    assert_int_equal(clipc_tokenizer_context_length(t), T);
    expect_ids(t, "a <|endoftext|> b", 1, special, 6, 2);
    expect_ids(t, "a <end_of_text> b", 1, (int32_t[]){49406, 320, 283}, 3, 10);
    expect_ids(t, "a <|endoftext|> b", 0, (int32_t[]){49406, 320, 27}, 3, 9);
    clipc_tokenizer_text(t, 2368, token, sizeof token);
    assert_string_equal(token, "cat</w>");
    clipc_tokenizer_free(t);
    CHECK_OK(clipc_tokenizer_open(&t, FOLDER, &err), err);
    expect_ids(t, "a <end_of_text> b", 1, special, 6, 2);
    clipc_tokenizer_free(t);
    CHECK_FAILS(clipc_tokenizer_open(&t, "no-such-model", &err), CLIPC_ERR_IO, err,
                "no-such-model");
}

static void put_file(const char *path, const char *text)
{
    clipc_err err;

    CHECK_OK(file_replace(path, text, strlen(text), &err), err);
}

/* tokenizer: a folder of Hugging Face's, with vocab.json, is read as transformers 5 reads
 * it: nothing is repaired, rows end in its padding token */
static void test_hf(void **state)
{
    const clipc_convert_options hf = {.to = "hf", .overwrite = 1};
    const int32_t fish[] = {49406, 171, 105, 223, 849, 49407, 49407}; /* "\ufb01sh" */
    const int32_t padded[] = {49406, 320, 49407, 0, 0};
    clipc_tokenizer *t;
    clipc_err err;

    (void)state;
    remove("build/test_texts_hf/special_tokens_map.json"); /* of an earlier run */
    CHECK_OK(clipc_convert(FOLDER, "build/test_texts_hf", &hf, &err), err);
    CHECK_OK(clipc_tokenizer_open(&t, "build/test_texts_hf", &err), err);
    expect_ids(t, "\xef\xac\x81sh", 1, fish, 7, 5);
    clipc_tokenizer_free(t);
    put_file("build/test_texts_hf/special_tokens_map.json",
             "{\"pad_token\": {\"content\": \"!\"}}");
    CHECK_OK(clipc_tokenizer_open(&t, "build/test_texts_hf", &err), err);
    expect_ids(t, "a", 1, padded, 5, 2);
    clipc_tokenizer_free(t);
}

/* encode_texts: texts that begin alike, are the same or end early give together, in any
 * order and number, bit by bit what each gives alone */
static void test_together(void **state)
{
    static const char *const texts[] = {"a photo of a cat",
                                        "a photo of a dog",
                                        "waves",
                                        "",
                                        "a photo of a cat",
                                        "a photo",
                                        "a photo of",
                                        "a",
                                        "",
                                        "a photo of a cat and a dog"};
    enum { N = sizeof texts / sizeof *texts };
    const clipc_ctx_options options[] = {{.max_batch = 1}, {.max_batch = 2}, {0}};
    float alone[N][E], all[N][E];
    clipc_err err;

    (void)state;
    for (size_t i = 0; i < N; i++) encode(alone[i], texts[i]);
    assert_memory_not_equal(alone[0], alone[1], sizeof alone[0]);
    assert_memory_not_equal(alone[5], alone[6], sizeof alone[0]);
    for (size_t o = 0; o < 3; o++) {
        clipc_ctx *ctx;
        CHECK_OK(clipc_ctx_new(&ctx, model, &options[o], &err), err);
        CHECK_OK(clipc_encode_texts(ctx, all[0], texts, NULL, N, &err), err);
        assert_memory_equal(all, alone, sizeof all);
        clipc_ctx_free(ctx);
    }
}

/* classifier: a label's prompts, each of unit length, summed and brought to unit length,
 * however many there are */
static void test_classifier(void **state)
{
    static const char *const templates[] = {"a photo of a {}.", "{}", "the {} of waves"};
    enum { LABELS = 40 };
    char names[LABELS][16], prompt[64];
    const char *labels[LABELS];
    float weights[LABELS][E];
    clipc_ctx *ctx;
    clipc_err err;

    (void)state;
    for (int i = 0; i < LABELS; i++) {
        snprintf(names[i], sizeof names[i], "%c number %d", 'a' + i % 7, i);
        labels[i] = names[i];
    }
    CHECK_OK(clipc_ctx_new(&ctx, model, NULL, &err), err);
    CHECK_OK(clipc_classifier(ctx, weights[0], labels, LABELS, templates, 3, &err), err);
    for (int i = 0; i < LABELS; i++) {
        double want[E] = {0};
        for (int t = 0; t < 3; t++) {
            const char *hole = strstr(templates[t], "{}");
            float one[E];
            snprintf(prompt, sizeof prompt, "%.*s%s%s", (int)(hole - templates[t]),
                     templates[t], labels[i], hole + 2);
            encode(one, prompt);
            for (int d = 0; d < E; d++) want[d] += (double)one[d];
        }
        unit(want);
        for (int d = 0; d < E; d++) CHECK_NEAR(weights[i][d], want[d], 1e-6);
    }
    clipc_ctx_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_together),   cmocka_unit_test(test_classifier),
        cmocka_unit_test(test_windows),    cmocka_unit_test(test_strict),
        cmocka_unit_test(test_characters), cmocka_unit_test(test_tokenizers),
        cmocka_unit_test(test_hf)};
    return cmocka_run_group_tests_name("texts", tests, setup, teardown);
}
