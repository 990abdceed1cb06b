"""Golden of a model with a head of two parts: a small EfficientNet-Lite of
efficientnet_lite_pytorch with the head written out in PyTorch, a small BERT of transformers,
and the gradients of all that learns.
Beside it a folder as sentence-transformers has, and what the names of classes become by it.
Writes tests/golden/models/headed/ and sentences/.

usage: python3 tests/golden/make_head.py      (from the project's root; requirements.txt)
"""
import copy, json, os
import torch, transformers
from safetensors.torch import save_file

from make_effnet import STAGES, WIDTH, pooled, renamed, small_net
from make_models import ROOT, clip_loss, note

COMMAND, SEED, B = "python3 tests/golden/make_head.py", 31, 5
SIZE = (38, 38)
D, HIDDEN, GATE, CLASSES, TOP = 8, 6, 5, 7, 3
CONTEXT, VOCAB = 9, 40
FIXED = ("head.classifier.", "head.classes.")


def unit(x):
    return x / x.norm(dim=-1, keepdim=True)


class Head(torch.nn.Module):
    """Names and order of clipc's."""

    def __init__(self, features):
        super().__init__()
        linear = torch.nn.Linear
        self.ln = torch.nn.LayerNorm(features)
        self.linear = linear(features, D, bias=False)
        self.mlp = torch.nn.ModuleDict({"c_fc": linear(features, HIDDEN), "c_proj": linear(HIDDEN, D)})
        self.gate = torch.nn.ModuleDict({"c_fc": linear(features, GATE), "c_proj": linear(GATE, 1)})
        self.class_scale = torch.nn.Parameter(torch.tensor(1.3))
        self.classifier = linear(features, CLASSES)
        self.classes = torch.nn.Embedding(CLASSES, D)

    def forward(self, f):
        gelu = torch.nn.functional.gelu
        x = self.ln(f.sqrt())
        z = self.linear(x) + self.mlp["c_proj"](gelu(self.mlp["c_fc"](x)))
        p, best = self.classifier(f).softmax(-1).topk(TOP)
        k = (p[..., None] * self.classes(best)).sum(1).detach()
        g = self.gate["c_proj"](gelu(self.gate["c_fc"](x))).sigmoid()
        return (1 - g) * unit(z) + g * self.class_scale * unit(k)


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.net = small_net(SIZE)
        self.head = Head(self.net._conv_head.out_channels)
        self.bert = transformers.BertModel(transformers.BertConfig(
            vocab_size=VOCAB, hidden_size=D, num_attention_heads=2, num_hidden_layers=2,
            intermediate_size=12, max_position_embeddings=CONTEXT), add_pooling_layer=False)
        self.logit_scale = torch.nn.Parameter(torch.tensor(2.3))

    def texts(self, ids):
        real = (ids != 0).long()
        rows = self.bert(input_ids=ids, attention_mask=real).last_hidden_state
        return (rows * real[..., None]).sum(1) / real.sum(1, keepdim=True)

    def forward(self, pixels, ids):
        return self.head(pooled(self.net, pixels)), self.texts(ids)


def randomize(model, pixels):
    g = torch.Generator().manual_seed(SEED)
    with torch.no_grad():
        for name, p in model.named_parameters():
            gain = 1.0 if name.endswith("weight") else 0.3
            if p.ndim >= 2:
                p.copy_(torch.randn(p.shape, generator=g) * 1.2 / p[0].numel() ** 0.5)
            elif p.ndim == 1:
                p.copy_(torch.randn(p.shape, generator=g) * 0.3 + gain)
        model.net.train()
        for _ in range(30):
            model.net.extract_features(torch.randn(8, 3, *SIZE, generator=g))
        model.eval()


def own_name(key, names):
    """As clipc stores it."""
    part, _, rest = key.partition(".")
    if part == "net":
        module, _, last = rest.rpartition(".")
        return f"visual.trunk.{names[module]}.{last}"
    return {"head": f"visual.{key}", "bert": f"text.transformer.{rest}"}.get(part, key)


def stored(key, value):
    """The gate ends in a vector and a scalar."""
    return value.reshape([] if key.endswith("bias") else [-1]) if ".gate.c_proj." in key else value


