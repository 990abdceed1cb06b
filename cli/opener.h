/* cli/opener.h -- a file shown by the desktop's own program for it. */
#ifndef CLIPC_CLI_OPENER_H
#define CLIPC_CLI_OPENER_H

#include "base/err.h"

/* Runs xdg-open (macOS: open), found on PATH, on the file's absolute path, without a
 * shell, and waits for it; what it prints goes to standard error.  CLIPC_ERR_IO: no such
 * file or program, or it failed. */
int opener_open(const char *path, clipc_err *err);

#endif
