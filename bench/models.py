"""Models of random weights for every program that is measured, their inputs, and what PyTorch in
float32 makes of them.  All of it is made once, under build/bench-models, which may be deleted."""
import copy
import json
import os
import random
import subprocess
import warnings

import numpy as np
import open_clip
import torch
from open_clip.zero_shot_metadata import IMAGENET_CLASSNAMES, OPENAI_IMAGENET_TEMPLATES
from safetensors.torch import load_file, save_file

warnings.filterwarnings("ignore")
HOME = "build/bench-models"
CLIPC = "./clipc"
NAMES = {"vit-b32": "ViT-B-32-quickgelu", "vit-b16": "ViT-B-16-quickgelu",
         "vit-l14": "ViT-L-14-quickgelu", "rn50": "RN50-quickgelu"}
# Of no config of open_clip's: the default model's kinds of towers.
LITE0 = {"embed_dim": 512, "custom_text": True,
         "vision_cfg": {"image_size": 224, "timm_model_name": "tf_efficientnet_lite0",
                        "timm_pool": "avg", "timm_proj": "linear"},
         "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 1}}
MINILM = {"model_type": "bert", "vocab_size": 30522, "hidden_size": 384, "num_hidden_layers": 6,
          "num_attention_heads": 12, "intermediate_size": 1536}  # all-MiniLM-L6-v2
MINILM_TOKENS = 128  # what peers get a text padded to
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
LABELS = list(IMAGENET_CLASSNAMES)
TEMPLATES = [t("{}") for t in OPENAI_IMAGENET_TEMPLATES]


def config(model):
    return LITE0 if model == "lite0" else open_clip.get_model_config(NAMES[model])


def embed_dim(model):
    return MINILM["hidden_size"] if model == "minilm" else config(model)["embed_dim"]


class ImageTower(torch.nn.Module):
    def __init__(self, clip):
        super().__init__()
        self.visual = clip.visual

    def forward(self, pixels):
        return self.visual(pixels)


class TextTower(torch.nn.Module):
    def __init__(self, clip):
        super().__init__()
        self.clip = clip
        del clip.visual

    def forward(self, ids):
        return self.clip.encode_text(ids)


class MeanOfBert(torch.nn.Module):
    def __init__(self, bert):
        super().__init__()
        self.bert = bert

    def forward(self, ids):
        mask = (ids != 0).float()
        rows = self.bert(input_ids=ids, attention_mask=mask).last_hidden_state
        return (rows * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)


def made(path, make):
    """path, made first where it is not there; a run that is cut off leaves nothing half made."""
    if not os.path.exists(path):
        os.makedirs(HOME, exist_ok=True)
        make(path + ".part")
        os.rename(path + ".part", path)
    return path


def empty_model(model):
    if model == "minilm":
        import transformers
        return transformers.BertModel(transformers.BertConfig(**MINILM), add_pooling_layer=False).eval()
    if model == "lite0":
        return open_clip.model.CustomTextCLIP(
            **{k: v for k, v in copy.deepcopy(LITE0).items() if k != "custom_text"}).eval()
    return open_clip.create_model(NAMES[model], pretrained=None).eval()


def random_model(model):
    torch.manual_seed(0)
    clip = empty_model(model)
    with torch.no_grad():  # nothing stays at a trivial start
        for key, p in clip.named_parameters():
            if p.ndim == 1 and key.endswith(("weight", "bias")):
                p.add_(torch.randn_like(p) * 0.1)
    return clip


def folder(model):
    """An open_clip folder, or sentence-transformers'."""
    def make(path):
        os.makedirs(path, exist_ok=True)
        state = random_model(model).state_dict()
        save_file({k: v.contiguous().clone() for k, v in state.items()}, f"{path}/{weights(model)}")
        if model == "minilm":
            for name, data in (("config.json", MINILM), ("modules.json", [])):
                with open(f"{path}/{name}", "w") as f:
                    json.dump(data, f)
            return
        with open(f"{path}/open_clip_config.json", "w") as f:
            json.dump({"model_cfg": config(model), "preprocess_cfg": {"mean": MEAN, "std": STD}}, f)
    return made(f"{HOME}/{model}", make)


def weights(model):
    return "model.safetensors" if model == "minilm" else "open_clip_model.safetensors"


def own(model, precision="f32"):
    """A file in clipc's own format."""
    def make(path):
        subprocess.run([CLIPC, "convert", folder(model), path, "--to", "clipc", "--force",
                        "--precision", precision], check=True)
    return made(f"{HOME}/{model}-{precision}.clipc", make)


def huggingface(model):
    def make(path):
        subprocess.run([CLIPC, "convert", folder(model), path, "--to", "hf", "--force"], check=True)
    return made(f"{HOME}/{model}-hf", make)


def tower(model, kind):
    """A torch module, float32: pixels or ids to embeddings."""
    def make(path):
        clip, towers = empty_model(model), {"image": ImageTower, "text": TextTower}
        clip.load_state_dict(load_file(f"{folder(model)}/{weights(model)}"), strict=False)
        torch.save((MeanOfBert if model == "minilm" else towers[kind])(clip), path)
    path = made(f"{HOME}/{model}-{kind}.pt", make)
    return torch.load(path, weights_only=False)


def onnx(model, kind):
    def make(path):
        torch.backends.mha.set_fastpath_enabled(False)
        torch.onnx.export(tower(model, kind), torch.from_numpy(inputs(model, kind, 2)), path,
                          dynamo=False, opset_version=17, input_names=["x"], output_names=["y"],
                          dynamic_axes={"x": {0: "batch"}, "y": {0: "batch"}})
    return made(f"{HOME}/{model}-{kind}.onnx", make)


def openvino_int8(model):
    """The image tower, weights and activations in int8, by NNCF as its authors advise."""
    path = f"{HOME}/{model}-image-int8.xml"
    if not os.path.exists(path):
        import nncf
        import openvino
        pictures = [inputs(model, "image", 1, seed) for seed in range(100, 132)]
        quantized = nncf.quantize(openvino.Core().read_model(onnx(model, "image")),
                                  nncf.Dataset(pictures), preset=nncf.QuantizationPreset.MIXED,
                                  model_type=nncf.ModelType.TRANSFORMER)
        openvino.save_model(quantized, path, compress_to_fp16=False)
    return path


def pictures(n, seed):
    """Blots, edges and noise, normalised: float32 [n,3,224,224]."""
    rng = np.random.default_rng(seed)
    blots = rng.normal(0, 1, (n, 3, 14, 14)).repeat(16, 2).repeat(16, 3)
    return (blots + rng.normal(0, 0.3, (n, 3, 224, 224))).astype(np.float32)


def token_rows(texts):
    return open_clip.get_tokenizer("ViT-B-32")(texts).numpy()


def prompts(n):
    """Of natural length: 8 to 12 tokens."""
    every = [t.replace("{}", label) for t in TEMPLATES for label in LABELS]
    random.Random(1).shuffle(every)
    rows = token_rows(every[:8 * n + 64])
    length = rows.argmax(1) + 1
    return rows[(length >= 8) & (length <= 12)][:n]


def word_pieces(n):
    """Rows of ten tokens of BERT's, padded."""
    rows = np.zeros((n, MINILM_TOKENS), np.int64)
    rows[:, 1:9] = np.random.default_rng(1).integers(1000, 30000, (n, 8))
    rows[:, 0], rows[:, 9] = 101, 102
    return rows


def inputs(model, kind, n, seed=1):
    """What peers take: pictures, or ids [n,77]; MiniLM's [n,128]."""
    if model == "minilm":
        return word_pieces(n)
    return pictures(n, seed) if kind == "image" else prompts(n)


def reference(model, kind, batch):
    """PyTorch's float32 embeddings of inputs(model, kind, batch)."""
    def make(path):
        torch.backends.mha.set_fastpath_enabled(False)
        net, x = tower(model, kind), torch.from_numpy(inputs(model, kind, batch))
        with torch.inference_mode(), open(path, "wb") as f:
            np.save(f, torch.cat([net(part) for part in x.split(8)]).numpy())
    return np.load(made(f"{HOME}/{model}-{kind}-{batch}.npy", make))


def gflop(model):
    """Of one picture, as peers compute it: multiply-adds counted twice."""
    def make(path):
        from torch.utils.flop_counter import FlopCounterMode
        torch.backends.mha.set_fastpath_enabled(False)
        net = tower(model, "image")
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            net(torch.from_numpy(inputs(model, "image", 1)))
        with open(path, "w") as f:
            f.write(str(counter.get_total_flops() / 1e9))
    with open(made(f"{HOME}/{model}-gflop.txt", make)) as f:
        return float(f.read())


def gflop_of_ours(model):
    """A ViT's last layer makes keys and values of all tokens, the rest for the class token alone."""
    vision = config(model)["vision_cfg"]
    if not isinstance(vision.get("layers"), int):
        return gflop(model)
    width, tokens = vision["width"], (224 // vision["patch_size"]) ** 2 + 1
    left_out = (tokens - 1) * (2 * width * width + 8 * width * width + 2 * tokens * width)
    return gflop(model) - 2e-9 * left_out
