#include "train/contact_sheet.h"

#include <string.h>

#include "base/base64.h"
#include "image/shrink.h"

enum { SIDE = 112, QUALITY = 80 };

static int add_escaped(buf *out, const char *text, clipc_err *err)
{
    int rc = CLIPC_OK;

    for (; rc == CLIPC_OK && *text; text++) {
        const char *as = *text == '<'   ? "&lt;"
                         : *text == '&' ? "&amp;"
                         : *text == '"' ? "&quot;"
                                        : NULL;
        rc = as ? buf_puts(out, as, err) : buf_add(out, text, 1, err);
    }
    return rc;
}

/* What stands between two pieces of markup. */
static int add_between(buf *out, const char *before, const char *text, const char *after,
                       clipc_err *err)
{
    int rc = buf_puts(out, before, err);

    if (rc == CLIPC_OK) rc = add_escaped(out, text, err);
    return rc == CLIPC_OK ? buf_puts(out, after, err) : rc;
}

int sheet_begin(contact_sheet *s, const char *title, clipc_err *err)
{
    const int rc = add_between(
        &s->html, "<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"><title>", title,
        "</title>\n<style>body{font:14px sans-serif;margin:2em}"
        "figure{display:inline-block;width:128px;margin:4px;vertical-align:top;"
        "font-size:11px;overflow-wrap:anywhere}img{border:1px solid #ccc}"
        "small{color:#777}pre{font:13px monospace}</style></head><body>\n",
        err);

    return rc == CLIPC_OK ? add_between(&s->html, "<h1>", title, "</h1>\n", err) : rc;
}

int sheet_section(contact_sheet *s, const char *heading, const char *text, clipc_err *err)
{
    const int rc = add_between(&s->html, "<h2>", heading, "</h2>\n", err);

    return rc == CLIPC_OK ? add_between(&s->html, "<pre>", text, "</pre>\n", err) : rc;
}

static int make_jpeg(contact_sheet *s, const sources *from, const sample *x,
                     clipc_err *err)
{
    image im = {0}, small = {0};
    span bytes;
    int rc = sources_read(&bytes, &s->keep, from, x, err);

    buf_clear(&s->jpeg);
    if (rc == CLIPC_OK)
        rc = image_decode(&im, bytes.data, bytes.size, sources_name(from, x),
                          s->max_megapixels, err);
    if (rc == CLIPC_OK) rc = shrink(&small, &s->work, &im, SIDE, err);
    if (rc == CLIPC_OK) {
        shrink_on_white(&small);
        rc = jpeg_encode(&s->jpeg, small.px, small.w, small.h, QUALITY, err);
    }
    image_free(&im);
    image_free(&small);
    return rc;
}

int sheet_picture(contact_sheet *s, const sources *from, const sample *x,
                  const char *note, clipc_err *err)
{
    clipc_err why;
    int rc = make_jpeg(s, from, x, &why);

    if (rc == CLIPC_ERR_MEMORY && err) *err = why;
    if (rc != CLIPC_OK) return rc == CLIPC_ERR_MEMORY ? rc : CLIPC_OK;
    const span jpeg = {(const uint8_t *)s->jpeg.data, s->jpeg.len};
    rc = buf_puts(&s->html, "<figure><img src=\"data:image/jpeg;base64,", err);
    if (rc == CLIPC_OK) rc = base64_add(&s->html, jpeg, err);
    if (rc == CLIPC_OK)
        rc = add_between(&s->html, "\"><br>",
                         x->captions ? sources_caption(from, x, 0) : "", "", err);
    if (rc == CLIPC_OK && note) rc = add_between(&s->html, "<br><b>", note, "</b>", err);
    if (rc == CLIPC_OK)
        rc = add_between(&s->html, "<br><small>", sources_name(from, x),
                         "</small></figure>\n", err);
    return rc;
}

int sheet_end(contact_sheet *s, clipc_err *err)
{
    return buf_puts(&s->html, "</body></html>\n", err);
}

void sheet_free(contact_sheet *s)
{
    buf_free(&s->html);
    buf_free(&s->keep);
    buf_free(&s->jpeg);
    resize_work_free(&s->work);
}
