#include "clipc_train.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "clip/net.h"
#include "nn/attention.h"
#include "nn/rows.h"
#include "train/checkpoint.h"
#include "train/loss.h"
#include "train/train_config.h"
#include "train/validate.h"

enum { SKIPS_MAX = 10, LOG_ALL = 200, PIECE = 1 << 15 };

struct clipc_trainer {
    train_cfg cfg;
    char *out, *checkpoints, *log_path;
    exec *e;
    net *net, *grads;
    arena moments;
    float *m, *v;
    void *image_acts;
    void *text_acts;
    arena work;
    float *img, *txt, *img_norm, *txt_norm, *dimg, *dtxt, *pairs;
    double *sums; /* gradient_norm's, of the pieces of one parameter */
    dataset *data;
    validation *val;
    size_t step, skipped, skipped_in_row;
    double best;
    FILE *log;
    char summary[512];
};

void clipc_trainer_free(clipc_trainer *t)
{
    if (!t) return;
    dataset_close(t->data);
    validation_free(t->val);
    if (t->log) fclose(t->log);
    if (t->net) t->net->ops->acts_destroy(t->image_acts);
    if (t->net) t->net->text_ops->acts_destroy(t->text_acts);
    net_free(t->net);
    net_free(t->grads);
    arena_free(&t->moments);
    arena_free(&t->work);
    exec_free(t->e);
    free(t->out);
    free(t->checkpoints);
    free(t->log_path);
    train_config_free(&t->cfg);
    free(t);
}

static void take_work(clipc_trainer *t, arena *a)
{
    const size_t B = t->cfg.data.batch, E = t->cfg.model.image.embed_dim;

    t->img = ARENA_FLOATS(a, B * E);
    t->txt = ARENA_FLOATS(a, B * E);
    t->dimg = ARENA_FLOATS(a, B * E);
    t->dtxt = ARENA_FLOATS(a, B * E);
    t->img_norm = ARENA_FLOATS(a, B);
    t->txt_norm = ARENA_FLOATS(a, B);
    t->pairs = ARENA_FLOATS(a, 2 * B * B);
    t->sums = arena_take(a, t->net->params.floats / PIECE + 1, sizeof *t->sums);
}

static int make_memory(clipc_trainer *t, clipc_err *err)
{
    const clip_cfg *model = &t->cfg.model;
    const size_t B = t->cfg.data.batch;
    arena measure = arena_measure();
    const kernels *k = NULL;
    int rc = kernels_pick(&k, err);

    if (rc == CLIPC_OK) rc = net_make(&t->net, model, TOWER_TRAIN, err);
    if (rc == CLIPC_OK) rc = net_make(&t->grads, model, TOWER_TRAIN, err);
    if (rc != CLIPC_OK) return rc;
    const size_t a = t->net->ops->scratch(t->net->image),
                 b = t->net->text_ops->scratch(t->net->text);
    rc = exec_new(&t->e, t->cfg.threads, a > b ? a : b, err);
    if (rc == CLIPC_OK)
        rc = arena_new(&t->moments, 2 * t->net->params.floats * sizeof(float),
                       "optimizer", err);
    if (rc == CLIPC_OK)
        rc = t->net->ops->acts_make(&t->image_acts, t->net->image, B, TOWER_TRAIN, err);
    if (rc == CLIPC_OK)
        rc =
            t->net->text_ops->acts_make(&t->text_acts, t->net->text, B,
                                        B * model->text.context_length, TOWER_TRAIN, err);
    take_work(t, &measure);
    if (rc == CLIPC_OK) rc = arena_new(&t->work, measure.used, "trainer", err);
    if (rc != CLIPC_OK) return rc;
    take_work(t, &t->work);
    t->m = (float *)(void *)t->moments.mem;
    t->v = t->m + t->net->params.floats;
    return CLIPC_OK;
}

static checkpoint checkpoint_of(clipc_trainer *t)
{
    checkpoint c = {.weights = (float *)(void *)t->net->mem.mem,
                    .m = t->m,
                    .v = t->v,
                    .floats = t->net->params.floats,
                    .step = (int64_t)t->step,
                    .skipped = (int64_t)t->skipped,
                    .threads = (int64_t)t->cfg.threads,
                    .best = t->best};

    snprintf(c.isa, sizeof c.isa, "%s", t->e->k->name);
    return c;
}

