/* model/tower.h -- what every tower family offers, so that clip/ and train/ hold tables
 * of functions and never ask which family they have.
 *
 * A tower is a struct of weight pointers made from a config.  Its param_list (nn/param.h)
 * gives the pointers memory; a second tower of the same config over other memory holds
 * the gradients.  Activations live in an acts object: what the forward pass writes, and,
 * when made for training, everything that backward needs.  A tower is const in both
 * passes. */
#ifndef CLIPC_MODEL_TOWER_H
#define CLIPC_MODEL_TOWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/rng.h"
#include "nn/block.h"
#include "nn/pooler.h"
#include "tensor/exec.h"

/* Which tokens the features come from; with a pooler, which of its queries. */
typedef enum image_pool { POOL_TOK, POOL_AVG } image_pool;
/* With CoCa's pooler: features from its own queries, or from one query of a second pooler
 * over the tokens (open_clip's attentional_pool "parallel") or over what the first gives
 * ("cascade"). */
typedef enum coca_pool { COCA_ONE, COCA_PARALLEL, COCA_CASCADE } coca_pool;
/* What turns them into E numbers: [C,E] as OpenAI's, none (E = C), a linear layer, an MLP
 * of 2E channels inside, its second layer with a bias or without (ConvNeXt). */
typedef enum tower_proj {
    PROJ_MATRIX,
    PROJ_NONE,
    PROJ_LINEAR,
    PROJ_LINEAR_BIAS,
    PROJ_MLP,
    PROJ_MLP_BIAS
} tower_proj;

typedef enum image_family {
    IMAGE_VIT,
    IMAGE_RESNET,
    IMAGE_CONVNEXT,
    IMAGE_FASTVIT,
    IMAGE_EFFNET,
    IMAGE_FAMILIES
} image_family;
/* What makes a ViT's patches of the pixels: one convolution, MobileCLIP-B's three, or
 * ViTamin's stages of inverted bottlenecks. */
typedef enum vit_front { FRONT_PATCHES, FRONT_MCI, FRONT_VITAMIN } vit_front;

enum { IMAGE_STAGES = 7 };

/* The head of model/head.h. */
typedef struct head_cfg {
    size_t hidden;       /* channels of its MLP; 0: there is no such head */
    size_t gate;         /* channels of the gate's */
    size_t classes, top; /* of the classifier; the best so many of them count */
    float dropout;       /* in training */
    float gate_shift;    /* of the gate's logit, but for training */
} head_cfg;

/* open_clip's vision_cfg with derived sizes written out. */
typedef struct image_cfg {
    image_family family;
    size_t image_size;  /* rows of the input */
    size_t image_width; /* its columns; 0: as many, a square */
    size_t embed_dim;
    size_t width;  /* ViT: channels; ResNet: channels of stage 1, a quarter of its output;
                      EfficientNet: of the stem */
    size_t heads;  /* ViT: of each block; ResNet: of the attention pool */
    size_t layers; /* ViT: blocks */
    size_t patch_size;             /* ViT */
    size_t mlp_width;              /* ViT: channels inside the MLP */
    size_t stages[IMAGE_STAGES];   /* blocks of each stage (ResNet, ConvNeXt, FastViT,
                                      EfficientNet, ViTamin's front); 0 from the first
                                      that is not */
    size_t dims[IMAGE_STAGES];     /* channels of each stage (ConvNeXt, FastViT,
                                      EfficientNet); of the stem and the stages of a
                                      ViT's front */
    size_t mlp_dims[IMAGE_STAGES]; /* channels inside the MLPs of each stage */
    size_t features;               /* EfficientNet: channels of the pooled pixels */
    size_t attention_stages;       /* FastViT: the last so many stages attend, ... */
    size_t squeeze_stages;         /* ... so many begin with squeeze and excitation */
    bool layer_norm;               /* FastViT: in front of attention, unless folded */
    act act;                       /* all but ResNet */
    float eps;                     /* of layer norm or batch norm; 1e-5 */
    weight_form form;              /* TOWER_INFER: of linear and conv weights */
    size_t locked;     /* TOWER_TRAIN: the first so many groups (train/groups.h) do not
                          learn: they save nothing and backward ends above them */
    bool locked_stats; /* nor do running statistics move */

    /* What a ViT has beside or instead of OpenAI's.  All zero: OpenAI's. */
    block_extras extras;
    vit_front front;
    bool no_ln_pre;
    bool no_class_token;    /* timm's SigLIP: patches only */
    bool no_class_position; /* no position is added to the class token */
    bool no_positions;      /* nor to any: ViTamin-XL's convolutions tell enough */
    bool conv1_bias;
    image_pool pool;
    bool ln_post_after_pool; /* open_clip's final_ln_after_pool */
    bool pooler;             /* attention pooling, by the fields below */
    pooler_form pooler_form;
    coca_pool coca_pool;
    size_t pooler_queries, pooler_heads;
    size_t pooler_mlp_width; /* SigLIP's */
    /* Rotary positions of the patches (timm's axial ones): coordinates scaled so that the
     * grid spans rope_ref, rope_offset added first; the column first if rope_xy.  0: none
     */
    size_t rope_ref;
    float rope_offset;
    bool rope_xy;
    tower_proj proj;
    head_cfg head; /* EfficientNet; instead of proj, which is PROJ_NONE */
} image_cfg;

