"""Forward goldens of every architecture that open_clip's and transformers' configs can ask for:
tiny models of random weights, what PyTorch computes from them in float64, and how far its own
float32 is from that.  Writes tests/golden/variants/<case>/.

usage: python3 tests/golden/make_variants.py [CASE...]   (from the project's root;
requirements.txt)
"""
import copy, json, os, platform, sys, zipfile, zlib
from functools import partial
import gguf, numpy as np, open_clip, torch, transformers, timm
import clip.model as openai
from open_clip.model import CLIP, CustomTextCLIP
from open_clip.coca_model import CoCa
from importlib.metadata import version
from safetensors.torch import save_file
from timm.layers import HybridEmbed, LayerNorm, to_2tuple
from timm.models.convnext import ConvNeXt
from timm.models._efficientnet_builder import decode_arch_def
from timm.models.efficientnet import EfficientNet
from timm.models.eva import Eva
from timm.models.fastvit import FastVit, LayerNorm2d, RepConditionalPosEnc
from timm.models.vision_transformer import VisionTransformer
from timm.models.vision_transformer_hybrid import ConvStem
from timm.models.vitamin import GeGluMlp, MbConvStages, VitCfg
from timm.utils import reparameterize_model

ROOT = "tests/golden/variants"
VERSIONS = {"python": platform.python_version(), "torch": torch.__version__,
            "open_clip": open_clip.__version__, "transformers": transformers.__version__,
            "timm": timm.__version__, "openai-clip": version("openai-clip"),
            "gguf": version("gguf")}
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

BERT = dict(hidden_size=64, num_hidden_layers=1, num_attention_heads=1, intermediate_size=40,
            vocab_size=50, attn_implementation="eager")
HF_TEXT = {
    "bert-base-uncased": transformers.BertConfig(max_position_embeddings=12, **BERT),
    "xlm-roberta-base": transformers.XLMRobertaConfig(
        max_position_embeddings=14, type_vocab_size=1, layer_norm_eps=1e-5, **BERT),
}
# open_clip asks the hub for these; here they are.
real_config = transformers.AutoConfig.from_pretrained
transformers.AutoConfig.from_pretrained = lambda name, **kw: (
    HF_TEXT[name] if name in HF_TEXT else real_config(name, **kw))
for name, more in (("bert_pooler", dict(hf_pooler_type="cls_pooler")),
                   ("bert_linear", dict(hf_pooler_type="cls_last_hidden_state_pooler",
                                        hf_proj_type="linear")),
                   ("xlm_roberta", dict(hf_pooler_type="mean_pooler"))):
    OPEN_CLIP[name] = (CustomTextCLIP, {}, dict(
        hf_model_name="xlm-roberta-base" if name == "xlm_roberta" else "bert-base-uncased",
        hf_model_pretrained=False, context_length=9, **more), {})


def eva(**more):
    return lambda **kw: Eva(**dict(img_size=16, patch_size=4, depth=1, mlp_ratio=0.5) | more | kw)


def perception(**more):
    return eva(attn_type="rope", use_pre_transformer_norm=True, use_rot_pos_emb=True,
               rope_grid_indexing="xy", attn_pool_num_heads=8, attn_pool_mlp_ratio=0.25,
               norm_layer=partial(LayerNorm, eps=1e-5), **more)


def convnext(**more):
    def make(**_):  # open_clip removes the classifier itself
        tower = ConvNeXt(num_classes=0, **more)
        tower.default_cfg = {"pool_size": (1, 1)}
        return tower
    return make


def hybrid(backbone, size, **more):
    def make(**kw):
        trunk = VisionTransformer(**dict(
            img_size=size, patch_size=1, depth=1, num_heads=1, mlp_ratio=0.5,
            embed_layer=partial(HybridEmbed, backbone=copy.deepcopy(backbone), proj=False)
        ) | more | kw)
        trunk.default_cfg = {}
        return trunk
    return make


