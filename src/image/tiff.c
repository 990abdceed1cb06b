/* TIFF through libtiff, in the modes and values of Pillow's TiffImagePlugin: strips and
 * tiles, planes together or apart, whatever libtiff decompresses; the first picture,
 * turned as its Orientation says, which of Pillow's formats only this one does. */
#ifdef CLIPC_HAVE_TIFF

#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tiffio.h>

#include "base/dynlib.h"
#include "image/orient.h"
#include "image/tags.h"

#define FUNCTIONS(X)                        \
    X(TIFFClientOpenExt)                    \
    X(TIFFClose)                            \
    X(TIFFGetField)                         \
    X(TIFFGetFieldDefaulted)                \
    X(TIFFIsTiled)                          \
    X(TIFFOpenOptionsAlloc)                 \
    X(TIFFOpenOptionsFree)                  \
    X(TIFFOpenOptionsSetErrorHandlerExtR)   \
    X(TIFFOpenOptionsSetMaxSingleMemAlloc)  \
    X(TIFFOpenOptionsSetWarningHandlerExtR) \
    X(TIFFRGBAImageBegin)                   \
    X(TIFFRGBAImageEnd)                     \
    X(TIFFRGBAImageGet)                     \
    X(TIFFReadEncodedStrip)                 \
    X(TIFFReadTile)                         \
    X(TIFFScanlineSize64)                   \
    X(TIFFSetField)                         \
    X(TIFFStripSize64)                      \
    X(TIFFTileRowSize64)                    \
    X(TIFFTileSize64)

static struct {
    DYNLIB_POINTERS(FUNCTIONS)
} lib;
static dynlib library = DYNLIB("libtiff.so.6", FUNCTIONS, lib);

typedef struct tiff {
    TIFF *t;
    const uint8_t *data;
    size_t size, at; /* at: where libtiff reads next */
    const char *name;
    clipc_err *err;
    uint32_t w, h;
    uint16_t photo, bits, format, samples, planar, compression;
    uint16_t extras, extra; /* samples that are no colour, and the kind of the first */
    bool extras_told;       /* libtiff makes some up where the file says none */
    image_mode mode;
    bool inverted, premultiplied;
    char msg[120]; /* libtiff's first complaint */
} tiff;

/* ---- the bytes, for libtiff ---- */

static tmsize_t read_bytes(thandle_t user, void *to, tmsize_t n)
{
    tiff *t = user;
    const size_t left = t->at < t->size ? t->size - t->at : 0;
    const size_t some = (size_t)n < left ? (size_t)n : left;

    memcpy(to, t->data + t->size - left, some);
    t->at += some;
    return (tmsize_t)some;
}

static tmsize_t write_bytes(thandle_t user, void *from, tmsize_t n)
{
    (void)user, (void)from, (void)n;
    return -1;
}

static toff_t seek(thandle_t user, toff_t to, int whence)
{
    tiff *t = user;

    t->at = (size_t)to + (whence == SEEK_CUR ? t->at : whence == SEEK_END ? t->size : 0);
    return t->at;
}

static int close_bytes(thandle_t user)
{
    (void)user;
    return 0;
}

static toff_t size_of(thandle_t user)
{
    return ((tiff *)user)->size;
}

static int map(thandle_t user, void **base, toff_t *size)
{
    tiff *t = user;

    *base = (void *)(uintptr_t)t->data; /* libtiff only reads it */
    *size = t->size;
    return 1;
}

static void unmap(thandle_t user, void *base, toff_t size)
{
    (void)user, (void)base, (void)size;
}

static int on_error(TIFF *handle, void *user, const char *module, const char *fmt,
                    va_list ap)
{
    tiff *t = user;

    (void)handle, (void)module;
    if (!t->msg[0]) vsnprintf(t->msg, sizeof t->msg, fmt, ap);
    return 1;
}

static int on_warning(TIFF *handle, void *user, const char *module, const char *fmt,
                      va_list ap)
{
    (void)handle, (void)user, (void)module, (void)fmt, (void)ap;
    return 1;
}

static int bad(const tiff *t, const char *why)
{
    return clipc_fail(t->err, CLIPC_ERR_FORMAT, "%s: damaged TIFF: %s", t->name,
                      t->msg[0] ? t->msg : why);
}

/* What libtiff may allocate at once: any strip or tile that read_blocks takes, and its
 * own tables. */
static tmsize_t memory_limit(double max_megapixels)
{
    const double bytes = max_megapixels * 8e6 + (1 << 24);

    return bytes < (double)INT_MAX ? (tmsize_t)bytes : INT_MAX;
}

