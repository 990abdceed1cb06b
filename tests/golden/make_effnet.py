"""EfficientNet-Lite goldens: a small tower of efficientnet_lite_pytorch beside CLIP's text tower, with
gradients and running statistics after a step, and its state dict as that package's files are.
Writes tests/golden/models/effnet/ and effnet_package/.

usage: python3 tests/golden/make_effnet.py      (from the project's root; requirements.txt)
"""
import json, os
import torch
from efficientnet_lite_pytorch import EfficientNet
from efficientnet_lite_pytorch.utils import BlockDecoder, get_model_params
from open_clip.model import CLIP
from safetensors.torch import save_file

from make_models import ROOT, golden, inputs, note

COMMAND = "python3 tests/golden/make_effnet.py"
SIZE, EMBED, WIDTH = (38, 45), 10, 8  # odd and even on the way: 19, 10, 5, 3, 2 and 23, 12, 6, 3, 2
# Times eight, as the width coefficient takes it back (of the stem's and the last one's, too).
STAGES = ["r1_k3_s11_e1_i32_o48", "r2_k3_s22_e6_i48_o32", "r1_k5_s22_e6_i32_o64",
          "r2_k3_s22_e6_i64_o80", "r1_k5_s11_e6_i80_o96", "r2_k5_s22_e6_i96_o72",
          "r1_k3_s11_e6_i72_o112"]
TEXT = dict(context_length=8, vocab_size=40, width=16, heads=2, layers=1)


def small_net(size=SIZE):
    _, params = get_model_params("efficientnet-lite0", dict(
        width_coefficient=1 / 8, depth_coefficient=None, depth_divisor=1, image_size=size,
        fix_head_stem=False, drop_connect_rate=0.0, num_classes=7))
    return EfficientNet(BlockDecoder.decode(STAGES), params)


class Tower(torch.nn.Module):
    def __init__(self, net, features):
        super().__init__()
        self.net = net
        self.proj = torch.nn.Parameter(torch.empty(features, EMBED))
        del net._fc

    def forward(self, x):
        return pooled(self.net, x) @ self.proj


def pooled(net, x):
    return net._avg_pooling(net.extract_features(x)).flatten(1)


def randomize(model, seed):
    """Gains and biases so large that ReLU6 cuts on both sides."""
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.ndim >= 2:
                fan_in = p[0].numel() if p.ndim == 4 else p.shape[-1]
                p.copy_(torch.randn(p.shape, generator=g) * 1.2 / fan_in ** 0.5)
            elif "._bn" in name:
                gain = name.endswith("weight")
                p.copy_(torch.randn(p.shape, generator=g) * 0.4 + (2.0 if gain else 0.8))
            elif name.endswith("logit_scale"):
                p.fill_(2.3)
            else:
                gain = name.endswith("weight")
                p.copy_(torch.randn(p.shape, generator=g) * 0.2 + (1.0 if gain else 0.0))
        model.train()
        for _ in range(30):
            model.encode_image(torch.randn(8, 3, *SIZE, generator=g))
        model.eval()


def renamed(net):
    """{package's module: timm's}, which clipc's parameters are named after."""
    names = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2"}
    block = 0
    for stage, text in enumerate(STAGES):
        parts = (["_depthwise_conv", "_bn1", "_project_conv", "_bn2"] if stage == 0 else
                 ["_expand_conv", "_bn0", "_depthwise_conv", "_bn1", "_project_conv", "_bn2"])
        ours = (["conv_dw", "bn1", "conv_pw", "bn2"] if stage == 0 else
                ["conv_pw", "bn1", "conv_dw", "bn2", "conv_pwl", "bn3"])
        for j in range(int(text[1])):
            names |= {f"_blocks.{block}.{a}": f"blocks.{stage}.{j}.{b}" for a, b in zip(parts, ours)}
            block += 1
    return names


def own_name(key, names):
    """grad.visual.net._bn0.weight -> grad.visual.trunk.bn1.weight"""
    front, net, rest = key.partition("visual.net.")
    module, _, last = rest.rpartition(".")
    return f"{front}visual.trunk.{names[module]}.{last}" if net else key


def main():
    torch.manual_seed(0)
    net = small_net()
    features, seed = net._conv_head.out_channels, 11
    classifier = {f"_fc.{k}": v for k, v in net._fc.state_dict().items()}
    model = CLIP(embed_dim=EMBED, quick_gelu=True, text_cfg=TEXT, vision_cfg=dict(
        image_size=16, layers=1, width=8, patch_size=8, head_width=8))
    model.visual = Tower(net, features)
    model.visual_size = SIZE
    randomize(model, seed)
    names = renamed(net)
    _, ids = inputs(5, 8, TEXT["context_length"], TEXT["vocab_size"], seed)
    pixels = torch.randn(5, 3, *SIZE, generator=torch.Generator().manual_seed(seed))

    out, own = golden(model, pixels, ids, True)
    folder = f"{ROOT}/effnet"
    os.makedirs(folder, exist_ok=True)
    state = {own_name(k, names): p.contiguous() for k, p in model.state_dict().items()}
    save_file(state, f"{folder}/open_clip_model.safetensors")
    save_file({own_name(k, names): p for k, p in out.items()}, f"{folder}/golden.safetensors")
    tower = dict(family="efficientnet_lite", image_size=SIZE[0], image_width=SIZE[1],
                 embed_dim=EMBED, width=4, stages=[int(s[1]) for s in STAGES],
                 dims=[int(s.rpartition("o")[2]) // WIDTH for s in STAGES], features=features,
                 act="relu6", eps=1e-3)
    with open(f"{folder}/open_clip_config.json", "w") as f:
        json.dump({"model_cfg": dict(embed_dim=EMBED, quick_gelu=True, vision_cfg={"clipc": tower},
                                     text_cfg=TEXT), "preprocess_cfg": {}}, f, indent=1)
    note("effnet", command=COMMAND, seed=seed, own_float32_error=own)

    # The tower alone, in a file as the package's: features of pictures of 224 pixels.
    folder = f"{ROOT}/effnet_package"
    os.makedirs(folder, exist_ok=True)
    net = net.eval()
    whole = small_net(224)
    whole.load_state_dict(net.state_dict() | classifier)
    pixels = torch.randn(1, 3, 14, 14, generator=torch.Generator().manual_seed(seed))
    pixels = pixels.repeat_interleave(16, 2).repeat_interleave(16, 3)
    torch.save(whole.state_dict(), f"{folder}/model.pth")
    with torch.no_grad():
        want = pooled(whole.double().eval(), pixels.double())
    save_file({"blots": pixels[:, :, ::16, ::16].contiguous(), "image_features": want,
               "classifier": classifier["_fc.weight"].contiguous()},
              f"{folder}/golden.safetensors")
    note("effnet_package", command=COMMAND, seed=seed)


if __name__ == "__main__":
    main()
