/* index/fingerprint.h -- whether a model makes the vectors that it made before: XXH3-128
 * of samples of all its weights, of its config with the preprocessing, and of the options
 * that a vector depends on.  A path or a name is no part of it, so a model may be moved;
 * a few milliseconds, for a mapped file is not read as a whole. */
#ifndef CLIPC_INDEX_FINGERPRINT_H
#define CLIPC_INDEX_FINGERPRINT_H

#include "clipc.h"

enum { FINGERPRINT_HEX = 33 };

/* 32 hexadecimal digits and a NUL. */
int fingerprint_of(char out[FINGERPRINT_HEX], const clipc_ctx *ctx, clipc_err *err);

#endif
