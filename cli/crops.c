/* preprocess: what a model, or a recipe, makes of pictures before the image tower. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/ckd.h"
#include "base/file.h"
#include "base/json.h"
#include "cli/session.h"

typedef struct preprocess {
    session s;
    clipc_crop_options crop; /* with a recipe, instead of a model */
    const char *out, *format;
    bool force, alone; /* a recipe's options were given */
    strings images;
    size_t rows, columns, n;
    uint8_t *rgb; /* [n,rows,columns,3] */
    buf about;    /* FILE.npy.jsonl */
} preprocess;

static const opt table[] = {
    SESSION_OPTS,
    {"recipe", 'r', "R",
     "instead of a model: openai, hf, siglip, siglip-hf, shortest, "
     "longest, squash"},
    {"size", 's', "N", "with --recipe: the crop's side, also HxW (224)"},
    {"interpolation", 0, "I", "with --recipe: bicubic (default) or bilinear"},
    {"out", 'o', "FILE", "where the crops go"},
    {"format", 0, "F", "npy (uint8 [n,H,W,3]) or png; else FILE's name says it"},
    {"force", 'f', NULL, "overwrite --out"}};
static const opts_usage usage = {
    "preprocess", "IMAGE... --out FILE [options]",
    "Writes what a model really sees of pictures: resized, cropped, 8 bits a channel; as "
    "a NumPy array with FILE.npy.jsonl, which says what each row is, or one picture as "
    "PNG. A picture that fails takes no row. With --recipe no model is needed.",
    "  clipc preprocess cat.jpg -o seen.png\n"
    "  clipc preprocess photos/ --recipe hf --size 336 -o crops.npy\n"};

static int on_option(void *user, const char *name, const char *value)
{
    preprocess *m = user;
    const int rc = session_option(&m->s, name, value);

    if (rc != -1) return rc;
    if (strcmp(name, "force") == 0) m->force = true;
    if (strcmp(name, "out") == 0) m->out = value;
    if (strcmp(name, "recipe") == 0) m->crop.recipe = value;
    if (strcmp(name, "format") == 0) m->format = value;
    if (strcmp(name, "size") == 0) {
        clipc_open_options size = {0};
        m->alone = true;
        if (cli_image_size(&size, "preprocess", name, value)) return EXIT_USAGE;
        m->crop.rows = size.image_size, m->crop.columns = size.image_columns;
    }
    if (strcmp(name, "interpolation") == 0) {
        m->alone = true;
        m->crop.bilinear = strcmp(value, "bilinear") == 0;
        if (!m->crop.bilinear && strcmp(value, "bicubic") != 0)
            return cli_usage("preprocess", "--interpolation wants bicubic or bilinear");
    }
    return 0;
}

static bool is_png(const preprocess *m)
{
    return m->format ? strcmp(m->format, "png") == 0
                     : strcasecmp(path_ending(m->out), "png") == 0;
}

static int check_usage(const preprocess *m, int operands)
{
    if (!operands) return cli_usage("preprocess", "no picture given");
    if (!m->out) return cli_usage("preprocess", "--out is missing");
    if (m->format && strcmp(m->format, "png") != 0 && strcmp(m->format, "npy") != 0)
        return cli_usage("preprocess", "--format wants npy or png");
    if (!m->format && !is_png(m) && ending_is_picture(path_ending(m->out)))
        return cli_usage("preprocess",
                         "--out wants .png or .npy, or --format says which");
    if (m->crop.recipe && (m->s.model_name || m->s.open.image_size))
        return cli_usage("preprocess", "--recipe stands instead of a model");
    if (m->alone && !m->crop.recipe)
        return cli_usage("preprocess", "--size and --interpolation go with --recipe");
    return 0;
}

