#define _GNU_SOURCE
#include "cli/thumbs.h"

#include <stdlib.h>

const char *const thumbs_ways[] = {"auto", "kitty", "iterm2", "sixel", "symbols", NULL};

#ifdef CLIPC_HAVE_CHAFA

#include <chafa.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/dynlib.h"
#include "base/file.h"
#include "base/sizes.h"

#define FUNCTIONS(X)                         \
    X(chafa_calc_canvas_geometry)            \
    X(chafa_canvas_config_new)               \
    X(chafa_canvas_config_set_canvas_mode)   \
    X(chafa_canvas_config_set_cell_geometry) \
    X(chafa_canvas_config_set_geometry)      \
    X(chafa_canvas_config_set_pixel_mode)    \
    X(chafa_canvas_config_set_symbol_map)    \
    X(chafa_canvas_config_unref)             \
    X(chafa_canvas_draw_all_pixels)          \
    X(chafa_canvas_new)                      \
    X(chafa_canvas_print)                    \
    X(chafa_canvas_unref)                    \
    X(chafa_symbol_map_add_by_tags)          \
    X(chafa_symbol_map_new)                  \
    X(chafa_symbol_map_unref)                \
    X(chafa_term_db_detect)                  \
    X(chafa_term_db_get_default)             \
    X(chafa_term_db_get_fallback_info)       \
    X(chafa_term_info_have_seq)              \
    X(chafa_term_info_supplement)            \
    X(chafa_term_info_unref)
#define GLIB_FUNCTIONS(X) X(g_string_free)

static struct {
    DYNLIB_POINTERS(FUNCTIONS)
} lib;
static dynlib library = DYNLIB("libchafa.so.0", FUNCTIONS, lib);
static struct {
    DYNLIB_POINTERS(GLIB_FUNCTIONS)
} glib;
static dynlib glib_library = DYNLIB("libglib-2.0.so.0", GLIB_FUNCTIONS, glib);

/* Of a picture: cells at most, and pixels that are enough for them. */
enum { COLUMNS = 32, ROWS = 10, SIDE = 320, FILE_LIMIT = 1 << 30 };

struct thumbs {
    ChafaTermInfo *term;
    ChafaPixelMode pixels;
    ChafaCanvasMode colours;
    int columns, cell[2]; /* of the terminal; width and height of a cell */
};

/* Whether a person who wants no control sequences would get some. */
static bool wants_none(void)
{
    const char *term = getenv("TERM"), *no_color = getenv("NO_COLOR");

    return !isatty(STDOUT_FILENO) || !term || !*term || strcmp(term, "dumb") == 0 ||
           (no_color && *no_color);
}

static bool has(const thumbs *t, ChafaTermSeq seq)
{
    return lib.chafa_term_info_have_seq(t->term, seq);
}

static ChafaPixelMode best_pixels(const thumbs *t)
{
    return has(t, CHAFA_TERM_SEQ_BEGIN_KITTY_IMMEDIATE_IMAGE_V1) ? CHAFA_PIXEL_MODE_KITTY
           : has(t, CHAFA_TERM_SEQ_BEGIN_ITERM2_IMAGE)           ? CHAFA_PIXEL_MODE_ITERM2
           : has(t, CHAFA_TERM_SEQ_BEGIN_SIXELS)                 ? CHAFA_PIXEL_MODE_SIXELS
                                                 : CHAFA_PIXEL_MODE_SYMBOLS;
}

static ChafaPixelMode pixels_named(const char *how)
{
    return strcmp(how, "kitty") == 0    ? CHAFA_PIXEL_MODE_KITTY
           : strcmp(how, "iterm2") == 0 ? CHAFA_PIXEL_MODE_ITERM2
           : strcmp(how, "sixel") == 0  ? CHAFA_PIXEL_MODE_SIXELS
                                        : CHAFA_PIXEL_MODE_SYMBOLS;
}

static ChafaCanvasMode best_colours(const thumbs *t)
{
    return has(t, CHAFA_TERM_SEQ_SET_COLOR_FGBG_DIRECT) ? CHAFA_CANVAS_MODE_TRUECOLOR
           : has(t, CHAFA_TERM_SEQ_SET_COLOR_FGBG_256)  ? CHAFA_CANVAS_MODE_INDEXED_256
           : has(t, CHAFA_TERM_SEQ_SET_COLOR_FGBG_16)   ? CHAFA_CANVAS_MODE_INDEXED_16
           : has(t, CHAFA_TERM_SEQ_SET_COLOR_FGBG_8)    ? CHAFA_CANVAS_MODE_INDEXED_8
                                                        : CHAFA_CANVAS_MODE_FGBG;
}

static void measure_terminal(thumbs *t)
{
    struct winsize w = {0};

    t->columns = 80, t->cell[0] = 10, t->cell[1] = 20;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) != 0 || !w.ws_col || !w.ws_row) return;
    t->columns = w.ws_col;
    if (w.ws_xpixel < w.ws_col || w.ws_ypixel < w.ws_row) return; /* not told */
    t->cell[0] = w.ws_xpixel / w.ws_col;
    t->cell[1] = w.ws_ypixel / w.ws_row;
}