def vitamin(size, stem, dims, depths, **more):
    backbone = MbConvStages(VitCfg(embed_dim=dims, depths=depths, stem_width=stem))
    return hybrid(backbone, size, embed_dim=dims[2], mlp_layer=GeGluMlp, class_token=False,
                  global_pool="avg", **more)
def fastvit(dims, layers, attention, **more):
    """attention: of the last so many stages."""
    n = len(dims)
    return lambda **kw: FastVit(
        embed_dims=dims, layers=layers, mlp_ratios=(0.5,) * n, lkc_use_act=True,
        downsamples=(False,) + (True,) * (n - 1),
        token_mixers=("repmixer",) * (n - attention) + ("attention",) * attention,
        pos_embs=(None,) * (n - attention) + (RepConditionalPosEnc,) * attention, **more, **kw)


def lite(**more):
    tower = EfficientNet(
        decode_arch_def([["ds_r1_k3_s1_e1_c4"], ["ir_r2_k3_s2_e6_c12"], ["ir_r1_k5_s2_e6_c8"],
                         ["ir_r2_k3_s2_e6_c16"], ["ir_r1_k5_s1_e6_c20"], ["ir_r2_k5_s2_e6_c12"],
                         ["ir_r1_k3_s1_e6_c28"]]),
        stem_size=8, num_features=40, fix_stem=True, round_chs_fn=int, pad_type="same",
        act_layer=torch.nn.ReLU6, norm_layer=partial(torch.nn.BatchNorm2d, eps=1e-3), **more)
    tower.default_cfg = {"pool_size": (2, 2)}
    return tower


MCI = dict(layers=(2, 1, 1, 1), attention=1, se_downsamples=(False, False, True, True))


# timm's towers, small, under names that open_clip's configs have: timm_pool and the tower.
TIMM = {
    "eva02_base_patch16_clip_224": ("token", eva(
        embed_dim=128, num_heads=2, qkv_fused=False, swiglu_mlp=True, scale_mlp=True,
        scale_attn_inner=True, use_rot_pos_emb=True, ref_feat_shape=(16, 16))),
    "eva_giant_patch14_224": ("token", eva(embed_dim=88, num_heads=1)),
    "eva02_enormous_patch14_clip_224": ("token", eva(embed_dim=112, num_heads=1,
                                                     use_post_norm=True)),
    "vit_pe_core_base_patch16_224": ("map", perception(
        embed_dim=128, num_heads=2, ref_feat_shape=(14, 14), rope_grid_offset=1.)),
    "vit_pe_core_gigantic_patch14_448": ("map", perception(
        embed_dim=96, num_heads=1, ref_feat_shape=(32, 32), class_token=False)),
    "vit_so400m_patch14_siglip_224": ("map", lambda **kw: VisionTransformer(
        img_size=16, patch_size=4, embed_dim=72, depth=1, num_heads=1, mlp_ratio=0.6,
        class_token=False, **kw)),
    "convnext_tiny": ("", convnext(depths=(1, 1, 2, 1), dims=(8, 12, 20, 36))),
    "convnext_xxlarge": ("", convnext(depths=(1, 1, 1, 1), dims=(8, 20, 16, 12), norm_eps=1e-5)),
    "vitamin_small_224": ("", vitamin(48, 8, (8, 12, 64), (2, 1))),
    "vitamin_xlarge_384": ("", vitamin(32, 12, (8, 8, 72), (1, 2), pos_embed="none")),
    "vit_base_mci_224": ("token", hybrid(
        ConvStem(channels=(12, 20, 64), stride=(4, 2, 2), kernel_size=(4, 2, 2), padding=0,
                 act_layer=torch.nn.GELU), 48, embed_dim=64, no_embed_class=True)),
    "fastvit_mci0": ("avg", fastvit((4, 8, 8, 32), **MCI)),
    "fastvit_mci2": ("avg", lambda **kw: reparameterize_model(
        fastvit((4, 8, 16, 64), **MCI)(**kw))),
    "fastvit_mci3": ("avg", fastvit(
        (4, 8, 8, 32, 32), (1, 1, 2, 1, 1), 2, se_downsamples=(False,) * 5,
        norm_layer=partial(LayerNorm2d, eps=1e-5), stem_use_scale_branch=False)),
}
real_tower = timm.create_model


