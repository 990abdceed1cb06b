#include "image/augment.h"

#include <math.h>
#include <string.h>

#include "image/adjust.h"
#include "image/preprocess.h"

augment_cfg augment_default(void)
{
    return (augment_cfg){.ground = {0.45f, 0.15f, 0.30f, 0.10f},
                         .rotate = 12.0f,
                         .scale = {0.7f, 1.35f},
                         .shift = 0.1f,
                         .crop = {0.9f, 1.0f},
                         .ratio = {0.75f, 4.0f / 3.0f},
                         .flip = 0.5f,
                         .grey = 0.15f,
                         .jitter_chance = 1.0f,
                         .erase_count = 1,
                         .blur_sigma = {0.1f, 2.0f}};
}

static float between(rng *r, float lo, float hi)
{
    return lo + (hi - lo) * rng_uniform(r);
}

static void any_colour(uint8_t *rgb, rng *r)
{
    const uint64_t bits = rng_u64(r);
    for (int i = 0; i < 3; i++) rgb[i] = (uint8_t)(bits >> (8 * i + 16));
}

static void pick_ground(uint8_t *rgb, const augment_cfg *cfg, rng *r)
{
    float u = rng_uniform(r);
    uint8_t colour[3];
    const uint8_t grey = (uint8_t)(rng_u64(r) >> 56);

    any_colour(colour, r);
    if ((u -= cfg->ground[0]) < 0) memset(rgb, 255, 3);
    else if ((u -= cfg->ground[1]) < 0) memset(rgb, grey, 3);
    else if ((u -= cfg->ground[2]) < 0) memcpy(rgb, colour, 3);
    else memset(rgb, 0, 3);
}

static int luma(const uint8_t *rgb)
{
    return (299 * rgb[0] + 587 * rgb[1] + 114 * rgb[2]) / 1000;
}

/* Ten tries for a colour at least 90 levels lighter or darker; then black or white. */
static void pick_tint(uint8_t *rgb, const uint8_t *ground, rng *r)
{
    for (int i = 0; i < 10; i++) {
        any_colour(rgb, r);
        const int d = luma(rgb) - luma(ground);
        if (d > 90 || d < -90) return;
    }
    memset(rgb, luma(ground) > 127 ? 0 : 255, 3);
}

/* Affine map from output to source pixels: sx = a x + b y + c, sy = d x + e y + f. */
typedef struct warp {
    float a, b, c, d, e, f;
} warp;

static warp pick_warp(const augment_cfg *cfg, size_t w, size_t h, size_t S, rng *r)
{
    const float side = (float)(w > h ? w : h);
    const float angle = between(r, -cfg->rotate, cfg->rotate) * 0.0174532925f;
    /* In logarithms, so that growing and shrinking are equally likely. */
    const float scale = expf(between(r, logf(cfg->scale[0]), logf(cfg->scale[1])));
    const float dx = between(r, -cfg->shift, cfg->shift),
                dy = between(r, -cfg->shift, cfg->shift);
    const float flip = rng_uniform(r) < cfg->flip ? -1.0f : 1.0f;
    const float k = side / ((float)S * scale), middle = 0.5f * (float)S;
    const float cs = cosf(angle) * k, sn = sinf(angle) * k;
    warp m = {.a = flip * cs, .b = flip * sn, .d = -sn, .e = cs};

    m.c =
        0.5f * (float)w - m.a * (middle + dx * (float)S) - m.b * (middle + dy * (float)S);
    m.f =
        0.5f * (float)h - m.d * (middle + dx * (float)S) - m.e * (middle + dy * (float)S);
    return m;
}

/* Premultiplied RGBA at (x, y) of px, transparent outside: sum += weight * pixel. */
static inline void tap(float *sum, const uint8_t *px, long w, long h, long x, long y,
                       float weight)
{
    if (x < 0 || y < 0 || x >= w || y >= h) return;
    const uint8_t *p = px + (size_t)(y * w + x) * 4;
    for (int i = 0; i < 4; i++) sum[i] += weight * (float)p[i];
}

