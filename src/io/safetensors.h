/* io/safetensors.h -- safetensors files: an 8-byte little-endian length, a JSON header
 * {"name": {"dtype", "shape", "data_offsets": [begin, end]}, ..., "__metadata__": {...}},
 * then the data (format of the safetensors project, README "Format").
 *
 * A file is mapped, not read: tensors point into it.  All numbers are checked: the header
 * against the file, each tensor's bytes against its shape and against the data. */
#ifndef CLIPC_IO_SAFETENSORS_H
#define CLIPC_IO_SAFETENSORS_H

#include <stdbool.h>

#include "base/file.h"
#include "tensor/dtype.h"

enum { TENSOR_DIMS = 8 };

/* A tensor somewhere in memory.  Little-endian, row-major, any alignment. */
typedef struct tensor {
    const char *name;
    dtype dt;
    size_t n_dims, dims[TENSOR_DIMS];
    size_t n; /* product of dims */
    const void *data;
} tensor;

typedef struct tensor_file tensor_file;

/* Opens a file, or an index (name ending in ".index.json", weight_map to files of the
 * same folder).  Free with tensor_file_free; tensors live as long. */
int safetensors_open(tensor_file **out, const char *path, clipc_err *err);
/* The same from memory that outlives *out; `name` is for messages. */
int safetensors_parse(tensor_file **out, const void *data, size_t size, const char *name,
                      clipc_err *err);
void tensor_file_free(tensor_file *f);

size_t tensor_file_count(const tensor_file *f);
const tensor *tensor_file_at(const tensor_file *f, size_t i);
/* NULL if there is none of that name. */
const tensor *tensor_find(const tensor_file *f, const char *name);

/* A string of the header's __metadata__, or NULL. */
const char *tensor_file_metadata(const tensor_file *f, const char *key);

/* Writes tensors in the order given, one behind the other, replacing the file atomically.
 * `format` becomes __metadata__.format ("pt" is what transformers insists on).  If stored
 * is F16 or BF16, F32 tensors are rounded to it on the way. */
int safetensors_write(const char *path, const tensor *t, size_t n, const char *format,
                      dtype stored, const kernels *k, clipc_err *err);

#endif
