/* clip/class_names.h -- what a classifier's classes are called, as vectors of a text
 * tower.  A file has a line for each class:
 *
 *     word, word, ...[TAB gloss]
 *
 *   e = unit(mean(words) + mean("a photo of a <word>" of each) + gloss)
 *
 * where each text is a unit vector. */
#ifndef CLIPC_CLIP_CLASS_NAMES_H
#define CLIPC_CLIP_CLASS_NAMES_H

#include "clipc.h"

/* e [K,E] of the K lines of the file, by a context of a model of E numbers.
 * CLIPC_ERR_FORMAT where there are more or fewer, or one has no word. */
int class_names_read(float *e, clipc_ctx *c, const char *path, size_t K, size_t E,
                     clipc_err *err);

#endif
