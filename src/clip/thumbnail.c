/* Small pictures for pages: the public side of image/shrink.h. */
#include "clipc.h"
#include "image/shrink.h"

enum { SIDE_MAX = 1 << 14 };

int clipc_thumbnail(uint8_t **jpeg, size_t *jpeg_size, const void *data, size_t size,
                    const char *name, size_t side, double max_megapixels, clipc_err *err)
{
    const open_cfg open = {max_megapixels > 0 ? max_megapixels : 256, .auto_orient = true,
                           .fast = true};
    resize_work work = {0};
    buf out = {0};

    *jpeg = NULL;
    *jpeg_size = 0;
    if (!side || side > SIDE_MAX)
        return clipc_fail(err, CLIPC_ERR_ARG, "a thumbnail of %zu pixels, 1 to %d", side,
                          SIDE_MAX);
    const int rc = shrink_jpeg(&out, &work, data, size, name, &open, side, err);
    if (rc == CLIPC_OK) *jpeg = (uint8_t *)out.data, *jpeg_size = out.len;
    else buf_free(&out);
    resize_work_free(&work);
    return rc;
}
