#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "cli/session.h"

static const opt table[] = {
    SESSION_OPTS,
    PRECISION_OPTS,
    LONG_OPTS,
    {"images", 0, "PATH", "a picture or folder, as an operand; repeat for more"},
    {"text", 'T', "TEXT", "a text to embed; repeat for more"},
    {"texts-file", 0, "FILE", "texts, one a line (-: standard input)"},
    {"texts-jsonl", 0, "FILE",
     "lines {\"id\":..,\"text\":..} or {\"id\":..,\"ids\":[..]}"},
    {"pixels", 0, "FILE.npy", "uint8 [n,H,W,3] as the image tower sees them"},
    {"out", 'o', "FILE.npy", "write a NumPy array [n,embed_dim] instead of JSON lines"},
    {"force", 'f', NULL, "overwrite --out"},
    {"no-normalize", 0, NULL, "do not bring embeddings to unit length"},
};

static const opts_usage usage = {
    "embed", "[IMAGE...] [--text TEXT...] [options]",
    "Turns pictures and texts into vectors: JSON lines "
    "{\"image\"|\"text\":..,\"embedding\":[..]},\n"
    "or one .npy file and FILE.npy.jsonl, which says what each row is. What fails is "
    "told\n"
    "and left out. --texts-jsonl takes texts as the reference does, special tokens and "
    "all;\n"
    "\"ids\" are whole rows: start, text, end and padding.",
    "  clipc embed photos/ -o photos.npy\n"
    "  clipc embed -T \"a dog\" -T \"a cat\"\n"
    "  clipc embed -m model.clipc --texts-jsonl queries.jsonl --no-normalize -o q.npy\n"};

typedef enum kind { IMAGE, TEXT, LINE, CROP } kind;

/* One thing to embed. */
typedef struct input {
    kind kind;
    const char *name; /* path or text */
    json_t *line;     /* of --texts-jsonl; borrowed */
    const float *crop;
    size_t at; /* number of the crop or line */
} input;

/* The most that are encoded together: of texts, and of pictures, which take longer. */
enum { CHUNK = 64, PICTURES = 16 };

typedef struct embed {
    session s;
    strings texts, operands, images;
    json_t *lines;
    float *crops;
    size_t n_crops;
    const char *out, *pixels;
    bool force;
    input *inputs;
    size_t n_inputs;
    float *chunk; /* [CHUNK,embed_dim] */
    clipc_err errs[CHUNK];
    float *rows; /* with out: [n_inputs,embed_dim] */
    size_t n;
    buf about; /* FILE.npy.jsonl */
} embed;

static int read_lines(embed *m, const char *path)
{
    size_t i = json_array_size(m->lines);
    int rc;

    if (!m->lines) m->lines = json_array();
    rc = jsonl_read(m->lines, path, &m->s.err);
    for (; rc == CLIPC_OK && i < json_array_size(m->lines); i++) {
        const json_t *o = json_array_get(m->lines, i);
        if (!json_is_string(json_object_get(o, "text")) &&
            !json_is_array(json_object_get(o, "ids")))
            rc = clipc_fail(&m->s.err, CLIPC_ERR_FORMAT,
                            "%s: text %zu: neither \"text\" nor \"ids\"", path, i + 1);
    }
    m->s.options.compat = 1;
    return rc;
}

static int on_option(void *user, const char *name, const char *value)
{
    embed *m = user;
    int rc = session_option(&m->s, name, value);

    if (rc != -1) return rc;
    if (strcmp(name, "out") == 0) return m->out = value, 0;
    if (strcmp(name, "pixels") == 0) return m->pixels = value, 0;
    if (strcmp(name, "force") == 0) return m->force = true, 0;
    if (strcmp(name, "no-normalize") == 0) return m->s.options.raw = 1, 0;
    if (strcmp(name, "images") == 0)
        rc = strings_add(&m->operands, value, strlen(value), &m->s.err);
    else if (strcmp(name, "text") == 0)
        rc = strings_add(&m->texts, value, strlen(value), &m->s.err);
    else if (strcmp(name, "texts-jsonl") == 0) rc = read_lines(m, value);
    else rc = strings_lines(&m->texts, value, &m->s.err);
    return rc == CLIPC_OK ? 0 : cli_fail(&m->s.err);
}

