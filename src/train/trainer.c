#include "clipc_train.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/resident.h"
#include "base/sizes.h"
#include "clip/find.h"
#include "tensor/block_sizes.h"
#include "train/budget.h"
#include "train/checkpoint.h"
#include "train/ema.h"
#include "train/optimizer.h"
#include "train/run_lock.h"
#include "train/run_log.h"
#include "train/statistics.h"
#include "train/validate.h"

enum { SKIPS_MAX = 10, LOG_ALL = 200 };

struct clipc_trainer {
    train_cfg cfg;
    char *out, *checkpoints;
    exec *e;
    net *net, *ema; /* ema: NULL unless the config has one */
    optimizer optimizer;
    pass_cfg pass_cfg;
    pass pass;
    statistics before;        /* the step that is made */
    frozen *texts, *pictures; /* NULL: not kept */
    teacher *teacher;         /* or NULL */
    distillation distill;     /* with a teacher */
    classes *classes;         /* or NULL */
    neighbours *near;         /* or NULL */
    dataset *data;
    validation *val;
    run_log log;
    int how;  /* CLIPC_TRAIN_* */
    int lock; /* of `out`; -1: not taken */
    size_t step, skipped, broken_logged;
    double best;
    char memory[512], summary[640];
};

void clipc_trainer_free(clipc_trainer *t)
{
    if (!t) return;
    dataset_close(t->data);
    validation_free(t->val);
    run_log_close(&t->log);
    run_lock_release(t->lock);
    frozen_close(t->texts);
    frozen_close(t->pictures);
    classes_free(t->classes);
    teacher_close(t->teacher);
    neighbours_free(t->near);
    pass_free(&t->pass);
    statistics_free(&t->before);
    optimizer_free(&t->optimizer);
    net_free(t->net);
    net_free(t->ema);
    exec_free(t->e);
    free(t->out);
    free(t->checkpoints);
    train_config_free(&t->cfg);
    free(t);
}

static checkpoint checkpoint_of(clipc_trainer *t)
{
    checkpoint c = {.weights = (float *)(void *)t->net->mem.mem,
                    .m = t->optimizer.m,
                    .v = t->optimizer.v,
                    .ema = t->ema ? (float *)(void *)t->ema->mem.mem : NULL,
                    .floats = t->net->params.floats,
                    .learned = optimizer_moments(&t->optimizer),
                    .maps = t->optimizer.more,
                    .n_maps = t->optimizer.n_more,
                    .broken = dataset_account(t->data),
                    .step = (int64_t)t->step,
                    .skipped = (int64_t)t->skipped,
                    .threads = (int64_t)t->cfg.threads,
                    .best = t->best};

    if (t->near) {
        c.near = neighbours_table(t->near, &c.nears);
        c.groups = neighbours_groups(t->near, &c.n_groups);
    }
    snprintf(c.isa, sizeof c.isa, "%s", t->e->k->name);
    return c;
}

static int resume_from(clipc_trainer *t, char *note, size_t note_size, clipc_err *err)
{
    checkpoint c = checkpoint_of(t);
    int rc = checkpoint_read(&c, t->checkpoints, err);

    if (rc == CLIPC_OK && t->near) rc = neighbours_check(t->near, t->checkpoints, err);

    if (rc != CLIPC_OK) return rc;
    t->step = (size_t)c.step;
    t->skipped = (size_t)c.skipped;
    t->best = c.best;
    t->broken_logged = min_size(c.broken.broken->n, BROKEN_TOLD);
    const bool same =
        strcmp(c.isa, t->e->k->name) == 0 && (size_t)c.threads == t->cfg.threads;
    snprintf(note, note_size, "; resumed at step %zu%s", t->step,
             same
                 ? ""
                 : " (warning: other instruction set or threads than before, so the bits "
                   "will differ)");
    return CLIPC_OK;
}

static int check_folder(const clipc_trainer *t, clipc_err *err)
{
    if (t->how == CLIPC_TRAIN_RESUME && !checkpoint_exists(t->checkpoints))
        return clipc_fail(err, CLIPC_ERR_IO, "%s: no checkpoint to go on from",
                          t->checkpoints);
    if (t->how == CLIPC_TRAIN_NEW &&
        (checkpoint_exists(t->checkpoints) || find_is_model_folder(t->out)))
        return clipc_fail(err, CLIPC_ERR_EXISTS,
                          "%s: holds a run or a model already; go on with --resume, "
                          "choose another --out, or --force replaces it",
                          t->out);
    return CLIPC_OK;
}