static int begin(tiff *t, double max_megapixels)
{
    TIFFOpenOptions *options = lib.TIFFOpenOptionsAlloc();

    if (!options) return clipc_fail_memory(t->err, t->name, 0);
    lib.TIFFOpenOptionsSetErrorHandlerExtR(options, on_error, t);
    lib.TIFFOpenOptionsSetWarningHandlerExtR(options, on_warning, t);
    lib.TIFFOpenOptionsSetMaxSingleMemAlloc(options, memory_limit(max_megapixels));
    t->t = lib.TIFFClientOpenExt(t->name, "r", t, read_bytes, write_bytes, seek,
                                 close_bytes, size_of, map, unmap, options);
    lib.TIFFOpenOptionsFree(options);
    return t->t ? CLIPC_OK : bad(t, "no directory");
}

/* ---- modes ---- */

static int lacking(const tiff *t)
{
    return clipc_fail(
        t->err, CLIPC_ERR_FEATURE,
        "%s: a TIFF of %u samples of %u bits (photometric %u, format %u) is "
        "not supported",
        t->name, t->samples, t->bits, t->photo, t->format);
}

static void read_tags(tiff *t)
{
    uint16_t *kinds = NULL;
    uint32_t unused;

    lib.TIFFGetField(t->t, TIFFTAG_IMAGEWIDTH, &t->w);
    lib.TIFFGetField(t->t, TIFFTAG_IMAGELENGTH, &t->h);
    lib.TIFFGetField(t->t, TIFFTAG_PHOTOMETRIC, &t->photo);
    lib.TIFFGetFieldDefaulted(t->t, TIFFTAG_BITSPERSAMPLE, &t->bits);
    lib.TIFFGetFieldDefaulted(t->t, TIFFTAG_SAMPLEFORMAT, &t->format);
    lib.TIFFGetFieldDefaulted(t->t, TIFFTAG_SAMPLESPERPIXEL, &t->samples);
    lib.TIFFGetFieldDefaulted(t->t, TIFFTAG_PLANARCONFIG, &t->planar);
    lib.TIFFGetFieldDefaulted(t->t, TIFFTAG_COMPRESSION, &t->compression);
    if (lib.TIFFGetFieldDefaulted(t->t, TIFFTAG_EXTRASAMPLES, &t->extras, &kinds) &&
        t->extras)
        t->extra = kinds[0];
    t->extras_told = t->data[2] + t->data[3] != 42 || /* BigTIFF's writers know it */
                     tiff_tag(&unused, t->data, t->size, TIFFTAG_EXTRASAMPLES);
}

/* One sample a pixel. */
static int choose_grey(tiff *t)
{
    const bool number = t->format == SAMPLEFORMAT_UINT, is_signed = t->format == 2;

    t->inverted = t->photo == PHOTOMETRIC_MINISWHITE && t->bits <= 8;
    if (t->bits == 1 && number) t->mode = IMAGE_1;
    else if ((t->bits == 2 || t->bits == 4 || t->bits == 8) && number) t->mode = IMAGE_L;
    else if (t->bits == 8 && is_signed) t->mode = IMAGE_L;
    else if (t->bits == 16 && number && t->data[0] == 'M') t->mode = IMAGE_I16B;
    else if ((t->bits == 12 || t->bits == 16) && number) t->mode = IMAGE_I16;
    else if ((t->bits == 16 && is_signed) || (t->bits == 32 && (number || is_signed)))
        t->mode = IMAGE_I;
    else if (t->bits == 32 && t->format == SAMPLEFORMAT_IEEEFP) t->mode = IMAGE_F;
    else return lacking(t);
    return CLIPC_OK;
}

