"""Model goldens: tiny models of random weights in both layouts with what PyTorch computes
from them in float64.  Writes tests/golden/models/<case>/.

usage: python3 tests/golden/make_models.py      (from the project's root; requirements.txt)
"""
import copy, io, json, os, platform
import numpy as np
import open_clip, torch, transformers, PIL
from open_clip.model import CLIP
from PIL import Image, ImageDraw
from safetensors.torch import save_file

ROOT = "tests/golden/models"
VERSIONS = {"python": platform.python_version(), "torch": torch.__version__,
            "open_clip": open_clip.__version__, "transformers": transformers.__version__,
            "pillow": PIL.__version__}


def note(case, **more):
    with open(f"{ROOT}/{case}/golden.json", "w") as f:
        json.dump({"command": "python3 tests/golden/make_models.py", "versions": VERSIONS, **more},
                  f, indent=1)
        f.write("\n")


def randomize(model, seed):
    """No weight stays trivial: gains and biases vary, the temperature is not its start;
    running statistics come from batches of noise."""
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.ndim == 4 and "layer" in name:
                p.copy_(torch.randn(p.shape, generator=g) * 1.2 / p[0].numel() ** 0.5)
            elif p.ndim >= 2:
                p.copy_(torch.randn(p.shape, generator=g) * 1.2 / p.shape[-1] ** 0.5)
            elif name.endswith("logit_scale"):
                p.fill_(2.3)
            else:
                gain = name.endswith("weight")
                p.copy_(torch.randn(p.shape, generator=g) * 0.2 + (1.0 if gain else 0.0))
        if has_batch_norm(model):
            model.train()
            for _ in range(30):
                model.encode_image(torch.randn(8, 3, *model.visual_size, generator=g))
            model.eval()


def has_batch_norm(model):
    return any(isinstance(m, torch.nn.BatchNorm2d) for m in model.modules())


def inputs(B, S, T, V, seed):
    g = torch.Generator().manual_seed(seed)
    pixels = torch.randn(B, 3, S, S, generator=g)
    ids = torch.zeros(B, T, dtype=torch.int64)
    for b in range(B):
        n = 1 + (3 * b + 2) % (T - 2)
        ids[b, 0] = V - 2
        ids[b, 1:n + 1] = torch.randint(1, V - 2, (n,), generator=g)
        ids[b, n + 1] = V - 1
    return pixels, ids


def clip_loss(img, txt, scale):
    img, txt = (x / x.norm(dim=-1, keepdim=True) for x in (img, txt))
    logits = scale.exp() * img @ txt.T
    own = torch.arange(len(img))
    ce = torch.nn.functional.cross_entropy
    return logits, (ce(logits, own) + ce(logits.T, own)) / 2


def features(model, pixels, ids):
    if isinstance(model, transformers.CLIPModel):
        v = model.visual_projection(model.vision_model(pixels).pooler_output)
        t = model.text_projection(model.text_model(ids).pooler_output)
        return v, t
    return model.encode_image(pixels), model.encode_text(ids)


def golden(model, pixels, ids, grads):
    """Everything in float64; how far PyTorch's own float32 is from it, relative to the
    largest value."""
    with torch.no_grad():
        single = features(model, pixels, ids)
    double = copy.deepcopy(model).double()
    img, txt = features(double, pixels.double(), ids)
    logits, loss = clip_loss(img, txt, double.logit_scale)
    out = {"pixels": pixels, "ids": ids.int(), "image_features": img.detach(),
           "text_features": txt.detach(), "logits_per_image": logits.detach(),
           "loss": loss.detach().reshape(1)}
    own = {name: float((a - b).abs().max() / b.abs().max())
           for name, a, b in (("image", single[0], img.detach()),
                              ("text", single[1], txt.detach()))}
    if grads and has_batch_norm(model):
        # Training normalises by the batch's own statistics and moves the running ones.
        double.train()
        img, txt = features(double, pixels.double(), ids)
        _, loss = clip_loss(img, txt, double.logit_scale)
        out |= {"train.image_features": img.detach(), "loss": loss.detach().reshape(1)}
        out |= {f"stats.{name}": b.float().reshape(b.shape or 1)
                for name, b in double.named_buffers() if "running" in name or "num" in name}
        with torch.no_grad():
            single = features(copy.deepcopy(model).train(), pixels, ids)[0]
            own["train.image"] = float((single - img).abs().max() / img.abs().max())
    if grads:
        loss.backward()
        for name, p in double.named_parameters():
            out[f"grad.{name}"] = p.grad.float()
    if grads and not has_batch_norm(model):
        out |= adamw(model, out)
    return {k: v.contiguous() for k, v in out.items()}, own