static int read_crops(embed *m)
{
    const size_t H = m->s.info->image_size, W = m->s.info->image_columns;
    size_t dims[8], n_dims;
    int rc = clipc_read_npy(m->pixels, &m->crops, dims, &n_dims, &m->s.err);

    if (rc != CLIPC_OK) return rc;
    if (n_dims != 4 || dims[1] != H || dims[2] != W || dims[3] != 3)
        return clipc_fail(&m->s.err, CLIPC_ERR_FORMAT, "%s: wanted [n,%zu,%zu,3]",
                          m->pixels, H, W);
    m->n_crops = dims[0];
    return CLIPC_OK;
}

static int list_inputs(embed *m)
{
    const size_t lines = json_array_size(m->lines);
    const size_t crop = m->s.info->image_size * m->s.info->image_columns * 3;
    input *in;

    m->n_inputs = m->images.n + m->texts.n + lines + m->n_crops;
    in = m->inputs = calloc(m->n_inputs + 1, sizeof *in);
    if (!in) return clipc_fail_memory(&m->s.err, "inputs", m->n_inputs * sizeof *in);
    for (size_t i = 0; i < m->images.n; i++)
        *in++ = (input){.kind = IMAGE, .name = m->images.v[i]};
    for (size_t i = 0; i < m->n_crops; i++)
        *in++ = (input){.kind = CROP, .crop = m->crops + i * crop, .at = i};
    for (size_t i = 0; i < m->texts.n; i++)
        *in++ = (input){.kind = TEXT, .name = m->texts.v[i]};
    for (size_t i = 0; i < lines; i++)
        *in++ = (input){.kind = LINE, .line = json_array_get(m->lines, i), .at = i};
    return CLIPC_OK;
}

/* ---- encoding one ---- */

static int encode_ids(embed *m, float *out, const input *in)
{
    const size_t T = m->s.info->context_length;
    const int32_t pad = m->s.info->pad_id;
    const json_t *ids = json_object_get(in->line, "ids");
    const size_t n = json_array_size(ids);
    int32_t row[4096];
    bool good = T <= sizeof row / sizeof row[0] && (n == T || (n && n < T && pad >= 0));

    for (size_t i = 0; good && i < n; i++) {
        const json_int_t id = json_integer_value(json_array_get(ids, i));
        good = json_is_integer(json_array_get(ids, i)) && id >= 0 && id <= INT32_MAX;
        row[i] = (int32_t)id;
    }
    for (size_t i = n; good && i < T; i++) row[i] = pad;
    if (!good)
        return clipc_fail(&m->s.err, CLIPC_ERR_ARG,
                          "text line %zu: \"ids\" wants %s%zu whole numbers, the model's "
                          "context length",
                          in->at + 1, pad >= 0 ? "up to " : "", T);
    return clipc_encode_ids(m->s.ctx, out, row, 1, &m->s.err);
}

static int encode_crop(embed *m, float *out, const input *in)
{
    const size_t n = m->s.info->image_size * m->s.info->image_columns * 3;
    uint8_t *rgb = malloc(n);
    int rc = rgb ? CLIPC_OK : clipc_fail_memory(&m->s.err, m->pixels, n);

    for (size_t i = 0; rc == CLIPC_OK && i < n; i++) {
        if (!(in->crop[i] >= 0.0f && in->crop[i] <= 255.0f))
            rc = clipc_fail(&m->s.err, CLIPC_ERR_ARG, "%s: a value is not 0 to 255",
                            m->pixels);
        else rgb[i] = (uint8_t)in->crop[i];
    }
    if (rc == CLIPC_OK) rc = clipc_encode_image_crops(m->s.ctx, out, rgb, 1, &m->s.err);
    free(rgb);
    return rc;
}

