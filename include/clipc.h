/* clipc.h -- CLIP in C: run a model on pictures and texts.
 *
 * CLIP ("Learning Transferable Visual Models From Natural Language Supervision",
 * arXiv:2103.00020) puts pictures and sentences into one space: the cosine of two vectors
 * says how well a sentence fits a picture.
 *
 *     clipc_model *model = NULL;
 *     clipc_ctx   *ctx = NULL;
 *     clipc_err    err;
 *     const char  *texts[] = {"a photo of a cat", "a photo of a dog"};
 *     float        image[512], text[2 * 512], logits[2];      // clipc_model_info:
 * embed_dim
 *
 *     if (clipc_model_open(&model, "ViT-B-32/", &err) ||
 *         clipc_ctx_new(&ctx, model, NULL, &err) ||
 *         clipc_encode_image_file(ctx, image, "pet.jpg", &err) ||
 *         clipc_encode_texts(ctx, text, texts, NULL, 2, &err))
 *         die(err.msg);
 *     clipc_logits(model, logits, image, 1, text, 2);
 *     clipc_probabilities(model, logits, 1, 2);
 *
 * A model is constant after it was opened and may be shared by any number of threads.  A
 * context is the working memory of one thread at a time: make one for each thread.  There
 * is no global state; nothing here prints or exits.
 *
 * Errors.  Functions that can fail return CLIPC_OK (0) or a negative code and fill *err
 * (which may be NULL) with one line that names the file and the reason.  Success leaves
 * *err alone.
 *
 * Strings are UTF-8; in texts, bytes that are not UTF-8 are an error (CLIPC_ERR_TEXT). */
#ifndef CLIPC_H
#define CLIPC_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CLIPC_VERSION "0.1.0"
#define CLIPC_API     __attribute__((visibility("default")))

/* ---- errors -------------------------------------------------------------------------
 */

enum {
    CLIPC_OK = 0,
    CLIPC_ERR_ARG = -1,     /* the caller's argument makes no sense */
    CLIPC_ERR_MEMORY = -2,  /* an allocation failed */
    CLIPC_ERR_IO = -3,      /* the operating system refused a file */
    CLIPC_ERR_FORMAT = -4,  /* a file is not what it claims to be */
    CLIPC_ERR_LIMIT = -5,   /* larger than an option allows */
    CLIPC_ERR_EXISTS = -6,  /* would overwrite */
    CLIPC_ERR_TEXT = -7,    /* a text is not UTF-8 or too long */
    CLIPC_ERR_FEATURE = -8, /* not in this build, or this model cannot */
    CLIPC_ERR_NUMBER = -9,  /* a NaN or an infinity where a number is needed */
    CLIPC_ERR_STOPPED = -10 /* the caller's callback asked for it */
};

/* What went wrong, and where.  Written by the innermost function that noticed. */
typedef struct clipc_err {
    int code;      /* CLIPC_ERR_* */
    char msg[248]; /* one line, no newline, ends in NUL */
} clipc_err;

/* ---- models -------------------------------------------------------------------------
 */

typedef struct clipc_model clipc_model;

/* Opens a model for inference: a folder in Hugging Face's CLIP layout (config.json,
 * model.safetensors) or open_clip's (open_clip_config.json, open_clip_model.safetensors);
 * a file, known by content: clipc's own, safetensors, PyTorch's (OpenAI's too), GGUF;
 * or the name of one (of a file also without .clipc) that is looked up in the folders of
 * the environment variable CLIPC_MODEL_PATH (separated by ':'), then in `models/` beside
 * the executable, then in PREFIX/share/clipc/models; or "org/name" or "org/name@revision"
 * of a model that is in the cache of Hugging Face models (clipc_hub.h fetches one).
 * `path` NULL or "": the bundled model, "clipc-default". The caller frees *out by
 * clipc_model_free; on failure *out is NULL. */
CLIPC_API int clipc_model_open(clipc_model **out, const char *path, clipc_err *err);

/* Zeroed means as the model says; NULL means all of it. */
typedef struct clipc_open_options {
    /* Rows and columns (0: as many) of the pictures that the image tower shall see: its
     * position embeddings are interpolated as open_clip's force_image_size does.
     * CLIPC_ERR_FEATURE: this tower takes no other size. */
    size_t image_size, image_columns;
} clipc_open_options;

