"""Whether training here is training in open_clip: the same pictures in the same order, the same
initial weights, the same numbers for AdamW; 300 steps in float32 by the library and by open_clip,
by the latter on one thread and on two.  What two threads change is rounding, and training makes it
grow; the library may differ from open_clip by ten times as much."""
import argparse
import json
import os
import tarfile

import numpy as np
import open_clip
import torch
from open_clip.loss import ClipLoss
from open_clip_train.scheduler import cosine_lr
from PIL import Image

from train_step import AS_IT_IS, Trainer

HOME = "build/curve"
PICTURES = f"{HOME}/fluent-emoji"
TEXT = {"context_length": 16, "width": 64, "heads": 2, "layers": 2}
TOWERS = {"vit": {"image_size": 64, "layers": 3, "width": 96, "patch_size": 8, "head_width": 32},
          "resnet": {"image_size": 64, "layers": [1, 2, 2, 1], "width": 16}}
STEPS, BATCH = 300, 32
HYPER = {"lr": 1e-3, "warmup": 50, "beta1": 0.9, "beta2": 0.98, "eps": 1e-6, "weight_decay": 0.2,
         "grad_clip": 1.0}


def model_config(tower):
    return {"embed_dim": 64, "vision_cfg": TOWERS[tower], "text_cfg": {**TEXT, "vocab_size": 49408}}


def make_pictures():
    """500 pictures of 64 x 64 with a caption each, no two alike."""
    if not os.path.exists(PICTURES):
        with tarfile.open("models/clipc-drawings/eval.tar.gz") as tar:
            tar.extractall(HOME, [m for m in tar if m.name.startswith("fluent-emoji/")], filter="data")


def make_order():
    """Epochs of whole batches, so that no batch holds a picture twice."""
    n, rng, order = len(os.listdir(PICTURES)) // 2, np.random.default_rng(0), []
    while len(order) < STEPS * BATCH:
        order.extend(rng.permutation(n)[:n // BATCH * BATCH])
    with open(f"{HOME}/order.txt", "w") as f:
        f.writelines(f"{i}\n" for i in order[:STEPS * BATCH])


def run_clipc(tower):
    """The losses; its initial weights, with which open_clip begins, are saved first."""
    out = f"{HOME}/{tower}"
    trainer = Trainer(model_config(tower), PICTURES, out, BATCH, 2, augment=AS_IT_IS,
                      order=f"{HOME}/order.txt", steps=STEPS, **HYPER)
    trainer.save()
    losses = [trainer.step().loss for _ in range(STEPS)]
    trainer.close()
    return losses


def read_pairs(transform, tokenize):
    names = sorted(f"{PICTURES}/{n[:-4]}" for n in os.listdir(PICTURES) if n.endswith(".png"))
    pixels = torch.stack([transform(Image.open(f"{n}.png")) for n in names])
    return pixels, tokenize([open(f"{n}.txt").read() for n in names])


def optimizer_of(net):
    """As open_clip_train.main: decay of matrices alone."""
    plain = [p for p in net.parameters() if p.ndim < 2]
    decayed = [p for p in net.parameters() if p.ndim >= 2]
    return torch.optim.AdamW(
        [{"params": plain, "weight_decay": 0.0},
         {"params": decayed, "weight_decay": HYPER["weight_decay"]}],
        lr=HYPER["lr"], betas=(HYPER["beta1"], HYPER["beta2"]), eps=HYPER["eps"])


def run_torch(tower, threads):
    """The losses, by the steps of open_clip_train.train."""
    torch.set_num_threads(threads)
    name = f"local-dir:{HOME}/{tower}"
    net, _, transform = open_clip.create_model_and_transforms(name)
    pixels, ids = read_pairs(transform, open_clip.get_tokenizer(name))
    order = torch.from_numpy(np.loadtxt(f"{HOME}/order.txt", np.int64)).split(BATCH)
    optimizer, losses = optimizer_of(net), []
    schedule = cosine_lr(optimizer, HYPER["lr"], HYPER["warmup"], STEPS)
    net.train()
    for step, batch in enumerate(order):
        schedule(step)
        optimizer.zero_grad()
        loss = ClipLoss()(*net(pixels[batch], ids[batch]))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), HYPER["grad_clip"])
        optimizer.step()
        with torch.no_grad():
            net.logit_scale.clamp_(0, np.log(100))
        losses.append(loss.item())
    return losses
