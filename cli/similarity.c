#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/session.h"

static const opt table[] = {
    SESSION_OPTS,
    {"text", 'T', "TEXT", "a text; repeat for more"},
    {"texts-file", 0, "FILE", "texts, one a line (-: standard input)"},
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
    strings texts, images;
    bool json;
    float *text, *image, *logits;
} similarity;

static int on_option(void *user, const char *name, const char *value)
{
    similarity *m = user;
    int rc = session_option(&m->s, name, value);

    if (rc != -1) return rc;
    if (strcmp(name, "json") == 0) return m->json = true, 0;
    rc = strcmp(name, "text") == 0
             ? strings_add(&m->texts, value, strlen(value), &m->s.err)
             : strings_lines(&m->texts, value, &m->s.err);
    return rc == CLIPC_OK ? 0 : cli_fail(&m->s.err);
}

static void print_list(const char *key, const strings *s)
{
    printf("\"%s\":[", key);
    for (size_t i = 0; i < s->n; i++) {
        if (i) putchar(',');
        json_print_string(s->v[i]);
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
    const size_t t = m->texts.n;

    putchar('{');
    print_list("images", &m->images);
    print_list("texts", &m->texts);
    print_matrix("logits_per_image", m->logits, n, t, t, 1);
    print_matrix("logits_per_text", m->logits, t, n, 1, t);
    printf("\"logit_scale\":%.9g", (double)m->s.info->logit_scale);
    if (m->s.info->has_logit_bias)
        printf(",\"logit_bias\":%.9g", (double)m->s.info->logit_bias);
    puts("}");
}

static void print_table(const similarity *m, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        printf("%s\n", m->images.v[i]);
        for (size_t k = 0; k < m->texts.n; k++)
            printf("  %8.4f  %s\n", (double)m->logits[i * m->texts.n + k], m->texts.v[k]);
    }
}

/* Pictures that fail are told and left out. */
static int run(similarity *m)
{
    const size_t E = m->s.info->embed_dim, t = m->texts.n, all = m->images.n;
    size_t n = 0;

    m->text = malloc(t * E * sizeof(float));
    m->image = malloc(all * E * sizeof(float));
    m->logits = malloc(all * t * sizeof(float));
    if (!m->text || !m->image || !m->logits) {
        clipc_fail_memory(&m->s.err, "similarity", all * t * sizeof(float));
        return cli_fail(&m->s.err);
    }
    if (clipc_encode_texts(m->s.ctx, m->text, (const char *const *)m->texts.v, t,
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
    similarity m = {.s.command = "similarity"};
    const int at = opts_parse(argc, argv, table, sizeof table / sizeof table[0], &usage,
                              on_option, &m);
    int rc = at == -1 ? EXIT_DONE : EXIT_USAGE;

    if (at == argc && at >= 0) rc = cli_usage("similarity", "no pictures given");
    else if (at >= 0 && !m.texts.n)
        rc = cli_usage("similarity", "no texts given: --text or --texts-file");
    else if (at >= 0)
        rc = strings_images(&m.images, argv + at, (size_t)(argc - at), &m.s.err) ||
                     session_open(&m.s)
                 ? cli_fail(&m.s.err)
                 : run(&m);
    session_close(&m.s);
    strings_free(&m.texts);
    strings_free(&m.images);
    free(m.text);
    free(m.image);
    free(m.logits);
    return rc;
}
