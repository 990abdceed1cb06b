"""Crops of generated pictures of every format and mode (pictures.py), by `clipc preprocess`, against
Pillow 13 with OpenAI's, open_clip's and transformers' preprocessing, byte for byte; HEIF, AVIF and JPEG XL
against the output of heif-convert and djxl.  Prints the tables of docs/pixels.md, and README.md's, which
sums them up.

usage: python3 tests/golden/check_pixels.py [--details]     (from the project's root, after make;
       requirements.txt, and for the last rows pillow-heif, heif-convert, cjxl, djxl)
"""
import io, json, os, shutil, subprocess, sys, tempfile, warnings
import numpy as np
from clip.clip import _transform
from open_clip.transform import image_transform
from PIL import Image, ImageOps
from torchvision.transforms import Compose
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil
import pictures

warnings.simplefilter("ignore")
SIZES = (24, 224)


def recipes(size):
    """name of clipc's recipe: from an opened picture to the crop"""
    plain = dict(do_rescale=False, do_normalize=False)
    hf = CLIPImageProcessorPil(size={"shortest_edge": size}, crop_size={"height": size, "width": size}, **plain)
    siglip = SiglipImageProcessorPil(size={"height": size, "width": size}, **plain)
    first = lambda p: lambda im: np.moveaxis(p(im)["pixel_values"][0], 0, -1).astype(np.uint8)
    open_clips = lambda mode: lambda im: np.asarray(
        Compose(image_transform(size, False, resize_mode=mode).transforms[:-2])(im))
    return {"openai": lambda im: np.asarray(Compose(_transform(size).transforms[:-2])(im)),
            "shortest": open_clips("shortest"), "longest": open_clips("longest"), "squash": open_clips("squash"),
            "hf": first(hf), "siglip-hf": first(siglip)}


def clipcs(names, recipe, size, folder, *options):
    """{name: crop}, and the messages for those that fail"""
    out = f"{folder}/crops.npy"
    run = subprocess.run(["./clipc", "preprocess", *(f"{folder}/{n}" for n in names), "--recipe", recipe, "-s",
                          str(size), "-f", "-o", out, *options], capture_output=True, text=True)
    crops = np.load(out)
    return {os.path.basename(json.loads(line)["image"]): crop
            for line, crop in zip(open(out + ".jsonl"), crops)}, run.stderr


def compare(rows, groups, references, folder, details, options=()):
    """Adds to rows {(format, kind): {recipe: [equal, compared, largest difference, only the reference's,
    only clipc's]}}.  groups {name: (format, kind)}, references {name: opens a picture}"""
    for size in SIZES:
        for recipe, reference in recipes(size).items():
            crops, messages = clipcs(groups, recipe, size, folder, *options)
            for name, group in groups.items():
                cell = rows.setdefault(group, {}).setdefault(recipe, [0, 0, 0, 0, 0])
                try:
                    want = reference(references[name]())
                except Exception as e:
                    cell[4] += name in crops
                    if details and name in crops:
                        print(f"{name} {recipe}: the reference: {e!r:.100}")
                    continue
                if name not in crops:
                    cell[3] += 1
                    if details:
                        print(next((m for m in messages.splitlines() if f"/{name}:" in m), name))
                    continue
                most = int(abs(want.astype(int) - crops[name].astype(int)).max())
                cell[0] += most == 0
                cell[1] += 1
                cell[2] = max(cell[2], most)
                if details and most:
                    print(f"{name} {recipe} {size}: differs by up to {most}")


def show(rows):
    """The kinds of each format, and the recipes that differ."""
    print("\n| format | kind | crops | equal | largest difference | only the reference opens |")
    print("|---|---|---:|---:|---:|---:|")
    for (format, kind), cells in rows.items():
        n = [sum(c[i] for c in cells.values()) for i in range(5)]
        if n[1] + n[3]:
            print(f"| {format} | {kind} | {n[1]} | {n[0]} | {max(c[2] for c in cells.values())} | {n[3]} |")


def sum_up(rows):
    """A line a format, a column a recipe: equal of compared."""
    names = list(next(iter(rows.values())))
    print("\n| format | " + " | ".join(names) + " | largest difference |\n|---|" + "---:|" * (len(names) + 1))
    for format in dict.fromkeys(f for f, _ in rows):
        cells = [c for (f, _), c in rows.items() if f == format]
        counts = (f"{sum(c[n][0] for c in cells)} of {sum(c[n][1] for c in cells)}" for n in names)
        print(f"| {format} | " + " | ".join(counts) + f" | {max(c[n][2] for c in cells for n in names)} |")


def write(folder, made):
    groups = {}
    for format, kind, name, data in made:
        with open(f"{folder}/{name}", "wb") as f:
            f.write(data)
        groups[name] = (format, kind)
    return groups


def main():
    details = "--details" in sys.argv
    with tempfile.TemporaryDirectory() as folder:
        rows = {}
        groups = write(folder, pictures.all_pictures())
        compare(rows, groups, {n: lambda n=n: Image.open(f"{folder}/{n}") for n in groups}, folder, details)
        turned = write(folder, (("EXIF and XMP, --auto-orient", name.rsplit(".")[-1], name, data)
                                for name, data in pictures.oriented()))
        compare(rows, turned, {n: lambda n=n: ImageOps.exif_transpose(Image.open(f"{folder}/{n}"))
                               for n in turned}, folder, details, ["--auto-orient"])
        made = []
        if shutil.which("heif-convert"):
            made += [(p[0].split()[0], *p) for p in pictures.heifs()]
        if shutil.which("djxl"):
            made += [("JPEG XL", *p) for p in pictures.jxls()]
        groups = write(folder, made)
        read = {name: pictures.decoded(name, open(f"{folder}/{name}", "rb").read()) for name in groups}
        compare(rows, groups, {n: lambda n=n: read[n] for n in groups}, folder, details)
        show(rows)
        sum_up(rows)


main()
