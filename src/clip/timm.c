#include "clip/timm.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "clip/config_parts.h"
#include "model/vit_front.h"

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

static void convnext_facts(image_cfg *c)
{
    c->family = IMAGE_CONVNEXT;
}

static void convnext_xxlarge_facts(image_cfg *c)
{
    convnext_facts(c);
    c->eps = 1e-5f;
}

static void mci_facts(image_cfg *c)
{
    c->front = FRONT_MCI;
    c->no_class_position = true;
}

static void vitamin_facts(image_cfg *c)
{
    c->front = FRONT_VITAMIN;
    c->extras.glu = c->extras.mlp_norm = true;
    c->pool = POOL_AVG;
    c->ln_post_after_pool = true;
}

static void vitamin_xlarge_facts(image_cfg *c)
{
    vitamin_facts(c);
    c->no_positions = true;
}

static void fastvit_facts(image_cfg *c)
{
    c->family = IMAGE_FASTVIT;
    c->eps = 1e-5f;
    c->attention_stages = 1, c->squeeze_stages = 2;
}

static void fastvit_large_facts(image_cfg *c)
{
    fastvit_facts(c);
    c->attention_stages = 2, c->squeeze_stages = 0;
    c->layer_norm = true;
}

static void effnet_facts(image_cfg *c)
{
    c->family = IMAGE_EFFNET;
    c->eps = 1e-3f;
}

/* The first row whose name begins a tower's, up to the end of a word: convnext_large_mlp
 * is another tower than convnext_large. */
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
    {"convnext_tiny", "", 0, ACT_GELU, convnext_facts, 0},
    {"convnext_small", "", 0, ACT_GELU, convnext_facts, 0},
    {"convnext_base", "", 0, ACT_GELU, convnext_facts, 0},
    {"convnext_large", "", 0, ACT_GELU, convnext_facts, 0},
    {"convnext_xlarge", "", 0, ACT_GELU, convnext_facts, 0},
    {"convnext_xxlarge", "", 0, ACT_GELU, convnext_xxlarge_facts, 0},
    {"vit_base_mci_224", "token", 64, ACT_GELU, mci_facts, 0},
    {"vitamin_xlarge_", "", 72, ACT_GELU, vitamin_xlarge_facts, 0},
    {"vitamin_", "", 64, ACT_GELU, vitamin_facts, 0},
    {"fastvit_mci0", "avg", 32, ACT_GELU, fastvit_facts, 0},
    {"fastvit_mci1", "avg", 32, ACT_GELU, fastvit_facts, 0},
    {"fastvit_mci2", "avg", 32, ACT_GELU, fastvit_facts, 0},
    {"fastvit_mci3", "avg", 32, ACT_GELU, fastvit_large_facts, 0},
    {"fastvit_mci4", "avg", 32, ACT_GELU, fastvit_large_facts, 0},
    {"tf_efficientnet_lite", "avg", 0, ACT_RELU6, effnet_facts, 0},
};

static const struct kind *kind_of(const char *name)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        const char *own = kinds[i].name;
        const size_t n = strlen(own);
        if (strncmp(name, own, n) == 0 && (own[n - 1] == '_' || name[n] != '_'))
            return &kinds[i];
    }
    return NULL;
}

/* Lite0's sizes, and the coefficients that make the others' of them (tensorflow/tpu
 * efficientnet_lite_builder.py): the stem, the last convolution and the numbers of the
 * first and the last stage stay. */
static const struct {
    double width, depth;
} lites[] = {{1.0, 1.0}, {1.0, 1.1}, {1.1, 1.2}, {1.2, 1.4}, {1.4, 1.8}};

enum { LITES = sizeof lites / sizeof lites[0], LITE_STAGES = 7 };

/* The multiple of 8 that is nearest, but no more than a tenth below. */
static size_t lite_channels(size_t n, double width)
{
    const double x = (double)n * width;
    const size_t near = (size_t)(x + 4.0) / 8 * 8;

    return (double)near < 0.9 * x ? near + 8 : near;
}

/* False: there is no Lite of this name. */
static bool lite_sizes(image_cfg *c, const char *name)
{
    static const size_t blocks[LITE_STAGES] = {1, 2, 2, 3, 3, 4, 1};
    static const size_t dims[LITE_STAGES] = {16, 24, 40, 80, 112, 192, 320};
    const char *number = name + strlen("tf_efficientnet_lite");
    const size_t i = (size_t)(unsigned char)*number - '0'; /* below wraps beyond any */

    if (i >= LITES || (number[1] && number[1] != '.')) return false;
    c->width = 32, c->features = 1280;
    for (size_t s = 0; s < LITE_STAGES; s++) {
        const bool kept = s == 0 || s == LITE_STAGES - 1;
        c->dims[s] = lite_channels(dims[s], lites[i].width);
        c->stages[s] =
            kept ? blocks[s] : (size_t)ceil(lites[i].depth * (double)blocks[s]);
    }
    return true;
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
    if (c->family == IMAGE_EFFNET && !lite_sizes(c, name) && rc == CLIPC_OK)
        rc = clipc_fail(err, CLIPC_ERR_FEATURE, "%s: there is no %s", where, name);
    /* Without a word about it timm's own classifier projects, which has a bias. */
    c->proj = PROJ_LINEAR_BIAS;
    if (proj && strcmp(proj, "none") == 0) c->proj = PROJ_NONE;
    else if (proj && strcmp(proj, "linear") == 0)
        c->proj = bias ? PROJ_LINEAR_BIAS : PROJ_LINEAR;
    else if (proj && strcmp(proj, "mlp") == 0) c->proj = bias ? PROJ_MLP_BIAS : PROJ_MLP;
    else if (proj && *proj && rc == CLIPC_OK)
        rc = clipc_fail(err, CLIPC_ERR_FEATURE,
                        "%s: timm_proj \"%.20s\" is not supported", where, proj);
    return rc;
}

