/* clipc_train.h -- training a CLIP: a trainer is opened from a JSON config, then stepped
 * by the caller, who decides when to save, to validate, to show progress and to stop.
 *
 *     clipc_trainer *t = NULL;
 *     clipc_train_stats s;
 *     if (clipc_trainer_open(&t, json, "train.json", "model/", 0, &err)) die(err.msg);
 *     while (!clipc_trainer_done(t) && !clipc_trainer_step(t, &s, &err)) ...;
 *     clipc_trainer_save(t, &err);
 *
 * The objective is CLIP's symmetric contrastive loss (arXiv:2103.00020); AdamW, linear
 * warm-up, cosine to zero.  Same config, same seed, same number of threads, same
 * instruction set: same bits, also across save and resume.
 *
 * Config keys, all optional but data.  What a run learns and from what:
 *
 *   model            open_clip's model_cfg (vision_cfg, text_cfg, embed_dim, quick_gelu);
 *                    default: a small ViT at 64 pixels
 *   preprocess_cfg   open_clip's: mean, std, interpolation
 *   tokenizer        a folder with vocab.json and merges.txt (clipc_vocab_train), whose
 *                    files the model keeps; default: OpenAI's.  A model has as many rows
 *                    unless text_cfg names a vocab_size
 *   init             instead of model and tokenizer: a model as clipc_model_open takes
 *                    it, whose weights, config and tokenizer the run begins with; lr is
 *                    then 1e-5.  Towers that are not OpenAI's ViT, ResNet or text run but
 *                    do not learn: lock them
 *   image_size, context_length
 *                    with init: pictures, texts of another size; positions are
 *                    interpolated as open_clip does
 *   new_head         with init: "image", "text" or "both": a projection drawn anew; with
 *                    both, embed_dim may be another
 *   lock_image, lock_text
 *                    false: with init, a tower that does not learn; it costs neither
 *                    gradients nor moments, and where its first groups are locked,
 *                    backward ends above them
 *   lock_image_unlocked_groups, lock_text_unlocked_layers
 *                    0: as open_clip's: the last so many groups of a locked ViT or text
 *                    learn: the projection, the last block with its norm, the blocks in
 *                    front of it, the embedding; of a model of clipc_assemble 1 is what
 *                    stands behind its towers, and nothing else of it learns
 *   lock_image_freeze_bn_stats
 *                    false: running statistics of a locked ResNet do not move either
 *   cache_texts      false: with all of the text tower locked: the features of a text (a
 *                    caption in a template) are computed once and kept in a mapped file
 *   cache_features   0: with all of the image tower locked: so many views of each picture
 *                    instead of ever new ones, whose features are kept likewise.  A
 *                    picture is known by its file's name, its place and its size.  Of a
 *                    model of clipc_assemble both keep what is in front of what learns.
 *                    With it, "data" may be ready features too: an .npy of float32 rows
 *                    with a .txt beside it, a line of captions, tabs between, for each
 *   cache_dir        out_dir/cache: where; other runs may go on with it, one at a time
 *   distill          a model to learn from, the teacher, of any kind that opens; it sees
 *                    the same texts, by its own tokenizer, and the same views, drawn
 *                    again at its own size, but for erased parts
 *   distill_loss     "logits": its probabilities of the batch's texts for each picture,
 *                    and of its pictures for each text, are targets (open_clip's
 *                    DistillClipLoss); "embeddings": its directions, where they have as
 *                    many numbers; "features": what linear maps, which learn at 1e-3 or
 *                    lr, the higher, make of the student's directions is to be its
 *                    (CLIP-KD's FD, arXiv:2307.12732); "classes": its probabilities of
 *                    classes for each picture.  distill_weight 1, beside the contrastive
 *                    loss
 *   distill_classes  with "classes": a file, JSON with "classes" and "templates" as for
 *                    clipc_eval, or a class a line; without templates the model's.  A
 *                    text tower that is not locked learns from them too
 *   data             a path, or a list of paths or {"path", "weight"}.  A path is a tar
 *                    shard, a table (.csv, .tsv), a list (.txt, .list: a path a line,
 *                    relative to the list), a folder of shards or tables, of pictures
 *                    with .txt or .json captions beside them, or of classes: subfolders
 *                    that are named as what the pictures in them show; or many of these
 *                    by a pattern, "train/{000..127}.tar"
 *   csv_img_key      "filepath": the column of a table's paths, which are relative to
 *                    the table or, if the first is not there, to where we are
 *   csv_caption_key  "title"
 *   csv_separator    a tab if the header has one, else a comma
 *   data_dir         what relative paths in data, val and order are relative to
 *   val              a path like those in data: held out, for validation
 *   order            a file with a sample's index a line, from 0: pair k of batch b is
 *                    that of line b * batch_size + k, and behind the last line it begins
 *                    again; default: pairs at random
 *   templates        list of "... {} ...": how captions become texts; also saved as the
 *                    model's own templates, in place of those of init
 *   alternative      .25: chance of drawing another than a picture's first caption
 *   dictionary       a file by which captions are said otherwise at times: a word or
 *                    phrase, a tab, a text that means the same, a line each.  Such
 *                    synonyms take each other's place wherever a caption has one; a line
 *                    with another tab and "gloss" explains a word, and its text stands
 *                    alone for a caption that is just that word.  Of a caption one word
 *                    is drawn, of that one text.  Captions are equal, for the loss, if
 *                    they were so before
 *   dictionary_prob  .25: chance of doing so
 *   augment          how pictures vary, each view drawn anew.
 *                    Those with alpha: "ground" [.45, .15, .30, .10], chances of white, a
 *                    grey, a colour, black under them; "rotate" 12 degrees; "scale" [.7,
 *                    1.35]; "shift" .1 of the side; where "tint" of their JSON is true a
 *                    colour that stands out from the ground.
 *                    Others: "crop" [.9, 1] of the area, "ratio" [3/4, 4/3] of its sides.
 *                    All: "flip" .5, "grey" .15: chances; "color_jitter" [0, 0, 0, 0],
 *                    how far brightness, contrast, saturation and hue may go, and
 *                    "color_jitter_prob" 1, exact to torchvision's ColorJitter; "blur" 0,
 *                    a chance, and "blur_sigma" [.1, 2] pixels; "re_prob" 0, the chance
 *                    of up to "re_count" 1 rectangles of noise, as timm's RandomErasing
 *   max_megapixels   256: larger pictures count as broken
 *   max_broken       .1: more samples that cannot be used end the run; 1 or more: so many
 *
 * How:
 *
 *   batch_size       256 pairs
 *   steps            2000; warmup 200 of them
 *   epochs           instead of steps: so many times the number of samples
 *   shuffle          true with epochs, else false: by epochs instead of by draws with
 *                    replacement, that is each sample once in an epoch, in an order that
 *                    the seed and the epoch's number give, over all shards.  Nothing is
 *                    buffered, and a run resumed anywhere goes on there.  With weights
 *                    every source has its share of an epoch, and its samples come equally
 *                    often
 *   hard_negatives   0; with epochs or shuffle: of so many batches at a time, up to 1024,
 *                    samples share one whose pictures were near to each other when they
 *                    were last seen, found by an exact scan; 2 or more, the more the
 *                    harder.  Takes 2 * embed_dim bytes a sample, in checkpoints too
 *   lr               1e-3; beta1 .9, beta2 .98, eps 1e-6, weight_decay .2
 *   lr_image, lr_text
 *                    lr: of each tower; the temperature has lr itself
 *   layer_decay      1: of the rate, from each group of layers (those of the locks; of a
 *                    ResNet the stem, each bottleneck, the pool) to the one below; the
 *                    projection has the whole rate
 *   ema              0: decay of a moving average of the weights (.999), which is kept
 *                    beside the model in out_dir/ema; in the beginning it is less.
 *                    Validation is of it too, and out_dir/best is chosen by it
 *   grad_clip        1: highest norm of the gradients, 0: any
 *   logit_scale_max  100; the least is 1
 *   loss             "softmax", CLIP's, or "sigmoid", SigLIP's (arXiv:2303.15343): the
 *                    model gets a bias, and each pair a probability of its own.  Scale
 *                    and bias begin as in open_clip, at 1 / .07, or 10 and -10, unless
 *                    model says init_logit_scale, init_logit_bias; with init they are the
 *                    model's, but begin so where it lacks the bias
 *   label_smoothing  0, as torch's cross_entropy has it; with softmax alone
 *   equal_captions   "mask": pairs of a batch whose captions are the same, or whose JSON
 *                    has the same "class", are left out of the loss; "negatives": they
 *                    count as wrong, as in open_clip; "positives": as right, in softmax
 *                    with equal shares
 *   seed             1
 *   threads          0: all that the process may use (its affinity mask, its control
 *                    group's limit)
 *   workers          2 threads that decode pictures
 *
 * In how much memory:
 *
 *   max_memory       bytes, or a string, "4G", of powers of 1024: recompute and chunk
 *                    become what fits; a run that cannot fit does not begin.  0: any
 *   recompute        true: of a block's activations only the input is kept and the rest
 *                    computed again on the way back, with the same bits
 *   chunk            pairs that pass the towers at a time, 0: the batch.  The loss and
 * its gradient are those of the batch all the same, for which all but one chunk pass
 * twice.  But batch norm (ResNets) takes its statistics of a chunk, each of which moves
 * the running ones once
 *
 * What is kept:
 *
 *   log_every        10; the first 200 steps are all logged, and the first 10 broken
 *                    samples
 *   save_every       500; keep 3 checkpoints
 *   val_every        500; val_samples 2000
 *   eval             a path, or a list of paths, of what clipc_eval takes; relative to
 *                    data_dir
 *   eval_every       1000
 *   precision        "f16" of the saved model, or "f32", "bf16" */