/* Several samples of whole bytes.  Those beyond what the mode holds are passed over. */
static int choose_colour(tiff *t)
{
    const bool alpha = t->extras && t->extra != EXTRASAMPLE_UNSPECIFIED;
    const unsigned colours = (unsigned)(t->samples - t->extras);

    if (t->format != SAMPLEFORMAT_UINT || (t->bits != 8 && t->bits != 16) ||
        t->samples > 6 || t->extras > t->samples)
        return lacking(t);
    if (t->photo <= PHOTOMETRIC_MINISBLACK && t->bits == 8 && colours == 1) {
        t->mode = alpha ? IMAGE_LA : IMAGE_L;
        /* Pillow opens premultiplied grey and can then convert it to nothing. */
        if (alpha && t->extra == EXTRASAMPLE_ASSOCALPHA) return lacking(t);
    } else if (t->photo == PHOTOMETRIC_RGB && colours == 3) {
        const bool untold = t->samples == 4 && !t->extras_told;
        t->mode = alpha || untold ? IMAGE_RGBA : IMAGE_RGB;
        t->premultiplied = alpha && t->extra == EXTRASAMPLE_ASSOCALPHA;
    } else if (t->photo == PHOTOMETRIC_SEPARATED && colours == 4) {
        t->mode = IMAGE_CMYK;
    } else if (t->photo == PHOTOMETRIC_PALETTE && t->bits == 8 && colours == 1) {
        t->mode = alpha ? IMAGE_PA : IMAGE_P;
    } else if (t->photo == PHOTOMETRIC_CIELAB && t->bits == 8 && colours == 3) {
        t->mode = IMAGE_LAB;
    } else {
        return lacking(t);
    }
    return CLIPC_OK;
}

/* Of YCbCr, Pillow itself reads only what is neither compressed nor subsampled; libtiff
 * takes 2 x 2 for granted where the file does not say. */
static bool is_plain_ycbcr(const tiff *t)
{
    uint16_t sub[2] = {2, 2};
    uint32_t unused;

    if (t->compression == COMPRESSION_NONE &&
        !tiff_tag(&unused, t->data, t->size, TIFFTAG_YCBCRSUBSAMPLING))
        lib.TIFFSetField(t->t, TIFFTAG_YCBCRSUBSAMPLING, 1, 1);
    lib.TIFFGetFieldDefaulted(t->t, TIFFTAG_YCBCRSUBSAMPLING, &sub[0], &sub[1]);
    return t->compression == COMPRESSION_NONE && t->planar == PLANARCONFIG_CONTIG &&
           t->bits == 8 && t->samples == 3 && sub[0] == 1 && sub[1] == 1;
}

/* *convert: libtiff shall make RGB of it. */
static int choose_mode(tiff *t, bool *convert)
{
    *convert = false;
    if (t->photo == PHOTOMETRIC_YCBCR) {
        t->mode = IMAGE_RGB;
        if (t->compression == COMPRESSION_JPEG && t->planar == PLANARCONFIG_CONTIG &&
            t->bits == 8 && t->samples == 3)
            lib.TIFFSetField(t->t, TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB);
        else if (is_plain_ycbcr(t)) t->mode = IMAGE_YCBCR;
        else *convert = true;
        return CLIPC_OK;
    }
    if (t->samples > 1) return choose_colour(t);
    if (t->photo <= PHOTOMETRIC_MINISBLACK) return choose_grey(t);
    t->mode = IMAGE_P;
    if (t->photo != PHOTOMETRIC_PALETTE || t->format != SAMPLEFORMAT_UINT ||
        (t->bits != 1 && t->bits != 2 && t->bits != 4 && t->bits != 8))
        return lacking(t);
    return CLIPC_OK;
}

static int read_palette(const tiff *t, image *out)
{
    uint16_t *bands[3];

    if (t->mode != IMAGE_P && t->mode != IMAGE_PA) return CLIPC_OK;
    if (!lib.TIFFGetField(t->t, TIFFTAG_COLORMAP, &bands[0], &bands[1], &bands[2]))
        return bad(t, "no palette");
    for (size_t i = 0; i < (size_t)1 << t->bits; i++) {
        for (size_t c = 0; c < 3; c++) out->palette[i][c] = (uint8_t)(bands[c][i] >> 8);
        out->palette[i][3] = 255;
    }
    return CLIPC_OK;
}

/* ---- pixels ---- */

/* Samples of 1, 2, 4 bits; bytes where the mode has no palette are scaled to 255. */
static void unpack_bits(uint8_t *to, const uint8_t *from, size_t n, const tiff *t)
{
    const size_t bits = t->bits;
    const unsigned mask = (1u << bits) - 1;

    for (size_t x = 0; x < n; x++) {
        const unsigned v = from[x * bits / 8] >> (8 - bits - x * bits % 8) & mask;
        to[x] = (uint8_t)(t->mode == IMAGE_P ? v : v * (255 / mask));
    }
}

static void unpack_12(uint8_t *to, const uint8_t *from, size_t n)
{
    for (size_t x = 0; x < n; x++) {
        const uint8_t *p = from + x / 2 * 3;
        const uint16_t v =
            (uint16_t)(x % 2 ? (p[1] & 15) << 8 | p[2] : p[0] << 4 | p[1] >> 4);
        memcpy(to + 2 * x, &v, sizeof v);
    }
}

