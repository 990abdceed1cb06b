#include "clip/names.h"

#include <stdio.h>
#include <string.h>

#include "clip/timm.h"

/* Names outside the blocks. */
static const struct {
    const char *own, *hf;
    bool transposed;
} whole[] = {
    {"visual.class_embedding", "vision_model.embeddings.class_embedding", false},
    {"visual.positional_embedding", "vision_model.embeddings.position_embedding.weight",
     false},
    {"visual.proj", "visual_projection.weight", true},
    {"visual.conv1.weight", "vision_model.embeddings.patch_embedding.weight", false},
    {"visual.conv1.bias", "vision_model.embeddings.patch_embedding.bias", false},
    {"visual.ln_pre.weight", "vision_model.pre_layrnorm.weight", false}, /* sic */
    {"visual.ln_pre.bias", "vision_model.pre_layrnorm.bias", false},
    {"visual.ln_post.weight", "vision_model.post_layernorm.weight", false},
    {"visual.ln_post.bias", "vision_model.post_layernorm.bias", false},
    {"visual.attn_pool.latent", "vision_model.head.probe", false},
    {"visual.attn_pool.attn.in_proj_weight", "vision_model.head.attention.in_proj_weight",
     false},
    {"visual.attn_pool.attn.in_proj_bias", "vision_model.head.attention.in_proj_bias",
     false},
    {"visual.attn_pool.attn.out_proj.weight",
     "vision_model.head.attention.out_proj.weight", false},
    {"visual.attn_pool.attn.out_proj.bias", "vision_model.head.attention.out_proj.bias",
     false},
    {"visual.attn_pool.norm.weight", "vision_model.head.layernorm.weight", false},
    {"visual.attn_pool.norm.bias", "vision_model.head.layernorm.bias", false},
    {"visual.attn_pool.mlp.fc1.weight", "vision_model.head.mlp.fc1.weight", false},
    {"visual.attn_pool.mlp.fc1.bias", "vision_model.head.mlp.fc1.bias", false},
    {"visual.attn_pool.mlp.fc2.weight", "vision_model.head.mlp.fc2.weight", false},
    {"visual.attn_pool.mlp.fc2.bias", "vision_model.head.mlp.fc2.bias", false},
    {"positional_embedding", "text_model.embeddings.position_embedding.weight", false},
    {"token_embedding.weight", "text_model.embeddings.token_embedding.weight", false},
    {"text_projection", "text_projection.weight", true},
    {"text_projection.weight", "text_model.head.weight", false},
    {"text_projection.bias", "text_model.head.bias", false},
    {"ln_final.weight", "text_model.final_layer_norm.weight", false},
    {"ln_final.bias", "text_model.final_layer_norm.bias", false},
};

static const struct {
    const char *own, *timm;
    size_t lead;
} trunk[] = {
    {"class_embedding", "cls_token", 2},
    {"positional_embedding", "pos_embed", 1},
    {"conv1.weight", "patch_embed.proj.weight", 0},
    {"conv1.bias", "patch_embed.proj.bias", 0},
    {"ln_pre.weight", "norm_pre.weight", 0},
    {"ln_pre.bias", "norm_pre.bias", 0},
    {"ln_post.weight", "norm.weight", 0},
    {"ln_post.bias", "norm.bias", 0},
};

/* timm's attention pool, where it differs. */
static const struct {
    const char *own, *names[2];
} trunk_pool[] = {
    {"attn_pool.attn.in_proj_weight", {"attn_pool.q.weight", "attn_pool.kv.weight"}},
    {"attn_pool.attn.in_proj_bias", {"attn_pool.q.bias", "attn_pool.kv.bias"}},
    {"attn_pool.attn.out_proj.weight", {"attn_pool.proj.weight", NULL}},
    {"attn_pool.attn.out_proj.bias", {"attn_pool.proj.bias", NULL}},
};

