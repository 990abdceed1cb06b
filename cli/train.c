#define _GNU_SOURCE
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/opts.h"
#include "cli/cli.h"
#include "cli/run_config.h"
#include "clipc_train.h"

enum { LINE_STEPS = 100 };

static const opt table[] = {
    {"config", 'c', "FILE", "JSON config; see clipc_train.h or the manual for its keys"},
    {"data", 'd', "PATH", "shards, a table, a folder: see the manual"},
    {"val", 0, "PATH", "held-out data of the same kind, for validation"},
    {"init", 'i', "MODEL", "begin with a model's weights; the rate is then 1e-5"},
    {"image-size", 0, "N", "with --init: other pictures, positions interpolated"},
    {"context-length", 0, "N", "with --init: other texts, likewise"},
    {"new-head", 0, "WHICH", "with --init: new projection of image, text or both"},
    {"embed-dim", 0, "N", "with --new-head both: to so many numbers"},
    {"lock-image", 0, NULL, "with --init: the image tower does not learn"},
    {"lock-image-unlocked-groups", 0, "N", "but for its last N groups of layers"},
    {"lock-image-freeze-bn-stats", 0, NULL, "nor do its running statistics move"},
    {"lock-text", 0, NULL, "with --init: the text tower does not learn"},
    {"lock-text-unlocked-layers", 0, "N", "but for its last N groups of layers"},
    {"cache-texts", 0, NULL, "with --lock-text: each text is computed once"},
    {"cache-features", 0, "N", "with --lock-image: N views of each picture, once"},
    {"cache-dir", 0, "FOLDER", "where these are kept (OUT/cache)"},
    {"distill", 0, "MODEL", "learn from a model too, by what it makes of each batch"},
    {"distill-loss", 0, "KIND",
     "by its logits, embeddings, features or classes (logits)"},
    {"distill-classes", 0, "FILE",
     "those classes, one a line or as in a JSON file of eval"},
    {"distill-weight", 0, "X", "of that beside the contrastive loss (1)"},
    TABLE_OPTS,
    {"dictionary", 0, "FILE", "say captions otherwise at times: see the manual"},
    {"tokenizer", 0, "FOLDER", "vocabulary of clipc vocab train (OpenAI's)"},
    {"out", 'o', "FOLDER", "where model, checkpoints and log go"},
    {"resume", 0, NULL, "go on from the newest checkpoint in --out"},
    {"force", 0, NULL, "remove the checkpoints and the log of another run in --out"},
    {"eval", 0, "SET", "what clipc eval takes, measured every eval_every steps (1000)"},
    {"batch-size", 'b', "N", "pairs a batch (256)"},
    {"steps", 'n', "N", "optimizer steps (2000)"},
    {"epochs", 0, "N", "instead of --steps: every sample once in each"},
    {"lr", 0, "X", "highest learning rate (0.001, with --init 1e-5)"},
    {"lr-image", 0, "X", "the image tower's own"},
    {"lr-text", 0, "X", "the text tower's own"},
    {"layer-decay", 0, "X",
     "of the rate, from each group of layers to the one below (1)"},
    {"wd", 0, "X", "weight decay (0.2)"},
    {"ema", 0, "X", "decay of a moving average of the weights, in OUT/ema (none)"},
    {"warmup", 0, "N", "steps of linear warm-up (200)"},
    {"seed", 0, "N", "seed of weights, order and augmentation (1)"},
    {"threads", 0, "N", "compute threads (all it may use)"},
    {"max-memory", 0, "SIZE", "e.g. 4G: choose chunks of the batch so that it fits"},
    {"dry-run", 0, NULL, "only say how much memory it would take"},
    {"quiet", 'q', NULL, "no progress: only evaluations, what is broken, and the end"},
    {"set", 0, "KEY=JSON", "any key of the config, e.g. --set chunk=64"},
};

