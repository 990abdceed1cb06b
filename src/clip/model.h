/* clip/model.h -- the public model and context from inside. */
#ifndef CLIPC_CLIP_MODEL_H
#define CLIPC_CLIP_MODEL_H

#include "clip/net.h"
#include "clip/tokens.h"

struct clipc_model {
    net *n;
    model_source source; /* its config; closed but for that */
    const kernels *k;    /* whose packing the weights have */
    tokenizer tokens;
    bool lent; /* source and tokens are somebody else's */
    clipc_model_info info;
};

/* What a thread needs to make pixels of a picture. */
typedef struct picture_work {
    resize_work resize;
    buf file;
    uint8_t *crop; /* [H,W,3] */
} picture_work;

struct clipc_ctx {
    const clipc_model *m;
    clipc_ctx_options options;
    exec *e;
    void *image_acts;
    void *text_acts;
    arena mem;
    float *pixels;          /* [B,3,H,W] */
    picture_work *pictures; /* [threads] */
    int32_t *ids;           /* [B,context_length] */
    text_span *texts;       /* [B] */
    float *windows;         /* [B,embed_dim] of a long text */
    tokens_work tokens;
    buf text;
};

/* A model of a copy of the weights (plain ones) that a net has now.  Its config and the
 * tokenizer are the net's and the caller's, who keep them as long. */
int model_of_net(clipc_model **out, const net *n, const tokenizer *t, clipc_err *err);

/* Bytes of that and of a context of default options but for its threads. */
int model_of_net_bytes(size_t *bytes, const net *n, const tokenizer *t, size_t threads,
                       clipc_err *err);

/* Bytes of a context's activations and buffers, where m's net needs no memory. */
int ctx_bytes(size_t *bytes, const clipc_model *m, const clipc_ctx_options *options,
              clipc_err *err);

/* clipc_encode_image_files, of pictures in memory too: bytes [n], where one has no
 * data or bytes is NULL, the name is a file's path. */
int encode_pictures(clipc_ctx *c, float *out, const char *const *names, const span *bytes,
                    size_t n, clipc_err *errs, clipc_err *err);

#endif
