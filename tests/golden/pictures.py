"""Small pictures of every format and mode that Pillow 13 opens, as bytes: written by Pillow where it
can, else byte by byte.  all_pictures() yields (format, kind, file name, bytes); make_pictures.py makes
goldens of some, check_pixels.py compares all.
"""
import io, shutil, struct, subprocess, tempfile, zlib
import numpy as np
from PIL import Image
import make_formats

rng = np.random.default_rng(23)
W, H = 37, 29


def photo(w=W, h=H):
    y, x = np.mgrid[0:h, 0:w]
    a = np.stack([128 + 90 * np.sin(x / (5 + c) + c) * np.cos(y / (4 + 2 * c)) for c in range(3)], -1)
    return Image.fromarray(np.clip(a + rng.normal(0, 9, a.shape), 0, 255).astype(np.uint8))


def alpha_photo(w=W, h=H):
    im = photo(w, h).convert("RGBA")
    im.putalpha(photo(w, h).getchannel(1).point(lambda v: 0 if v < 60 else 255 if v > 200 else v))
    return im


def in_mode(mode, w=W, h=H):
    """A picture of any mode that TIFF holds."""
    if mode in ("LA", "RGBA", "PA"):
        im = alpha_photo(w, h)
        return im.convert("P").convert(mode) if mode == "PA" else im.convert(mode)
    im = photo(w, h)
    if mode in ("I;16", "I;16B"):
        wide = np.asarray(im.getchannel(0)).astype(int) * 3 - 200
        return Image.frombytes(mode, (w, h), wide.clip(0).astype("<u2" if mode == "I;16" else ">u2").tobytes())
    if mode == "I":
        return Image.fromarray((np.asarray(im.getchannel(0)).astype(np.int32) - 100) * 2)
    if mode == "F":
        return Image.fromarray(np.asarray(im.getchannel(0)).astype(np.float32) * 1.7 - 60)
    return im.convert(mode)


def saved(im, kind, **options):
    out = io.BytesIO()
    im.save(out, kind, **options)
    return out.getvalue()