static const struct {
    const char *own, *hf, *timm;
} in_block[] = {
    {"ln_1.weight", "layer_norm1.weight", "norm1.weight"},
    {"ln_1.bias", "layer_norm1.bias", "norm1.bias"},
    {"ln_2.weight", "layer_norm2.weight", "norm2.weight"},
    {"ln_2.bias", "layer_norm2.bias", "norm2.bias"},
    {"attn.in_proj_weight", "", "attn.qkv.weight"},
    {"attn.in_proj_bias", "", "attn.qkv.bias"},
    {"attn.out_proj.weight", "self_attn.out_proj.weight", "attn.proj.weight"},
    {"attn.out_proj.bias", "self_attn.out_proj.bias", "attn.proj.bias"},
    {"mlp.c_fc.weight", "mlp.fc1.weight", "mlp.fc1.weight"},
    {"mlp.c_fc.bias", "mlp.fc1.bias", "mlp.fc1.bias"},
    {"mlp.c_proj.weight", "mlp.fc2.weight", "mlp.fc2.weight"},
    {"mlp.c_proj.bias", "mlp.fc2.bias", "mlp.fc2.bias"},
    {"attn.ln_inner.weight", "", "attn.norm.weight"},
    {"attn.ln_inner.bias", "", "attn.norm.bias"},
    {"mlp.ln.weight", "", "mlp.norm.weight"},
    {"mlp.ln.bias", "", "mlp.norm.bias"},
    {"mlp.ln_in.weight", "", "mlp.norm.weight"},
    {"mlp.ln_in.bias", "", "mlp.norm.bias"},
    {"ls_1.gamma", "", "ls1.gamma"},
    {"ls_2.gamma", "", "ls2.gamma"},
};

/* What EVA's blocks spell otherwise; EVA-02's and ViTamin's, which are gated. */
static const struct {
    const char *own, *names[3];
    timm_block of;
} eva[] = {
    {"attn.in_proj_bias", {"attn.q_bias", "", "attn.v_bias"}, TIMM_EVA},
    {"attn.in_proj_weight",
     {"attn.q_proj.weight", "attn.k_proj.weight", "attn.v_proj.weight"},
     TIMM_EVA02},
    {"attn.in_proj_bias", {"attn.q_proj.bias", "", "attn.v_proj.bias"}, TIMM_EVA02},
    {"mlp.c_fc.weight", {"mlp.fc1_g.weight", NULL, NULL}, TIMM_EVA02},
    {"mlp.c_fc.bias", {"mlp.fc1_g.bias", NULL, NULL}, TIMM_EVA02},
    {"mlp.c_fc_x.weight", {"mlp.fc1_x.weight", NULL, NULL}, TIMM_EVA02},
    {"mlp.c_fc_x.bias", {"mlp.fc1_x.bias", NULL, NULL}, TIMM_EVA02},
    {"mlp.c_fc.weight", {"mlp.w0.weight", NULL, NULL}, TIMM_VITAMIN},
    {"mlp.c_fc.bias", {"mlp.w0.bias", NULL, NULL}, TIMM_VITAMIN},
    {"mlp.c_fc_x.weight", {"mlp.w1.weight", NULL, NULL}, TIMM_VITAMIN},
    {"mlp.c_fc_x.bias", {"mlp.w1.bias", NULL, NULL}, TIMM_VITAMIN},
    {"mlp.c_proj.weight", {"mlp.w2.weight", NULL, NULL}, TIMM_VITAMIN},
    {"mlp.c_proj.bias", {"mlp.w2.bias", NULL, NULL}, TIMM_VITAMIN},
};