/* Columns of the input. */
static inline size_t image_columns(const image_cfg *c)
{
    return c->image_width ? c->image_width : c->image_size;
}

/* Which row a text's features come from: of the largest id, of the first id that is
 * eos_id, the first row, the last. */
typedef enum text_pool {
    TEXT_POOL_ARGMAX,
    TEXT_POOL_EOS,
    TEXT_POOL_FIRST,
    TEXT_POOL_LAST
} text_pool;

/* Which text tower: CLIP's own Transformer, or BERT and its relatives (model/bert.h). */
typedef enum text_family { TEXT_CLIP, TEXT_BERT } text_family;
/* BERT's: the mean of the text's rows, its first row, or that through the pooler. */
typedef enum bert_pool { BERT_MEAN, BERT_CLS, BERT_POOLER } bert_pool;

/* open_clip's text_cfg. */
typedef struct text_cfg {
    size_t context_length, vocab_size, embed_dim;
    size_t width, heads, layers, mlp_width;
    act act;
    float eps;
    weight_form form; /* TOWER_INFER: of linear weights and of the table of tokens */
    size_t locked;    /* as the image tower's */

    /* All zero: OpenAI's. */
    block_extras extras;
    bool no_causal_mask;
    bool embed_cls; /* CoCa: a class token behind the text */
    text_pool pool;
    int32_t eos_id, pad_id; /* for TEXT_POOL_EOS; with embed_cls and BERT */
    tower_proj proj;

    text_family family;
    size_t positions, types; /* BERT: rows of those tables; types may be 0 */
    bool roberta;            /* BERT: positions count from pad_id + 1, padding left out */
    bert_pool bert_pool;
    size_t
        proj_hidden; /* BERT: a projection by an MLP of this width; 0: none, proj says */
} text_cfg;

/* How the weights are held and what the acts are for. */
typedef enum tower_mode {
    TOWER_INFER, /* linear and conv weights packed (param_list_pack); nothing saved */
    TOWER_EVAL,  /* plain weights, nothing saved, running statistics: validation */
    TOWER_TRAIN, /* plain weights, everything saved, batch statistics */
    /* The same, but of a block little more than its input is saved: the backward pass
     * makes the rest again, bit by bit. */
    TOWER_RECOMPUTE
} tower_mode;

static inline bool tower_trains(tower_mode mode)
{
    return mode == TOWER_TRAIN || mode == TOWER_RECOMPUTE;
}

/* Row b of a batch draws from stream first + b of the seed. */
typedef struct row_stream {
    uint64_t seed, first;
} row_stream;

/* A tower in two parts, of which the second may learn while the first does not: what the
 * first makes of an input can be kept.  Acts are the tower's; those for training want all
 * but the last group locked. */