def packed(values, bits, w):
    """Rows from the most significant bit on, filled up to whole bytes."""
    out = b""
    for row in np.asarray(values).reshape(-1, w):
        text = "".join(f"{v:0{bits}b}" for v in row)
        text += "0" * (-len(text) % 8)
        out += int(text, 2).to_bytes(len(text) // 8, "big")
    return out


# ---- TIFF ----

def tiff(w, h, blocks, bits, photometric, order="<", extra=None, fill=1, planar=1, format=None, compression=1,
         rows=None, tile=None, more=(), big=False):
    """blocks: bytes of each strip or tile, uncompressed; compression 8: deflated here."""
    tags = [(256, 4, [w]), (257, 4, [h]), (258, 3, bits), (259, 3, [compression]), (262, 3, [photometric]),
            (266, 3, [fill]), (277, 3, [len(bits)]), (284, 3, [planar]), *more]
    tags += [(322, 3, [tile[0]]), (323, 3, [tile[1]])] if tile else [(278, 4, [rows or h])]
    tags += [(338, 3, extra)] if extra is not None else []
    tags += [(339, 3, [format] * len(bits))] if format else []
    if compression == 8:
        blocks = [zlib.compress(b) for b in blocks]
    at, sizes = (325, 324) if tile else (279, 273), [len(b) for b in blocks]
    tags += [(at[0], 4, sizes)]
    word, entry, room = ("Q", 20, 8) if big else ("I", 12, 4)
    start = 16 if big else 8
    n = len(tags) + 1
    body_at = start + (8 if big else 2) + n * entry + room
    body, entries = b"", []

    def put(tag, kind, values):
        nonlocal body
        raw = b"".join(struct.pack(order + {3: "H", 4: "I"}[kind], v) for v in values)
        if len(raw) > room:
            value = struct.pack(order + word, body_at + len(body))
            body += raw + b"\0" * (len(raw) % 2)
        else:
            value = raw.ljust(room, b"\0")
        entries.append((tag, struct.pack(order + "HH" + word, tag, kind, len(values)) + value))

    for t in tags:
        put(*t)
    first = body_at + len(body) + (4 * len(blocks) if 4 * len(blocks) > room else 0)
    put(at[1], 4, [first + sum(sizes[:i]) for i in range(len(blocks))])
    mark = (b"II" if order == "<" else b"MM") + struct.pack(order + "H", 43 if big else 42)
    mark += struct.pack(order + "HHQ", 8, 0, 16) if big else struct.pack(order + "I", 8)
    count = struct.pack(order + ("Q" if big else "H"), n)
    return mark + count + b"".join(e for _, e in sorted(entries)) + b"\0" * room + body + b"".join(blocks)


def tiles(a, tw, th):
    """An array [h,w,c] cut, the last ones filled up with their edges."""
    a = np.pad(a, ((0, -a.shape[0] % th), (0, -a.shape[1] % tw), (0, 0)), "edge")
    return [a[y:y + th, x:x + tw].tobytes() for y in range(0, a.shape[0], th) for x in range(0, a.shape[1], tw)]


def tiffs_of_pillow():
    some = ["raw", "tiff_lzw", "tiff_adobe_deflate", "tiff_deflate", "packbits", "zstd", "lzma"]
    jpegs = ("L", "RGB", "RGBX", "RGBA", "CMYK", "YCbCr", "LA")
    for mode in ("1", "L", "LA", "P", "PA", "RGB", "RGBX", "RGBA", "CMYK", "YCbCr", "LAB", "I", "F", "I;16",
                 "I;16B"):
        im = in_mode(mode)
        ccitt = ["group3", "group4", "tiff_ccitt"] if mode == "1" else []
        for compression in some + ccitt + (["jpeg"] if mode in jpegs else []):
            yield mode, f"{mode}_{compression}.tif".replace(";", ""), saved(im, "TIFF", compression=compression)
    for mode in ("L", "RGB", "RGBA", "I;16"):
        yield mode, f"{mode}_predictor.tif".replace(";", ""), saved(
            in_mode(mode), "TIFF", compression="tiff_lzw", tiffinfo={317: 2})
    yield "RGB", "pages.tif", saved(photo(), "TIFF", save_all=True, append_images=[photo(), photo(20, 20)])
    g4 = Image.open(io.BytesIO(saved(in_mode("1"), "TIFF", compression="group4")))
    at, n = g4.tag_v2[273][0], g4.tag_v2[279][0]
    strip = g4.fp.getvalue()[at:at + n]
    backwards = bytes(int(f"{b:08b}"[::-1], 2) for b in strip)
    for fill, data in ((1, strip), (2, backwards)):
        yield "1", f"group4_fill{fill}.tif", tiff(W, H, [data], [1], g4.tag_v2[262], fill=fill, compression=4)


def tiffs_by_hand():
    a = np.asarray(photo()).astype(int)
    grey = a[..., 0]
    for bits in (1, 2, 4, 8):
        low = grey >> (8 - bits)
        data = packed(low, bits, W)
        for order in "<>":
            for photometric in (0, 1):
                kind = "1" if bits == 1 else "L"
                yield kind, f"{bits}_{photometric}_{'im'[order == '>']}.tif", tiff(
                    W, H, [data], [bits], photometric, order)
        yield kind, f"{bits}_fill2.tif", tiff(W, H, [data], [bits], 1, fill=2)
        colors = rng.integers(0, 65536, 3 << bits).tolist()
        yield "P", f"palette_{bits}.tif", tiff(W, H, [data], [bits], 3, more=[(320, 3, colors)])
        yield "P", f"palette_{bits}_fill2.tif", tiff(W, H, [data], [bits], 3, fill=2, more=[(320, 3, colors)])
    colors = rng.integers(0, 65536, 768).tolist()
    four = np.asarray(alpha_photo())
    two = np.stack([four[..., 0], four[..., 3]], -1)
    for name, x in (("unspecified", 0), ("straight", 2)):
        yield "LA", f"grey_{name}.tif", tiff(W, H, [two.tobytes()], [8] * 2, 1, extra=[x])
        yield "PA", f"palette_{name}.tif", tiff(W, H, [two.tobytes()], [8] * 2, 3, extra=[x],
                                               more=[(320, 3, colors)])
    pre = four.copy()
    pre[..., :3] = pre[..., :3].astype(int) * pre[..., 3:] // 255
    five = np.concatenate([four, four[..., :1]], -1)
    six = np.concatenate([five, four[..., :1]], -1)
    for order in "<>":
        o = "im"[order == ">"]
        yield "RGBA", f"rgba_untold_{o}.tif", tiff(W, H, [four.tobytes()], [8] * 4, 2, order)
        for name, data, extra in (("unspecified", four, [0]), ("premultiplied", pre, [1]), ("straight", four, [2]),
                                  ("corel", four, [999]), ("5_unspecified", five, [0, 0]),
                                  ("5_premultiplied", five, [1, 0]), ("5_straight", five, [2, 0]),
                                  ("6_unspecified", six, [0, 0, 0]), ("6_straight", six, [2, 0, 0])):
            yield "RGBA", f"rgba_{name}_{o}.tif", tiff(W, H, [data.tobytes()], [8] * data.shape[2], 2, order,
                                                       extra=extra)
        wide = (a * 257 + rng.integers(0, 200, a.shape)).clip(0, 65535)
        wide4 = np.concatenate([wide, 65535 - wide[..., :1]], -1)
        u16 = lambda v: v.astype(order + "u2").tobytes()
        yield "RGB 16 bits", f"rgb16_{o}.tif", tiff(W, H, [u16(wide)], [16] * 3, 2, order)
        yield "RGB 16 bits", f"rgb16_deflate_{o}.tif", tiff(W, H, [u16(wide)], [16] * 3, 2, order, compression=8)
        for name, extra in (("untold", None), ("unspecified", [0]), ("premultiplied", [1]), ("straight", [2])):
            yield "RGBA 16 bits", f"rgba16_{name}_{o}.tif", tiff(W, H, [u16(wide4)], [16] * 4, 2, order,
                                                                extra=extra)
        yield "CMYK 16 bits", f"cmyk16_{o}.tif", tiff(W, H, [u16(wide4)], [16] * 4, 5, order)
        yield "CMYK", f"cmyk_5_{o}.tif", tiff(W, H, [five.tobytes()], [8] * 5, 5, order, extra=[0])
        yield "I;16", f"grey16_{o}.tif", tiff(W, H, [u16(grey * 3)], [16], 1, order)
        yield "I;16", f"grey16_deflate_{o}.tif", tiff(W, H, [u16(grey * 3)], [16], 1, order, compression=8)
        yield "I", f"signed16_{o}.tif", tiff(W, H, [(grey * 3 - 300).astype(order + "i2").tobytes()], [16], 1,
                                             order, format=2)
        yield "I", f"signed32_{o}.tif", tiff(W, H, [(grey * 3 - 300).astype(order + "i4").tobytes()], [32], 1,
                                             order, format=2)
        for photometric in (0, 1):
            yield "F", f"float_{photometric}_{o}.tif", tiff(
                W, H, [(grey * 1.3 - 30).astype(order + "f4").tobytes()], [32], photometric, order, format=3)
    yield "I;16", "grey16_0.tif", tiff(W, H, [(grey * 3).astype("<u2").tobytes()], [16], 0)
    yield "I;16", "grey12.tif", tiff(W, H, [packed(grey * 2, 12, W)], [12], 1)
    yield "I", "unsigned32.tif", tiff(W, H, [(grey * 2).astype("<u4").tobytes()], [32], 1)
    yield "L", "signed8.tif", tiff(W, H, [grey.astype(np.uint8).tobytes()], [8], 1, format=2)
    bytes3 = a.astype(np.uint8)
    for compression in (1, 8):
        planes = [bytes3[..., c].tobytes() for c in range(3)]
        yield "RGB", f"planes_{compression}.tif", tiff(W, H, planes, [8] * 3, 2, planar=2, compression=compression)
        strips = [bytes3[y:y + 7].tobytes() for y in range(0, H, 7)]
        yield "RGB", f"strips_{compression}.tif", tiff(W, H, strips, [8] * 3, 2, rows=7, compression=compression)
        strips = [bytes3[y:y + 7, :, c].tobytes() for c in range(3) for y in range(0, H, 7)]
        yield "RGB", f"plane_strips_{compression}.tif", tiff(W, H, strips, [8] * 3, 2, rows=7, planar=2,
                                                            compression=compression)
        yield "RGB", f"tiles_{compression}.tif", tiff(W, H, tiles(bytes3, 16, 16), [8] * 3, 2, tile=(16, 16),
                                                     compression=compression)
        yield "L", f"tiles_grey_{compression}.tif", tiff(W, H, tiles(bytes3[..., :1], 32, 16), [8], 1, ">",
                                                        tile=(32, 16), compression=compression)
        yield "YCbCr", f"ycbcr_{compression}.tif", tiff(W, H, [bytes3.tobytes()], [8] * 3, 6,
                                                       compression=compression, more=[(530, 3, [1, 1])])
    yield "YCbCr", "ycbcr_untold.tif", tiff(W, H, [bytes3.tobytes()], [8] * 3, 6)
    p4 = [four[..., c].tobytes() for c in range(4)]
    yield "RGBA", "planes_rgba.tif", tiff(W, H, p4, [8] * 4, 2, extra=[2], planar=2, compression=8)
    yield "RGBA", "planes_premultiplied.tif", tiff(W, H, [pre[..., c].tobytes() for c in range(4)], [8] * 4, 2,
                                                  extra=[1], planar=2, compression=8)
    yield "RGB", "planes_rgbx.tif", tiff(W, H, p4, [8] * 4, 2, extra=[0], planar=2, compression=8)
    yield "CMYK", "planes_cmyk.tif", tiff(W, H, p4, [8] * 4, 5, planar=2, compression=8)
    yield "RGB 16 bits", "planes_16.tif", tiff(W, H, [wide[..., c].astype("<u2").tobytes() for c in range(3)],
                                             [16] * 3, 2, planar=2, compression=8)
    by_plane = [t for c in range(3) for t in tiles(bytes3[..., c:c + 1], 16, 32)]
    yield "RGB", "plane_tiles.tif", tiff(W, H, by_plane, [8] * 3, 2, planar=2, tile=(16, 32), compression=8)
    quads = np.pad(bytes3, ((0, 1), (0, 1), (0, 0)), "edge").reshape(15, 2, 19, 2, 3)
    units = np.concatenate([quads[..., 0].transpose(0, 2, 1, 3).reshape(15, 19, 4),
                            quads[:, 0, :, 0, 1:]], -1)
    yield "YCbCr", "ycbcr_420_deflate.tif", tiff(W, H, [units.tobytes()], [8] * 3, 6, compression=8,
                                                more=[(530, 3, [2, 2])])
    yield "RGB", "big.tif", tiff(W, H, [bytes3.tobytes()], [8] * 3, 2, big=True)
    yield "RGBA", "big_rgba.tif", tiff(W, H, [four.tobytes()], [8] * 4, 2, ">", extra=[2], big=True, compression=8)
    for orientation in range(10):
        yield "RGB", f"orientation_{orientation}.tif", tiff(W, H, [bytes3.tobytes()], [8] * 3, 2,
                                                           more=[(274, 3, [orientation])])
    yield "LA", "orientation_la.tif", saved(in_mode("LA"), "TIFF", compression="packbits", tiffinfo={274: 7})


# ---- JPEG ----

def exif(orientation, order="II"):
    pack = lambda f, *v: struct.pack(("<" if order == "II" else ">") + f, *v)
    return b"Exif\0\0" + order.encode() + pack("HIHHHIHHI", 42, 8, 1, 274, 3, 1, orientation, 0, 0)


def jpegs():
    im = photo(61, 47)
    for n, name in enumerate(("444", "422", "420")):
        for progressive in (False, True):
            kind = "progressive" if progressive else "baseline"
            yield f"RGB {name[0]}:{name[1]}:{name[2]}", f"{name}_{kind}.jpg", saved(
                im, "JPEG", quality=83, subsampling=n, progressive=progressive)
    yield "RGB 4:2:0", "restart.jpg", saved(im, "JPEG", quality=70, restart_marker_blocks=3)
    yield "RGB 4:2:0", "restart_rows.jpg", saved(im, "JPEG", quality=70, progressive=True, restart_marker_rows=1)
    yield "RGB 4:2:0", "optimized.jpg", saved(im, "JPEG", quality=30, optimize=True)
    yield "RGB kept", "rgb.jpg", saved(im, "JPEG", quality=90, keep_rgb=True)
    for progressive in (False, True):
        yield "L", f"grey_{progressive}.jpg", saved(im.convert("L"), "JPEG", progressive=progressive)
    cmyk = saved(im.convert("CMYK"), "JPEG", quality=88)
    at = cmyk.index(b"Adobe") + 11
    yield "CMYK", "cmyk.jpg", cmyk
    yield "CMYK", "cmyk_progressive.jpg", saved(im.convert("CMYK"), "JPEG", progressive=True)
    yield "YCCK", "ycck.jpg", cmyk[:at] + b"\2" + cmyk[at + 1:]
    if shutil.which("cjpeg"):
        for name, options in (("440", ["-sample", "1x2"]), ("411", ["-sample", "4x1"]), ("410", ["-sample", "4x2"]),
                              ("arithmetic", ["-arithmetic"]), ("arithmetic_progressive", ["-arithmetic", "-progressive"])):
            ppm = saved(im, "PPM")
            yield "RGB " + name, f"{name}.jpg", subprocess.run(["cjpeg", *options], input=ppm, check=True,
                                                              capture_output=True).stdout
    for w, h in ((1, 1), (1, 40), (40, 1), (300, 37), (33, 250), (260, 300), (16, 16), (17, 9)):
        yield "sizes", f"size_{w}x{h}.jpg", saved(photo(w, h), "JPEG")


def oriented():
    """Files whose EXIF or XMP says how to turn them."""
    im = photo(23, 31)
    for n in range(10):
        if 1 <= n <= 8:
            yield f"exif_{n}.tif", saved(im.convert("L"), "TIFF", tiffinfo={274: n}, compression="tiff_lzw")
        for order in ("II", "MM"):
            yield f"exif_{n}_{order}.jpg", saved(im, "JPEG", exif=exif(n, order))
        yield f"exif_{n}.png", saved(im.convert("RGBA" if n % 2 else "P"), "PNG", exif=exif(n))
        yield f"exif_{n}.webp", saved(im, "WEBP", lossless=True, exif=exif(n))
    for n in (3, 6):
        for form in (f'tiff:Orientation="{n}"', f"<tiff:Orientation>{n}</tiff:Orientation>"):
            xmp = f"<x:xmpmeta>{form}</x:xmpmeta>".encode()
            yield f"xmp_{n}_{form[0] == '<'}.jpg", saved(im, "JPEG", xmp=xmp)
            yield f"xmp_{n}_{form[0] == '<'}.webp", saved(im, "WEBP", lossless=True, xmp=xmp)
    yield "exif_and_xmp.jpg", saved(im, "JPEG", exif=exif(8), xmp=b'tiff:Orientation="3"')
    yield "none.jpg", saved(im, "JPEG")


# ---- PNG ----

def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(values, depth, color, interlaced=False, palette=b"", trns=None, more=b""):
    """values [h,w,channels]"""
    h, w, c = values.shape
    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    data = b""
    for x, y, dx, dy in passes if interlaced else [(0, 0, 1, 1)]:
        for row in values[y::dy, x::dx]:
            if row.size:
                data += b"\0" + packed(row.reshape(-1), depth, row.size)
    out = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, depth, color, 0, 0, interlaced))
    out += chunk(b"PLTE", palette) if palette else b""
    out += chunk(b"tRNS", trns) if trns is not None else b""
    return out + more + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