def small_tower(name, pretrained=False, **kw):
    if name not in TIMM:
        return real_tower(name, pretrained=pretrained, **kw)
    pool, tower = TIMM[name]
    return tower(**(dict(global_pool=pool) if pool else {}) | kw)


open_clip.timm_model.timm.create_model = small_tower
for name, (pool, _) in TIMM.items():
    OPEN_CLIP[name] = (CustomTextCLIP, dict(timm_model_name=name, timm_pool=pool,
                                            timm_proj=None if pool else "linear"), {}, {})
# What open_clip puts behind timm's pooling.
OPEN_CLIP["convnext_tiny"][1].update(image_size=36)
OPEN_CLIP["convnext_xxlarge"][1].update(image_size=32, timm_proj="mlp", timm_proj_bias=True)
OPEN_CLIP["vitamin_small_224"][1].update(image_size=48)
OPEN_CLIP["vitamin_xlarge_384"][1].update(image_size=32)
OPEN_CLIP["vit_base_mci_224"][1].update(image_size=48)
for name in TIMM:
    if name.startswith("fastvit"):  # odd sizes on the way: 17, 9, 5, 3, 2, 1
        OPEN_CLIP[name][1]["image_size"] = 33
OPEN_CLIP |= {
    # With its own text tower, as Hugging Face has it too.
    "siglip": (CustomTextCLIP, dict(timm_model_name="vit_so400m_patch14_siglip_224",
                                    timm_pool="map", timm_proj="none"),
               dict(no_causal_mask=True, proj_bias=True, pool_type="last",
                    hf_tokenizer_name="timm/ViT-B-16-SigLIP", norm_kwargs={"eps": 1e-6},
                    act_kwargs={"approximate": "tanh"}),
               dict(embed_dim=72, init_logit_bias=-7.0)),
    "attn_pool_parallel": (CLIP, dict(attentional_pool="parallel", attn_pooler_queries=3,
                                      attn_pooler_heads=4, norm_kwargs={"eps": 1e-2}), {},
                           dict(embed_dim=24)),
    # More queries than tokens.
    "coca_cascade": (CoCa, dict(attentional_pool="cascade", attn_pooler_queries=20,
                                attn_pooler_heads=4, pool_type="avg", output_tokens=True),
                     dict(embed_cls=True, output_tokens=True),
                     dict(embed_dim=24, multimodal_cfg=dict(
                         context_length=9, vocab_size=50, width=24, heads=3, layers=1))),
}


