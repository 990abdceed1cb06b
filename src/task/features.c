#include "task/features.h"

#include <stdlib.h>
#include <string.h>

#include "base/sizes.h"
#include "clip/model.h"

int features_chunk(float *out, clipc_ctx *c, const eval_set *v, size_t at, size_t n,
                   clipc_err *errs, clipc_err *err)
{
    const char *names[FEATURES_CHUNK];
    char *paths[FEATURES_CHUNK] = {0};
    span bytes[FEATURES_CHUNK];
    int rc = CLIPC_OK;

    for (size_t i = 0; rc == CLIPC_OK && i < n; i++) {
        const eval_sample *s = &v->samples[at + i];
        const bool beside = !s->picture.data && *s->name != '/';
        bytes[i] = s->picture;
        if (beside && !(paths[i] = path_join(v->folder, s->name)))
            rc = clipc_fail_memory(err, v->path, strlen(s->name));
        names[i] = paths[i] ? paths[i] : s->name;
    }
    if (rc == CLIPC_OK) rc = encode_pictures(c, out, names, bytes, n, errs, err);
    for (size_t i = 0; i < n; i++) free(paths[i]);
    return rc;
}

void features_tell(features_progress *p, const clipc_err *errs, size_t n)
{
    for (size_t i = 0; p->on_failed && i < n; i++)
        if (errs[i].code != CLIPC_OK) p->on_failed(p->user, &errs[i]);
    p->done += n;
    if (p->on) p->on(p->user, p->done, p->total);
}

int features_all(float *out, bool *failed, clipc_ctx *c, const eval_set *v,
                 features_progress *p, clipc_err *err)
{
    const size_t E = c->m->info.embed_dim;
    clipc_err errs[FEATURES_CHUNK];
    size_t bad = 0;
    int rc = CLIPC_OK;

    for (size_t i = 0; rc == CLIPC_OK && i < v->n; i += FEATURES_CHUNK) {
        const size_t n = min_size(v->n - i, FEATURES_CHUNK);
        rc = features_chunk(out + i * E, c, v, i, n, errs, err);
        for (size_t k = 0; rc == CLIPC_OK && k < n; k++) {
            failed[i + k] = errs[k].code != CLIPC_OK;
            if (failed[i + k]) memset(out + (i + k) * E, 0, E * sizeof *out);
            if (failed[i + k] && ++bad == v->n)
                rc = clipc_fail(err, errs[k].code, "%s", errs[k].msg);
        }
        if (rc == CLIPC_OK) features_tell(p, errs, n);
    }
    return rc;
}