/* Lines of steps that will be done again are dropped, and half a line at the end. */
static int trim_log(clipc_trainer *t, clipc_err *err)
{
    buf b = {0};
    size_t keep = 0;
    int rc = file_exists(t->log_path) ? file_read(&b, t->log_path, (size_t)1 << 30, err)
                                      : CLIPC_OK;

    for (size_t i = 0; rc == CLIPC_OK && i < b.len;) {
        const char *nl = memchr(b.data + i, '\n', b.len - i);
        size_t step = 0;
        if (!nl || sscanf(b.data + i, "{\"step\":%zu", &step) != 1 || step > t->step)
            break;
        keep = i = (size_t)(nl - b.data) + 1;
    }
    if (rc == CLIPC_OK && keep < b.len) rc = file_replace(t->log_path, b.data, keep, err);
    buf_free(&b);
    return rc;
}

static int resume_from(clipc_trainer *t, char *note, size_t note_size, clipc_err *err)
{
    checkpoint c = checkpoint_of(t);
    const int rc = checkpoint_read(&c, t->checkpoints, err);

    if (rc != CLIPC_OK) return rc;
    t->step = (size_t)c.step;
    t->skipped = (size_t)c.skipped;
    t->best = c.best;
    const bool same =
        strcmp(c.isa, t->e->k->name) == 0 && (size_t)c.threads == t->cfg.threads;
    snprintf(note, note_size, "; resumed at step %zu%s", t->step,
             same
                 ? ""
                 : " (warning: other instruction set or threads than before, so the bits "
                   "will differ)");
    return trim_log(t, err);
}

static int start(clipc_trainer *t, bool resume, char *note, size_t note_size,
                 clipc_err *err)
{
    rng r = rng_seed(t->cfg.seed, (uint64_t)1 << 63);
    int rc = CLIPC_OK;

    t->best = -1.0;
    net_init(t->net, &r);
    if (resume) rc = resume_from(t, note, note_size, err);
    else if (checkpoint_exists(t->checkpoints))
        rc = clipc_fail(
            err, CLIPC_ERR_EXISTS,
            "%s: holds a run already; go on with --resume or choose another --out",
            t->out);
    if (rc == CLIPC_OK) rc = file_mkdirs(t->checkpoints, err);
    if (rc != CLIPC_OK) return rc;
    t->log = fopen(t->log_path, resume ? "a" : "w");
    return t->log
               ? CLIPC_OK
               : clipc_fail(err, CLIPC_ERR_IO, "%s: cannot write the log", t->log_path);
}

static size_t memory_of(const clipc_trainer *t)
{
    return 4 * t->net->params.floats * sizeof(float) + dataset_bytes(t->data);
}

int clipc_trainer_open(clipc_trainer **out, const char *config_json, const char *where,
                       const char *out_dir, int resume, clipc_err *err)
{
    clipc_trainer *t = calloc(1, sizeof *t);
    char note[160] = "";
    int rc;

    *out = NULL;
    if (!t) return clipc_fail_memory(err, "trainer", sizeof *t);
    rc = train_config_parse(&t->cfg, config_json, where, err);
    t->out = strdup(out_dir);
    t->checkpoints = path_join(out_dir, "checkpoints");
    t->log_path = path_join(out_dir, "log.jsonl");
    if (rc == CLIPC_OK && !(t->out && t->checkpoints && t->log_path))
        rc = clipc_fail_memory(err, out_dir, 0);
    if (rc == CLIPC_OK) rc = make_memory(t, err);
    if (rc == CLIPC_OK) rc = start(t, resume, note, sizeof note, err);
    if (rc == CLIPC_OK)
        rc = dataset_open(&t->data, &t->cfg.data, t->step * t->cfg.accum, err);
    if (rc == CLIPC_OK && t->cfg.val)
        rc = validation_open(&t->val, t->net, t->cfg.data.bpe, t->cfg.val,
                             t->cfg.val_samples, err);
    if (rc != CLIPC_OK) {
        clipc_trainer_free(t);
        return rc;
    }
    snprintf(t->summary, sizeof t->summary,
             "%.2f M parameters, %zu pairs, batch %zu, %zu steps, %s on %zu threads, "
             "%.0f MB of weights, moments and data%s",
             (double)t->net->params.count * 1e-6, dataset_count(t->data),
             t->cfg.data.batch * t->cfg.accum, t->cfg.steps, t->e->k->name,
             t->cfg.threads, (double)memory_of(t) * 1e-6, note);
    *out = t;
    return CLIPC_OK;
}

const char *clipc_trainer_summary(const clipc_trainer *t)
{
    return t->summary;
}

/* ---- one step
 * ----------------------------------------------------------------------------- */