static const opts_usage usage = {
    "train", "--data PATH --out FOLDER [options]",
    "Trains a CLIP on pairs of pictures and captions, from random weights or, with "
    "--init,\n"
    "from a model's. Ctrl-C saves; the same command with --resume goes on.",
    "  clipc train --data shards/ --out model/\n"
    "  clipc train --init ViT-B-32.pt --data pictures/ --out tuned/\n"
    "  clipc train --config recipes/drawings/train.json --data data/drawings --out run/\n"
    "  clipc train --config train.json --out run/ --resume\n"
    "  clipc train status run/\n"
    "  clipc train plot run/ -o curve.svg\n"};

typedef struct settings {
    const char *config, *out;
    int start; /* CLIPC_TRAIN_* */
    bool dry_run, quiet;
    json_t *given; /* options that override the config */
    clipc_err err;
} settings;

/* A number as people write it, which JSON wants to begin with a digit: ".9". */
static json_t *short_number(const char *value)
{
    char *end;
    const double x = strtod(value, &end);

    return value[0] == '.' && !*end && isfinite(x) ? json_real(x) : NULL;
}

static int set_text(settings *s, const char *key, const char *value)
{
    if (json_object_set_new(s->given, key, json_string(value)) == 0) return 0;
    fprintf(stderr, "clipc train: %s: no UTF-8\n", key);
    return EXIT_USAGE;
}

/* Option values are JSON where they parse as such, else strings; true without one. */
static int set_key(settings *s, const char *key, const char *value)
{
    json_t *v = value ? json_loads(value, JSON_DECODE_ANY, NULL) : json_true();

    if (!v) v = short_number(value);
    if (!v) return set_text(s, key, value);
    return json_object_set_new(s->given, key, v) ? EXIT_USAGE : 0;
}

static int set_start(settings *s, int start)
{
    if (s->start != CLIPC_TRAIN_NEW && s->start != start)
        return cli_usage("train", "--resume goes on with a run, --force removes it");
    s->start = start;
    return 0;
}

static int set_pair(settings *s, const char *value)
{
    const char *eq = strchr(value, '=');
    char key[64];

    if (!eq || eq == value || (size_t)(eq - value) >= sizeof key)
        return cli_usage("train", "--set wants KEY=JSON");
    memcpy(key, value, (size_t)(eq - value));
    key[eq - value] = '\0';
    return set_key(s, key, eq + 1);
}

/* Is an option's value a text, whatever it looks like?  Numbers are called so. */
static bool is_text(const char *name)
{
    const opt *o = table;

    while (strcmp(o->name, name) != 0) o++;
    return o->arg && strcmp(o->arg, "N") != 0 && strcmp(o->arg, "X") != 0 &&
           strcmp(o->arg, "SIZE") != 0;
}

static int on_option(void *user, const char *name, const char *value)
{
    settings *s = user;
    char key[32];

    if (strcmp(name, "config") == 0) return s->config = value, 0;
    if (strcmp(name, "out") == 0) return s->out = value, 0;
    if (strcmp(name, "resume") == 0) return set_start(s, CLIPC_TRAIN_RESUME);
    if (strcmp(name, "force") == 0) return set_start(s, CLIPC_TRAIN_FORCE);
    if (strcmp(name, "dry-run") == 0) return s->dry_run = true, 0;
    if (strcmp(name, "quiet") == 0) return s->quiet = true, 0;
    if (strcmp(name, "set") == 0) return set_pair(s, value);
    if (strcmp(name, "wd") == 0) return set_key(s, "weight_decay", value);
    snprintf(key, sizeof key, "%s", name);
    for (char *p = key; *p; p++)
        if (*p == '-') *p = '_';
    return (is_text(name) ? set_text : set_key)(s, key, value);
}

/* A run under way, as its user follows it. */
typedef struct watched {
    clipc_trainer *t;
    const settings *s;
    clipc_train_stats stats; /* of the last step */
    double begin;
    size_t steps, saved; /* made; at which the last was saved */
    size_t broken;       /* samples shown */
    size_t failed;       /* evaluations, */
    size_t failed_step;  /* and the last of them */
    clipc_err failure;
} watched;

