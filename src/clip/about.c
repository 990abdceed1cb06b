#define PCRE2_CODE_UNIT_WIDTH 8
#include <archive.h>
#include <jansson.h>
#include <pcre2.h>
#include <png.h>
#include <stdio.h>
#include <string.h>
#include <utf8proc.h>
#include <webp/decode.h>

#include "base/file.h"
#include "clip/model.h"
#include "image/image.h"
#include "io/npy.h"
#include "tensor/peak.h"

/* jpeglib.h needs stdio.h before it. */
#include <jpeglib.h>

/* Those that this build can load. */
static const char loadable[] = ""
#ifdef CLIPC_HAVE_TIFF
                               " libtiff"
#endif
#ifdef CLIPC_HAVE_HEIF
                               " libheif"
#endif
#ifdef CLIPC_HAVE_JXL
                               " libjxl"
#endif
#ifdef CLIPC_HAVE_RAW
                               " libraw"
#endif
#ifdef CLIPC_HAVE_FFMPEG
                               " FFmpeg"
#endif
#ifdef CLIPC_HAVE_CURL
                               " libcurl"
#endif
#ifdef CLIPC_HAVE_CHAFA
                               " libchafa"
#endif
#ifdef CLIPC_HAVE_PQ
                               " libpq"
#endif
    ;

void clipc_about(char *out, size_t out_size)
{
    const kernels *k = NULL;
    const int webp = WebPGetDecoderVersion();
    char pcre2[64] = "";
    clipc_err err;

    pcre2_config(PCRE2_CONFIG_VERSION, pcre2);
    const int rc = kernels_pick(&k, &err);
    snprintf(out, out_size,
             "clipc %s, %s kernels; libjpeg %d, libpng %s, libwebp %d.%d.%d, PCRE2 %s, "
             "utf8proc "
             "%s, jansson %s, %s; when needed:%s",
             CLIPC_VERSION, rc == CLIPC_OK ? k->name : "no", JPEG_LIB_VERSION,
             PNG_LIBPNG_VER_STRING, webp >> 16, (webp >> 8) & 255, webp & 255, pcre2,
             utf8proc_version(), jansson_version_str(), archive_version_string(),
             *loadable ? loadable : " none");
}

double clipc_ctx_operations(const clipc_ctx *ctx)
{
    return (double)ctx->e->operations;
}

double clipc_peak(int precision)
{
    const kernels *k = NULL;

    if (precision < 0 || precision > CLIPC_PRECISION_INT8) return 0.0;
    return kernels_pick(&k, NULL) == CLIPC_OK ? kernels_peak(k, (compute)precision) : 0.0;
}

int clipc_write_npy(const char *path, const float *data, size_t rows, size_t cols,
                    int overwrite, clipc_err *err)
{
    const size_t dims[] = {rows, cols};

    return npy_write(path, data, DT_F32, dims, 2, overwrite, err);
}

int clipc_write_npy_crops(const char *path, const uint8_t *rgb, size_t n, size_t rows,
                          size_t columns, int overwrite, clipc_err *err)
{
    const size_t dims[] = {n, rows, columns, 3};

    return npy_write(path, rgb, DT_U8, dims, 4, overwrite, err);
}

int clipc_read_npy(const char *path, float **data, size_t *dims, size_t *n_dims,
                   clipc_err *err)
{
    const kernels *k = NULL;
    npy a = {0};
    int rc = kernels_pick(&k, err);

    if (rc == CLIPC_OK) rc = npy_read(&a, path, k, err);
    if (rc != CLIPC_OK) return rc;
    *data = a.data;
    *n_dims = a.n_dims;
    memcpy(dims, a.dims, a.n_dims * sizeof *dims);
    return CLIPC_OK;
}

int clipc_write_png(const char *path, const uint8_t *rgb, size_t width, size_t height,
                    int overwrite, clipc_err *err)
{
    buf bytes = {0};
    atomic_file f = {0};
    int rc = png_encode(&bytes, rgb, width, height, 3, err);

    if (rc == CLIPC_OK) rc = atomic_open(&f, path, overwrite, err);
    if (rc == CLIPC_OK) {
        rc = atomic_write(&f, bytes.data, bytes.len, err);
        if (rc == CLIPC_OK) rc = atomic_commit(&f, err);
        else atomic_abort(&f);
    }
    buf_free(&bytes);
    return rc;
}
