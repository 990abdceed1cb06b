"""Colours and blurs by torchvision's functional operations on a Pillow picture of 4096 colours
(16 levels of red, green and blue): tests/golden/augment/OPERATION_FACTOR.png.

usage: python3 tests/golden/make_augment.py      (from the project's root; requirements.txt)
"""
import os
import numpy as np
from PIL import Image
from torchvision.transforms import functional as F

ROOT = "tests/golden/augment"
FACTORS = {
    "brightness": (F.adjust_brightness, (0.0, 0.35, 1.7)),
    "contrast": (F.adjust_contrast, (0.0, 0.35, 1.7)),
    "saturation": (F.adjust_saturation, (0.0, 0.35, 1.7)),
    "hue": (F.adjust_hue, (-0.5, -0.1, 0.0, 0.31)),
    "blur": (lambda im, sigma: F.gaussian_blur(im, 7, sigma), (0.1, 0.8, 2.0)),
}


def main():
    os.makedirs(ROOT, exist_ok=True)
    i = np.arange(4096)
    colours = np.stack([i >> 8, i >> 4 & 15, i & 15], -1) * 17
    # Scattered, so that a blur mixes different colours.
    picture = Image.fromarray(colours[i * 1531 % 4096].reshape(64, 64, 3).astype(np.uint8))
    for name, (operation, factors) in FACTORS.items():
        for factor in factors:
            operation(picture, factor).save(f"{ROOT}/{name}_{factor}.png")


main()
