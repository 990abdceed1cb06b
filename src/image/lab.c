#include "image/lab.h"

#include <math.h>
#include <stddef.h>

enum { STEPS = 32 };

/* CIE 15:2004, the inverse of f(t). */
static double from_lab(double t)
{
    return t > 6.0 / 29.0 ? t * t * t : (t - 4.0 / 29.0) * 108.0 / 841.0;
}

/* A linear channel through sRGB's curve, in 16 bits. */
static int64_t srgb(double v)
{
    const double curved = v > 0.0031308 ? 1.055 * pow(v, 1 / 2.4) - 0.055 : 12.92 * v;

    return (int64_t)(curved <= 0.0   ? 0.0
                     : curved >= 1.0 ? 65535.0
                                     : curved * 65535 + 0.5);
}

/* The table's entry at a corner; entries are few and seldom wanted, so it is not kept.
 * Little CMS goes through floats, which here and there decides a rounding. */
static void corner(int64_t *rgb, const size_t *at)
{
    const double scale =
        1.0 + 32767.0 / 32768.0; /* the largest X, Y, Z that it encodes */
    float v[3];

    for (size_t i = 0; i < 3; i++)
        v[i] = (float)(floor((double)at[i] * 65535.0 / STEPS + 0.5) / 65535.0);
    const double y = (v[0] * 100.0 + 16.0) / 116.0, a = v[1] * 255.0 - 128.0;
    const double b = v[2] * 255.0 - 128.0;
    const double X = (float)(0.9642 * from_lab(y + 0.002 * a) / scale) * scale;
    const double Y = (float)(from_lab(y) / scale) * scale;
    const double Z = (float)(0.8249 * from_lab(y - 0.005 * b) / scale) * scale;

    /* sRGB's primaries, adapted from D65 to D50 by Bradford's matrix. */
    rgb[0] = srgb((float)(3.134186364 * X - 1.617208959 * Y - 0.490694064 * Z));
    rgb[1] = srgb((float)(-0.978748504 * X + 1.916130097 * Y + 0.033433399 * Z));
    rgb[2] = srgb((float)(0.071963928 * X - 0.228993874 * Y + 1.405753733 * Z));
}

void lab_to_rgb(uint8_t *rgb, const uint8_t *lab)
{
    size_t at[3], axes[3] = {0, 1, 2};
    int64_t part[3], first[3], from[3], to[3], sum[3] = {0x8001, 0x8001, 0x8001};

    for (size_t i = 0; i < 3; i++) {
        const int64_t v = lab[i] * 257 * STEPS, fixed = v + (v + 0x7fff) / 0xffff;
        at[i] = (size_t)(fixed >> 16), part[i] = fixed & 0xffff;
    }
    /* From the cell's first corner along the axes, the one that goes farthest first. */
    for (size_t i = 0; i < 3; i++)
        for (size_t j = i + 1; j < 3; j++)
            if (part[axes[j]] > part[axes[i]]) {
                const size_t axis = axes[i];
                axes[i] = axes[j], axes[j] = axis;
            }
    corner(first, at);
    for (size_t c = 0; c < 3; c++) from[c] = first[c];
    for (size_t i = 0; i < 3 && part[axes[i]]; i++) {
        at[axes[i]]++;
        corner(to, at);
        for (size_t c = 0; c < 3; c++) {
            sum[c] += (to[c] - from[c]) * part[axes[i]];
            from[c] = to[c];
        }
    }
    for (size_t c = 0; c < 3; c++) {
        const int64_t v = first[c] + ((sum[c] + (sum[c] >> 16)) >> 16);
        rgb[c] = (uint8_t)((v * 65281 + 8388608) >> 24);
    }
}
