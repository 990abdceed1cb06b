/* Augmentation against torchvision (tests/golden/make_augment.py), and what chance may
 * do.
 */
#include "check.h"

#include <stdlib.h>

#include "base/file.h"
#include "image/adjust.h"
#include "image/augment.h"

#define GOLDEN "tests/golden/augment/"

enum { SIDE = 64, PIXELS = SIDE * SIDE };

/* 4096 colours, scattered, as the goldens' picture. */
static void draw(uint8_t *px)
{
    for (size_t i = 0; i < PIXELS; i++) {
        const size_t at = i * 1531 % PIXELS;
        px[3 * i] = (uint8_t)((at >> 8) * 17);
        px[3 * i + 1] = (uint8_t)((at >> 4 & 15) * 17);
        px[3 * i + 2] = (uint8_t)((at & 15) * 17);
    }
}

/* The largest difference from a golden. */
static int difference(const uint8_t *px, const char *name)
{
    char path[128];
    buf file = {0};
    image im;
    clipc_err err;
    int most = 0;

    snprintf(path, sizeof path, GOLDEN "%s.png", name);
    CHECK_OK(file_read(&file, path, 1 << 20, &err), err);
    CHECK_OK(image_decode(&im, file.data, file.len, path, 1, &err), err);
    assert_int_equal(im.mode, IMAGE_RGB);
    assert_int_equal(im.w * im.h, PIXELS);
    for (size_t i = 0; i < 3 * PIXELS; i++) {
        const int d = abs(px[i] - im.px[i]);
        if (d > most) most = d;
    }
    image_free(&im);
    buf_free(&file);
    return most;
}

/* adjust: colours, exactly */
static void test_colours(void **state)
{
    static const struct {
        const char *name;
        void (*adjust)(uint8_t *px, size_t n, float factor);
        float factor;
    } cases[] = {{"brightness_0.0", adjust_brightness, 0.0f},
                 {"brightness_0.35", adjust_brightness, 0.35f},
                 {"brightness_1.7", adjust_brightness, 1.7f},
                 {"contrast_0.0", adjust_contrast, 0.0f},
                 {"contrast_0.35", adjust_contrast, 0.35f},
                 {"contrast_1.7", adjust_contrast, 1.7f},
                 {"saturation_0.0", adjust_saturation, 0.0f},
                 {"saturation_0.35", adjust_saturation, 0.35f},
                 {"saturation_1.7", adjust_saturation, 1.7f},
                 {"hue_-0.5", adjust_hue, -0.5f},
                 {"hue_-0.1", adjust_hue, -0.1f},
                 {"hue_0.0", adjust_hue, 0.0f},
                 {"hue_0.31", adjust_hue, 0.31f}};
    uint8_t px[3 * PIXELS];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        draw(px);
        cases[i].adjust(px, PIXELS, cases[i].factor);
        const int d = difference(px, cases[i].name);
        if (d) fail_msg("%s: %d levels apart", cases[i].name, d);
    }
}

/* adjust: the blur, but for what rounding makes of another order of the sums */
static void test_blur(void **state)
{
    static const struct {
        const char *name;
        float sigma;
    } cases[] = {{"blur_0.1", 0.1f}, {"blur_0.8", 0.8f}, {"blur_2.0", 2.0f}};
    uint8_t px[3 * PIXELS];
    resize_work work = {0};
    clipc_err err;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        draw(px);
        CHECK_OK(adjust_blur(px, SIDE, SIDE, 3, cases[i].sigma, &work, &err), err);
        const int d = difference(px, cases[i].name);
        if (d > 1) fail_msg("%s: %d levels apart", cases[i].name, d);
    }
    resize_work_free(&work);
}

static void photograph(image *im)
{
    clipc_err err;

    CHECK_OK(image_alloc(im, SIDE, SIDE, IMAGE_RGB, "test", &err), err);
    draw(im->px);
}

static augment_cfg still(void)
{
    return (augment_cfg){.ground = {1, 0, 0, 0},
                         .scale = {1, 1},
                         .crop = {1, 1},
                         .ratio = {1, 1},
                         .jitter_chance = 1,
                         .erase_count = 1,
                         .blur_sigma = {1, 1}};
}

