/* nn/block.h -- the residual attention block of both of CLIP's transformers (pre-norm;
 * openai/CLIP clip/model.py ResidualAttentionBlock), over N rows of C channels:
 *
 *   x += ls_1 * ln_attn(attn.out_proj(ln_inner(attention(attn.in_proj(ln_1(x))))))
 *   x += ls_2 * mlp.c_proj(mlp.ln(act(mlp.c_fc(ln_2(x)))))
 *
 * OpenAI's block has none of ls, ln_attn, ln_inner and mlp.ln; a config may ask for each
 * of them (open_clip transformer.py CustomResidualAttentionBlock), and for q and k to be
 * normalised.  EVA's blocks (timm eva.py) may turn q and k by their place (rope), gate
 * the MLP, act(c_fc(h)) * c_fc_x(h), or have ln_1 and ln_2 behind the branches instead.
 * None of these is trained. */
#ifndef CLIPC_NN_BLOCK_H
#define CLIPC_NN_BLOCK_H

#include "base/arena.h"
#include "base/rng.h"
#include "nn/onequery.h"
#include "nn/param.h"
#include "nn/seqs.h"

typedef struct block {
    float *ln_1_w, *ln_1_b; /* [C] */
    float *qkv_w, *qkv_b;   /* [3C,C], [3C] */
    float *out_w, *out_b;   /* [C,C], [C] */
    float *ln_2_w, *ln_2_b; /* [C] */
    float *fc_w, *fc_b;     /* [F,C], [F] */
    float *proj_w, *proj_b; /* [C,F], [C] */
    /* NULL unless the config has them */
    float *ls_1, *ls_2;             /* [C] */
    float *ln_q_w, *ln_q_b;         /* [D] of each head's q, and k */
    float *ln_k_w, *ln_k_b;         /* [D] */
    float *head_scale;              /* [H,1,1] of the heads' outputs */
    float *ln_inner_w, *ln_inner_b; /* [C] */
    float *ln_attn_w, *ln_attn_b;   /* [C] */
    float *ln_fc_w, *ln_fc_b;       /* [F] */
    float *fc_x_w, *fc_x_b;         /* [F,C], [F] what the gate multiplies */
    float *ln_mlp_w, *ln_mlp_b;     /* [C] */
} block;

/* Members that open_clip's switches of the same names add; EVA's; ViTamin's. */
typedef struct block_extras {
    bool ls, qk_norm, scale_heads, scale_attn_inner, scale_attn, scale_fc;
    bool glu;       /* a gated MLP */
    bool post_norm; /* ln_1 and ln_2 stand behind their branches */
    bool mlp_norm;  /* ViTamin's: the MLP begins with a norm of its own, behind ln_2 */
} block_extras;

bool block_extras_any(const block_extras *x);

/* What a stack of equal blocks needs to know. */
typedef struct block_cfg {
    size_t C, H, F;
    act act;
    float eps;
    bool causal;
    weight_form form; /* of the linear weights */
    block_extras extras;
    /* [T,C/H/2,2] the cosine and the sine by which each pair of a head's channels is
     * turned in q and k, for each place of a sequence (all of T tokens); NULL: none. */
    const float *rope;
} block_cfg;

/* Adds the parameters of one block under names prefix + "ln_1.weight" and so on. */
int block_params(block *blk, param_list *l, const char *prefix, const block_cfg *cfg,
                 clipc_err *err);

/* torch's and OpenAI's starting values: gains 1, biases 0, weights normal with the given
 * standard deviations.  For blocks without extras. */
typedef struct block_init_std {
    float qkv, out, fc, proj;
} block_init_std;
void block_init(block *blk, const block_cfg *cfg, const block_init_std *std, rng *r);

/* What one block's forward pass leaves for its backward pass.  At inference all blocks
 * share one, without the members marked T. */
typedef struct block_acts {
    float *x_in;                   /* T [N,C] the block's input */
    float *ln_1, *mean_1, *rstd_1; /* [N,C]; T [N]; T [N] */
    float *qkv;                    /* [N,3C] */
    float *p;                      /* T attention_saved */
    float *ctx;                    /* [N,C] attention's output before out_proj */
    float *x_mid;                  /* T [N,C] after the attention's residual */
    float *ln_2, *mean_2, *rstd_2;
    float *fc_pre;     /* T [N,F] before the activation */
    float *fc;         /* [N,F] */
    float *fc_x;       /* [N,F] of a gated MLP */
    float *q;          /* not T: [B,C] of block_fwd_rows */
    onequery_acts one; /* T of block_fwd_rows: block_rows_take */
} block_acts;

/* Takes the memory for up to N rows, in sequences of up to T tokens, B of them. */
void block_acts_take(block_acts *a, arena *mem, const block_cfg *cfg, size_t N, size_t B,
                     size_t T, bool train);

/* What block_fwd_rows leaves more for its backward pass. */
void block_rows_take(block_acts *a, arena *mem, const block_cfg *cfg, size_t N, size_t B);

/* The memory of `first`, to save in turns with it, but for the input. */
void block_acts_share(block_acts *a, arena *mem, const block_acts *first,
                      const block_cfg *cfg, size_t N);

/* Scratch of the backward pass, shared by all blocks. */
typedef struct block_work {
    float *d_wide; /* [N, max(3C,F)] */
    float *d_row;  /* [N,C] */
    float *part;   /* for rows_layernorm_bwd */
} block_work;
void block_work_take(block_work *w, arena *mem, const block_cfg *cfg, size_t N);

/* x [N,C] is updated in place. */
void block_fwd(exec *e, float *x, const block *blk, block_acts *a, const block_cfg *cfg,
               const seqs *s);

/* What block_fwd saved, again from the input that was saved. */
void block_fwd_again(exec *e, const block *blk, block_acts *a, const block_cfg *cfg,
                     const seqs *s);

/* y [B,C] = what it would make of one row of each sequence, without making all of the
 * others: rows [B], of causal sequences the last.  x may be used up. */
void block_fwd_rows(exec *e, float *y, float *x, const block *blk, block_acts *a,
                    const block_cfg *cfg, const seqs *s, const size_t *rows);

/* dx [N,C]: in, the gradient of the block's output; out, that of its input.  For blocks
 * without extras. */
void block_bwd(exec *e, float *dx, const block *blk, block *grad, const block_acts *a,
               block_work *w, const block_cfg *cfg, const seqs *s);

/* After block_fwd_rows.  dy [B,C]: the gradient of y, used up; dx [N,C]: that of x. */
void block_bwd_rows(exec *e, float *dx, float *dy, const block *blk, block *grad,
                    const block_acts *a, block_work *w, const block_cfg *cfg,
                    const seqs *s, const size_t *rows);

#endif
