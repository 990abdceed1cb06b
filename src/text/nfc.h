/* text/nfc.h -- Unicode's canonical composition, in time linear in the text whatever it
 * holds (utf8proc_map sorts a run of n combining marks in n^2 steps). */
#ifndef CLIPC_TEXT_NFC_H
#define CLIPC_TEXT_NFC_H

#include "text/runes.h"

/* text = its NFC; scratch is overwritten. */
int nfc_compose(runes *text, runes *scratch, clipc_err *err);

/* Its two halves, of a text that is decomposed: marks in the order of their classes; what
 * composes put together. */
int nfc_order(runes *text, runes *scratch, clipc_err *err);
void nfc_join(runes *text);

#endif
