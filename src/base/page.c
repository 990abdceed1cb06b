#include "base/page.h"

#include <string.h>
#include <utf8proc.h>

#include "base/base64.h"

/* What stands for the character at s, *len bytes; NULL: itself. */
static const char *escape(size_t *len, const char *s)
{
    static const char unknown[] = "\xef\xbf\xbd"; /* U+FFFD */
    utf8proc_int32_t c;
    const utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)s, -1, &c);

    *len = n > 0 ? (size_t)n : 1;
    if (n <= 0) return unknown;
    switch (c) {
    case '<': return "&lt;";
    case '>': return "&gt;";
    case '&': return "&amp;";
    case '"': return "&quot;";
    case '\n': return NULL;
    default: return c < ' ' || (c >= 0x7f && c < 0xa0) ? unknown : NULL;
    }
}

static int add_escaped(buf *out, const char *text, clipc_err *err)
{
    int rc = CLIPC_OK;

    for (size_t len; rc == CLIPC_OK && *text; text += len) {
        const char *as = escape(&len, text);
        rc = as ? buf_puts(out, as, err) : buf_add(out, text, len, err);
    }
    return rc;
}

/* A text between two pieces of markup; NULL: nothing at all. */
static int add(buf *out, const char *before, const char *text, const char *after,
               clipc_err *err)
{
    int rc = text ? buf_puts(out, before, err) : CLIPC_OK;

    if (rc == CLIPC_OK && text) rc = add_escaped(out, text, err);
    return rc == CLIPC_OK && text ? buf_puts(out, after, err) : rc;
}

/* The policy says what is so anyway: whatever a name or a label holds, nothing is run
 * and nothing is fetched. */
static const char head[] =
    "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width\">\n"
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
    "img-src data:; style-src 'unsafe-inline'\">\n<style>\n"
    ":root{color-scheme:light dark}\n"
    "body{display:grid;gap:1rem;margin:1rem;font:14px/1.4 sans-serif;"
    "overflow-wrap:anywhere}\n"
    "h1,h2,pre,body>p{grid-column:1/-1;margin:0}pre{white-space:pre-wrap}\n"
    "figure{margin:0;content-visibility:auto;contain-intrinsic-size:auto 20rem}\n"
    "img{max-width:100%;border:1px solid #8886}\n"
    "figure div{border:1px dashed #888;padding:1em}\n"
    "figure p{margin:.3em 0}p b{float:right;margin-left:1em}\n"
    "p i{display:block;height:4px;border-radius:2px;background:#4a90d9}\n"
    "figcaption{margin:.3em 0;font-size:12px;opacity:.7}\n";

int page_begin(buf *out, const char *title, size_t width, clipc_err *err)
{
    int rc = buf_puts(out, head, err);

    if (rc == CLIPC_OK)
        rc = buf_printf(out, err,
                        "body{grid-template-columns:"
                        "repeat(auto-fill,minmax(min(100%%,%zupx),1fr))}\n</style>\n",
                        width);
    if (rc == CLIPC_OK) rc = add(out, "<title>", title, "</title></head><body>\n", err);
    return rc == CLIPC_OK ? add(out, "<h1>", title, "</h1>\n", err) : rc;
}

int page_section(buf *out, const char *heading, const char *text, clipc_err *err)
{
    const int rc = add(out, "<h2>", heading, "</h2>\n", err);

    return rc == CLIPC_OK ? add(out, "<pre>", text, "</pre>\n", err) : rc;
}

int page_text(buf *out, const char *text, clipc_err *err)
{
    return add(out, "<p>", text, "</p>\n", err);
}

static int add_jpeg(buf *out, span jpeg, clipc_err *err)
{
    int rc = buf_puts(out, "<img alt=\"\" src=\"data:image/jpeg;base64,", err);

    if (rc == CLIPC_OK) rc = base64_add(out, jpeg, err);
    return rc == CLIPC_OK ? buf_puts(out, "\">", err) : rc;
}

static int add_bar(buf *out, const page_bar *b, clipc_err *err)
{
    const double part = b->part > 1.0 ? 1.0 : b->part > 0.0 ? b->part : 0.0;
    int rc = add(out, "<p><b>", b->value, "</b>", err);

    if (rc == CLIPC_OK) rc = add(out, "", b->label, "", err);
    return rc == CLIPC_OK
               ? buf_printf(out, err, "<i style=\"width:%.1f%%\"></i></p>", 100.0 * part)
               : rc;
}

int page_picture(buf *out, const page_figure *f, clipc_err *err)
{
    int rc = buf_puts(out, "<figure>", err);

    if (rc == CLIPC_OK && f->jpeg.size) rc = add_jpeg(out, f->jpeg, err);
    if (rc == CLIPC_OK) rc = add(out, "<div>", f->instead, "</div>", err);
    if (rc == CLIPC_OK) rc = add(out, "<p>", f->text, "</p>", err);
    if (rc == CLIPC_OK) rc = add(out, "<p><strong>", f->note, "</strong></p>", err);
    for (size_t i = 0; rc == CLIPC_OK && i < f->n_bars; i++)
        rc = add_bar(out, &f->bars[i], err);
    if (rc == CLIPC_OK) rc = add(out, "<figcaption>", f->name, "</figcaption>", err);
    return rc == CLIPC_OK ? buf_puts(out, "</figure>\n", err) : rc;
}

int page_end(buf *out, clipc_err *err)
{
    return buf_puts(out, "</body></html>\n", err);
}