static int choose_folder(clipc_trainer *t, const char *out_dir, clipc_err *err)
{
    t->out = strdup(out_dir);
    t->checkpoints = path_join(out_dir, "checkpoints");
    return t->out && t->checkpoints ? check_folder(t, err)
                                    : clipc_fail_memory(err, out_dir, 0);
}

static neighbours_cfg near_cfg(const clipc_trainer *t)
{
    return (neighbours_cfg){.samples = dataset_count(t->data),
                            .E = t->cfg.model.image.embed_dim,
                            .batch = t->cfg.data.batch,
                            .candidates = t->cfg.hard_negatives};
}

static void choose_batch(void *user, const sampling *s, size_t *samples, size_t step)
{
    clipc_trainer *t = user;
    neighbours_batch(t->near, t->e, s, samples, step);
}

static int open_neighbours(clipc_trainer *t, clipc_err *err)
{
    const neighbours_cfg cfg = near_cfg(t);
    const int rc = neighbours_make(&t->near, NULL, &cfg, err);

    if (rc == CLIPC_OK) dataset_choose(t->data, choose_batch, t);
    t->pass_cfg.near = t->near;
    return rc;
}

/* What is learned beside the net: maps of features, at random as projections are. */
static void begin_maps(clipc_trainer *t)
{
    optimizer *o = &t->optimizer;
    rng r = rng_seed(t->cfg.seed, ((uint64_t)1 << 63) + 1);

    if (o->n_more)
        rng_fill_normal(&r, o->more, o->n_more, 0.0f, 1.0f / sqrtf((float)t->distill.E));
    t->pass_cfg.distill.maps = o->more;
    t->pass_cfg.distill.maps_grads = o->more_grads;
}

static int begin_classes(clipc_trainer *t, clipc_err *err)
{
    const int rc = classes_make(t->classes, NULL, teacher_dim(t->teacher), err);

    return rc == CLIPC_OK
               ? classes_ask(t->classes, &t->cfg.tokenizer, t->teacher, t->e, err)
               : rc;
}

/* What a run begins with, models and checkpoints, is read before what takes most memory
 * is there. */
static int begin(clipc_trainer *t, char *note, size_t note_size, clipc_err *err)
{
    const bool resume = t->how == CLIPC_TRAIN_RESUME;
    rng r = rng_seed(t->cfg.seed, (uint64_t)1 << 63);
    int rc = net_room(t->net, err);

    t->best = -1.0;
    if (rc == CLIPC_OK && !resume)
        rc = init_weights(t->net, &t->cfg.init, &t->cfg.logits, &r, t->e->k, err);
    if (rc == CLIPC_OK) rc = optimizer_room(&t->optimizer, &t->cfg, err);
    if (rc == CLIPC_OK) begin_maps(t);
    if (rc == CLIPC_OK && t->classes) rc = begin_classes(t, err);
    if (rc == CLIPC_OK && t->cfg.ema > 0.0f) rc = ema_make(&t->ema, t->net, err);
    if (rc == CLIPC_OK && t->cfg.hard_negatives) rc = open_neighbours(t, err);
    if (rc == CLIPC_OK && resume) rc = resume_from(t, note, note_size, err);
    else if (rc == CLIPC_OK && t->ema) ema_begin(t->ema, t->net);
    if (rc == CLIPC_OK)
        rc = pass_make(&t->pass, NULL, t->net, t->optimizer.grads, t->pass_cfg, err);
    if (rc == CLIPC_OK) rc = statistics_make(&t->before, t->net, err);
    return rc;
}

/* From here on the folder is this trainer's alone; only now what it holds is certain. */
static int take_folder(clipc_trainer *t, clipc_err *err)
{
    int rc = file_mkdirs(t->checkpoints, err);

    if (rc == CLIPC_OK) rc = run_lock_take(&t->lock, t->out, err);
    return rc == CLIPC_OK ? check_folder(t, err) : rc;
}