CLIPC_API int clipc_model_open_with(clipc_model **out, const char *path,
                                    const clipc_open_options *options, clipc_err *err);
CLIPC_API void clipc_model_free(clipc_model *m);

/* What a model is.  All strings live as long as the model. */
typedef struct clipc_model_info {
    const char *path;      /* where it was found */
    const char *format;    /* "hf", "open_clip", "sentence-transformers", "clipc",
                              "checkpoint", "openai", "efficientnet", "gguf" */
    const char *config_by; /* where the config was found; "weights": from their shapes */
    const char *license, *origin; /* of clipc's own files; NULL if not told */
    const char *family;     /* of the image tower: "vit", "resnet", "convnext", "fastvit",
                               "efficientnet_lite" */
    const char *activation; /* "quick_gelu", "gelu" or "gelu_tanh" */
    const char
        *precision;    /* of the stored weights: "f32", "f16", "bf16", "int8", "mixed" */
    size_t embed_dim;  /* floats in an embedding */
    size_t image_size; /* rows of pixels that the image tower sees */
    size_t image_columns; /* as many, unless the model sees rectangles */
    size_t patch_size;    /* ViT; 0 otherwise */
    size_t image_width, image_layers, image_heads;
    size_t image_stages[7]; /* blocks of each stage; 0 for a ViT */
    size_t text_width, text_layers, text_heads;
    size_t context_length; /* longest text in tokens, start and end counted */
    size_t vocab_size;
    int32_t
        pad_id; /* may fill up a row of ids behind the text; -1: rows are given whole */
    const char *tokenizer; /* "openai"; "bpe", "wordpiece", "sentencepiece",
                              "tokenizer.json" (the model's own files); or a name that
                              this clipc has no vocabulary for: texts go by ids */
    size_t params;         /* trained numbers, both towers */
    float logit_scale;     /* exp(logit_scale): what cosines are multiplied by */
    int has_logit_bias;    /* SigLIP: each pair's probability stands alone (logistic) */
    float logit_bias;      /* added to every logit; 0 where there is none */
    float image_mean[3], image_std[3];
    const char
        *resize_mode;      /* "shortest" (then cropped), "longest" (padded) or "squash" */
    size_t stored_grid[2]; /* rows and columns of the file's own image positions, where
                              they were interpolated; else 0 */
    size_t stored_context; /* the same for the positions of texts */
    float min_score; /* clipc_measure_min_score's, of the model's file; 0: none there */
    size_t n_templates; /* default prompt templates; 0: labels are used as they stand */
    const char *const *templates; /* each holds one "{}" */
} clipc_model_info;

CLIPC_API const clipc_model_info *clipc_model_info_of(const clipc_model *m);

/* ---- contexts ------------------------------------------------------------------------
 */

typedef struct clipc_ctx clipc_ctx;

/* Zeroed means default; NULL means all defaults. */
typedef struct clipc_ctx_options {
    size_t threads;   /* 1; compute threads of this context */
    size_t max_batch; /* 8; pictures or texts computed at a time (memory grows with it);
                         at most 65536 */
    double max_megapixels; /* 256; larger pictures are refused with CLIPC_ERR_LIMIT */
    int auto_orient; /* turn JPEG, PNG and WebP as their EXIF says, which the reference
                        does not; TIFF, HEIF, AVIF, JPEG XL and RAW are upright anyway */
    int compat;      /* 0; 1: "<|endoftext|>" inside a text becomes the special token,
                        as in the reference; 0: it is ordinary text */
    int raw;         /* 0; 1: embeddings are not brought to unit length */
    int long_texts;  /* CLIPC_LONG_*: what becomes of texts that do not fit */
    int precision;   /* CLIPC_PRECISION_*: what linear layers multiply in */
    int fast_decode; /* large JPEGs are decoded at a half, a quarter or an eighth of
                        their size, which leaves no side less than twice the model's:
                        about twice as fast; docs/pixels.md has how far embeddings move */
} clipc_ctx_options;

/* float32; or, on a CPU that is faster so, of weights of any stored precision: bf16
 * (AVX-512 with BF16, VNNI and VBMI; others go on in float32), or bytes with a scale for
 * each row of 256 numbers (the same; on AVX2 without AVX-512, 12 bits instead of 8, which
 * are as fast there; others go on in float32).  Norms and attention stay in float32. */
