"""RAW photographs that are small enough to keep: DNG and NEF as far as they matter, written tag by tag, with
JPEG previews.  Writes tests/golden/raw/: the files; crops.bin and index.txt as make_formats.py does, of the
preview that dcraw -e takes out, turned by Pillow as its EXIF says; facts.txt, a line each: file, width and height
of the photograph upright, DateTimeOriginal or "-", as exiftool tells them.  The files of BROKEN give no preview.

usage: python3 tests/golden/make_raw.py      (from the project's root; requirements.txt; commands dcraw, exiftool)
"""
import io, json, os, struct, subprocess
import numpy as np
from PIL import Image, ImageOps
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Resize

ROOT = "tests/golden/raw"
BYTE, ASCII, SHORT, LONG = 1, 2, 3, 4
SENSOR, PREVIEW = (48, 32), (40, 28)
DATE = "2023:05:06 07:08:09"
# The tags by number, as TIFF/EP and DNG name them.
(SUBFILE, WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, MAKE, MODEL, STRIP, ORIENTATION, SAMPLES, ROWS, LENGTH,
 SUB, JPEG, JPEG_LENGTH, CFA_DIM, CFA, EXIF, DATE_TAKEN, DNG, CAMERA) = (
    254, 256, 257, 258, 259, 262, 271, 272, 273, 274, 277, 278, 279, 330, 513, 514, 33421, 33422, 34665, 36867, 50706,
    50708)


def jpeg(size, shift=0, **options):
    x, y = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    im = Image.fromarray(np.stack([x * 6 + shift, y * 8, (x + y) * 3], -1).astype(np.uint8))
    out = io.BytesIO()
    im.save(out, "JPEG", quality=80, **options)
    return out.getvalue()


def with_exif(orientation):
    """EXIF where cameras put it, and dcraw looks: first, in JFIF's place."""
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    data = jpeg(PREVIEW, exif=exif)
    return data[:2] + data[data.index(b"\xff\xe1"):]


def tiff(order, first, subs=(), exif=None):
    """Directories are dicts of tag: (type, values); bytes as values are put behind all directories and their
    place told.  The first names subs, and exif, as its own."""
    directories = [dict(first), *map(dict, subs)] + ([exif] if exif else [])
    if subs:
        directories[0][SUB] = (LONG, [0] * len(subs))
    if exif:
        directories[0][EXIF] = (LONG, [0])
    places, at = [], 8
    for d in directories:
        places.append(at)
        at += 2 + 12 * len(d) + 4
    if subs:
        directories[0][SUB] = (LONG, places[1:1 + len(subs)])
    if exif:
        directories[0][EXIF] = (LONG, [places[-1]])
    e, tail = ">" if order == b"MM" else "<", b""
    out = order + struct.pack(e + "HI", 42, 8)
    for d in directories:
        out += struct.pack(e + "H", len(d))
        for tag, (kind, values) in sorted(d.items()):
            if isinstance(values, bytes) and kind == LONG:  # a place
                values, tail = [at + len(tail)], tail + values
            data = (values if isinstance(values, bytes) else
                    struct.pack(f"{e}{len(values)}{' BxHI'[kind]}", *values))
            n = len(data) // {BYTE: 1, ASCII: 1, SHORT: 2, LONG: 4}[kind]
            if len(data) > 4:
                data, tail = struct.pack(e + "I", at + len(tail)), tail + data
            out += struct.pack(e + "HHI", tag, kind, n) + data.ljust(4, b"\0")
        out += struct.pack(e + "I", 0)
    return out + tail


def text(s):
    return (ASCII, s.encode() + b"\0")


def sensor(size=SENSOR):
    return {SUBFILE: (LONG, [0]), WIDTH: (LONG, [size[0]]), HEIGHT: (LONG, [size[1]]), BITS: (SHORT, [16]),
            COMPRESSION: (SHORT, [1]), PHOTOMETRIC: (SHORT, [32803]), STRIP: (LONG, bytes(2 * size[0] * size[1])),
            SAMPLES: (SHORT, [1]), ROWS: (LONG, [size[1]]), LENGTH: (LONG, [2 * size[0] * size[1]]),
            CFA_DIM: (SHORT, [2, 2]), CFA: (BYTE, bytes([0, 1, 1, 2]))}


def preview(data, size=PREVIEW):
    return {SUBFILE: (LONG, [1]), WIDTH: (LONG, [size[0]]), HEIGHT: (LONG, [size[1]]), BITS: (SHORT, [8, 8, 8]),
            COMPRESSION: (SHORT, [7]), PHOTOMETRIC: (SHORT, [6]), STRIP: (LONG, data), SAMPLES: (SHORT, [3]),
            ROWS: (LONG, [size[1]]), LENGTH: (LONG, [len(data)])}


