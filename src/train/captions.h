/* train/captions.h -- the captions of one picture, as training sets keep them. */
#ifndef CLIPC_TRAIN_CAPTIONS_H
#define CLIPC_TRAIN_CAPTIONS_H

#include <stdbool.h>

#include "base/file.h"

enum { CAPTIONS_FILE_MAX = 1 << 20 }; /* bytes of a file beside a picture */

typedef struct captions {
    char **v; /* at most 32, further ones are left out */
    size_t n;
    bool tint;      /* "tint" of JSON: the picture may be coloured */
    uint64_t class; /* hash_text of "class" of JSON; 0: none */
} captions;

void captions_free(captions *c);

/* One more, without blanks and line ends behind it; not if it is empty or there already.
 */
int captions_add(captions *c, const char *text, size_t len, clipc_err *err);
/* A text file: one caption a line. */
int captions_txt(captions *c, span text, clipc_err *err);
/* {"caption": "..", "captions": ["..", ..], "tint": true, "class": ".."}: the first
 * caption, then others. */
int captions_json(captions *c, span text, const char *where, clipc_err *err);

#endif