enum { CLIPC_PRECISION_F32, CLIPC_PRECISION_BF16, CLIPC_PRECISION_INT8 };

/* A text with more tokens than context_length is cut, its end token kept, as in the
 * reference; or refused with CLIPC_ERR_TEXT; or read in windows that follow each other,
 * each with start and end, and embedded as the mean of the windows' embeddings, or the
 * largest of each number. */
enum { CLIPC_LONG_CUT, CLIPC_LONG_ERROR, CLIPC_LONG_MEAN, CLIPC_LONG_MAX };

/* Everything the towers need is allocated here, once: encoding allocates nothing but what
 * the picture decoders themselves need.  The model must outlive the context. */
CLIPC_API int clipc_ctx_new(clipc_ctx **out, const clipc_model *m,
                            const clipc_ctx_options *options, clipc_err *err);
CLIPC_API void clipc_ctx_free(clipc_ctx *ctx);
/* The model that a context was made for. */
CLIPC_API const clipc_model *clipc_ctx_model(const clipc_ctx *ctx);

/* ---- encoding ------------------------------------------------------------------------
 * Each writes embeddings of embed_dim floats, of unit length unless options.raw. */

/* A JPEG, PNG, WebP, GIF, BMP, PNM, TIFF, HEIF, AVIF, JPEG XL or RAW file, recognised by
 * content; "-" is standard input.  Its first picture, preprocessed as the model says;
 * OpenAI's: short side resized by Pillow's bicubic filter, centre cropped. */
CLIPC_API int clipc_encode_image_file(clipc_ctx *ctx, float *out, const char *path,
                                      clipc_err *err);
/* n of them, decoded by all threads and encoded in batches.  What is wrong with each is
 * in errs [n], code 0 for nothing; rows of out [n,embed_dim] whose picture failed hold
 * nothing of use.  Fails only as a whole, and then before the first picture. */
CLIPC_API int clipc_encode_image_files(clipc_ctx *ctx, float *out,
                                       const char *const *paths, size_t n,
                                       clipc_err *errs, clipc_err *err);
/* The same as clipc_encode_image_file from memory. `name` is for messages. */
CLIPC_API int clipc_encode_image_memory(clipc_ctx *ctx, float *out, const void *data,
                                        size_t size, const char *name, clipc_err *err);
/* RGB, 8 bits a channel, rows of width*3 bytes. */
CLIPC_API int clipc_encode_image_pixels(clipc_ctx *ctx, float *out, const uint8_t *rgb,
                                        size_t width, size_t height, clipc_err *err);
/* n pictures that are preprocessed already: [n,3,H,W], normalised; H = image_size,
 * W = image_columns.  out [n,embed_dim]. */
CLIPC_API int clipc_encode_image_tensors(clipc_ctx *ctx, float *out, const float *pixels,
                                         size_t n, clipc_err *err);
/* n pictures as the image tower sees them, before they are normalised: rgb [n,H,W,3].
 * out [n,embed_dim]. */
CLIPC_API int clipc_encode_image_crops(clipc_ctx *ctx, float *out, const uint8_t *rgb,
                                       size_t n, clipc_err *err);
/* What the image tower sees of a file, before it is normalised: rgb [H,W,3]. */
CLIPC_API int clipc_preprocess_file(clipc_ctx *ctx, uint8_t *rgb, const char *path,
                                    clipc_err *err);

/* How pictures become crops where no model says it.  Zeroed: OpenAI's, 224 x 224. */
typedef struct clipc_crop_options {
    /* "openai" (NULL) or "shortest": the short side resized, the middle kept; "longest":
     * the long side resized, black around it; "siglip" or "squash": resized to the size.
     * As open_clip does it, conversion to RGB last.  "hf", "siglip-hf": as transformers'
     * CLIPImageProcessorPil and SiglipImageProcessorPil, conversion first. */
    const char *recipe;
    size_t rows, columns;  /* of the crop; 0: 224, and as many columns as rows */
    int bilinear;          /* else bicubic */
    double max_megapixels; /* 0: 256 */
    int auto_orient;       /* as in clipc_ctx_options, */
    int fast_decode;       /* and this too */
} clipc_crop_options;

/* rgb [rows,columns,3] of a file; "-" is standard input.  CLIPC_ERR_ARG for an unknown
 * recipe. */