/* Features that locked towers made before, and a place for those that they will make. */
static int open_caches(clipc_trainer *t, clipc_err *err)
{
    const size_t B = t->pass_cfg.chunk;
    char *dir = t->cfg.cache_dir ? strdup(t->cfg.cache_dir) : path_join(t->out, "cache");
    int rc = dir ? CLIPC_OK : clipc_fail_memory(err, t->out, 0);

    if (rc == CLIPC_OK && t->cfg.cache_texts)
        rc = frozen_open(&t->texts, t->net, SIDE_TEXT, dir, 0, B, err);
    if (rc == CLIPC_OK && t->cfg.data.views) {
        rc = frozen_open(&t->pictures, t->net, SIDE_IMAGE, dir, t->cfg.views, B, err);
        if (rc == CLIPC_OK) dataset_skip(t->data, frozen_has, t->pictures);
    }
    t->pass.cfg.texts = t->texts;
    t->pass.cfg.pictures = t->pictures;
    free(dir);
    return rc;
}

/* What CLIPC_TRAIN_FORCE took away, and what it leaves of another model. */
static void note_replaced(const clipc_trainer *t, size_t removed, char *note, size_t size)
{
    char *card = path_join(t->out, "README.md");

    if (removed)
        snprintf(note, size, "; removed another run's log and %zu checkpoints", removed);
    else if (card && find_is_model_folder(t->out) && file_exists(card))
        snprintf(note, size, "; README.md in %.96s is of the model that was there",
                 t->out);
    free(card);
}

/* Only now that all else is open anything of a run that was there may go. */
static int open_log(clipc_trainer *t, char *note, size_t note_size, clipc_err *err)
{
    const bool resume = t->how == CLIPC_TRAIN_RESUME;
    const size_t removed = resume ? 0 : checkpoint_remove(t->checkpoints);
    int rc = run_log_open(&t->log, t->out, resume, t->step, err);

    if (rc == CLIPC_OK)
        rc = run_log_begin(&t->log, t->step, t->cfg.steps, t->cfg.data.batch, err);
    if (t->how == CLIPC_TRAIN_FORCE) note_replaced(t, removed, note, note_size);
    return rc;
}

/* Epochs in steps: the last one may take some samples of an epoch more. */
static void count_steps(clipc_trainer *t)
{
    const size_t pairs = t->cfg.epochs * dataset_count(t->data);

    if (pairs) t->cfg.steps = div_up(pairs, t->cfg.data.batch);
}

static int check_teacher(const clipc_trainer *t, clipc_err *err)
{
    const size_t E = t->cfg.model.image.embed_dim, own = teacher_dim(t->teacher);

    if (t->cfg.distill_kind != DISTILL_EMBEDDINGS || own == E) return CLIPC_OK;
    return clipc_fail(err, CLIPC_ERR_ARG,
                      "%s: embeddings of %zu numbers, the model's have %zu: distil by "
                      "logits or features",
                      t->cfg.distill, own, E);
}

static int open_teacher(clipc_trainer *t, clipc_err *err)
{
    const train_cfg *c = &t->cfg;
    const kernels *k = NULL;
    int rc = c->distill ? kernels_pick(&k, err) : CLIPC_OK;

    if (rc != CLIPC_OK || !c->distill) return rc;
    rc = teacher_open(&t->teacher, c->distill, c->data.batch, k, err);
    if (rc == CLIPC_OK) rc = check_teacher(t, err);
    if (rc == CLIPC_OK && c->distill_classes)
        rc = classes_open(&t->classes, c->distill_classes, &c->model, err);
    if (rc != CLIPC_OK) return rc;
    t->cfg.data.teacher = teacher_wants(t->teacher);
    t->distill = (distillation){.kind = c->distill_kind,
                                .weight = c->distill_weight,
                                .classes = t->classes ? classes_count(t->classes) : 0,
                                .E = c->model.image.embed_dim,
                                .teacher_E = teacher_dim(t->teacher)};
    return CLIPC_OK;
}

static size_t scratch(const clipc_trainer *t)
{
    return max_size(pass_scratch(t->net), t->teacher ? teacher_scratch(t->teacher) : 0);
}

/* Numbers that a picture is kept as. */
static size_t kept_width(const net *n)
{
    const size_t F = n->ops->parts ? n->ops->parts->width(n->image) : 0;
    return F ? F : n->cfg.image.embed_dim;
}

