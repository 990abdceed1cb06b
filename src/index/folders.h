/* index/folders.h -- the folders that an index remembers, each a root of the store
 * without items, whose meta has the options that its pictures are found with. */
#ifndef CLIPC_INDEX_FOLDERS_H
#define CLIPC_INDEX_FOLDERS_H

#include "base/json.h"
#include "index/index.h"

/* {"hidden":true, "one_disk":true, "videos":true, "every":5.0, "exclude":[..]} of the
 * remembered folder that is nearest above `path`, or is it, *len bytes of it; NULL: none.
 * json_decref it. */
int folders_options(json_t **out, size_t *len, clipc_index *x, const char *path,
                    clipc_err *err);
int folders_remember(clipc_index *x, const char *path,
                     const clipc_index_update_options *o, clipc_err *err);
/* Within a write; what is not there is no error. */
int folders_forget(clipc_index *x, const char *path, clipc_err *err);

#endif
