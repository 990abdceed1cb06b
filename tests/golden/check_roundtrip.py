"""The round trip with the real libraries: a model that clipc trained loads in open_clip, and
one that transformers saved loads in clipc; logits agree; the variants that clipc rewrites load
in open_clip and transformers and give their goldens again, as do the tokens of a rewritten
vocabulary.  Prints the largest differences.

usage: python3 tests/golden/check_roundtrip.py   (from the project's root, after `make`)
"""
import json, os, subprocess, sys, tempfile
import numpy as np
import open_clip, torch, transformers
from PIL import Image
from safetensors.torch import load_file
import make_variants  # and its small towers behind the names of timm and the hub

# What timm's create_model would have set.
make_variants.Eva.default_cfg = make_variants.VisionTransformer.default_cfg = {}

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


def compare(what, ours, theirs, most=1e-4):
    ours, theirs = np.array(ours), np.array(theirs)
    error = np.abs(ours - theirs).max() / np.abs(theirs).max()
    print(f"{what}: max |a-b| / max |b| = {error:.2e}")
    return error < most


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


def saved_by_transformers(folder, vocab_size=49408):
    torch.manual_seed(3)
    text = dict(hidden_size=32, intermediate_size=80, num_hidden_layers=2, num_attention_heads=2,
                max_position_embeddings=20, vocab_size=vocab_size, bos_token_id=vocab_size - 2,
                eos_token_id=vocab_size - 1)
    vision = dict(hidden_size=64, intermediate_size=160, num_hidden_layers=2,
                  num_attention_heads=2, image_size=32, patch_size=8)
    cfg = transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=24)
    transformers.CLIPModel(cfg).save_pretrained(folder)


def features_of(folder, layout, case):
    """What the original implementation computes from a folder that clipc wrote."""
    golden = load_file(f"tests/golden/variants/{case}/golden.safetensors")
    if layout == "hf":
        siglip = json.load(open(f"{folder}/config.json"))["model_type"] == "siglip"
        kind = transformers.SiglipModel if siglip else transformers.CLIPModel
        model, info = kind.from_pretrained(folder, output_loading_info=True,
                                           attn_implementation="eager")
        assert not any(info.values()), info
    else:
        model = open_clip.create_model(f"local-dir:{folder}")
    with torch.no_grad():
        mine = make_variants.features(model.eval(), golden["pixels"], golden["ids"].long())
    return golden, mine


def rewritten(work, case, *layouts):
    """Through each of the layouts in turn; the last one's folder is run."""
    source = f"tests/golden/variants/{case}"
    for layout in layouts:
        out = f"{work}/{'_'.join([case, *layouts])}.{layout}"
        clipc("convert", source, out, "--to", layout)
        source = out
    golden, mine = features_of(source, layouts[-1], case)
    return all([compare(f"{case} by {', '.join(layouts)}: {what}", x.tolist(),
                        golden[f"{what}_features"].tolist(), 1e-5)
                for what, x in zip(("image", "text"), mine)])


def real_siglip(work):
    """A SigLIP of Hugging Face's at the size of one of timm's, with a small text tower."""
    torch.manual_seed(4)
    text = dict(hidden_size=32, intermediate_size=80, num_hidden_layers=1, num_attention_heads=2,
                max_position_embeddings=9, vocab_size=50, projection_size=768)
    cfg = transformers.SiglipConfig(text_config=text,
                                    vision_config=dict(image_size=256, patch_size=32))
    model = transformers.SiglipModel(cfg).eval()
    with torch.no_grad():
        model.logit_scale.fill_(2.0), model.logit_bias.fill_(-3.0)
    model.save_pretrained(f"{work}/siglip")
    clipc("convert", f"{work}/siglip", f"{work}/siglip_oc")
    again = open_clip.create_model(f"local-dir:{work}/siglip_oc").eval()
    pixels, ids = make_variants.inputs(5, 256, 9, 50)
    with torch.no_grad():
        return all([compare(f"SigLIP of Hugging Face's in open_clip: {what}", a.tolist(), b.tolist(),
                            1e-5)
                    for what, a, b in zip(("image", "text"),
                                          make_variants.features(again, pixels, ids),
                                          make_variants.features(model, pixels, ids))])


