/* clipc_check_model: sound models give no warning; each damage gives its own finding and
 * no other. */
#include "check.h"

#include <stdlib.h>

#include "base/file.h"
#include "golden_file.h"
#include "io/safetensors.h"

#define MODELS   "tests/golden/models/"
#define VARIANTS "tests/golden/variants/"
#define E2E      MODELS "e2e"
#define COPY     "build/test_checkup"

/* ---- what is found ---- */

typedef struct findings {
    clipc_finding worst; /* the last of the gravest */
    size_t n;            /* warnings and problems */
    char all[4096];      /* their messages */
    char notes[4096];
} findings;

static void gather(void *user, const clipc_finding *f)
{
    findings *to = user;
    char *text = f->severity >= CLIPC_FOUND_WARNING ? to->all : to->notes;
    const size_t at = strlen(text);

    assert_true(strlen(f->check) > 0 && strlen(f->message) > 0);
    snprintf(text + at, sizeof to->all - at, "%s: %s\n", f->check, f->message);
    if (f->severity < CLIPC_FOUND_WARNING) return;
    to->n++;
    if (f->severity >= to->worst.severity) to->worst = *f;
}

static findings check(const char *path, int files_only, clipc_checkup *sum)
{
    const clipc_check_options o = {.threads = 2, .files_only = files_only};
    findings f = {0};
    clipc_err err;

    CHECK_OK(clipc_check_model(sum, path, &o, gather, &f, &err), err);
    return f;
}

/* Exactly one warning or problem: this. */
static void check_alone(const char *path, int files_only, int severity, const char *name,
                        const char *part)
{
    clipc_checkup sum;
    const findings f = check(path, files_only, &sum);

    if (f.n != 1 || f.worst.severity != severity || strcmp(f.worst.check, name) != 0 ||
        !strstr(f.worst.message, part))
        fail_msg("%s: wanted %s: \"%s\" (%d) alone, found %zu (%d):\n%s", path, name,
                 part, severity, f.n, f.worst.severity, f.all);
    assert_int_equal(sum.found[severity], 1);
}

static void check_found(const char *path, int severity, const char *name,
                        const char *part)
{
    check_alone(path, 0, severity, name, part);
}

/* ---- damaged copies ---- */

/* What to do to the tensor of a name: numbers [from, from+n) become scale * x + add. */
typedef struct change {
    const char *tensor;
    size_t from, n; /* n 0: all behind from */
    float scale, add;
    bool drop, extra, flat; /* left out; also under another name; as a vector */
} change;

static char *slurp(const char *folder, const char *name)
{
    char path[256];
    buf b = {0};
    clipc_err err;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    CHECK_OK(file_read(&b, path, 1 << 20, &err), err);
    return b.data;
}

/* Writes a text file into the copy. */
static void put(const char *folder, const char *name, const char *text)
{
    char path[256];
    clipc_err err;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    CHECK_OK(file_replace(path, text, strlen(text), &err), err);
}

/* Copies a text file, `old` (NULL: nothing) replaced once. */
static void put_changed(const char *folder, const char *from, const char *name,
                        const char *old, const char *new)
{
    char *text = slurp(from, name), *at = old ? strstr(text, old) : NULL;
    char *out = malloc(strlen(text) + strlen(new ? new : "") + 1);

    assert_non_null(out);
    if (old) {
        assert_non_null(at);
        sprintf(out, "%.*s%s%s", (int)(at - text), text, new, at + strlen(old));
    } else {
        strcpy(out, text);
    }
    put(folder, name, out);
    free(out), free(text);
}

static void apply(float *x, size_t n, const change *c)
{
    const size_t end = c->n ? c->from + c->n : n;

    assert_true(end <= n);
    for (size_t i = c->from; i < end; i++)
        x[i] = c->scale != 0.0f ? c->scale * x[i] + c->add : c->add;
}