def pngs():
    names = {0: "grey", 2: "RGB", 3: "palette", 4: "grey, alpha", 6: "RGB, alpha"}
    depths = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
    four = np.asarray(alpha_photo()).astype(int)
    four[3:6, 4:9] = four[0, 0]
    for color, name in names.items():
        take = {0: [0], 2: [0, 1, 2], 3: [0], 4: [0, 3], 6: [0, 1, 2, 3]}[color]
        for depth in depths[color]:
            v = four[..., take]
            v = v * 257 - v % 7 if depth == 16 else v >> (8 - depth)
            v = v.clip(0, (1 << depth) - 1)
            if color == 0 and depth == 16:
                v //= 150  # so that clipping to 255 leaves something
            palette = rng.integers(0, 256, 3 << depth, dtype=np.uint8).tobytes() if color == 3 else b""
            keys = {"": None}
            if color in (0, 2):
                keys["_key"] = b"".join(struct.pack(">H", int(x)) for x in v[4, 5])
            if color == 3:
                keys["_alpha"] = rng.integers(0, 256, max(1, (1 << depth) - 1), dtype=np.uint8).tobytes()
                keys["_one"] = b"\0"
            for what, trns in keys.items():
                for interlaced in (False, True):
                    yield (f"{name}, {depth} bits" + (", tRNS" if trns else ""),
                           f"{color}_{depth}{what}{'_i' * interlaced}.png",
                           png(v, depth, color, interlaced, palette, trns))
    for w, h in ((1, 1), (1, 40), (40, 1), (300, 37), (33, 250), (260, 300), (224, 224), (225, 224)):
        for mode in ("RGB", "RGBA", "L", "LA", "P", "1", "I;16"):
            yield "sizes", f"{mode.replace(';', '')}_{w}x{h}.png", saved(in_mode(mode, w, h), "PNG")
    yield "animated", "frames.png", saved(photo(), "PNG", save_all=True, append_images=[photo(), photo()])