def same_ids(what, folder, theirs, end):
    """clipc's ids of TEXTS up to the end token, and another tokenizer's."""
    out = clipc("tokenize", *TEXTS, "-m", folder, "--json").splitlines()
    ours = [row["ids"][:row["n"]] for row in map(json.loads, out)]
    theirs = [list(map(int, row[:list(row).index(end) + 1])) for row in theirs]
    print(f"{what}: {'the same ids' if ours == theirs else f'{ours} and {theirs}'}")
    return ours == theirs


def byte_pairs(work):
    """A CLIP of Hugging Face's with a small vocabulary, rewritten in every layout."""
    alphabet = sorted(open_clip.tokenizer.bytes_to_unicode().values())
    merges = ["a t</w>", "c at</w>", "t w", "tw o</w>", "n u"]
    symbols = [*alphabet, *(c + "</w>" for c in alphabet),
               *(m.replace(" ", "") for m in merges), "<|startoftext|>", "<|endoftext|>"]
    end = len(symbols) - 1
    saved_by_transformers(f"{work}/bpe", end + 1)
    with open(f"{work}/bpe/vocab.json", "w") as f:
        json.dump({s: i for i, s in enumerate(symbols)}, f)
    with open(f"{work}/bpe/merges.txt", "w") as f:
        f.write("\n".join(["#version: 0.2", *merges, ""]))
    clipc("convert", f"{work}/bpe", f"{work}/bpe.clipc", "--to", "clipc")
    clipc("convert", f"{work}/bpe.clipc", f"{work}/bpe_hf", "--to", "hf")
    clipc("convert", f"{work}/bpe_hf", f"{work}/bpe_oc", "--to", "open_clip")
    hf = transformers.AutoTokenizer.from_pretrained(f"{work}/bpe_hf")
    oc = open_clip.get_tokenizer(f"local-dir:{work}/bpe_oc")
    return all([same_ids("byte pairs in transformers", f"{work}/bpe_hf",
                         hf(TEXTS)["input_ids"], end),
                same_ids("byte pairs in open_clip", f"{work}/bpe_oc", oc(TEXTS).tolist(), end)])


def word_pieces(work):
    subprocess.run(["cp", "-r", "tests/golden/variants/bert_pooler", f"{work}/wp"], check=True)
    words = "[PAD] [UNK] [CLS] [SEP] [MASK] a photo of cat two dog ##s the number 4 ##2".split()
    open(f"{work}/wp/vocab.txt", "w").write("\n".join(words) + "\n")
    with open(f"{work}/wp/tokenizer_config.json", "w") as f:
        json.dump({"tokenizer_class": "BertTokenizer", "do_lower_case": True}, f)
    clipc("convert", f"{work}/wp", f"{work}/wp.clipc", "--to", "clipc")
    clipc("convert", f"{work}/wp.clipc", f"{work}/wp_oc")
    theirs = open_clip.get_tokenizer(f"local-dir:{work}/wp_oc")
    return same_ids("WordPiece in open_clip", f"{work}/wp.clipc", theirs(TEXTS).tolist(), 3)


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
        for case, *layouts in (
                ("attn_pool_parallel", "open_clip"), ("bert_pooler", "open_clip"),
                ("bert_linear", "clipc", "open_clip"), ("xlm_roberta", "open_clip"),
                ("eva02_base_patch16_clip_224", "clipc", "open_clip"),
                ("vit_pe_core_base_patch16_224", "open_clip"), ("siglip", "open_clip"),
                ("siglip", "hf"), ("siglip", "clipc", "hf"), ("hf_siglip", "clipc", "hf"),
                ("scales", "clipc", "open_clip")):
            ok &= rewritten(work, case, *layouts)
        ok &= byte_pairs(work)
        ok &= word_pieces(work)
        ok &= real_siglip(work)
    sys.exit(not ok)


main()
