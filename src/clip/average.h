/* clip/average.h -- weighted means of the weights of models of one kind: WiSE-FT
 * (arXiv:2109.01903) of a model and what it was tuned to, a soup of several
 * (arXiv:2203.05482), the mean of a run's checkpoints. */
#ifndef CLIPC_CLIP_AVERAGE_H
#define CLIPC_CLIP_AVERAGE_H

#include "clip/net.h"
#include "clipc.h"

/* The weights of n (plain ones) become their mean with those of `count` models, whose
 * shares are their own and together at most 1; n has the rest.  A share below 0: all of
 * those, and n, have as much.  Models of other sizes are CLIPC_ERR_ARG. */
int net_average(net *n, const clipc_share *with, size_t count, const kernels *k,
                clipc_err *err);

#endif
