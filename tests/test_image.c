/* Decoding and preprocessing against Pillow, torchvision and open_clip
 * (tests/golden/make_pixels.py). */
#include "check.h"

#include <stdlib.h>
#include <sys/resource.h>

#include "base/file.h"
#include "image/augment.h"
#include "image/preprocess.h"

#define PIXELS  "tests/golden/pixels/"
#define FORMATS "tests/golden/formats/"
#define MODES   "tests/golden/modes/"
#define CLAIMS  "tests/golden/claims/"
#define FAST    "tests/golden/fast/"
#define RAW     "tests/golden/raw/"

static buf read_in(const char *folder, const char *name)
{
    char path[256];
    clipc_err err;
    buf b = {0};

    snprintf(path, sizeof path, "%s%s", folder, name);
    CHECK_OK(file_read(&b, path, 1 << 24, &err), err);
    return b;
}

static buf read_whole(const char *name)
{
    return read_in(PIXELS, name);
}

/* A library that this machine does not have, or this build. */
static bool is_missing(int rc, const char *name)
{
    const bool may = strstr(name, ".tif") || strstr(name, ".heic") ||
                     strstr(name, ".avif") || strstr(name, ".jxl") ||
                     strstr(name, ".dng") || strstr(name, ".nef");

    return may && (rc == CLIPC_ERR_FEATURE || rc == CLIPC_ERR_IO);
}

/* What is wrong with a crop may be so by `most`.  False: not compared, since a library is
 * missing. */
static bool check_crop(const char *folder, const char *name, const preprocess_cfg *cfg,
                       const uint8_t *want, size_t most, resize_work *work)
{
    const size_t bytes = cfg->h * cfg->w * 3;
    const bool fast = strcmp(folder, FAST) == 0;
    const open_cfg open = {1, fast || strstr(folder, "oriented"), fast};
    buf file = read_in(folder, name);
    uint8_t *crop = malloc(bytes);
    size_t wrong = 0, worst = 0;
    clipc_err err;
    const int rc =
        preprocess_file(crop, work, file.data, file.len, name, &open, cfg, &err);

    if (is_missing(rc, name)) {
        print_message("not compared: %s\n", err.msg);
        buf_free(&file);
        free(crop);
        return false;
    }
    CHECK_OK(rc, err);
    for (size_t i = 0; i < bytes; i++) {
        const size_t d = (size_t)abs((int)crop[i] - (int)want[i]);
        wrong += d > most;
        worst = d > worst ? d : worst;
    }
    if (wrong)
        fail_msg("%s to %zux%zu, mode %d: %zu bytes differ, by up to %zu", name, cfg->h,
                 cfg->w, (int)cfg->resize, wrong, worst);
    buf_free(&file);
    free(crop);
    return true;
}

/* What a line of index.txt says. */
static preprocess_cfg settings(size_t h, size_t w, const char *mode,
                               const char *interpolation, unsigned fill)
{
    preprocess_cfg cfg = preprocess_default(h, w);

    cfg.resize = strcmp(mode, "squash") == 0    ? RESIZE_SQUASH
                 : strcmp(mode, "longest") == 0 ? RESIZE_LONGEST
                                                : RESIZE_SHORTEST;
    cfg.rgb_first = strstr(mode, "hf") != NULL;
    if (strcmp(mode, "siglip-hf") == 0) cfg.resize = RESIZE_SQUASH;
    if (strcmp(interpolation, "bilinear") == 0) cfg.interpolation = FILTER_BILINEAR;
    cfg.fill = (uint8_t)fill;
    return cfg;
}

/* Compares the crops that a folder lists, which may differ by `most`, and expects n. */
static void check_folder(const char *folder, size_t most, size_t expected)
{
    buf crops = read_in(folder, "crops.bin"), index = read_in(folder, "index.txt");
    resize_work work = {0};
    size_t n = 0, missing = 0, h, w, offset;
    char name[64], mode[16], interpolation[16];
    unsigned fill;
    int used;

    for (const char *p = index.data;
         sscanf(p, "%63s %zu %zu %15s %15s %u %zu\n%n", name, &h, &w, mode, interpolation,
                &fill, &offset, &used) == 7;
         p += used, n++) {
        const preprocess_cfg cfg = settings(h, w, mode, interpolation, fill);
        assert_true(offset + h * w * 3 <= crops.len);
        missing += !check_crop(folder, name, &cfg, (const uint8_t *)crops.data + offset,
                               most, &work);
    }
    if (missing) print_message("%s: %zu of %zu not compared\n", folder, missing, n);
    assert_int_equal(n, expected);
    resize_work_free(&work);
    buf_free(&crops);
    buf_free(&index);
}

