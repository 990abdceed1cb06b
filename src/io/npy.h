/* io/npy.h -- NumPy's .npy files (format 1.0: magic, version, length, a Python dict of
 * descr, fortran_order and shape, then the elements).
 *
 * Written: float32 or bytes, little-endian, rows of any shape one behind the other.
 * Read: 1.0 to 3.0, little-endian numbers in C order, turned into float32. */
#ifndef CLIPC_IO_NPY_H
#define CLIPC_IO_NPY_H

#include <stdbool.h>

#include "base/file.h"
#include "tensor/dtype.h"

enum { NPY_DIMS = 8 };

/* A matrix written piece by piece; the header learns the number of rows at the end. */
typedef struct npy_writer {
    atomic_file file;
    dtype dt; /* DT_F32 or DT_U8 */
    size_t rows, dims[NPY_DIMS - 1], n_dims;
} npy_writer;

/* dims [n_dims]: of a row.  `overwrite` false: CLIPC_ERR_EXISTS when the file is there.
 * After success, end it by npy_commit or npy_abort; nothing is seen under `path` before
 * the commit. */
int npy_begin(npy_writer *w, const char *path, dtype dt, const size_t *dims,
              size_t n_dims, bool overwrite, clipc_err *err);
/* data [rows,...] */
int npy_add(npy_writer *w, const void *data, size_t rows, clipc_err *err);
int npy_commit(npy_writer *w, clipc_err *err);
void npy_abort(npy_writer *w);

/* The calls above in one: data [dims[0], ...], n_dims of them. */
int npy_write(const char *path, const void *data, dtype dt, const size_t *dims,
              size_t n_dims, bool overwrite, clipc_err *err);

typedef struct npy {
    size_t n_dims, dims[NPY_DIMS];
    size_t n;    /* product of dims; 1 for a scalar */
    float *data; /* owned */
} npy;

/* Release with npy_free. */
int npy_read(npy *out, const char *path, const kernels *k, clipc_err *err);
/* The same from memory; `name` is for messages. */
int npy_parse(npy *out, const void *data, size_t size, const char *name, const kernels *k,
              clipc_err *err);
void npy_free(npy *a);

/* Without a copy: *data points into the file's bytes, which must hold float32 on a
 * boundary of four; shape->data stays NULL. */
int npy_in_place(const float **data, npy *shape, span file, const char *name,
                 clipc_err *err);

#endif
