/* index/near.h -- what the approximate index of a space is, as callers see it. */
#ifndef CLIPC_INDEX_NEAR_H
#define CLIPC_INDEX_NEAR_H

#include "index/index.h"

/* CLIPC_APPROXIMATE_FROM of the environment, if that is a number, or of the header. */
uint64_t approximate_from(void);

clipc_index_approximate approximate_shown(const store_approx *is);

#endif
