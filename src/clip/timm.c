#include "clip/timm.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "clip/config_parts.h"

/* Sets what all towers of a kind have in common; the size of a head by its row. */
typedef void facts(image_cfg *c);

static void clip_facts(image_cfg *c)
{
    c->eps = 1e-5f;
}

static void siglip_facts(image_cfg *c)
{
    c->pooler = true;
    c->pooler_form = POOLER_SIGLIP;
    c->pooler_queries = 1;
}

/* The residual post-norm of EVA-02's largest. */
static void eva_e_facts(image_cfg *c)
{
    c->extras.post_norm = true;
}

static void eva02_facts(image_cfg *c)
{
    c->extras.glu = c->extras.scale_attn_inner = c->extras.scale_fc = true;
}

/* Perception Encoder (arXiv:2504.13181) */
static void pe_g_facts(image_cfg *c)
{
    siglip_facts(c);
    c->eps = 1e-5f;
    c->pooler_heads = 8;
    c->rope_xy = true;
}

static void pe_facts(image_cfg *c)
{
    pe_g_facts(c);
    c->rope_offset = 1.0f;
}

/* The first row whose name begins a tower's. */
static const struct kind {
    const char *name, *pool; /* timm_pool */
    size_t head_width;
    act act;
    facts *set;      /* NULL: nothing more */
    size_t rope_ref; /* the grid that it was trained on, or EVA-02's reference */
} kinds[] = {
    {"vit_large_patch14_clip_224", "token", 64, ACT_GELU, clip_facts, 0},
    {"vit_base_patch16_siglip_", "map", 64, ACT_GELU, siglip_facts, 0},
    {"vit_base_patch32_siglip_", "map", 64, ACT_GELU_TANH, siglip_facts, 0},
    {"vit_large_patch16_siglip_512", "map", 64, ACT_GELU_TANH, siglip_facts, 0},
    {"vit_large_patch16_siglip_", "map", 64, ACT_GELU, siglip_facts, 0},
    {"vit_so400m_patch14_siglip_", "map", 72, ACT_GELU, siglip_facts, 0},
    {"vit_so400m_patch16_siglip_", "map", 72, ACT_GELU_TANH, siglip_facts, 0},
    {"vit_giantopt_patch16_siglip_", "map", 96, ACT_GELU_TANH, siglip_facts, 0},
    {"eva_giant_patch14_", "token", 88, ACT_GELU, NULL, 0},
    {"eva02_base_patch16_clip_", "token", 64, ACT_SILU, eva02_facts, 16},
    {"eva02_large_patch14_clip_", "token", 64, ACT_SILU, eva02_facts, 16},
    {"eva02_enormous_patch14_clip_", "token", 112, ACT_GELU, eva_e_facts, 0},
    {"vit_pe_core_base_patch16_", "map", 64, ACT_GELU, pe_facts, 14},
    {"vit_pe_core_gigantic_patch14_", "map", 96, ACT_GELU, pe_g_facts, 32},
    {"vit_pe_core_", "map", 64, ACT_GELU, pe_facts, 24},
};

static const struct kind *kind_of(const char *name)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strncmp(name, kinds[i].name, strlen(kinds[i].name)) == 0) return &kinds[i];
    return NULL;
}

int timm_facts(clip_cfg *cfg, const json_t *vision, const char *name, const char *where,
               clipc_err *err)
{
    const char *pool = "avg",
               *proj = json_string_value(json_object_get(vision, "timm_proj"));
    const struct kind *k = kind_of(name);
    image_cfg *c = &cfg->image;
    bool bias = false;
    int rc = json_get_bool(&bias, vision, "timm_proj_bias", where, err);

    if (!k || strlen(name) >= sizeof cfg->timm)
        return clipc_fail(err, CLIPC_ERR_FEATURE,
                          "%s: the timm tower \"%.60s\" is not supported", where, name);
    if (rc == CLIPC_OK) rc = json_get_string(&pool, vision, "timm_pool", where, err);
    if (rc == CLIPC_OK && strcmp(pool, k->pool) != 0)
        rc = clipc_fail(err, CLIPC_ERR_FEATURE, "%s: timm_pool \"%.20s\" of %s", where,
                        pool, name);
    strcpy(cfg->timm, name);
    c->act = k->act;
    c->eps = 1e-6f;
    c->rope_ref = k->rope_ref;
    if (k->set) k->set(c);
    /* Without a word about it timm's own classifier projects, which has a bias. */
    c->proj = PROJ_LINEAR_BIAS;
    if (proj && strcmp(proj, "none") == 0) c->proj = PROJ_NONE;
    else if (proj && strcmp(proj, "linear") == 0)
        c->proj = bias ? PROJ_LINEAR_BIAS : PROJ_LINEAR;
    else if (proj && *proj && rc == CLIPC_OK)
        rc = clipc_fail(err, CLIPC_ERR_FEATURE,
                        "%s: timm_proj \"%.20s\" is not supported", where, proj);
    return rc;
}