/* clip.cpp's names (convert_hf_to_gguf.py). */
static const struct {
    const char *own, *gguf;
    bool transposed;
} ggml[] = {
    {"visual.class_embedding", "v.class_embd", false},
    {"visual.positional_embedding", "v.position_embd.weight", false},
    {"visual.proj", "visual_projection.weight", true},
    {"visual.conv1.weight", "v.patch_embd.weight", false},
    {"visual.ln_pre.weight", "v.pre_ln.weight", false},
    {"visual.ln_pre.bias", "v.pre_ln.bias", false},
    {"visual.ln_post.weight", "v.post_ln.weight", false},
    {"visual.ln_post.bias", "v.post_ln.bias", false},
    {"positional_embedding", "t.position_embd.weight", false},
    {"token_embedding.weight", "t.token_embd.weight", false},
    {"text_projection", "text_projection.weight", true},
    {"ln_final.weight", "t.post_ln.weight", false},
    {"ln_final.bias", "t.post_ln.bias", false},
};

static const struct {
    const char *own, *gguf;
} ggml_block[] = {
    {"ln_1", "ln1"},          {"ln_2", "ln2"},          {"attn.out_proj", "attn_out"},
    {"mlp.c_fc", "ffn_down"}, {"mlp.c_proj", "ffn_up"},
};

/* DistilBERT's names within a layer, and BERT's. */
static const struct {
    const char *own, *distil;
} distil[] = {
    {"attention.output.dense", "attention.out_lin"},
    {"attention.output.LayerNorm", "sa_layer_norm"},
    {"intermediate.dense", "ffn.lin1"},
    {"output.dense", "ffn.lin2"},
    {"output.LayerNorm", "output_layer_norm"},
};

/* efficientnet_pytorch's parts, of the first stage's blocks and of the others'; those of
 * the whole. */
static const struct {
    const char *own, *first, *others;
} effnet_block[] = {
    {"conv_pw", "_project_conv", "_expand_conv"},
    {"conv_dw", "_depthwise_conv", "_depthwise_conv"},
    {"conv_pwl", "", "_project_conv"},
    {"bn1", "_bn1", "_bn0"},
    {"bn2", "_bn2", "_bn1"},
    {"bn3", "", "_bn2"},
};
static const struct {
    const char *own, *effnet;
} effnet_whole[] = {
    {"conv_stem", "_conv_stem"},
    {"bn1", "_bn0"},
    {"conv_head", "_conv_head"},
    {"bn2", "_bn1"},
};

/* What may stand in front of BERT's names, and the projection's name beside it. */
static const struct {
    const char *bert, *proj;
} bert_prefixes[] = {
    {"text.transformer.", "text.proj."},       /* open_clip */
    {"transformer.", "LinearTransformation."}, /* M-CLIP */
    {"", "dense.linear."}, /* sentence-transformers: joined under "dense." */
    {"bert.", "dense.linear."},
    {"roberta.", "dense.linear."},
    {"distilbert.", "dense.linear."},
};

/* The towers' prefixes: open_clip's, and those of TinyCLIP's encoders, which are modules
 * of their own, maybe wrapped for distributed training. */
static const struct {
    const char *image, *text, *scale;
} prefixes[] = {
    {"", "text.", ""},
    {"_image_encoder.", "_text_encoder.", "_logit_scale."},
    {"_image_encoder.module.", "_text_encoder.module.", "_logit_scale.module."},
    {"image_encoder_without_ddp.", "text_encoder_without_ddp.", "_logit_scale."},
    {"", "", ""},
};

static void find_prefix(naming *n, const tensor_file *f)
{
    const size_t last = sizeof prefixes / sizeof prefixes[0] - 1;
    char name[NAME_MAX_LEN];
    size_t i = 0;

    for (; i < last; i++) {
        snprintf(name, sizeof name, "%stoken_embedding.weight", prefixes[i].text);
        if (tensor_find(f, name)) break;
    }
    n->image_prefix = prefixes[i].image;
    n->text_prefix = prefixes[i].text;
    n->scale_prefix = prefixes[i].scale;
}

