#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/session.h"

static const opt table[] = {
    SESSION_OPTS,
    PRECISION_OPTS,
    LONG_OPTS,
    {"text", 'T', "TEXT", "a text; repeat for more"},
    {"texts-file", 0, "FILE", "texts, one a line (-: standard input)"},
    {"texts-jsonl", 0, "FILE", "lines {\"text\":..}, as the reference reads them"},
    {"json", 'j', NULL, "one JSON object with both matrices"},
};

static const opts_usage usage = {
    "similarity", "IMAGE... --text TEXT... [options]",
    "Prints how well each text fits each picture: cosines times the model's scale "
    "(logits).",
    "  clipc similarity a.jpg b.jpg -T \"a diagram\" -T \"a dog\"\n"
    "  clipc similarity photos/ --texts-file captions.txt --json\n"};

typedef struct similarity {
    session s;
    json_t *texts; /* strings, of any bytes */
    strings images;
    bool json;
    float *text, *image, *logits;
} similarity;

static const char *text_at(const similarity *m, size_t i)
{
    return json_string_value(json_array_get(m->texts, i));
}

static size_t text_len(const similarity *m, size_t i)
{
    return json_string_length(json_array_get(m->texts, i));
}

static int add_text(similarity *m, const char *text, size_t len)
{
    return json_array_append_new(m->texts, json_stringn_nocheck(text, len)) == 0
               ? CLIPC_OK
               : clipc_fail_memory(&m->s.err, "texts", len);
}

static int add_file(similarity *m, const char *path)
{
    strings lines = {0};
    int rc = strings_lines(&lines, path, &m->s.err);

    for (size_t i = 0; rc == CLIPC_OK && i < lines.n; i++)
        rc = add_text(m, lines.v[i], strlen(lines.v[i]));
    strings_free(&lines);
    return rc;
}

static int add_jsonl(similarity *m, const char *path)
{
    json_t *lines = json_array();
    int rc = jsonl_read(lines, path, &m->s.err);

    for (size_t i = 0; rc == CLIPC_OK && i < json_array_size(lines); i++) {
        const json_t *text = json_object_get(json_array_get(lines, i), "text");
        rc = json_is_string(text)
                 ? add_text(m, json_string_value(text), json_string_length(text))
                 : clipc_fail(&m->s.err, CLIPC_ERR_FORMAT, "%s: text %zu: no \"text\"",
                              path, i + 1);
    }
    json_decref(lines);
    m->s.options.compat = 1;
    return rc;
}

static int on_option(void *user, const char *name, const char *value)
{
    similarity *m = user;
    int rc = session_option(&m->s, name, value);

    if (rc != -1) return rc;
    if (strcmp(name, "json") == 0) return m->json = true, 0;
    if (strcmp(name, "text") == 0) rc = add_text(m, value, strlen(value));
    else if (strcmp(name, "texts-file") == 0) rc = add_file(m, value);
    else rc = add_jsonl(m, value);
    return rc == CLIPC_OK ? 0 : cli_fail(&m->s.err);
}

static void print_images(const similarity *m)
{
    printf("\"images\":[");
    for (size_t i = 0; i < m->images.n; i++) {
        if (i) putchar(',');
        json_print_string(m->images.v[i]);
    }
    printf("],");
}

static void print_texts(const similarity *m, size_t n)
{
    printf("\"texts\":[");
    for (size_t i = 0; i < n; i++) {
        if (i) putchar(',');
        json_print_text(text_at(m, i), text_len(m, i));
    }
    printf("],");
}

/* rows x cols of logits with strides, so that the transpose is another call. */
static void print_matrix(const char *key, const float *x, size_t rows, size_t cols,
                         size_t rs, size_t cs)
{
    printf("\"%s\":[", key);
    for (size_t r = 0; r < rows; r++) {
        printf("%s[", r ? "," : "");
        for (size_t c = 0; c < cols; c++)
            printf("%s%.9g", c ? "," : "", (double)x[r * rs + c * cs]);
        putchar(']');
    }
    printf("],");
}

static void print_json(const similarity *m, size_t n)
{
    const size_t t = json_array_size(m->texts);

    putchar('{');
    print_images(m);
    print_texts(m, t);
    print_matrix("logits_per_image", m->logits, n, t, t, 1);
    print_matrix("logits_per_text", m->logits, t, n, 1, t);
    printf("\"logit_scale\":%.9g", (double)m->s.info->logit_scale);
    if (m->s.info->has_logit_bias)
        printf(",\"logit_bias\":%.9g", (double)m->s.info->logit_bias);
    puts("}");
}

static void print_table(const similarity *m, size_t n)
{
    const size_t t = json_array_size(m->texts);

    for (size_t i = 0; i < n; i++) {
        printf("%s\n", m->images.v[i]);
        for (size_t k = 0; k < t; k++)
            printf("  %8.4f  %s\n", (double)m->logits[i * t + k], text_at(m, k));
    }
}

/* Pictures that fail are told and left out. */
static int run(similarity *m)
{
    const size_t E = m->s.info->embed_dim, t = json_array_size(m->texts),
                 all = m->images.n;
    size_t n = 0;

    m->text = malloc(t * E * sizeof(float));
    m->image = malloc(all * E * sizeof(float));
    m->logits = malloc(all * t * sizeof(float));
    if (!m->text || !m->image || !m->logits) {
        clipc_fail_memory(&m->s.err, "similarity", all * t * sizeof(float));
        return cli_fail(&m->s.err);
    }
    for (size_t i = 0; i < t; i++)
        if (clipc_encode_text(m->s.ctx, m->text + i * E, text_at(m, i), text_len(m, i),
                              &m->s.err))
            return cli_fail(&m->s.err);
    for (size_t i = 0; i < all; i++) {
        char *path = m->images.v[i];
        if (clipc_encode_image_file(m->s.ctx, m->image + n * E, path, &m->s.err) !=
            CLIPC_OK) {
            cli_fail(&m->s.err);
            free(path);
        } else {
            m->images.v[n++] = path;
        }
    }
    m->images.n = n;
    if (!n) return EXIT_NONE;
    clipc_logits(m->s.model, m->logits, m->image, n, m->text, t);
    if (m->json) print_json(m, n);
    else print_table(m, n);
    return n < all ? EXIT_SOME : EXIT_DONE;
}

int cmd_similarity(int argc, char **argv)
{
    similarity m = {.s.command = "similarity", .texts = json_array()};
    const int at = opts_parse(argc, argv, table, sizeof table / sizeof table[0], &usage,
                              on_option, &m);
    int rc = cli_options_exit(at);

    if (at == argc && at >= 0) rc = cli_usage("similarity", "no pictures given");
    else if (at >= 0 && !json_array_size(m.texts))
        rc = cli_usage("similarity",
                       "no texts given: --text, --texts-file or --texts-jsonl");
    else if (at >= 0)
        rc = strings_images(&m.images, argv + at, (size_t)(argc - at), &m.s.err) ||
                     session_open(&m.s)
                 ? cli_fail(&m.s.err)
                 : run(&m);
    session_close(&m.s);
    json_decref(m.texts);
    strings_free(&m.images);
    free(m.text);
    free(m.image);
    free(m.logits);
    return rc;
}
