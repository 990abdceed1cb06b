/* model/effnet.h -- EfficientNet-Lite (arXiv:1905.11946; tensorflow/tpu
 * models/official/efficientnet/lite): convolutions padded as TensorFlow's "SAME", each
 * with batch norm behind it, ReLU6 behind all but those that narrow.
 *
 *   stem: 3x3, stride 2
 *   seven stages of inverted residuals (arXiv:1801.04381):
 *     y = narrow(deepen(widen x)) (+ x, but for a stage's first)
 *     widen, narrow: 1x1; deepen: depthwise, 3x3 or 5x5
 *   last: 1x1; the mean of the pixels; a projection or none
 *
 * Lite0 to Lite4 have the same stages, with other numbers of blocks and channels. */
#ifndef CLIPC_MODEL_EFFNET_H
#define CLIPC_MODEL_EFFNET_H

#include "model/tower.h"
#include "nn/convbn.h"

enum { EFFNET_STAGES = 7 };

typedef struct effnet_block {
    convbn widen, deepen, narrow;
    conv_shape widen_s, narrow_s;
    dwconv_shape deepen_s;
    bool widens, adds; /* the first stage's does not widen */
} effnet_block;

typedef struct effnet_ends {
    float *proj, *proj_b; /* [D,E] of PROJ_MATRIX, else [E,D]; either may be NULL */
} effnet_ends;

typedef struct effnet {
    image_cfg cfg;
    convbn stem, last;
    conv_shape stem_s, last_s;
    effnet_block *blocks; /* of all stages */
    size_t n;
    effnet_ends ends;
} effnet;

#endif
