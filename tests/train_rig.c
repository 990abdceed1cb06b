#include "train_rig.h"

#include "base/file.h"
#include "base/rng.h"
#include "check.h"
#include "image/image.h"

enum { SIDE = 32 };

static void put(const char *folder, int i, const char *ext, const void *data, size_t len)
{
    char path[256];
    clipc_err err;

    snprintf(path, sizeof path, "%s/%02d.%s", folder, i, ext);
    CHECK_OK(file_replace(path, data, len, &err), err);
}

void train_rig_pairs(const char *folder)
{
    rng r = rng_seed(5, 0);
    clipc_err err;

    CHECK_OK(file_mkdirs(folder, &err), err);
    for (int i = 0; i < TRAIN_PAIRS; i++) {
        uint8_t px[SIDE * SIDE * 3], block[16][3];
        char caption[64];
        buf png = {0};
        for (int b = 0; b < 16; b++)
            for (int c = 0; c < 3; c++) block[b][c] = (uint8_t)rng_below(&r, 256);
        for (int y = 0; y < SIDE; y++)
            for (int x = 0; x < SIDE; x++)
                memcpy(px + (y * SIDE + x) * 3, block[y / 8 * 4 + x / 8], 3);
        CHECK_OK(png_encode(&png, px, SIDE, SIDE, 3, &err), err);
        put(folder, i, "png", png.data, png.len);
        snprintf(caption, sizeof caption, "thing %d of the %d kind", i % 8, i / 8);
        put(folder, i, "txt", caption, strlen(caption));
        buf_free(&png);
    }
}

double train_rig_steps(clipc_trainer *t, size_t n)
{
    clipc_train_stats s = {0};
    clipc_err err;

    for (size_t i = 0; i < n; i++) CHECK_OK(clipc_trainer_step(t, &s, &err), err);
    return s.loss;
}
