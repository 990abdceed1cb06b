#include "train/pass.h"

#include <math.h>

#include "base/sizes.h"
#include "nn/rows.h"
#include "train/groups.h"
#include "train/loss.h"

static void take_work(pass *p, arena *a)
{
    const size_t B = p->batch, E = p->net->cfg.image.embed_dim;

    p->img = ARENA_FLOATS(a, B * E);
    p->txt = ARENA_FLOATS(a, B * E);
    p->dimg = ARENA_FLOATS(a, B * E);
    p->dtxt = ARENA_FLOATS(a, B * E);
    p->img_norm = ARENA_FLOATS(a, B);
    p->txt_norm = ARENA_FLOATS(a, B);
    p->pairs = ARENA_FLOATS(a, 2 * B * B);
}

/* A locked tower only runs, except that running statistics may still move. */
static void choose_modes(pass *p)
{
    const net *n = p->net;
    const bool moves = n->ops->update_stats && !n->cfg.image.locked_stats;

    p->image_learns = !group_all_locked(&n->cfg, SIDE_IMAGE);
    p->text_learns = !group_all_locked(&n->cfg, SIDE_TEXT);
    p->image_mode = p->image_learns || moves ? TOWER_TRAIN : TOWER_EVAL;
    p->text_mode = p->text_learns ? TOWER_TRAIN : TOWER_EVAL;
}

int pass_make(pass *p, net *n, net *grads, size_t B, clipc_err *err)
{
    const size_t rows = B * n->cfg.text.context_length;
    arena measure = arena_measure();
    int rc;

    *p = (pass){.net = n, .grads = grads, .batch = B};
    choose_modes(p);
    rc = n->ops->acts_make(&p->image_acts, n->image, B, p->image_mode, err);
    if (rc == CLIPC_OK)
        rc = n->text_ops->acts_make(&p->text_acts, n->text, B, rows, p->text_mode, err);
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
    float dscale;

    n->ops->fwd(e, n->image, p->image_acts, p->img, b->pixels, B);
    n->text_ops->fwd(e, n->text, p->text_acts, p->txt, b->ids, B);
    rows_normalize_fwd(e, p->img, p->img_norm, p->img, B, E);
    rows_normalize_fwd(e, p->txt, p->txt_norm, p->txt, B, E);
    const float loss = contrastive_fwd_bwd(e, p->dimg, p->dtxt, &dscale, p->pairs, p->img,
                                           p->txt, b->caption, scale, B, E);
    if (!isfinite(loss)) return loss;
    if (p->image_learns) {
        rows_normalize_bwd(e, p->dimg, p->dimg, p->img, p->img_norm, B, E);
        n->ops->bwd(e, n->image, p->grads->image, p->image_acts, p->dimg, b->pixels, B);
    }
    if (p->text_learns) {
        rows_normalize_bwd(e, p->dtxt, p->dtxt, p->txt, p->txt_norm, B, E);
        n->text_ops->bwd(e, n->text, p->grads->text, p->text_acts, p->dtxt, B);
    }
    *p->grads->logit_scale += dscale * scale; /* d loss / d log(scale) */
    if (n->ops->update_stats && p->image_mode == TOWER_TRAIN)
        n->ops->update_stats(n->image, p->image_acts, B);
    return loss;
}
