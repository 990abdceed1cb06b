#include "train/pass.h"

#include <math.h>

#include "base/sizes.h"
#include "nn/rows.h"
#include "train/groups.h"

static void take_work(pass *p, arena *a)
{
    const size_t B = p->cfg.batch, E = p->net->cfg.image.embed_dim;

    p->img = ARENA_FLOATS(a, B * E);
    p->txt = ARENA_FLOATS(a, B * E);
    p->dimg = ARENA_FLOATS(a, B * E);
    p->dtxt = ARENA_FLOATS(a, B * E);
    p->img_norm = ARENA_FLOATS(a, B);
    p->txt_norm = ARENA_FLOATS(a, B);
    p->img_first = ARENA_FLOATS(a, B * p->img_F);
    loss_room_take(&p->room, a, B);
    if (p->cfg.teacher) distill_room_take(&p->distill_room, a, &p->cfg.distill, B);
}

/* A locked tower only runs, except that running statistics may still move: then without
 * what only the way back would want. */
static void choose_modes(pass *p)
{
    const net *n = p->net;
    const bool moves = n->ops->update_stats && !n->cfg.image.locked_stats;
    const tower_mode trains = p->cfg.recompute ? TOWER_RECOMPUTE : TOWER_TRAIN;

    p->image_learns = !group_all_locked(&n->cfg, SIDE_IMAGE);
    p->text_learns = !group_all_locked(&n->cfg, SIDE_TEXT);
    p->image_mode = p->image_learns ? trains : moves ? TOWER_RECOMPUTE : TOWER_EVAL;
    p->text_mode = p->text_learns ? trains : TOWER_EVAL;
}