#ifndef CLIPC_TRAIN_H
#define CLIPC_TRAIN_H

#include "clipc.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct clipc_trainer clipc_trainer;

typedef struct clipc_train_stats {
    size_t step, steps;       /* done; planned */
    double loss;              /* nats; NaN if the step was skipped */
    double logit_scale;       /* exp of the parameter */
    double lr, grad_norm;     /* before clipping */
    double images_per_second; /* of this step */
    double waited;            /* part of this step's time spent waiting for data, 0..1 */
    size_t skipped;           /* steps with a loss or gradient that was no number */
    size_t broken;            /* different samples that are no good, as far as is known */
} clipc_train_stats;

/* Pictures against captions of the held-out data. */
typedef struct clipc_val_stats {
    size_t pictures, captions; /* captions: distinct ones, the candidates */
    double top1, top5;         /* a picture's own caption among the best; parts of 1 */
    double image_to_text[3], text_to_image[3]; /* R@1, R@5, R@10 */
    int averaged; /* nonzero: of the moving average of the weights */
} clipc_val_stats;

/* What to do with a run, or a model, that out_dir holds already. */
enum {
    CLIPC_TRAIN_NEW,    /* refuse: CLIPC_ERR_EXISTS */
    CLIPC_TRAIN_RESUME, /* go on from its newest checkpoint */
    CLIPC_TRAIN_FORCE   /* once all else is open, remove its checkpoints and its log; the
                           model in out_dir is replaced at the first save */
};