/* The size of a crop, and the model if there is one. */
static int begin(preprocess *m)
{
    size_t bytes;
    int rc = atomic_check(m->out, m->force, &m->s.err);

    if (rc != CLIPC_OK) return rc;
    if (m->crop.recipe) {
        m->crop.max_megapixels = m->s.options.max_megapixels;
        m->crop.auto_orient = m->s.options.auto_orient;
        m->crop.fast_decode = m->s.options.fast_decode;
        m->rows = m->crop.rows ? m->crop.rows : 224;
        m->columns = m->crop.columns ? m->crop.columns : m->rows;
    } else if ((rc = session_open(&m->s)) == CLIPC_OK) {
        m->rows = m->s.info->image_size, m->columns = m->s.info->image_columns;
    }
    if (rc != CLIPC_OK) return rc;
    if (ckd_mul_size(&bytes, m->rows * 3, m->columns) ||
        ckd_mul_size(&bytes, bytes, m->images.n))
        bytes = SIZE_MAX;
    else m->rgb = malloc(bytes);
    return m->rgb ? CLIPC_OK : clipc_fail_memory(&m->s.err, "crops", bytes);
}

static int note_row(preprocess *m, const char *image)
{
    json_t *about =
        json_pack("{s:o,s:I}", "image", json_text(image), "row", (json_int_t)m->n);
    char *text = about ? json_dumps(about, JSON_COMPACT) : NULL;
    const int rc = text ? buf_printf(&m->about, &m->s.err, "%s\n", text)
                        : clipc_fail_memory(&m->s.err, "rows", 0);

    free(text);
    json_decref(about);
    return rc;
}

static int write_npy(preprocess *m)
{
    buf name = {0};
    int rc = buf_printf(&name, &m->s.err, "%s.jsonl", m->out);

    if (rc == CLIPC_OK && !m->force && file_exists(name.data))
        rc = clipc_fail(&m->s.err, CLIPC_ERR_EXISTS, "%s: exists already", name.data);
    if (rc == CLIPC_OK)
        rc = clipc_write_npy_crops(m->out, m->rgb, m->n, m->rows, m->columns, m->force,
                                   &m->s.err);
    if (rc == CLIPC_OK)
        rc = file_replace(name.data, m->about.data, m->about.len, &m->s.err);
    buf_free(&name);
    return rc;
}

static int run(preprocess *m)
{
    const size_t all = m->images.n, bytes = m->rows * m->columns * 3;
    progress p = progress_start("pictures", all);
    int rc = CLIPC_OK;

    for (size_t i = 0; rc == CLIPC_OK && i < all; i++) {
        const char *image = m->images.v[i];
        uint8_t *to = m->rgb + m->n * bytes;
        const int one = m->crop.recipe
                            ? clipc_crop_file(to, image, &m->crop, &m->s.err)
                            : clipc_preprocess_file(m->s.ctx, to, image, &m->s.err);
        if (one != CLIPC_OK) {
            cli_fail(&m->s.err);
        } else {
            rc = note_row(m, image);
            m->n++;
        }
        progress_show(&p, i + 1);
    }
    progress_end(&p);
    if (rc == CLIPC_OK && m->n)
        rc = is_png(m) ? clipc_write_png(m->out, m->rgb, m->columns, m->rows, m->force,
                                         &m->s.err)
                       : write_npy(m);
    if (rc != CLIPC_OK) return cli_fail(&m->s.err);
    return m->n == all ? EXIT_DONE : m->n ? EXIT_SOME : EXIT_NONE;
}

int cmd_preprocess(int argc, char **argv)
{
    preprocess m = {.s.command = "preprocess"};
    const int at = opts_parse(argc, argv, table, sizeof table / sizeof table[0], &usage,
                              on_option, &m);
    int rc = cli_options_exit(at);

    if (at >= 0 && (rc = check_usage(&m, argc - at)) == 0) {
        rc = strings_images(&m.images, argv + at, (size_t)(argc - at), &m.s.err);
        if (rc == CLIPC_OK && is_png(&m) && m.images.n != 1)
            rc = cli_usage("preprocess", "one picture for a PNG, or --format npy");
        else if (rc == CLIPC_OK && !(rc = begin(&m))) rc = run(&m);
        else rc = cli_fail(&m.s.err);
    }
    session_close(&m.s);
    strings_free(&m.images);
    buf_free(&m.about);
    free(m.rgb);
    return rc;
}
