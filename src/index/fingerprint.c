#include "index/fingerprint.h"

#include <inttypes.h>
#include <stdio.h>
#include <xxhash.h>

#include "base/sizes.h"
#include "clip/model.h"

enum { PLACES = 4, SAMPLE = 64 }; /* samples of a tensor, and their bytes */

static void add_weights(XXH3_state_t *h, const net *n)
{
    for (size_t i = 0; i < n->params.n; i++) {
        const param *p = &n->params.v[i];
        const size_t bytes = param_bytes(p, n->form), part = min_size(bytes, SAMPLE);
        const char *data = (const char *)*p->slot;
        XXH3_128bits_update(h, p->name, sizeof p->name);
        for (size_t k = 0; data && k < PLACES; k++)
            XXH3_128bits_update(h, data + (bytes - part) / (PLACES - 1) * k, part);
    }
}

int fingerprint_of(char out[FINGERPRINT_HEX], const clipc_ctx *c, clipc_err *err)
{
    const clipc_ctx_options *o = &c->options;
    const int options[] = {o->auto_orient, o->raw, o->precision, o->fast_decode};
    clip_cfg cfg = c->m->source.cfg;
    XXH3_state_t *h = XXH3_createState();
    buf text = {0};
    int rc = h ? CLIPC_OK : clipc_fail_memory(err, "fingerprint", sizeof options);

    cfg.n_templates = 0;  /* these are of texts alone */
    cfg.min_score = 0.0f; /* and this of searches */
    if (rc == CLIPC_OK) rc = config_write_own(&text, &cfg, err);
    if (rc == CLIPC_OK) {
        XXH3_128bits_reset(h);
        XXH3_128bits_update(h, text.data, text.len);
        XXH3_128bits_update(h, options, sizeof options);
        add_weights(h, c->m->n);
        const XXH128_hash_t x = XXH3_128bits_digest(h);
        snprintf(out, FINGERPRINT_HEX, "%016" PRIx64 "%016" PRIx64, x.high64, x.low64);
    }
    XXH3_freeState(h);
    buf_free(&text);
    return rc;
}
