"""Whether training here is training in open_clip: the same pictures in the same order, the same
initial weights, the same numbers for AdamW; losses in float32 by the library and by open_clip, by
the latter on one thread and on two.  What another number of threads changes is rounding, and
training makes it grow; the library may differ from open_clip by ten times as much.

usage: sh bench/curve.sh [--towers vit,resnet] [--steps N]      (from the project's root)
"""
import argparse
import io
import itertools
import json
import math
import os
import shutil
import sys
import tarfile
from importlib.metadata import version

import numpy as np
import open_clip
import torch
from open_clip.loss import ClipLoss
from open_clip_train.scheduler import cosine_lr
from PIL import Image

import clipc
from curve_plot import plot
from train_step import AS_IT_IS, Trainer

HOME = "build/curve"
DATA, PAIRS = "models/clipc-drawings/eval.tar.gz", 500  # the first, 64 x 64; no two captions alike
TEXT = {"context_length": 16, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 2}
TOWERS = {"vit": {"image_size": 64, "layers": 3, "width": 96, "patch_size": 8, "head_width": 32},
          "resnet": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 16}}
HYPER = {"batch_size": 32, "lr": 1e-3, "warmup": 50, "beta1": 0.9, "beta2": 0.98, "eps": 1e-6,
         "weight_decay": 0.2, "grad_clip": 1.0, "logit_scale_max": 100}
ALLOWED = 10


def write_order(path, batch, steps):
    """Epochs of whole batches, so that no batch holds a caption twice."""
    rng = np.random.default_rng(0)
    epochs = (rng.permutation(PAIRS)[:PAIRS // batch * batch] for _ in itertools.count())
    with open(path, "w") as f:
        f.writelines(f"{i}\n" for i in itertools.islice(
            itertools.chain.from_iterable(epochs), batch * steps))


def run_clipc(config, folder, threads):
    """A loss, a gradient's norm and a temperature each step.  The initial weights are saved into
    the folder first, where run_open_clip finds them."""
    shutil.rmtree(folder, ignore_errors=True)
    trainer = Trainer(out=folder, batch=config["batch_size"], threads=threads, **config)
    trainer.save()
    stats = [trainer.step() for _ in range(config["steps"])]
    trainer.close()
    return [(s.loss, s.grad_norm, s.logit_scale) for s in stats]


def read_pairs(transform, tokenize):
    with tarfile.open(DATA) as tar:
        files = {m.name: tar.extractfile(m).read() for m in tar if m.isfile()}
    names = [name[:-4] for name in files if name.endswith(".png")][:PAIRS]
    pixels = [transform(Image.open(io.BytesIO(files[f"{name}.png"]))) for name in names]
    return torch.stack(pixels), tokenize([files[f"{name}.txt"].decode() for name in names])


def optimizer_of(net, config):
    """As open_clip_train.main: what is no matrix does not decay."""
    groups = [{"params": [p for p in net.parameters() if (p.ndim >= 2) == matrix],
               "weight_decay": config["weight_decay"] * matrix} for matrix in (False, True)]
    return torch.optim.AdamW(groups, lr=config["lr"], eps=config["eps"],
                             betas=(config["beta1"], config["beta2"]))


def run_open_clip(config, folder, threads):
    """The same of open_clip: the steps of open_clip_train.train."""
    torch.set_num_threads(threads)
    name = f"local-dir:{folder}"
    net, _, transform = open_clip.create_model_and_transforms(name)
    pixels, ids = read_pairs(transform, open_clip.get_tokenizer(name))
    order = torch.from_numpy(np.loadtxt(config["order"], np.int64))
    optimizer, stats = optimizer_of(net, config), []
    schedule = cosine_lr(optimizer, config["lr"], config["warmup"], config["steps"])
    net.train()
    for step, batch in enumerate(order.split(config["batch_size"])[:config["steps"]]):
        schedule(step)
        optimizer.zero_grad()
        loss = ClipLoss()(*net(pixels[batch], ids[batch]))
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(net.parameters(), config["grad_clip"])
        optimizer.step()
        with torch.no_grad():
            net.logit_scale.clamp_(0, math.log(config["logit_scale_max"]))
        stats.append((loss.item(), norm.item(), net.logit_scale.exp().item()))
    return stats


def judge(ours, one, two):
    """What may differ and what does, at each step.  One more thread may change no digit of a step
    and many of the next, so what counts is the most so far, and no less than a loss's last digit."""
    ours, one, two = (np.array(run)[:, 0] for run in (ours, one, two))
    noise, gap = abs(one - two), abs(ours - one)
    allowed = ALLOWED * np.maximum(np.maximum.accumulate(noise), np.spacing(one.astype(np.float32)))
    return ours, one, noise, gap, allowed


def compare(tower, steps):
    """Runs all three, writes tower.json and tower.svg, says whether they agree."""
    folder, order = f"{HOME}/{tower}", f"{HOME}/{tower}.order"
    config = {"model": {"embed_dim": 64, "vision_cfg": TOWERS[tower], "text_cfg": TEXT},
              "data": DATA, "order": order, "augment": AS_IT_IS, "steps": steps, **HYPER}
    write_order(order, config["batch_size"], steps)
    runs = [run_clipc(config, folder, 2)] + [run_open_clip(config, folder, n) for n in (1, 2)]
    ours, theirs, noise, gap, allowed = judge(*runs)
    worst = int(np.argmax(gap / allowed))
    result = {"clipc": clipc.about(), "torch": torch.__version__, "open_clip": version("open-clip-torch"),
              "config": config, "first_loss": theirs[0], "last_loss": theirs[-1],
              "most_gap": gap.max(), "most_noise": noise.max(), "worst_step": worst + 1,
              "worst_part_of_allowed": gap[worst] / allowed[worst],
              **{name: [row[0] for row in run] for name, run in zip(
                  ("clipc_loss", "open_clip_loss_1_thread", "open_clip_loss_2_threads"), runs)}}
    with open(f"{HOME}/{tower}.json", "w") as f:
        json.dump(result, f, indent=1)
    plot(f"{HOME}/{tower}.svg", tower,
         {"open_clip": (theirs, "#b0c4de"), "clipc": (ours, "#c03020")},
         {"allowed: ten times the most of it so far": (allowed, "#b0c4de"),
          "open_clip on one thread and on two": (noise, "#4070b0"),
          "clipc and open_clip": (gap, "#c03020")})
    print(f"{tower}: loss {theirs[0]:.4f} to {theirs[-1]:.4f}; clipc differs by up to {gap.max():.2g}, "
          f"another thread by {noise.max():.2g}; at most {100 * gap[worst] / allowed[worst]:.0f} % of "
          f"what is allowed (step {worst + 1})")
    return gap[worst] <= allowed[worst]


def main():
    parser = argparse.ArgumentParser(description="Losses of the library beside open_clip's.")
    parser.add_argument("--towers", default="vit,resnet")
    parser.add_argument("--steps", type=int, default=300)
    args = parser.parse_args()
    os.makedirs(HOME, exist_ok=True)
    good = [compare(tower, args.steps) for tower in args.towers.split(",")]
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
