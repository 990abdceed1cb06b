"""How far --fast moves the vectors: of the pictures below some folders that are large enough to be
decoded smaller (JPEGs as they are, PNGs saved as JPEGs of quality 90) 1 - cosine between the vectors
of exact and of fast decoding, and for how many the best of some labels stays the same: the 10 of
demo/labels.txt and all that the bundled model's shard has.

usage: python3 tests/golden/check_fast.py FOLDER... [--model MODEL]
(from the project's root, after `make`; requirements.txt).  docs/pixels.md says where pictures are.
"""
import argparse
import json
import os
import shutil
import subprocess
import tarfile
import tempfile

import numpy as np
from PIL import Image

SHARD = "models/clipc-drawings/eval.tar.gz"


def clipc(*args):
    return subprocess.run(["./clipc", *args], check=True, capture_output=True, text=True).stdout


def gather(folders, into, least):
    """Pictures whose sides are no less than `least`, as JPEGs, none twice."""
    seen = set()
    for path in sorted(os.path.join(at, name) for folder in folders
                       for at, _, names in os.walk(folder) for name in names):
        if not path.lower().endswith((".jpg", ".jpeg", ".png")):
            continue
        with open(path, "rb") as f:
            digest = hash(f.read())
        try:
            picture = Image.open(path)
            picture.load()
        except OSError:
            continue
        if min(picture.size) < least or digest in seen:
            continue
        seen.add(digest)
        to = f"{into}/{len(seen):05}.jpg"
        if picture.format == "JPEG":
            shutil.copy(path, to)
        else:
            picture.convert("RGB").save(to, quality=90)
    return len(seen)


def shard_labels():
    with tarfile.open(SHARD) as tar:
        return sorted({tar.extractfile(m).read().decode().strip() for m in tar
                       if m.name.endswith(".txt")})


def vectors(work, *args):
    clipc("embed", "--force", "--out", f"{work}/x.npy", *args)
    return np.load(f"{work}/x.npy")


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("folders", nargs="+")
    p.add_argument("--model", default="clipc-drawings")
    args = p.parse_args()
    Image.MAX_IMAGE_PIXELS = None
    size = json.loads(clipc("info", args.model, "--json"))["image_size"]
    with tempfile.TemporaryDirectory() as work:
        os.mkdir(f"{work}/in")
        n = gather(args.folders, f"{work}/in", 4 * size)
        exact = vectors(work, f"{work}/in", "-m", args.model)
        fast = vectors(work, f"{work}/in", "-m", args.model, "--fast")
        drift = 1 - (exact * fast).sum(1)
        print(f"{n} pictures, {args.model}, {size} px; 1 - cosine: mean {drift.mean():.1e}, median "
              f"{np.median(drift):.1e}, 90 % {np.percentile(drift, 90):.1e}, 99 % "
              f"{np.percentile(drift, 99):.1e}, largest {drift.max():.1e}")
        with open("demo/labels.txt") as f:
            sets = [f.read().split("\n"), shard_labels()]
        for labels in sets:
            with open(f"{work}/labels", "w") as f:
                f.write("\n".join(labels))
            texts = vectors(work, "-m", args.model, "--texts-file", f"{work}/labels")
            same = (exact @ texts.T).argmax(1) == (fast @ texts.T).argmax(1)
            print(f"best of {len(texts)} labels the same for {100 * same.mean():.1f} %")


main()
