#include "image/video.h"

#ifdef CLIPC_HAVE_FFMPEG

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/display.h>
#include <libswscale/swscale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/ckd.h"
#include "base/dynlib.h"
#include "base/sizes.h"
#include "image/orient.h"

#define FORMAT_FUNCTIONS(X)      \
    X(av_find_best_stream)       \
    X(av_read_frame)             \
    X(av_stream_get_side_data)   \
    X(avformat_close_input)      \
    X(avformat_find_stream_info) \
    X(avformat_open_input)
#define CODEC_FUNCTIONS(X)           \
    X(av_packet_alloc)               \
    X(av_packet_free)                \
    X(av_packet_unref)               \
    X(avcodec_alloc_context3)        \
    X(avcodec_free_context)          \
    X(avcodec_open2)                 \
    X(avcodec_parameters_to_context) \
    X(avcodec_receive_frame)         \
    X(avcodec_send_packet)
#define UTIL_FUNCTIONS(X)      \
    X(av_dict_free)            \
    X(av_dict_set)             \
    X(av_display_rotation_get) \
    X(av_frame_alloc)          \
    X(av_frame_free)           \
    X(av_log_set_level)        \
    X(av_strerror)
#define SCALE_FUNCTIONS(X)  \
    X(sws_freeContext)      \
    X(sws_getCachedContext) \
    X(sws_getCoefficients)  \
    X(sws_scale)            \
    X(sws_setColorspaceDetails)

static struct {
    DYNLIB_POINTERS(FORMAT_FUNCTIONS)
} format;
static struct {
    DYNLIB_POINTERS(CODEC_FUNCTIONS)
} codec;
static struct {
    DYNLIB_POINTERS(UTIL_FUNCTIONS)
} util;
static struct {
    DYNLIB_POINTERS(SCALE_FUNCTIONS)
} scale;

/* A number in a name stands for the layout of structs, which the headers have. */
#define SO(name, major) "lib" name ".so." AV_STRINGIFY(major)
static dynlib libraries[] = {
    DYNLIB(SO("avutil", LIBAVUTIL_VERSION_MAJOR), UTIL_FUNCTIONS, util),
    DYNLIB(SO("avcodec", LIBAVCODEC_VERSION_MAJOR), CODEC_FUNCTIONS, codec),
    DYNLIB(SO("avformat", LIBAVFORMAT_VERSION_MAJOR), FORMAT_FUNCTIONS, format),
    DYNLIB(SO("swscale", LIBSWSCALE_VERSION_MAJOR), SCALE_FUNCTIONS, scale)};

enum {
    SIDE = 32, /* pixels of the grey picture that changes are seen in */
    SPILL = 64 /* bytes that libswscale may write behind a row */
};
#define CUT     25.5 /* levels of 255 */
#define CUT_GAP 0.5  /* seconds at least between a picture and that of a change */

/* Formats that hold a video, rather than say where another file is. */
static const char formats[] = "mov,matroska,avi,mpegts,mpeg,flv,asf,ogg";

struct video {
    char *path;
    video_options o;
    AVFormatContext *file;
    AVCodecContext *decoder;
    AVPacket *packet;
    AVFrame *frame;
    AVStream *stream;
    struct SwsContext *to_rgb, *to_grey;
    uint8_t grey[2][SIDE * SIDE + SPILL]; /* of this frame and the one before */
    uint8_t *rgb;                         /* of a frame that is taken */
    size_t rgb_bytes;
    double difference;  /* of the two before */
    double taken, next; /* seconds: the last picture, the next one at the latest */
    size_t frames;      /* so far */
    bool cut, drained;
};

static int bad(const video *v, int code, clipc_err *err)
{
    char why[AV_ERROR_MAX_STRING_SIZE] = "";

    util.av_strerror(code, why, sizeof why);
    return code == AVERROR(ENOMEM)
               ? clipc_fail_memory(err, v->path, 0)
               : clipc_fail(err, CLIPC_ERR_FORMAT, "%s: video: %s", v->path, why);
}

/* ---- opening ---- */

static int open_file(video *v, clipc_err *err)
{
    AVDictionary *options = NULL;
    char *url = malloc(strlen(v->path) + sizeof "file:");
    int code;

    if (!url) return clipc_fail_memory(err, v->path, strlen(v->path));
    strcat(strcpy(url, "file:"), v->path);
    util.av_dict_set(&options, "format_whitelist", formats, 0);
    util.av_dict_set(&options, "protocol_whitelist", "file", 0);
    code = format.avformat_open_input(&v->file, url, NULL, &options);
    util.av_dict_free(&options);
    free(url);
    if (code >= 0) code = format.avformat_find_stream_info(v->file, NULL);
    return code >= 0 ? CLIPC_OK : bad(v, code, err);
}

