#include "clip/names.h"

#include <stdio.h>
#include <string.h>

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
    {"visual.ln_pre.weight", "vision_model.pre_layrnorm.weight", false}, /* sic */
    {"visual.ln_pre.bias", "vision_model.pre_layrnorm.bias", false},
    {"visual.ln_post.weight", "vision_model.post_layernorm.weight", false},
    {"visual.ln_post.bias", "vision_model.post_layernorm.bias", false},
    {"positional_embedding", "text_model.embeddings.position_embedding.weight", false},
    {"token_embedding.weight", "text_model.embeddings.token_embedding.weight", false},
    {"text_projection", "text_projection.weight", true},
    {"ln_final.weight", "text_model.final_layer_norm.weight", false},
    {"ln_final.bias", "text_model.final_layer_norm.bias", false},
};

static const struct {
    const char *own, *hf;
} in_block[] = {
    {"ln_1.weight", "layer_norm1.weight"},
    {"ln_1.bias", "layer_norm1.bias"},
    {"ln_2.weight", "layer_norm2.weight"},
    {"ln_2.bias", "layer_norm2.bias"},
    {"attn.out_proj.weight", "self_attn.out_proj.weight"},
    {"attn.out_proj.bias", "self_attn.out_proj.bias"},
    {"mlp.c_fc.weight", "mlp.fc1.weight"},
    {"mlp.c_fc.bias", "mlp.fc1.bias"},
    {"mlp.c_proj.weight", "mlp.fc2.weight"},
    {"mlp.c_proj.bias", "mlp.fc2.bias"},
};

static void name_block(stored_as *out, const char *tower, int layer, const char *part)
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

void names_of(stored_as *out, const char *name, clip_layout layout)
{
    int layer, used = 0;

    *out = (stored_as){.n = 1};
    snprintf(out->names[0], NAME_MAX_LEN, "%s", name);
    if (layout == LAYOUT_OPEN_CLIP) return;
    if (sscanf(name, "visual.transformer.resblocks.%d.%n", &layer, &used) == 1 && used) {
        name_block(out, "vision_model", layer, name + used);
        return;
    }
    used = 0;
    if (sscanf(name, "transformer.resblocks.%d.%n", &layer, &used) == 1 && used) {
        name_block(out, "text_model", layer, name + used);
        return;
    }
    for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++) {
        if (strcmp(whole[i].own, name) != 0) continue;
        snprintf(out->names[0], NAME_MAX_LEN, "%s", whole[i].hf);
        out->transposed = whole[i].transposed;
    }
}