int pass_make(pass *p, size_t *bytes, net *n, net *grads, pass_cfg cfg, clipc_err *err)
{
    const size_t rows = cfg.chunk * n->cfg.text.context_length;
    size_t part[3];
    arena measure = arena_measure();
    int rc;

    *p = (pass){.net = n, .grads = grads, .cfg = cfg};
    p->img_F = n->ops->parts ? n->ops->parts->width(n->image) : 0;
    choose_modes(p);
    rc = n->ops->acts_make(&p->image_acts, bytes ? &part[0] : NULL, n->image, cfg.chunk,
                           p->image_mode, err);
    if (rc == CLIPC_OK)
        rc = n->text_ops->acts_make(&p->text_acts, bytes ? &part[1] : NULL, n->text,
                                    cfg.chunk, rows, p->text_mode, err);
    take_work(p, &measure);
    if (rc == CLIPC_OK)
        rc = arena_make(&p->work, bytes ? &part[2] : NULL, &measure, "trainer", err);
    if (rc != CLIPC_OK) return rc;
    if (bytes) *bytes = part[0] + part[1] + part[2];
    else take_work(p, &p->work);
    return CLIPC_OK;
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

static size_t chunk_size(const pass *p, size_t at)
{
    return min_size(p->cfg.chunk, p->cfg.batch - at);
}

/* What a chunk's dropout draws from. */
static row_stream draws_of(const pass *p, const batch *b, size_t at)
{
    return (row_stream){p->cfg.seed, b->place + at};
}

/* The features of a chunk, not normalised: pictures from `at` on.  again: what the first
 * part of a tower made is there still. */
static void pictures_fwd(const pass *p, exec *e, const batch *b, size_t at, bool again)
{
    const net *n = p->net;
    const size_t S = n->cfg.image.image_size, C = chunk_size(p, at), F = p->img_F;
    const row_stream draw = draws_of(p, b, at);
    const size_t pixels = at * 3 * S * S;
    float *out = p->img + at * n->cfg.image.embed_dim;
    float *first = F ? p->img_first + at * F : out;

    if (!F || !again) {
        if (p->cfg.pictures)
            frozen_pictures(p->cfg.pictures, e, p->image_acts, first, b, at, C);
        else if (F)
            n->ops->parts->first(e, n->image, p->image_acts, first, b->pixels + pixels,
                                 C);
        else n->ops->fwd(e, n->image, p->image_acts, out, b->pixels + pixels, C);
    }
    if (F) n->ops->parts->second(e, n->image, p->image_acts, out, first, C, &draw);
}

static void texts_fwd(const pass *p, exec *e, const batch *b, size_t at)
{
    const net *n = p->net;
    const size_t C = chunk_size(p, at);
    const int32_t *ids = b->ids + at * n->cfg.text.context_length;
    float *out = p->txt + at * n->cfg.image.embed_dim;

    if (p->cfg.texts) frozen_texts(p->cfg.texts, e, p->text_acts, out, ids, C);
    else n->text_ops->fwd(e, n->text, p->text_acts, out, ids, C);
}

/* The gradients of the chunk whose features were made last. */
static void chunk_bwd(const pass *p, exec *e, const batch *b, size_t at)
{
    const net *n = p->net;
    const size_t S = n->cfg.image.image_size, C = chunk_size(p, at);
    const float *dimg = p->dimg + at * n->cfg.image.embed_dim;
    const float *dtxt = p->dtxt + at * n->cfg.image.embed_dim;

    if (p->image_learns && p->img_F)
        n->ops->parts->second_bwd(e, n->image, p->grads->image, p->image_acts, dimg,
                                  p->img_first + at * p->img_F, C);
    else if (p->image_learns)
        n->ops->bwd(e, n->image, p->grads->image, p->image_acts, dimg,
                    b->pixels + at * 3 * S * S, C);
    if (p->text_learns)
        n->text_ops->bwd(e, n->text, p->grads->text, p->text_acts, dtxt, C);
    if (n->ops->update_stats && tower_trains(p->image_mode))
        n->ops->update_stats(n->image, p->image_acts, C);
}

/* What the student owes its teacher. */
static float taught(const pass *p, exec *e, const batch *b, float *dscale, float scale)
{
    teacher *t = p->cfg.teacher;
    classes *c = p->cfg.classes;
    distill_side from = {teacher_pictures(t, e, b), NULL, teacher_scale(t)};
    distill_side to = {p->img, p->txt, scale};
    distill_grads grads = {p->dimg, p->dtxt, dscale};

    if (c) {
        from.txt = classes_teacher(c), to.txt = classes_student(c);
        grads.txt = classes_grads(c);
    } else {
        from.txt = teacher_texts(t, e, b);
    }
    return distill_fwd_bwd(e, &p->cfg.distill, grads, &p->distill_room, &to, &from,
                           p->cfg.batch);
}

/* The loss of all features, their gradients into dimg and dtxt. */
static float features_loss(const pass *p, exec *e, const batch *b)
{
    const net *n = p->net;
    const size_t B = p->cfg.batch, E = n->cfg.image.embed_dim;
    const float scale = expf(*n->logit_scale);
    const float bias = n->logit_bias ? *n->logit_bias : 0.0f;
    float dscale, dbias;

    rows_normalize_fwd(e, p->img, p->img_norm, p->img, B, E);
    rows_normalize_fwd(e, p->txt, p->txt_norm, p->txt, B, E);
    float loss =
        contrastive_fwd_bwd(e, &p->cfg.objective, p->dimg, p->dtxt, &dscale, &dbias,
                            &p->room, p->img, p->txt, b->alike, scale, bias, B, E);
    if (p->cfg.teacher) loss += taught(p, e, b, &dscale, scale);
    if (!isfinite(loss)) return loss;
    if (p->cfg.near) neighbours_keep(p->cfg.near, e->k, p->img, b->sample, B);
    if (p->image_learns)
        rows_normalize_bwd(e, p->dimg, p->dimg, p->img, p->img_norm, B, E);
    if (p->text_learns)
        rows_normalize_bwd(e, p->dtxt, p->dtxt, p->txt, p->txt_norm, B, E);
    *p->grads->logit_scale += dscale * scale; /* d loss / d log(scale) */
    if (n->logit_bias) *p->grads->logit_bias += dbias;
    return loss;
}

float pass_run(const pass *p, exec *e, const batch *b)
{
    const size_t B = p->cfg.batch, chunk = p->cfg.chunk;
    const bool pictures = tower_trains(p->image_mode);
    const bool texts = tower_trains(p->text_mode);
    classes *c = p->cfg.classes;

    if (c) classes_fwd(c, e, p->net, p->text_acts, chunk, p->text_learns);
    /* From the last chunk to the first, whose activations are there when the way back
     * begins. */
    for (size_t i = div_up(B, chunk); i-- > 0;) {
        pictures_fwd(p, e, b, i * chunk, false);
        texts_fwd(p, e, b, i * chunk);
    }
    const float loss = features_loss(p, e, b);
    if (!isfinite(loss)) return loss;
    for (size_t at = 0; at < B; at += chunk) {
        if (at && pictures) pictures_fwd(p, e, b, at, true);
        if (at && texts) texts_fwd(p, e, b, at);
        chunk_bwd(p, e, b, at);
    }
    if (c && p->text_learns) classes_bwd(c, e, p->net, p->grads, p->text_acts, chunk);
    return loss;
}
