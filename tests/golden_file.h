/* tests/golden_file.h -- reading the goldens that tests/golden/make_*.py wrote. */
#ifndef CLIPC_TESTS_GOLDEN_FILE_H
#define CLIPC_TESTS_GOLDEN_FILE_H

#include "io/safetensors.h"

/* A folder's golden.safetensors; the test fails if it cannot be opened. */
tensor_file *golden_open(const char *folder);

/* A tensor as doubles, malloc'd; the test fails if it is not there.  *n: its elements. */
double *golden_f64(const tensor_file *f, const char *name, size_t *n);
/* The same as floats, and as 32-bit integers. */
float *golden_f32(const tensor_file *f, const char *name, size_t *n);
int32_t *golden_i32(const tensor_file *f, const char *name, size_t *n);

/* max |a - b| / max |b|; infinite if anything is NaN. */
double relative_error(const float *a, const double *b, size_t n);

#endif
