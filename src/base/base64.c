#include "base/base64.h"

int base64_add(buf *out, span bytes, clipc_err *err)
{
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    int rc = CLIPC_OK;

    for (size_t i = 0; rc == CLIPC_OK && i < bytes.size; i += 3) {
        const size_t left = bytes.size - i;
        const unsigned v = (unsigned)bytes.data[i] << 16 |
                           (left > 1 ? (unsigned)bytes.data[i + 1] << 8 : 0) |
                           (left > 2 ? (unsigned)bytes.data[i + 2] : 0);
        const char four[] = {digits[v >> 18], digits[v >> 12 & 63], digits[v >> 6 & 63],
                             digits[v & 63]};
        rc = buf_add(out, four, left > 2 ? 4 : left + 1, err);
    }
    return rc;
}
