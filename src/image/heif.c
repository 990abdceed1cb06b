/* HEIF (HEVC) and AVIF through libheif: the primary picture, cropped, rotated and
 * mirrored as the file says, 8 bits a channel; deeper ones lose their low bits. */
#include "image/image.h"

#ifdef CLIPC_HAVE_HEIF

#include <libheif/heif.h>
#include <string.h>

#include "base/dynlib.h"

#define FUNCTIONS(X)                              \
    X(heif_context_alloc)                         \
    X(heif_context_free)                          \
    X(heif_context_get_primary_image_handle)      \
    X(heif_context_read_from_memory_without_copy) \
    X(heif_decode_image)                          \
    X(heif_decoding_options_alloc)                \
    X(heif_decoding_options_free)                 \
    X(heif_image_get_height)                      \
    X(heif_image_get_plane_readonly)              \
    X(heif_image_get_width)                       \
    X(heif_image_handle_get_height)               \
    X(heif_image_handle_get_width)                \
    X(heif_image_handle_has_alpha_channel)        \
    X(heif_image_handle_release)                  \
    X(heif_image_release)

static struct {
    DYNLIB_POINTERS(FUNCTIONS)
} lib;
static dynlib library = DYNLIB("libheif.so.1", FUNCTIONS, lib);

typedef struct heif {
    struct heif_context *context;
    struct heif_image_handle *primary;
    struct heif_decoding_options *options;
    struct heif_image *decoded;
    const char *name;
    clipc_err *err;
} heif;

static int check(const heif *h, struct heif_error e)
{
    if (e.code == heif_error_Ok) return CLIPC_OK;
    return clipc_fail(
        h->err,
        e.subcode == heif_suberror_Security_limit_exceeded ? CLIPC_ERR_LIMIT
                                                           : CLIPC_ERR_FORMAT,
        "%s: HEIF or AVIF: %.*s", h->name, (int)strcspn(e.message, "\n"), e.message);
}

static int begin(heif *h, const uint8_t *data, size_t size, double max_megapixels)
{
    int rc;

    h->context = lib.heif_context_alloc();
    h->options = lib.heif_decoding_options_alloc();
    if (!h->context || !h->options) return clipc_fail_memory(h->err, h->name, 0);
    h->options->convert_hdr_to_8bit = 1;
    rc = check(
        h, lib.heif_context_read_from_memory_without_copy(h->context, data, size, NULL));
    if (rc == CLIPC_OK)
        rc = check(h, lib.heif_context_get_primary_image_handle(h->context, &h->primary));
    if (rc != CLIPC_OK) return rc;
    return image_check_size((size_t)lib.heif_image_handle_get_width(h->primary),
                            (size_t)lib.heif_image_handle_get_height(h->primary),
                            max_megapixels, h->name, h->err);
}

static int copy(image *out, const heif *h, image_mode mode)
{
    const int w = lib.heif_image_get_width(h->decoded, heif_channel_interleaved);
    const int rows = lib.heif_image_get_height(h->decoded, heif_channel_interleaved);
    const size_t bytes = (size_t)w * image_channels(mode);
    int stride = 0, rc;
    const uint8_t *px =
        lib.heif_image_get_plane_readonly(h->decoded, heif_channel_interleaved, &stride);

    if (!px || w < 1 || rows < 1 || (size_t)stride < bytes)
        return clipc_fail(h->err, CLIPC_ERR_FORMAT, "%s: HEIF without pixels", h->name);
    rc = image_alloc(out, (size_t)w, (size_t)rows, mode, h->name, h->err);
    for (size_t y = 0; rc == CLIPC_OK && y < out->h; y++)
        memcpy(out->px + y * bytes, px + y * (size_t)stride, bytes);
    return rc;
}

int heif_decode(image *out, const uint8_t *data, size_t size, const char *name,
                double max_megapixels, clipc_err *err)
{
    heif h = {.name = name, .err = err};
    int rc = dynlib_need(&library, name, err);

    if (rc != CLIPC_OK) return rc;
    rc = begin(&h, data, size, max_megapixels);
    if (rc == CLIPC_OK) {
        const int alpha = lib.heif_image_handle_has_alpha_channel(h.primary);
        rc = check(&h, lib.heif_decode_image(h.primary, &h.decoded, heif_colorspace_RGB,
                                             alpha ? heif_chroma_interleaved_RGBA
                                                   : heif_chroma_interleaved_RGB,
                                             h.options));
        if (rc == CLIPC_OK) rc = copy(out, &h, alpha ? IMAGE_RGBA : IMAGE_RGB);
    }
    if (h.decoded) lib.heif_image_release(h.decoded);
    if (h.primary) lib.heif_image_handle_release(h.primary);
    if (h.options) lib.heif_decoding_options_free(h.options);
    if (h.context) lib.heif_context_free(h.context);
    return rc;
}

#else

int heif_decode(image *out, const uint8_t *data, size_t size, const char *name,
                double max_megapixels, clipc_err *err)
{
    (void)out, (void)data, (void)size, (void)max_megapixels;
    return image_lacks(name, "HEIF or AVIF", "libheif", err);
}

#endif