/* Indexes the data and finds how much memory the run takes, without taking it.  `where`
 * names the config in messages. */
CLIPC_API int clipc_trainer_plan(clipc_trainer **out, const char *config_json,
                                 const char *where, const char *out_dir, int start,
                                 clipc_err *err);

/* A line on that memory, by what it is for; features of an evaluation's pictures come on
 * top.  Lives as
 * long as the trainer. */
CLIPC_API const char *clipc_trainer_memory(const clipc_trainer *t);

/* Makes the towers and, with CLIPC_TRAIN_RESUME, continues from the newest complete
 * checkpoint in out_dir/checkpoints.  A folder in which another process trains is refused
 * (CLIPC_ERR_EXISTS).  After a failure the trainer can only be freed. */
CLIPC_API int clipc_trainer_start(clipc_trainer *t, clipc_err *err);

/* Both. */
CLIPC_API int clipc_trainer_open(clipc_trainer **out, const char *config_json,
                                 const char *where, const char *out_dir, int start,
                                 clipc_err *err);
CLIPC_API void clipc_trainer_free(clipc_trainer *t);

/* A line on what was started: parameters, data; on resume a warning if the
 * instruction set or the threads differ.  Lives as long as the trainer. */
CLIPC_API const char *clipc_trainer_summary(const clipc_trainer *t);

/* What is wrong with the i-th broken sample, its name and the reason; NULL where there
 * are not as many, and beyond the tenth. */
CLIPC_API const char *clipc_trainer_broken(const clipc_trainer *t, size_t i);