static void find_bert(naming *n, const tensor_file *f)
{
    for (size_t i = 0; i < sizeof bert_prefixes / sizeof bert_prefixes[0]; i++) {
        char name[NAME_MAX_LEN];
        const char *p = bert_prefixes[i].bert;
        snprintf(name, sizeof name, "%sembeddings.word_embeddings.weight", p);
        if (!tensor_find(f, name)) continue;
        n->bert = p, n->proj = bert_prefixes[i].proj;
        snprintf(name, sizeof name, "%stransformer.layer.0.attention.q_lin.weight", p);
        n->text = tensor_find(f, name) ? SPELLING_DISTILBERT : SPELLING_BERT;
        return;
    }
}

/* A stage ends where the number of channels changes. */
static void find_effnet(naming *n, const tensor_file *f)
{
    size_t stage = 0, channels = 0;

    if (!tensor_find(f, "_blocks.0._depthwise_conv.weight")) return;
    n->image = SPELLING_EFFNET;
    for (size_t i = 0; stage < IMAGE_STAGES; i++) {
        char name[NAME_MAX_LEN];
        snprintf(name, sizeof name, "_blocks.%zu._project_conv.weight", i);
        const tensor *t = tensor_find(f, name);
        if (t && t->n_dims && (i == 0 || t->dims[0] == channels)) {
            channels = t->dims[0];
            continue;
        }
        n->stage_ends[stage++] = i;
        if (t && t->n_dims) channels = t->dims[0];
        else break;
    }
}

naming naming_of_file(const tensor_file *f)
{
    naming n = {0};

    if (tensor_find(f, "visual.trunk.blocks.0.norm1.weight")) n.image = SPELLING_TIMM;
    else if (tensor_find(f, "vision_model.embeddings.patch_embedding.weight"))
        n.image = SPELLING_HF;
    n.timm_head = tensor_find(f, "visual.trunk.head.weight") != NULL;
    n.timm_fc_norm = tensor_find(f, "visual.trunk.fc_norm.weight") != NULL;
    if (tensor_find(f, "visual.trunk.blocks.0.attn.q_bias")) n.block = TIMM_EVA;
    if (tensor_find(f, "visual.trunk.blocks.0.mlp.w0.weight")) n.block = TIMM_VITAMIN;
    if (tensor_find(f, "visual.trunk.blocks.0.attn.q_proj.weight")) n.block = TIMM_EVA02;
    if (tensor_find(f, "text_model.embeddings.token_embedding.weight"))
        n.text = SPELLING_HF;
    find_prefix(&n, f);
    if (tensor_find(f, "positional_embedding_res")) n.first_positions = 20;
    find_bert(&n, f);
    find_effnet(&n, f);
    if (tensor_find(f, "v.patch_embd.weight")) n.image = SPELLING_GGUF;
    if (tensor_find(f, "t.token_embd.weight")) n.text = SPELLING_GGUF;
    /* The first layer widens: [F,W]. */
    const tensor *down = tensor_find(f, "v.blk.0.ffn_down.weight");
    if (!down) down = tensor_find(f, "t.blk.0.ffn_down.weight");
    n.ffn_swapped = down && down->n_dims == 2 && down->dims[0] < down->dims[1];
    return n;
}

naming naming_of_config(const clip_cfg *cfg)
{
    const bool hf = cfg->layout == LAYOUT_HF, bert = cfg->text.family == TEXT_BERT;

    return (naming){.image = hf           ? SPELLING_HF
                             : *cfg->timm ? SPELLING_TIMM
                                          : SPELLING_OPENAI,
                    .text = hf     ? SPELLING_HF
                            : bert ? SPELLING_BERT
                                   : SPELLING_OPENAI,
                    .scales_listed = hf && cfg->logit_bias,
                    .bert = bert ? bert_prefixes[0].bert : NULL,
                    .proj = bert ? bert_prefixes[0].proj : NULL,
                    .timm_fc_norm = cfg->image.ln_post_after_pool,
                    .block = timm_block_of(cfg),
                    .image_prefix = "",
                    .text_prefix = !hf && cfg->custom_text ? "text." : "",
                    .scale_prefix = ""};
}