# Weights of one size under a config of another, as open_clip loads them: the class, changes of
# vision_cfg, of text_cfg and of the model, then the config's image_size and context_length (in
# halves, which timm's cases are stored in, PyTorch interpolates roughly: there it stays).
SIZES = {
    "grid_larger": (CLIP, {}, {}, {}, 28, 13),
    "grid_smaller": (CLIP, dict(image_size=28), dict(context_length=13), {}, 12, 7),
    "rectangle": (CLIP, dict(image_size=(20, 12)), {}, {}, (20, 12), 9),
    "rectangle_resized": (CustomTextCLIP, {}, {}, {}, (26, 13), 9),
    "rn_rectangle": (CLIP, dict(image_size=64, layers=[1, 1, 1, 1], width=2, head_width=16), {},
                     {}, (32, 64), 9),
    "coca_resized": OPEN_CLIP["coca"] + (20, 12),
    "siglip_resized": (CustomTextCLIP, dict(timm_model_name="vit_so400m_patch14_siglip_resized",
                                            timm_pool="map", timm_proj=None), {}, {}, (12, 20), 9),
    "convnext_rectangle": (CustomTextCLIP, dict(timm_model_name="convnext_tiny", timm_pool="",
                                                timm_proj="linear"), {}, {}, (32, 68), 9),
    "fastvit_rectangle": (CustomTextCLIP, dict(timm_model_name="fastvit_mci0", timm_pool="avg",
                                               timm_proj=None), {}, {}, (33, 70), 9),
    "eva02_resized": (CustomTextCLIP, dict(timm_model_name="eva02_base_patch16_clip_resized",
                                           timm_pool="token", timm_proj=None), {}, {}, (24, 20), 9),
}
TIMM |= {
    "vit_so400m_patch14_siglip_resized": TIMM["vit_so400m_patch14_siglip_224"],
    "eva02_base_patch16_clip_resized": ("token", eva(
        embed_dim=64, num_heads=1, qkv_fused=False, swiglu_mlp=True, scale_mlp=True,
        scale_attn_inner=True, use_rot_pos_emb=True, ref_feat_shape=(16, 16))),
    "tf_efficientnet_lite0": ("avg", lite),
}
OPEN_CLIP["tf_efficientnet_lite0"] = (CustomTextCLIP, dict(
    timm_model_name="tf_efficientnet_lite0", timm_pool="avg", timm_proj="linear",
    timm_proj_bias=True, image_size=37), {}, {})


def randomize(model, seed):
    g = torch.Generator().manual_seed(seed)
    # What goes through many convolutions must stay about as large as it is.
    kernels = any(isinstance(m, (FastVit, EfficientNet)) for m in model.modules())
    with torch.no_grad():
        for name, p in model.named_parameters():
            if name.endswith(("logit_scale", "logit_bias")) and "attn" not in name:
                p.fill_(2.1 if name.endswith("scale") else -3.0)
            elif p.ndim >= 2 and p.numel() > p.shape[0] and "sin_cos" not in name:
                fan_in = p[0].numel() if kernels else p.shape[-1]
                p.copy_(torch.randn(p.shape, generator=g) * 1.2 / fan_in ** 0.5)
            else:
                gain = name.endswith(("weight", "gamma", "head_scale"))
                p.copy_(torch.randn(p.shape, generator=g) * 0.2 + (1.0 if gain else 0.0))
                if kernels and name.endswith("gamma"):
                    p.mul_(0.25)
        for name, b in model.named_buffers():
            if name.endswith("running_mean"):
                b.copy_(torch.randn(b.shape, generator=g) * 0.2)
            if name.endswith("running_var"):
                b.copy_(torch.rand(b.shape, generator=g) + 0.5)


def inputs(seed, size, T, V, pad=0):
    """Rows with short, full and odd texts: one holds the padding id inside."""
    g = torch.Generator().manual_seed(seed)
    pixels = torch.randn(4, 3, *to_2tuple(size), generator=g)
    ids = torch.full((4, T), pad, dtype=torch.int64)
    for b, n in enumerate((2, T, 5, 6)):
        ids[b, :n] = torch.randint(8, V - 1, (n,), generator=g)
        ids[b, n - 1] = V - 1
    ids[2, 2] = pad
    ids[3, 3] = 7
    ids[1, T - 2] = 7
    return pixels, ids


def features(model, pixels, ids):
    if isinstance(model, transformers.SiglipModel):
        return (model.vision_model(pixels).pooler_output, model.text_model(ids).pooler_output)
    if isinstance(model, transformers.CLIPModel):
        return (model.visual_projection(model.vision_model(pixels).pooler_output),
                model.text_projection(model.text_model(ids).pooler_output))
    if isinstance(model, CoCa):
        return (model._encode_image(pixels, normalize=False)[0].flatten(1),
                model._encode_text(ids, normalize=False)[0])
    return model.encode_image(pixels).flatten(1), model.encode_text(ids)


