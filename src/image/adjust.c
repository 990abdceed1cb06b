#include "image/adjust.h"

#include <math.h>
#include <string.h>

#include "base/sizes.h"
#include "image/resize.h"

enum { RADIUS_MAX = 1024 };

/* Image.convert("L"). */
static uint8_t lightness(const uint8_t *rgb)
{
    return (uint8_t)((rgb[0] * 19595 + rgb[1] * 38470 + rgb[2] * 7471 + 0x8000) >> 16);
}

/* Image.blend: from a (factor 0) through b (1) and beyond; cut, not rounded. */
static uint8_t blend(uint8_t a, uint8_t b, float factor)
{
    const float x = (float)a + factor * (float)(b - a);

    return x <= 0.0f ? 0 : x >= 255.0f ? 255 : (uint8_t)x;
}

void adjust_brightness(uint8_t *px, size_t n, float factor)
{
    for (size_t i = 0; i < 3 * n; i++) px[i] = blend(0, px[i], factor);
}

void adjust_contrast(uint8_t *px, size_t n, float factor)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < n; i++) sum += lightness(px + 3 * i);
    const uint8_t mean = (uint8_t)((double)sum / (double)n + 0.5);
    for (size_t i = 0; i < 3 * n; i++) px[i] = blend(mean, px[i], factor);
}

void adjust_saturation(uint8_t *px, size_t n, float factor)
{
    for (size_t i = 0; i < n; i++, px += 3) {
        const uint8_t grey = lightness(px);
        for (int c = 0; c < 3; c++) px[c] = blend(grey, px[c], factor);
    }
}

/* Image.convert("HSV"), each part 0 to 255. */
static void to_hsv(uint8_t *hsv, const uint8_t *rgb)
{
    const uint8_t r = rgb[0], g = rgb[1], b = rgb[2];
    const uint8_t most = (uint8_t)max_size(r, max_size(g, b));
    const uint8_t least = (uint8_t)min_size(r, min_size(g, b));
    const float range = (float)(most - least);

    hsv[0] = hsv[1] = 0;
    hsv[2] = most;
    if (most == least) return;
    const float dr = (float)(most - r) / range, dg = (float)(most - g) / range,
                db = (float)(most - b) / range;
    const float sixth = r == most   ? db - dg
                        : g == most ? (float)(2.0 + (double)dr - (double)db)
                                    : (float)(4.0 + (double)dg - (double)dr);
    const float hue = (float)fmod((double)sixth / 6.0 + 1.0, 1.0);
    hsv[0] = (uint8_t)((double)hue * 255.0);
    hsv[1] = (uint8_t)((double)(range / (float)most) * 255.0);
}

/* And back. */
static void from_hsv(uint8_t *rgb, const uint8_t *hsv)
{
    const float v = hsv[2];
    const double sixths = (double)((float)hsv[0] * 6.0f) / 255.0;
    const float f = (float)(sixths - floor(sixths)), s = (float)((double)hsv[1] / 255.0);
    const uint8_t p = (uint8_t)round((double)v * (1.0 - (double)s));
    const uint8_t q = (uint8_t)round((double)v * (1.0 - (double)(s * f)));
    const uint8_t t = (uint8_t)round((double)v * (1.0 - (double)s * (1.0 - (double)f)));
    const uint8_t all[6][3] = {{hsv[2], t, p}, {q, hsv[2], p}, {p, hsv[2], t},
                               {p, q, hsv[2]}, {t, p, hsv[2]}, {hsv[2], p, q}};

    memcpy(rgb, all[(int)sixths % 6], 3);
}

void adjust_hue(uint8_t *px, size_t n, float factor)
{
    const uint8_t turn = (uint8_t)(int)((double)factor * 255.0);
    uint8_t hsv[3];

    for (size_t i = 0; i < n; i++, px += 3) {
        to_hsv(hsv, px);
        hsv[0] = (uint8_t)(hsv[0] + turn);
        from_hsv(px, hsv);
    }
}

/* ---- blur ---- */

static void gaussian(float *weights, size_t radius, float sigma)
{
    float sum = 0.0f;

    for (size_t i = 0; i <= 2 * radius; i++) {
        const float x = ((float)i - (float)radius) / sigma;
        sum += weights[i] = expf(-0.5f * x * x);
    }
    for (size_t i = 0; i <= 2 * radius; i++) weights[i] /= sum;
}

/* Place i - radius, i from 0, mirrored at the first and the last of n. */
static size_t mirrored(size_t i, size_t radius, size_t n)
{
    if (i < radius) return radius - i;
    i -= radius;
    return i < n ? i : 2 * (n - 1) - i;
}

int adjust_blur(uint8_t *px, size_t w, size_t h, size_t radius, float sigma,
                struct resize_work *work, clipc_err *err)
{
    const size_t bytes = w * h * 3, floats = (w + 2 * radius) * 3;
    float weights[2 * RADIUS_MAX + 1];

    if (radius > RADIUS_MAX)
        return clipc_fail(err, CLIPC_ERR_LIMIT, "blur: more than %d pixels", RADIUS_MAX);
    const int rc = resize_grow((void **)(void *)&work->out, &work->cap_out,
                               floats * sizeof(float) + bytes, err);
    if (rc != CLIPC_OK) return rc;
    float *row = (float *)(void *)work->out; /* and `radius` pixels more on either side */
    uint8_t *from = work->out + floats * sizeof(float);
    memcpy(from, px, bytes);
    gaussian(weights, radius, sigma);
    for (size_t y = 0; y < h; y++) {
        memset(row, 0, floats * sizeof(float));
        for (size_t i = 0; i <= 2 * radius; i++) {
            const uint8_t *in = from + mirrored(y + i, radius, h) * w * 3;
            for (size_t x = 0; x < 3 * w; x++)
                row[3 * radius + x] += weights[i] * (float)in[x];
        }
        for (size_t i = 0; i < radius; i++) {
            memcpy(row + 3 * i, row + 3 * (radius + radius - i), 3 * sizeof *row);
            memcpy(row + 3 * (radius + w + i), row + 3 * (radius + w - 2 - i),
                   3 * sizeof *row);
        }
        for (size_t x = 0; x < 3 * w; x++) {
            float sum = 0.0f;
            for (size_t i = 0; i <= 2 * radius; i++) sum += weights[i] * row[x + 3 * i];
            px[y * w * 3 + x] = (uint8_t)lrintf(sum);
        }
    }
    return CLIPC_OK;
}
