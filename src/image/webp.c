#include <string.h>
#include <webp/decode.h>
#include <webp/demux.h>

#include "image/image.h"

/* The first frame, by the animation decoder as in Pillow. */
int webp_decode(image *out, const uint8_t *data, size_t size, const char *name,
                double max_megapixels, clipc_err *err)
{
    const WebPData bytes = {data, size};
    WebPBitstreamFeatures f;
    WebPAnimDecoder *d = NULL;
    uint8_t *canvas = NULL;
    int stamp = 0, rc;

    if (WebPGetFeatures(data, size, &f) != VP8_STATUS_OK)
        return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: damaged WebP", name);
    rc = image_check_size((size_t)f.width, (size_t)f.height, max_megapixels, name, err);
    if (rc != CLIPC_OK) return rc;
    d = WebPAnimDecoderNew(&bytes, NULL);
    if (!d || !WebPAnimDecoderGetNext(d, &canvas, &stamp)) {
        WebPAnimDecoderDelete(d);
        return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: damaged WebP", name);
    }
    rc = image_alloc(out, (size_t)f.width, (size_t)f.height,
                     f.has_alpha ? IMAGE_RGBA : IMAGE_RGB, name, err);
    const size_t n = (size_t)f.width * (size_t)f.height, c = f.has_alpha ? 4 : 3;
    for (size_t i = 0; rc == CLIPC_OK && i < n; i++)
        memcpy(out->px + i * c, canvas + i * 4, c);
    WebPAnimDecoderDelete(d);
    return rc;
}