CLIPC_API int clipc_crop_file(uint8_t *rgb, const char *path,
                              const clipc_crop_options *options, clipc_err *err);

/* A picture in a file's bytes as a small JPEG for people to look at: upright, on white,
 * its longer side at most `side` pixels.  *jpeg is malloc'd (free it).  name is for
 * messages; max_megapixels 0: 256. */
CLIPC_API int clipc_thumbnail(uint8_t **jpeg, size_t *jpeg_size, const void *data,
                              size_t size, const char *name, size_t side,
                              double max_megapixels, clipc_err *err);
/* The same as RGB, 8 bits a channel: *rgb [height,width,3] is malloc'd (free it). */
CLIPC_API int clipc_thumbnail_pixels(uint8_t **rgb, size_t *width, size_t *height,
                                     const void *data, size_t size, const char *name,
                                     size_t side, double max_megapixels, clipc_err *err);

/* n texts of lens [n] bytes, which may hold NUL; lens NULL: they end in NUL.  Out
 * [n,embed_dim].  Together they cost less than one by one: what they begin with in common
 * is computed once.  Long ones: options.long_texts. */
CLIPC_API int clipc_encode_texts(clipc_ctx *ctx, float *out, const char *const *texts,
                                 const size_t *lens, size_t n, clipc_err *err);
/* One text of len bytes, which may hold NUL; out [embed_dim]. */
CLIPC_API int clipc_encode_text(clipc_ctx *ctx, float *out, const char *text, size_t len,
                                clipc_err *err);
/* n rows of context_length ids; each row's first largest id is where the text ends.
 * ids [n,context_length], out [n,embed_dim]. */
CLIPC_API int clipc_encode_ids(clipc_ctx *ctx, float *out, const int32_t *ids, size_t n,
                               clipc_err *err);

/* Token ids of a text, start and end included, padded to context_length as the model's
 * own tokenizer pads.  ids [context_length]; *n_tokens (NULL allowed) is the length
 * before cutting. */
CLIPC_API int clipc_tokenize(clipc_ctx *ctx, int32_t *ids, size_t *n_tokens,
                             const char *text, clipc_err *err);
/* The text that an id stands for, as stored in the vocabulary's byte alphabet turned back
 * into bytes (maybe part of a character), end-of-word marks as "</w>"; other
 * tokenizers' as the vocabulary spells it; "" for no such id.
 * out holds out_size bytes with its NUL. */
CLIPC_API void clipc_token_text(const clipc_model *m, int32_t id, char *out,
                                size_t out_size);

/* ---- tokens without a model ----------------------------------------------------------
 */

typedef struct clipc_tokenizer clipc_tokenizer;

/* The tokenizer of a model, whose weights are not read; model NULL: OpenAI's, which needs
 * no file, with a context of 77.  For one thread at a time. */
CLIPC_API int clipc_tokenizer_open(clipc_tokenizer **out, const char *model,
                                   clipc_err *err);
CLIPC_API void clipc_tokenizer_free(clipc_tokenizer *t);
CLIPC_API size_t clipc_tokenizer_context_length(const clipc_tokenizer *t);
/* As clipc_tokenize, of a text of len bytes, which may hold NUL.  compat: as in
 * clipc_ctx_options.  *pool: the position that the features come from, context_length for
 * a class token behind the ids, -1 where it is the mean of several. */
CLIPC_API int clipc_tokenizer_run(clipc_tokenizer *t, int32_t *ids, size_t *n_tokens,
                                  int32_t *pool, const char *text, size_t len, int compat,
                                  clipc_err *err);
/* As clipc_token_text. */
CLIPC_API void clipc_tokenizer_text(const clipc_tokenizer *t, int32_t id, char *out,
                                    size_t out_size);

/* ---- using embeddings ----------------------------------------------------------------
 */

/* logits[i,j] as the model has them: logit_scale * dot(images[i], texts[j]) + logit_bias.
 * images [n_images,embed_dim], texts [n_texts,embed_dim], logits [n_images,n_texts] */
CLIPC_API void clipc_logits(const clipc_model *m, float *logits, const float *images,
                            size_t n_images, const float *texts, size_t n_texts);
/* Logits [rows,cols] become probabilities in place: the softmax of each row, or, where
 * the model has a logit bias, the logistic function of each. */
