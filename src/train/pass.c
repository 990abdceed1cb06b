#include "train/pass.h"

#include <math.h>

#include "base/sizes.h"
#include "nn/rows.h"

static void take_work(pass *p, arena *a)
{
    const size_t B = p->batch, E = p->net->cfg.image.embed_dim;

    p->img = ARENA_FLOATS(a, B * E);
    p->txt = ARENA_FLOATS(a, B * E);
    p->dimg = ARENA_FLOATS(a, B * E);
    p->dtxt = ARENA_FLOATS(a, B * E);
    p->img_norm = ARENA_FLOATS(a, B);
    p->txt_norm = ARENA_FLOATS(a, B);
    loss_room_take(&p->room, a, B);
}

int pass_make(pass *p, net *n, net *grads, const objective *o, size_t B, clipc_err *err)
{
    const size_t rows = B * n->cfg.text.context_length;
    arena measure = arena_measure();
    int rc;

    *p = (pass){.net = n, .grads = grads, .batch = B, .objective = *o};
    rc = n->ops->acts_make(&p->image_acts, n->image, B, TOWER_TRAIN, err);
    if (rc == CLIPC_OK)
        rc = n->text_ops->acts_make(&p->text_acts, n->text, B, rows, TOWER_TRAIN, err);
    take_work(p, &measure);
    if (rc == CLIPC_OK) rc = arena_new(&p->work, measure.used, "trainer", err);
    if (rc == CLIPC_OK) take_work(p, &p->work);
    return rc;
}

void pass_free(pass *p)
{
    if (p->net) {
        p->net->ops->acts_destroy(p->image_acts);
        p->net->text_ops->acts_destroy(p->text_acts);
    }
    arena_free(&p->work);
    *p = (pass){0};
}

size_t pass_scratch(const net *n)
{
    return max_size(n->ops->scratch(n->image), n->text_ops->scratch(n->text));
}

float pass_run(const pass *p, exec *e, const batch *b)
{
    const net *n = p->net;
    const size_t B = p->batch, E = n->cfg.image.embed_dim;
    const float scale = expf(*n->logit_scale);
    const float bias = n->logit_bias ? *n->logit_bias : 0.0f;
    float dscale, dbias;

    n->ops->fwd(e, n->image, p->image_acts, p->img, b->pixels, B);
    n->text_ops->fwd(e, n->text, p->text_acts, p->txt, b->ids, B);
    rows_normalize_fwd(e, p->img, p->img_norm, p->img, B, E);
    rows_normalize_fwd(e, p->txt, p->txt_norm, p->txt, B, E);
    const float loss =
        contrastive_fwd_bwd(e, &p->objective, p->dimg, p->dtxt, &dscale, &dbias, &p->room,
                            p->img, p->txt, b->caption, scale, bias, B, E);
    if (!isfinite(loss)) return loss;
    rows_normalize_bwd(e, p->dimg, p->dimg, p->img, p->img_norm, B, E);
    rows_normalize_bwd(e, p->dtxt, p->dtxt, p->txt, p->txt_norm, B, E);
    n->ops->bwd(e, n->image, p->grads->image, p->image_acts, p->dimg, b->pixels, B);
    n->text_ops->bwd(e, n->text, p->grads->text, p->text_acts, p->dtxt, B);
    *p->grads->logit_scale += dscale * scale; /* d loss / d log(scale) */
    if (n->logit_bias) *p->grads->logit_bias += dbias;
    if (n->ops->update_stats) n->ops->update_stats(n->image, p->image_acts, B);
    return loss;
}
