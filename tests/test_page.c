/* Pages of pictures: what becomes of texts in them, bars, and the small pictures. */
#include "check.h"

#include <math.h>
#include <stdlib.h>

#include "base/page.h"
#include "clipc.h"
#include "image/preprocess.h"

static buf html_of(const page_figure *f)
{
    buf out = {0};
    clipc_err err;

    CHECK_OK(page_picture(&out, f, &err), err);
    return out;
}

/* page: markup is escaped; what is no UTF-8, cut, overlong or half a pair, and control
 * characters become U+FFFD, a byte each; the rest stays as it is */
static void test_texts(void **state)
{
    static const char *const cases[][2] = {
        {"<b a=\"x\">&amp;", "&lt;b a=&quot;x&quot;&gt;&amp;amp;"},
        {"caf\xc3\xa9 \xe7\x8c\xab \xf0\x9f\x90\x88",
         "caf\xc3\xa9 \xe7\x8c\xab \xf0\x9f\x90\x88"},
        {"caf\xe9", "caf\xef\xbf\xbd"},
        {"\xe7\x8c", "\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xc0\xbc", "\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xed\xa0\x80<", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd&lt;"},
        {"a\x1b[1m\x7f\xc2\x85 b\n", "a\xef\xbf\xbd[1m\xef\xbf\xbd\xef\xbf\xbd b\n"},
        {"", ""}};
    clipc_err err;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char want[128];
        buf out = {0};
        snprintf(want, sizeof want, "<p>%s</p>\n", cases[i][1]);
        CHECK_OK(page_text(&out, cases[i][0], &err), err);
        assert_string_equal(out.data, want);
        buf_free(&out);
    }
}

/* page: every text of a figure is escaped, and what is not given leaves nothing */
static void test_figure(void **state)
{
    const page_bar bar = {"<l>", "<v>", 0.5};
    const page_figure all = {.instead = "<i>",
                             .text = "<t>",
                             .note = "<n>",
                             .bars = &bar,
                             .n_bars = 1,
                             .name = "<f>"};
    buf out = html_of(&(page_figure){0});

    (void)state;
    assert_string_equal(out.data, "<figure></figure>\n");
    buf_free(&out);
    out = html_of(&all);
    assert_string_equal(out.data,
                        "<figure><div>&lt;i&gt;</div><p>&lt;t&gt;</p>"
                        "<p><strong>&lt;n&gt;</strong></p><p><b>&lt;v&gt;</b>&lt;l&gt;"
                        "<i style=\"width:50.0%\"></i></p>"
                        "<figcaption>&lt;f&gt;</figcaption></figure>\n");
    buf_free(&out);
    out = html_of(&(page_figure){.jpeg = {(const uint8_t *)"foobar", 6}});
    assert_string_equal(
        out.data,
        "<figure><img alt=\"\" src=\"data:image/jpeg;base64,Zm9vYmFy\"></figure>\n");
    buf_free(&out);
}

/* page: a bar is never longer than its place, whatever the score */
static void test_bars(void **state)
{
    static const struct {
        double part;
        const char *width;
    } cases[] = {{0.814, "width:81.4%"},
                 {1.5, "width:100.0%"},
                 {-0.2, "width:0.0%"},
                 {INFINITY, "width:100.0%"},
                 {NAN, "width:0.0%"}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const page_bar bar = {"", "", cases[i].part};
        buf out = html_of(&(page_figure){.bars = &bar, .n_bars = 1});
        if (!strstr(out.data, cases[i].width))
            fail_msg("%g: wanted %s in %s", cases[i].part, cases[i].width, out.data);
        buf_free(&out);
    }
}

static buf read_bytes(const char *path)
{
    buf out = {0};
    clipc_err err;

    CHECK_OK(file_read(&out, path, 1 << 20, &err), err);
    return out;
}

/* The thumbnail of a file, decoded. */
static image thumbnail(const char *path, size_t side)
{
    buf file = read_bytes(path);
    uint8_t *jpeg;
    size_t size;
    image im;
    clipc_err err;

    CHECK_OK(clipc_thumbnail(&jpeg, &size, file.data, file.len, path, side, 0, &err),
             err);
    assert_string_equal(image_format(jpeg, size), "jpeg");
    CHECK_OK(image_decode(&im, jpeg, size, path, 1, &err), err);
    buf_free(&file);
    free(jpeg);
    return im;
}

enum { CROP = 16 };

