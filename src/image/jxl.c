/* JPEG XL through libjxl: the first frame, upright, 8 bits a channel, in the colour space
 * that libjxl gives by itself, as djxl does. */
#include "image/image.h"

#ifdef CLIPC_HAVE_JXL

#include <jxl/decode.h>

#include "base/dynlib.h"

#define FUNCTIONS(X)                \
    X(JxlDecoderCloseInput)         \
    X(JxlDecoderCreate)             \
    X(JxlDecoderDestroy)            \
    X(JxlDecoderGetBasicInfo)       \
    X(JxlDecoderImageOutBufferSize) \
    X(JxlDecoderProcessInput)       \
    X(JxlDecoderSetImageOutBuffer)  \
    X(JxlDecoderSetInput)           \
    X(JxlDecoderSubscribeEvents)

/* Its soname carries the version, which is that of the header. */
#define STRING_OF(x) #x
#define STRING(x)    STRING_OF(x)
#define SONAME       "libjxl.so." STRING(JPEGXL_MAJOR_VERSION) "." STRING(JPEGXL_MINOR_VERSION)

/* Every further channel costs as much memory as a colour. */
enum { EXTRA_MAX = 16 };

static struct {
    DYNLIB_POINTERS(FUNCTIONS)
} lib;
static dynlib library = DYNLIB(SONAME, FUNCTIONS, lib);

/* The header's size and mode; pixels are allocated. */
static int prepare(image *out, const JxlDecoder *d, const char *name,
                   double max_megapixels, clipc_err *err)
{
    JxlBasicInfo info;
    int rc;

    if (lib.JxlDecoderGetBasicInfo(d, &info) != JXL_DEC_SUCCESS)
        return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: damaged JPEG XL", name);
    rc = image_check_size(info.xsize, info.ysize, max_megapixels, name, err);
    if (rc != CLIPC_OK) return rc;
    if (info.num_extra_channels > EXTRA_MAX)
        return clipc_fail(err, CLIPC_ERR_LIMIT,
                          "%s: JPEG XL with %u extra channels, at "
                          "most %d",
                          name, info.num_extra_channels, EXTRA_MAX);
    const bool grey = info.num_color_channels == 1, alpha = info.alpha_bits != 0;
    return image_alloc(out, info.xsize, info.ysize,
                       grey ? (alpha ? IMAGE_LA : IMAGE_L)
                            : (alpha ? IMAGE_RGBA : IMAGE_RGB),
                       name, err);
}

static int set_pixels(const image *out, JxlDecoder *d, const char *name, clipc_err *err)
{
    const JxlPixelFormat format = {(uint32_t)image_channels(out->mode), JXL_TYPE_UINT8,
                                   JXL_NATIVE_ENDIAN, 0};
    const size_t bytes = out->w * out->h * format.num_channels;
    size_t want = 0;

    if (lib.JxlDecoderImageOutBufferSize(d, &format, &want) != JXL_DEC_SUCCESS ||
        want != bytes ||
        lib.JxlDecoderSetImageOutBuffer(d, &format, out->px, bytes) != JXL_DEC_SUCCESS)
        return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: JPEG XL of unexpected size", name);
    return CLIPC_OK;
}

static int decode(image *out, JxlDecoder *d, const char *name, double max_megapixels,
                  clipc_err *err)
{
    int rc = CLIPC_OK;

    while (rc == CLIPC_OK) {
        switch (lib.JxlDecoderProcessInput(d)) {
        case JXL_DEC_BASIC_INFO: rc = prepare(out, d, name, max_megapixels, err); break;
        case JXL_DEC_NEED_IMAGE_OUT_BUFFER: rc = set_pixels(out, d, name, err); break;
        case JXL_DEC_FULL_IMAGE: return CLIPC_OK;
        case JXL_DEC_NEED_MORE_INPUT:
            return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: JPEG XL file is truncated",
                              name);
        default: return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: damaged JPEG XL", name);
        }
    }
    return rc;
}

int jxl_decode(image *out, const uint8_t *data, size_t size, const char *name,
               double max_megapixels, clipc_err *err)
{
    JxlDecoder *d = NULL;
    int rc = dynlib_need(&library, name, err);

    if (rc != CLIPC_OK) return rc;
    d = lib.JxlDecoderCreate(NULL);
    if (!d ||
        lib.JxlDecoderSubscribeEvents(d, JXL_DEC_BASIC_INFO | JXL_DEC_FULL_IMAGE) !=
            JXL_DEC_SUCCESS ||
        lib.JxlDecoderSetInput(d, data, size) != JXL_DEC_SUCCESS) {
        rc = clipc_fail_memory(err, name, 0);
    } else {
        lib.JxlDecoderCloseInput(d);
        rc = decode(out, d, name, max_megapixels, err);
    }
    if (d) lib.JxlDecoderDestroy(d);
    if (rc != CLIPC_OK) image_free(out);
    return rc;
}

#else

int jxl_decode(image *out, const uint8_t *data, size_t size, const char *name,
               double max_megapixels, clipc_err *err)
{
    (void)out, (void)data, (void)size, (void)max_megapixels;
    return image_lacks(name, "JPEG XL", "libjxl", err);
}

#endif