/* decode, resize, crop, convert: byte for byte what Pillow and torchvision make of 23
 * JPEG, PNG and WebP files, of BMP, GIF, PNM and 16-bit PNG, of TIFF and everything else
 * in each of its modes */
static void test_crops(void **state)
{
    (void)state;
    check_folder(PIXELS, 0, 64);
    check_folder(FORMATS, 0, 185);
    check_folder(MODES, 0, 228);
}

/* orientation: what ImageOps.exif_transpose makes of EXIF and XMP, in all 8 ways */
static void test_oriented(void **state)
{
    (void)state;
    check_folder("tests/golden/oriented/", 0, 44);
}

/* fast decoding: byte for byte what Pillow makes of JPEGs that it decodes at an eighth, a
 * quarter or a half of their size, in every mode and, spilling over, turned */
static void test_fast(void **state)
{
    (void)state;
    check_folder(FAST, 0, 27);
}

/* The mean difference of the bytes of a file's crop decoded fast and exactly. */
static double fast_error(const char *folder, const char *name, size_t side)
{
    const open_cfg exact = {1, false, false}, fast = {1, false, true};
    const preprocess_cfg cfg = preprocess_default(side, side);
    buf file = read_in(folder, name);
    uint8_t a[48 * 48 * 3], b[48 * 48 * 3];
    resize_work work = {0};
    double sum = 0;
    clipc_err err;

    CHECK_OK(preprocess_file(a, &work, file.data, file.len, name, &exact, &cfg, &err),
             err);
    CHECK_OK(preprocess_file(b, &work, file.data, file.len, name, &fast, &cfg, &err),
             err);
    for (size_t i = 0; i < side * side * 3; i++) sum += abs((int)a[i] - (int)b[i]);
    resize_work_free(&work);
    buf_free(&file);
    return sum / (double)(side * side * 3);
}

/* fast decoding: near the exact crop, and the same where there is nothing to gain */
static void test_fast_near(void **state)
{
    static const char *const names[] = {"420.jpg",  "444.jpg",  "progressive.jpg",
                                        "grey.jpg", "cmyk.jpg", "blocks.jpg"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const double error = fast_error(FAST, names[i], 16);
        assert_true(error > 0.0 && error < 2.6); /* measured 0.93 to 1.33 */
        assert_true(fast_error(FAST, names[i], 48) == 0.0);
    }
    assert_true(fast_error(PIXELS, "rgb_300x37.png", 8) == 0.0);
    assert_true(fast_error(PIXELS, "lossy.webp", 8) == 0.0);
}

/* fast decoding: the smallest part with no side below what is enough, what spills over
 * (150 / 8 is 18.75), and a limit that counts all pixels */
static void test_fast_size(void **state)
{
    static const size_t want[][3] = {{0, 150, 131}, {1, 19, 17},    {17, 19, 17},
                                     {18, 38, 33},  {33, 38, 33},   {34, 75, 66},
                                     {66, 75, 66},  {67, 150, 131}, {1000, 150, 131}};
    buf file = read_in(FAST, "420.jpg");
    clipc_err err;
    image im;

    (void)state;
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        CHECK_OK(
            image_decode_fast(&im, file.data, file.len, "420.jpg", want[i][0], 1, &err),
            err);
        assert_int_equal(im.w, want[i][1]);
        assert_int_equal(im.h, want[i][2]);
        const double scale = 150.0 / image_side(im.w, im.spill_x);
        assert_true(image_side(im.h, im.spill_y) * scale == 131.0);
        image_free(&im);
    }
    CHECK_FAILS(image_decode_fast(&im, file.data, file.len, "420.jpg", 1, 0.01, &err),
                CLIPC_ERR_LIMIT, err, "150 x 131");
    for (size_t n = 0; n < file.len - 2; n += 97)
        CHECK_FAILS(image_decode_fast(&im, file.data, n, "420.jpg", 1, 1, &err),
                    CLIPC_ERR_FORMAT, err, "420.jpg");
    buf_free(&file);
}

/* HEIF, AVIF, JPEG XL: what heif-convert and djxl write, within 2 levels, since another
 * machine's codecs may round otherwise (measured 0) */
