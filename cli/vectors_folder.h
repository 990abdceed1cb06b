/* cli/vectors_folder.h -- vectors of an index as files for other programs: vectors.npy,
 * float32 [n,dim], and keys.jsonl, {"key":.., "row":n, "meta":..} a line; in a folder. */
#ifndef CLIPC_CLI_VECTORS_FOLDER_H
#define CLIPC_CLI_VECTORS_FOLDER_H

#include "clipc_index.h"

/* All vectors of the handle's model; *n is how many.  CLIPC_ERR_EXISTS: one of the files
 * is there. */
int vectors_export(size_t *n, clipc_index *x, size_t dim, const char *folder,
                   clipc_err *err);
/* Adds rows under their keys.  "row" may be left out where each line is the next row. */
int vectors_import(size_t *n, clipc_index *x, size_t dim, const char *folder,
                   clipc_err *err);

#endif