# ---- the rest ----

def webps():
    rgb, rgba = photo(), alpha_photo()
    for im, name in ((rgb, "RGB"), (rgba, "RGBA")):
        yield f"lossy, {name}", f"lossy_{name}.webp", saved(im, "WEBP", quality=70)
        yield f"lossy, {name}", f"lossy_{name}_6.webp", saved(im, "WEBP", quality=20, method=6)
        yield f"lossless, {name}", f"lossless_{name}.webp", saved(im, "WEBP", lossless=True)
        yield f"lossless, {name}", f"exact_{name}.webp", saved(im, "WEBP", lossless=True, exact=True)
        for lossless in (False, True):
            yield f"animated, {name}", f"frames_{name}_{lossless}.webp", saved(
                im, "WEBP", save_all=True, lossless=lossless, append_images=[im.rotate(90), im.rotate(180)])
    yield "lossy, L", "lossy_L.webp", saved(rgb.convert("L"), "WEBP")
    for w, h in ((1, 1), (1, 40), (40, 1), (300, 37), (33, 250), (260, 300)):
        yield "sizes", f"size_{w}x{h}.webp", saved(photo(w, h), "WEBP")


def pnms():
    yield from (("as made by make_formats.py", n, d) for n, d in make_formats.pnms())
    f = np.asarray(in_mode("F"))
    yield "PFM", "little.pfm", b"Pf\n37 29\n-1.0\n" + f[::-1].astype("<f4").tobytes()
    yield "PFM", "big.pfm", b"Pf 37 29 2.5\n" + f[::-1].astype(">f4").tobytes()
    yield "Pillow's", "p.ppm", b"PyP\n37 29\n255\n" + in_mode("L").tobytes()
    yield "Pillow's", "rgba.ppm", b"PyRGBA\n37 29\n255\n" + alpha_photo().tobytes()
    yield "Pillow's", "cmyk.ppm", b"PyCMYK\n37 29\n255\n" + in_mode("CMYK").tobytes()
    yield "Pillow's", "cmyk0.ppm", b"P0CMYK\n37 29 255\n" + in_mode("CMYK").tobytes()
    for w, h in ((1, 1), (1, 40), (40, 1), (300, 37), (33, 250)):
        yield "sizes", f"size_{w}x{h}.ppm", saved(photo(w, h), "PPM")


