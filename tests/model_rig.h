/* tests/model_rig.h -- a model of tests/golden with its golden, ready to run. */
#ifndef CLIPC_TESTS_MODEL_RIG_H
#define CLIPC_TESTS_MODEL_RIG_H

#include "clip/net.h"
#include "golden_file.h"

#define MODELS   "tests/golden/models/"
#define VARIANTS "tests/golden/variants/"

/* A model with everything that running it needs, and its golden. */
typedef struct rig {
    model_source source;
    clip_cfg cfg; /* the source's */
    net *n;
    exec *e;
    void *image_acts;
    void *text_acts;
    tensor_file *g;
    float *pixels, *img, *txt;
    int32_t *ids;
    size_t B, E;
} rig;

/* The model of a golden folder, its golden's inputs, memory for passes; `without`: 'i' or
 * 't', a tower to leave out, or 0. */
void rig_open(rig *r, const char *folder, tower_mode mode);
void rig_open_without(rig *r, const char *folder, char without, tower_mode mode);
void rig_close(rig *r);

/* Another model to the same golden: away with the one there is, and that at a path. */
void rig_drop(rig *r);
void rig_load(rig *r, const char *path, char without, tower_mode mode);

/* r->img and r->txt of the golden's inputs. */
void rig_forward(rig *r);
/* x is the golden's `name`, but for `most` of its largest magnitude, or 1e-5. */
void check_within(const rig *r, const float *x, const char *name, double most);
void check_close(const rig *r, const float *x, const char *name);

#endif
