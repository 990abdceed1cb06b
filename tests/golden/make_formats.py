"""Pixel goldens of GIF, BMP, PNM and 16-bit PNG: small files, some written by Pillow, some byte by
byte, and the crop that OpenAI's transform makes of them with Pillow and torchvision.  Writes
tests/golden/formats/: the files, crops.bin and index.txt ("file height width resize_mode interpolation fill
offset", as make_pixels.py).

usage: python3 tests/golden/make_formats.py      (from the project's root; requirements.txt)
"""
import io, os, struct
import numpy as np
from PIL import Image
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Resize
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

ROOT = "tests/golden/formats"
rng = np.random.default_rng(11)


def photo(w, h):
    y, x = np.mgrid[0:h, 0:w]
    a = np.stack([128 + 90 * np.sin(x / (5 + c) + c) * np.cos(y / (4 + 2 * c)) for c in range(3)], -1)
    return Image.fromarray(np.clip(a + rng.normal(0, 12, a.shape), 0, 255).astype(np.uint8))


def saved(im, kind, **options):
    out = io.BytesIO()
    im.save(out, kind, **options)
    return out.getvalue()


def rows(values, bits, w):
    """Packed from the most significant bit on, filled up to 4 bytes a row."""
    out = b""
    for row in values.reshape(-1, w):
        text = "".join(f"{v:0{bits}b}" for v in row)
        text += "0" * (-len(text) % 32)
        out += int(text, 2).to_bytes(len(text) // 8, "big")
    return out


def bmp(w, h, bits, data, palette=b"", header=40, compression=0, masks=(), colors=0, top_down=False):
    if header == 12:
        info = struct.pack("<IHHHH", 12, w, h, 1, bits)
    else:
        info = struct.pack("<IiiHHIIiiII", header, w, -h if top_down else h, 1, bits, compression,
                           len(data), 0, 0, colors, 0)
        info += b"".join(struct.pack("<I", m) for m in masks)
        info = info.ljust(max(header, len(info)), b"\0")
    at = 14 + len(info) + len(palette)
    return b"BM" + struct.pack("<IHHI", at + len(data), 0, 0, at) + info + palette + data


def runs(indices, w, nibbles):
    """Run lengths with every kind of code: runs, absolute, steps, ends of rows."""
    out = b""
    for y, row in enumerate(indices.reshape(-1, w)):
        x = 0
        while x < w:
            n = min(w - x, 1 + (x * 7 + y * 5) % 9)
            part = row[x:x + n]
            if n >= 3 and y % 2:
                data = (bytes(part) if not nibbles else
                        bytes((int(part[i]) << 4) | (int(part[i + 1]) if i + 1 < n else 0)
                              for i in range(0, n, 2)))
                out += bytes([0, n]) + data + b"\0" * (len(data) % 2)
            else:
                n = 1
                v = int(row[x])
                while x + n < w and row[x + n] == v and n < 200:
                    n += 1
                out += bytes([n, v * 17 if nibbles else v])
            x += n
        if y == 2:  # a step over the rest of nothing and one row
            out += bytes([0, 0])
        else:
            out += bytes([0, 0])
    return out + bytes([0, 1])


def gif(w, h, indices, palette, frame=None, screen_palette=True, interlaced=False, transparent=None,
        bits=8, comment=False):
    """Codes of one size only, with a clear code often enough."""
    x, y, fw, fh = frame or (0, 0, w, h)
    flags = 0x80 | (len(palette) // 3).bit_length() - 2
    out = b"GIF89a" + struct.pack("<HHBBB", w, h, flags if screen_palette else 0, 3, 0)
    out += palette if screen_palette else b""
    if comment:
        out += b"!\xfe\x05hello\x00"
    if transparent is not None:
        out += b"!\xf9\x04" + bytes([1, 0, 0, transparent]) + b"\0"
    out += b"," + struct.pack("<HHHHB", x, y, fw, fh, (0 if screen_palette else flags) |
                              (0x40 if interlaced else 0))
    out += b"" if screen_palette else palette
    order = list(range(fh))
    if interlaced:
        order = [*range(0, fh, 8), *range(4, fh, 8), *range(2, fh, 4), *range(1, fh, 2)]
    values = [int(v) for r in order for v in indices.reshape(fh, fw)[r]]
    text, clear = [], 1 << bits
    for i, v in enumerate(values):
        if i % (clear - 2) == 0:
            text.append(clear)
        text.append(v)
    text.append(clear + 1)
    acc = n = 0
    data = bytearray()
    for code in text:
        acc |= code << n
        n += bits + 1
        while n >= 8:
            data.append(acc & 255)
            acc >>= 8
            n -= 8
    data.append(acc & 255)
    out += bytes([bits])
    for i in range(0, len(data), 255):
        out += bytes([len(data[i:i + 255])]) + data[i:i + 255]
    return out + b"\0;"


def bmps():
    rgb = photo(37, 29)
    a = np.asarray(rgb).astype(int)
    for mode in ("1", "L", "P", "RGB"):
        yield f"{mode}.bmp", saved(rgb.convert(mode), "BMP")
    alpha = rgb.convert("RGBA")
    alpha.putalpha(Image.fromarray((a[..., 0] // 2 + 60).astype(np.uint8)))
    yield "rgba.bmp", saved(alpha, "BMP")
    grey16 = np.arange(37 * 29).reshape(29, 37) % 16
    pal16 = b"".join(bytes([(i * 40) % 256, (i * 91) % 256, (i * 17) % 256, 0]) for i in range(16))
    yield "p4.bmp", bmp(37, 29, 4, rows(grey16, 4, 37), pal16)
    yield "p4_few.bmp", bmp(37, 29, 4, rows(grey16, 4, 37), pal16[:40], colors=10)
    two = (grey16 > 7).astype(int)
    yield "p1.bmp", bmp(37, 29, 1, rows(two, 1, 37), b"\x10\x20\x30\0\xf0\xe0\x10\0", colors=2)
    yield "bw_inverted.bmp", bmp(37, 29, 1, rows(two, 1, 37), b"\xff\xff\xff\0\0\0\0\0", colors=2)
    pal = b"".join(bytes([i, 255 - i, i // 2, 0]) for i in range(256))
    idx = (a[..., 0]).astype(np.uint8)
    flat = np.repeat(idx[:, ::3], 3, axis=1)[:, :37]
    yield "os2.bmp", bmp(37, 29, 8, rows(idx, 8, 37),
                         b"".join(pal[4 * i:4 * i + 3] for i in range(256)), header=12)
    yield "top_down.bmp", bmp(37, 29, 8, rows(idx, 8, 37), pal, top_down=True)
    yield "rle8.bmp", bmp(37, 29, 8, runs(flat, 37, False), pal, compression=1)
    ramp = b"".join(bytes([i, i, i, 0]) for i in range(256))
    yield "rle8_grey.bmp", bmp(37, 29, 8, runs(flat, 37, False), ramp, compression=1)
    yield "rle4.bmp", bmp(37, 29, 4, runs(grey16, 37, True), pal16, compression=2)
    v15 = ((a[..., 0] >> 3) << 10 | (a[..., 1] >> 3) << 5 | a[..., 2] >> 3)
    v16 = ((a[..., 0] >> 3) << 11 | (a[..., 1] >> 2) << 5 | a[..., 2] >> 3)
    swap = lambda v: (v & 255) << 8 | v >> 8
    yield "rgb15.bmp", bmp(37, 29, 16, rows(swap(v15), 16, 37))
    yield "rgb16.bmp", bmp(37, 29, 16, rows(swap(v16), 16, 37), compression=3,
                           masks=(0xf800, 0x7e0, 0x1f))
    yield "rgb15_fields.bmp", bmp(37, 29, 16, rows(swap(v15), 16, 37), compression=3,
                                  masks=(0x7c00, 0x3e0, 0x1f))
    four = np.concatenate([a, 255 - a[..., :1] // 2], -1).astype(np.uint8)
    plain = four.tobytes()
    yield "rgb32.bmp", bmp(37, 29, 32, plain)
    for n, masks in enumerate([(0xff0000, 0xff00, 0xff), (0xff000000, 0xff0000, 0xff00),
                               (0xff000000, 0xff00, 0xff)]):
        yield f"fields_{n}.bmp", bmp(37, 29, 32, plain, compression=3, masks=masks)
    for n, masks in enumerate([(0xff0000, 0xff00, 0xff, 0xff000000), (0xff, 0xff00, 0xff0000, 0xff000000),
                               (0xff000000, 0xff0000, 0xff00, 0xff), (0xff000000, 0xff00, 0xff, 0xff0000),
                               (0, 0, 0, 0), (0xff0000, 0xff00, 0xff, 0)]):
        yield f"v4_{n}.bmp", bmp(37, 29, 32, plain, compression=3, masks=masks, header=108)
    yield "v2.bmp", bmp(37, 29, 32, plain, compression=3, masks=(0xff0000, 0xff00, 0xff), header=52)


def gifs():
    rgb = photo(45, 33)
    yield "palette.gif", saved(rgb.quantize(60), "GIF")
    yield "grey.gif", saved(rgb.convert("L"), "GIF")
    yield "bilevel.gif", saved(rgb.convert("1"), "GIF")
    yield "interlaced.gif", saved(rgb.quantize(200), "GIF", interlace=1)
    yield "transparent.gif", saved(rgb.quantize(31), "GIF", transparency=4)
    idx = np.asarray(rgb.quantize(64)) % 64
    pal = b"".join(bytes([i * 4, 255 - i * 3, (i * 37) % 256]) for i in range(64))
    grey = b"".join(bytes([i] * 3) for i in range(256))
    yield "plain.gif", gif(45, 33, idx, pal, comment=True)
    yield "rows.gif", gif(45, 33, idx, pal, interlaced=True, bits=6)
    yield "local.gif", gif(45, 33, idx, pal, screen_palette=False)
    yield "local_grey.gif", gif(45, 33, idx, grey, screen_palette=False)
    yield "ramp.gif", gif(45, 33, np.asarray(rgb)[..., 1], grey)
    part = idx[3:23, 5:35]
    yield "offset.gif", gif(45, 33, part, pal, frame=(9, 6, 30, 20))
    yield "offset_transparent.gif", gif(45, 33, part, pal, frame=(9, 6, 30, 20), transparent=7)
    yield "beyond.gif", gif(20, 10, part, pal, frame=(3, 4, 30, 20))
    yield "low.gif", gif(45, 5, idx[:5], pal, interlaced=True)
    frames = [photo(40, 30).quantize(30) for _ in range(3)]
    out = io.BytesIO()
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:], duration=50)
    yield "animated.gif", out.getvalue()


def pnms():
    rgb = photo(41, 35)
    a = np.asarray(rgb)
    for mode in ("1", "L", "RGB"):
        yield f"{mode}.pnm", saved(rgb.convert(mode), "PPM")
    bits = (a[..., 0] > 128).astype(int)
    yield "plain_bits.pbm", (b"P1 # comment\n41 35\n" + b"\n".join(
        "".join(map(str, r)).encode() if y % 2 else " ".join(map(str, r)).encode()
        for y, r in enumerate(bits)) + b"\n")
    text = lambda v: b"\n".join(" ".join(map(str, r)).encode() for r in v.reshape(35, -1))
    yield "plain_grey.pgm", b"P2\n41 35\n255\n" + text(a[..., 1]) + b"\n"
    yield "plain_grey_100.pgm", b"P2\n#c\n41 #d\n35 100\n" + text(a[..., 1] * 100 // 255) + b" "
    yield "plain_grey_1000.pgm", b"P2\n41 35\n1000\n" + text(a[..., 1].astype(int) * 3)
    yield "plain_rgb.ppm", b"P3\n41 35\n255\n" + text(a) + b"\n"
    yield "plain_rgb_31.ppm", b"P3\n41 35\n31\n" + text(a // 9) + b"\n"
    yield "grey_100.pgm", b"P5\n41 35\n100\n" + (a[..., 0] * 0.39).astype(np.uint8).tobytes()
    wide = (a[..., 0].astype(int) * 3 - 200).clip(0)
    yield "grey_700.pgm", b"P5 41 35 700\n" + wide.clip(0, 700).astype(">u2").tobytes()
    yield "grey_16.pgm", b"P5 41 35 65535\n" + wide.astype(">u2").tobytes()
    yield "rgb_700.ppm", b"P6 41 35 700\n" + (a.astype(int) * 2).astype(">u2").tobytes()
    yield "rgb_3.ppm", b"P6\n# a\n41 35\n3\n" + (a // 64).tobytes()


def pngs():
    x = np.add.outer(np.arange(33) * 9, np.arange(47) * 5) - 60
    x = (x + rng.integers(0, 20, x.shape)).clip(0)
    x[5:9, 7:20] = 40000
    yield "grey16.png", saved(Image.fromarray(x.astype(np.uint16)), "PNG")
    small = x[:32, :32]
    tall = np.add.outer(np.arange(150) * 300, np.arange(40) * 500)
    yield "grey16_tall.png", saved(Image.fromarray(tall.astype(np.uint16) % 400), "PNG")
    a = np.asarray(photo(39, 44)) // 64 * 85
    for name, mode, key in (("key_grey", "L", 85), ("key_rgb", "RGB", (85, 170, 85)),
                            ("key_bits", "1", 255)):
        im = Image.fromarray(a if mode == "RGB" else a[..., 0]).convert(mode)
        yield f"{name}.png", saved(im, "PNG", transparency=key)
    yield "grey16_32.png", saved(Image.fromarray(small.astype(np.uint16)), "PNG")


# What transformers makes of them, before rescaling.
PLAIN = dict(do_rescale=False, do_normalize=False)
PROCESSORS = {
    "hf": CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32},
                                **PLAIN),
    "siglip-hf": SiglipImageProcessorPil(size={"height": 32, "width": 32}, **PLAIN),
}
HF = ["alpha.webp", "bilevel.png", "grey_alpha.png", "jpeg_420.jpg", "jpeg_cmyk.jpg", "palette.png",
      "palette_alpha.png", "rgb_33x64.png", "rgb_300x37.png", "rgba.png", "rgba_32.png"]


def main():
    os.makedirs(ROOT, exist_ok=True)
    crops, index = io.BytesIO(), []
    for name, data in [*bmps(), *gifs(), *pnms(), *pngs()]:
        with open(f"{ROOT}/{name}", "wb") as f:
            f.write(data)
        for size in (32, 64) if name in ("grey16.png", "grey_16.pgm") else (32,):
            transform = Compose([Resize(size, InterpolationMode.BICUBIC), CenterCrop(size)])
            im = Image.open(f"{ROOT}/{name}")
            crop = transform(im).convert("RGB")
            index.append(f"{name} {size} {size} shortest bicubic 0 {crops.tell()}\n")
            crops.write(crop.tobytes())
    for name in sorted(os.listdir(ROOT)) + [f"../pixels/{n}" for n in HF]:
        if name.endswith((".bin", ".txt", ".pnm", ".pgm", ".ppm", ".pbm")):
            continue
        for recipe, processor in PROCESSORS.items():
            crop = processor(Image.open(f"{ROOT}/{name}"))["pixel_values"][0]
            index.append(f"{name} 32 32 {recipe} bicubic 0 {crops.tell()}\n")
            crops.write(np.moveaxis(crop, 0, -1).astype(np.uint8).tobytes())
    with open(f"{ROOT}/crops.bin", "wb") as f:
        f.write(crops.getvalue())
    with open(f"{ROOT}/index.txt", "w") as f:
        f.writelines(index)


if __name__ == "__main__":
    main()
