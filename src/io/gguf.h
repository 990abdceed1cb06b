/* io/gguf.h -- GGUF files, ggml's container (ggml, docs/gguf.md), versions 2 and 3,
 * little-endian.  Numbers are little-endian; a string is a 64-bit length and its bytes.
 *
 *   "GGUF", u32 version, u64 tensors, u64 pairs
 *   each pair    string key, u32 type, value; an array is u32 type, u64 count, values
 *   each tensor  string name, u32 n_dims, u64 dims, fastest first, u32 ggml type,
 *                u64 offset into the data
 *   padding to the alignment (32, or what general.alignment says), then the data
 *
 * Dimensions are reversed: tensors are row-major here as everywhere.  Elements may be
 * F32, F16, BF16, F64, I8, I16, I32, I64, Q8_0, Q5_0, Q5_1, Q4_0 or Q4_1; a tensor of
 * another type is an error that names it.
 *
 * The pairs become the metadata, a JSON object:
 *   whole numbers  integers; a u64 above 2^63-1 the nearest real
 *   floats         reals; NaN and infinities, which JSON lacks, null
 *   strings        their bytes as they are, NULs included (json_string_length), also
 *                  where they are no UTF-8, as tokens may be: nothing is lost, but
 *                  json_dumps fails on such a string
 *   arrays         arrays, in each other at most 4 deep
 *
 * Refused: keys or names twice, keys that are no printable ASCII, NULs in names, bools
 * other than 0 and 1, unknown types, more than 256 MB or 4 M values before the data. */
#ifndef CLIPC_IO_GGUF_H
#define CLIPC_IO_GGUF_H

#include "io/tensor_file.h"

/* Do the bytes begin as a GGUF file does? */
bool gguf_is(const void *data, size_t size);

/* Opens a file; one of several that a model was split into gives its own part.  Free
 * with tensor_file_free; tensors live as long. */
int gguf_open(tensor_file **out, const char *path, clipc_err *err);
/* The same from memory that outlives *out; `name` is for messages. */
int gguf_parse(tensor_file **out, const void *data, size_t size, const char *name,
               clipc_err *err);

#endif
