"""Pixel goldens: small pictures of every mode, drawn procedurally, and the crop that OpenAI's
transform, or open_clip's with other settings, makes of them with Pillow and torchvision.  Writes
tests/golden/pixels/: the files, and crops.bin with index.txt ("file rows columns resize_mode
interpolation fill_color offset"); and tests/golden/fast/, the same for JPEGs that Pillow decodes at
a part of their size (Image.draft), no side less than twice the crop's, and resizes from a box of
fractions of pixels where the last row or column spills over.

usage: python3 tests/golden/make_pixels.py      (from the project's root; requirements.txt)
"""
import io, os
import numpy as np
from PIL import Image, ImageDraw, ImageOps
from open_clip.transform import image_transform
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Resize

ROOT, FAST = "tests/golden/pixels", "tests/golden/fast"
rng = np.random.default_rng(7)


def photo(w, h):
    y, x = np.mgrid[0:h, 0:w]
    a = np.stack([128 + 90 * np.sin(x / (5 + c) + c) * np.cos(y / (4 + 2 * c)) for c in range(3)], -1)
    return Image.fromarray(np.clip(a + rng.normal(0, 12, a.shape), 0, 255).astype(np.uint8))


def drawing(w, h):
    im = Image.new("RGBA", (w, h), (10, 200, 30, 0))
    d = ImageDraw.Draw(im)
    d.ellipse((w // 8, h // 8, w * 5 // 6, h * 4 // 5), fill=(230, 60, 30, 255))
    d.polygon([(0, h), (w // 2, 0), (w, h)], fill=(40, 90, 220, 130))
    return im


def cases():
    for w, h in [(7, 5), (300, 37), (33, 64), (32, 80), (64, 64), (41, 29)]:
        yield f"rgb_{w}x{h}.png", photo(w, h), {}
    yield "jpeg_444.jpg", photo(61, 47), {"quality": 90, "subsampling": 0}
    yield "jpeg_422.jpg", photo(61, 47), {"quality": 85, "subsampling": 1}
    yield "jpeg_420.jpg", photo(61, 47), {"quality": 80, "subsampling": 2}
    yield "jpeg_progressive.jpg", photo(70, 45), {"quality": 75, "progressive": True}
    yield "jpeg_grey.jpg", photo(50, 66).convert("L"), {"quality": 85}
    yield "jpeg_cmyk.jpg", photo(40, 40).convert("CMYK"), {"quality": 90}
    yield "grey.png", photo(45, 60).convert("L"), {}
    yield "grey_alpha.png", drawing(50, 40).convert("LA"), {}
    yield "rgba.png", drawing(60, 90), {}
    yield "rgba_32.png", drawing(32, 32), {}
    yield "palette.png", photo(55, 44).convert("P", palette=Image.ADAPTIVE), {}
    yield "palette_alpha.png", drawing(48, 70).quantize(16), {}
    yield "palette_4.png", photo(40, 33).quantize(4), {"bits": 2}
    yield "bilevel.png", photo(50, 41).convert("1"), {}
    yield "lossy.webp", photo(66, 43), {"quality": 70}
    yield "lossless.webp", photo(31, 50), {"lossless": True}
    yield "alpha.webp", drawing(50, 60), {"lossless": True, "exact": True}
    yield "rgb_45x140.png", photo(45, 140), {}  # Pillow 13: columns first


# Settings of open_clip's transform, and the pictures that show what they do.
SETTINGS = [
    (32, 32, "squash", "bicubic", 0, ["rgb_300x37.png", "rgb_32x80.png", "rgba.png", "palette.png",
                                      "grey_alpha.png", "bilevel.png", "jpeg_cmyk.jpg"]),
    (32, 32, "squash", "bilinear", 0, ["rgb_41x29.png", "rgba.png"]),
    (32, 32, "shortest", "bilinear", 0, ["rgb_41x29.png", "rgb_7x5.png"]),
    (32, 32, "longest", "bicubic", 0, ["rgb_300x37.png", "rgb_33x64.png", "rgb_7x5.png", "rgba.png",
                                       "grey.png", "palette.png", "grey_alpha.png", "bilevel.png",
                                       "jpeg_cmyk.jpg", "rgba_32.png"]),
    (32, 32, "longest", "bilinear", 200, ["rgb_41x29.png", "rgba.png", "palette_4.png",
                                          "bilevel.png", "jpeg_grey.jpg"]),
    (24, 40, "shortest", "bicubic", 0, ["rgb_300x37.png", "rgb_33x64.png", "rgba.png",
                                        "palette.png"]),
    (40, 24, "shortest", "bilinear", 0, ["rgb_300x37.png", "rgb_33x64.png", "bilevel.png"]),
    (24, 40, "squash", "bicubic", 0, ["rgb_33x64.png", "rgba.png"]),
    (24, 40, "longest", "bicubic", 7, ["rgb_33x64.png", "rgb_300x37.png", "rgba.png"]),
]


def open_clips(h, w, mode, interpolation, fill):
    size = h if h == w else (h, w)
    steps = image_transform(size, False, resize_mode=mode, interpolation=interpolation,
                            fill_color=fill).transforms
    return Compose(steps[:-2])  # not to a tensor, not normalized


def fast_cases():
    picture = photo(150, 131)
    yield "420.jpg", picture, {"quality": 85, "subsampling": 2}
    yield "444.jpg", picture, {"quality": 85, "subsampling": 0}
    yield "progressive.jpg", picture, {"quality": 85, "progressive": True}
    yield "grey.jpg", picture.convert("L"), {"quality": 85}
    yield "cmyk.jpg", picture.convert("CMYK"), {"quality": 85}
    yield "blocks.jpg", photo(128, 160), {"quality": 85}  # nothing spills over
    for turn in (3, 6, 8):
        exif = Image.Exif()
        exif[274] = turn
        yield f"exif_{turn}.jpg", picture, {"quality": 85, "exif": exif}


def fast_crop(path, size):
    im = Image.open(path)
    w, h = im.size
    scale = next(s for s in (8, 4, 2, 1) if s == 1 or -(-min(w, h) // s) >= 2 * size)
    im.draft(None, (w // scale, h // scale))
    w, h, turn = w / scale, h / scale, im.getexif().get(274, 1)
    x, y = im.width - w, im.height - h  # what spills over
    box = {1: (0, 0, w, h), 3: (x, y, x + w, y + h), 6: (y, 0, y + h, w), 8: (0, x, h, x + w)}[turn]
    im = ImageOps.exif_transpose(im)
    w, h = box[2] - box[0], box[3] - box[1]
    to = (size, int(size * h / w)) if w < h else (int(size * w / h), size)
    return CenterCrop(size)(im.resize(to, Image.Resampling.BICUBIC, box=box)).convert("RGB")


class Crops:
    """What is written beside the files of a folder."""

    def __init__(self, root):
        os.makedirs(root, exist_ok=True)
        self.root, self.crops, self.index = root, io.BytesIO(), []

    def add(self, name, crop, *settings):
        self.index.append(" ".join(map(str, (name, *settings, self.crops.tell()))) + "\n")
        self.crops.write(crop.tobytes())

    def write(self):
        open(f"{self.root}/crops.bin", "wb").write(self.crops.getvalue())
        open(f"{self.root}/index.txt", "w").writelines(self.index)


def main():
    out = Crops(ROOT)
    for name, im, options in cases():
        im.save(f"{ROOT}/{name}", **options)
        for size in (32, 224) if name in ("rgb_64x64.png", "rgba.png") else (32,):
            transform = Compose([Resize(size, InterpolationMode.BICUBIC), CenterCrop(size)])
            crop = transform(Image.open(f"{ROOT}/{name}")).convert("RGB")
            out.add(name, crop, size, size, "shortest", "bicubic", 0)
    for *settings, names in SETTINGS:
        for name in names:
            out.add(name, open_clips(*settings)(Image.open(f"{ROOT}/{name}")), *settings)
    out.write()
    out = Crops(FAST)
    for name, im, options in fast_cases():
        im.save(f"{FAST}/{name}", **options)
        for size in (8, 16, 32):  # an eighth, a quarter, a half
            out.add(name, fast_crop(f"{FAST}/{name}", size), size, size, "shortest", "bicubic", 0)
    out.write()


main()