/* Adds the gradients of one batch; returns its loss. */
static float batch_fwd_bwd(clipc_trainer *t, const batch *b)
{
    const size_t B = t->cfg.data.batch, E = t->cfg.model.image.embed_dim;
    const image_ops *ops = t->net->ops;
    exec *e = t->e;
    const float scale = expf(*t->net->logit_scale);
    float dscale;

    ops->fwd(e, t->net->image, t->image_acts, t->img, b->pixels, B);
    t->net->text_ops->fwd(e, t->net->text, t->text_acts, t->txt, b->ids, B);
    rows_normalize_fwd(e, t->img, t->img_norm, t->img, B, E);
    rows_normalize_fwd(e, t->txt, t->txt_norm, t->txt, B, E);
    const float loss = contrastive_fwd_bwd(e, t->dimg, t->dtxt, &dscale, t->pairs, t->img,
                                           t->txt, b->caption, scale, B, E);
    if (!isfinite(loss)) return loss;
    rows_normalize_bwd(e, t->dimg, t->dimg, t->img, t->img_norm, B, E);
    rows_normalize_bwd(e, t->dtxt, t->dtxt, t->txt, t->txt_norm, B, E);
    ops->bwd(e, t->net->image, t->grads->image, t->image_acts, t->dimg, b->pixels, B);
    t->net->text_ops->bwd(e, t->net->text, t->grads->text, t->text_acts, t->dtxt, B);
    *t->grads->logit_scale += dscale * scale; /* d loss / d log(scale) */
    if (ops->update_stats) ops->update_stats(t->net->image, t->image_acts, B);
    return loss;
}

/* Linear warm-up, then half a cosine to zero. */
static float lr_at(const train_cfg *c, size_t step)
{
    if (step < c->warmup) return c->lr * (float)(step + 1) / (float)c->warmup;
    const double done = (double)(step - c->warmup) / (double)(c->steps - c->warmup);
    return (float)(0.5 * (double)c->lr * (1.0 + cos(3.14159265358979 * fmin(done, 1.0))));
}

typedef struct norm_job {
    const kernels *k;
    const float *g;
    double *sums; /* of each piece */
} norm_job;

static void norm_piece(void *arg, size_t thread, size_t begin, size_t end)
{
    const norm_job *j = arg;

    (void)thread;
    j->sums[begin / PIECE] = j->k->dot(j->g + begin, j->g + begin, end - begin);
}

/* The pieces' sums are added in their order, whoever made them. */
static double gradient_norm(const clipc_trainer *t)
{
    double sum = 0.0;

    for (size_t i = 0; i < t->grads->params.n; i++) {
        const param *p = &t->grads->params.v[i];
        norm_job j = {t->e->k, *p->slot, t->sums};
        if (p->kind == PARAM_STAT) continue;
        exec_range(t->e, norm_piece, &j, p->n, PIECE);
        for (size_t at = 0; at * PIECE < p->n; at++) sum += t->sums[at];
    }
    return sqrt(sum);
}

static void zero_piece(void *arg, size_t thread, size_t begin, size_t end)
{
    float *g = arg;

    (void)thread;
    memset(g + begin, 0, (end - begin) * sizeof *g);
}

typedef struct adam_job {
    const kernels *k;
    float *w, *m, *v;
    const float *g;
    const adamw_step *s;
} adam_job;

static void adam_piece(void *arg, size_t thread, size_t begin, size_t end)
{
    const adam_job *j = arg;

    (void)thread;
    j->k->adamw(j->w + begin, j->m + begin, j->v + begin, j->g + begin, end - begin,
                j->s);
}

static void update(clipc_trainer *t, float lr, double norm)
{
    const train_cfg *c = &t->cfg;
    const float accum = 1.0f / (float)c->accum;
    const double clipped = norm * (double)accum;
    const double steps = (double)(t->step - t->skipped + 1);
    adamw_step s = {.lr = lr,
                    .beta1 = c->beta1,
                    .beta2 = c->beta2,
                    .eps = c->eps,
                    .c1 = (float)(1.0 - pow((double)c->beta1, steps)),
                    .c2 = (float)(1.0 - pow((double)c->beta2, steps)),
                    .gscale = accum};
    const float most = logf(c->logit_scale_max);

    if (c->grad_clip > 0.0f && clipped > (double)c->grad_clip)
        s.gscale *= (float)((double)c->grad_clip / clipped);
    for (size_t i = 0; i < t->net->params.n; i++) {
        const param *p = &t->net->params.v[i];
        if (p->kind == PARAM_STAT) continue;
        adam_job j = {t->e->k,
                      *p->slot,
                      t->m + p->first,
                      t->v + p->first,
                      *t->grads->params.v[i].slot,
                      &s};
        s.weight_decay = param_decays(p) ? c->weight_decay : 0.0f;
        exec_range(t->e, adam_piece, &j, p->n, PIECE);
    }
    if (*t->net->logit_scale > most) *t->net->logit_scale = most;
}

