#include "train/contact_sheet.h"

#include "base/page.h"
#include "image/shrink.h"

enum { SIDE = 112 };

/* As training sees it, so not turned by its EXIF. */
static int make_jpeg(contact_sheet *s, const sources *from, const sample *x,
                     clipc_err *err)
{
    const open_cfg open = {.max_megapixels = s->max_megapixels};
    span bytes;
    int rc = sources_read(&bytes, &s->keep, from, x, err);

    buf_clear(&s->jpeg);
    return rc == CLIPC_OK ? shrink_jpeg(&s->jpeg, &s->work, bytes.data, bytes.size,
                                        sources_name(from, x), &open, SIDE, err)
                          : rc;
}

int sheet_picture(contact_sheet *s, const sources *from, const sample *x,
                  const char *note, clipc_err *err)
{
    clipc_err why;
    const int rc = make_jpeg(s, from, x, &why);

    if (rc == CLIPC_ERR_MEMORY && err) *err = why;
    if (rc != CLIPC_OK) return rc == CLIPC_ERR_MEMORY ? rc : CLIPC_OK;
    const page_figure f = {.jpeg = {(const uint8_t *)s->jpeg.data, s->jpeg.len},
                           .text = x->captions ? sources_caption(from, x, 0) : NULL,
                           .note = note,
                           .name = sources_name(from, x)};
    return page_picture(&s->html, &f, err);
}

void sheet_free(contact_sheet *s)
{
    buf_free(&s->html);
    buf_free(&s->keep);
    buf_free(&s->jpeg);
    resize_work_free(&s->work);
}