def gifs():
    yield from (("as made by make_formats.py", n, d) for n, d in make_formats.gifs())
    for w, h in ((1, 1), (1, 40), (40, 1), (300, 37), (33, 250)):
        yield "sizes", f"size_{w}x{h}.gif", saved(photo(w, h).quantize(50), "GIF")


def bmps():
    yield from (("as made by make_formats.py", n, d) for n, d in make_formats.bmps())
    for w, h in ((1, 1), (1, 40), (40, 1), (300, 37), (33, 250)):
        for mode in ("RGB", "RGBA", "L", "P", "1"):
            yield "sizes", f"{mode}_{w}x{h}.bmp", saved(in_mode(mode, w, h), "BMP")


def all_pictures():
    """(format, kind, file name, bytes); names are unique."""
    sources = {"JPEG": jpegs, "PNG": pngs, "WebP": webps, "GIF": gifs, "BMP": bmps, "PNM": pnms}
    for format, pictures in sources.items():
        for kind, name, data in pictures():
            yield format, kind, f"{format.lower()}_{name}", data
    for kind, name, data in [*tiffs_of_pillow(), *tiffs_by_hand()]:
        yield "TIFF", kind, f"tiff_{name}", data


# ---- what Pillow does not open, or not by the library that clipc uses ----

