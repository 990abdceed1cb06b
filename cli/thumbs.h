/* cli/thumbs.h -- pictures in the terminal, by libchafa: as kitty, iTerm2 or sixel draw
 * them, else in coloured blocks. */
#ifndef CLIPC_CLI_THUMBS_H
#define CLIPC_CLI_THUMBS_H

#include "base/err.h"

typedef struct thumbs thumbs;

/* The names of `how` below, NULL behind the last. */
extern const char *const thumbs_ways[];

/* how: "auto", the best that the terminal at standard output is known to have, and none
 * (*out NULL) where that is no terminal, TERM is empty or "dumb", or NO_COLOR is set; or
 * "kitty", "iterm2", "sixel" or "symbols", wherever it goes.  CLIPC_ERR_IO: libchafa is
 * not there. */
int thumbs_open(thumbs **out, const char *how, clipc_err *err);
void thumbs_free(thumbs *t);

/* Shows a file on standard output; NULL shows none. */
int thumbs_show(thumbs *t, const char *path, double max_megapixels, clipc_err *err);

#endif
