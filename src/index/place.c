#include "index/place.h"

#include <stdlib.h>

#include "base/buf.h"

static int print_place(buf *out, const char *folder, clipc_err *err)
{
    const char *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");

    if (folder) return buf_puts(out, folder, err);
    if (data && *data == '/') return buf_printf(out, err, "%s/clipc", data);
    if (home && *home) return buf_printf(out, err, "%s/.local/share/clipc", home);
    return clipc_fail(err, CLIPC_ERR_ARG,
                      "no folder for the index: neither XDG_DATA_HOME nor HOME is set");
}

int index_place(char **out, const char *folder, clipc_err *err)
{
    buf b = {0};
    const int rc = print_place(&b, folder, err);

    *out = b.data;
    return rc;
}
