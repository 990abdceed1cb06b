"""The round trip with the real libraries: a model that clipc trained loads in open_clip, and
one that transformers saved loads in clipc; logits agree.  Prints the largest differences.

usage: python3 tests/golden/check_roundtrip.py   (from the project's root, after `make`)
"""
import json, os, subprocess, sys, tempfile
import numpy as np
import open_clip, torch, transformers
from PIL import Image

PICTURES = ["tests/golden/models/e2e/photo.jpg", "tests/golden/models/e2e/drawing.png",
            "tests/golden/models/e2e/picture.webp"]
TEXTS = ["a photo of a cat", "two dogs", "the number 42"]
TINY = {"embed_dim": 32, "vision_cfg": {"image_size": 32, "layers": 2, "width": 64,
        "patch_size": 8, "head_width": 32, "mlp_ratio": 2.6}, "text_cfg": {"context_length": 20,
        "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2}}

RESNET = TINY | {"vision_cfg": {"image_size": 64, "layers": [1, 2, 1, 1], "width": 8,
        "head_width": 32}}


def clipc(*args):
    return subprocess.run(["./clipc", *args], check=True, capture_output=True, text=True).stdout


def similarity(folder):
    texts = [x for t in TEXTS for x in ("-T", t)]
    return json.loads(clipc("similarity", *PICTURES, *texts, "-m", folder, "--json"))


def compare(what, ours, theirs):
    ours, theirs = np.array(ours), np.array(theirs)
    error = np.abs(ours - theirs).max() / np.abs(theirs).max()
    print(f"{what}: max |a-b| / max |b| = {error:.2e}")
    return error < 1e-4


def by_open_clip(folder):
    model, _, transform = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    tokenizer = open_clip.get_tokenizer("ViT-B-32", context_length=model.context_length)
    model.eval()
    with torch.no_grad():
        pixels = torch.stack([transform(Image.open(p)) for p in PICTURES])
        img, txt, scale = model(pixels, tokenizer(TEXTS))
    return (scale * img @ txt.T).tolist()


def by_transformers(folder, size, mean, std):
    model = transformers.CLIPModel.from_pretrained(folder).eval()
    transform = open_clip.image_transform(size, is_train=False, mean=mean, std=std)
    ids = open_clip.get_tokenizer("ViT-B-32", context_length=20)(TEXTS)
    with torch.no_grad():
        pixels = torch.stack([transform(Image.open(p)) for p in PICTURES])
        return model(input_ids=ids, pixel_values=pixels).logits_per_image.tolist()


def trained(folder, work, model):
    data = f"{work}/pairs"
    os.makedirs(data, exist_ok=True)
    for i, p in enumerate(PICTURES):
        Image.open(p).save(f"{data}/{i}.png")
        open(f"{data}/{i}.txt", "w").write(TEXTS[i])
    clipc("train", "--data", data, "--out", folder, "--set", "model=" + json.dumps(model),
          "--batch-size", "4", "--steps", "20", "--set", 'precision="f32"')


def saved_by_transformers(folder):
    torch.manual_seed(3)
    text = dict(hidden_size=32, intermediate_size=80, num_hidden_layers=2, num_attention_heads=2,
                max_position_embeddings=20, vocab_size=49408, bos_token_id=49406,
                eos_token_id=49407)
    vision = dict(hidden_size=64, intermediate_size=160, num_hidden_layers=2,
                  num_attention_heads=2, image_size=32, patch_size=8)
    cfg = transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=24)
    transformers.CLIPModel(cfg).save_pretrained(folder)


def main():
    ok = True
    mean, std = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
    with tempfile.TemporaryDirectory() as work:
        trained(f"{work}/run", work, TINY)
        ok &= compare("trained by clipc, run by open_clip",
                      similarity(f"{work}/run")["logits_per_image"], by_open_clip(f"{work}/run"))
        trained(f"{work}/rn", work, RESNET)
        ok &= compare("ResNet trained by clipc, run by open_clip",
                      similarity(f"{work}/rn")["logits_per_image"], by_open_clip(f"{work}/rn"))
        saved_by_transformers(f"{work}/hf")
        ok &= compare("saved by transformers, run by clipc",
                      similarity(f"{work}/hf")["logits_per_image"],
                      by_transformers(f"{work}/hf", 32, mean, std))
        clipc("convert", f"{work}/run", f"{work}/as_hf", "--to", "hf")
        ok &= compare("trained by clipc, converted, run by transformers",
                      similarity(f"{work}/as_hf")["logits_per_image"],
                      by_transformers(f"{work}/as_hf", 32, mean, std))
    sys.exit(not ok)


main()
