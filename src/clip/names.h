/* clip/names.h -- how checkpoints spell their tensors.  Inside, parameters have
 * open_clip's (OpenAI's) names; this file alone knows the others. */
#ifndef CLIPC_CLIP_NAMES_H
#define CLIPC_CLIP_NAMES_H

#include "clip/config.h"

enum { NAME_MAX_LEN = 128 };

/* Where a parameter is stored: under one name, or as rows of several tensors (HF keeps q,
 * k and v apart), maybe transposed (HF's projections). */
typedef struct stored_as {
    char names[3][NAME_MAX_LEN];
    size_t n;
    bool transposed;
} stored_as;

void names_of(stored_as *out, const char *name, clip_layout layout);

#endif