CLIPC_API void clipc_probabilities(const clipc_model *m, float *logits, size_t rows,
                                   size_t cols);
/* logits[i,j] = scale * dot(images[i], texts[j]).
 * images [n_images,dim], texts [n_texts,dim], logits [n_images,n_texts] */
CLIPC_API void clipc_similarity(float *logits, const float *images, size_t n_images,
                                const float *texts, size_t n_texts, size_t dim,
                                float scale);
/* Softmax of each row in place, with the maximum subtracted first.  x [rows,cols] */
CLIPC_API void clipc_softmax(float *x, size_t rows, size_t cols);

/* A zero-shot classifier (paper, section 3.1): for each label the texts of all templates,
 * each of unit length, averaged, and the average brought to unit length.
 *   weights [n_labels,embed_dim]  out
 *   templates: each holds "{}" once; n_templates 0: the label as it stands
 * Use: clipc_logits(model, logits, image, 1, weights, n_labels). */
CLIPC_API int clipc_classifier(clipc_ctx *ctx, float *weights, const char *const *labels,
                               size_t n_labels, const char *const *templates,
                               size_t n_templates, clipc_err *err);

/* ---- files ---------------------------------------------------------------------------
 */

/* Writes float32 rows as a NumPy file (.npy, format 1.0), replacing it atomically;
 * CLIPC_ERR_EXISTS when it is there and overwrite is 0. */
CLIPC_API int clipc_write_npy(const char *path, const float *data, size_t rows,
                              size_t cols, int overwrite, clipc_err *err);
/* Writes n crops, rgb [n,rows,columns,3], as bytes, likewise. */
CLIPC_API int clipc_write_npy_crops(const char *path, const uint8_t *rgb, size_t n,
                                    size_t rows, size_t columns, int overwrite,
                                    clipc_err *err);
/* Reads a NumPy file of numbers as float32: *data is malloc'd (free it), dims gets up to
 * 8 sizes. */
CLIPC_API int clipc_read_npy(const char *path, float **data, size_t *dims, size_t *n_dims,
                             clipc_err *err);
/* Writes 8-bit RGB rows as a PNG file, likewise. */
CLIPC_API int clipc_write_png(const char *path, const uint8_t *rgb, size_t width,
                              size_t height, int overwrite, clipc_err *err);

/* A model in a mean of several: its part of the whole, 0 to 1, or -1: all have as much.
 */
typedef struct clipc_share {
    const char *model;
    float share;
} clipc_share;

/* How to rewrite a model.  Zeroed or NULL: an open_clip folder in float32. */
typedef struct clipc_convert_options {
    const char *to; /* a folder, "hf" (what transformers' CLIPModel and SiglipModel hold)
                       or "open_clip", or one file, "clipc" (FORMAT.md), of any model */
    const char *precision; /* "f32", "f16", "bf16" or, for clipc, "int8" */
    const char *license,
        *origin;             /* clipc: kept in the file; NULL: as the source has it */
    int overwrite;           /* 0: CLIPC_ERR_EXISTS when `out` is there */
    clipc_open_options open; /* another image size: its positions are written */
    /* Models of the same kind whose weights are averaged with its own, which have the
     * rest of the whole. */
    const clipc_share *average;
    size_t n_average;
    float min_score; /* clipc_model_info.min_score of `out`; 0: as the source has it, or
                        none where averaging or another size make it another model */
} clipc_convert_options;

/* Reads a model of any format and writes it as `out`, each file atomically, with its
 * tokenizer's files where that is not OpenAI's.  CLIPC_ERR_FEATURE says what a layout
 * does not hold. */
CLIPC_API int clipc_convert(const char *in, const char *out,
                            const clipc_convert_options *options, clipc_err *err);

/* Two pretrained towers that become one model. */
typedef struct clipc_assemble_options {
    const char *image;   /* a file of an EfficientNet-Lite with its classifier */
    const char *text;    /* a BERT of sentence-transformers: a folder, or a name */
    const char *classes; /* what the classifier's classes are called: a file with a line
                            for each, words with commas between them and, behind a tab, a
                            gloss */
    uint64_t seed;       /* of the first weights of what is to learn */
    const char *license, *origin; /* kept in the file; NULL: not told */
    int overwrite;                /* 0: CLIPC_ERR_EXISTS when `out` is there */
} clipc_assemble_options;