def adamw(model, out):
    """One torch.optim.AdamW step in float32 from the golden's own gradients."""
    model = copy.deepcopy(model)
    named = list(model.named_parameters())
    for name, p in named:
        p.grad = out[f"grad.{name}"].clone()
    torch.optim.AdamW([{"params": [p for _, p in named if p.ndim >= 2], "weight_decay": 0.2},
                       {"params": [p for _, p in named if p.ndim < 2], "weight_decay": 0.0}],
                      lr=1e-3, betas=(0.9, 0.98), eps=1e-6).step()
    return {f"adamw.{name}": p.detach().float() for name, p in named}


def open_clip_case(case, seed, grads=True, B=4, **cfg):
    model = CLIP(**copy.deepcopy(cfg)).eval()
    model.visual_size = (cfg["vision_cfg"]["image_size"],) * 2
    randomize(model, seed)
    v, t = cfg["vision_cfg"], cfg["text_cfg"]
    pixels, ids = inputs(B, v["image_size"], t["context_length"], t["vocab_size"], seed)
    out, own = golden(model, pixels, ids, grads)
    os.makedirs(f"{ROOT}/{case}", exist_ok=True)
    save_file({k: p.contiguous() for k, p in model.state_dict().items()},
              f"{ROOT}/{case}/open_clip_model.safetensors")
    save_file(out, f"{ROOT}/{case}/golden.safetensors")
    with open(f"{ROOT}/{case}/open_clip_config.json", "w") as f:
        json.dump({"model_cfg": cfg, "preprocess_cfg": {}}, f, indent=1)
    note(case, seed=seed, own_float32_error=own,
         adamw={"lr": 1e-3, "betas": [0.9, 0.98], "eps": 1e-6, "weight_decay": 0.2})


def hf_case(case, seed, old, act):
    vision = dict(hidden_size=48, intermediate_size=100, num_hidden_layers=2,
                  num_attention_heads=3, image_size=32, patch_size=8, hidden_act=act,
                  layer_norm_eps=1e-5)
    text = dict(hidden_size=40, intermediate_size=96, num_hidden_layers=2,
                num_attention_heads=5, max_position_embeddings=12, vocab_size=200,
                hidden_act=act, layer_norm_eps=1e-5, bos_token_id=0 if old else 198,
                eos_token_id=2 if old else 199)
    cfg = transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=24)
    model = transformers.CLIPModel(cfg).eval()
    randomize(model, seed)
    folder = f"{ROOT}/{case}"
    os.makedirs(folder, exist_ok=True)
    pixels, ids = inputs(4, 32, 12, 200, seed)
    state = {k: p.contiguous() for k, p in model.state_dict().items() if "position_ids" not in k}
    if old:
        # Half precision, position_ids buffers, sizes hidden in *_config_dict.
        state = {k: p.half() for k, p in state.items()}
        model.load_state_dict({k: p.float() for k, p in state.items()}, strict=False)
        state["text_model.embeddings.position_ids"] = torch.arange(12)[None]
        state["vision_model.embeddings.position_ids"] = torch.arange(17)[None]
        config = {"model_type": "clip", "projection_dim": 24, "text_config": {"hidden_size": 7},
                  "vision_config": {"hidden_size": 7}, "text_config_dict": text,
                  "vision_config_dict": vision}
        pre = {"size": 32, "crop_size": 32, "resample": 3,
               "image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.25, 0.3]}
    else:
        config = {"model_type": "clip", "projection_dim": 24, "text_config": text,
                  "vision_config": vision}
        pre = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32},
               "resample": 3, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}
    out, own = golden(model, pixels, ids, False)
    save_file(state, f"{folder}/model.safetensors")
    save_file(out, f"{folder}/golden.safetensors")
    for name, data in (("config.json", config), ("preprocessor_config.json", pre)):
        with open(f"{folder}/{name}", "w") as f:
            json.dump(data, f, indent=1)
    note(case, seed=seed, own_float32_error=own)


def pictures(folder):
    """A smooth photograph-like JPEG, a drawing with transparency, a WebP; all procedural."""
    y, x = np.mgrid[0:150, 0:210]
    photo = np.stack([128 + 100 * np.sin(x / 17 + c) * np.cos(y / (11 + 3 * c)) for c in range(3)], -1)
    noise = np.random.default_rng(5).normal(0, 6, photo.shape)
    Image.fromarray(np.clip(photo + noise, 0, 255).astype(np.uint8)).save(
        f"{folder}/photo.jpg", quality=88)
    im = Image.new("RGBA", (96, 80))
    draw = ImageDraw.Draw(im)
    draw.ellipse((10, 5, 80, 70), fill=(230, 60, 30, 255))
    draw.polygon([(20, 75), (60, 20), (90, 70)], fill=(40, 90, 220, 140))
    im.save(f"{folder}/drawing.png")
    Image.fromarray(np.clip(photo[::-1, ::-1], 0, 255).astype(np.uint8)).resize((120, 160)).save(
        f"{folder}/picture.webp", quality=80)