typedef struct part_ops {
    /* F, numbers between the parts. */
    size_t (*width)(const void *tower);
    /* features [B,F] of pixels. */
    void (*first)(exec *e, const void *tower, void *acts, float *features,
                  const void *input, size_t B);
    /* out [B,E]; draw: what training draws from, else NULL. */
    void (*second)(exec *e, const void *tower, void *acts, float *out,
                   const float *features, size_t B, const row_stream *draw);
    /* Adds the gradients of the last `second`. */
    void (*second_bwd)(exec *e, const void *tower, void *grads, void *acts,
                       const float *dout, const float *features, size_t B);
} part_ops;

typedef struct image_ops {
    const char *family; /* "vit", "resnet", "convnext", "fastvit", "efficientnet_lite" */

    /* Checks the config's numbers (a hostile file may have written them: each size at
     * least 1 and at most 2^20, heads divide width, ...) and allocates the structs, not
     * the weights. */
    int (*make)(void **tower, const image_cfg *cfg, clipc_err *err);
    void (*destroy)(void *tower);

    /* Adds all parameters with open_clip's names ("visual...."). */
    int (*params)(void *tower, param_list *l, clipc_err *err);
    /* Random weights as OpenAI's initialize_parameters (clip-facts F4).  NULL, as bwd,
     * where the tower is not trained: acts_make refuses to. */
    void (*init)(void *tower, rng *r);

    /* Memory for batches of up to B; with bytes (not NULL) none is made and *bytes is how
     * much it would be. */
    int (*acts_make)(void **acts, size_t *bytes, const void *tower, size_t B,
                     tower_mode mode, clipc_err *err);
    void (*acts_destroy)(void *acts);
    /* What to give exec_new as layer_floats. */
    size_t (*scratch)(const void *tower);

    /* out [B,E] = features of pixels [B,3,H,W], not normalised. */
    void (*fwd)(exec *x, const void *tower, void *acts, float *out, const float *pixels,
                size_t B);
    /* Adds the gradients of the last training forward into `grads` (a tower over
     * gradient memory), given dout [B,E]; not where all of the tower is locked.  pixels
     * as in forward. */
    void (*bwd)(exec *x, const void *tower, void *grads, void *acts, const float *dout,
                const float *pixels, size_t B);
    /* After a training pass: running statistics of `tower` move towards the batch's
     * (unbiased variance, as torch).  NULL where there are none. */
    void (*update_stats)(void *tower, const void *acts, size_t B);
    const part_ops *parts; /* NULL: it has none */
} image_ops;

/* The same for text towers. */
typedef struct text_ops {
    int (*make)(void **tower, const text_cfg *cfg, clipc_err *err);
    void (*destroy)(void *tower);
    int (*params)(void *tower, param_list *l, clipc_err *err);
    void (*init)(void *tower, rng *r); /* NULL: not trained */

    /* Memory for up to B texts of together up to `rows` tokens. */
    int (*acts_make)(void **acts, size_t *bytes, const void *tower, size_t B, size_t rows,
                     tower_mode mode, clipc_err *err);
    void (*acts_destroy)(void *acts);
    size_t (*scratch)(const void *tower);

    /* How many of a text's ids [context_length] are computed, at most: B of them are to
     * fit in `rows`. */
    size_t (*tokens)(const void *tower, const int32_t *ids);
    /* out [B,E], not normalised.  ids [B,context_length], each below vocab_size
     * (asserted). */
    void (*fwd)(exec *e, const void *tower, void *acts, float *out, const int32_t *ids,
                size_t B);
    void (*bwd)(exec *e, const void *tower, void *grads, void *acts, const float *dout,
                size_t B);
} text_ops;

extern const text_ops textnet_ops, bert_ops;

/* The form of a tower's weights in a mode. */
static inline weight_form tower_form(tower_mode mode, weight_form stored)
{
    return mode != TOWER_INFER       ? WEIGHTS_PLAIN
           : stored == WEIGHTS_PLAIN ? WEIGHTS_F32
                                     : stored;
}

extern const image_ops vit_ops, resnet_ops, convnext_ops, fastvit_ops, effnet_ops;
/* An EfficientNet with a head behind it (image_cfg.head). */
extern const image_ops headed_ops;

#endif