/* Writes one file of clipc's own format, float32, of a model whose head knows the classes
 * by name and has learned nothing yet: the trainer makes it more (clipc_train.h, locks).
 */
CLIPC_API int clipc_assemble(const char *out, const clipc_assemble_options *options,
                             clipc_err *err);

/* How far a rewritten model is from the one that it came from, over built-in inputs: 64
 * pictures (gradients, noise, edges) and, where clipc has the tokenizer, 64 texts. */
typedef struct clipc_drift {
    size_t images, texts;  /* how many were compared; 0 without that tower */
    double image_error[3]; /* 1 - cosine: median, 90th percentile, largest */
    double text_error[3];
    double rank_agreement; /* share of pictures whose best text is the same */
} clipc_drift;

/* Both contexts must have the same image size and context length. */
CLIPC_API int clipc_measure_drift(clipc_drift *out, clipc_ctx *a, clipc_ctx *b,
                                  clipc_err *err);

/* ---- evaluation ----------------------------------------------------------------------
 */

enum { CLIPC_EVAL_ZEROSHOT, CLIPC_EVAL_RETRIEVAL, CLIPC_EVAL_LINEAR_PROBE };

/* "zeroshot", "retrieval", "linear_probe"; NULL for no task. */
CLIPC_API const char *clipc_eval_task(int task);

typedef struct clipc_eval_result {
    char name[64];
    int task; /* CLIPC_EVAL_* */
    size_t pictures;
    size_t failed;     /* could not be decoded; they count as wrong */
    size_t classes;    /* 0: retrieval */
    size_t captions;   /* retrieval */
    size_t trained_on; /* linear probe: pictures that it was learned from, */
    double C;          /* and its inverse regularisation */
    double top1, top5; /* parts of 1; not of retrieval */
    /* Retrieval, parts of 1: pictures that have a caption of theirs among the best 1, 5
     * and 10, and captions that have their picture there. */
    double image_to_text[3], text_to_image[3];
    double seconds;
} clipc_eval_result;

/* Zeroed means default; NULL means all defaults.  Task, train and C are for a `path` that
 * is no JSON file: with one, which tells them itself, they are CLIPC_ERR_ARG; C and train
 * are so without a linear probe. */
typedef struct clipc_eval_options {
    int task;          /* CLIPC_EVAL_ZEROSHOT */
    const char *train; /* linear probe: the set that it is learned from */
    double C;          /* linear probe; 0: found by a sweep on a fifth of `train` */
    void (*on_progress)(void *user, size_t done, size_t total); /* pictures; or NULL */
    /* Hears why a picture could not be decoded, also one of `train`; or NULL. */
    void (*on_failed)(void *user, const clipc_err *why);
    void *user;
} clipc_eval_options;

/* How good a model is at
 * - zero-shot classification: a picture is right if its class comes before all others;
 * - retrieval: pictures find their captions, captions their pictures;
 * - classification by a linear probe (the paper's section 3.2): logistic regression on
 *   the embeddings, not brought to unit length, of labelled pictures.
 *
 * `path` is a set of pictures or a JSON file that says more.  Sets:
 * - a list, NAME.tsv: a line for each picture, its path (if relative, to the list), a tab
 * and the name of its class, or a caption; as many lines as it has captions;
 * - a WebDataset shard (NAME.tar, NAME.tar.gz ..): each picture with a .txt that holds
 * its class, or a caption a line.  For zero-shot classification the classes of a picture
 *   are those of its folder in the shard;
 * - a folder with one for each class, whose name is the class ('_': a blank); or with
 *   pictures and a .txt beside each that holds a caption a line;
 * - NULL: the shard that ships with the model (eval.tar.gz in its folder) or, where it
 * has none, with clipc-drawings. The JSON file:
 *     {"name": "..", "task": "zeroshot", "classes": ["cat", ..], "templates": ["{}"],
 *      "samples": "samples.tsv"}
 *     {"name": "..", "task": "retrieval", "samples": "captions.tsv"}
 *     {"name": "..", "task": "linear_probe", "classes": ["cat", ..],
 *      "train": "train.tsv", "samples": "test.tsv", "C": 0.316}
 * where samples and train are sets, with paths relative to the JSON file, whose lists
 * have numbers of classes from 0 if it lists classes; C may be left out.  Prompts: its
 * templates; of a bare set, the model's own.
 *
 * When no picture can be encoded, that is an error. */