/* One optimizer step.  Where the loss or a gradient is not finite nothing moves, running
 * statistics neither, and it counts as skipped; the tenth ends with CLIPC_ERR_NUMBER,
 * checkpoints untouched.  With more broken samples than the config allows it is
 * CLIPC_ERR_LIMIT and was not begun: what there is can be saved.  Appends to
 * out_dir/log.jsonl. */
CLIPC_API int clipc_trainer_step(clipc_trainer *t, clipc_train_stats *stats,
                                 clipc_err *err);

/* Steps made, of those before a resumption too. */
CLIPC_API size_t clipc_trainer_steps(const clipc_trainer *t);

/* Nonzero when all steps are made: there is none to go on with. */
CLIPC_API int clipc_trainer_done(const clipc_trainer *t);

/* Nonzero when the config's save_every or val_every (or the last step) says so; of
 * validation, which the log remembers, only until it is done. */
CLIPC_API int clipc_trainer_wants_save(const clipc_trainer *t);
CLIPC_API int clipc_trainer_wants_val(const clipc_trainer *t);

/* Writes a checkpoint (the last `keep` stay) and the model as it is into out_dir. */
CLIPC_API int clipc_trainer_save(clipc_trainer *t, clipc_err *err);

/* On the held-out data; CLIPC_ERR_FEATURE if the config names none.  The best model so
 * far is also written to out_dir/best.  With "ema" both the weights and their average are
 * logged; *stats and the best are the average's. */
CLIPC_API int clipc_trainer_validate(clipc_trainer *t, clipc_val_stats *stats,
                                     clipc_err *err);

/* Runs the config's evaluations on the weights as they are now; eval_every (or the last
 * step) asks for it, likewise until it is done.  on_result hears of each: r, or why it
 * failed, which does not end the others. */
CLIPC_API int clipc_trainer_wants_eval(const clipc_trainer *t);
typedef void clipc_trainer_on_eval(void *user, const clipc_eval_result *r,
                                   const clipc_err *why);
CLIPC_API int clipc_trainer_evaluate(clipc_trainer *t, clipc_trainer_on_eval *on_result,
                                     void *user, clipc_err *err);

/* ---- watching runs ---- */

enum { CLIPC_TRAIN_EVALS = 16 };

/* Of a run, by its log. */
typedef struct clipc_train_state {
    long process;              /* that trains in the folder now; 0: none */
    size_t step, steps, batch; /* last logged; planned; pairs a step; 0: not known */
    double loss, lr;           /* nats, NaN if it was none; of the last logged step */
    double images_per_second;  /* mean of the last twenty logged steps */
    double seconds_left;       /* at that rate, validation and saving left out; below 0:
                                  not known */
    size_t skipped, broken;    /* steps; samples */
    size_t val_step;           /* of the last validation; 0: there was none */
    clipc_val_stats val;       /* without its counts */
    size_t eval_step, n_evals; /* of the last evaluations; 0: there were none */
    clipc_eval_result evals[CLIPC_TRAIN_EVALS];
    size_t checkpoints, checkpoint_bytes, checkpoint_step; /* how many, size, newest */
} clipc_train_state;

CLIPC_API int clipc_train_status(clipc_train_state *out, const char *folder,
                                 clipc_err *err);

/* Loss, validation, evaluations and learning rate of n runs as one SVG picture; the text
 * is malloc'd and the caller's to free. */
CLIPC_API int clipc_train_plot(char **svg, const char *const *folders, size_t n,
                               clipc_err *err);

/* ---- vocabularies ----
 *
 * A vocabulary of byte pairs learned from captions, for "tokenizer" of a config: the
 * words that transformers' CLIPTokenizer makes of them, the merges that the trainer of
 * Hugging Face's tokenizers learns of those. */

typedef struct clipc_vocab_options {
    size_t size;          /* tokens, 514 (bytes, start, end) to 49408 */
    size_t min_frequency; /* pairs that occur less often become no tokens; 1 or more */
    int overwrite;        /* 0: CLIPC_ERR_EXISTS where the folder has a tokenizer */
    /* "reading", bytes of the files (total 0: not known), then "learning", tokens; NULL
     * allowed.  Nonzero ends it with CLIPC_ERR_STOPPED, nothing written. */
    int (*on_progress)(void *user, const char *doing, size_t done, size_t total);
    void *user;
} clipc_vocab_options;

typedef struct clipc_vocab_stats {
    size_t captions, words, different; /* words, and how many different ones */
    size_t size;                       /* tokens; fewer than asked for if pairs ran out */
} clipc_vocab_stats;

