/* clip/config_own.h -- the towers' configs as they are, member by member, for clipc's own
 * format: what open_clip's keys cannot say.  The key is the member's name; what is zero
 * is left out. */
#ifndef CLIPC_CLIP_CONFIG_OWN_H
#define CLIPC_CLIP_CONFIG_OWN_H

#include "clip/config.h"

json_t *own_image_json(const image_cfg *c);
json_t *own_text_json(const text_cfg *c);

/* All members: zero where `o` has no key.  An unknown key or a value out of range is
 * CLIPC_ERR_FORMAT. */
int own_image_read(image_cfg *c, const json_t *o, const char *where, clipc_err *err);
int own_text_read(text_cfg *c, const json_t *o, const char *where, clipc_err *err);

#endif