/* Everything without its memory. */
static int make_shapes(clipc_trainer *t, size_t *held_out, clipc_err *err)
{
    int rc = net_shape(&t->net, &t->cfg.model, TOWER_TRAIN, err);

    if (rc == CLIPC_OK) rc = open_teacher(t, err);
    if (rc == CLIPC_OK) rc = exec_new(&t->e, t->cfg.threads, scratch(t), err);
    if (rc == CLIPC_OK)
        rc = optimizer_shape(&t->optimizer, t->net, distill_maps(&t->distill), err);
    if (rc == CLIPC_OK && t->cfg.data.views) t->cfg.data.features = kept_width(t->net);
    if (rc == CLIPC_OK) rc = dataset_index(&t->data, &t->cfg.data, err);
    if (rc == CLIPC_OK) count_steps(t);
    if (rc == CLIPC_OK && t->cfg.val)
        rc = validation_open(&t->val, held_out, t->net, &t->cfg.data, t->cfg.val,
                             t->cfg.val_samples, err);
    return rc;
}

/* When a picture's views, or its first caption in all templates, are kept. */
static size_t cache_bytes(const clipc_trainer *t)
{
    const train_cfg *c = &t->cfg;
    const size_t B = c->data.batch, n = dataset_count(t->data);
    const size_t texts = n * max_size(1, c->data.n_templates);

    return (c->cache_texts ? frozen_bytes(t->net, SIDE_TEXT, B, texts) : 0) +
           (c->data.views ? frozen_bytes(t->net, SIDE_IMAGE, B, n * c->data.views) : 0);
}

/* What a teacher takes, its classes too; what of it the process has already is not the
 * program's. */
static int add_teacher(budget *b, const clipc_trainer *t, clipc_err *err)
{
    size_t taken, of_classes = 0;
    int rc = CLIPC_OK;

    if (!t->teacher) return CLIPC_OK;
    if (t->classes)
        rc = classes_make(t->classes, &of_classes, teacher_dim(t->teacher), err);
    b->teacher = teacher_bytes(t->teacher, &taken) + of_classes;
    b->program -= min_size(taken, b->program);
    return rc;
}

/* How the towers are passed, for memory's sake. */
static int choose_pass(clipc_trainer *t, size_t held_out, clipc_err *err)
{
    const train_cfg *c = &t->cfg;
    const size_t B = c->data.batch, weights = net_bytes(t->net);
    budget b = {.program = resident_bytes() + GEMM_PACK_FLOATS * sizeof(float),
                .weights = c->ema > 0.0f ? 2 * weights : weights,
                .gradients = net_bytes(t->optimizer.grads),
                .moments = optimizer_bytes(&t->optimizer),
                .batches = dataset_batch_bytes(t->data),
                .held_out = held_out,
                .caches = cache_bytes(t)};
    const neighbours_cfg near = near_cfg(t);
    int rc = c->hard_negatives ? neighbours_make(NULL, &b.near, &near, err) : CLIPC_OK;

    if (rc == CLIPC_OK) rc = add_teacher(&b, t, err);
    if (rc == CLIPC_OK)
        rc = eval_list_bytes(&b.evals, &c->evals, t->net, &c->tokenizer, c->threads, err);
    t->pass_cfg = (pass_cfg){.batch = B,
                             .chunk = c->chunk ? min_size(c->chunk, B) : B,
                             .recompute = c->recompute,
                             .objective = c->objective,
                             .teacher = t->teacher,
                             .distill = t->distill,
                             .classes = t->classes,
                             .seed = c->seed};
    if (rc == CLIPC_OK) rc = budget_fit(&b, &t->pass_cfg, t->net, c->max_memory, err);
    if (rc == CLIPC_OK) budget_print(t->memory, sizeof t->memory, &b, &t->pass_cfg);
    return rc;
}

int clipc_trainer_plan(clipc_trainer **out, const char *config_json, const char *where,
                       const char *out_dir, int how, clipc_err *err)
{
    clipc_trainer *t = calloc(1, sizeof *t);
    size_t held_out = 0;
    int rc;

    *out = NULL;
    if (!t) return clipc_fail_memory(err, "trainer", sizeof *t);
    t->lock = -1;
    t->how = how;
    rc = train_config_parse(&t->cfg, config_json, where, err);
    if (rc == CLIPC_OK) rc = choose_folder(t, out_dir, err);
    if (rc == CLIPC_OK) rc = make_shapes(t, &held_out, err);
    if (rc == CLIPC_OK) rc = choose_pass(t, held_out, err);
    if (rc == CLIPC_OK) *out = t;
    else clipc_trainer_free(t);
    return rc;
}

