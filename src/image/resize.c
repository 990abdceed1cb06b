#include "image/resize.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/ckd.h"

void resize_work_free(resize_work *w)
{
    if (!w) return;
    free(w->weights);
    free(w->fixed_x);
    free(w->fixed_y);
    free(w->end);
    free(w->bounds_x);
    free(w->bounds_y);
    free(w->rows);
    free(w->premultiplied);
    free(w->out);
    free(w->exact_x);
    free(w->exact_y);
    *w = (resize_work){0};
}

int resize_grow(void **p, size_t *cap, size_t bytes, clipc_err *err)
{
    if (bytes <= *cap && *p) return CLIPC_OK;
    free(*p);
    *cap = 0;
    *p = malloc(bytes ? bytes : 1);
    if (!*p) return clipc_fail_memory(err, "resize", bytes);
    *cap = bytes;
    return CLIPC_OK;
}

#define GROW(w, member, count, err)                                \
    resize_grow((void **)(void *)&(w)->member, &(w)->cap_##member, \
                (count) * sizeof *(w)->member, err)

static double bilinear(double x)
{
    x = fabs(x);
    return x < 1.0 ? 1.0 - x : 0.0;
}

static double bicubic(double x)
{
    const double a = -0.5;

    x = fabs(x);
    if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
    if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * a;
    return 0.0;
}

/* Weights held for an output: as many as there can be, and up to a whole step. */
static size_t taps_of(double side, size_t out, filter f, double *scale, double *support)
{
    *scale = side / (double)out;
    const double wide = *scale < 1.0 ? 1.0 : *scale;
    *support = (f == FILTER_BICUBIC ? 2.0 : 1.0) * wide;
    return ((size_t)ceil(*support) * 2 + BYTE_STEP) / BYTE_STEP * BYTE_STEP;
}

/* Fills weights and bounds for outputs [from, from+n) of an axis of `in` pixels, of which
 * `spill` as in image: in fixed point (w is scratch of taps), or, fixed NULL, as they
 * are, w [n,taps].
 */
static void fill_axis(int32_t *fixed, size_t *bounds, double *w, size_t taps, size_t in,
                      double spill, double scale, double support, size_t from, size_t n,
                      filter f)
{
    double (*kernel)(double) = f == FILTER_BICUBIC ? bicubic : bilinear;
    const double wide = scale < 1.0 ? 1.0 : scale, inv = 1.0 / wide;
    const double begin = spill < 0.0 ? -spill : 0.0;

    for (size_t i = 0; i < n; i++) {
        const double center = begin + ((double)(from + i) + 0.5) * scale;
        /* Truncation of a negative number rounds up to 0: the clip below is then no
         * change. */
        long lo = (long)(center - support + 0.5), hi = (long)(center + support + 0.5);
        double sum = 0.0;
        if (lo < 0) lo = 0;
        if (hi > (long)in) hi = (long)in;
        const size_t count = (size_t)(hi - lo);
        for (size_t k = 0; k < count; k++) {
            w[k] = kernel(((double)k + (double)lo - center + 0.5) * inv);
            sum += w[k];
        }
        for (size_t k = 0; k < count; k++) {
            if (sum != 0.0) w[k] /= sum;
            if (!fixed) continue;
            const double x = w[k] * (double)(1 << BYTE_SHIFT);
            fixed[k] = (int32_t)(x < 0 ? x - 0.5 : x + 0.5);
        }
        for (size_t k = count; fixed && k < taps; k++) fixed[k] = 0;
        if (fixed) fixed += taps;
        else w += taps;
        bounds[2 * i] = (size_t)lo;
        bounds[2 * i + 1] = count;
    }
}

/* Rows [first, last) of px, which has h rows of `stride` bytes.  The picture's last ones
 * go through work->end, since byte_rows reads on behind them. */
