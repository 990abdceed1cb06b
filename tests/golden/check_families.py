"""Every family and file format at its real size: models of random weights, built by the original
implementations, run by `clipc embed` and compared with float64 PyTorch.  Prints a table: clipc's
error beside PyTorch's own in float32, max|a-b| / max|b| of image and of text features.

usage: python3 tests/golden/check_families.py [NAME...]   (from the project's root, after `make`)
"""
import copy, json, os, subprocess, sys, tempfile, warnings
warnings.filterwarnings("ignore")
import numpy as np
import open_clip, torch, transformers
from safetensors.torch import save_file

CLIPC = os.environ.get("CLIPC", "./clipc")


def embed(model, work, *args):
    out = f"{work}/out.npy"
    subprocess.run([CLIPC, "embed", "--model", model, "--no-normalize", "-f", "-o", out, *args],
                   check=True)
    return np.load(out)


def inputs(model, cfg, work):
    """Crops and rows of ids, as files for clipc and as tensors."""
    rng = np.random.default_rng(1)
    size, T, V = cfg["size"], cfg["context"], cfg["vocab"]
    crops = rng.integers(0, 256, (2, size, size, 3), np.uint8)
    np.save(f"{work}/crops.npy", crops)
    ids = np.full((3, T), cfg.get("pad", 0), np.int64)
    for row, n in zip(ids, (4, T, T // 2)):
        row[:n] = rng.integers(3, V - 2, n)
        row[0] = cfg.get("sot", V - 2)
        row[n - 1] = cfg.get("eos", V - 1)
    with open(f"{work}/ids.jsonl", "w") as f:
        for i, row in enumerate(ids.tolist()):
            f.write(json.dumps({"id": i, "ids": row}) + "\n")
    mean, std = (torch.tensor(x).reshape(1, 3, 1, 1) for x in (cfg["mean"], cfg["std"]))
    pixels = torch.from_numpy(crops).permute(0, 3, 1, 2).double().div(255)
    return (pixels - mean.double()) / std.double(), torch.from_numpy(ids)


def features(model, pixels, ids):
    if isinstance(model, transformers.SiglipModel):
        return model.vision_model(pixels).pooler_output, model.text_model(ids).pooler_output
    if isinstance(model, transformers.CLIPModel):
        return (model.visual_projection(model.vision_model(pixels).pooler_output),
                model.text_projection(model.text_model(ids).pooler_output))
    if hasattr(model, "_encode_image"):
        return (model._encode_image(pixels, normalize=False)[0],
                model._encode_text(ids, normalize=False)[0])
    return model.encode_image(pixels), model.encode_text(ids)


def error(a, b):
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    return float(np.abs(a - b).max() / np.abs(b).max())


OPENAI = dict(mean=[0.48145466, 0.4578275, 0.40821073], std=[0.26862954, 0.26130258, 0.27577711])
HALF = dict(mean=[0.5] * 3, std=[0.5] * 3)


def open_clip_model(name):
    torch.manual_seed(0)
    model = open_clip.create_model(name, pretrained=None).eval()
    with torch.no_grad():  # nothing stays at a trivial start
        for key, p in model.named_parameters():
            if p.ndim == 1 and key.endswith(("weight", "bias", "gamma")):
                p.add_(torch.randn_like(p) * 0.1)
            elif p.ndim >= 2 and p.std() < 5e-3:  # EVA's gates and heads begin near zero
                p.normal_(0, p[0].numel() ** -0.5)
        for m in model.modules():
            if isinstance(m, torch.nn.BatchNorm2d):
                m.running_mean.normal_(0, 0.1)
                m.running_var.uniform_(0.8, 1.2)
    cfg = open_clip.get_model_config(name)
    t = cfg["text_cfg"]
    siglip = "SigLIP" in name
    return model, cfg, dict(size=model.visual.image_size[0] if isinstance(
        model.visual.image_size, tuple) else model.visual.image_size,
        context=t.get("context_length", 77), vocab=t.get("vocab_size", 49408),
        **({"eos": t["eos_id"]} if "eos_id" in t else {}), **(HALF if siglip else OPENAI))


def as_open_clip(model, cfg, info, folder):
    os.makedirs(folder)
    save_file({k: v.contiguous().clone() for k, v in model.state_dict().items()},
              f"{folder}/open_clip_model.safetensors")
    pre = {"mean": info["mean"], "std": info["std"]}
    with open(f"{folder}/open_clip_config.json", "w") as f:
        json.dump({"model_cfg": cfg, "preprocess_cfg": pre}, f)
    return folder


def weights_alone(model, cfg, info, folder):
    os.makedirs(folder)
    save_file({k: v.contiguous().clone() for k, v in model.state_dict().items()},
              f"{folder}/x.safetensors")
    return f"{folder}/x.safetensors"


def converted(layout, precision="f32"):
    def make(model, cfg, info, folder):
        as_open_clip(model, cfg, info, folder + ".from")
        subprocess.run([CLIPC, "convert", folder + ".from", folder, "--to", layout, "-p", precision],
                       check=True)
        return folder
    return make


def and_back(model, cfg, info, folder):
    own = converted("clipc")(model, cfg, info, folder + ".own")
    subprocess.run([CLIPC, "convert", own, folder, "--to", "open_clip"], check=True)
    return folder


def compare(name, form, model, cfg, info, make):
    with tempfile.TemporaryDirectory() as work:
        pixels, ids = inputs(model, info, work)
        path = make(model, cfg, info, f"{work}/model")
        ours = (np.ones((1, 1)) if form in ("sentence", "M-CLIP")  # texts alone
                else embed(path, work, "--pixels", f"{work}/crops.npy"),
                embed(path, work, "--texts-jsonl", f"{work}/ids.jsonl"))
        with torch.no_grad():
            single = features(model, pixels.float(), ids)
            exact = features(copy.deepcopy(model).double(), pixels, ids)
    e = [error(a, b.numpy()) for a, b in zip(ours, exact)]
    own = [error(a.numpy(), b.numpy()) for a, b in zip(single, exact)]
    ok = all(x <= max(10 * y, 1e-5) for x, y in zip(e, own))
    print(f"{name:28} {form:16} {e[0]:.1e} {own[0]:.1e}   {e[1]:.1e} {own[1]:.1e}  "
          f"{'' if ok else 'TOO FAR'}", flush=True)
    return ok


def hf_siglip(_):
    torch.manual_seed(0)
    model = transformers.SiglipModel(transformers.SiglipConfig()).eval()
    return model, None, dict(size=224, context=64, vocab=32000, **HALF)


def hf_clip(_):
    torch.manual_seed(0)
    model = transformers.CLIPModel(transformers.CLIPConfig(projection_dim=512)).eval()
    return model, None, dict(size=224, context=77, vocab=49408, **OPENAI)


def as_hf(model, cfg, info, folder):
    model.save_pretrained(folder)
    with open(f"{folder}/preprocessor_config.json", "w") as f:
        json.dump({"image_mean": info["mean"], "image_std": info["std"], "size": info["size"]}, f)
    return folder


def openai_model(name):
    """OpenAI's own class at the size of RN50 or ViT-B/32, weights in half precision."""
    import clip.model as openai
    torch.manual_seed(0)
    args = (1024, 224, (3, 4, 6, 3), 64, None) if "RN50" in name else (512, 224, 12, 768, 32)
    model = openai.CLIP(*args, 77, 49408, 512, 8, 12).eval()
    openai.convert_weights(model)
    # Its layer norm casts to float32, in float64 too.
    openai.LayerNorm.forward = torch.nn.LayerNorm.forward
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(p.half().float())
        for b in model.buffers():
            b.copy_(b.half().float())
    return model.float(), None, dict(size=224, context=77, vocab=49408, **OPENAI)


def as_pt(kind):
    def make(model, cfg, info, folder):
        os.makedirs(folder)
        path = f"{folder}/model.pt"
        state = {k: v.half() for k, v in model.state_dict().items()}
        if kind == "checkpoint":
            state = {"epoch": 3, "name": "run", "state_dict":
                     {f"module.{k}": v for k, v in model.state_dict().items()}}
        torch.save(state, path, _use_new_zipfile_serialization=kind != "legacy")
        return path
    return make


def as_bin(model, cfg, info, folder):
    as_open_clip(model, cfg, info, folder)
    os.remove(f"{folder}/open_clip_model.safetensors")
    torch.save(model.state_dict(), f"{folder}/open_clip_pytorch_model.bin")
    return folder


def xlm_roberta(name):
    config = transformers.XLMRobertaConfig(vocab_size=250002, max_position_embeddings=514,
                                           type_vocab_size=1, layer_norm_eps=1e-5)
    real = transformers.AutoConfig.from_pretrained
    transformers.AutoConfig.from_pretrained = lambda *_, **__: config
    try:
        cfg = open_clip.get_model_config(name)
        cfg["text_cfg"]["hf_model_pretrained"] = False
        torch.manual_seed(0)
        cfg.pop("custom_text", None)
        model = open_clip.CustomTextCLIP(**copy.deepcopy(cfg)).eval()
    finally:
        transformers.AutoConfig.from_pretrained = real
    return model, cfg, dict(size=224, context=77, vocab=250002, pad=1, sot=0, eos=2, **OPENAI)


class Multilingual(torch.nn.Module):
    """sentence-transformers' clip-ViT-B-32-multilingual-v1: mean of DistilBERT, projected."""

    def __init__(self):
        super().__init__()
        self.bert = transformers.DistilBertModel(transformers.DistilBertConfig(vocab_size=119547))
        self.linear = torch.nn.Linear(768, 512, bias=False)
        self.pad = 0

    def encode_image(self, pixels):
        return torch.ones(1, 1)

    def encode_text(self, ids):
        mask = (ids != self.pad).long()
        x = self.bert(ids, attention_mask=mask).last_hidden_state
        return self.linear((x * mask[..., None]).sum(1) / mask.sum(1, keepdim=True))


def multilingual(_):
    torch.manual_seed(0)
    return Multilingual().eval(), None, dict(size=1, context=128, vocab=119547, sot=101, eos=102,
                                             **OPENAI)


class MClip(Multilingual):
    """M-CLIP (multilingual_clip.pt_multilingual_clip.MultilingualCLIP)."""

    def __init__(self):
        torch.nn.Module.__init__(self)
        self.bert = transformers.XLMRobertaModel(transformers.XLMRobertaConfig(
            vocab_size=250002, max_position_embeddings=514, type_vocab_size=1,
            layer_norm_eps=1e-5))
        self.linear = torch.nn.Linear(768, 640)
        self.pad = 1


def m_clip(_):
    torch.manual_seed(0)
    return MClip().eval(), None, dict(size=1, context=64, vocab=250002, pad=1, sot=0, eos=2,
                                      **OPENAI)


def as_m_clip(model, cfg, info, folder):
    os.makedirs(folder)
    names = {"bert": "transformer", "linear": "LinearTransformation"}
    torch.save({".".join([names[k.split(".")[0]], *k.split(".")[1:]]): p
                for k, p in model.state_dict().items()}, f"{folder}/pytorch_model.bin")
    with open(f"{folder}/config.json", "w") as f:
        json.dump({"modelBase": "xlm-roberta-base", "model_type": "M-CLIP", "numDims": 640,
                   "transformerDimensions": 768}, f)
    return folder


def as_sentence(model, cfg, info, folder):
    for part in ("", "/1_Pooling", "/2_Dense"):
        os.makedirs(folder + part)
    model.bert.save_pretrained(folder)
    torch.save({"linear.weight": model.linear.weight.detach()},
               f"{folder}/2_Dense/pytorch_model.bin")
    for name, data in (("modules.json", []), ("1_Pooling/config.json",
                                              {"pooling_mode_mean_tokens": True})):
        with open(f"{folder}/{name}", "w") as f:
            json.dump(data, f)
    return folder


FORMS = {"pt state_dict": as_pt("state_dict"), "pt legacy": as_pt("legacy"),
         "pt checkpoint": as_pt("checkpoint"), "open_clip bin": as_bin,
         "sentence": as_sentence, "M-CLIP": as_m_clip, "open_clip": as_open_clip, "weights": weights_alone, "clipc f32": converted("clipc"),
         "and back": and_back, "hf": as_hf}
CASES = [("RN50-quickgelu", "open_clip"), ("RN50-quickgelu", "weights"),
         ("RN50x4-quickgelu", "clipc f32"),
         ("ViT-B-32-quickgelu", "weights"), ("ViT-B-32-quickgelu", "clipc f32"),
         ("ViT-L-14", "open_clip"), ("ViT-B-16", "open_clip"), ("ViT-B-32-256", "open_clip"),
         ("ViT-S-32-alt", "open_clip"), ("ViT-L-14-CLIPA", "open_clip"),
         ("ViT-B-16-SigLIP", "open_clip"), ("ViT-B-16-SigLIP", "clipc f32"),
         ("ViT-B-32-SigLIP2-256", "open_clip"), ("coca_ViT-B-32", "open_clip"),
         ("EVA02-B-16", "open_clip"), ("EVA02-B-16", "clipc f32"), ("EVA02-L-14-336", "open_clip"),
         ("PE-Core-T-16-384", "open_clip"), ("PE-Core-B-16", "open_clip"),
         ("convnext_base_w", "open_clip"), ("convnext_base_w", "clipc f32"),
         ("convnext_base_w", "and back"), ("convnext_large_d", "open_clip"),
         ("MobileCLIP-S1", "open_clip"), ("MobileCLIP2-S0", "open_clip"),
         ("MobileCLIP2-S0", "clipc f32"), ("MobileCLIP2-S3", "open_clip"),
         ("MobileCLIP2-L-14", "open_clip"), ("MobileCLIP-B", "open_clip"),
         ("MobileCLIP-B", "clipc f32"), ("ViTamin-S", "open_clip"), ("ViTamin-S", "clipc f32"),
         ("ViTamin-L-256", "open_clip"), ("hf_clip", "hf"), ("hf_siglip", "hf"),
         ("openai RN50", "pt state_dict"), ("openai ViT-B/32", "pt legacy"),
         ("ViT-B-32", "pt checkpoint"), ("ViT-B-32", "open_clip bin"),
         ("xlm-roberta-base-ViT-B-32", "open_clip"), ("multilingual DistilBERT", "sentence"),
         ("M-CLIP XLM-R base", "M-CLIP")]
BUILD = {"hf_clip": hf_clip, "hf_siglip": hf_siglip, "openai RN50": openai_model,
         "openai ViT-B/32": openai_model, "xlm-roberta-base-ViT-B-32": xlm_roberta,
         "multilingual DistilBERT": multilingual, "M-CLIP XLM-R base": m_clip}


def main():
    print(f"{'model':28} {'form':16} image: clipc, torch   text: clipc, torch")
    ok = True
    for name, form in CASES:
        if sys.argv[1:] and name not in sys.argv[1:]:
            continue
        model, cfg, info = BUILD.get(name, open_clip_model)(name)
        ok &= compare(name, form, model, cfg, info, FORMS[form])
    sys.exit(not ok)


main()