static void test_modern(void **state)
{
    (void)state;
    check_folder("tests/golden/modern/", 2, 32);
}

/* RAW: of DNG and NEF the preview that dcraw -e takes out, the larger of two, turned as
 * Pillow turns it */
static void test_raw(void **state)
{
    (void)state;
    check_folder(RAW, 0, 12);
}

/* RAW: what a file without a preview says, or with one larger than the file or than what
 * is allowed; what no camera wrote is RAW by its colour filter, and not libtiff's */
static void test_raw_broken(void **state)
{
    static const struct {
        const char *name, *why;
        int code;
    } files[] = {{"no_preview.dng", "without a JPEG preview", CLIPC_ERR_FORMAT},
                 {"huge.dng", "60000 x 60000", CLIPC_ERR_LIMIT},
                 {"long.dng", "419430400 bytes", CLIPC_ERR_FORMAT},
                 {"no_camera.tif", "RAW", CLIPC_ERR_FORMAT}};

    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        buf file = read_in(RAW, files[i].name);
        clipc_err err = {0};
        image im;
        const int rc = image_decode(&im, file.data, file.len, files[i].name, 256, &err);
        assert_string_equal(image_format(file.data, file.len), "raw");
        assert_non_null(strstr(err.msg, files[i].name));
        if (is_missing(rc, ".dng")) {
            print_message("not compared: %s\n", err.msg);
        } else {
            assert_int_equal(rc, files[i].code);
            assert_non_null(strstr(err.msg, files[i].why));
        }
        buf_free(&file);
    }
}

/* decode: headers that claim 100,000 x 100,000 pixels, or the most that a format can say,
 * are refused, and nothing of that size is touched */
static void test_claims(void **state)
{
    static const char *const names[] = {
        "claim.jpg",       "claim.png", "claim.webp",       "claim.gif",
        "claim.bmp",       "claim.ppm", "claim_strips.tif", "claim_tile.tif",
        "claim_ycbcr.tif", "claim.jxl", "claim.heic",       "claim.avif"};
    struct rusage before, after;

    (void)state;
    getrusage(RUSAGE_SELF, &before);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        buf file = read_in(CLAIMS, names[i]);
        clipc_err err = {0};
        image im;
        const int rc = image_decode(&im, file.data, file.len, names[i], 256, &err);
        assert_non_null(strstr(err.msg, names[i]));
        if (!is_missing(rc, names[i])) assert_int_equal(rc, CLIPC_ERR_LIMIT);
        buf_free(&file);
    }
    getrusage(RUSAGE_SELF, &after);
    assert_true(after.ru_maxrss - before.ru_maxrss < 100 << 10); /* kilobytes */
}

/* decode: a file cut anywhere is an error or, where the format bears it, still a picture
 */
static void test_truncated(void **state)
{
    static const char *const names[] = {PIXELS "jpeg_420.jpg",
                                        PIXELS "jpeg_progressive.jpg",
                                        PIXELS "rgba.png",
                                        PIXELS "palette_alpha.png",
                                        PIXELS "lossy.webp",
                                        PIXELS "alpha.webp",
                                        FORMATS "rle8.bmp",
                                        FORMATS "rgb16.bmp",
                                        FORMATS "rows.gif",
                                        FORMATS "offset.gif",
                                        FORMATS "plain_rgb.ppm",
                                        FORMATS "grey_700.pgm",
                                        FORMATS "grey16.png",
                                        MODES "tiff_tiles_8.tif",
                                        MODES "tiff_1_group4.tif",
                                        MODES "pnm_big.pfm",
                                        "tests/golden/modern/RGB_37x29.heic",
                                        "tests/golden/modern/RGBA_37x29.avif",
                                        "tests/golden/modern/RGB_lossy.jxl",
                                        RAW "one.nef"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        buf file = read_in("", names[i]);
        const size_t step = file.len / 150 + 1;
        size_t refused = 0, tried = 0;
        for (size_t n = 0; n < file.len; n += step, tried++) {
            uint8_t *part = malloc(n + 1); /* exact: reading past it shows under ASan */
            clipc_err err;
            image im;
            memcpy(part, file.data, n);
            part = realloc(part, n ? n : 1);
            const int rc = image_decode(&im, part, n, names[i], 1, &err);
            refused += rc != CLIPC_OK;
            if (rc != CLIPC_OK) assert_non_null(strstr(err.msg, names[i]));
            image_free(&im);
            free(part);
        }
        assert_true(refused + 2 >= tried);
        buf_free(&file);
    }
}

