"""Forward goldens of every architecture that open_clip's and transformers' configs can ask for:
tiny models of random weights, what PyTorch computes from them in float64, and how far its own
float32 is from that.  Writes tests/golden/variants/<case>/.

usage: python3 tests/golden/make_variants.py   (from the project's root; requirements.txt)
"""
import copy, json, os, platform
import open_clip, torch, transformers, timm
from open_clip.model import CLIP, CustomTextCLIP
from open_clip.coca_model import CoCa
from safetensors.torch import save_file

ROOT = "tests/golden/variants"
VERSIONS = {"python": platform.python_version(), "torch": torch.__version__,
            "open_clip": open_clip.__version__, "transformers": transformers.__version__,
            "timm": timm.__version__}
VISION = dict(image_size=16, layers=1, width=24, patch_size=4, head_width=12, mlp_ratio=2.0)
TEXT = dict(context_length=9, vocab_size=50, width=24, heads=3, layers=1)

# name: (class, changes of vision_cfg, of text_cfg, of the model)
OPEN_CLIP = {
    "no_ln_pre": (CLIP, dict(no_ln_pre=True), {}, {}),
    "avg_ln_after": (CLIP, dict(pool_type="avg", final_ln_after_pool=True), {}, {}),
    "avg_ln_before": (CLIP, dict(pool_type="avg"), dict(pool_type="last"), {}),
    "layer_scale": (CLIP, dict(ls_init_value=0.3), dict(ls_init_value=0.2), {}),
    "tanh_eps": (CLIP, dict(act_kwargs={"approximate": "tanh"}, norm_kwargs={"eps": 1e-2}),
                 dict(act_kwargs={"approximate": "tanh"}, norm_kwargs={"eps": 1e-2}), {}),
    "qk_norm": (CLIP, dict(qk_norm=True), dict(qk_norm=True, scale_fc=True), {}),
    "scales": (CLIP, dict(scale_heads=True, scale_attn_inner=True, scale_attn=True),
               dict(scale_heads=True), dict(quick_gelu=True)),
    "scale_fc": (CLIP, dict(scale_fc=True), dict(scale_attn=True), {}),
    "sin_cos": (CLIP, dict(pos_embed_type="sin_cos_2d"), dict(mlp_ratio=3.0), {}),
    "attn_pool": (CLIP, dict(attentional_pool=True, attn_pooler_queries=5, attn_pooler_heads=4),
                  {}, {}),
    "attn_pool_avg": (CLIP, dict(attentional_pool=True, attn_pooler_queries=5,
                                 attn_pooler_heads=4, pool_type="avg"), {}, dict(embed_dim=24)),
    "text_siglip": (CustomTextCLIP, {}, dict(no_causal_mask=True, proj_bias=True, pool_type="last"),
                    dict(init_logit_bias=-7.0)),
    "text_first": (CustomTextCLIP, {}, dict(no_causal_mask=True, pool_type="first",
                                            proj_type="none", width=20, heads=2), {}),
    "text_eos": (CustomTextCLIP, {}, dict(pool_type="eos", eos_id=7), {}),
    "nonscalar": (CLIP, {}, {}, dict(nonscalar_logit_scale=True)),
    "coca": (CoCa, dict(attentional_pool=True, attn_pooler_queries=6, attn_pooler_heads=4,
                        output_tokens=True), dict(embed_cls=True, output_tokens=True),
             dict(multimodal_cfg=dict(context_length=9, vocab_size=50, width=24, heads=3, layers=1,
                                      attn_pooler_heads=2))),
}


def randomize(model, seed):
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if name.endswith(("logit_scale", "logit_bias")) and "attn" not in name:
                p.fill_(2.1 if name.endswith("scale") else -3.0)
            elif p.ndim >= 2 and p.numel() > p.shape[0] and "sin_cos" not in name:
                p.copy_(torch.randn(p.shape, generator=g) * 1.2 / p.shape[-1] ** 0.5)
            else:
                gain = name.endswith(("weight", "gamma", "head_scale"))
                p.copy_(torch.randn(p.shape, generator=g) * 0.2 + (1.0 if gain else 0.0))


