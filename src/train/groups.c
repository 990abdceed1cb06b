#include "train/groups.h"

#include <stdio.h>
#include <string.h>

static bool begins(const char *name, const char *with)
{
    return strncmp(name, with, strlen(with)) == 0;
}

tower_side group_side(const param *p)
{
    if (begins(p->name, "logit_")) return SIDE_NONE;
    return begins(p->name, "visual.") ? SIDE_IMAGE : SIDE_TEXT;
}

static size_t bottlenecks(const image_cfg *c, size_t stages)
{
    size_t n = 0;

    for (size_t i = 0; i < stages && i < IMAGE_STAGES; i++) n += c->stages[i];
    return n;
}

bool group_in_parts(const clip_cfg *c, tower_side side)
{
    return side == SIDE_IMAGE && c->image.head.hidden > 0;
}

size_t group_count(const clip_cfg *c, tower_side side)
{
    if (group_in_parts(c, side)) return 2;
    if (side == SIDE_TEXT) return c->text.family == TEXT_CLIP ? c->text.layers + 2 : 1;
    if (side == SIDE_NONE) return 1;
    switch (c->image.family) {
    case IMAGE_VIT: return c->image.layers + 2;
    case IMAGE_RESNET: return bottlenecks(&c->image, IMAGE_STAGES) + 2;
    default: return 1;
    }
}

/* Behind "visual." where it is one of the image tower's. */
static const char *inner_name(const param *p)
{
    return p->name + (group_side(p) == SIDE_IMAGE ? strlen("visual.") : 0);
}

bool group_is_head(const param *p)
{
    static const char *const heads[] = {"proj", "head.", "text_projection",
                                        "attnpool.c_proj."};
    const char *name = inner_name(p);

    /* Made with the features that they are for. */
    if (begins(name, "head.classifier.") || begins(name, "head.classes.")) return false;
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++)
        if (begins(name, heads[i])) return true;
    return false;
}

size_t group_of(const clip_cfg *c, const param *p)
{
    const size_t top = group_count(c, group_side(p)) - 1;
    const char *name = inner_name(p);
    size_t a, b;

    if (top == 0) return 0;
    if (sscanf(name, "transformer.resblocks.%zu.", &a) == 1) return a + 1;
    if (sscanf(name, "layer%zu.%zu.", &a, &b) == 2)
        return bottlenecks(&c->image, a - 1) + b + 1;
    if (begins(name, "ln_post.") || begins(name, "ln_final.")) return top - 1;
    return group_is_head(p) || begins(name, "attnpool.") ? top : 0;
}

static size_t locked(const clip_cfg *c, tower_side side)
{
    return side == SIDE_IMAGE ? c->image.locked : side == SIDE_TEXT ? c->text.locked : 0;
}

bool group_learns(const clip_cfg *c, const param *p)
{
    return p->kind != PARAM_STAT && group_of(c, p) >= locked(c, group_side(p));
}

bool group_all_locked(const clip_cfg *c, tower_side side)
{
    return locked(c, side) >= group_count(c, side);
}

bool group_in_first(const param *p)
{
    const char *name = inner_name(p);
    return !begins(name, "head.");
}

bool group_kept(const clip_cfg *c, tower_side side)
{
    return locked(c, side) >= group_count(c, side) - group_in_parts(c, side);
}
