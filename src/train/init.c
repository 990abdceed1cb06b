#include "train/init.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "clip/find.h"
#include "train/groups.h"

/* The model as a source of what its towers become here. */
static int open_source(model_source *s, const init_cfg *i, clipc_err *err)
{
    const clipc_open_options o = {.image_size = i->image_size};
    char *found = NULL;
    int rc = find_model(&found, i->model, err);

    *s = (model_source){0};
    if (rc == CLIPC_OK) rc = source_open_as(s, found, &o, err);
    if (rc == CLIPC_OK && i->context_length)
        rc = source_set_context(s, i->context_length, err);
    free(found);
    return rc;
}

static int check_towers(const model_source *s, const init_cfg *i, clipc_err *err)
{
    if ((i->new_image_head && group_in_parts(&s->cfg, SIDE_IMAGE)) ||
        (i->new_text_head && group_in_parts(&s->cfg, SIDE_TEXT)))
        return clipc_fail(err, CLIPC_ERR_FEATURE,
                          "%s: a head of several layers is not drawn anew", s->path);
    if (s->cfg.no_image || s->cfg.no_text)
        return clipc_fail(err, CLIPC_ERR_FEATURE,
                          "%s: has no %s tower: it cannot be trained", s->path,
                          s->cfg.no_image ? "image" : "text");
    return CLIPC_OK;
}

static int copy_tokenizer(tokenizer *t, token_files *files, model_source *s,
                          clipc_err *err)
{
    const int rc = tokenizer_copy(t, files, s, "open_clip", err);

    files->source = NULL; /* what is needed of it was read */
    if (rc != CLIPC_OK || tokenizer_size(t)) return rc;
    return clipc_fail(err, CLIPC_ERR_FEATURE,
                      "%s: its tokenizer, %s, is not supported: it cannot be trained",
                      s->path, t->name);
}

int init_config(clip_cfg *cfg, tokenizer *t, token_files *files, const init_cfg *i,
                clipc_err *err)
{
    model_source s;
    int rc = open_source(&s, i, err);

    if (rc == CLIPC_OK) rc = check_towers(&s, i, err);
    if (rc == CLIPC_OK) rc = copy_tokenizer(t, files, &s, err);
    if (rc == CLIPC_OK) rc = config_lay_out(&s.cfg, LAYOUT_OPEN_CLIP, s.path, err);
    if (rc == CLIPC_OK) rc = token_files_tell(files, &s.cfg, err);
    if (rc == CLIPC_OK) {
        *cfg = s.cfg;
        cfg->min_score = 0.0f; /* of weights that are about to change */
        s.cfg = (clip_cfg){0};
        cfg->no_logit_scale = false;
        if (i->embed_dim) cfg->image.embed_dim = cfg->text.embed_dim = i->embed_dim;
    }
    source_close(&s);
    return rc;
}

static bool is_new(const param *p, const init_cfg *i)
{
    if (strncmp(p->name, "logit_", 6) == 0) return i->new_bias;
    return group_is_head(p) &&
           (group_side(p) == SIDE_IMAGE ? i->new_image_head : i->new_text_head);
}

/* A projection of K numbers: as both towers begin theirs; a bias at zero. */
static void draw_head(const param *p, rng *r)
{
    const size_t K = p->n_dims == 2 ? p->dims[strstr(p->name, "weight") != NULL] : 0;

    if (K) rng_fill_normal(r, *p->slot, p->n, 0.0f, 1.0f / sqrtf((float)K));
}

static int take(const param *p, const net *from, const model_source *s, clipc_err *err)
{
    const param *q = param_find(&from->params, p->name);

    if (!q || q->n != p->n)
        return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: %s: %zu numbers, wanted %zu",
                          s->path, p->name, q ? q->n : 0, p->n);
    memcpy(*p->slot, *q->slot, p->n * sizeof(float));
    return CLIPC_OK;
}

int init_weights(net *n, const init_cfg *i, const logit_start *logits, rng *r,
                 const kernels *k, clipc_err *err)
{
    model_source s;
    net *from = NULL;
    int rc;

    *n->logit_scale = logits->scale;
    if (n->logit_bias) *n->logit_bias = logits->bias;
    if (!i->model) return net_init(n, r), CLIPC_OK;
    rc = open_source(&s, i, err);
    if (rc == CLIPC_OK) rc = net_open(&from, &s, TOWER_EVAL, k, err);
    for (size_t at = 0; rc == CLIPC_OK && at < n->params.n; at++) {
        const param *p = &n->params.v[at];
        if (is_new(p, i)) draw_head(p, r);
        else rc = take(p, from, &s, err);
    }
    net_free(from);
    source_close(&s);
    return rc;
}