const char *clipc_trainer_memory(const clipc_trainer *t)
{
    return t->memory;
}

int clipc_trainer_start(clipc_trainer *t, clipc_err *err)
{
    char note[160] = "";
    int rc = take_folder(t, err);

    if (rc == CLIPC_OK) rc = begin(t, note, sizeof note, err);
    if (rc == CLIPC_OK) rc = open_caches(t, err);
    if (rc == CLIPC_OK) rc = dataset_start(t->data, t->step, err);
    if (rc == CLIPC_OK && t->val) rc = validation_read(t->val, err);
    if (rc == CLIPC_OK) rc = open_log(t, note, sizeof note, err);
    if (rc != CLIPC_OK) return rc;
    snprintf(t->summary, sizeof t->summary,
             "%.2f of %.2f M parameters learn, %zu pairs, batch %zu, %zu steps at a rate "
             "of %g, %s on %zu threads%s%.128s%s",
             (double)optimizer_learns(&t->optimizer) * 1e-6,
             (double)t->net->params.count * 1e-6, dataset_count(t->data),
             t->cfg.data.batch, t->cfg.steps, (double)t->cfg.lr, t->e->k->name,
             t->cfg.threads, t->cfg.init.model ? "; begins with " : "",
             t->cfg.init.model ? t->cfg.init.model : "", note);
    return CLIPC_OK;
}

int clipc_trainer_open(clipc_trainer **out, const char *config_json, const char *where,
                       const char *out_dir, int how, clipc_err *err)
{
    int rc = clipc_trainer_plan(out, config_json, where, out_dir, how, err);

    if (rc == CLIPC_OK) rc = clipc_trainer_start(*out, err);
    if (rc == CLIPC_OK) return rc;
    clipc_trainer_free(*out);
    *out = NULL;
    return rc;
}

const char *clipc_trainer_summary(const clipc_trainer *t)
{
    return t->summary;
}

const char *clipc_trainer_broken(const clipc_trainer *t, size_t i)
{
    const broken *b = dataset_broken(t->data);
    return i < b->n && i < BROKEN_TOLD ? b->first[i].msg : NULL;
}

/* Broken samples that the log does not have yet. */
static int log_broken(clipc_trainer *t, clipc_err *err)
{
    const char *why;
    int rc = CLIPC_OK;

    while (rc == CLIPC_OK && (why = clipc_trainer_broken(t, t->broken_logged))) {
        rc = run_log_broken(&t->log, t->step, why, err);
        t->broken_logged++;
    }
    return rc;
}

static void update(clipc_trainer *t, float lr, double norm)
{
    const size_t before = t->step - t->skipped;

    optimizer_step(&t->optimizer, t->e, &t->cfg, lr, norm, before);
    if (t->ema) ema_update(t->ema, t->e, t->net, t->cfg.ema, before);
}

/* As if the step had not been made. */
static void skip(clipc_trainer *t)
{
    statistics_restore(&t->before);
    t->skipped++;
}

