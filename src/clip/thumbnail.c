/* Small pictures for pages: the public side of image/shrink.h. */
#include "clipc.h"
#include "image/shrink.h"

enum { SIDE_MAX = 1 << 14 };

static open_cfg for_people(double max_megapixels)
{
    return (open_cfg){max_megapixels > 0 ? max_megapixels : 256, .auto_orient = true,
                      .fast = true};
}

static int check_side(size_t side, clipc_err *err)
{
    return side && side <= SIDE_MAX
               ? CLIPC_OK
               : clipc_fail(err, CLIPC_ERR_ARG, "a thumbnail of %zu pixels, 1 to %d",
                            side, SIDE_MAX);
}

int clipc_thumbnail(uint8_t **jpeg, size_t *jpeg_size, const void *data, size_t size,
                    const char *name, size_t side, double max_megapixels, clipc_err *err)
{
    const open_cfg open = for_people(max_megapixels);
    resize_work work = {0};
    buf out = {0};

    *jpeg = NULL;
    *jpeg_size = 0;
    int rc = check_side(side, err);
    if (rc == CLIPC_OK) rc = shrink_jpeg(&out, &work, data, size, name, &open, side, err);
    if (rc == CLIPC_OK) *jpeg = (uint8_t *)out.data, *jpeg_size = out.len;
    else buf_free(&out);
    resize_work_free(&work);
    return rc;
}

int clipc_thumbnail_pixels(uint8_t **rgb, size_t *width, size_t *height, const void *data,
                           size_t size, const char *name, size_t side,
                           double max_megapixels, clipc_err *err)
{
    const open_cfg open = for_people(max_megapixels);
    resize_work work = {0};
    image im = {0};
    int rc = check_side(side, err);

    *rgb = NULL;
    if (rc == CLIPC_OK)
        rc = shrink_picture(&im, &work, data, size, name, &open, side, err);
    if (rc == CLIPC_OK) *rgb = im.px, *width = im.w, *height = im.h;
    resize_work_free(&work);
    return rc;
}