def outside(command, data, names):
    """Runs a tool in a folder of its own on names[0] with data, returns names[1]'s bytes."""
    with tempfile.TemporaryDirectory() as folder:
        open(f"{folder}/{names[0]}", "wb").write(data)
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        return open(f"{folder}/{names[1]}", "rb").read()


def heifs():
    """(kind, name, bytes); HEIC needs pillow-heif, AVIF Pillow."""
    import pillow_heif
    pillow_heif.register_heif_opener()
    for w, h in ((64, 48), (37, 29), (30, 90)):
        for im, name in ((photo(w, h), "RGB"), (alpha_photo(w, h), "RGBA")):
            yield f"HEIC {name}", f"{name}_{w}x{h}.heic", saved(im, "HEIF", quality=70)
            yield f"AVIF {name}", f"{name}_{w}x{h}.avif", saved(im, "AVIF", quality=70)
    grey = photo(64, 48).convert("L")
    yield "HEIC L", "L.heic", saved(grey, "HEIF", quality=80)
    yield "AVIF L", "L.avif", saved(grey, "AVIF", quality=80)
    for n, name in (("4:4:4", "444"), ("4:2:2", "422")):
        yield "HEIC " + n, f"{name}.heic", saved(photo(64, 48), "HEIF", quality=70, chroma=n.replace(":", ""))
        yield "AVIF " + n, f"{name}.avif", saved(photo(64, 48), "AVIF", quality=70, subsampling=n)
    for n in (3, 5, 6, 8):
        yield "AVIF turned", f"turned_{n}.avif", saved(photo(40, 64), "AVIF", exif=exif(n)[6:])
        yield "HEIC turned", f"turned_{n}.heic", saved(photo(40, 64), "HEIF", exif=exif(n))


