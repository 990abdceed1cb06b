/* text/html.h -- HTML's character references, as Python and ftfy resolve them. */
#ifndef CLIPC_TEXT_HTML_H
#define CLIPC_TEXT_HTML_H

#include "text/runes.h"

/* Python's html.unescape, which also takes names without ';' and the beginnings of names:
 * appends to out what it makes of UTF-8 of len bytes. */
int html_unescape(buf *out, const char *text, size_t len, clipc_err *err);

/* ftfy's unescape_html, in place: only what ends in ';', and names in capitals too. */
int html_unescape_sure(runes *text, buf *scratch, clipc_err *err);

/* What browsers, and ftfy's "sloppy" Windows-1252, take a byte from 0x80 to 0x9f for. */
rune html_c1(rune c);

#endif