static void set(stored_as *out, const char *prefix, const char *name)
{
    snprintf(out->names[0], NAME_MAX_LEN, "%s%s", prefix, name);
}

static void hf_block(stored_as *out, const char *tower, int layer, const char *part)
{
    static const char qkv[] = "qkv";
    const char *end = strcmp(part, "attn.in_proj_weight") == 0 ? "weight" : "bias";

    if (strncmp(part, "attn.in_proj_", 13) == 0) {
        out->n = 3;
        for (size_t i = 0; i < 3; i++)
            snprintf(out->names[i], NAME_MAX_LEN,
                     "%s.encoder.layers.%d.self_attn.%c_proj.%s", tower, layer, qkv[i],
                     end);
        return;
    }
    for (size_t i = 0; i < sizeof in_block / sizeof in_block[0]; i++)
        if (strcmp(in_block[i].own, part) == 0)
            snprintf(out->names[0], NAME_MAX_LEN, "%s.encoder.layers.%d.%s", tower, layer,
                     in_block[i].hf);
}

static void timm_block_name(stored_as *out, int layer, const char *part, timm_block of)
{
    for (size_t i = 0; i < sizeof in_block / sizeof in_block[0]; i++)
        if (strcmp(in_block[i].own, part) == 0)
            snprintf(out->names[0], NAME_MAX_LEN, "visual.trunk.blocks.%d.%s", layer,
                     in_block[i].timm);
    for (size_t i = 0; i < sizeof eva / sizeof eva[0]; i++) {
        if (eva[i].of != of || strcmp(eva[i].own, part) != 0) continue;
        for (out->n = 0; out->n < 3 && eva[i].names[out->n]; out->n++) {
            const char *name = eva[i].names[out->n];
            out->names[out->n][0] = '\0';
            if (*name)
                snprintf(out->names[out->n], NAME_MAX_LEN, "visual.trunk.blocks.%d.%s",
                         layer, name);
        }
    }
}

static void timm_name(stored_as *out, const char *name, const naming *n)
{
    int layer, used = 0;

    if (n->timm_head && strncmp(name, "head.proj.", 10) == 0)
        set(out, "visual.trunk.head.", name + 10);
    if (strncmp(name, "attn_pool.", 10) == 0) set(out, "visual.trunk.", name);
    if (sscanf(name, "transformer.resblocks.%d.%n", &layer, &used) == 1 && used)
        timm_block_name(out, layer, name + used, n->block);
    for (size_t i = 0; i < sizeof trunk_pool / sizeof trunk_pool[0]; i++)
        for (size_t k = 0; k < 2 && strcmp(trunk_pool[i].own, name) == 0; k++) {
            if (!trunk_pool[i].names[k]) break;
            snprintf(out->names[k], NAME_MAX_LEN, "visual.trunk.%s",
                     trunk_pool[i].names[k]);
            out->n = k + 1;
        }
    for (size_t i = 0; i < sizeof trunk / sizeof trunk[0]; i++)
        if (strcmp(trunk[i].own, name) == 0) {
            set(out, "visual.trunk.", trunk[i].timm);
            out->lead = trunk[i].lead;
        }
    if (strncmp(name, "front.", 6) == 0)
        set(out, "visual.trunk.patch_embed.backbone.", name + 6);
    if (n->timm_fc_norm && strncmp(name, "ln_post.", 8) == 0)
        set(out, "visual.trunk.fc_norm.", name + 8);
}

/* "conv_pw.weight" where `own` is "conv_pw": out becomes prefix + part + ".weight". */
static void effnet_part(stored_as *out, const char *name, const char *own,
                        const char *prefix, const char *part)
{
    const size_t len = strlen(own);

    if (strncmp(name, own, len) == 0 && name[len] == '.')
        snprintf(out->names[0], NAME_MAX_LEN, "%s%s%s", prefix, part, name + len);
}