def jxls():
    """(kind, name, bytes), by the command cjxl."""
    for name, im in (("RGB", photo(64, 48)), ("RGBA", alpha_photo(64, 48)), ("L", photo(37, 29).convert("L")),
                     ("LA", alpha_photo(37, 29).convert("LA"))):
        for kind, options in (("lossy", ["-d", "1"]), ("lossless", ["-d", "0"]), ("progressive", ["-p", "-d", "2"]),
                              ("container", ["--container=1", "-d", "1"]), ("strong", ["-d", "6", "-e", "3"])):
            yield f"{name} {kind}", f"{name}_{kind}.jxl", outside(["cjxl", "a.png", "a.jxl", *options],
                                                                 saved(im, "PNG"), ("a.png", "a.jxl"))
    yield "JPEG inside", "jpeg.jxl", outside(["cjxl", "a.jpg", "a.jxl"], saved(photo(64, 48), "JPEG"),
                                             ("a.jpg", "a.jxl"))
    for n in (6, 3):
        yield "turned", f"turned_{n}.jxl", outside(["cjxl", "a.jpg", "a.jxl"],
                                                   saved(photo(64, 48), "JPEG", exif=exif(n)), ("a.jpg", "a.jxl"))


def decoded(name, data):
    """What heif-convert and djxl make of it: the libraries' own output."""
    tool = ["djxl", name, "a.png"] if name.endswith(".jxl") else ["heif-convert", name, "a.png"]
    return Image.open(io.BytesIO(outside(tool, data, (name, "a.png"))))