static void view(uint8_t *out, const augment_cfg *cfg, uint64_t seed)
{
    resize_work work = {0};
    rng r = rng_seed(seed, 0);
    clipc_err err;
    image im;

    photograph(&im);
    CHECK_OK(augment(out, &work, &im, cfg, false, SIDE, &r, &err), err);
    image_free(&im);
    resize_work_free(&work);
}

/* augment: each change by itself changes the view, all the time or never as its chance
 * is; without any the picture is as it was */
static void test_chances(void **state)
{
    uint8_t plain[3 * PIXELS], px[3 * PIXELS];

    (void)state;
    draw(plain);
    for (int what = 0; what < 6; what++)
        for (uint64_t seed = 0; seed < 4; seed++) {
            augment_cfg cfg = still();
            view(px, &cfg, seed);
            assert_memory_equal(px, plain, sizeof px);
            if (what < 4) cfg.jitter[what] = 0.4f;
            else if (what == 4) cfg.blur = 1;
            else cfg.grey = 1;
            view(px, &cfg, seed);
            assert_memory_not_equal(px, plain, sizeof px);
            cfg.jitter_chance = cfg.blur = cfg.grey = 0;
            view(px, &cfg, seed);
            assert_memory_equal(px, plain, sizeof px);
        }
}

/* augment: brightness stays within what was asked for, and uses it */
static void test_range(void **state)
{
    augment_cfg cfg = still();
    double least = 9, most = 0;
    uint8_t px[3 * PIXELS];

    (void)state;
    cfg.jitter[0] = 0.5f;
    for (uint64_t seed = 0; seed < 60; seed++) {
        double now = 0; /* darker levels, which 1.5 does not cut */
        uint8_t drawn[3 * PIXELS];
        draw(drawn);
        view(px, &cfg, seed);
        size_t n = 0;
        for (size_t i = 0; i < sizeof px; i++)
            if (drawn[i] == 153) now += px[i] / 153.0, n++;
        now /= (double)n;
        if (now < least) least = now;
        if (now > most) most = now;
    }
    assert_true(least > 0.49 && least < 0.6);
    assert_true(most < 1.51 && most > 1.4);
}

/* augment: rectangles of noise, of the area that timm's have, the rest as it was */
static void test_erase(void **state)
{
    enum { RUNS = 200 };
    static float px[3 * PIXELS];
    augment_cfg cfg = still();
    double area = 0, sum = 0, squares = 0;
    size_t n = 0;

    (void)state;
    cfg.erase_chance = 1;
    for (uint64_t seed = 0; seed < RUNS; seed++) {
        rng r = rng_seed(seed, 0);
        for (size_t i = 0; i < 3 * PIXELS; i++) px[i] = 100.0f;
        augment_erase(px, &cfg, SIDE, &r);
        size_t top = SIDE, left = SIDE, bottom = 0, right = 0, erased = 0;
        for (size_t i = 0; i < 3 * PIXELS; i++) {
            if (!(px[i] < 50.0f)) continue;
            const size_t y = i / SIDE % SIDE, x = i % SIDE;
            top = y < top ? y : top, bottom = y > bottom ? y : bottom;
            left = x < left ? x : left, right = x > right ? x : right;
            sum += (double)px[i], squares += (double)px[i] * (double)px[i];
            erased++;
        }
        assert_int_equal(erased, 3 * (bottom - top + 1) * (right - left + 1));
        n += erased;
        area += (double)erased / (3 * PIXELS);
    }
    CHECK_NEAR(area / RUNS, (0.02 + 1.0 / 3.0) / 2, 0.03);
    CHECK_NEAR(sum / (double)n, 0, 0.02);
    CHECK_NEAR(squares / (double)n, 1, 0.03);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_colours), cmocka_unit_test(test_blur),
        cmocka_unit_test(test_chances), cmocka_unit_test(test_range),
        cmocka_unit_test(test_erase)};
    return cmocka_run_group_tests_name("augment", tests, NULL, NULL);
}