int clipc_trainer_step(clipc_trainer *t, clipc_train_stats *stats, clipc_err *err)
{
    const double begin = clock_now();
    double waited, norm = NAN;
    const batch *b;
    int rc;

    optimizer_zero_grads(&t->optimizer, t->e);
    if ((rc = dataset_next(&b, t->data, &waited, err)) != CLIPC_OK) return rc;
    statistics_keep(&t->before);
    const double loss = (double)pass_run(&t->pass, t->e, b);
    if ((rc = frozen_error(t->texts, err)) != CLIPC_OK) return rc;
    if ((rc = frozen_error(t->pictures, err)) != CLIPC_OK) return rc;
    const float lr = schedule_lr(&t->cfg, t->step);
    if (isfinite(loss)) norm = optimizer_norm(&t->optimizer, t->e);
    if (isfinite(norm)) update(t, lr, norm);
    else skip(t);
    t->step++;

    const double seconds = clock_now() - begin;
    *stats = (clipc_train_stats){.step = t->step,
                                 .steps = t->cfg.steps,
                                 .loss = isfinite(norm) ? loss : NAN,
                                 .logit_scale = exp((double)*t->net->logit_scale),
                                 .lr = (double)lr,
                                 .grad_norm = norm,
                                 .images_per_second = (double)t->cfg.data.batch / seconds,
                                 .waited = waited / seconds,
                                 .skipped = t->skipped,
                                 .broken = dataset_broken(t->data)->n};
    if (t->skipped >= SKIPS_MAX)
        return clipc_fail(
            err, CLIPC_ERR_NUMBER,
            "step %zu: %zu steps had a loss that is no number; %s%s", t->step, t->skipped,
            checkpoint_exists(t->checkpoints) ? "the last good checkpoint is kept in "
                                              : "no checkpoint had been written to ",
            t->checkpoints);
    if ((rc = log_broken(t, err)) != CLIPC_OK) return rc;
    const bool logged =
        t->step <= LOG_ALL || t->step % t->cfg.log_every == 0 || t->step == t->cfg.steps;
    return logged ? run_log_step(&t->log, stats, err) : CLIPC_OK;
}

size_t clipc_trainer_steps(const clipc_trainer *t)
{
    return t->step;
}

int clipc_trainer_done(const clipc_trainer *t)
{
    return t->step >= t->cfg.steps;
}

int clipc_trainer_wants_save(const clipc_trainer *t)
{
    return t->step % t->cfg.save_every == 0 || t->step >= t->cfg.steps;
}

int clipc_trainer_wants_val(const clipc_trainer *t)
{
    return t->val && t->log.val_step != t->step &&
           (t->step % t->cfg.val_every == 0 || t->step >= t->cfg.steps);
}

/* As a model in a folder inside --out; NULL: in that itself. */
static int save_model(const clipc_trainer *t, const net *n, const char *inner,
                      clipc_err *err)
{
    char *folder = inner ? path_join(t->out, inner) : t->out;
    const int rc =
        folder ? net_save(n, folder, t->cfg.precision, &t->cfg.token_files, t->e->k, err)
               : clipc_fail_memory(err, t->out, 0);

    if (inner) free(folder);
    return rc;
}

int clipc_trainer_save(clipc_trainer *t, clipc_err *err)
{
    const checkpoint c = checkpoint_of(t);
    int rc = log_broken(t, err); /* what it counts will not be told again */

    if (rc == CLIPC_OK)
        rc = checkpoint_write(&c, t->checkpoints, t->cfg.keep, t->e->k, err);

    if (rc == CLIPC_OK) rc = save_model(t, t->net, NULL, err);
    if (rc == CLIPC_OK && t->ema) rc = save_model(t, t->ema, "ema", err);
    return rc;
}

int clipc_trainer_validate(clipc_trainer *t, clipc_val_stats *stats, clipc_err *err)
{
    clipc_val_stats own;
    int rc;

    if (!t->val)
        return clipc_fail(err, CLIPC_ERR_FEATURE,
                          "no held-out data: the config names no \"val\"");
    validation_run(t->val, t->e, t->net, &own);
    if (t->ema) validation_run(t->val, t->e, t->ema, stats);
    else *stats = own;
    stats->averaged = t->ema != NULL;
    rc = run_log_val(&t->log, t->step, &own, t->ema ? stats : NULL, err);
    if (rc != CLIPC_OK) return rc;
    if (stats->top1 <= t->best + 1e-8) return CLIPC_OK; /* as checkpoints round it */
    rc = save_model(t, t->ema ? t->ema : t->net, "best", err);
    if (rc == CLIPC_OK) t->best = stats->top1;
    return rc;
}

int clipc_trainer_wants_eval(const clipc_trainer *t)
{
    return t->cfg.evals.n && t->log.eval_step != t->step &&
           (t->step % t->cfg.eval_every == 0 || t->step >= t->cfg.steps);
}

int clipc_trainer_evaluate(clipc_trainer *t, clipc_trainer_on_eval *on_result, void *user,
                           clipc_err *err)
{
    return eval_list_run(&t->cfg.evals, t->net, &t->cfg.tokenizer, t->cfg.threads,
                         &t->log, t->step, on_result, user, err);
}