/* Before a line that stays: the one that shows progress goes. */
static const char *clean_line(void)
{
    return isatty(STDERR_FILENO) ? "\r\033[K" : "";
}

/* Where nobody sees a line move, a line now and then. */
static void show_step(const watched *w)
{
    const clipc_train_stats *s = &w->stats;
    const double per_step = (clock_now() - w->begin) / (double)w->steps;
    const double left = (double)(s->steps - s->step) * per_step;
    const bool moves = isatty(STDERR_FILENO);

    if (w->s->quiet ||
        (!moves && s->step % LINE_STEPS && !clipc_trainer_wants_save(w->t)))
        return;
    fprintf(stderr,
            "%sstep %zu/%zu  loss %.4f  scale %.2f  %.0f images/s  %.0f%% waiting  %.0f "
            "min left%s",
            moves ? "\r" : "", s->step, s->steps, s->loss, s->logit_scale,
            s->images_per_second, 100.0 * s->waited, left / 60.0,
            moves ? " \033[K" : "\n");
}

static int validate(watched *w, clipc_err *err)
{
    clipc_val_stats v;
    const int rc = clipc_trainer_validate(w->t, &v, err);

    if (rc != CLIPC_OK) return rc;
    fprintf(stderr, "%sstep %zu: ", clean_line(), clipc_trainer_steps(w->t));
    if (w->steps) fprintf(stderr, "loss %.4f; ", w->stats.loss);
    fprintf(stderr,
            "held out%s: %zu pictures among %zu captions, top-1 %.2f %%, top-5 %.2f %%, "
            "text to image R@1 %.2f %%\n",
            v.averaged ? ", by the moving average" : "", v.pictures, v.captions,
            100 * v.top1, 100 * v.top5, 100 * v.text_to_image[0]);
    return CLIPC_OK;
}

static void show_eval(void *user, const clipc_eval_result *r, const clipc_err *why)
{
    watched *w = user;
    const size_t step = clipc_trainer_steps(w->t);

    fprintf(stderr, "%sstep %zu: ", clean_line(), step);
    if (r) {
        eval_print(stderr, r);
        return;
    }
    fprintf(stderr, "%s\n", why->msg);
    w->failed++;
    w->failed_step = step;
    w->failure = *why;
}

/* The broken samples that were not shown yet. */
static void show_broken(watched *w)
{
    for (const char *why; (why = clipc_trainer_broken(w->t, w->broken)); w->broken++)
        fprintf(stderr, "%sbroken sample: %s\n", clean_line(), why);
}

static int save(watched *w, clipc_err *err)
{
    w->saved = clipc_trainer_steps(w->t);
    return clipc_trainer_save(w->t, err);
}

/* What is due at this step; of a run that goes on, what a signal kept from being done. */
static int attend(watched *w, clipc_err *err)
{
    const bool late = !w->steps, val = clipc_trainer_wants_val(w->t);
    int rc = CLIPC_OK;

    if (val && !cli_interrupted()) rc = validate(w, err);
    if (rc == CLIPC_OK && (late ? val : clipc_trainer_wants_save(w->t)))
        rc = save(w, err);
    if (rc == CLIPC_OK && clipc_trainer_wants_eval(w->t) && !cli_interrupted())
        rc = clipc_trainer_evaluate(w->t, show_eval, w, err);
    return rc;
}

static void show_end(const watched *w, int rc)
{
    const size_t step = clipc_trainer_steps(w->t);

    fprintf(stderr, "%s", clean_line());
    if (clipc_trainer_done(w->t)) fprintf(stderr, "done: %s\n", w->s->out);
    else if (!step) fprintf(stderr, "no step was made, so there is nothing to resume\n");
    else
        fprintf(stderr,
                "saved at step %zu; go on with: clipc train --out %s --resume%s\n", step,
                w->s->out, rc == CLIPC_OK ? "" : " --set max_broken=N");
}

