"""Resize and crop of a 12-megapixel picture to 224, clipc and Pillow in turn, one thread each; the
crops are compared byte for byte first.  Prints medians, spread and ratio.

usage: python3 bench/resize.py BENCH_RESIZE    (from the project's root)
"""
import statistics, subprocess, sys, tempfile, time
import numpy as np
import PIL
from PIL import Image

W, H, SIZE, ROUNDS = 4000, 3000, 224, 7


def pillow(im):
    begin = time.perf_counter()
    w = int(SIZE * W / H)
    x = int(round((w - SIZE) / 2.0))
    crop = im.resize((w, SIZE), Image.BICUBIC).crop((x, 0, x + SIZE, SIZE))
    return time.perf_counter() - begin, crop


def main():
    y, x = np.mgrid[0:H, 0:W]
    a = np.stack([127 + 90 * np.sin(x / (50 + c)) * np.cos(y / (40 + c)) for c in range(3)], -1)
    a = (a + np.random.default_rng(0).normal(0, 10, a.shape)).clip(0, 255).astype(np.uint8)
    im, ours, theirs = Image.fromarray(a), [], []
    with tempfile.TemporaryDirectory() as work:
        a.tofile(f"{work}/in.rgb")
        for _ in range(ROUNDS):
            out = subprocess.run([sys.argv[1], f"{work}/in.rgb", str(W), str(H), str(SIZE),
                                  f"{work}/out.rgb"], check=True, capture_output=True, text=True)
            ours.append(float(out.stdout))
            best = [pillow(im) for _ in range(5)]
            theirs.append(min(t for t, _ in best))
            assert open(f"{work}/out.rgb", "rb").read() == best[0][1].tobytes(), "crops differ"
    ratios = sorted(b / a for a, b in zip(ours, theirs))
    for name, t in (("clipc", ours), (f"Pillow {PIL.__version__}", theirs)):
        print(f"{name}: resize of 12 megapixels, median {1e3 * statistics.median(t):.1f} ms "
              f"({1e3 * min(t):.1f} to {1e3 * max(t):.1f})")
    print(f"ratio: median {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})")


main()
