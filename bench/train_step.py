"""Training steps (forward, backward, clipping, AdamW) of the library and of PyTorch, float32."""
import ctypes as c
import json
import math
import os
import tempfile

import numpy as np
import open_clip
import torch
from open_clip.loss import ClipLoss
from PIL import Image
from safetensors.torch import load_file

from clipc import Error, check, lib

CAPTION = "a drawing of thing number {} in some colour"
FULL = CAPTION + ", then of another" * 40  # more tokens than fit
AS_IT_IS = {"ground": [1, 0, 0, 0], "rotate": 0, "scale": [1, 1], "shift": 0, "crop": [1, 1],
            "ratio": [1, 1], "flip": 0, "grey": 0}


class Stats(c.Structure):
    """clipc_train_stats."""
    _fields_ = [("step", c.c_size_t), ("steps", c.c_size_t), ("loss", c.c_double),
                ("logit_scale", c.c_double), ("lr", c.c_double), ("grad_norm", c.c_double),
                ("images_per_second", c.c_double), ("waited", c.c_double),
                ("skipped", c.c_size_t), ("broken", c.c_size_t)]


class Trainer:
    def __init__(self, model, data, out, batch, threads, **more):
        config = {"model": model, "data": data, "batch_size": batch, "threads": threads,
                  "workers": 1, "steps": 1000000, "precision": "f32", **more}
        self.handle, err = c.c_void_p(), Error()
        check(lib.clipc_trainer_open(c.byref(self.handle), json.dumps(config).encode(), b"bench",
                                     out.encode(), 0, c.byref(err)), err)

    def step(self):
        stats, err = Stats(), Error()
        check(lib.clipc_trainer_step(self.handle, c.byref(stats), c.byref(err)), err)
        return stats

    def save(self):
        err = Error()
        check(lib.clipc_trainer_save(self.handle, c.byref(err)), err)

    def close(self):
        lib.clipc_trainer_free(self.handle)


class TorchTrainer:
    def __init__(self, model, batch, threads, caption):
        torch.set_num_threads(threads)
        self.net = open_clip.model.CLIP(**json.loads(json.dumps(model)))
        self.optimizer = torch.optim.AdamW(self.net.parameters(), lr=1e-3)
        size = model["vision_cfg"]["image_size"]
        self.pixels = torch.randn(batch, 3, size, size)
        self.ids = tokens(model, range(batch), caption)

    def step(self):
        self.optimizer.zero_grad()
        ClipLoss()(*self.net(self.pixels, self.ids)).backward()
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self.optimizer.step()


def tokens(model, numbers, caption):
    tokenize = open_clip.SimpleTokenizer(context_length=model["text_cfg"]["context_length"])
    return tokenize([caption.format(i) for i in numbers])


def write_pairs(folder, n, size, caption):
    """Pictures that cost little to decode: the step is what is measured."""
    rng = np.random.default_rng(0)
    os.makedirs(folder)
    for i in range(n):
        with open(f"{folder}/{i}.txt", "w") as f:
            f.write(caption.format(i) + "\n")
        Image.fromarray(rng.integers(0, 256, (size, size, 3), np.uint8)).save(f"{folder}/{i}.png")
    return folder


def torch_loss(model, folder, pairs, caption):
    """Loss and gradient's norm of the model in a folder for the batch of all its pairs."""
    net = open_clip.model.CLIP(**json.loads(json.dumps(model)))
    net.load_state_dict(load_file(f"{folder}/open_clip_model.safetensors"), strict=False)
    pictures = [np.asarray(Image.open(f"{pairs}/{i}.png"), np.float32) for i in range(2)]
    x = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2) / 255
    mean, std = (torch.tensor(v).reshape(1, 3, 1, 1) for v in (
        open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD))
    loss = ClipLoss()(*net((x - mean) / std, tokens(model, range(2), caption)))
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(net.parameters(), math.inf)
    return loss.item(), norm.item()


def disagreement(model, work, caption):
    """Of loss and gradient's norm in a first step, relative.  Two pairs in a batch of two: half of
    all batches hold both, in some order, and the first seed that drew so is compared."""
    pairs, worst = write_pairs(
        f"{work}/two", 2, model["vision_cfg"]["image_size"], caption), math.inf
    for seed in range(1, 9):
        out = f"{work}/seed{seed}"
        trainer = Trainer(model, pairs, out, 2, os.cpu_count(), lr=1e-30, warmup=0, seed=seed,
                          augment=AS_IT_IS)
        stats = trainer.step()
        if stats.grad_norm > 0:
            trainer.save()
            want = torch_loss(model, out, pairs, caption)
            worst = max(abs(a / b - 1) for a, b in zip((stats.loss, stats.grad_norm), want))
        trainer.close()
        if worst < 1e-3:
            break
    return worst


def builds(model, batch, threads, caption):
    """What timing.best_setting takes, of both programs, and a folder to keep until the end."""
    work = tempfile.TemporaryDirectory()
    pairs = write_pairs(f"{work.name}/pairs", 64, model["vision_cfg"]["image_size"], caption)
    return work, {
        "clipc": {"": lambda: Trainer(model, pairs, f"{work.name}/run", batch, threads,
                                      augment=AS_IT_IS).step},
        "torch": {"eager": lambda: TorchTrainer(model, batch, threads, caption).step}}