static const char *text_of(const input *in, size_t *len)
{
    const json_t *text = in->kind == LINE ? json_object_get(in->line, "text") : NULL;

    *len = text ? json_string_length(text) : strlen(in->name);
    return text ? json_string_value(text) : in->name;
}

static bool is_ids(const input *in)
{
    return in->kind == LINE && json_is_array(json_object_get(in->line, "ids"));
}

/* What can be encoded together. */
static bool alike(const input *a, const input *b)
{
    return a->kind == b->kind && a->kind != CROP && !is_ids(a) && !is_ids(b);
}

static int encode(embed *m, float *out, const input *in)
{
    size_t len;

    if (in->kind == CROP) return encode_crop(m, out, in);
    if (is_ids(in)) return encode_ids(m, out, in);
    const char *text = text_of(in, &len);
    return clipc_encode_text(m->s.ctx, out, text, len, &m->s.err);
}

static int encode_together(embed *m, const input *in, size_t n)
{
    const char *names[CHUNK];
    size_t lens[CHUNK];

    for (size_t i = 0; i < n; i++) {
        if (in->kind == IMAGE) names[i] = in[i].name;
        else names[i] = text_of(&in[i], &lens[i]);
    }
    memset(m->errs, 0, n * sizeof *m->errs);
    return in->kind == IMAGE
               ? clipc_encode_image_files(m->s.ctx, m->chunk, names, n, m->errs,
                                          &m->s.err)
               : clipc_encode_texts(m->s.ctx, m->chunk, names, lens, n, &m->s.err);
}

/* Inputs that are alike: their rows in m->chunk, and in m->errs what is wrong with each.
 */
static void encode_some(embed *m, const input *in, size_t n)
{
    const bool alone = in->kind == CROP || is_ids(in);

    if (!alone && encode_together(m, in, n) == CLIPC_OK) return;
    for (size_t i = 0; i < n; i++) { /* one by one, to tell which it is that fails */
        const int rc = in->kind == IMAGE
                           ? m->s.err.code
                           : encode(m, m->chunk + i * m->s.info->embed_dim, &in[i]);
        m->errs[i] = rc == CLIPC_OK ? (clipc_err){0} : m->s.err;
    }
}

/* ---- telling what a row is ---- */

/* {"image":..}, {"text":..}, {"pixels":n} or {"id":..} */
static json_t *about_input(const input *in)
{
    switch (in->kind) {
    case IMAGE: return json_pack("{s:o}", "image", json_text(in->name));
    case TEXT: return json_pack("{s:o}", "text", json_text(in->name));
    case CROP: return json_pack("{s:I}", "pixels", (json_int_t)in->at);
    case LINE: break;
    }
    json_t *id = json_object_get(in->line, "id");
    return id ? json_pack("{s:O}", "id", id)
              : json_pack("{s:I}", "line", (json_int_t)(in->at + 1));
}

static void print_line(const input *in, const float *x, size_t E)
{
    json_t *about = about_input(in);
    char *text = json_dumps(about, JSON_COMPACT);

    if (text) {
        text[strlen(text) - 1] = '\0'; /* the brace goes on */
        printf("%s,\"embedding\":[", text);
        for (size_t i = 0; i < E; i++) printf("%s%.9g", i ? "," : "", (double)x[i]);
        puts("]}");
    }
    free(text);
    json_decref(about);
}

/* A line of FILE.npy.jsonl. */
static int note_row(embed *m, const input *in)
{
    json_t *about = about_input(in);
    int rc = CLIPC_OK;

    if (about) json_object_set_new(about, "row", json_integer((json_int_t)m->n));
    char *text = json_dumps(about, JSON_COMPACT | JSON_SORT_KEYS);
    rc = text ? buf_printf(&m->about, &m->s.err, "%s\n", text)
              : clipc_fail_memory(&m->s.err, "rows", 0);
    free(text);
    json_decref(about);
    return rc;
}

static int write_out(embed *m)
{
    buf name = {0};
    int rc =
        clipc_write_npy(m->out, m->rows, m->n, m->s.info->embed_dim, m->force, &m->s.err);

    if (rc == CLIPC_OK) rc = buf_printf(&name, &m->s.err, "%s.jsonl", m->out);
    if (rc == CLIPC_OK)
        rc = file_replace(name.data, m->about.data, m->about.len, &m->s.err);
    buf_free(&name);
    return rc;
}