/* Pillow's crop of an upright picture: golden/oriented, "hf". */
static void golden(uint8_t crop[CROP * CROP * 3], const char *name)
{
    buf index = read_bytes("tests/golden/oriented/index.txt");
    char line[64];
    clipc_err err;
    buf crops = {0};

    snprintf(line, sizeof line, "%s 16 16 hf bicubic 0 ", name);
    const char *at = strstr(index.data, line);
    assert_non_null(at);
    CHECK_OK(file_read_part(&crops, "tests/golden/oriented/crops.bin",
                            strtoul(at + strlen(line), NULL, 10), CROP * CROP * 3, &err),
             err);
    memcpy(crop, crops.data, CROP * CROP * 3);
    buf_free(&crops);
    buf_free(&index);
}

/* thumbnail: upright in all 8 ways of EXIF, as Pillow turns them */
static void test_upright(void **state)
{
    const preprocess_cfg cfg = preprocess_default(CROP, CROP);

    (void)state;
    for (int i = 1; i <= 8; i++) {
        char name[32], path[64];
        uint8_t want[CROP * CROP * 3], have[CROP * CROP * 3];
        resize_work work = {0};
        double sum = 0.0;
        clipc_err err;
        snprintf(name, sizeof name, "exif_%d_II.jpg", i);
        snprintf(path, sizeof path, "tests/golden/oriented/%s", name);
        image im = thumbnail(path, 240);
        golden(want, name);
        CHECK_OK(preprocess_u8(have, &work, &im, &cfg, &err), err);
        for (size_t k = 0; k < sizeof have; k++) sum += abs(have[k] - want[k]);
        CHECK_NEAR(sum / sizeof have, 0.0,
                   5.6); /* measured 2.8; not turned 33 at least */
        resize_work_free(&work);
        image_free(&im);
    }
}

/* thumbnail: transparency on white, sides in proportion, what cannot be done */
static void test_thumbnails(void **state)
{
    static const uint8_t clear[4 * 4] = {0};
    uint8_t *jpeg;
    size_t size;
    buf png = {0};
    image im;
    clipc_err err;

    (void)state;
    CHECK_OK(png_encode(&png, clear, 2, 2, 4, &err), err);
    CHECK_OK(clipc_thumbnail(&jpeg, &size, png.data, png.len, "png", 9, 0, &err), err);
    CHECK_OK(image_decode(&im, jpeg, size, "jpeg", 1, &err), err);
    assert_int_equal(im.w * im.h, 4);
    for (size_t i = 0; i < 4 * image_channels(im.mode); i += image_channels(im.mode))
        assert_true(im.px[i] >= 254); /* RGB or the brightness of YCbCr */
    free(jpeg);
    image_free(&im);

    size_t w = 0, h = 0;
    CHECK_OK(clipc_thumbnail_pixels(&jpeg, &w, &h, png.data, png.len, "png", 9, 0, &err),
             err);
    assert_true(w == 2 && h == 2);
    for (size_t i = 0; i < 12; i++) assert_int_equal(jpeg[i], 255);
    free(jpeg);
    CHECK_FAILS(clipc_thumbnail_pixels(&jpeg, &w, &h, "x", 1, "one", 9, 0, &err),
                CLIPC_ERR_FORMAT, err, "one");
    assert_null(jpeg);

    im = thumbnail("tests/golden/pixels/rgb_300x37.png", 100);
    assert_int_equal(im.w, 100);
    assert_int_equal(im.h, 12);
    image_free(&im);
    im = thumbnail("tests/golden/fast/420.jpg", 16);
    assert_int_equal(im.w > im.h ? im.w : im.h, 16);
    image_free(&im);

    CHECK_FAILS(clipc_thumbnail(&jpeg, &size, png.data, png.len, "png", 0, 0, &err),
                CLIPC_ERR_ARG, err, "0 pixels");
    assert_null(jpeg);
    CHECK_FAILS(
        clipc_thumbnail(&jpeg, &size, png.data, png.len / 2, "cut.png", 9, 0, &err),
        CLIPC_ERR_FORMAT, err, "cut.png");
    CHECK_FAILS(
        clipc_thumbnail(&jpeg, &size, png.data, png.len, "big.png", 9, 1e-6, &err),
        CLIPC_ERR_LIMIT, err, "big.png");
    assert_null(jpeg);
    buf_free(&png);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts), cmocka_unit_test(test_figure),
        cmocka_unit_test(test_bars), cmocka_unit_test(test_upright),
        cmocka_unit_test(test_thumbnails)};
    return cmocka_run_group_tests_name("page", tests, NULL, NULL);
}
