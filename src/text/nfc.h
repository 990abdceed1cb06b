/* text/nfc.h -- Unicode's canonical composition, in time linear in the text whatever it
 * holds (utf8proc_map sorts a run of n combining marks in n^2 steps). */
#ifndef CLIPC_TEXT_NFC_H
#define CLIPC_TEXT_NFC_H

#include "text/runes.h"

/* text = its NFC; scratch is overwritten. */
int nfc_compose(runes *text, runes *scratch, clipc_err *err);

#endif
