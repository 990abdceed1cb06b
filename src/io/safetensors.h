/* io/safetensors.h -- safetensors files: an 8-byte little-endian length, a JSON header
 * {"name": {"dtype", "shape", "data_offsets": [begin, end]}, ..., "__metadata__": {...}},
 * then the data (format of the safetensors project, README "Format").
 *
 * All numbers are checked: the header against the file, each tensor's bytes against its
 * shape and against the data. */
#ifndef CLIPC_IO_SAFETENSORS_H
#define CLIPC_IO_SAFETENSORS_H

#include "io/tensor_file.h"

/* Free with tensor_file_free; tensors live as long. */
int safetensors_open(tensor_file **out, const char *path, clipc_err *err);
/* The same from memory that outlives *out; `name` is for messages. */
int safetensors_parse(tensor_file **out, const void *data, size_t size, const char *name,
                      clipc_err *err);

/* Writes tensors in the order given, one behind the other, replacing the file atomically.
 * `metadata` becomes __metadata__, string to string; "format": "pt" is what transformers
 * insists on.  If stored is F16 or BF16, F32 tensors are rounded to it on the way.  The
 * data begins at a multiple of 64 bytes. */
int safetensors_write(const char *path, const tensor *t, size_t n, const json_t *metadata,
                      dtype stored, const kernels *k, clipc_err *err);

#endif