static int write_log(clipc_trainer *t, const clipc_train_stats *s, clipc_err *err)
{
    if (s->step > LOG_ALL && s->step % t->cfg.log_every && s->step != s->steps)
        return CLIPC_OK;
    fprintf(
        t->log,
        "{\"step\":%zu,\"loss\":%.9g,\"logit_scale\":%.7g,\"lr\":%.7g,\"grad_norm\":%.7g,"
        "\"images_per_second\":%.1f,\"waited\":%.3f,\"skipped\":%zu,\"broken\":%zu}\n",
        s->step, isfinite(s->loss) ? s->loss : -1.0, s->logit_scale, s->lr,
        isfinite(s->grad_norm) ? s->grad_norm : -1.0, s->images_per_second, s->waited,
        s->skipped, s->broken);
    if (fflush(t->log) != 0)
        return clipc_fail(err, CLIPC_ERR_IO, "%s: cannot write the log", t->log_path);
    return CLIPC_OK;
}

int clipc_trainer_step(clipc_trainer *t, clipc_train_stats *stats, clipc_err *err)
{
    const double begin = clock_now();
    double waited = 0.0, loss = 0.0, norm = NAN;
    const batch *b;

    exec_range(t->e, zero_piece, t->grads->mem.mem, t->grads->params.floats, PIECE);
    for (size_t i = 0; i < t->cfg.accum; i++) {
        double wait = 0.0;
        const int rc = dataset_next(&b, t->data, &wait, err);
        if (rc != CLIPC_OK) return rc;
        waited += wait;
        loss += (double)batch_fwd_bwd(t, b) / (double)t->cfg.accum;
    }
    const float lr = lr_at(&t->cfg, t->step);
    if (isfinite(loss)) norm = gradient_norm(t);
    if (isfinite(norm)) {
        update(t, lr, norm);
        t->skipped_in_row = 0;
    } else {
        t->skipped++;
        t->skipped_in_row++;
    }
    t->step++;

    const double seconds = clock_now() - begin;
    *stats = (clipc_train_stats){.step = t->step,
                                 .steps = t->cfg.steps,
                                 .loss = isfinite(norm) ? loss : NAN,
                                 .logit_scale = exp((double)*t->net->logit_scale),
                                 .lr = (double)lr,
                                 .grad_norm = norm / (double)t->cfg.accum,
                                 .images_per_second =
                                     (double)(t->cfg.data.batch * t->cfg.accum) / seconds,
                                 .waited = waited / seconds,
                                 .skipped = t->skipped,
                                 .broken = dataset_broken(t->data)};
    if (t->skipped >= SKIPS_MAX)
        return clipc_fail(
            err, CLIPC_ERR_NUMBER,
            "step %zu: %zu steps had a loss that is no number; the last good "
            "checkpoint is kept in %s",
            t->step, t->skipped, t->checkpoints);
    return write_log(t, stats, err);
}

int clipc_trainer_wants_save(const clipc_trainer *t)
{
    return t->step % t->cfg.save_every == 0 || t->step >= t->cfg.steps;
}

int clipc_trainer_wants_val(const clipc_trainer *t)
{
    return t->val && (t->step % t->cfg.val_every == 0 || t->step >= t->cfg.steps);
}

int clipc_trainer_save(clipc_trainer *t, clipc_err *err)
{
    const checkpoint c = checkpoint_of(t);
    const int rc = checkpoint_write(&c, t->checkpoints, t->cfg.keep, t->e->k, err);

    return rc == CLIPC_OK ? net_save(t->net, t->out, t->cfg.precision,
                                     &t->cfg.token_files, t->e->k, err)
                          : rc;
}

int clipc_trainer_validate(clipc_trainer *t, clipc_val_stats *stats, clipc_err *err)
{
    char *best;
    int rc;

    if (!t->val)
        return clipc_fail(err, CLIPC_ERR_FEATURE,
                          "no held-out data: the config names no \"val\"");
    if ((rc = validation_run(t->val, t->e, stats, err)) != CLIPC_OK) return rc;
    fprintf(t->log,
            "{\"step\":%zu,\"val_top1\":%.5f,\"val_top5\":%.5f,\"i2t\":[%.5f,%.5f,%.5f],"
            "\"t2i\":[%.5f,%.5f,%.5f]}\n",
            t->step, stats->top1, stats->top5, stats->image_to_text[0],
            stats->image_to_text[1], stats->image_to_text[2], stats->text_to_image[0],
            stats->text_to_image[1], stats->text_to_image[2]);
    fflush(t->log);
    if (stats->top1 <= t->best) return CLIPC_OK;
    t->best = stats->top1;
    best = path_join(t->out, "best");
    rc = best
             ? net_save(t->net, best, t->cfg.precision, &t->cfg.token_files, t->e->k, err)
             : clipc_fail_memory(err, t->out, 0);
    free(best);
    return rc;
}
