/* clip/config.h -- what a checkpoint's JSON says of a model, in one struct. */
#ifndef CLIPC_CLIP_CONFIG_H
#define CLIPC_CLIP_CONFIG_H

#include "base/buf.h"
#include "base/json.h"
#include "image/preprocess.h"
#include "io/tensor_file.h"
#include "model/tower.h"
#include "tensor/dtype.h"
#include "text/bpe.h"

enum { CLIP_TEMPLATES = 128 };

typedef enum clip_layout { LAYOUT_OPEN_CLIP, LAYOUT_HF } clip_layout;

typedef struct clip_cfg {
    clip_layout layout;
    bool custom_text;       /* open_clip: the text tower's names begin with "text." */
    bool no_image, no_text; /* one tower alone */
    bool no_logit_scale;    /* none is stored: 100 is taken, where OpenAI's ended */
    bool logit_bias;        /* SigLIP: logits get a bias */
    bool foreign_tokens;    /* its texts are not OpenAI's byte pairs */
    char tokenizer[64];     /* what they are, for messages */
    bpe_rules token_rules;  /* of a tokenizer of byte pairs without files of its own; what
                               open_clip does to a text in front of any other */
    bool strip_sep;         /* open_clip's strip_sep_token: that token becomes 0 */
    char timm[64];     /* name of the timm tower inside an open_clip model, or empty */
    char hf_model[64]; /* name of its Hugging Face text tower, or empty */
    image_cfg image;
    text_cfg text;
    preprocess_cfg preprocess;
    char *templates[CLIP_TEMPLATES]; /* default prompt templates, each with one "{}" */
    size_t n_templates;
    float min_score; /* clipc_measure_min_score; 0: not measured */
} clip_cfg;

void clip_cfg_free(clip_cfg *cfg);

/* open_clip's model_cfg object (with open_clip's own defaults for what is missing) and
 * preprocess_cfg (NULL allowed).  Switches that this build does not know are errors that
 * name the key.  `where` is for messages. */
int config_open_clip(clip_cfg *out, const json_t *model, const json_t *preprocess,
                     const char *where, clipc_err *err);
/* A whole open_clip_config.json: model_cfg, preprocess_cfg and, of our own, "templates"
 * and "min_score". */
int config_open_clip_file(clip_cfg *out, const char *path, clipc_err *err);

/* The same, parsed already. */
int config_open_clip_root(clip_cfg *out, const json_t *root, const char *where,
                          clipc_err *err);
/* What the names and shapes of OpenAI's tensors imply.  Heads have 64 channels and the
 * activation is QuickGELU, as in all of OpenAI's models. */
int config_from_weights(clip_cfg *cfg, const tensor_file *f, const char *where,
                        clipc_err *err);

/* clip.cpp's GGUF metadata. */
int config_gguf(clip_cfg *cfg, const json_t *meta, const char *where, clipc_err *err);
/* The sizes of a BERT text tower, which no config of CLIP's tells, from its tensors. */
int config_bert_sizes(clip_cfg *cfg, const tensor_file *f, const char *where,
                      clipc_err *err);
/* A sentence-transformers folder's own words about its text tower: config.json of BERT's
 * family, sentence_bert_config.json and 1_Pooling/config.json. */
int config_sentence(clip_cfg *cfg, const json_t *bert, const json_t *limits,
                    const json_t *pooling, const char *where, clipc_err *err);

/* Adds a JSON list of templates (NULL: none). */
int config_templates(clip_cfg *cfg, const json_t *list, const char *where,
                     clipc_err *err);

/* What clipc adds to the root of either layout's config: "templates" and "min_score". */
int config_extras(clip_cfg *cfg, const json_t *root, const char *where, clipc_err *err);

/* Hugging Face's config.json for CLIP; preprocessor_config.json of the same folder, if it
 * is there, gives mean, std and size. */
int config_hf_files(clip_cfg *out, const char *config, const char *preprocessor,
                    clipc_err *err);

/* Sets the layout, and what only its files name.  CLIPC_ERR_FEATURE says that it does not
 * hold such a model. */
int config_lay_out(clip_cfg *cfg, clip_layout layout, const char *where, clipc_err *err);

/* Of clipc's own format (FORMAT.md), as files say it. */
#define OWN_FORMAT_VERSION "2"

/* The JSON text of each file; clipc's own format holds any model. */
int config_write_own(buf *out, const clip_cfg *cfg, clipc_err *err);
int config_write_open_clip(buf *out, const clip_cfg *cfg, clipc_err *err);
int config_write_hf(buf *config, buf *preprocessor, const clip_cfg *cfg, clipc_err *err);

/* "{}" once, and nothing that would surprise; CLIPC_ERR_ARG names the template. */
int template_check(const char *text, clipc_err *err);
/* Appends what it makes of a label. */
int template_fill(buf *out, const char *text, const char *label, clipc_err *err);

#endif
