/* train/contact_sheet.h -- pictures of a training set on a page (base/page.h). */
#ifndef CLIPC_TRAIN_CONTACT_SHEET_H
#define CLIPC_TRAIN_CONTACT_SHEET_H

#include "image/resize.h"
#include "train/sources.h"

enum { SHEET_WIDTH = 128 }; /* of a figure */

typedef struct contact_sheet {
    buf html;
    resize_work work;
    buf keep, jpeg; /* of the picture under way */
    double max_megapixels;
} contact_sheet;

/* A picture, its name, its first caption and, unless NULL, a note.  One that cannot be
 * decoded is left out. */
int sheet_picture(contact_sheet *s, const sources *from, const sample *x,
                  const char *note, clipc_err *err);
void sheet_free(contact_sheet *s);

#endif