/* Bytes of plane `plane`, or of all if they stand together; of 16 bits the high one. */
static void unpack_bytes(uint8_t *to, const uint8_t *from, size_t n, size_t plane,
                         const tiff *t)
{
    const bool apart = t->planar == PLANARCONFIG_SEPARATE && t->samples > 1;
    const size_t c = image_channels(t->mode), bytes = t->bits / 8;
    const size_t step = apart ? 1 : t->samples, last = apart ? plane + 1 : c;
    const uint16_t one = 1;
    const size_t high = bytes == 2 && *(const uint8_t *)&one;

    for (size_t x = 0; x < n; x++)
        for (size_t ch = apart ? plane : 0; ch < last; ch++) {
            const uint8_t v = from[(x * step + (apart ? 0 : ch)) * bytes + high];
            to[x * c + ch] = t->mode == IMAGE_LAB && ch ? v ^ 128 : v;
        }
}

static void unpack(uint8_t *to, const uint8_t *from, size_t n, size_t plane,
                   const tiff *t)
{
    if (t->mode == IMAGE_I && t->bits == 16) {
        for (size_t x = 0; x < n; x++) {
            int16_t v;
            memcpy(&v, from + 2 * x, sizeof v);
            const int32_t whole = v;
            memcpy(to + 4 * x, &whole, sizeof whole);
        }
    } else if (t->mode == IMAGE_I16B) {
        for (size_t x = 0; x < n; x++) {
            uint16_t v;
            memcpy(&v, from + 2 * x, sizeof v);
            to[2 * x] = (uint8_t)(v >> 8), to[2 * x + 1] = (uint8_t)v;
        }
    } else if (t->bits == 12) {
        unpack_12(to, from, n);
    } else if (image_is_wide(t->mode)) {
        memcpy(to, from, n * image_channels(t->mode));
    } else if (t->bits < 8) {
        unpack_bits(to, from, n, t);
    } else {
        unpack_bytes(to, from, n, plane, t);
    }
    for (size_t x = 0; t->inverted && x < n; x++) to[x] = (uint8_t)(255 - to[x]);
}

/* How the file cuts the picture: tiles, or strips, which are as wide as it. */
typedef struct blocks {
    size_t w, h, bytes, row; /* bytes of a block, and of a row in it */
    bool tiled;
} blocks;

static int measure(blocks *b, const tiff *t, double max_megapixels)
{
    const bool apart = t->planar == PLANARCONFIG_SEPARATE;
    uint32_t w = t->w, h = t->h;

    b->tiled = lib.TIFFIsTiled(t->t);
    if (b->tiled) {
        lib.TIFFGetField(t->t, TIFFTAG_TILEWIDTH, &w);
        lib.TIFFGetField(t->t, TIFFTAG_TILELENGTH, &h);
    } else if (lib.TIFFGetField(t->t, TIFFTAG_ROWSPERSTRIP, &h) != 1 || h > t->h) {
        h = t->h;
    }
    b->w = w, b->h = h;
    const int rc = image_check_size(w, h, max_megapixels, t->name, t->err);
    if (rc != CLIPC_OK) return rc;
    b->bytes = b->tiled ? lib.TIFFTileSize64(t->t) : lib.TIFFStripSize64(t->t);
    b->row = b->tiled ? lib.TIFFTileRowSize64(t->t) : lib.TIFFScanlineSize64(t->t);
    if (b->row != (b->w * t->bits * (apart ? 1 : t->samples) + 7) / 8 ||
        b->bytes != b->row * b->h)
        return bad(t, "strips or tiles of unexpected size");
    return CLIPC_OK;
}

static int read_block(uint8_t *block, const blocks *b, const tiff *t, size_t x, size_t y,
                      size_t plane)
{
    const size_t rows = (t->h + b->h - 1) / b->h;
    const tmsize_t n =
        b->tiled
            ? lib.TIFFReadTile(t->t, block, (uint32_t)x, (uint32_t)y, 0, (uint16_t)plane)
            : lib.TIFFReadEncodedStrip(t->t, (uint32_t)(plane * rows + y / b->h), block,
                                       (tmsize_t)b->bytes);

    return n >= 0 ? CLIPC_OK : bad(t, "pixels cannot be decompressed");
}