/* name: behind "visual.trunk." */
static void effnet_name(stored_as *out, const char *name, const naming *n)
{
    size_t stage, at;
    char prefix[32];
    int used = 0;

    if (sscanf(name, "blocks.%zu.%zu.%n", &stage, &at, &used) != 2 || !used) {
        for (size_t i = 0; i < sizeof effnet_whole / sizeof effnet_whole[0]; i++)
            effnet_part(out, name, effnet_whole[i].own, "", effnet_whole[i].effnet);
        return;
    }
    if (stage >= IMAGE_STAGES) return;
    at += stage ? n->stage_ends[stage - 1] : 0;
    if (at >= n->stage_ends[stage]) return;
    snprintf(prefix, sizeof prefix, "_blocks.%zu.", at);
    for (size_t i = 0; i < sizeof effnet_block / sizeof effnet_block[0]; i++)
        effnet_part(out, name + used, effnet_block[i].own, prefix,
                    stage ? effnet_block[i].others : effnet_block[i].first);
}

static void hf_name(stored_as *out, const char *name)
{
    int layer, used = 0;

    if (sscanf(name, "visual.transformer.resblocks.%d.%n", &layer, &used) == 1 && used) {
        hf_block(out, "vision_model", layer, name + used);
        return;
    }
    used = 0;
    if (sscanf(name, "transformer.resblocks.%d.%n", &layer, &used) == 1 && used) {
        hf_block(out, "text_model", layer, name + used);
        return;
    }
    for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++) {
        if (strcmp(whole[i].own, name) != 0) continue;
        set(out, "", whole[i].hf);
        out->transposed = whole[i].transposed;
    }
}

/* "ln_1.weight" -> "ln1" + ".weight", by a table of the parts before the last dot. */
static void gguf_part(stored_as *out, char tower, int layer, const char *part,
                      const naming *n)
{
    const char *end = strrchr(part, '.');
    static const char qkv[] = "qkv";

    if (strncmp(part, "attn.in_proj_", 13) == 0) {
        out->n = 3;
        for (size_t i = 0; i < 3; i++)
            snprintf(out->names[i], NAME_MAX_LEN, "%c.blk.%d.attn_%c.%s", tower, layer,
                     qkv[i], part + 13);
        return;
    }
    for (size_t i = 0; end && i < sizeof ggml_block / sizeof ggml_block[0]; i++) {
        const size_t len = strlen(ggml_block[i].own);
        const char *name = ggml_block[i].gguf;
        if (strncmp(ggml_block[i].own, part, len) != 0 || part + len != end) continue;
        if (n->ffn_swapped && strncmp(name, "ffn_", 4) == 0)
            name = strcmp(name, "ffn_up") == 0 ? "ffn_down" : "ffn_up";
        snprintf(out->names[0], NAME_MAX_LEN, "%c.blk.%d.%s%s", tower, layer, name, end);
    }
}

static void gguf_name(stored_as *out, const char *name, const naming *n)
{
    int layer, used = 0;

    if (sscanf(name, "visual.transformer.resblocks.%d.%n", &layer, &used) == 1 && used) {
        gguf_part(out, 'v', layer, name + used, n);
        return;
    }
    used = 0;
    if (sscanf(name, "transformer.resblocks.%d.%n", &layer, &used) == 1 && used) {
        gguf_part(out, 't', layer, name + used, n);
        return;
    }
    for (size_t i = 0; i < sizeof ggml / sizeof ggml[0]; i++) {
        if (strcmp(ggml[i].own, name) != 0) continue;
        set(out, "", ggml[i].gguf);
        out->transposed = ggml[i].transposed;
    }
}

