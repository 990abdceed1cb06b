#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/session.h"

static const opt table[] = {
    SESSION_OPTS,
    {"text", 'T', "TEXT", "a text to embed; repeat for more"},
    {"texts-file", 0, "FILE", "texts, one a line (-: standard input)"},
    {"out", 'o', "FILE.npy", "write a NumPy array [n,embed_dim] instead of JSON lines"},
    {"force", 'f', NULL, "overwrite --out"},
    {"raw", 0, NULL, "do not bring embeddings to unit length"},
};

static const opts_usage usage = {
    "embed", "[IMAGE...] [--text TEXT...] [options]",
    "Turns pictures and texts into vectors: JSON lines "
    "{\"image\"|\"text\":..,\"embedding\":[..]},\n"
    "or one .npy file, pictures first. What fails is told and left out.",
    "  clipc embed photos/ -o photos.npy\n"
    "  clipc embed -T \"a dog\" -T \"a cat\"\n"};

typedef struct embed {
    session s;
    strings texts, images;
    const char *out;
    bool force;
    float *rows;
    size_t n;
} embed;

static int on_option(void *user, const char *name, const char *value)
{
    embed *m = user;
    int rc = session_option(&m->s, name, value);

    if (rc != -1) return rc;
    if (strcmp(name, "out") == 0) return m->out = value, 0;
    if (strcmp(name, "force") == 0) return m->force = true, 0;
    if (strcmp(name, "raw") == 0) return m->s.options.raw = 1, 0;
    rc = strcmp(name, "text") == 0
             ? strings_add(&m->texts, value, strlen(value), &m->s.err)
             : strings_lines(&m->texts, value, &m->s.err);
    return rc == CLIPC_OK ? 0 : cli_fail(&m->s.err);
}

static void print_line(const char *key, const char *name, const float *x, size_t E)
{
    printf("{\"%s\":", key);
    json_print_string(name);
    printf(",\"embedding\":[");
    for (size_t i = 0; i < E; i++) printf("%s%.9g", i ? "," : "", (double)x[i]);
    puts("]}");
}

/* Keeps a finished row, or prints it at once. */
static void done(embed *m, const char *key, const char *name, size_t E)
{
    if (!m->out) print_line(key, name, m->rows, E);
    m->n++;
}

static int run(embed *m)
{
    const size_t E = m->s.info->embed_dim, all = m->images.n + m->texts.n;
    progress p = progress_start("embedded", all);

    m->rows = malloc((m->out ? all : 1) * E * sizeof(float));
    if (!m->rows) {
        clipc_fail_memory(&m->s.err, "embeddings", all * E * sizeof(float));
        return cli_fail(&m->s.err);
    }
    for (size_t i = 0; i < all; i++) {
        const bool image = i < m->images.n;
        const char *name = image ? m->images.v[i] : m->texts.v[i - m->images.n];
        float *row = m->rows + (m->out ? m->n * E : 0);
        const int rc = image ? clipc_encode_image_file(m->s.ctx, row, name, &m->s.err)
                             : clipc_encode_texts(m->s.ctx, row, &name, 1, &m->s.err);
        if (rc == CLIPC_OK) done(m, image ? "image" : "text", name, E);
        else cli_fail(&m->s.err);
        progress_show(&p, i + 1);
    }
    progress_end(&p);
    if (m->out && m->n && clipc_write_npy(m->out, m->rows, m->n, E, m->force, &m->s.err))
        return cli_fail(&m->s.err);
    return m->n == all ? EXIT_DONE : m->n ? EXIT_SOME : EXIT_NONE;
}

int cmd_embed(int argc, char **argv)
{
    embed m = {.s.command = "embed"};
    const int at = opts_parse(argc, argv, table, sizeof table / sizeof table[0], &usage,
                              on_option, &m);
    int rc = at == -1 ? EXIT_DONE : EXIT_USAGE;

    if (at == argc && at >= 0 && !m.texts.n)
        rc = cli_usage("embed", "nothing to embed: give pictures or --text");
    else if (at >= 0)
        rc = strings_images(&m.images, argv + at, (size_t)(argc - at), &m.s.err) ||
                     session_open(&m.s)
                 ? cli_fail(&m.s.err)
                 : run(&m);
    session_close(&m.s);
    strings_free(&m.texts);
    strings_free(&m.images);
    free(m.rows);
    return rc;
}
