"""Pixel goldens: small pictures of every mode, drawn procedurally, and the crop that OpenAI's
transform makes of them with Pillow and torchvision.  Writes tests/golden/pixels/: the files,
and crops.bin with index.txt ("file size offset").

usage: python3 tests/golden/make_pixels.py      (from the project's root; requirements.txt)
"""
import io, os
import numpy as np
from PIL import Image, ImageDraw
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Resize

ROOT = "tests/golden/pixels"
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


def main():
    os.makedirs(ROOT, exist_ok=True)
    crops, index = io.BytesIO(), []
    for name, im, options in cases():
        im.save(f"{ROOT}/{name}", **options)
        for size in (32, 224) if name in ("rgb_64x64.png", "rgba.png") else (32,):
            transform = Compose([Resize(size, InterpolationMode.BICUBIC), CenterCrop(size)])
            crop = transform(Image.open(f"{ROOT}/{name}")).convert("RGB")
            index.append(f"{name} {size} {crops.tell()}\n")
            crops.write(crop.tobytes())
    open(f"{ROOT}/crops.bin", "wb").write(crops.getvalue())
    open(f"{ROOT}/index.txt", "w").writelines(index)


main()
