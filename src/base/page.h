/* base/page.h -- a page of pictures as HTML that needs no other file, no script and no
 * network: its pictures are JPEGs inside of it.  For phones and dark screens too.
 *
 * All is appended to a buf, which the caller may write out and clear between calls: a
 * page may be larger than memory.  Texts are escaped; what is no UTF-8, and control
 * characters but for line ends, become U+FFFD.  Only memory can fail. */
#ifndef CLIPC_BASE_PAGE_H
#define CLIPC_BASE_PAGE_H

#include "base/file.h"

/* A line with a bar under it. */
typedef struct page_bar {
    const char *label;
    char value[16]; /* as it is shown */
    double part;    /* of the full length, 0 to 1 */
} page_bar;

/* NULL and 0: not there. */
typedef struct page_figure {
    span jpeg;
    const char *instead; /* why there is no JPEG */
    const char *text, *note;
    const page_bar *bars;
    size_t n_bars;
    const char *name;
} page_figure;

/* Figures are at least `width` pixels wide, and as many stand in a row as fit. */
int page_begin(buf *out, const char *title, size_t width, clipc_err *err);
/* A heading, under it, unless NULL, a text whose line ends stay. */
int page_section(buf *out, const char *heading, const char *text, clipc_err *err);
int page_text(buf *out, const char *text, clipc_err *err);
int page_picture(buf *out, const page_figure *f, clipc_err *err);
int page_end(buf *out, clipc_err *err);

#endif