static void warp_drawing(uint8_t *out, const uint8_t *px, size_t w, size_t h, size_t S,
                         const warp *m, const uint8_t *ground, const uint8_t *tint)
{
    for (size_t y = 0; y < S; y++)
        for (size_t x = 0; x < S; x++, out += 3) {
            const float ox = (float)x + 0.5f, oy = (float)y + 0.5f;
            const float sx = m->a * ox + m->b * oy + m->c - 0.5f;
            const float sy = m->d * ox + m->e * oy + m->f - 0.5f;
            const float fx = floorf(sx), fy = floorf(sy), u = sx - fx, v = sy - fy;
            const long ix = (long)fx, iy = (long)fy;
            float sum[4] = {0};
            tap(sum, px, (long)w, (long)h, ix, iy, (1 - u) * (1 - v));
            tap(sum, px, (long)w, (long)h, ix + 1, iy, u * (1 - v));
            tap(sum, px, (long)w, (long)h, ix, iy + 1, (1 - u) * v);
            tap(sum, px, (long)w, (long)h, ix + 1, iy + 1, u * v);
            const float alpha = sum[3] / 255.0f;
            for (int i = 0; i < 3; i++) {
                const float ink = tint ? alpha * (float)tint[i] : sum[i];
                out[i] = (uint8_t)fminf(255.0f,
                                        ink + (1.0f - alpha) * (float)ground[i] + 0.5f);
            }
        }
}

/* RGBA, premultiplied, from any mode with transparency; shrunk first where the drawing is
 * much larger than the view, since the warp looks at four pixels only. */
static int drawing_pixels(const uint8_t **px, size_t *w, size_t *h, resize_work *work,
                          const image *im, size_t S, clipc_err *err)
{
    const size_t side = im->w > im->h ? im->w : im->h, c = image_channels(im->mode);
    const size_t most = S + S / 2;
    int rc;

    *w = side > most ? (im->w * most + side - 1) / side : im->w;
    *h = side > most ? (im->h * most + side - 1) / side : im->h;
    const size_t n = *w * *h;
    rc = resize_grow((void **)(void *)&work->out, &work->cap_out, n * 8, err);
    if (rc != CLIPC_OK) return rc;
    uint8_t *raw = work->out + n * 4, *rgba = work->out;
    rc = resize_crop(raw, work, im, *w, *h, 0, 0, *w, *h, FILTER_BILINEAR, err);
    if (rc != CLIPC_OK) return rc;
    for (size_t i = 0; i < n; i++, raw += c, rgba += 4) {
        const unsigned alpha = im->mode == IMAGE_P ? im->palette[raw[0]][3] : raw[c - 1];
        const uint8_t *rgb = im->mode == IMAGE_P ? im->palette[raw[0]] : raw;
        for (size_t ch = 0; ch < 3; ch++)
            rgba[ch] = (uint8_t)(rgb[im->mode == IMAGE_LA ? 0 : ch] * alpha / 255);
        rgba[3] = (uint8_t)alpha;
    }
    *px = work->out;
    return CLIPC_OK;
}

static bool is_drawing(const image *im)
{
    return im->mode == IMAGE_RGBA || im->mode == IMAGE_LA ||
           (im->mode == IMAGE_P && im->palette_alpha);
}

/* torchvision's RandomResizedCrop: ten tries for a rectangle that fits, else the middle.
 */
static void pick_crop(size_t *x, size_t *y, size_t *w, size_t *h, const image *im,
                      const augment_cfg *cfg, rng *r)
{
    for (int i = 0; i < 10; i++) {
        const float area =
            (float)im->w * (float)im->h * between(r, cfg->crop[0], cfg->crop[1]);
        const float ratio = expf(between(r, logf(cfg->ratio[0]), logf(cfg->ratio[1])));
        *w = (size_t)lroundf(sqrtf(area * ratio));
        *h = (size_t)lroundf(sqrtf(area / ratio));
        if (*w < 1 || *h < 1 || *w > im->w || *h > im->h) continue;
        *x = (size_t)rng_below(r, im->w - *w + 1);
        *y = (size_t)rng_below(r, im->h - *h + 1);
        return;
    }
    *w = *h = im->w < im->h ? im->w : im->h;
    *x = (im->w - *w) / 2;
    *y = (im->h - *h) / 2;
}

static int crop_photograph(uint8_t *out, resize_work *work, const image *im,
                           const augment_cfg *cfg, size_t S, rng *r, clipc_err *err)
{
    const size_t c = image_channels(im->mode);
    size_t x, y, w, h;
    image part;
    int rc;

    pick_crop(&x, &y, &w, &h, im, cfg, r);
    const bool flip = rng_uniform(r) < cfg->flip;
    if ((rc = image_alloc(&part, w, h, im->mode, "crop", err)) != CLIPC_OK) return rc;
    memcpy(part.palette, im->palette, sizeof part.palette);
    for (size_t row = 0; row < h; row++)
        memcpy(part.px + row * w * c, im->px + ((y + row) * im->w + x) * c, w * c);
    rc = resize_grow((void **)(void *)&work->out, &work->cap_out, S * S * c, err);
    if (rc == CLIPC_OK)
        rc = resize_crop(work->out, work, &part, S, S, 0, 0, S, S, FILTER_BICUBIC, err);
    if (rc == CLIPC_OK) pixels_to_rgb(out, work->out, S * S, &part);
    image_free(&part);
    for (size_t row = 0; rc == CLIPC_OK && flip && row < S; row++)
        for (size_t i = 0, j = S - 1; i < j; i++, j--) {
            uint8_t keep[3], *a = out + (row * S + i) * 3, *b = out + (row * S + j) * 3;
            memcpy(keep, a, 3);
            memcpy(a, b, 3);
            memcpy(b, keep, 3);
        }
    return rc;
}