static int take_row(embed *m, const input *in, const float *row)
{
    const size_t E = m->s.info->embed_dim;

    if (!m->out) return print_line(in, row, E), m->n++, CLIPC_OK;
    memcpy(m->rows + m->n * E, row, E * sizeof *row);
    const int rc = note_row(m, in);
    m->n++;
    return rc;
}

static int run(embed *m)
{
    const size_t E = m->s.info->embed_dim, all = m->n_inputs;
    progress p = progress_start("embedded", all);
    int rc = CLIPC_OK;

    m->rows = malloc((m->out ? all : 1) * E * sizeof(float));
    m->chunk = malloc(CHUNK * E * sizeof(float));
    if (!m->rows || !m->chunk)
        rc = clipc_fail_memory(&m->s.err, "embeddings", all * E * sizeof(float));
    for (size_t i = 0, n; rc == CLIPC_OK && i < all; i += n) {
        const size_t most = m->inputs[i].kind == IMAGE ? PICTURES : CHUNK;
        for (n = 1; n < most && i + n < all; n++)
            if (!alike(&m->inputs[i], &m->inputs[i + n])) break;
        encode_some(m, &m->inputs[i], n);
        for (size_t k = 0; rc == CLIPC_OK && k < n; k++) {
            if (m->errs[k].code != CLIPC_OK) cli_fail(&m->errs[k]);
            else rc = take_row(m, &m->inputs[i + k], m->chunk + k * E);
        }
        progress_show(&p, i + n);
    }
    progress_end(&p);
    if (rc == CLIPC_OK && m->out && m->n) rc = write_out(m);
    if (rc != CLIPC_OK) return cli_fail(&m->s.err);
    return m->n == all ? EXIT_DONE : m->n ? EXIT_SOME : EXIT_NONE;
}

/* Hours of work want a place to go, where nothing is overwritten. */
static int check_out(embed *m)
{
    buf name = {0};
    int rc = buf_printf(&name, &m->s.err, "%s.jsonl", m->out);

    if (rc == CLIPC_OK) rc = atomic_check(m->out, m->force, &m->s.err);
    if (rc == CLIPC_OK) rc = atomic_check(name.data, m->force, &m->s.err);
    buf_free(&name);
    return rc;
}

static int open_all(embed *m, char **operands, size_t n)
{
    int rc = strings_images(&m->images, m->operands.v, m->operands.n, &m->s.err);

    if (rc == CLIPC_OK) rc = strings_images(&m->images, operands, n, &m->s.err);
    if (rc == CLIPC_OK && m->out) rc = check_out(m);
    if (rc == CLIPC_OK) rc = session_open(&m->s);
    if (rc == CLIPC_OK && m->pixels) rc = read_crops(m);
    if (rc == CLIPC_OK) rc = list_inputs(m);
    if (rc == CLIPC_OK && !m->n_inputs)
        rc = clipc_fail(&m->s.err, CLIPC_ERR_ARG, "embed: the inputs are empty");
    return rc;
}

int cmd_embed(int argc, char **argv)
{
    embed m = {.s.command = "embed"};
    const int at = opts_parse(argc, argv, table, sizeof table / sizeof table[0], &usage,
                              on_option, &m);
    int rc = cli_options_exit(at);

    if (at == argc && at >= 0 && !m.texts.n && !m.operands.n && !m.lines && !m.pixels)
        rc = cli_usage("embed", "nothing to embed: give pictures or --text");
    else if (at >= 0)
        rc = open_all(&m, argv + at, (size_t)(argc - at)) ? cli_fail(&m.s.err) : run(&m);
    session_close(&m.s);
    strings_free(&m.texts);
    strings_free(&m.images);
    strings_free(&m.operands);
    json_decref(m.lines);
    buf_free(&m.about);
    free(m.inputs);
    free(m.crops);
    free(m.rows);
    free(m.chunk);
    return rc;
}
