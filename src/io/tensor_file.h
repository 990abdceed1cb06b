/* io/tensor_file.h -- named tensors and what is said about them, whatever file format
 * they came from.  Readers fill one (safetensors.h, torch.h, gguf.h); all numbers in it
 * are checked: every tensor's bytes lie inside what the file owns.
 *
 * Files are mapped, not read: tensors point into the mapping wherever the format stores
 * them as they are. */
#ifndef CLIPC_IO_TENSOR_FILE_H
#define CLIPC_IO_TENSOR_FILE_H

#include "base/file.h"
#include "base/json.h"
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

void tensor_file_free(tensor_file *f);

size_t tensor_file_count(const tensor_file *f);
/* Sorted by name. */
const tensor *tensor_file_at(const tensor_file *f, size_t i);
/* NULL if there is none of that name. */
const tensor *tensor_find(const tensor_file *f, const char *name);

/* Dimensions as "2,3", as many as fit. */
void tensor_shape(char *to, size_t size, const size_t *dims, size_t n_dims);

/* The bytes of a tensor were read and are not needed again soon: where they are mapped,
 * their pages are let go. */
void tensor_forget(const tensor_file *f, const tensor *t);

/* A JSON object: safetensors' __metadata__, GGUF's key-value pairs; empty if the format
 * has none. */
const json_t *tensor_file_metadata(const tensor_file *f);
/* A string of it, or NULL. */
const char *tensor_file_string(const tensor_file *f, const char *key);

/* ---- for readers ---- */

/* `where` names the file in messages. */
int tensor_file_new(tensor_file **out, const char *where, clipc_err *err);
/* Maps a file that is unmapped with f. */
int tensor_file_map(tensor_file *f, span *out, const char *path, clipc_err *err);
/* Zeroed memory that is freed with f: names, data that had to be copied. */
void *tensor_file_alloc(tensor_file *f, size_t bytes, const char *where, clipc_err *err);
/* Sets t->n from its dims, checks that its data's `have` bytes are exactly (or, with
 * `at_least`, no fewer than) its shape's, and adds it.  The name must live as long as
 * f. */
int tensor_file_add(tensor_file *f, tensor t, size_t have, bool at_least,
                    const char *where, clipc_err *err);
/* Takes a reference to an object, whose members join the metadata. */
int tensor_file_describe(tensor_file *f, json_t *object, const char *where,
                         clipc_err *err);
/* Takes over another file, which may be finished: its tensors under prefix + name, its
 * metadata.  `other` is consumed, also on failure. */
int tensor_file_join(tensor_file *f, tensor_file *other, const char *prefix,
                     const char *where, clipc_err *err);
/* Leaves out each tensor i for which gone[i]. */
void tensor_file_drop(tensor_file *f, const bool *gone);
/* Last: sorts; two tensors of one name are an error. */
int tensor_file_finish(tensor_file *f, const char *where, clipc_err *err);

/* What a reader does with the bytes of a file: adds tensors and metadata to f. */
typedef int tensor_reader(tensor_file *f, span bytes, const char *where, clipc_err *err);
/* The whole way around it: a new file, from a path (mapped) or from memory that outlives
 * *out, finished. */
int tensor_file_open(tensor_file **out, const char *path, tensor_reader *read,
                     clipc_err *err);
int tensor_file_parse(tensor_file **out, span bytes, const char *name,
                      tensor_reader *read, clipc_err *err);

#endif
