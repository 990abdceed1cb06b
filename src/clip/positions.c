#include "clip/positions.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/ckd.h"
#include "nn/interpolate.h"

static bool is_image(const param *p)
{
    return strcmp(p->name, "visual.positional_embedding") == 0;
}

/* Rows of t when it is [..1,rows,C] as p, else 0. */
static size_t rows_of(const param *p, const tensor *t)
{
    const size_t C = p->dims[1];

    return t->n_dims >= 2 && t->dims[t->n_dims - 1] == C &&
                   t->n == t->dims[t->n_dims - 2] * C
               ? t->dims[t->n_dims - 2]
               : 0;
}

/* The class token's row, which stays as it is. */
static size_t class_rows(const net *n)
{
    return n->cfg.image.no_class_token || n->cfg.image.no_class_position ? 0 : 1;
}

static void wanted_grid(size_t grid[2], const net *n)
{
    const image_cfg *c = &n->cfg.image;

    grid[0] = c->image_size / c->patch_size;
    grid[1] = image_columns(c) / c->patch_size;
}

/* The grid of so many patches: the file's own where it is known, else the square that
 * open_clip takes it for. */
static void stored_grid(size_t grid[2], const net *n, const model_source *s,
                        size_t patches)
{
    size_t product;

    for (size_t i = 0; i < 2; i++) grid[i] = s->stored[i] / n->cfg.image.patch_size;
    if (!ckd_mul_size(&product, grid[0], grid[1]) && product == patches) return;
    grid[0] = grid[1] = (size_t)sqrt((double)patches);
}

bool positions_differ(const net *n, const model_source *s, const param *p,
                      const tensor *t)
{
    const bool open_clips = s->cfg.layout == LAYOUT_OPEN_CLIP && !s->packed;
    const bool text = strcmp(p->name, "positional_embedding") == 0;
    const size_t rows = t && (text || is_image(p)) ? rows_of(p, t) : 0;
    size_t from[2], to[2];

    if (!rows) return false;
    if (text) return (open_clips || s->other_context) && rows != p->dims[0];
    if (!s->stored[0]) return open_clips && rows != p->dims[0];
    stored_grid(from, n, s, rows - class_rows(n));
    wanted_grid(to, n);
    return from[0] != to[0] || from[1] != to[1];
}

static int load_image(float *to, net *n, const model_source *s, const param *p,
                      const float *in, size_t rows, clipc_err *err)
{
    const size_t C = p->dims[1], cls = class_rows(n);
    size_t from[2], grid[2], room;
    float *work = NULL;

    stored_grid(from, n, s, rows - cls);
    wanted_grid(grid, n);
    if (rows <= cls || from[0] * from[1] != rows - cls)
        return clipc_fail(err, CLIPC_ERR_FORMAT,
                          "%s: %zu positions of patches are no square, wanted %zux%zu",
                          s->path, rows - cls, grid[0], grid[1]);
    if (ckd_mul_size(&room, from[0] * C, grid[1] * sizeof *work) ||
        !(work = malloc(room)))
        return clipc_fail_memory(err, p->name, p->n * sizeof *work);
    memcpy(to, in, cls * C * sizeof *to);
    interpolate_bicubic(to + cls * C, work, in + cls * C, from[0], from[1], grid[0],
                        grid[1], C);
    memcpy(n->stored_grid, from, sizeof from);
    free(work);
    return CLIPC_OK;
}

static void load_text(float *to, net *n, const param *p, const float *in, size_t rows)
{
    interpolate_linear(to, in, rows, p->dims[0], p->dims[1]);
    n->stored_context = rows - n->cfg.text.embed_cls;
}

int positions_load(float *to, net *n, const model_source *s, const param *p,
                   const tensor *t, const kernels *k, clipc_err *err)
{
    const size_t rows = rows_of(p, t);
    float *in = NULL;
    size_t room;
    int rc = CLIPC_OK;

    if (ckd_mul_size(&room, t->n, sizeof *in) || !(in = malloc(room)))
        return clipc_fail_memory(err, t->name, t->n * sizeof *in);
    dtype_to_f32(k, in, t->data, t->dt, t->n);
    if (!isfinite(k->max_abs(in, t->n)))
        rc = clipc_fail(err, CLIPC_ERR_NUMBER, "%s: %s: holds NaN or infinity", s->path,
                        t->name);
    else if (is_image(p)) rc = load_image(to, n, s, p, in, rows, err);
    else load_text(to, n, p, in, rows);
    free(in);
    return rc;
}