def write(case, model, cfg, seed, size, T, V):
    pixels, ids = inputs(seed, size, T, V, 1 if case == "xlm_roberta" else 0)
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
    if "timm_model_name" in cfg.get("vision_cfg", {}):
        state = {k: p.half() if p.is_floating_point() else p for k, p in state.items()}
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


def save_golden(case, pixels, ids, single, exact):
    img, txt = exact
    os.makedirs(f"{ROOT}/{case}", exist_ok=True)
    save_file({"pixels": pixels, "ids": ids.int(), "image_features": img.contiguous(),
               "text_features": txt.contiguous()}, f"{ROOT}/{case}/golden.safetensors")
    return {name: float((a - b).abs().max() / b.abs().max())
            for name, a, b in (("image", single[0], img), ("text", single[1], txt))}


def openai_pt(seed):
    """OpenAI's own model as they publish it: half precision, TorchScript."""
    model = openai.CLIP(20, 16, 1, 64, 8, 9, 50, 64, 1, 1).eval()
    randomize(model, seed)
    openai.convert_weights(model)
    errors = openai_golden("openai_pt", model, seed, 9)
    with torch.no_grad():
        traced = torch.jit.trace(model, inputs(seed, 16, 9, 50), check_trace=False)
    traced.save(f"{ROOT}/openai_pt/model.pt")
    strip_debug(f"{ROOT}/openai_pt/model.pt")
    return errors


def long_clip(seed):
    """Long-CLIP (arXiv:2403.15378, model_longclip.py): two tables of positions, of which the first
    20 rows of one and the others of the other are added."""
    model = openai.CLIP(20, 16, 1, 64, 8, 24, 50, 64, 1, 1).eval()
    randomize(model, seed)
    res = torch.randn(24, 64, generator=torch.Generator().manual_seed(seed))
    state = {k: p.half() for k, p in model.state_dict().items()}
    state["positional_embedding_res"] = res.half()
    os.makedirs(f"{ROOT}/long_clip", exist_ok=True)
    torch.save(state, f"{ROOT}/long_clip/model.pt")
    model.load_state_dict({k: p.float() for k, p in state.items() if not k.endswith("_res")})
    with torch.no_grad():
        model.positional_embedding[20:] = state["positional_embedding_res"][20:].float()
    return openai_golden("long_clip", model, seed, 24)


def openai_golden(case, model, seed, T):
    pixels, ids = inputs(seed, 16, T, 50)
    with torch.no_grad():
        single = features(copy.deepcopy(model).float(), pixels, ids)
        # Its layer norm casts to float32; here in the input's own type.
        cast, openai.LayerNorm.forward = openai.LayerNorm.forward, torch.nn.LayerNorm.forward
        exact = features(copy.deepcopy(model).double(), pixels.double(), ids)
        openai.LayerNorm.forward = cast
    return save_golden(case, pixels, ids, single, exact)


def tiny_clip(seed):
    """A TinyCLIP checkpoint: open_clip's model, its parts in modules (TinyCLIP's model.py
    CLIPBase, convert_to_new_checkpoint)."""
    model = CLIP(20, VISION | dict(head_width=64, width=64), TEXT | dict(width=64, heads=1)).eval()
    randomize(model, seed)
    state = {}
    for k, p in model.state_dict().items():
        part = ("_image_encoder" if k.startswith("visual.") else
                "_logit_scale" if k == "logit_scale" else "_text_encoder")
        state[f"{part}.module.{k}"] = p
    os.makedirs(f"{ROOT}/tiny_clip", exist_ok=True)
    torch.save({"epoch": 1, "state_dict": state}, f"{ROOT}/tiny_clip/model.pt")
    pixels, ids = inputs(seed, 16, 9, 50)
    with torch.no_grad():
        single = features(model, pixels, ids)
        exact = features(copy.deepcopy(model).double(), pixels.double(), ids)
    return save_golden("tiny_clip", pixels, ids, single, exact)