static void bert_qkv(stored_as *out, int layer, const char *end, const naming *n)
{
    static const char *const bert[] = {"query", "key", "value"};
    static const char *const lin[] = {"q_lin", "k_lin", "v_lin"};
    const bool distilled = n->text == SPELLING_DISTILBERT;

    out->n = 3;
    for (size_t i = 0; i < 3; i++)
        snprintf(out->names[i], NAME_MAX_LEN,
                 distilled ? "%stransformer.layer.%d.attention.%s%s"
                           : "%sencoder.layer.%d.attention.self.%s%s",
                 n->bert, layer, distilled ? lin[i] : bert[i], end);
}

/* name: behind "bert." */
static void bert_name(stored_as *out, const char *name, const naming *n)
{
    const char *end = strrchr(name, '.');
    int layer, used = 0;

    set(out, n->bert, name);
    if (strncmp(name, "proj.", 5) == 0) set(out, n->proj, name + 5);
    if (sscanf(name, "encoder.layer.%d.%n", &layer, &used) != 1 || !used || !end) return;
    const char *part = name + used;
    if (strncmp(part, "attention.self.qkv.", 19) == 0) {
        bert_qkv(out, layer, end, n);
        return;
    }
    for (size_t i = 0;
         n->text == SPELLING_DISTILBERT && i < sizeof distil / sizeof distil[0]; i++) {
        const size_t len = strlen(distil[i].own);
        if (strncmp(distil[i].own, part, len) == 0 && part + len == end)
            snprintf(out->names[0], NAME_MAX_LEN, "%stransformer.layer.%d.%s%s", n->bert,
                     layer, distil[i].distil, end);
    }
}

void names_of(stored_as *out, const char *name, const naming *n)
{
    const bool visual = strncmp(name, "visual.", 7) == 0;
    const bool text = !visual && strncmp(name, "logit_", 6) != 0;

    *out = (stored_as){.n = 1};
    set(out, visual ? n->image_prefix : text ? n->text_prefix : n->scale_prefix, name);
    if (n->scales_listed && !visual && !text) out->lead = 1;
    if (n->first_positions && strcmp(name, "positional_embedding") == 0) {
        snprintf(out->names[1], NAME_MAX_LEN, "%spositional_embedding_res",
                 n->text_prefix);
        out->first_rows = n->first_positions;
    }
    if (visual && n->image == SPELLING_TIMM) timm_name(out, name + 7, n);
    if (n->image == SPELLING_EFFNET && strncmp(name, "visual.trunk.", 13) == 0)
        effnet_name(out, name + 13, n);
    if ((visual && n->image == SPELLING_GGUF) || (text && n->text == SPELLING_GGUF))
        gguf_name(out, name, n);
    if (text && n->bert && strncmp(name, "bert.", 5) == 0) bert_name(out, name + 5, n);
    if ((visual && n->image == SPELLING_HF) || (text && n->text == SPELLING_HF))
        hf_name(out, name);
}

/* What checkpoints hold beside the weights that are computed with: buffers that follow
 * from the config, parts for other tasks. */
static const struct {
    const char *part, *what;
    bool begins; /* the name begins with it, else it ends so */
} spares[] = {
    {"position_ids", "position numbers", false},
    {"num_batches_tracked", "batch counters", false},
    {"attn_mask", "attention masks", false},
    {"attn.k_bias", "biases of zeros", false},
    {"relative_position_index", "position numbers", false},
    {"input_resolution", "sizes", false},
    {"context_length", "sizes", false},
    {"vocab_size", "sizes", false},
    {"pooler.dense.weight", "BERT's pooler", false},
    {"pooler.dense.bias", "BERT's pooler", false},
    {"text_decoder.", "CoCa's captioner", true},
    {"_fc.", "ImageNet's classifier", true},
    {"tokenizer/", "the tokenizer's files", true},
};

const char *names_spare(const char *name)
{
    const size_t n = strlen(name);

    for (size_t i = 0; i < sizeof spares / sizeof spares[0]; i++) {
        const size_t p = strlen(spares[i].part);
        if (p <= n &&
            strncmp(spares[i].begins ? name : name + n - p, spares[i].part, p) == 0)
            return spares[i].what;
    }
    return NULL;
}