/* The weights of `from` as float32, changed. */
static void put_weights(const char *folder, const char *from, const char *name,
                        const change *changes, size_t n_changes)
{
    const kernels *k;
    char path[256];
    clipc_err err;
    tensor_file *f;
    size_t n = 0;

    CHECK_OK(kernels_pick(&k, &err), err);
    snprintf(path, sizeof path, "%s/%s", from, name);
    CHECK_OK(safetensors_open(&f, path, &err), err);
    const size_t count = tensor_file_count(f);
    tensor *t = calloc(count + 1, sizeof *t);
    float **values = calloc(count, sizeof *values);
    assert_true(t && values);
    for (size_t i = 0; i < count; i++) {
        const tensor *old = tensor_file_at(f, i);
        bool drop = false;
        size_t m;
        float *x = values[i] = golden_f32(f, old->name, &m);
        t[n] = *old, t[n].dt = DT_F32, t[n].data = x;
        for (size_t c = 0; c < n_changes; c++) {
            if (strcmp(changes[c].tensor, old->name) != 0) continue;
            apply(x, m, &changes[c]);
            drop = changes[c].drop;
            if (changes[c].flat) t[n].n_dims = 1, t[n].dims[0] = m;
            if (changes[c].extra) t[n + 1] = t[n], t[++n].name = "visual.unheard_of";
        }
        n += !drop;
    }
    snprintf(path, sizeof path, "%s/%s", folder, name);
    CHECK_OK(safetensors_write(path, t, n, tensor_file_metadata(f), DT_F32, k, &err),
             err);
    for (size_t i = 0; i < count; i++) free(values[i]);
    free(values);
    free(t);
    tensor_file_free(f);
}

static void fresh(const char *folder)
{
    static const char *const files[] = {
        "config.json", "preprocessor_config.json", "vocab.json",       "merges.txt",
        "vocab.txt",   "open_clip_config.json",    "model.safetensors"};
    char path[256];
    clipc_err err;

    CHECK_OK(file_mkdirs(folder, &err), err);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, files[i]);
        remove(path);
    }
}

static void copy_e2e(const char *folder, const change *changes, size_t n)
{
    fresh(folder);
    put_changed(folder, E2E, "open_clip_config.json", NULL, NULL);
    put_weights(folder, E2E, "open_clip_model.safetensors", changes, n);
}

static void copy_hf(const char *folder)
{
    fresh(folder);
    put_changed(folder, MODELS "hf_vit", "config.json", NULL, NULL);
    put_changed(folder, MODELS "hf_vit", "preprocessor_config.json", NULL, NULL);
    put_weights(folder, MODELS "hf_vit", "model.safetensors", NULL, 0);
}

/* ---- tests ---- */

/* check: sound models of every layout; hf_vit_old's pixels are nobody's */
static void test_sound(void **state)
{
    static const char *const models[] = {E2E,
                                         MODELS "effnet",
                                         MODELS "hf_vit",
                                         MODELS "oc_rn",
                                         MODELS "oc_vit_gelu",
                                         MODELS "oc_vit_quick",
                                         "models/clipc-drawings",
                                         VARIANTS "coca",
                                         VARIANTS "convnext_tiny",
                                         VARIANTS "eva02_base_patch16_clip_224",
                                         VARIANTS "fastvit_mci0",
                                         VARIANTS "hf_siglip",
                                         VARIANTS "m_clip",
                                         VARIANTS "openai_pt/model.pt",
                                         VARIANTS "text_first",
                                         VARIANTS "vitamin_small_224"};
    (void)state;
    for (size_t i = 0; i < sizeof models / sizeof models[0]; i++) {
        clipc_checkup sum;
        const findings f = check(models[i], 0, &sum);
        if (f.n) fail_msg("%s: %s", models[i], f.all);
        assert_true(sum.text_rate[0] > 0.0 && sum.text_rate[1] > 0.0);
        assert_true((sum.image_rate[0] > 0.0) == !strstr(models[i], "m_clip"));
        assert_true(sum.file_bytes > 0 && sum.memory_bytes > 0);
    }
    check_found(MODELS "hf_vit_old", CLIPC_FOUND_WARNING, "preprocessing",
                "none that is known");
}