def m_clip(seed):
    """M-CLIP (multilingual_clip/pt_multilingual_clip.py): XLM-RoBERTa, mean, linear layer."""
    bert = transformers.XLMRobertaModel(HF_TEXT["xlm-roberta-base"], add_pooling_layer=False).eval()
    linear = torch.nn.Linear(64, 20)
    randomize(bert, seed), randomize(linear, seed + 1)
    folder = f"{ROOT}/m_clip"
    os.makedirs(folder, exist_ok=True)
    torch.save({f"transformer.{k}": p for k, p in bert.state_dict().items()} |
               {f"LinearTransformation.{k}": p for k, p in linear.state_dict().items()},
               f"{folder}/pytorch_model.bin")
    with open(f"{folder}/config.json", "w") as f:
        json.dump({"modelBase": "xlm-roberta-base", "model_type": "M-CLIP", "numDims": 20,
                   "transformerDimensions": 64}, f)
    _, ids = inputs(seed, 16, 12, 50, 1)

    def run(bert, linear):
        mask = (ids != 1).long()
        x = bert(ids, attention_mask=mask).last_hidden_state
        return linear((x * mask[..., None]).sum(1) / mask.sum(1, keepdim=True))

    with torch.no_grad():
        single = run(bert, linear)
        exact = run(bert.double(), linear.double())
    save_file({"ids": ids.int(), "text_features": exact}, f"{folder}/golden.safetensors")
    return {"text": float((single - exact).abs().max() / exact.abs().max())}


def strip_debug(path):
    """Without .debug_pkl records, which hold paths of this machine; torch loads it still."""
    with zipfile.ZipFile(path) as z:
        records = [(i, z.read(i)) for i in z.infolist() if not i.filename.endswith(".debug_pkl")]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as z:
        for info, data in records:
            z.writestr(zipfile.ZipInfo(info.filename), data)


def gguf_names(name):
    """clip.cpp's convert_hf_to_gguf.py."""
    for a, b in (("text_model", "t"), ("vision_model", "v"), ("encoder.layers", "blk"),
                 ("embeddings.", ""), ("_proj", ""), ("self_attn.", "attn_"), ("layer_norm", "ln"),
                 ("layernorm", "ln"), ("mlp.fc1", "ffn_down"), ("mlp.fc2", "ffn_up"),
                 ("embedding", "embd"), ("final", "post"), ("layrnorm", "ln")):
        if not name.startswith(("text_projection", "visual_projection")):
            name = name.replace(a, b)
    return name


