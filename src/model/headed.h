/* model/headed.h -- an EfficientNet-Lite, the trunk, with the head of model/head.h behind
 * it: a tower whose head alone learns.  Reached through headed_ops of model/tower.h. */
#ifndef CLIPC_MODEL_HEADED_H
#define CLIPC_MODEL_HEADED_H

#include "model/head.h"

typedef struct headed {
    image_cfg cfg;
    void *trunk; /* effnet_ops' */
    head head;
    head_shape shape;
} headed;

#endif