/* check: weights changed one way each */
static void test_weights(void **state)
{
#define FC "visual.transformer.resblocks.0.mlp.c_fc.weight" /* [256,64] */
    static const struct {
        change c;
        int severity;
        const char *check, *part;
    } cases[] = {
        {{FC, .from = 77, .n = 1, .add = NAN},
         CLIPC_FOUND_PROBLEM,
         "values",
         "1 of 62 tensors with NaN or infinity: fetch or convert anew: " FC},
        {{FC, .from = 77, .n = 1, .add = INFINITY}, CLIPC_FOUND_PROBLEM, "values", "NaN"},
        {{FC, .drop = true, .scale = 1.0f},
         CLIPC_FOUND_PROBLEM,
         "tensors",
         "1 missing: " FC},
        {{FC, .flat = true, .scale = 1.0f}, CLIPC_FOUND_PROBLEM, "tensors", "[16384]"},
        {{FC, .extra = true, .scale = 1.0f},
         CLIPC_FOUND_WARNING,
         "tensors",
         "1 that this model does not use: visual.unheard_of"},
        {{FC, .from = 0}, CLIPC_FOUND_WARNING, "values", "zeros alone"},
        {{FC, .from = 64 * 64, .n = 80 * 64}, CLIPC_FOUND_WARNING, "values", "download"},
        {{FC, .add = 0.25f}, CLIPC_FOUND_WARNING, "values", "one number"},
        {{FC, .n = 1, .add = -3e4f}, CLIPC_FOUND_WARNING, "values", "above 10000"},
        {{FC, .scale = 1e-7f}, CLIPC_FOUND_WARNING, "values", "next to nothing"},
        {{FC, .n = 300, .add = 1e-40f}, CLIPC_FOUND_WARNING, "values", "denormal"},
        {{"logit_scale", .add = 100.0f}, CLIPC_FOUND_WARNING, "scale", "logarithm"},
        {{"logit_scale", .add = 5.0f}, CLIPC_FOUND_WARNING, "scale", "too sharp"},
        {{"logit_scale", .add = -1.0f}, CLIPC_FOUND_WARNING, "scale", "too even"},
        {{"visual.conv1.weight", .scale = 1e-4f},
         CLIPC_FOUND_PROBLEM,
         "embeddings",
         "of different pictures are the same"},
        {{"token_embedding.weight", .scale = 1e-4f},
         CLIPC_FOUND_PROBLEM,
         "embeddings",
         "of different texts are the same"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        copy_e2e(COPY, &cases[i].c, 1);
        check_alone(COPY, strcmp(cases[i].check, "embeddings") != 0, cases[i].severity,
                    cases[i].check, cases[i].part);
    }
}

/* check: embeddings without a direction, which the weights' own size explains */
static void test_lengths(void **state)
{
    const change c = {"text_projection", .scale = 1e30f};
    clipc_checkup sum;

    (void)state;
    copy_e2e(COPY, &c, 1);
    const findings f = check(COPY, 0, &sum);
    assert_int_equal(f.n, 2);
    assert_string_equal(f.worst.check, "embeddings");
    assert_non_null(strstr(f.worst.message, "of texts: lengths differ from 1"));
    assert_non_null(strstr(f.all, "values: 1 of 62 tensors with numbers above 10000"));
}

/* check: numbers inside so large that the order of sums shows (measured 8.3e-5) */
static void test_order(void **state)
{
    const change c = {"visual.ln_pre.bias", .scale = 1.0f, .add = 9000.0f};
    const kernels *k;
    clipc_err err;

    (void)state;
    CHECK_OK(kernels_pick(&k, &err), err);
    if (strcmp(k->name, "ref") == 0) skip(); /* there is nothing to compare with */
    copy_e2e(COPY, &c, 1);
    check_found(COPY, CLIPC_FOUND_WARNING, "kernels", "too large for float32");
}

/* check: tensors that are missing are all told, with their number */
static void test_missing(void **state)
{
    static const change gone[] = {{FC, .drop = true},
                                  {"ln_final.bias", .drop = true},
                                  {"ln_final.weight", .drop = true},
                                  {"visual.proj", .drop = true}};
    (void)state;
    copy_e2e(COPY, gone, 4);
    check_found(COPY, CLIPC_FOUND_PROBLEM, "tensors",
                "4 missing: ln_final.weight, ln_final.bias, visual.proj and 1 more");
}

/* check: a variance below 0, which only running it would show */
static void test_variance(void **state)
{
    const change c = {"visual.bn1.running_var", .n = 1, .add = -1.0f};

    (void)state;
    fresh(COPY);
    put_changed(COPY, MODELS "oc_rn", "open_clip_config.json", NULL, NULL);
    put_weights(COPY, MODELS "oc_rn", "open_clip_model.safetensors", &c, 1);
    check_found(COPY, CLIPC_FOUND_PROBLEM, "values", "variances");
}

/* check: a NaN in clipc's own format, which opening does not read */
static void test_packed(void **state)
{
    const clipc_convert_options o = {.to = "clipc", .overwrite = 1};
    const char *path = "build/test_checkup.clipc";
    const uint32_t nan = 0x7fc00000;
    clipc_checkup sum;
    tensor_file *f;
    buf b = {0};
    clipc_err err;

    (void)state;
    CHECK_OK(clipc_convert(E2E, path, &o, &err), err);
    findings found = check(path, 0, &sum);
    if (found.n) fail_msg("%s", found.all);
    assert_int_equal(sum.memory_bytes, 0);
    CHECK_OK(file_read(&b, path, 1 << 24, &err), err);
    CHECK_OK(safetensors_parse(&f, b.data, b.len, path, &err), err);
    memcpy((char *)(uintptr_t)tensor_find(f, FC)->data + 4000, &nan, sizeof nan);
    tensor_file_free(f);
    CHECK_OK(file_replace(path, b.data, b.len, &err), err);
    check_found(path, CLIPC_FOUND_PROBLEM, "values", FC);
    buf_free(&b);
}

/* check: open_clip's config changed, and transformers' beside it */
static void test_open_clip(void **state)
{
#define PREPROCESS "\"preprocess_cfg\": {}"
    static const struct {
        const char *new, *part;
    } cases[] = {
        {"\"preprocess_cfg\": {\"mean\": [0.48, 0.46, 0.5]}", "none that is known"},
        {"\"preprocess_cfg\": {\"mean\": [122.8, 116.7, 104.1]}", "0 to 255"},
        {"\"preprocess_cfg\": {\"mean\": [0, 0, 0], \"std\": [1, 1, 1]}",
         "none (0 and 1); CLIP models have OpenAI's"},
        {"\"preprocess_cfg\": {\"size\": 336}", "\"size\" is 336"},
    };
    static const char config[] =
        "{\"model_type\": \"clip\", \"projection_dim\": 16, \"text_config\": {"
        "\"hidden_size\": 16, \"num_hidden_layers\": 2, \"hidden_act\": \"%s\"},"
        "\"vision_config\": {\"image_size\": %d, \"patch_size\": 32, "
        "\"hidden_act\": \"%s\"}}";
    char text[512];

    (void)state;
    copy_e2e(COPY, NULL, 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        put_changed(COPY, E2E, "open_clip_config.json", PREPROCESS, cases[i].new);
        check_alone(COPY, 1, CLIPC_FOUND_WARNING, "preprocessing", cases[i].part);
    }
    put_changed(COPY, E2E, "open_clip_config.json", NULL, NULL);
    snprintf(text, sizeof text, config, "quick_gelu", 224, "quick_gelu");
    put(COPY, "config.json", text);
    clipc_checkup sum;
    const findings f = check(COPY, 1, &sum);
    if (f.n || !strstr(f.notes, "agree")) fail_msg("%s%s", f.all, f.notes);
    snprintf(text, sizeof text, config, "gelu", 224, "gelu");
    put(COPY, "config.json", text);
    check_found(COPY, CLIPC_FOUND_WARNING, "activation", "config.json says gelu");
    snprintf(text, sizeof text, config, "quick_gelu", 336, "quick_gelu");
    put(COPY, "config.json", text);
    check_found(COPY, CLIPC_FOUND_WARNING, "configs", "image size 336, here 224");
    snprintf(text, sizeof text, config, "quick_gelu", 224, "quick_gelu");
    put(COPY, "config.json", text);
    put(COPY, "preprocessor_config.json", "{\"image_mean\": [0.5, 0.5, 0.5]}");
    check_found(COPY, CLIPC_FOUND_WARNING, "preprocessing",
                "preprocessor_config.json has");
}

/* check: an activation that the name speaks against */
static void test_names(void **state)
{
    (void)state;
    copy_e2e("build/test_checkup-laion2B", NULL, 0);
    check_found("build/test_checkup-laion2B/", CLIPC_FOUND_WARNING, "activation",
                "trained with gelu");
    copy_e2e("build/test_checkup-quickgelu", NULL, 0);
    put_changed("build/test_checkup-quickgelu", E2E, "open_clip_config.json",
                "\"quick_gelu\": true", "\"quick_gelu\": false");
    check_found("build/test_checkup-quickgelu", CLIPC_FOUND_WARNING, "activation",
                "trained with quick_gelu");
    copy_hf(COPY);
    put_changed(COPY, COPY, "config.json", "{",
                "{\"_name_or_path\": \"laion/CLIP-ViT-B-32-laion2B-s34B-b79K\",");
    check_found(COPY, CLIPC_FOUND_WARNING, "activation", "change hidden_act");
}

/* check: transformers' files changed */
static void test_hf(void **state)
{
    static const struct {
        const char *file, *old, *new, *check, *part;
    } cases[] = {
        {"preprocessor_config.json", "{", "{\"rescale_factor\": 0.0078,", "preprocessing",
         "rescale_factor is 0.0078"},
        {"preprocessor_config.json", "\"height\": 32", "\"height\": 48", "preprocessing",
         "\"crop_size\" is 48"},
        {"config.json", "\"hidden_act\": \"quick_gelu\"", "\"hidden_act\": \"gelu\"",
         "activation", "quick_gelu for pictures, gelu for texts"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        copy_hf(COPY);
        put_changed(COPY, COPY, cases[i].file, cases[i].old, cases[i].new);
        check_alone(COPY, 1, CLIPC_FOUND_WARNING, cases[i].check, cases[i].part);
    }
}

/* check: vocabularies that are not the model's */
static void test_vocabulary(void **state)
{
    static const char words[] =
        "{\"a</w>\":3,\"r\":4,\"e\":5,\"d</w>\":6,\"g\":7,\"n</w>\":8,\"b\":9,\"l\":10,"
        "\"u\":11,\"e</"
        "w>\":12,\"s\":13,\"q\":14,\"a\":15,\"c\":16,\"i\":17,\"re\":18,\"sq\":19,\"ci\":"
        "20,"
        "\"<|startoftext|>\":%d,\"<|endoftext|>\":%d}";
    char text[512];

    (void)state;
    copy_hf(COPY);
    put(COPY, "merges.txt", "#version: 0.2\nr e\ns q\n");
    snprintf(text, sizeof text, words, 198, 199);
    put(COPY, "vocab.json", text);
    check_found(COPY, CLIPC_FOUND_WARNING, "tokenizer",
                "\"a green circle\" has 13 tokens, the model takes 12");
    put(COPY, "merges.txt", "#version: 0.2\nr e\ns q\nc i\n");
    clipc_checkup sum;
    const findings f = check(COPY, 0, &sum);
    if (f.n || !strstr(f.notes, "bpe, 200 tokens; \"a red square\" is 10 of 12"))
        fail_msg("%s%s", f.all, f.notes);
    snprintf(text, sizeof text, words, 150, 151);
    put(COPY, "vocab.json", text);
    const findings few = check(COPY, 0, &sum);
    if (few.n || !strstr(few.notes, "152 tokens; the model has 200"))
        fail_msg("%s%s", few.all, few.notes);
    snprintf(text, sizeof text, words, 198, 300);
    put(COPY, "vocab.json", text);
    check_found(COPY, CLIPC_FOUND_PROBLEM, "tokenizer", "its 200 tokens are not those");
    snprintf(text, sizeof text, words, 199, 198);
    put(COPY, "vocab.json", text);
    check_found(COPY, CLIPC_FOUND_PROBLEM, "tokenizer", "come from token 0");
    fresh(COPY);
    put_changed(COPY, VARIANTS "bert_pooler", "open_clip_config.json", NULL, NULL);
    put_weights(COPY, VARIANTS "bert_pooler", "open_clip_model.safetensors", NULL, 0);
    put(COPY, "vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\ncat\n");
    check_found(COPY, CLIPC_FOUND_PROBLEM, "tokenizer", "give the same ids");
}

/* check: what cannot be opened is a finding; nothing is run where only files are wanted
 */
static void test_opening(void **state)
{
    clipc_checkup sum;

    (void)state;
    check_found("no-such-model", CLIPC_FOUND_PROBLEM, "opening", "no-such-model");
    check_found("README.md", CLIPC_FOUND_PROBLEM, "opening", "no model");
    copy_e2e(COPY, NULL, 0);
    put_changed(COPY, E2E, "open_clip_config.json", "\"layers\": 2", "\"layers\": 0");
    check_found(COPY, CLIPC_FOUND_PROBLEM, "opening", "\"layers\" is 0");
    copy_hf(COPY);
    put_changed(COPY, COPY, "preprocessor_config.json", "{", "{\"do_normalize\": false,");
    check_found(COPY, CLIPC_FOUND_PROBLEM, "opening", "do_normalize false");
    const findings f = check(E2E, 1, &sum);
    assert_int_equal(f.n, 0);
    assert_true(sum.image_rate[0] == 0.0 && !strstr(f.notes, "speed"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sound),      cmocka_unit_test(test_weights),
        cmocka_unit_test(test_lengths),    cmocka_unit_test(test_order),
        cmocka_unit_test(test_missing),    cmocka_unit_test(test_variance),
        cmocka_unit_test(test_packed),     cmocka_unit_test(test_open_clip),
        cmocka_unit_test(test_names),      cmocka_unit_test(test_hf),
        cmocka_unit_test(test_vocabulary), cmocka_unit_test(test_opening)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