static void filter_rows(resize_work *work, uint8_t *out, const uint8_t *px, size_t stride,
                        size_t h, size_t first, size_t last, const byte_filter *f,
                        size_t c)
{
    const size_t near = (BYTE_STEP + stride - 1) / stride;
    size_t mid = h < near ? 0 : h - near;

    mid = mid < first ? first : mid > last ? last : mid;
    const size_t n = last - mid;
    memcpy(work->end, px + mid * stride, n * stride);
    memset(work->end + n * stride, 0, BYTE_STEP);
    work->k->byte_rows(out, px + first * stride, stride, mid - first, c, f);
    work->k->byte_rows(out + (mid - first) * f->n * c, work->end, stride, n, c, f);
}

/* rows: filtered along x already, the first of them being input row `first`. */
static void filter_columns(const kernels *k, uint8_t *out, const uint8_t *rows,
                           size_t first, size_t stride, const byte_filter *f)
{
    for (size_t i = 0; i < f->n; i++, out += stride)
        k->byte_columns(out, rows + (f->bounds[2 * i] - first) * stride, stride,
                        f->weights + i * f->taps, f->bounds[2 * i + 1], stride);
}

/* Pillow steps by adding the scale, which at halves differs from multiplying: so do we.
 */
static void nearest(uint8_t *out, const image *im, size_t w, size_t h, size_t x0,
                    size_t y0, size_t cw, size_t ch)
{
    const size_t c = image_channels(im->mode);
    const double sx = (double)im->w / (double)w, sy = (double)im->h / (double)h;
    double at_y = 0.5 * sy;

    for (size_t y = 0; y < y0 + ch; y++, at_y += sy) {
        double at_x = 0.5 * sx;
        if (y < y0) continue;
        for (size_t x = 0; x < x0 + cw; x++, at_x += sx) {
            if (x < x0) continue;
            memcpy(out, im->px + ((size_t)at_y * im->w + (size_t)at_x) * c, c);
            out += c;
        }
    }
}

static uint8_t muldiv255(unsigned a, unsigned b)
{
    const unsigned t = a * b + 128;
    return (uint8_t)(((t >> 8) + t) >> 8);
}

static void premultiply(uint8_t *out, const uint8_t *in, size_t n, size_t c)
{
    for (size_t i = 0; i < n; i++, in += c, out += c) {
        for (size_t ch = 0; ch + 1 < c; ch++) out[ch] = muldiv255(in[ch], in[c - 1]);
        out[c - 1] = in[c - 1];
    }
}

static void unpremultiply(uint8_t *px, size_t n, size_t c)
{
    for (size_t i = 0; i < n; i++, px += c) {
        const unsigned a = px[c - 1];
        for (size_t ch = 0; a != 0 && a != 255 && ch + 1 < c; ch++) {
            const unsigned v = 255u * px[ch] / a;
            px[ch] = (uint8_t)(v > 255 ? 255 : v);
        }
    }
}

/* Pillow 13 resizes columns first where the height shrinks by more than twice as much as
 * the width; rounding between the passes makes it visible.  Before, rows came first. */
static bool columns_first(const image *im, size_t w, size_t h)
{
    return w != im->w && h < im->h && (w > im->w || im->h - h > 2 * (im->w - w));
}

/* Two passes over px; of rows only those that the second needs go through the first.  A
 * pass that would change nothing is left out, as in Pillow. */