def gguf_model(case, seed, kind, vision=True, text=True):
    act = "quick_gelu"
    v = dict(hidden_size=64, intermediate_size=96, num_hidden_layers=1, num_attention_heads=2,
             image_size=16, patch_size=8, hidden_act=act)
    t = dict(hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2,
             max_position_embeddings=9, vocab_size=50, hidden_act=act, eos_token_id=2)
    model = transformers.CLIPModel(transformers.CLIPConfig(
        text_config=t, vision_config=v, projection_dim=32)).eval()
    randomize(model, seed)
    folder = f"{ROOT}/{case}"
    os.makedirs(folder, exist_ok=True)
    w = gguf.GGUFWriter(f"{folder}/model.gguf", "clip")
    w.add_bool("clip.has_text_encoder", text)
    w.add_bool("clip.has_vision_encoder", vision)
    w.add_bool("clip.use_gelu", False)
    w.add_array("tokenizer.ggml.tokens", [f"t{i}" for i in range(50)])
    for tower, c in (("text", t), ("vision", v)):
        w.add_uint32(f"clip.{tower}.embedding_length", c["hidden_size"])
        w.add_uint32(f"clip.{tower}.feed_forward_length", c["intermediate_size"])
        w.add_uint32(f"clip.{tower}.block_count", 1)
        w.add_uint32(f"clip.{tower}.attention.head_count", 2)
        w.add_uint32(f"clip.{tower}.projection_dim", 32)
        w.add_float32(f"clip.{tower}.attention.layer_norm_epsilon", 1e-5)
    w.add_uint32("clip.text.context_length", 9)
    w.add_uint32("clip.vision.image_size", 16)
    w.add_uint32("clip.vision.patch_size", 8)
    w.add_array("clip.vision.image_mean", [0.4, 0.5, 0.6])
    w.add_array("clip.vision.image_std", [0.2, 0.3, 0.4])
    state = model.state_dict()
    for name, p in state.items():
        if name == "logit_scale" or "position_ids" in name:
            continue
        x, to = p.numpy(), gguf.GGMLQuantizationType.F32
        if p.ndim == 4:
            x, to = x.astype(np.float16), gguf.GGMLQuantizationType.F16
        elif p.ndim == 2:
            to = kind
            x = gguf.quants.quantize(x, to)
            state[name] = torch.from_numpy(gguf.quants.dequantize(x, to))
        if p.ndim == 4:
            state[name] = torch.from_numpy(x.astype(np.float32))
        w.add_tensor(gguf_names(name), x, raw_dtype=to)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
    model.load_state_dict(state)
    pixels, ids = inputs(seed, 16, 9, 50)
    with torch.no_grad():
        single = features(model, pixels, ids)
        exact = features(copy.deepcopy(model).double(), pixels.double(), ids)
    return save_golden(case, pixels, ids, single, exact)


FIRST_CASES = 19  # numbered; the others' seeds come from their names


def open_clip_case(i, case):
    kind, vision, text, more = OPEN_CLIP[case]
    seed = 100 + i if i < FIRST_CASES else zlib.crc32(case.encode())
    text = text if "hf_model_name" in text else TEXT | text
    vision = (dict(image_size=16) if "timm_model_name" in vision else VISION) | vision
    cfg = dict(embed_dim=20, vision_cfg=vision, text_cfg=text) | more
    torch.manual_seed(seed - 100)
    model = kind(**copy.deepcopy(cfg)).eval()
    randomize(model, seed)
    if case.startswith("convnext"):  # so small that the epsilon matters
        with torch.no_grad():
            for p in model.visual.trunk.stem[0].parameters():
                p.mul_(0.01)
    if "timm_model_name" in vision:  # halves: smaller files
        model.load_state_dict({k: p.half().to(p.dtype) for k, p in model.state_dict().items()})
    if kind is CustomTextCLIP:
        cfg["custom_text"] = True
    return write(case, model, cfg, seed, vision["image_size"], 9, 50)


def rectangular_resnet(model, rows, cols):
    """open_clip's pool makes positions of a square alone, but takes those that it is given."""
    pool = model.visual.attnpool
    pool.positional_embedding = torch.nn.Parameter(
        torch.zeros(rows * cols + 1, pool.positional_embedding.shape[1]))