/* ColorJitter: the four in random order. */
static void jitter_colours(uint8_t *px, const augment_cfg *cfg, size_t n, rng *r)
{
    static void (*const adjust[])(uint8_t * px, size_t n, float factor) = {
        adjust_brightness, adjust_contrast, adjust_saturation, adjust_hue};
    int order[] = {0, 1, 2, 3};

    for (int i = 3; i > 0; i--) {
        const int k = (int)rng_below(r, (uint64_t)i + 1), keep = order[i];
        order[i] = order[k], order[k] = keep;
    }
    for (int i = 0; i < 4; i++) {
        const int what = order[i];
        const float far = cfg->jitter[what];
        if (far <= 0.0f) continue;
        adjust[what](px, n,
                     what == 3 ? between(r, -far, far)
                               : between(r, fmaxf(0.0f, 1.0f - far), 1.0f + far));
    }
}

static bool happens(float chance, rng *r)
{
    return chance > 0.0f && rng_uniform(r) < chance;
}

static int change_look(uint8_t *px, resize_work *work, const augment_cfg *cfg, size_t S,
                       rng *r, clipc_err *err)
{
    const float *j = cfg->jitter;
    const bool jitters = j[0] > 0 || j[1] > 0 || j[2] > 0 || j[3] > 0;

    if (jitters && happens(cfg->jitter_chance, r)) jitter_colours(px, cfg, S * S, r);
    if (rng_uniform(r) < cfg->grey)
        for (size_t i = 0; i < S * S; i++) memset(px + 3 * i, luma(px + 3 * i), 3);
    if (!happens(cfg->blur, r)) return CLIPC_OK;
    const size_t radius = S / 20 ? S / 20 : 1;
    return adjust_blur(px, S, S, radius < S ? radius : 0,
                       between(r, cfg->blur_sigma[0], cfg->blur_sigma[1]), work, err);
}

/* Of an area between a fiftieth and a third, shared by `count`, and sides of 3 : 10 to
 * 10 : 3. */
static void erase_one(float *chw, size_t S, size_t count, rng *r)
{
    for (int i = 0; i < 10; i++) {
        const float area = (float)(S * S) * between(r, 0.02f, 1.0f / 3.0f) / (float)count;
        const float aspect = expf(between(r, logf(0.3f), logf(1.0f / 0.3f)));
        const size_t h = (size_t)lroundf(sqrtf(area * aspect)),
                     w = (size_t)lroundf(sqrtf(area / aspect));
        if (h >= S || w >= S) continue;
        const size_t y = rng_below(r, S - h + 1), x = rng_below(r, S - w + 1);
        for (size_t row = 0; row < 3 * h; row++)
            rng_fill_normal(r, chw + (row / h * S + y + row % h) * S + x, w, 0.0f, 1.0f);
        return;
    }
}

void augment_erase(float *chw, const augment_cfg *cfg, size_t S, rng *r)
{
    if (!happens(cfg->erase_chance, r)) return;
    const size_t count = 1 + rng_below(r, cfg->erase_count);
    for (size_t i = 0; i < count; i++) erase_one(chw, S, count, r);
}

int augment(uint8_t *out, resize_work *work, const image *im, const augment_cfg *cfg,
            bool tint, size_t S, rng *r, clipc_err *err)
{
    uint8_t ground[3], ink[3];
    const uint8_t *px;
    size_t w, h;
    int rc;

    if (is_drawing(im)) {
        pick_ground(ground, cfg, r);
        pick_tint(ink, ground, r);
        rc = drawing_pixels(&px, &w, &h, work, im, S, err);
        if (rc != CLIPC_OK) return rc;
        const warp m = pick_warp(cfg, w, h, S, r);
        warp_drawing(out, px, w, h, S, &m, ground, tint ? ink : NULL);
    } else if ((rc = crop_photograph(out, work, im, cfg, S, r, err)) != CLIPC_OK) {
        return rc;
    }
    return change_look(out, work, cfg, S, r, err);
}
