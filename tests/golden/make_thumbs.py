"""Thumbnails of 16 x 16 grey levels on white by Pillow, as recipes/drawings/shards.py compares
pictures by: tests/golden/thumbs/thumbs.json, {"FILE of tests/golden/pixels": [level, ..]}.

usage: python3 tests/golden/make_thumbs.py      (from the project's root; requirements.txt)
"""
import json, os
import numpy as np
from PIL import Image

NAMES = ["rgb_7x5.png", "rgb_300x37.png", "rgb_64x64.png", "rgb_41x29.png", "rgba.png",
         "palette_alpha.png", "grey_alpha.png", "bilevel.png", "jpeg_420.jpg", "alpha.webp"]


def thumbnail(im):
    ground = Image.new("RGBA", im.size, "white")
    ground.alpha_composite(im.convert("RGBA"))
    return np.asarray(ground.convert("L").resize((16, 16), Image.BOX)).ravel().tolist()


def main():
    os.makedirs("tests/golden/thumbs", exist_ok=True)
    thumbs = {name: thumbnail(Image.open(f"tests/golden/pixels/{name}")) for name in NAMES}
    json.dump(thumbs, open("tests/golden/thumbs/thumbs.json", "w"), separators=(",", ":"))


main()
