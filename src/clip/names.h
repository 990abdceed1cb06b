/* clip/names.h -- how checkpoints spell their tensors.  Inside, parameters have
 * open_clip's (OpenAI's) names; this file alone knows the others. */
#ifndef CLIPC_CLIP_NAMES_H
#define CLIPC_CLIP_NAMES_H

#include "clip/config.h"
#include "io/tensor_file.h"

enum { NAME_MAX_LEN = 160 };

/* Whose names the towers have.  Which that is, the tensors of a file say. */
typedef enum spelling {
    SPELLING_OPENAI,
    SPELLING_HF,
    SPELLING_TIMM,
    SPELLING_GGUF, /* clip.cpp's */
    SPELLING_BERT,
    SPELLING_DISTILBERT,
    SPELLING_EFFNET /* efficientnet_pytorch's and its relatives': of ImageNet models */
} spelling;
/* timm: q, k and v together; with biases of q and v alone; apart, and a gated MLP;
 * ViTamin's gated MLP. */
typedef enum timm_block { TIMM_VIT, TIMM_EVA, TIMM_EVA02, TIMM_VITAMIN } timm_block;
typedef struct naming {
    spelling image, text;
    /* What stands in front of OpenAI's names: "text." in open_clip's custom_text,
     * TinyCLIP's towers each in a module of its own. */
    const char *image_prefix, *text_prefix, *scale_prefix;
    size_t first_positions; /* Long-CLIP: rows of positional_embedding that count; the
                               others are those of positional_embedding_res */
    bool timm_head;         /* timm: its own classifier is the projection */
    bool scales_listed;     /* logit_scale and logit_bias have a dimension, of 1 */
    bool timm_fc_norm;      /* timm: the last norm, where it is behind the pooling */
    timm_block block;       /* timm: how its blocks spell the parts that differ */
    bool ffn_swapped; /* GGUF: ffn_up is the first layer (clip.cpp's is the second) */
    const char *bert, *proj; /* what BERT's names and its projection's begin with */
    size_t stage_ends[IMAGE_STAGES]; /* EFFNET, which numbers blocks through: the number
                                        behind each stage's last */
} naming;

naming naming_of_file(const tensor_file *f);
/* What a model is written with. */
naming naming_of_config(const clip_cfg *cfg);

/* Where a parameter is stored: under one name, or as rows of several tensors, maybe
 * transposed (HF's projections). */
typedef struct stored_as {
    char names[3][NAME_MAX_LEN]; /* an empty one stands for zeros */
    size_t n; /* 3: equal parts (HF keeps q, k and v apart); 2: the second is twice the
                 first (q, and k with v, of timm's attention pool) */
    size_t first_rows; /* not 0: these many rows of the first tensor, the others of the
                          second, both of the whole shape */
    size_t lead;       /* dimensions of 1 that it has in front (timm's positions) */
    bool transposed;
} stored_as;

void names_of(stored_as *out, const char *name, const naming *n);

/* What a tensor that no model of clipc's uses is for, in a word, where checkpoints are
 * known to hold such; else NULL. */
const char *names_spare(const char *name);

/* How many of n rows or numbers tensor i holds. */
static inline size_t stored_part(const stored_as *s, size_t i, size_t n)
{
    return s->n == 2 ? n / 3 * (i + 1) : n / s->n;
}

#endif
