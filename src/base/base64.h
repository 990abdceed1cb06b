/* base/base64.h -- bytes as text of 64 letters (RFC 4648), without the padding. */
#ifndef CLIPC_BASE_BASE64_H
#define CLIPC_BASE_BASE64_H

#include "base/file.h"

/* Appends to out. */
int base64_add(buf *out, span bytes, clipc_err *err);

#endif
