/* clip/net.h -- both towers and the temperature: one list of parameters, one block of
 * memory.  What training and inference share. */
#ifndef CLIPC_CLIP_NET_H
#define CLIPC_CLIP_NET_H

#include "clip/source.h"
#include "clip/tokens.h"
#include "model/textnet.h"
#include "tensor/dtype.h"

typedef struct net {
    clip_cfg cfg;         /* templates belong to whoever made the config */
    const image_ops *ops; /* NULL, as image: it has no image tower */
    void *image;
    const text_ops *text_ops; /* NULL, as text: it has no text tower */
    void *text;
    float *logit_scale; /* the logarithm, as stored */
    float *logit_bias;  /* NULL unless the model has one */
    param_list params;
    dtype stored;     /* net_open: the weights' type in the file; DT_COUNT if several */
    weight_form form; /* of the weights in memory */
    /* net_open: what the file's positions were interpolated from; 0: they were not. */
    size_t stored_grid[2], stored_context;
    arena mem;           /* beside `mapped`: the interpolated positions */
    tensor_file *mapped; /* instead of mem: the file whose bytes the parameters are */
} net;

/* Towers for cfg with zeroed memory behind every parameter; packed for TOWER_INFER.  For
 * gradients make a second one.  Free with net_free. */
int net_make(net **out, const clip_cfg *cfg, tower_mode mode, clipc_err *err);
void net_free(net *n);

/* Random weights; logit_scale and logit_bias stay as they are. */
void net_init(net *n, rng *r);

/* The same without memory: the parameters' pointers are not set; and the memory then,
 * net_bytes of it. */
int net_shape(net **out, const clip_cfg *cfg, tower_mode mode, clipc_err *err);
int net_room(net *n, clipc_err *err);
size_t net_bytes(const net *n);

/* A net with the weights of a source, positions interpolated where they are for another
 * size (clip/positions.h).  Missing tensors, wrong shapes and NaN or infinite
 * weights are errors that name file and tensor.  clipc's own files are mapped for
 * inference, and the net keeps what the source had mapped. */
int net_open(net **out, model_source *s, tower_mode mode, const kernels *k,
             clipc_err *err);

/* A tensor that a parameter, or a part of it, is stored as. */
typedef struct net_tensor {
    const param *p;
    const char *name;
    const tensor *t; /* NULL: there is none of that name */
    int rc;          /* CLIPC_OK, or why it cannot be loaded, which err then tells */
} net_tensor;

/* Calls on(user, t, err) for all that a net (net_shape) wants of its source, before
 * anything is loaded, until that returns another than CLIPC_OK, which is then returned.
 */
typedef int net_tensor_fn(void *user, const net_tensor *t, clipc_err *err);
int net_tensors(net *n, const model_source *s, net_tensor_fn *on, void *user,
                clipc_err *err);

/* to [cols,rows] = from [rows,cols], transposed. */
void weights_transpose(float *to, const float *from, size_t rows, size_t cols);

/* Plain values of a parameter into a form: *to holds param_bytes(p, form). */
void weights_place(void *to, const param *p, const float *plain, weight_form form,
                   const kernels *k);

/* The other way: plain [p->n]. */
void weights_unpack(float *plain, const param *p, const void *packed, weight_form form,
                    const kernels *k);

/* Writes config and weights (plain ones: not TOWER_INFER) into a folder, in the layout of
 * cfg.layout (config_lay_out), and the tokenizer's files; of OpenAI's (NULL), those that
 * transformers wants. */
int net_save(const net *n, const char *folder, dtype stored, const token_files *tokens,
             const kernels *k, clipc_err *err);

/* Writes a net (plain weights) as one file of clipc's own format, FORMAT.md.  `about`:
 * strings for the header (license, origin), or NULL.  tokens: as above. */
int net_save_packed(const net *n, const char *path, weight_form form, const json_t *about,
                    const token_files *tokens, const kernels *k, clipc_err *err);

#endif