def towers(features):
    vision = dict(family="efficientnet_lite", image_size=SIZE[0], image_width=SIZE[1],
                  embed_dim=D, width=4, stages=[int(s[1]) for s in STAGES],
                  dims=[int(s.rpartition("o")[2]) // WIDTH for s in STAGES], features=features,
                  act="relu6", eps=1e-3, proj="none",
                  **{"head.hidden": HIDDEN, "head.gate": GATE, "head.classes": CLASSES,
                     "head.top": TOP, "head.dropout": 0.25})
    text = dict(family="bert", context_length=CONTEXT, vocab_size=VOCAB, embed_dim=D, width=D,
                heads=2, layers=2, mlp_width=12, act="gelu", eps=1e-12, positions=CONTEXT, types=2,
                proj="none")
    return {"clipc": vision}, {"clipc": text}


def main():
    torch.manual_seed(0)
    model = Model()
    del model.net._fc
    g = torch.Generator().manual_seed(SEED)
    pixels = torch.randn(B, 3, *SIZE, generator=g)
    ids = torch.randint(1, VOCAB, (B, CONTEXT), generator=g)
    for b in range(B):
        ids[b, 2 + b:] = 0
    randomize(model, pixels)
    names = renamed(model.net)
    single = [x.detach() for x in model(pixels, ids)]
    double = copy.deepcopy(model).double()
    img, txt = double(pixels.double(), ids)
    _, loss = clip_loss(img, txt, double.logit_scale)
    loss.backward()
    out = {"pixels": pixels, "ids": ids.int(), "image_features": img.detach(),
           "text_features": txt.detach(), "loss": loss.detach().reshape(1)}
    for key, p in double.named_parameters():
        if key == "logit_scale" or key.startswith("head.") and not key.startswith(FIXED):
            out[f"grad.{own_name(key, names)}"] = p.grad.float().reshape(p.grad.shape or [1])

    folder = f"{ROOT}/headed"
    os.makedirs(folder, exist_ok=True)
    state = {own_name(k, names): stored(f".{k}", p).contiguous()
             for k, p in model.state_dict().items() if "position_ids" not in k}
    save_file(state, f"{folder}/open_clip_model.safetensors")
    save_file({k: v.contiguous() for k, v in out.items()}, f"{folder}/golden.safetensors")
    vision, text = towers(model.head.ln.normalized_shape[0])
    with open(f"{folder}/open_clip_config.json", "w") as f:
        json.dump({"model_cfg": dict(embed_dim=D, quick_gelu=False, vision_cfg=vision, text_cfg=text),
                   "preprocess_cfg": {}}, f, indent=1)
    own = {name: float((a - b).abs().max() / b.abs().max())
           for name, a, b in (("image", single[0], img.detach()), ("text", single[1], txt.detach()))}
    note("headed", command=COMMAND, seed=SEED, own_float32_error=own)
    sentences(model.bert)


CLASSES_TSV = """tench, Tinca tinca\tfish
cat
big cat,  lynx ,\tAn animal
dog\t
a, b, c\tcab
dice
bad bed\tdeed
"""
TEXTS = ["cat", "A photo of a Dog!", "bed"]


def sentences(bert):
    """Letters alone are tokens; lines that a cut leaves out stand between them."""
    letters = [chr(c) for c in range(ord("a"), ord("x"))]
    words = (["[PAD]", "[unused0]", "[UNK]", "[CLS]", "[SEP]", "\u0434", "cat"] + letters[:8] + ["\u4e2d"] +
             letters[8:] + ["##" + c for c in ("a", "o", "t", "g", "i")] + ["!", "of", "##\u0434", "##h"])
    assert len(words) == VOCAB, len(words)
    folder = f"{ROOT}/sentences"
    os.makedirs(f"{folder}/1_Pooling", exist_ok=True)
    with open(f"{folder}/vocab.txt", "w") as f:
        f.write("".join(w + "\n" for w in words))
    bert.config.model_type = "bert"
    bert.config.to_json_file(f"{folder}/config.json", use_diff=False)
    with open(f"{folder}/1_Pooling/config.json", "w") as f:
        json.dump({"word_embedding_dimension": D, "pooling_mode_mean_tokens": True}, f)
    with open(f"{folder}/sentence_bert_config.json", "w") as f:
        json.dump({"max_seq_length": CONTEXT}, f)
    with open(f"{folder}/modules.json", "w") as f:
        json.dump([{"idx": 0, "path": "", "type": "sentence_transformers.models.Transformer"},
                   {"idx": 1, "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}], f)
    with open(f"{folder}/classes.tsv", "w") as f:
        f.write(CLASSES_TSV)
    save_file({k: v.contiguous() for k, v in bert.state_dict().items()}, f"{folder}/model.safetensors")

    tokenizer = transformers.BertTokenizerFast(f"{folder}/vocab.txt", do_lower_case=True)
    double = copy.deepcopy(bert).double()

    @torch.no_grad()
    def encode(text):
        ids = tokenizer([text], truncation=True, max_length=CONTEXT, return_tensors="pt")["input_ids"]
        return unit(double(input_ids=ids).last_hidden_state[0].mean(0))

    rows = []
    for line in CLASSES_TSV.splitlines():
        names, _, gloss = line.partition("\t")
        names = [n.strip() for n in names.split(",") if n.strip()]
        e = sum(encode(n) + encode(f"a photo of a {n}") for n in names) / len(names)
        rows.append(unit(e + encode(gloss) if gloss else e))
    out = {"classes": torch.stack(rows), "texts": torch.stack([encode(t) for t in TEXTS])}
    save_file(out, f"{folder}/golden.safetensors")
    note("sentences", command=COMMAND, seed=SEED)


main()
