#include "train/objective.h"

#include <math.h>
#include <string.h>

static int get_smoothing(objective *o, const json_t *root, const char *where,
                         clipc_err *err)
{
    const int rc = json_get_f32(&o->smoothing, root, "label_smoothing", where, err);

    if (rc != CLIPC_OK) return rc;
    if (!(o->smoothing >= 0.0f && o->smoothing < 1.0f))
        return clipc_fail(err, CLIPC_ERR_FORMAT,
                          "%s: \"label_smoothing\" is %g, wanted 0 to below 1", where,
                          (double)o->smoothing);
    if (o->smoothing > 0.0f && o->loss == LOSS_SIGMOID)
        return clipc_fail(err, CLIPC_ERR_FORMAT,
                          "%s: \"label_smoothing\" goes with the softmax loss alone",
                          where);
    return CLIPC_OK;
}

int objective_parse(objective *o, logit_start *start, const json_t *root,
                    const json_t *model, const char *where, clipc_err *err)
{
    static const char *const losses[] = {"softmax", "sigmoid", NULL};
    static const char *const equals[] = {"mask", "negatives", "positives", NULL};
    size_t loss, equal;
    int rc =
        json_get_choice(&loss, losses, "softmax or sigmoid", root, "loss", where, err);

    if (rc == CLIPC_OK)
        rc = json_get_choice(&equal, equals, "mask, negatives or positives", root,
                             "equal_captions", where, err);
    if (rc != CLIPC_OK) return rc;
    *o = (objective){.loss = (loss_kind)loss, .equal = (equal_captions)equal};
    *start = (logit_start){
        .scale = loss == LOSS_SIGMOID ? logf(10.0f) : logf(1.0f / 0.07f), .bias = -10.0f};
    rc = get_smoothing(o, root, where, err);
    if (rc == CLIPC_OK)
        rc = json_get_f32(&start->scale, model, "init_logit_scale", where, err);
    if (rc == CLIPC_OK)
        rc = json_get_f32(&start->bias, model, "init_logit_bias", where, err);
    return rc;
}