# ---- pictures that claim 100,000 x 100,000, or as much as the format can say ----

def claims():
    most = 100_000
    jpeg = saved(photo(8, 8), "JPEG")
    at = jpeg.index(b"\xff\xc0") + 5
    yield "claim.jpg", jpeg[:at] + struct.pack(">HH", 65500, 65500) + jpeg[at + 4:]
    yield "claim.png", png(np.zeros((1, 1, 1), int), 8, 0).replace(
        chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)),
        chunk(b"IHDR", struct.pack(">IIBBBBB", most, most, 8, 0, 0, 0, 0)))
    webp = saved(alpha_photo(8, 8), "WEBP", save_all=True, append_images=[alpha_photo(8, 8)])
    at = webp.index(b"VP8X") + 12
    yield "claim.webp", webp[:at] + b"\xfe\xff\x00" * 2 + webp[at + 6:]
    gif = saved(photo(8, 8).quantize(4), "GIF")
    yield "claim.gif", gif[:6] + b"\xff\xff\xff\xff" + gif[10:]
    yield "claim.bmp", make_formats.bmp(most, most, 24, bytes(100))
    yield "claim.ppm", b"P6\n100000 100000\n255\n" + bytes(100)
    yield "claim_strips.tif", tiff(most, most, [bytes(100)], [8] * 3, 2)
    yield "claim_tile.tif", tiff(8, 8, [bytes(100)], [8] * 3, 2, tile=(65520, 65520))
    yield "claim_ycbcr.tif", tiff(most, most, [bytes(100)], [8] * 3, 6, compression=8)
    bits = "0" + f"{most - 1:018b}"[::-1].join(["01", "100"]) + "1"  # lowest bit first: 18 bits, square, defaults
    bits += "0" * (-len(bits) % 8)
    yield "claim.jxl", b"\xff\x0a" + bytes(int(bits[i:i + 8][::-1], 2) for i in range(0, len(bits), 8)) + bytes(20)
    for kind in ("HEIF", "AVIF"):
        import pillow_heif
        pillow_heif.register_heif_opener()
        data = saved(photo(64, 64), kind)
        at = data.index(b"ispe") + 8
        yield f"claim.{'heic' if kind == 'HEIF' else 'avif'}", data[:at] + struct.pack(">II", most, most) + data[at + 8:]
