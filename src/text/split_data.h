/* text/split_data.h -- characters as OpenAI's split pattern sees them: see
 * tools/make_ftfy.py.  Not utf8proc's categories: the reference's are those of another
 * Unicode. */
#ifndef CLIPC_TEXT_SPLIT_DATA_H
#define CLIPC_TEXT_SPLIT_DATA_H

#include "text/class_range.h"

enum { SPLIT_OTHER, SPLIT_LETTER, SPLIT_NUMBER, SPLIT_NONE };

extern const class_range split_classes[];
extern const size_t n_split_classes;

#endif