/* timm's SigLIPs; open_clip's config gives a tower's name, and that its image size. */
static const struct {
    const char *name;
    size_t patch_size, width, layers, mlp_width, image_size[4];
} siglips[] = {
    {"vit_base_patch16_siglip_", 16, 768, 12, 3072, {224, 256, 384, 512}},
    {"vit_base_patch32_siglip_", 32, 768, 12, 3072, {256}},
    {"vit_large_patch16_siglip_", 16, 1024, 24, 4096, {256, 384, 512}},
    {"vit_so400m_patch14_siglip_", 14, 1152, 27, 4304, {224, 378, 384}},
    {"vit_so400m_patch16_siglip_", 16, 1152, 27, 4304, {256, 384, 512}},
    {"vit_giantopt_patch16_siglip_", 16, 1536, 40, 6144, {256, 384}},
};

void timm_name_siglip(clip_cfg *cfg)
{
    const image_cfg *c = &cfg->image;
    char name[sizeof cfg->timm];

    for (size_t i = 0; i < sizeof siglips / sizeof siglips[0]; i++)
        for (size_t k = 0; k < 4 && siglips[i].image_size[k]; k++) {
            snprintf(name, sizeof name, "%s%zu", siglips[i].name,
                     siglips[i].image_size[k]);
            const struct kind *of = kind_of(name);
            if (c->image_size == siglips[i].image_size[k] &&
                c->patch_size == siglips[i].patch_size && c->width == siglips[i].width &&
                c->layers == siglips[i].layers && c->mlp_width == siglips[i].mlp_width &&
                c->heads == c->width / of->head_width && c->act == of->act &&
                fabsf(c->eps - 1e-6f) < 1e-9f)
                strcpy(cfg->timm, name);
        }
}

timm_block timm_block_of(const clip_cfg *cfg)
{
    if (strncmp(cfg->timm, "eva", 3) != 0) return TIMM_VIT;
    return cfg->image.extras.glu ? TIMM_EVA02 : TIMM_EVA;
}

static size_t dim(const tensor_file *f, const char *name, size_t d)
{
    return tensor_dim(f, "visual.trunk.", name, d);
}

static void vit_sizes(image_cfg *c, const tensor_file *f, const struct kind *k)
{
    const char *fc1 =
        c->extras.glu ? "blocks.0.mlp.fc1_g.weight" : "blocks.0.mlp.fc1.weight";

    c->width = dim(f, "patch_embed.proj.weight", 0);
    c->patch_size = dim(f, "patch_embed.proj.weight", 3);
    c->conv1_bias = dim(f, "patch_embed.proj.bias", 0) > 0;
    c->no_class_token = dim(f, "cls_token", 2) == 0;
    c->no_ln_pre = dim(f, "norm_pre.weight", 0) == 0;
    c->layers = tensor_count(f, "visual.trunk.blocks.", ".norm1.weight");
    c->mlp_width = dim(f, fc1, 0);
    c->heads = c->width / k->head_width;
    if (!c->pooler) return;
    if (!c->pooler_heads) c->pooler_heads = c->heads;
    c->pooler_mlp_width = dim(f, "attn_pool.mlp.fc1.weight", 0);
}

void timm_sizes(clip_cfg *cfg, const tensor_file *f)
{
    const struct kind *k = kind_of(cfg->timm);

    if (k) vit_sizes(&cfg->image, f, k);
}
