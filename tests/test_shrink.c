/* Small pictures: thumbnails against Pillow (tests/golden/make_thumbs.py), what shrinking
 * keeps, JPEG written and read. */
#include "check.h"

#include <stdlib.h>

#include "base/base64.h"
#include "base/json.h"
#include "image/shrink.h"

static image decode(const char *name)
{
    char path[128];
    buf file = {0};
    image im;
    clipc_err err;

    snprintf(path, sizeof path, "tests/golden/pixels/%s", name);
    CHECK_OK(file_read(&file, path, 1 << 20, &err), err);
    CHECK_OK(image_decode(&im, file.data, file.len, path, 1, &err), err);
    buf_free(&file);
    return im;
}

static image shrunk(const char *name, size_t side)
{
    image im = decode(name), out;
    resize_work work = {0};
    clipc_err err;

    CHECK_OK(shrink(&out, &work, &im, side, &err), err);
    resize_work_free(&work);
    image_free(&im);
    return out;
}

/* shrink: thumbnails on white, within what Pillow's rounding in between makes */
static void test_thumbs(void **state)
{
    json_t *golden, *levels;
    const char *name;
    clipc_err err;

    (void)state;
    CHECK_OK(json_read(&golden, "tests/golden/thumbs/thumbs.json", &err), err);
    assert_true(json_object_size(golden) >= 10);
    json_object_foreach(golden, name, levels)
    {
        image im = shrunk(name, 0);
        uint8_t thumb[THUMB * THUMB];
        shrink_on_white(&im);
        shrink_thumb(thumb, &im);
        for (size_t i = 0; i < THUMB * THUMB; i++) {
            const json_int_t want = json_integer_value(json_array_get(levels, i));
            if (llabs(thumb[i] - want) > 1)
                fail_msg("%s: level %zu is %d, wanted %lld", name, i, thumb[i], want);
        }
        image_free(&im);
    }
    json_decref(golden);
}

/* shrink: sides in proportion, none below 1; smaller pictures as they are; alpha stays */
static void test_sides(void **state)
{
    static const struct {
        const char *name;
        size_t side, w, h;
        image_mode mode;
    } cases[] = {{"rgb_300x37.png", 100, 100, 12, IMAGE_RGB},
                 {"rgb_300x37.png", 3, 3, 1, IMAGE_RGB},
                 {"rgb_33x64.png", 32, 17, 32, IMAGE_RGB},
                 {"rgb_7x5.png", 64, 7, 5, IMAGE_RGB},
                 {"rgba.png", 45, 30, 45, IMAGE_RGBA},
                 {"palette_alpha.png", 35, 24, 35, IMAGE_RGBA},
                 {"grey_alpha.png", 10, 10, 8, IMAGE_RGBA},
                 {"jpeg_cmyk.jpg", 20, 20, 20, IMAGE_RGB}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        image im = shrunk(cases[i].name, cases[i].side);
        assert_int_equal(im.w, cases[i].w);
        assert_int_equal(im.h, cases[i].h);
        assert_int_equal(im.mode, cases[i].mode);
        image_free(&im);
    }
}

/* jpeg: what is written can be read, and looks alike; a lower quality is smaller */
static void test_jpeg(void **state)
{
    size_t last = 0;
    clipc_err err;

    (void)state;
    for (int quality = 30; quality <= 90; quality += 30) {
        image im = shrunk("rgb_64x64.png", 0), back;
        uint8_t a[THUMB * THUMB], b[THUMB * THUMB];
        buf jpeg = {0};
        CHECK_OK(jpeg_encode(&jpeg, im.px, im.w, im.h, quality, &err), err);
        CHECK_OK(image_decode(&back, jpeg.data, jpeg.len, "jpeg", 1, &err), err);
        assert_string_equal(image_format(jpeg.data, jpeg.len), "jpeg");
        assert_int_equal(back.w * back.h, im.w * im.h);
        shrink_thumb(a, &im);
        shrink_thumb(b, &back);
        assert_true(shrink_distance(a, b) < 3.0);
        assert_true(jpeg.len > last);
        last = jpeg.len;
        buf_free(&jpeg);
        image_free(&im);
        image_free(&back);
    }
}

/* base64: RFC 4648's own examples, without their padding */
static void test_base64(void **state)
{
    static const char *const pairs[][2] = {
        {"f", "Zg"}, {"fo", "Zm8"}, {"foo", "Zm9v"}, {"foobar", "Zm9vYmFy"}};
    clipc_err err;

    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        const span in = {(const uint8_t *)pairs[i][0], strlen(pairs[i][0])};
        buf out = {0};
        CHECK_OK(base64_add(&out, in, &err), err);
        assert_string_equal(out.data, pairs[i][1]);
        buf_free(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_thumbs), cmocka_unit_test(test_sides),
        cmocka_unit_test(test_jpeg), cmocka_unit_test(test_base64)};
    return cmocka_run_group_tests_name("shrink", tests, NULL, NULL);
}