static int open_decoder(video *v, clipc_err *err)
{
    const AVCodec *which = NULL;
    const int i =
        format.av_find_best_stream(v->file, AVMEDIA_TYPE_VIDEO, -1, -1, &which, 0);
    int code;

    if (i < 0)
        return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: video: no pictures in it", v->path);
    v->stream = v->file->streams[i];
    const AVCodecParameters *par = v->stream->codecpar;
    if (par->width > 0 && par->height > 0) {
        const int rc = image_check_size((size_t)par->width, (size_t)par->height,
                                        v->o.max_megapixels, v->path, err);
        if (rc != CLIPC_OK) return rc;
    }
    for (unsigned k = 0; k < v->file->nb_streams; k++)
        if ((int)k != i) v->file->streams[k]->discard = AVDISCARD_ALL;
    v->decoder = codec.avcodec_alloc_context3(which);
    v->packet = codec.av_packet_alloc();
    v->frame = util.av_frame_alloc();
    if (!v->decoder || !v->packet || !v->frame) return clipc_fail_memory(err, v->path, 0);
    code = codec.avcodec_parameters_to_context(v->decoder, par);
    v->decoder->thread_count = (int)min_size(v->o.threads, 16);
    v->decoder->max_pixels = (int64_t)(v->o.max_megapixels * 1e6);
    v->decoder->pkt_timebase = v->stream->time_base;
    if (code >= 0) code = codec.avcodec_open2(v->decoder, which, NULL);
    return code >= 0 ? CLIPC_OK : bad(v, code, err);
}

int video_open(video **out, const char *path, const video_options *o, clipc_err *err)
{
    video *v;
    int rc = CLIPC_OK;

    *out = NULL;
    for (size_t i = 0; rc == CLIPC_OK && i < sizeof libraries / sizeof libraries[0]; i++)
        rc = dynlib_need(&libraries[i], path, err);
    if (rc != CLIPC_OK) return rc;
    v = calloc(1, sizeof *v);
    if (!v || !(v->path = strdup(path))) {
        free(v);
        return clipc_fail_memory(err, path, sizeof *v);
    }
    v->o = *o;
    util.av_log_set_level(AV_LOG_QUIET);
    rc = open_file(v, err);
    if (rc == CLIPC_OK) rc = open_decoder(v, err);
    if (rc == CLIPC_OK) *out = v;
    else video_free(v);
    return rc;
}

void video_free(video *v)
{
    if (!v) return;
    scale.sws_freeContext(v->to_rgb);
    scale.sws_freeContext(v->to_grey);
    util.av_frame_free(&v->frame);
    codec.av_packet_free(&v->packet);
    codec.avcodec_free_context(&v->decoder);
    format.avformat_close_input(&v->file);
    free(v->rgb);
    free(v->path);
    free(v);
}

/* ---- frames ---- */

/* Gives the decoder a packet of the video, which it may refuse, or says that there are no
 * more. */
static void feed(video *v)
{
    while (format.av_read_frame(v->file, v->packet) >= 0) {
        const bool ours = v->packet->stream_index == v->stream->index;
        if (ours) codec.avcodec_send_packet(v->decoder, v->packet);
        codec.av_packet_unref(v->packet);
        if (ours) return;
    }
    v->drained = true;
    codec.avcodec_send_packet(v->decoder, NULL);
}

/* The next frame that can be decoded; false: there is none. */
static bool decode(video *v)
{
    while (codec.avcodec_receive_frame(v->decoder, v->frame) < 0) {
        if (v->drained) return false;
        feed(v);
    }
    return true;
}

/* Of the frame, from the video's start; a frame without a time has the one before's. */
static double seconds_of(const video *v)
{
    const int64_t start =
        v->stream->start_time == AV_NOPTS_VALUE ? 0 : v->stream->start_time;
    const int64_t at = v->frame->best_effort_timestamp;
    const double s = ((double)at - (double)start) * av_q2d(v->stream->time_base);

    return at != AV_NOPTS_VALUE && isfinite(s) && s > v->taken ? s : v->taken;
}

static struct SwsContext *scaler(struct SwsContext **cached, const AVFrame *f, int w,
                                 int h, enum AVPixelFormat to, int how)
{
    *cached = scale.sws_getCachedContext(*cached, f->width, f->height, f->format, w, h,
                                         to, how, NULL, NULL, NULL);
    if (*cached)
        scale.sws_setColorspaceDetails(
            *cached, scale.sws_getCoefficients((int)f->colorspace),
            f->color_range == AVCOL_RANGE_JPEG, scale.sws_getCoefficients(SWS_CS_DEFAULT),
            1, 0, 1 << 16, 1 << 16);
    return *cached;
}

