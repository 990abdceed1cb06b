/* Times the resize and crop of OpenAI's transform on raw pixels, one thread.
 * usage: bench_resize PIXELS.rgb WIDTH HEIGHT SIZE CROP.rgb
 * Prints seconds; writes the crop, to be compared. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/file.h"
#include "image/preprocess.h"

enum { ROUNDS = 5 };

int main(int argc, char **argv)
{
    resize_work work = {0};
    double best = 1e9;
    buf pixels = {0};
    clipc_err err;

    if (argc != 6) return fprintf(stderr, "five arguments, see the source\n"), 2;
    const size_t w = strtoul(argv[2], NULL, 10), h = strtoul(argv[3], NULL, 10);
    const size_t size = strtoul(argv[4], NULL, 10);
    const preprocess_cfg cfg = preprocess_default(size, size);
    uint8_t *crop = malloc(size * size * 3);
    int rc = file_read(&pixels, argv[1], 1 << 30, &err);

    if (rc == CLIPC_OK && (!crop || pixels.len != w * h * 3))
        return fprintf(stderr, "%s: not %zu x %zu pixels\n", argv[1], w, h), 1;
    const image im = {.px = (uint8_t *)pixels.data, .w = w, .h = h, .mode = IMAGE_RGB};
    for (int i = 0; rc == CLIPC_OK && i < ROUNDS; i++) {
        const double begin = clock_now();
        rc = preprocess_u8(crop, &work, &im, &cfg, &err);
        const double seconds = clock_now() - begin;
        best = seconds < best ? seconds : best;
    }
    if (rc == CLIPC_OK) rc = file_replace(argv[5], crop, size * size * 3, &err);
    if (rc != CLIPC_OK) fprintf(stderr, "%s\n", err.msg);
    else printf("%.6f\n", best);
    resize_work_free(&work);
    buf_free(&pixels);
    free(crop);
    return rc != CLIPC_OK;
}