const char *timm_pool_of(const clip_cfg *cfg)
{
    const struct kind *k = kind_of(cfg->timm);
    return k ? k->pool : "avg";
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
    if (cfg->image.extras.mlp_norm) return TIMM_VITAMIN;
    if (strncmp(cfg->timm, "eva", 3) != 0) return TIMM_VIT;
    return cfg->image.extras.glu ? TIMM_EVA02 : TIMM_EVA;
}

static size_t dim(const tensor_file *f, const char *name, size_t d)
{
    return tensor_dim(f, "visual.trunk.", name, d);
}

#define BACKBONE "patch_embed.backbone."

static void mci_sizes(image_cfg *c, const tensor_file *f)
{
    c->dims[0] = dim(f, BACKBONE "0.conv.weight", 0);
    c->dims[1] = dim(f, BACKBONE "1.conv.weight", 0);
    c->width = dim(f, BACKBONE "2.conv.weight", 0);
}

static void vitamin_sizes(image_cfg *c, const tensor_file *f)
{
    c->dims[0] = dim(f, BACKBONE "stem.conv1.weight", 0);
    for (size_t s = 0; s < FRONT_STAGES; s++) {
        char stage[64];
        snprintf(stage, sizeof stage, "visual.trunk." BACKBONE "stages.%zu.", s);
        c->stages[s] = tensor_count(f, stage, ".pre_norm.weight");
        c->mlp_dims[s] = tensor_dim(f, stage, "0.conv1_1x1.weight", 0);
        c->dims[s + 1] = tensor_dim(f, stage, "0.conv3_1x1.weight", 0);
    }
    c->width = dim(f, BACKBONE "pool.proj.weight", 0);
}

static void patch_sizes(image_cfg *c, const tensor_file *f)
{
    c->patch_size = dim(f, "patch_embed.proj.weight", 3);
    c->conv1_bias = dim(f, "patch_embed.proj.bias", 0) > 0;
    c->width = dim(f, "patch_embed.proj.weight", 0);
}

static void vit_sizes(image_cfg *c, const tensor_file *f, const struct kind *k)
{
    const char *fc1 = c->extras.mlp_norm ? "blocks.0.mlp.w0.weight"
                      : c->extras.glu    ? "blocks.0.mlp.fc1_g.weight"
                                         : "blocks.0.mlp.fc1.weight";

    c->patch_size = FRONT_STRIDE;
    if (c->front == FRONT_MCI) mci_sizes(c, f);
    else if (c->front == FRONT_VITAMIN) vitamin_sizes(c, f);
    else patch_sizes(c, f);
    c->no_class_token = dim(f, "cls_token", 2) == 0;
    c->no_ln_pre = dim(f, "norm_pre.weight", 0) == 0;
    c->layers = tensor_count(f, "visual.trunk.blocks.", ".norm1.weight");
    c->mlp_width = dim(f, fc1, 0);
    c->heads = c->width / k->head_width;
    if (!c->pooler) return;
    if (!c->pooler_heads) c->pooler_heads = c->heads;
    c->pooler_mlp_width = dim(f, "attn_pool.mlp.fc1.weight", 0);
}

static void convnext_sizes(image_cfg *c, const tensor_file *f)
{
    for (size_t s = 0; s < 4; s++) {
        char blocks[64];
        snprintf(blocks, sizeof blocks, "visual.trunk.stages.%zu.blocks.", s);
        c->stages[s] = tensor_count(f, blocks, ".gamma");
        c->dims[s] = tensor_dim(f, blocks, "0.gamma", 0);
        c->mlp_dims[s] = tensor_dim(f, blocks, "0.mlp.fc1.weight", 0);
    }
}

static void fastvit_sizes(image_cfg *c, const tensor_file *f)
{
    for (size_t s = 0; s < IMAGE_STAGES; s++) {
        char blocks[64];
        snprintf(blocks, sizeof blocks, "visual.trunk.stages.%zu.blocks.", s);
        c->stages[s] = tensor_count(f, blocks, ".mlp.fc1.weight");
        c->dims[s] = tensor_dim(f, blocks, "0.mlp.fc1.weight", 1);
        c->mlp_dims[s] = tensor_dim(f, blocks, "0.mlp.fc1.weight", 0);
    }
}

void timm_sizes(clip_cfg *cfg, const tensor_file *f)
{
    const struct kind *k = kind_of(cfg->timm);

    if (cfg->image.family == IMAGE_CONVNEXT) convnext_sizes(&cfg->image, f);
    else if (cfg->image.family == IMAGE_FASTVIT) fastvit_sizes(&cfg->image, f);
    else if (cfg->image.family == IMAGE_EFFNET) config_effnet_sizes(&cfg->image, f);
    else if (k) vit_sizes(&cfg->image, f, k);
}
