/* train/contact_sheet.h -- a page of pictures with notes: HTML that needs no other file.
 */
#ifndef CLIPC_TRAIN_CONTACT_SHEET_H
#define CLIPC_TRAIN_CONTACT_SHEET_H

#include "image/resize.h"
#include "train/sources.h"

typedef struct contact_sheet {
    buf html;
    resize_work work;
    buf keep, jpeg; /* of the picture under way */
    double max_megapixels;
} contact_sheet;

int sheet_begin(contact_sheet *s, const char *title, clipc_err *err);
/* A heading, under it a text whose line ends stay. */
int sheet_section(contact_sheet *s, const char *heading, const char *text,
                  clipc_err *err);
/* A picture, its name, its first caption and, unless NULL, a note.  One that cannot be
 * decoded is left out. */
int sheet_picture(contact_sheet *s, const sources *from, const sample *x,
                  const char *note, clipc_err *err);
int sheet_end(contact_sheet *s, clipc_err *err);
void sheet_free(contact_sheet *s);

#endif
