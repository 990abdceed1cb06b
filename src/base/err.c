#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>

void err_one_line(char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7f) *s = '?';
}

int clipc_fail(clipc_err *err, int code, const char *fmt, ...)
{
    if (!err) return code;

    va_list ap;
    va_start(ap, fmt);
    vsnprintf(err->msg, sizeof err->msg, fmt, ap);
    va_end(ap);

    err_one_line(err->msg);
    err->code = code;
    return code;
}

int clipc_fail_memory(clipc_err *err, const char *what, size_t bytes)
{
    return clipc_fail(err, CLIPC_ERR_MEMORY, "%s: out of memory (%zu bytes)", what,
                      bytes);
}
