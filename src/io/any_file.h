/* io/any_file.h -- a file of tensors of whatever format, by its first bytes. */
#ifndef CLIPC_IO_ANY_FILE_H
#define CLIPC_IO_ANY_FILE_H

#include "io/tensor_file.h"

/* safetensors, PyTorch or GGUF; or an index of parts (name ending in ".index.json": a
 * weight_map to files of the same folder).  Free with tensor_file_free. */
int any_file_open(tensor_file **out, const char *path, clipc_err *err);

#endif
