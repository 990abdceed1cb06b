/* nn/convbn.h -- a convolution with the batch norm behind it, the shortcut's sum and an
 * activation (none, ReLU or ReLU6), the unit that ResNets and EfficientNets are made of:
 *
 *   z = conv(x)     y = f(batchnorm(z) + add)
 *
 * With the running statistics the norm is one multiplication and one addition a channel,
 * done on the product's tiles while they are in the cache; in training it needs z whole.
 */
#ifndef CLIPC_NN_CONVBN_H
#define CLIPC_NN_CONVBN_H

#include "base/rng.h"
#include "nn/batchnorm.h"
#include "nn/conv.h"
#include "nn/dwconv.h"

typedef struct convbn {
    float *w; /* [O,I,k,k]; depthwise [C,1,k,k] */
    batchnorm bn;
} convbn;

/* Adds the parameters: prefix + conv + "weight", prefix + bn + "bias" and so on. */
int convbn_params(convbn *l, param_list *list, const char *prefix, const char *conv,
                  const char *bn, const conv_shape *s, clipc_err *err);

/* Weights as torch's kaiming_uniform(a = sqrt 5) has them, std 1/sqrt(3 fan_in), drawn
 * from normals; the norm's gains `gain`. */
void convbn_init(convbn *l, const conv_shape *s, float gain, rng *r);

typedef struct convbn_acts {
    float *y;   /* [B*Ho*Wo,O] */
    float *z;   /* training */
    bn_acts bn; /* at inference shared by all */
} convbn_acts;

/* What all units of a tower share in one pass. */
typedef struct convbn_run {
    exec *e;
    size_t B;
    float eps;
    weight_form form;
    bool train;
    double *part; /* training: convbn_part_doubles of the most channels */
    float *work;  /* training: the most of conv_work and dwconv_bwd_work; else of
                     winograd_work for one and dwconv_work */
} convbn_run;

size_t convbn_part_doubles(size_t C);

/* a->y from x; add [B*Ho*Wo,O] or NULL. */
void convbn_fwd(const convbn_run *r, const convbn *l, convbn_acts *a, const conv_shape *s,
                const float *x, const float *add, act f);

/* Of a training forward.  g [B*Ho*Wo,O] is the gradient of the norm's output, the
 * activation undone by the caller (f ACT_NONE) or here, in place.  dz may be g.  dx as
 * conv_bwd has it. */
void convbn_bwd(const convbn_run *r, const convbn *l, convbn *grad, convbn_acts *a,
                const conv_shape *s, float *dx, bool add_dx, float *dz, float *g,
                const float *x, act f);

/* The same of a depthwise convolution, which has no shortcut; dx as dwconv_bwd has it. */
int dwbn_params(convbn *l, param_list *list, const char *prefix, const char *conv,
                const char *bn, const dwconv_shape *s, clipc_err *err);
void dwbn_init(convbn *l, const dwconv_shape *s, rng *r);
void dwbn_fwd(const convbn_run *r, const convbn *l, convbn_acts *a, const dwconv_shape *s,
              const float *x, act f);
void dwbn_bwd(const convbn_run *r, const convbn *l, convbn *grad, convbn_acts *a,
              const dwconv_shape *s, float *dx, float *dz, float *g, const float *x,
              act f);

#endif
