"""Turns rendered drawings (render.mjs) and bitmaps into WebDataset shards, one family for each
kind: drops blanks, exact duplicates and what is near to an evaluation picture, keeps at most
PER_CAPTION monochrome drawings a caption, holds two drawing styles out for validation.

usage: python3 shards.py SIDE PER_CAPTION WORK LIST RENDERED... EVAL OUT
(needs pillow, numpy)
"""
import glob, hashlib, io, json, os, re, sys, tarfile, zipfile
from collections import Counter
import numpy as np
from PIL import Image

SIDE, PER_CAPTION = int(sys.argv[1]), int(sys.argv[2])
WORK, LIST, *RENDERED, EVAL, OUT = sys.argv[3:]
PER_SHARD = 6000
VALIDATION = {"emojione": "val-emoji", "maki": "val-mono"}
NEAR = 9.0      # mean difference of 16 x 16 grey levels below which pictures count as near


def square(im):
    im = im.convert("RGBA")
    if max(im.size) != SIDE:
        scale = SIDE / max(im.size)
        im = im.resize([max(1, round(s * scale)) for s in im.size], Image.LANCZOS)
    if im.size == (SIDE, SIDE):
        return im
    out = Image.new("RGBA", (SIDE, SIDE))
    out.paste(im, ((SIDE - im.width) // 2, (SIDE - im.height) // 2))
    return out


def thumbnail(im):
    ground = Image.new("RGBA", im.size, "white")
    ground.alpha_composite(im.convert("RGBA"))
    return np.asarray(ground.convert("L").resize((16, 16), Image.BOX), np.float32).ravel()


def furniture():
    """3D renders of Debian's sweethome3d-furniture: icon and name of each catalogue entry."""
    for path in sorted(glob.glob(f"{WORK}/deb/sweethome3d-furniture/usr/share/sweethome3d/furniture/*.sh3f")):
        z = zipfile.ZipFile(path)
        text = z.read("PluginFurnitureCatalog.properties").decode("latin-1")
        names = dict(re.findall(r"^name#(\d+)=(.+)$", text, re.M))
        icons = dict(re.findall(r"^icon#(\d+)=/?(.+)$", text, re.M))
        licence = "CC0-1.0" if "CC-0" in path else "CC-BY-3.0"
        for i in sorted(names, key=int):
            caption = re.sub(r"\s*\d+$", "", names[i].strip().lower())
            if icons.get(i, "").strip() in z.namelist() and re.match(r"[a-z]", caption):
                yield ({"kind": "render3d", "set": "sweethome3d", "license": licence,
                        "caption": caption, "tags": [], "tint": False},
                       Image.open(io.BytesIO(z.read(icons[i].strip()))))


def candidates():
    listed = [json.loads(line) for line in open(LIST)]
    for d in listed:
        d.pop("svg", None)
    for base in RENDERED:
        blob = open(f"{base}.png", "rb").read()
        for line in open(f"{base}.idx"):
            i, at, n = map(int, line.split())
            yield listed[i], Image.open(io.BytesIO(blob[at:at + n]))
    for d in listed:
        if "file" in d:
            yield d, Image.open(f"{WORK}/{d.pop('file')}")
    yield from furniture()


def near_evaluation(thumbs):
    """For each thumbnail: is an evaluation picture within NEAR?  By |a-b|^2 first."""
    paths = sorted(glob.glob(f"{EVAL}/openmoji/png/*") + glob.glob(f"{EVAL}/tuxpaint-*/png/*"))
    ev = np.stack([thumbnail(Image.open(p)) for p in paths])
    near = np.zeros(len(thumbs), bool)
    square_ev = (ev * ev).sum(1)
    for at in range(0, len(thumbs), 4096):
        t = thumbs[at:at + 4096]
        d2 = (t * t).sum(1)[:, None] + square_ev - 2 * t @ ev.T
        # mean |a-b| <= rms: the rms test alone is the stricter one to pass.
        near[at:at + 4096] = (np.sqrt(np.maximum(d2, 0) / t.shape[1]) < NEAR).any(1)
    return near


def order(sample):
    return hashlib.sha256(sample["png"]).digest()


def write_tar(path, samples):
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for i, s in enumerate(samples):
            meta = {"caption": s["captions"][0], **{k: s[k] for k in
                    ("captions", "kind", "set", "license", "tint")}}
            for ext, data in (("json", json.dumps(meta, ensure_ascii=False).encode()),
                              ("png", s["png"])):
                info = tarfile.TarInfo(f"{i:06}.{ext}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))


def main():
    seen, samples, thumbs, dropped = set(), [], [], Counter()
    for d, im in candidates():
        try:
            im = square(im)
        except OSError:
            dropped["unreadable"] += 1
            continue
        pixels = np.asarray(im)
        if pixels[..., 3].mean() < 2 or (not d["tint"] and pixels[..., 3].min() == 255
                                         and pixels.std() < 2):
            dropped["blank"] += 1
            continue
        key = (hashlib.sha256(pixels.tobytes()).digest())
        if key in seen:
            dropped["duplicate"] += 1
            continue
        seen.add(key)
        png = io.BytesIO()
        im.save(png, "PNG", compress_level=6)
        captions = list(dict.fromkeys([d["caption"], *d["tags"]]))
        samples.append({"png": png.getvalue(), "captions": captions, **{k: d[k] for k in
                        ("kind", "set", "license", "tint")}})
        thumbs.append(thumbnail(im))
    near = near_evaluation(np.stack(thumbs))
    dropped["near to an evaluation picture"] = int(near.sum())
    by_kind_near = Counter(s["kind"] for s, n in zip(samples, near) if n)
    samples = sorted((s for s, n in zip(samples, near) if not n), key=order)
    families, per_caption = {}, Counter()
    for s in samples:
        family = VALIDATION.get(s["set"])
        if not family and s["tint"]:
            per_caption[s["captions"][0]] += 1
            if per_caption[s["captions"][0]] > PER_CAPTION:
                dropped[f"more than {PER_CAPTION} a caption"] += 1
                continue
        families.setdefault(family or s["kind"], []).append(s)
    for family, members in sorted(families.items()):
        os.makedirs(f"{OUT}/{family}", exist_ok=True)
        for n, at in enumerate(range(0, len(members), PER_SHARD)):
            write_tar(f"{OUT}/{family}/{n:05}.tar", members[at:at + PER_SHARD])
        print(f"{family}: {len(members)} pairs, "
              f"{len({s['captions'][0] for s in members})} captions")
    print("dropped:", dict(dropped), "near, by kind:", dict(by_kind_near))


main()
