/* cli/means.h -- spherical k-means: unit vectors in k groups, each around the direction
 * of its sum (Dhillon and Modha 2001), begun by k-means++ with the same numbers each
 * time. */
#ifndef CLIPC_CLI_MEANS_H
#define CLIPC_CLI_MEANS_H

#include <stddef.h>

#include "base/err.h"

/* of [n]        out, the group of each row
 * centres [k,dim] out, of unit length
 * rows [n,dim]  in; 1 <= k <= n */
int means_find(size_t *of, float *centres, const float *rows, size_t n, size_t k,
               size_t dim, clipc_err *err);

#endif
