/* Pictures out of videos against those of the ffmpeg program
 * (tests/golden/make_video.sh). */
#include "check.h"

#include <stdlib.h>

#include "base/file.h"
#include "base/rng.h"
#include "image/video.h"

#define VIDEO "tests/golden/video/"

enum { MOST = 64 };

/* A video's pictures. */
typedef struct shown {
    image im[MOST];
    double at[MOST];
    size_t n;
} shown;

static void shown_free(shown *s)
{
    for (size_t i = 0; i < s->n; i++) image_free(&s->im[i]);
}

static int show(shown *s, const char *path, double every, double most, clipc_err *err)
{
    const video_options o = {every, most, 2};
    video *v;
    bool end = false;
    int rc = video_open(&v, path, &o, err);

    s->n = 0;
    while (rc == CLIPC_OK && s->n < MOST) {
        rc = video_next(&s->im[s->n], &s->at[s->n], &end, v, err);
        if (rc != CLIPC_OK || end) break;
        s->n++;
    }
    video_free(v);
    return rc;
}

/* Not this machine, or not this build. */
static void need_libraries(void)
{
    shown s;
    clipc_err err;
    const int rc = show(&s, VIDEO "cuts.mp4", 1.0, 1.0, &err);

    if (rc == CLIPC_ERR_FEATURE || rc == CLIPC_ERR_IO) {
        print_message("not compared: %s\n", err.msg);
        skip();
    }
    CHECK_OK(rc, err);
    shown_free(&s);
}

static void check_picture(const image *im, const char *png)
{
    buf file = {0};
    clipc_err err;
    image want;

    CHECK_OK(file_read(&file, png, 1 << 20, &err), err);
    CHECK_OK(image_decode(&want, file.data, file.len, png, 1, &err), err);
    assert_int_equal(im->mode, IMAGE_RGB);
    assert_int_equal(im->w, want.w);
    assert_int_equal(im->h, want.h);
    for (size_t i = 0; i < 3 * im->w * im->h; i++)
        if (abs((int)im->px[i] - (int)want.px[i]) > 2) /* measured 0; codecs may round */
            fail_msg("%s: byte %zu is %d, wanted %d", png, i, im->px[i], want.px[i]);
    image_free(&want);
    buf_free(&file);
}

/* videos: H.264, MPEG-4 and VP8 in MP4, Matroska and WebM, and turned as a phone does:
 * the frames that ffmpeg takes out, at the scenes' changes alone and where time says */
static void test_frames(void **state)
{
    static const char *const names[] = {"cuts.mp4", "cuts.mkv", "cuts.webm",
                                        "turned.mp4"};
    (void)state;
    need_libraries();
    for (size_t i = 0; i < 8; i++) {
        char path[64], png[80];
        clipc_err err;
        shown s;
        snprintf(path, sizeof path, VIDEO "%s", names[i / 2]);
        CHECK_OK(show(&s, path, i % 2 ? 100.0 : 1.0, 1.0, &err), err);
        assert_int_equal(s.n, 3);
        for (size_t k = 0; k < s.n; k++) {
            snprintf(png, sizeof png, "%s.%zu.png", path, k + 1);
            CHECK_NEAR(s.at[k], (double)k, 1e-6);
            check_picture(&s.im[k], png);
        }
        shown_free(&s);
    }
}

/* videos: the changes of scene that ffmpeg's scdet sees */
static void test_scenes(void **state)
{
    FILE *f = fopen(VIDEO "scenes.txt", "r");
    clipc_err err;
    double at;
    size_t n = 0;
    shown s;

    (void)state;
    need_libraries();
    assert_non_null(f);
    CHECK_OK(show(&s, VIDEO "cuts.mp4", 100.0, 1.0, &err), err);
    for (; fscanf(f, "%lf", &at) == 1; n++) CHECK_NEAR(s.at[n + 1], at, 1e-6);
    assert_int_equal(n, 2);
    assert_int_equal(s.n, n + 1);
    shown_free(&s);
    fclose(f);
}

/* videos: one each half second, though nothing changes */
static void test_every(void **state)
{
    clipc_err err;
    shown s;

    (void)state;
    need_libraries();
    CHECK_OK(show(&s, VIDEO "cuts.mp4", 0.5, 1.0, &err), err);
    assert_int_equal(s.n, 6);
    for (size_t i = 0; i < s.n; i++) CHECK_NEAR(s.at[i], 0.5 * (double)i, 1e-6);
    shown_free(&s);
}

static void put_file(const char *path, const void *data, size_t size)
{
    FILE *f = fopen(path, "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, size, f), size);
    fclose(f);
}

/* videos: what is none, or too large, or only says where another file is, is an error
 * that names the file */
static void test_refused(void **state)
{
    static const char list[] = "#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\n"
                               "cuts.mp4\n#EXT-X-ENDLIST\n";
    static const char concat[] = "ffconcat version 1.0\nfile cuts.mp4\n";
    clipc_err err;
    shown s;

    (void)state;
    need_libraries();
    CHECK_FAILS(show(&s, VIDEO "cuts.mp4", 1.0, 0.001, &err), CLIPC_ERR_LIMIT, err,
                "cuts.mp4: 64 x 48");
    CHECK_FAILS(show(&s, VIDEO "cut_off.mp4", 1.0, 1.0, &err), CLIPC_ERR_FORMAT, err,
                "cut_off.mp4: video");
    CHECK_FAILS(show(&s, VIDEO "cuts.mp4.1.png", 1.0, 1.0, &err), CLIPC_ERR_FORMAT, err,
                "cuts.mp4.1.png: video");
    CHECK_OK(file_mkdirs("build/test_video", &err), err);
    put_file("build/test_video/list.mp4", list, sizeof list - 1);
    put_file("build/test_video/concat.mp4", concat, sizeof concat - 1);
    CHECK_FAILS(show(&s, "build/test_video/list.mp4", 1.0, 1.0, &err), CLIPC_ERR_FORMAT,
                err, "list.mp4: video");
    CHECK_FAILS(show(&s, "build/test_video/concat.mp4", 1.0, 1.0, &err), CLIPC_ERR_FORMAT,
                err, "concat.mp4: video");
}

/* videos: one that is cut off keeps what is before, and bytes turned over do no harm */
static void test_damaged(void **state)
{
    static const char *const names[] = {VIDEO "cuts.mp4", VIDEO "cuts.mkv",
                                        VIDEO "cuts.webm"};
    rng r = rng_seed(5, 0);
    clipc_err err;
    shown s;

    (void)state;
    need_libraries();
    CHECK_OK(show(&s, VIDEO "cut_off.mkv", 100.0, 1.0, &err), err);
    assert_int_equal(s.n, 2);
    check_picture(&s.im[1], VIDEO "cuts.mkv.2.png");
    shown_free(&s);
    CHECK_OK(file_mkdirs("build/test_video", &err), err);
    for (size_t i = 0; i < 3 * 20; i++) {
        buf b = {0};
        CHECK_OK(file_read(&b, names[i / 20], 1 << 20, &err), err);
        for (int k = 0; k < 4; k++) b.data[rng_below(&r, b.len)] = (char)rng_u64(&r);
        put_file("build/test_video/damaged", b.data,
                 i % 2 ? b.len : rng_below(&r, b.len));
        show(&s, "build/test_video/damaged", 0.2, 1.0, &err);
        shown_free(&s);
        buf_free(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frames), cmocka_unit_test(test_scenes),
        cmocka_unit_test(test_every), cmocka_unit_test(test_refused),
        cmocka_unit_test(test_damaged)};
    return cmocka_run_group_tests_name("video", tests, NULL, NULL);
}