/* Learns from n paths and writes vocab.json, merges.txt and tokenizer_config.json into
 * the folder; with overwrite the files of another tokenizer there go.  A path is a text
 * file with a caption a line ("-": standard input), or what a training set is made of: a
 * tar shard, a .json, a folder.  A caption that is not UTF-8 is CLIPC_ERR_TEXT, with its
 * file and line.  Of the captions only their different words are kept in memory. */
CLIPC_API int clipc_vocab_train(clipc_vocab_stats *stats, const char *folder,
                                const char *const *paths, size_t n,
                                const clipc_vocab_options *options, clipc_err *err);

/* ---- training sets ---- */

/* What there is: paths like a config's "data", and how tables among them are read; NULL:
 * the defaults. */
typedef struct clipc_data_sources {
    const char *const *paths;
    size_t n;
    const char *csv_img_key, *csv_caption_key, *csv_separator;
} clipc_data_sources;

typedef struct clipc_make_options {
    size_t per_shard;   /* samples, at most */
    size_t shard_bytes; /* of pictures and captions, at most, but for a single sample */
    size_t side;        /* longer sides are made so long; 0: they stay */
    int quality;        /* of JPEG, 1 to 100 */
    int shuffle;        /* nonzero: in an order that the seed gives */
    uint64_t seed;
    size_t threads;        /* 0: all that the process may use */
    double max_broken;     /* as a config's */
    double max_megapixels; /* larger pictures are broken */
    /* NULL allowed.  Nonzero ends it with CLIPC_ERR_STOPPED. */
    int (*on_progress)(void *user, size_t done, size_t total);
    void (*on_broken)(void *user, const char *why); /* NULL allowed */
    void *user;
} clipc_make_options;

typedef struct clipc_make_stats {
    size_t samples, shards, bytes; /* bytes of pictures and captions */
    size_t rewritten;              /* pictures made smaller or put into another format */
    size_t broken;                 /* left out */
} clipc_make_stats;

/* 10000 samples or 1e9 bytes a shard, pictures as they are, in order. */
CLIPC_API clipc_make_options clipc_make_default(void);

/* Writes folder/00000.tar, ..: each sample a picture, .txt with its first caption and, if
 * it has more, .json with all.  Pictures stay byte for byte unless they are larger than
 * `side` or neither JPEG, PNG nor WebP: those become JPEG, or PNG where they are
 * transparent.  The folder must not exist and appears when it is whole; until then it is
 * called folder.partial, and the same call goes on where it was stopped. */
CLIPC_API int clipc_data_make(clipc_make_stats *stats, const char *folder,
                              const clipc_data_sources *from,
                              const clipc_make_options *options, clipc_err *err);

typedef struct clipc_stats_options {
    const char *const *against; /* evaluation sets: paths, captions not needed */
    size_t n_against;
    const char *dictionary; /* NULL allowed: count captions that it has entries for */
    double near;            /* a picture nearer than that to one of them is told */
    size_t sheet;           /* pictures of the contact sheet, drawn at random */
    size_t threads;         /* 0: all that the process may use */
    double max_megapixels;  /* larger pictures are broken */
    /* NULL allowed.  Nonzero ends it with CLIPC_ERR_STOPPED. */
    int (*on_progress)(void *user, size_t done, size_t total);
    void *user;
} clipc_stats_options;

/* near 9, 100 pictures on the sheet. */
CLIPC_API clipc_stats_options clipc_stats_default(void);

/* What is in a training set: every picture is decoded.  *json, malloc'd and the caller's
 * to free: {"samples", "broken", "broken_first", "bytes", "index_bytes", "sources",
 * "formats", "transparent", "tint", "width", "height", "captions", "duplicates", "near"};
 * lengths as {"least", "median", "p95", "most", "mean"}; of captions,
 * "dictionary" has {"words", "whole", "part"}: its words, and how many captions it could
 * say otherwise as a whole or in part.  Duplicates have the same pixels; near is the root
 * mean square difference of 16 x 16 grey levels, on white.
 * *html (NULL: none wanted), likewise: the contact sheet, with duplicates and what is
 * near, in one page that needs no other file. */
CLIPC_API int clipc_data_stats(char **json, char **html, const clipc_data_sources *of,
                               const clipc_stats_options *options, clipc_err *err);

#ifdef __cplusplus
}
#endif
#endif
