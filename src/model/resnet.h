/* model/resnet.h -- CLIP's ModifiedResNet (arXiv:2103.00020 section 2.4; openai/CLIP
 * clip/model.py): a stem of three convolutions, four stages of bottlenecks that pool
 * before they narrow instead of striding, and an attention pool. */
#ifndef CLIPC_MODEL_RESNET_H
#define CLIPC_MODEL_RESNET_H

#include "model/tower.h"
#include "nn/attnpool.h"
#include "nn/convbn.h"

/* y = relu(bn3(conv3(pool(relu(bn2(conv2(relu(bn1(conv1(x)))))))) + shortcut(x)) */
typedef struct bottleneck {
    convbn conv[3], down; /* down: of the shortcut, where it has one */
    conv_shape s[3], down_s;
    bool pools, has_down;
} bottleneck;

typedef struct resnet {
    image_cfg cfg;
    convbn stem[3];
    conv_shape stem_s[3];
    bottleneck *blocks;
    size_t n; /* blocks of all stages */
    attnpool pool;
    attnpool_cfg pool_cfg;
} resnet;

#endif
