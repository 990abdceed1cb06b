/* train/ema.h -- the moving average of a net's weights while they learn, running
 * statistics with them:
 *
 *   e += (1 - d) (w - e),   d = min(decay, (1 + step) / (10 + step))
 *
 * so that a start from random weights is soon forgotten (as torch-ema and TensorFlow's
 * ExponentialMovingAverage).  What does not learn stays as it is, to the bit. */
#ifndef CLIPC_TRAIN_EMA_H
#define CLIPC_TRAIN_EMA_H

#include "clip/net.h"

/* A net for the averages of n's weights; they begin as those are at ema_begin. */
int ema_make(net **out, const net *n, clipc_err *err);
void ema_begin(net *ema, const net *n);

/* After the update that `step` others came before. */
void ema_update(net *ema, exec *e, const net *n, float decay, size_t step);

#endif
