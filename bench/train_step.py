"""Images a second of training steps (forward, backward, AdamW): clipc and PyTorch float32, the
drawings recipe's model, same batch, same threads, in turn.  Prints medians, spread and ratio.

usage: python3 bench/train_step.py    (from the project's root, after `make`)
"""
import json, os, statistics, subprocess, sys, tempfile, time, warnings
warnings.filterwarnings("ignore")
import numpy as np, torch
from open_clip.model import CLIP
from open_clip.loss import ClipLoss

THREADS, ROUNDS, STEPS = os.cpu_count(), 5, 6
RECIPE = json.load(open("recipes/drawings/train.json"))
BATCH = RECIPE["batch_size"]


def write_pairs(folder):
    """Pictures that cost nothing to decode: the step is what is measured."""
    rng = np.random.default_rng(0)
    os.makedirs(folder)
    for i in range(64):
        with open(f"{folder}/{i}.txt", "w") as f:
            f.write(f"a drawing of thing number {i} in some colour\n")
        from PIL import Image
        Image.fromarray(rng.integers(0, 255, (48, 48, 3), np.uint8)).save(f"{folder}/{i}.png")


def clipc(folder, work):
    out = tempfile.mkdtemp(dir=work)
    subprocess.run(["./clipc", "train", "--data", folder, "--out", f"{out}/run", "--set",
                    "model=" + json.dumps(RECIPE["model"]), "--batch-size", str(BATCH),
                    "--steps", str(STEPS), "--threads", str(THREADS), "--set", "workers=1",
                    "--set", "save_every=1000000"], check=True, capture_output=True)
    rates = [json.loads(x)["images_per_second"] for x in open(f"{out}/run/log.jsonl")]
    return statistics.median(rates[1:])


def torch_rate(model, optimizer, pixels, ids):
    loss_of, times = ClipLoss(), []
    for _ in range(STEPS):
        begin = time.perf_counter()
        optimizer.zero_grad()
        loss_of(*model(pixels, ids)).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        times.append(time.perf_counter() - begin)
    return BATCH / statistics.median(times[1:])


def main():
    torch.set_num_threads(THREADS)
    cfg = json.loads(json.dumps(RECIPE["model"]))
    model = CLIP(**cfg)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    size, context = cfg["vision_cfg"]["image_size"], cfg["text_cfg"]["context_length"]
    pixels = torch.randn(BATCH, 3, size, size)
    ids = torch.zeros(BATCH, context, dtype=torch.long)
    ids[:, 0], ids[:, 1:11], ids[:, 11] = 49406, torch.randint(1, 49000, (BATCH, 10)), 49407
    ours, theirs = [], []
    with tempfile.TemporaryDirectory() as work:
        write_pairs(f"{work}/pairs")
        for _ in range(ROUNDS):
            ours.append(clipc(f"{work}/pairs", work))
            theirs.append(torch_rate(model, optimizer, pixels, ids))
    ratios = sorted(a / b for a, b in zip(ours, theirs))
    for name, x in (("clipc", ours), (f"torch {torch.__version__}", theirs)):
        print(f"{name}: median {statistics.median(x):.0f} images/s ({min(x):.0f} to {max(x):.0f})")
    print(f"ratio: median {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f}), "
          f"batch {BATCH}, {THREADS} threads")


main()
