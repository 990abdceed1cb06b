/* train/groups.h -- the groups of layers that a tower's parameters belong to, counted
 * from its input as open_clip does when it locks a tower (transformer.py lock):
 *
 *   ViT, text   0 what embeds pixels or tokens (with ln_pre); 1 to L the L blocks, the
 *               last with the norm behind it; L+1 the projection
 *   ResNet      0 the stem; 1 to n the n bottlenecks; n+1 the attention pool
 *   in parts    0 the first part (model/tower.h), 1 the second: what stands behind a
 *               trunk, but for the classifier, which is the trunk's
 *   others      0 everything
 *
 * What of a tower learns, and how fast, is said by group: the first `locked` of them
 * (model/tower.h) do not. */
#ifndef CLIPC_TRAIN_GROUPS_H
#define CLIPC_TRAIN_GROUPS_H

#include "clip/config.h"
#include "nn/param.h"

typedef enum tower_side { SIDE_NONE, SIDE_IMAGE, SIDE_TEXT } tower_side;

/* Of which tower a parameter is; the temperature is of none. */
tower_side group_side(const param *p);
/* How many groups a tower has. */
size_t group_count(const clip_cfg *c, tower_side side);
/* Which is a parameter's. */
size_t group_of(const clip_cfg *c, const param *p);

/* Whether it changes in training: no running statistic, and of no locked group. */
bool group_learns(const clip_cfg *c, const param *p);
/* Whether it is (part of) the projection behind a tower. */
bool group_is_head(const param *p);

/* Whether all of a tower is locked. */
bool group_all_locked(const clip_cfg *c, tower_side side);
/* Whether a tower is one of two parts, and whether what does not learn can be kept: the
 * features of all of a tower, or those of the first part. */
bool group_in_parts(const clip_cfg *c, tower_side side);
bool group_kept(const clip_cfg *c, tower_side side);
/* Of such a tower: whether the first part's features depend on it. */
bool group_in_first(const param *p);

#endif
