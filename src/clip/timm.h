/* clip/timm.h -- timm's image towers inside open_clip's models.  A config tells no more
 * of one than its name: what the name stands for is listed here; all sizes are read off
 * the tensors, where there are some (EfficientNet-Lites are trained from their names). */
#ifndef CLIPC_CLIP_TIMM_H
#define CLIPC_CLIP_TIMM_H

#include "clip/names.h"

/* Family, activation, epsilon and how it ends, from vision_cfg; CLIPC_ERR_FEATURE names a
 * tower that is not supported. */
int timm_facts(clip_cfg *cfg, const json_t *vision, const char *name, const char *where,
               clipc_err *err);

/* timm_pool of a cfg's timm tower. */
const char *timm_pool_of(const clip_cfg *cfg);

/* Names the timm tower that a SigLIP of another layout is, by its sizes; leaves cfg->timm
 * empty if there is none. */
void timm_name_siglip(clip_cfg *cfg);

/* How the blocks of a cfg's timm tower are spelled. */
timm_block timm_block_of(const clip_cfg *cfg);

/* The sizes, for a cfg that timm_facts filled.  What is not there becomes 0, which the
 * tower refuses. */
void timm_sizes(clip_cfg *cfg, const tensor_file *f);

#endif