/* decode: bytes turned over at random never do harm */
static void test_damaged(void **state)
{
    static const char *const names[] = {PIXELS "jpeg_422.jpg",
                                        PIXELS "jpeg_cmyk.jpg",
                                        PIXELS "rgba.png",
                                        PIXELS "palette.png",
                                        PIXELS "lossless.webp",
                                        FORMATS "rle4.bmp",
                                        FORMATS "p4.bmp",
                                        FORMATS "palette.gif",
                                        FORMATS "interlaced.gif",
                                        FORMATS "plain_grey_1000.pgm",
                                        MODES "tiff_planes_8.tif",
                                        MODES "tiff_YCbCr_jpeg.tif",
                                        "tests/golden/modern/RGB_37x29.heic",
                                        "tests/golden/modern/RGB_lossy.jxl",
                                        RAW "big_endian.dng",
                                        RAW "one.nef"};
    rng r = rng_seed(11, 0);

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        buf file = read_in("", names[i]);
        for (int round = 0; round < 60; round++) {
            image im;
            const size_t at = rng_below(&r, file.len);
            const char keep = file.data[at];
            file.data[at] = (char)rng_u64(&r);
            image_decode(&im, file.data, file.len, names[i], 1, NULL);
            image_free(&im);
            file.data[at] = keep;
        }
        buf_free(&file);
    }
}

/* decode: too many pixels are refused by the header, and told with the option to raise it
 */
static void test_limit(void **state)
{
    buf file = read_whole("rgb_64x64.png");
    clipc_err err;
    image im;

    (void)state;
    CHECK_FAILS(image_decode(&im, file.data, file.len, "big.png", 0.001, &err),
                CLIPC_ERR_LIMIT, err, "--max-megapixels");
    CHECK_FAILS(image_decode(&im, "GIF89a", 6, "x.gif", 1, &err), CLIPC_ERR_FORMAT, err,
                "x.gif");
    CHECK_FAILS(image_decode(&im, "", 0, "empty", 1, &err), CLIPC_ERR_FORMAT, err,
                "empty");
    buf_free(&file);
}

/* augment: a seed gives the same view; the ground shows under transparency; tint
 * recolours */
static void test_augment(void **state)
{
    augment_cfg cfg = augment_default();
    buf file = read_whole("rgba.png");
    uint8_t a[48 * 48 * 3], b[48 * 48 * 3];
    resize_work work = {0};
    clipc_err err;
    image im;

    (void)state;
    CHECK_OK(image_decode(&im, file.data, file.len, "rgba.png", 1, &err), err);
    for (uint64_t seed = 0; seed < 20; seed++) {
        rng r = rng_seed(seed, 1), again = r, other = rng_seed(seed, 2);
        CHECK_OK(augment(a, &work, &im, &cfg, seed & 1, 48, &r, &err), err);
        CHECK_OK(augment(b, &work, &im, &cfg, seed & 1, 48, &again, &err), err);
        assert_memory_equal(a, b, sizeof a);
        CHECK_OK(augment(b, &work, &im, &cfg, seed & 1, 48, &other, &err), err);
        assert_true(memcmp(a, b, sizeof a) != 0);
    }
    cfg = (augment_cfg){
        .ground = {0, 0, 0, 1}, .scale = {0.5f, 0.5f}, .crop = {1, 1}, .ratio = {1, 1}};
    rng r = rng_seed(1, 1);
    CHECK_OK(augment(a, &work, &im, &cfg, false, 48, &r, &err), err);
    assert_true(a[0] == 0 && a[1] == 0 && a[2] == 0); /* the corner: black ground */
    resize_work_free(&work);
    image_free(&im);
    buf_free(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crops),     cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_damaged),   cmocka_unit_test(test_limit),
        cmocka_unit_test(test_augment),   cmocka_unit_test(test_oriented),
        cmocka_unit_test(test_modern),    cmocka_unit_test(test_claims),
        cmocka_unit_test(test_fast),      cmocka_unit_test(test_fast_near),
        cmocka_unit_test(test_fast_size), cmocka_unit_test(test_raw),
        cmocka_unit_test(test_raw_broken)};
    return cmocka_run_group_tests_name("image", tests, NULL, NULL);
}