/* Mean difference of this frame's grey and that of the one before; 0 of the first. */
static double compare(video *v)
{
    uint8_t *now = v->grey[v->frames & 1], *const rows[] = {now};
    const uint8_t *before = v->grey[!(v->frames & 1)];
    const int stride[] = {SIDE};
    long sum = 0;

    if (!scaler(&v->to_grey, v->frame, SIDE, SIDE, AV_PIX_FMT_GRAY8, SWS_BILINEAR))
        return 0.0;
    scale.sws_scale(v->to_grey, (const uint8_t *const *)v->frame->data,
                    v->frame->linesize, 0, v->frame->height, rows, stride);
    for (size_t i = 0; v->frames && i < SIDE * SIDE; i++)
        sum += labs((long)now[i] - before[i]);
    return (double)sum / (SIDE * SIDE);
}

/* Whether the frame at t is one to take. */
static bool wanted(video *v, double t)
{
    const double d = compare(v), more = fabs(d - v->difference);

    v->cut = v->cut || (d < more ? d : more) >= CUT;
    v->difference = d;
    if (v->frames++ && t < v->next && !(v->cut && t >= v->taken + CUT_GAP)) return false;
    if (t >= v->next) v->next = (floor(t / v->o.every) + 1.0) * v->o.every;
    v->taken = t;
    v->cut = false;
    return true;
}

/* EXIF's number for how players turn the video, by quarters. */
static int orientation_of(const video *v)
{
    static const int turned[] = {1, 6, 3, 8};
    size_t size = 0;
    const uint8_t *matrix =
        format.av_stream_get_side_data(v->stream, AV_PKT_DATA_DISPLAYMATRIX, &size);
    const double angle =
        matrix && size >= 9 * sizeof(int32_t)
            ? util.av_display_rotation_get((const int32_t *)(const void *)matrix)
            : 0.0;

    return isfinite(angle) ? turned[(int)lrint(-angle / 90.0) & 3] : 1;
}

/* The frame's pixels in v->rgb, rows of `stride` bytes. */
static int to_rgb(video *v, size_t *stride, clipc_err *err)
{
    const AVFrame *f = v->frame;
    const size_t w = (size_t)f->width, h = (size_t)f->height;
    size_t bytes;

    *stride = div_up(3 * w, SPILL) * SPILL;
    if (ckd_mul_size(&bytes, *stride, h) || ckd_add_size(&bytes, bytes, SPILL))
        return clipc_fail(err, CLIPC_ERR_LIMIT, "%s: %zu x %zu pixels", v->path, w, h);
    if (bytes > v->rgb_bytes) {
        uint8_t *rgb = realloc(v->rgb, bytes);
        if (!rgb) return clipc_fail_memory(err, v->path, bytes);
        v->rgb = rgb, v->rgb_bytes = bytes;
    }
    uint8_t *const rows[] = {v->rgb};
    const int strides[] = {(int)*stride};
    if (!scaler(&v->to_rgb, f, f->width, f->height, AV_PIX_FMT_RGB24, SWS_BICUBIC))
        return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: video: pixels of an unknown kind",
                          v->path);
    scale.sws_scale(v->to_rgb, (const uint8_t *const *)f->data, f->linesize, 0, f->height,
                    rows, strides);
    return CLIPC_OK;
}

static int to_image(image *out, video *v, clipc_err *err)
{
    const size_t w = (size_t)v->frame->width, h = (size_t)v->frame->height;
    size_t stride;
    int rc = image_check_size(w, h, v->o.max_megapixels, v->path, err);

    if (rc == CLIPC_OK) rc = to_rgb(v, &stride, err);
    if (rc == CLIPC_OK) rc = image_alloc(out, w, h, IMAGE_RGB, v->path, err);
    if (rc != CLIPC_OK) return rc;
    for (size_t y = 0; y < h; y++)
        memcpy(out->px + 3 * w * y, v->rgb + stride * y, 3 * w);
    rc = image_orient(out, orientation_of(v), v->path, err);
    if (rc != CLIPC_OK) image_free(out);
    return rc;
}

int video_next(image *out, double *seconds, bool *end, video *v, clipc_err *err)
{
    *out = (image){0};
    *end = false;
    while (decode(v)) {
        *seconds = seconds_of(v);
        if (wanted(v, *seconds)) return to_image(out, v, err);
    }
    *end = true;
    return v->frames ? CLIPC_OK
                     : clipc_fail(err, CLIPC_ERR_FORMAT,
                                  "%s: video: not one frame can be decoded", v->path);
}

#else

int video_open(video **out, const char *path, const video_options *o, clipc_err *err)
{
    (void)o;
    *out = NULL;
    return image_lacks(path, "a video", "FFmpeg's libraries of version 5", err);
}

void video_free(video *v)
{
    (void)v;
}

int video_next(image *out, double *seconds, bool *end, video *v, clipc_err *err)
{
    (void)out, (void)seconds, (void)end, (void)v, (void)err;
    return CLIPC_ERR_FEATURE;
}

#endif