/* Too many broken samples end a run, but nothing is wrong with what it learned. */
static int end(watched *w, int rc, clipc_err *err)
{
    if (rc != CLIPC_OK && rc != CLIPC_ERR_LIMIT) return rc;
    if (w->steps && w->saved != clipc_trainer_steps(w->t)) {
        const int saved = save(w, err);
        if (saved != CLIPC_OK) return saved;
    }
    show_end(w, rc);
    return rc;
}

static int run(watched *w, clipc_err *err)
{
    int rc = attend(w, err);

    w->begin = clock_now();
    while (rc == CLIPC_OK && !clipc_trainer_done(w->t) && !cli_interrupted()) {
        show_broken(w);
        rc = clipc_trainer_step(w->t, &w->stats, err);
        if (rc != CLIPC_OK) break;
        w->steps++;
        show_step(w);
        rc = attend(w, err);
    }
    show_broken(w);
    return end(w, rc, err);
}

/* How a run ended: an exit code. */
static int finish(const watched *w)
{
    const int code = cli_interrupted() ? EXIT_STOPPED : EXIT_DONE;

    if (!w->failed) return code;
    fprintf(stderr, "clipc: %zu evaluation%s failed, the last at step %zu: %s\n",
            w->failed, w->failed == 1 ? "" : "s", w->failed_step, w->failure.msg);
    return code == EXIT_DONE ? EXIT_SOME : code;
}

/* What is only planned writes nothing, whatever --out holds. */
static int plan(clipc_trainer **t, char **json, const settings *s, const char *own,
                clipc_err *err)
{
    const bool resume = s->start == CLIPC_TRAIN_RESUME;
    const char *path = s->config ? s->config : resume ? own : NULL;
    const int how =
        s->dry_run && s->start == CLIPC_TRAIN_NEW ? CLIPC_TRAIN_FORCE : s->start;
    int rc = run_config_make(json, path, resume ? own : NULL, s->given, err);

    if (rc == CLIPC_OK)
        rc = clipc_trainer_plan(t, *json, path ? path : "options", s->out, how, err);
    if (rc == CLIPC_OK) fprintf(stderr, "%s\n", clipc_trainer_memory(*t));
    return rc;
}

/* Returns an exit code. */
static int train(settings *s)
{
    char *json = NULL, *own = path_join(s->out, "train.json");
    watched w = {.s = s};
    int code = EXIT_DONE, rc = own ? plan(&w.t, &json, s, own, &s->err)
                                   : clipc_fail_memory(&s->err, s->out, 0);

    if (rc != CLIPC_OK || s->dry_run) goto done;
    rc = clipc_trainer_start(w.t, &s->err);
    if (rc == CLIPC_OK) rc = file_replace(own, json, strlen(json), &s->err);
    if (rc == CLIPC_OK) {
        cli_catch_interrupts();
        fprintf(stderr, "%s\n", clipc_trainer_summary(w.t));
        rc = run(&w, &s->err);
        code = finish(&w);
    }
done:
    clipc_trainer_free(w.t);
    free(json);
    free(own);
    return rc == CLIPC_OK ? code : cli_fail(&s->err);
}

static int train_run(int argc, char **argv)
{
    settings s = {.given = json_object()};
    const int at = opts_parse(argc, argv, table, sizeof table / sizeof table[0], &usage,
                              on_option, &s);
    int rc;

    if (at < 0) rc = cli_options_exit(at);
    else if (at < argc) rc = cli_usage("train", "takes no operands: give --data");
    else if (!s.out) rc = cli_usage("train", "--out is missing");
    else rc = train(&s);
    json_decref(s.given);
    return rc;
}

int cmd_train(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "status") == 0)
        return train_status(argc - 1, argv + 1);
    if (argc > 1 && strcmp(argv[1], "plot") == 0) return train_plot(argc - 1, argv + 1);
    return train_run(argc, argv);
}