def sizes_case(case):
    kind, vision, text, more, image_size, context = SIZES[case]
    seed, timm_tower = zlib.crc32(case.encode()), "timm_model_name" in vision
    vision = (dict(image_size=16) if timm_tower else VISION) | vision
    cfg = dict(embed_dim=20, vision_cfg=vision, text_cfg=TEXT | text) | more
    torch.manual_seed(seed)
    model = kind(**copy.deepcopy(cfg)).eval()
    resnet = isinstance(vision.get("layers"), list)
    if resnet:
        rectangular_resnet(model, image_size[0] // 32, image_size[1] // 32)
    randomize(model, seed)
    folder = f"{ROOT}/{case}"
    os.makedirs(folder, exist_ok=True)
    state = {k: p.half() if timm_tower and p.is_floating_point() else p.contiguous().clone()
             for k, p in model.state_dict().items() if not k.startswith("text_decoder.")}
    save_file(state, f"{folder}/open_clip_model.safetensors")

    asked = copy.deepcopy(cfg)
    asked["text_cfg"]["context_length"] = context
    if not timm_tower and not resnet:
        asked["vision_cfg"]["image_size"] = image_size
    target = kind(**copy.deepcopy(asked)).eval()
    if resnet:
        rectangular_resnet(target, image_size[0] // 32, image_size[1] // 32)
    open_clip.load_checkpoint(target, f"{folder}/open_clip_model.safetensors",
                              strict=kind is not CoCa)
    if timm_tower:  # as force_image_size does
        target.visual.set_input_size(image_size)
    asked["vision_cfg"]["image_size"] = image_size
    if kind is CustomTextCLIP:
        asked["custom_text"] = True
    with open(f"{folder}/open_clip_config.json", "w") as f:
        json.dump({"model_cfg": asked, "preprocess_cfg": {}}, f, indent=1)
    pixels, ids = inputs(seed, image_size, context, 50)
    with torch.no_grad():
        single = features(target, pixels, ids)
        exact = features(copy.deepcopy(target).double(), pixels.double(), ids)
    return save_golden(case, pixels, ids, single, exact)


def interpolations():
    """F.interpolate itself, as resize_pos_embed and resize_text_pos_embed call it."""
    g, out = torch.Generator().manual_seed(5), {}
    for h, w, H, W in ((7, 7, 12, 9), (16, 16, 5, 7), (3, 5, 3, 2), (14, 14, 37, 37), (4, 4, 4, 5)):
        x = torch.randn(h, w, 3, generator=g)
        y = torch.nn.functional.interpolate(x.permute(2, 0, 1)[None], size=(H, W), mode="bicubic",
                                            antialias=True, align_corners=False)
        out |= {f"bicubic {h} {w} {H} {W} in": x,
                f"bicubic {h} {w} {H} {W} out": y[0].permute(1, 2, 0).double().contiguous()}
    for n, N in ((9, 13), (77, 248), (248, 77), (5, 1), (1, 3)):
        x = torch.randn(n, 3, generator=g)
        y = torch.nn.functional.interpolate(x.t()[None], size=N, mode="linear",
                                            antialias=False, align_corners=False)
        out |= {f"linear {n} {N} in": x, f"linear {n} {N} out": y[0].t().double().contiguous()}
    os.makedirs("tests/golden/interpolate", exist_ok=True)
    save_file(out, "tests/golden/interpolate/golden.safetensors")


CASES = {case: lambda i=i, case=case: open_clip_case(i, case) for i, case in enumerate(OPEN_CLIP)}
CASES |= {
    "hf_siglip": lambda: siglip(200),
    "openai_pt": lambda: openai_pt(201),
    "long_clip": lambda: long_clip(204),
    "tiny_clip": lambda: tiny_clip(205),
    "m_clip": lambda: m_clip(206),
    "gguf_q8_0": lambda: gguf_model("gguf_q8_0", 202, gguf.GGMLQuantizationType.Q8_0),
    "gguf_q4_1": lambda: gguf_model("gguf_q4_1", 203, gguf.GGMLQuantizationType.Q4_1),
}
CASES |= {case: partial(sizes_case, case) for case in SIZES}


def main():
    errors = {}
    wanted = sys.argv[1:] or list(CASES)
    if sys.argv[1:]:  # the others stay as they are
        with open(f"{ROOT}/golden.json") as f:
            errors = json.load(f)["own_float32_error"]
    for case in wanted:
        errors[case] = CASES[case]()
    interpolations()
    with open(f"{ROOT}/golden.json", "w") as f:
        json.dump({"command": "python3 tests/golden/make_variants.py", "versions": VERSIONS,
                   "own_float32_error": {case: errors[case] for case in CASES}}, f, indent=1)
        f.write("\n")


if __name__ == "__main__":
    main()