CLIPC_API int clipc_eval(clipc_eval_result *out, clipc_ctx *ctx, const char *path,
                         const clipc_eval_options *options, clipc_err *err);

/* Whether clipc_eval would find pictures, classes and captions behind `path`, or why not;
 * no picture is decoded. */
CLIPC_API int clipc_eval_check(const char *path, const clipc_eval_options *options,
                               clipc_err *err);

/* *out: the cosine that one in a thousand pairs of a picture and a text that is not its
 * own exceeds, to four digits: what is below is no find (clipc_model_info.min_score).
 * `path` as for clipc_eval, of zero-shot classification, whose texts are the names of the
 * classes as they stand, or of retrieval.  A text that is as well a picture's own is left
 * out.  CLIPC_ERR_ARG: fewer than a thousand pairs. */
CLIPC_API int clipc_measure_min_score(float *out, clipc_ctx *ctx, const char *path,
                                      const clipc_eval_options *options, clipc_err *err);

/* What became of the answers from one model to another. */
typedef struct clipc_eval_change {
    clipc_eval_result before, after;
    size_t same;         /* pictures for which both put the same class first */
    size_t lost, gained; /* pictures that only the first, only the second has right */
} clipc_eval_change;

/* Zero-shot accuracy of two models on the same pictures.  `path` NULL: as for a. */
CLIPC_API int clipc_eval_compare(clipc_eval_change *out, clipc_ctx *a, clipc_ctx *b,
                                 const char *path,
                                 void (*on_progress)(void *user, size_t done,
                                                     size_t total),
                                 void *user, clipc_err *err);

/* ---- checking a model -----------------------------------------------------------------
 */

enum { CLIPC_FOUND_OK, CLIPC_FOUND_NOTE, CLIPC_FOUND_WARNING, CLIPC_FOUND_PROBLEM };

typedef struct clipc_finding {
    const char *check; /* "opening", "tensors", "values", "scale", "activation",
                          "configs", "preprocessing", "tokenizer", "embeddings",
                          "pictures", "repetition", "kernels", "memory", "speed" */
    int severity;      /* CLIPC_FOUND_* */
    char message[640]; /* one line: what was found and, if it is bad, what to do */
} clipc_finding;

/* Zeroed means default; NULL means all defaults. */
typedef struct clipc_check_options {
    size_t threads; /* 1 */
    int files_only; /* 1: nothing is run, so no embeddings and no speed */
} clipc_check_options;

typedef struct clipc_checkup {
    size_t found[4]; /* how many findings of each severity */
    /* Pictures and texts a second, one at a time with one thread, and in batches with all
     * threads; 0: not measured. */
    double image_rate[2], text_rate[2];
    size_t file_bytes, memory_bytes; /* of the weights: stored, and copied out of there */
} clipc_checkup;

/* Checks a model (path as for clipc_model_open): its tensors and their values, what its
 * files say against each other and against what is usual for its kind, and what it makes
 * of pictures and texts that are made here.  on_finding (NULL allowed) hears of each
 * check in turn. CLIPC_OK whatever was found: a model that cannot be opened is a finding.
 */
CLIPC_API int clipc_check_model(clipc_checkup *out, const char *path,
                                const clipc_check_options *options,
                                void (*on_finding)(void *user, const clipc_finding *f),
                                void *user, clipc_err *err);

/* ---- speed ---------------------------------------------------------------------------
 */

/* The operations of all matrix products of a context so far; a multiply-add is two. */
CLIPC_API double clipc_ctx_operations(const clipc_ctx *ctx);
/* Operations a second that one core does at best in CLIPC_PRECISION_*, measured in a
 * tenth of a second; 0: this CPU goes on in float32. */
CLIPC_API double clipc_peak(int precision);

/* ---- about this build ----------------------------------------------------------------
 */

/* One line: version, the instruction set in use (CLIPC_ISA overrides: ref, avx2, avx512,
 * avx512vnni), the libraries compiled in, and those that are loaded when needed.  out
 * holds out_size bytes with its NUL. */
CLIPC_API void clipc_about(char *out, size_t out_size);

#ifdef __cplusplus
}
#endif
#endif
