/* nn/batchnorm.h -- batch normalization over channels-last rows (Ioffe and Szegedy 2015,
 * arXiv:1502.03167; torch.nn.BatchNorm2d):  y = (z - mean) * rstd * w + b  per channel.
 *
 * In training mean and variance (biased) are the batch's own, at inference the running
 * ones.  Either way the layer is y = z * scale + shift with one pair a channel; what
 * computes that, and the sums that training needs, is nn/convbn.c.  This file turns sums
 * into those pairs. */
#ifndef CLIPC_NN_BATCHNORM_H
#define CLIPC_NN_BATCHNORM_H

#include "base/arena.h"
#include "nn/param.h"

typedef struct batchnorm {
    float *w, *b;      /* [C] */
    float *mean, *var; /* [C] running */
    float *count;      /* [] batches seen; a whole number, as torch stores it */
} batchnorm;

int batchnorm_params(batchnorm *bn, param_list *l, const char *prefix, size_t C,
                     clipc_err *err);
/* Gains `gain`, biases 0, running mean 0 and variance 1. */
void batchnorm_init(batchnorm *bn, size_t C, float gain);

/* A layer's numbers in one pass, [C] each. */
typedef struct bn_acts {
    float *scale, *shift;
    float *mean, *var, *rstd; /* training: the batch's */
    float *avg, *slope;       /* backward: what kernels.norm_bwd takes */
} bn_acts;

void bn_acts_take(bn_acts *a, arena *mem, size_t C, bool train);

/* scale and shift from the running statistics. */
void batchnorm_eval(bn_acts *a, const batchnorm *bn, size_t C, float eps);

/* From the batch's sums: part [parts][2][C] holds sums of z and of z^2 over parts of the
 * n rows, added in order (doubles: z^2 needs twice the digits of z). */
void batchnorm_train(bn_acts *a, const batchnorm *bn, const double *part, size_t parts,
                     size_t n, size_t C, float eps);

/* part [parts][2][C]: sums of g and g * (z - mean), g the gradient of y.  Adds to grad's
 * w and b and prepares norm_bwd's numbers:
 *   dz = scale * (g - avg(g) - (z - mean) * rstd^2 * avg(g * (z - mean))) */
void batchnorm_bwd(bn_acts *a, batchnorm *grad, const double *part, size_t parts,
                   size_t n, size_t C);

/* Running statistics move by the part `momentum` towards the batch's (unbiased variance).
 */
void batchnorm_update(batchnorm *bn, const bn_acts *a, size_t n, size_t C,
                      float momentum);

#endif