def inputs(seed, size, T, V):
    """Rows with short, full and odd texts: one holds the padding id inside."""
    g = torch.Generator().manual_seed(seed)
    pixels = torch.randn(4, 3, size, size, generator=g)
    ids = torch.zeros(4, T, dtype=torch.int64)
    for b, n in enumerate((2, T, 5, 6)):
        ids[b, :n] = torch.randint(8, V - 1, (n,), generator=g)
        ids[b, n - 1] = V - 1
    ids[2, 2] = 0
    ids[3, 3] = 7
    ids[1, T - 2] = 7
    return pixels, ids


def features(model, pixels, ids):
    if isinstance(model, transformers.SiglipModel):
        return (model.vision_model(pixels).pooler_output, model.text_model(ids).pooler_output)
    if isinstance(model, CoCa):
        return (model._encode_image(pixels, normalize=False)[0],
                model._encode_text(ids, normalize=False)[0])
    return model.encode_image(pixels), model.encode_text(ids)


def write(case, model, cfg, seed, size, T, V):
    pixels, ids = inputs(seed, size, T, V)
    with torch.no_grad():
        single = features(model, pixels, ids)
        img, txt = features(copy.deepcopy(model).double(), pixels.double(), ids)
    own = {name: float((a - b).abs().max() / b.abs().max())
           for name, a, b in (("image", single[0], img), ("text", single[1], txt))}
    folder = f"{ROOT}/{case}"
    os.makedirs(folder, exist_ok=True)
    hf = isinstance(model, transformers.SiglipModel)
    state = {k: p.contiguous().clone() for k, p in model.state_dict().items()
             if not k.startswith("text_decoder.") and "position_ids" not in k}
    save_file(state, f"{folder}/" + ("model.safetensors" if hf else "open_clip_model.safetensors"))
    save_file({"pixels": pixels, "ids": ids.int(), "image_features": img.contiguous(),
               "text_features": txt.contiguous()},
              f"{folder}/golden.safetensors")
    with open(f"{folder}/" + ("config.json" if hf else "open_clip_config.json"), "w") as f:
        json.dump(cfg if hf else {"model_cfg": cfg, "preprocess_cfg": {}}, f, indent=1)
    return own


def siglip(seed):
    common = dict(num_hidden_layers=1, num_attention_heads=2, intermediate_size=40)
    vision = dict(hidden_size=32, image_size=16, patch_size=4, **common)
    text = dict(hidden_size=32, vocab_size=50, max_position_embeddings=9, projection_size=32,
                **common)
    cfg = transformers.SiglipConfig(text_config=text, vision_config=vision)
    cfg._attn_implementation = "eager"
    model = transformers.SiglipModel(cfg).eval()
    randomize(model, seed)
    return write("hf_siglip", model, {"model_type": "siglip", "text_config": text,
                                      "vision_config": vision}, seed, 16, 9, 50)


def main():
    errors = {}
    for i, (case, (kind, vision, text, more)) in enumerate(OPEN_CLIP.items()):
        cfg = dict(embed_dim=20, vision_cfg=VISION | vision, text_cfg=TEXT | text) | more
        torch.manual_seed(i)
        model = kind(**copy.deepcopy(cfg)).eval()
        randomize(model, 100 + i)
        if kind is CustomTextCLIP:
            cfg["custom_text"] = True
        errors[case] = write(case, model, cfg, 100 + i, 16, 9, 50)
    errors["hf_siglip"] = siglip(200)
    with open(f"{ROOT}/golden.json", "w") as f:
        json.dump({"command": "python3 tests/golden/make_variants.py", "versions": VERSIONS,
                   "own_float32_error": errors}, f, indent=1)
        f.write("\n")


main()