static int read_blocks(image *out, const tiff *t, double max_megapixels)
{
    const size_t c = image_channels(t->mode);
    const size_t planes = t->planar == PLANARCONFIG_SEPARATE && t->samples > 1 ? c : 1;
    uint8_t *block = NULL;
    blocks b;
    int rc = measure(&b, t, max_megapixels);

    if (rc != CLIPC_OK) return rc;
    /* Zeroed: a strip may end early without an error. */
    block = calloc(b.bytes, 1);
    if (!block) return clipc_fail_memory(t->err, t->name, b.bytes);
    for (size_t y = 0; y < out->h; y += b.h)
        for (size_t plane = 0; plane < planes; plane++)
            for (size_t x = 0; x < out->w; x += b.w) {
                const size_t w = out->w - x < b.w ? out->w - x : b.w;
                if ((rc = read_block(block, &b, t, x, y, plane)) != CLIPC_OK) goto done;
                for (size_t row = 0; row < b.h && y + row < out->h; row++)
                    unpack(out->px + ((y + row) * out->w + x) * c, block + row * b.row, w,
                           plane, t);
            }
done:
    free(block);
    return rc;
}

/* libtiff's own conversion to RGB, as Pillow has it done for YCbCr. */
static int read_converted(image *out, tiff *t)
{
    const size_t n = out->w * out->h;
    TIFFRGBAImage rgba;
    char msg[1024] = "";
    uint32_t *px;
    int rc = CLIPC_OK;

    if (!lib.TIFFRGBAImageBegin(&rgba, t->t, 1, msg))
        return bad(t, "YCbCr of an unknown kind");
    rgba.orientation = rgba.req_orientation = ORIENTATION_TOPLEFT;
    px = calloc(n, sizeof *px);
    if (!px) rc = clipc_fail_memory(t->err, t->name, n * sizeof *px);
    else if (!lib.TIFFRGBAImageGet(&rgba, px, t->w, t->h))
        rc = bad(t, "pixels cannot be converted");
    for (size_t i = 0; rc == CLIPC_OK && i < n; i++) {
        out->px[3 * i] = (uint8_t)TIFFGetR(px[i]);
        out->px[3 * i + 1] = (uint8_t)TIFFGetG(px[i]);
        out->px[3 * i + 2] = (uint8_t)TIFFGetB(px[i]);
    }
    free(px);
    lib.TIFFRGBAImageEnd(&rgba);
    return rc;
}

static void unpremultiply(image *im)
{
    for (size_t i = 0; i < im->w * im->h; i++) {
        uint8_t *px = im->px + 4 * i;
        for (size_t c = 0; c < 3; c++) {
            const unsigned v = px[3] ? px[c] * 255u / px[3] : 0;
            px[c] = (uint8_t)(v > 255 ? 255 : v);
        }
    }
}

static int decode(image *out, tiff *t, double max_megapixels)
{
    uint16_t orientation = 1;
    bool convert;
    int rc;

    read_tags(t);
    rc = image_check_size(t->w, t->h, max_megapixels, t->name, t->err);
    if (rc == CLIPC_OK) rc = choose_mode(t, &convert);
    if (rc == CLIPC_OK) rc = image_alloc(out, t->w, t->h, t->mode, t->name, t->err);
    if (rc == CLIPC_OK) rc = read_palette(t, out);
    if (rc == CLIPC_OK)
        rc = convert ? read_converted(out, t) : read_blocks(out, t, max_megapixels);
    if (rc != CLIPC_OK) return rc;
    if (t->premultiplied) unpremultiply(out);
    lib.TIFFGetField(t->t, TIFFTAG_ORIENTATION, &orientation);
    return image_orient(out, orientation, t->name, t->err);
}

int tiff_decode(image *out, const uint8_t *data, size_t size, const char *name,
                double max_megapixels, clipc_err *err)
{
    tiff t = {.data = data, .size = size, .name = name, .err = err};
    int rc = dynlib_need(&library, name, err);

    if (rc == CLIPC_OK) rc = begin(&t, max_megapixels);
    if (rc != CLIPC_OK) return rc;
    rc = decode(out, &t, max_megapixels);
    lib.TIFFClose(t.t);
    if (rc != CLIPC_OK) image_free(out);
    return rc;
}

#else

#include "image/image.h"

int tiff_decode(image *out, const uint8_t *data, size_t size, const char *name,
                double max_megapixels, clipc_err *err)
{
    (void)out, (void)data, (void)size, (void)max_megapixels;
    return image_lacks(name, "TIFF", "libtiff", err);
}

#endif