def end_to_end(case, seed):
    """The whole way: files and texts in, probabilities out, with the real vocabulary."""
    cfg = dict(embed_dim=16, quick_gelu=True,
               vision_cfg=dict(image_size=224, layers=2, width=64, patch_size=32, head_width=32),
               text_cfg=dict(context_length=77, vocab_size=49408, width=16, heads=2, layers=2))
    model = CLIP(**copy.deepcopy(cfg)).eval()
    randomize(model, seed)
    folder = f"{ROOT}/{case}"
    os.makedirs(folder, exist_ok=True)
    state = {k: p.half().contiguous() for k, p in model.state_dict().items()}
    save_file(state, f"{folder}/open_clip_model.safetensors")
    with open(f"{folder}/open_clip_config.json", "w") as f:
        json.dump({"model_cfg": cfg, "preprocess_cfg": {}}, f, indent=1)
    model.load_state_dict({k: p.float() for k, p in state.items()})
    model = model.double()
    pictures(folder)
    names = ["photo.jpg", "drawing.png", "picture.webp"]
    labels = ["a cat", "two dogs", "Café at night", "the number 42", "a red ball & a cone", "waves"]
    template = "a photo of {}."
    transform = open_clip.image_transform(224, is_train=False)
    pixels = torch.stack([transform(Image.open(f"{folder}/{n}")) for n in names]).double()
    ids = open_clip.get_tokenizer("ViT-B-32")([template.replace("{}", x) for x in labels])
    with torch.no_grad():
        img, txt = (x / x.norm(dim=-1, keepdim=True)
                    for x in (model.encode_image(pixels), model.encode_text(ids)))
        logits = model.logit_scale.exp() * img @ txt.T
    note(case, seed=seed, images=names, labels=labels, template=template,
         logits_per_image=logits.tolist(), scores=logits.softmax(-1).tolist())


def shapes():
    """Names and shapes of every tensor of OpenAI's nine models."""
    names = {"RN50": "RN50", "RN101": "RN101", "RN50x4": "RN50x4", "RN50x16": "RN50x16",
             "RN50x64": "RN50x64", "ViT-B-32": "ViT-B-32", "ViT-B-16": "ViT-B-16",
             "ViT-L-14": "ViT-L-14", "ViT-L-14-336": "ViT-L-14-336"}
    out = {}
    for name, key in names.items():
        cfg = open_clip.get_model_config(key)
        with torch.device("meta"):
            model = CLIP(**copy.deepcopy(cfg))
        out[name] = {"model_cfg": cfg,
                     "params": sum(p.numel() for p in model.parameters()),
                     "tensors": {k: list(p.shape) for k, p in model.state_dict().items()
                                 if k != "attn_mask"}}
    with open(f"{ROOT}/shapes.json", "w") as f:
        json.dump({"versions": VERSIONS, "models": out}, f, separators=(",", ":"))
        f.write("\n")


def main():
    torch.manual_seed(0)
    open_clip_case("oc_vit_quick", 1, embed_dim=40, quick_gelu=True,
                   vision_cfg=dict(image_size=32, layers=2, width=64, patch_size=8, head_width=32),
                   text_cfg=dict(context_length=12, vocab_size=300, width=48, heads=3, layers=2))
    open_clip_case("oc_vit_gelu", 2, embed_dim=20, quick_gelu=False, B=3,
                   vision_cfg=dict(image_size=33, layers=1, width=36, patch_size=6, head_width=12,
                                   mlp_ratio=2.5),
                   text_cfg=dict(context_length=9, vocab_size=70, width=20, heads=5, layers=3))
    open_clip_case("oc_rn", 6, embed_dim=24, quick_gelu=True, B=5,
                   vision_cfg=dict(image_size=64, layers=[1, 2, 1, 1], width=4, head_width=32),
                   text_cfg=dict(context_length=8, vocab_size=40, width=16, heads=2, layers=1))
    hf_case("hf_vit", 3, old=False, act="quick_gelu")
    hf_case("hf_vit_old", 4, old=True, act="gelu")
    end_to_end("e2e", 5)
    shapes()


if __name__ == "__main__":
    main()
