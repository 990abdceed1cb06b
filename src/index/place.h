/* index/place.h -- where a user's index lies. */
#ifndef CLIPC_INDEX_PLACE_H
#define CLIPC_INDEX_PLACE_H

#include "base/err.h"

/* *out = folder, or where it is NULL "clipc" in the user's data folder, as the XDG
 * specification has that; malloc'd. */
int index_place(char **out, const char *folder, clipc_err *err);

#endif