static int resample(uint8_t *out, resize_work *work, const uint8_t *px, const image *im,
                    size_t w, size_t h, size_t x0, size_t y0, size_t cw, size_t ch,
                    filter f, clipc_err *err)
{
    const size_t c = image_channels(im->mode);
    double scale_x, support_x, scale_y, support_y;
    const size_t tx = taps_of(image_side(im->w, im->spill_x), w, f, &scale_x, &support_x);
    const size_t ty = taps_of(image_side(im->h, im->spill_y), h, f, &scale_y, &support_y);
    int rc = GROW(work, weights, tx > ty ? tx : ty, err);

    if (rc == CLIPC_OK) rc = GROW(work, fixed_x, cw * tx, err);
    if (rc == CLIPC_OK) rc = GROW(work, bounds_x, cw * 2, err);
    if (rc == CLIPC_OK) rc = GROW(work, fixed_y, ch * ty, err);
    if (rc == CLIPC_OK) rc = GROW(work, bounds_y, ch * 2, err);
    if (rc != CLIPC_OK) return rc;
    fill_axis(work->fixed_x, work->bounds_x, work->weights, tx, im->w, im->spill_x,
              scale_x, support_x, x0, cw, f);
    fill_axis(work->fixed_y, work->bounds_y, work->weights, ty, im->h, im->spill_y,
              scale_y, support_y, y0, ch, f);

    const byte_filter fx = {cw, tx, work->bounds_x, work->fixed_x};
    const byte_filter fy = {ch, ty, work->bounds_y, work->fixed_y};
    const bool columns = columns_first(im, w, h);
    const size_t first = work->bounds_y[0];
    const size_t last = work->bounds_y[2 * (ch - 1)] + work->bounds_y[2 * (ch - 1) + 1];
    rc = GROW(work, rows, (columns ? ch * im->w : (last - first) * cw) * c, err);
    if (rc == CLIPC_OK) rc = GROW(work, end, im->w * c + 2 * BYTE_STEP, err);
    if (rc != CLIPC_OK) return rc;
    if (columns) {
        filter_columns(work->k, work->rows, px, 0, im->w * c, &fy);
        filter_rows(work, out, work->rows, im->w * c, ch, 0, ch, &fx, c);
        return CLIPC_OK;
    }
    if (w == im->w)
        for (size_t y = first; y < last; y++)
            memcpy(work->rows + (y - first) * cw * c, px + (y * im->w + x0) * c, cw * c);
    else filter_rows(work, work->rows, px, im->w * c, im->h, first, last, &fx, c);
    if (h == im->h) memcpy(out, work->rows + (y0 - first) * cw * c, ch * cw * c);
    else filter_columns(work->k, out, work->rows, first, cw * c, &fy);
    return CLIPC_OK;
}

/* ---- pixels of more than 8 bits ---- */

double wide_get(const uint8_t *px, image_mode mode)
{
    int32_t v;
    uint16_t u;
    float f;

    if (mode == IMAGE_F) return memcpy(&f, px, sizeof f), (double)f;
    if (mode == IMAGE_I) return memcpy(&v, px, sizeof v), v;
    return memcpy(&u, px, sizeof u), u;
}

void wide_put(uint8_t *px, image_mode mode, double sum)
{
    const double whole = sum >= 0.0 ? sum + 0.5 : sum - 0.5;
    /* What does not fit becomes what Pillow's cast makes of it on x86. */
    const int32_t v = fabs(whole) < 2147483648.0 ? (int32_t)whole : INT32_MIN;
    const uint16_t u = (uint16_t)(v < 0 ? 0 : v > 65535 ? 65535 : v);
    const float f = (float)sum;

    if (mode == IMAGE_F) memcpy(px, &f, sizeof f);
    else if (mode == IMAGE_I) memcpy(px, &v, sizeof v);
    else memcpy(px, &u, sizeof u);
}

/* As byte_filter, with weights in double. */
typedef struct wide_axis {
    const size_t *bounds;
    const double *weights;
    size_t taps, out;
} wide_axis;

/* One line; the pixels of input and output stand `step` bytes apart.  The input's first
 * pixel is number `first`. */
static void wide_line(uint8_t *out, const uint8_t *in, size_t step, image_mode mode,
                      const wide_axis *a, size_t first)
{
    for (size_t i = 0; i < a->out; i++) {
        const double *w = a->weights + i * a->taps;
        double sum = 0.0;
        for (size_t k = 0; k < a->bounds[2 * i + 1]; k++)
            sum += wide_get(in + (a->bounds[2 * i] - first + k) * step, mode) * w[k];
        wide_put(out + i * step, mode, sum);
    }
}

