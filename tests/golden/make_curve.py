"""Goldens of training in tests/golden/curve/: for a ViT and a ResNet what open_clip's loss, its
gradient's norm and its temperature were in each of the first steps, beside the config with which
clipc takes the same steps.  The initial weights are those that clipc draws from the config's seed:
where net_init changes, these have to be made again.

usage: python3 tests/golden/make_curve.py      (from the project's root, after `make lib`;
requirements.txt)
"""
import json
import os
import sys
import tempfile
from importlib.metadata import version

sys.path.insert(0, "bench")
import torch
from curve import DATA, run_clipc, run_open_clip, write_order
from train_step import AS_IT_IS

HERE = "tests/golden/curve/"
TOWERS = {"vit": {"image_size": 64, "layers": 2, "width": 32, "patch_size": 16, "head_width": 16},
          "resnet": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 8, "head_width": 32}}
TEXT = {"context_length": 12, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1}
# Numbers that show in ten steps: the norm is above grad_clip and below it, the temperature begins
# above its limit.
HYPER = {"batch_size": 8, "steps": 10, "lr": 1e-3, "warmup": 3, "beta1": 0.8, "beta2": 0.95,
         "eps": 1e-5, "weight_decay": 2.0, "grad_clip": 60.0, "logit_scale_max": 14.0}


def main():
    os.makedirs(HERE, exist_ok=True)
    order = HERE + "order.txt"
    write_order(order, HYPER["batch_size"], HYPER["steps"])
    for name, tower in TOWERS.items():
        config = {"model": {"embed_dim": 16, "vision_cfg": tower, "text_cfg": TEXT}, "data": DATA,
                  "order": order, "augment": AS_IT_IS, "seed": 1, **HYPER}
        with tempfile.TemporaryDirectory() as folder:
            ours = run_clipc(config, folder, 1)
            steps = run_open_clip(config, folder, 1)
        for a, b in zip(ours, steps):
            print(*(f"{y:.7g} ({x - y:+.1e})" for x, y in zip(a, b)))
        with open(f"{HERE}{name}.json", "w") as f:
            json.dump({"config": config, "columns": ["loss", "grad_norm", "logit_scale"],
                       "steps": steps}, f, indent=1)
    with open(HERE + "MANIFEST", "w") as f:
        f.write(f"python3 tests/golden/make_curve.py; torch {torch.__version__}, "
                f"open_clip {version('open-clip-torch')}\n")


main()