/* What the terminal is not known to take, and was asked for. */
static void supplement(ChafaTermInfo *term, ChafaTermDb *db)
{
    ChafaTermInfo *usual = lib.chafa_term_db_get_fallback_info(db);

    lib.chafa_term_info_supplement(term, usual);
    lib.chafa_term_info_unref(usual);
}

int thumbs_open(thumbs **out, const char *how, clipc_err *err)
{
    const bool choose = strcmp(how, "auto") == 0;
    ChafaTermDb *db;
    thumbs *t;
    int rc;

    *out = NULL;
    if (choose && wants_none()) return CLIPC_OK;
    rc = dynlib_need(&glib_library, "thumbnails", err);
    if (rc == CLIPC_OK) rc = dynlib_need(&library, "thumbnails", err);
    if (rc != CLIPC_OK) return rc;
    if (!(t = calloc(1, sizeof *t)))
        return clipc_fail_memory(err, "thumbnails", sizeof *t);
    db = lib.chafa_term_db_get_default();
    t->term = lib.chafa_term_db_detect(db, environ);
    t->pixels = choose ? best_pixels(t) : pixels_named(how);
    t->colours = choose && t->pixels == CHAFA_PIXEL_MODE_SYMBOLS
                     ? best_colours(t)
                     : CHAFA_CANVAS_MODE_TRUECOLOR;
    if (!choose) supplement(t->term, db);
    measure_terminal(t);
    return *out = t, CLIPC_OK;
}

void thumbs_free(thumbs *t)
{
    if (!t) return;
    lib.chafa_term_info_unref(t->term);
    free(t);
}

/* A canvas as large as the picture needs. */
static ChafaCanvas *new_canvas(const thumbs *t, size_t w, size_t h)
{
    gint columns = t->columns < COLUMNS ? t->columns : COLUMNS, rows = ROWS;
    ChafaCanvasConfig *c = lib.chafa_canvas_config_new();
    ChafaSymbolMap *symbols = lib.chafa_symbol_map_new();
    ChafaCanvas *canvas;

    lib.chafa_calc_canvas_geometry((gint)w, (gint)h, &columns, &rows,
                                   (float)t->cell[0] / (float)t->cell[1], TRUE, FALSE);
    lib.chafa_canvas_config_set_geometry(c, columns > 0 ? columns : 1,
                                         rows > 0 ? rows : 1);
    lib.chafa_canvas_config_set_cell_geometry(c, t->cell[0], t->cell[1]);
    lib.chafa_canvas_config_set_pixel_mode(c, t->pixels);
    lib.chafa_canvas_config_set_canvas_mode(c, t->colours);
    lib.chafa_symbol_map_add_by_tags(symbols,
                                     CHAFA_SYMBOL_TAG_BLOCK | CHAFA_SYMBOL_TAG_SPACE);
    lib.chafa_canvas_config_set_symbol_map(c, symbols);
    canvas = lib.chafa_canvas_new(c);
    lib.chafa_symbol_map_unref(symbols);
    lib.chafa_canvas_config_unref(c);
    return canvas;
}

static void draw(const thumbs *t, const uint8_t *rgb, size_t w, size_t h)
{
    ChafaCanvas *canvas = new_canvas(t, w, h);
    GString *s;

    lib.chafa_canvas_draw_all_pixels(canvas, CHAFA_PIXEL_RGB8, rgb, (gint)w, (gint)h,
                                     (gint)(3 * w));
    s = lib.chafa_canvas_print(canvas, t->term);
    fwrite(s->str, 1, s->len, stdout);
    putchar('\n');
    (glib.g_string_free)(s, TRUE); /* in brackets: newer GLib has a macro of this name */
    lib.chafa_canvas_unref(canvas);
}

int thumbs_show(thumbs *t, const char *path, double max_megapixels, clipc_err *err)
{
    uint8_t *rgb = NULL;
    size_t w = 0, h = 0;
    buf file = {0};
    int rc;

    if (!t) return CLIPC_OK;
    rc = file_read(&file, path, FILE_LIMIT, err);
    if (rc == CLIPC_OK)
        rc = clipc_thumbnail_pixels(&rgb, &w, &h, file.data, file.len, path, SIDE,
                                    max_megapixels, err);
    if (rc == CLIPC_OK) draw(t, rgb, w, h);
    free(rgb);
    buf_free(&file);
    return rc;
}

#else

int thumbs_open(thumbs **out, const char *how, clipc_err *err)
{
    (void)how;
    *out = NULL;
    return clipc_fail(err, CLIPC_ERR_FEATURE,
                      "thumbnails: this clipc was built without libchafa");
}

void thumbs_free(thumbs *t)
{
    (void)t;
}

int thumbs_show(thumbs *t, const char *path, double max_megapixels, clipc_err *err)
{
    (void)t, (void)path, (void)max_megapixels, (void)err;
    return CLIPC_OK;
}

#endif