def camera(orientation, make="Maker", **more):
    return {MAKE: text(make), MODEL: text(f"{make} One"), ORIENTATION: (SHORT, [orientation]), **more}


def dng(order=b"II", orientation=1, subs=None, date=DATE):
    """A small preview in the first directory, the sensor's pixels and the large preview below it."""
    small = preview(jpeg((16, 12), 90), (16, 12))
    first = {**small, **camera(orientation), DNG: (BYTE, bytes([1, 4, 0, 0])), CAMERA: text("Maker One")}
    return tiff(order, first, subs or [sensor(), preview(jpeg(PREVIEW))], {DATE_TAKEN: text(date)} if date else None)


def nef():
    """As Nikon's: uncompressed RGB first, the preview at a JPEG's tags."""
    pixels = bytes(range(256)) * 2
    first = {SUBFILE: (LONG, [1]), WIDTH: (LONG, [16]), HEIGHT: (LONG, [10]), BITS: (SHORT, [8, 8, 8]),
             COMPRESSION: (SHORT, [1]), PHOTOMETRIC: (SHORT, [2]), STRIP: (LONG, pixels[:480]), SAMPLES: (SHORT, [3]),
             ROWS: (LONG, [10]), LENGTH: (LONG, [480]), **camera(8, "NIKON CORPORATION")}
    data = jpeg(PREVIEW, 30)
    large = {SUBFILE: (LONG, [1]), COMPRESSION: (SHORT, [6]), JPEG: (LONG, data), JPEG_LENGTH: (LONG, [len(data)])}
    return tiff(b"MM", first, [sensor(), large], {DATE_TAKEN: text(DATE)})


def good():
    for i in range(1, 9):
        yield f"turned_{i}.dng", dng(orientation=i)
    yield "big_endian.dng", dng(b"MM", 6)
    yield "undated.dng", dng(date=None)
    own = preview(with_exif(3))
    yield "own_exif.dng", dng(orientation=6, subs=[sensor(), own])
    yield "one.nef", nef()


def without_preview():
    first = {**sensor(), **camera(1), DNG: (BYTE, bytes([1, 4, 0, 0])), CAMERA: text("Maker One")}
    return tiff(b"II", first)


def claims(data, width, height):
    """A JPEG whose header says another size."""
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">HH", height, width) + data[at + 4:]


def broken():
    yield "no_preview.dng", without_preview()
    yield "huge.dng", dng(subs=[sensor(), preview(claims(jpeg(PREVIEW), 60000, 60000))])
    long = preview(jpeg(PREVIEW))
    long[LENGTH] = (LONG, [400 << 20])
    yield "long.dng", dng(subs=[sensor(), long])
    yield "no_camera.tif", tiff(b"II", sensor())


def taken_out(path):
    with Image.open(io.BytesIO(subprocess.run(["dcraw", "-e", "-c", path], check=True, capture_output=True).stdout)) as im:
        return ImageOps.exif_transpose(im)


def facts(path):
    told = json.loads(subprocess.run(["exiftool", "-j", "-n", "-a", "-G1", "-Orientation", "-DateTimeOriginal",
                                      "-ImageWidth", "-ImageHeight", "-PhotometricInterpretation", path],
                                     check=True, capture_output=True).stdout)[0]
    where = next(k.split(":")[0] for k, v in told.items() if k.endswith("PhotometricInterpretation") and v == 32803)
    w, h = told[f"{where}:ImageWidth"], told[f"{where}:ImageHeight"]
    if told["IFD0:Orientation"] >= 5:
        w, h = h, w
    return f"{os.path.basename(path)} {w} {h} {told.get('ExifIFD:DateTimeOriginal', '-')}\n"


def main():
    os.makedirs(ROOT, exist_ok=True)
    for name in os.listdir(ROOT):
        os.remove(f"{ROOT}/{name}")
    transform = Compose([Resize(16, InterpolationMode.BICUBIC), CenterCrop(16)])
    crops, index, told = io.BytesIO(), [], []
    for name, data in [*good(), *broken()]:
        with open(f"{ROOT}/{name}", "wb") as f:
            f.write(data)
    for name, _ in good():
        index.append(f"{name} 16 16 shortest bicubic 0 {crops.tell()}\n")
        crops.write(transform(taken_out(f"{ROOT}/{name}")).tobytes())
        told.append(facts(f"{ROOT}/{name}"))
    open(f"{ROOT}/crops.bin", "wb").write(crops.getvalue())
    open(f"{ROOT}/index.txt", "w").writelines(index)
    open(f"{ROOT}/facts.txt", "w").writelines(told)


main()