static int resample_wide(uint8_t *out, resize_work *work, const image *im, size_t w,
                         size_t h, size_t x0, size_t y0, size_t cw, size_t ch, filter f,
                         clipc_err *err)
{
    const size_t c = image_channels(im->mode);
    double scale_x, support_x, scale_y, support_y;
    const size_t tx = taps_of(image_side(im->w, im->spill_x), w, f, &scale_x, &support_x);
    const size_t ty = taps_of(image_side(im->h, im->spill_y), h, f, &scale_y, &support_y);
    int rc = GROW(work, exact_x, cw * tx, err);

    if (rc == CLIPC_OK) rc = GROW(work, bounds_x, cw * 2, err);
    if (rc == CLIPC_OK) rc = GROW(work, exact_y, ch * ty, err);
    if (rc == CLIPC_OK) rc = GROW(work, bounds_y, ch * 2, err);
    if (rc != CLIPC_OK) return rc;
    fill_axis(NULL, work->bounds_x, work->exact_x, tx, im->w, im->spill_x, scale_x,
              support_x, x0, cw, f);
    fill_axis(NULL, work->bounds_y, work->exact_y, ty, im->h, im->spill_y, scale_y,
              support_y, y0, ch, f);

    const bool columns = columns_first(im, w, h);
    const size_t first = work->bounds_y[0];
    const size_t last = work->bounds_y[2 * (ch - 1)] + work->bounds_y[2 * (ch - 1) + 1];
    const wide_axis ax = {work->bounds_x, work->exact_x, tx, cw};
    const wide_axis ay = {work->bounds_y, work->exact_y, ty, ch};
    rc = GROW(work, rows, (columns ? ch * im->w : (last - first) * cw) * c, err);
    if (rc != CLIPC_OK) return rc;
    if (columns) {
        for (size_t x = 0; x < im->w; x++)
            wide_line(work->rows + x * c, im->px + x * c, im->w * c, im->mode, &ay, 0);
        for (size_t y = 0; y < ch; y++)
            wide_line(out + y * cw * c, work->rows + y * im->w * c, c, im->mode, &ax, 0);
        return CLIPC_OK;
    }
    for (size_t y = first; y < last; y++) {
        uint8_t *row = work->rows + (y - first) * cw * c;
        const uint8_t *in = im->px + y * im->w * c;
        if (w == im->w) memcpy(row, in + x0 * c, cw * c);
        else wide_line(row, in, c, im->mode, &ax, 0);
    }
    if (h == im->h) memcpy(out, work->rows + (y0 - first) * cw * c, ch * cw * c);
    for (size_t x = 0; h != im->h && x < cw; x++)
        wide_line(out + x * c, work->rows + x * c, cw * c, im->mode, &ay, first);
    return CLIPC_OK;
}

int resize_crop(uint8_t *out, resize_work *work, const image *im, size_t w, size_t h,
                size_t x0, size_t y0, size_t cw, size_t ch, filter f, clipc_err *err)
{
    const size_t c = image_channels(im->mode), n = im->w * im->h;
    const bool alpha = im->mode == IMAGE_RGBA || im->mode == IMAGE_LA;
    const uint8_t *px = im->px;
    int rc;

    if (w == im->w && h == im->h) {
        for (size_t y = 0; y < ch; y++)
            memcpy(out + y * cw * c, px + ((y0 + y) * w + x0) * c, cw * c);
        return CLIPC_OK;
    }
    if (f == FILTER_NEAREST || im->mode == IMAGE_P || im->mode == IMAGE_1) {
        nearest(out, im, w, h, x0, y0, cw, ch);
        return CLIPC_OK;
    }
    if (image_is_wide(im->mode))
        return resample_wide(out, work, im, w, h, x0, y0, cw, ch, f, err);
    if (alpha) {
        if ((rc = GROW(work, premultiplied, n * c, err)) != CLIPC_OK) return rc;
        premultiply(work->premultiplied, im->px, n, c);
        px = work->premultiplied;
    }
    if (!work->k && (rc = kernels_pick(&work->k, err)) != CLIPC_OK) return rc;
    rc = resample(out, work, px, im, w, h, x0, y0, cw, ch, f, err);
    if (rc == CLIPC_OK && alpha) unpremultiply(out, cw * ch, c);
    return rc;
}
