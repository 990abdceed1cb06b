"""Pixel goldens of the formats and modes of pictures.py, a file for each way through the decoders, and the
crops of 16 x 16 that OpenAI's transform ("shortest") and transformers' CLIP processor ("hf") make of them.
Writes, each with crops.bin and index.txt as make_formats.py does,
  tests/golden/modes/     read by Pillow
  tests/golden/oriented/  the same after ImageOps.exif_transpose
  tests/golden/modern/    HEIF, AVIF and JPEG XL, read by heif-convert and djxl
and tests/golden/claims/, pictures that say they are huge.

usage: python3 tests/golden/make_pictures.py      (from the project's root; requirements.txt; commands cjpeg,
       heif-convert, cjxl, djxl)
"""
import fnmatch, io, os
import numpy as np
from PIL import Image, ImageOps
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Resize
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
import pictures

SIZE = 16
MODES = """
tiff_1_group4 tiff_1_group3 tiff_1_tiff_ccitt tiff_group4_fill2 tiff_L_packbits tiff_LA_tiff_lzw
tiff_P_tiff_adobe_deflate tiff_PA_tiff_lzw tiff_LAB_tiff_deflate tiff_RGB_jpeg tiff_CMYK_jpeg tiff_YCbCr_jpeg tiff_RGBX_tiff_deflate
tiff_RGBA_predictor tiff_I16_predictor tiff_YCbCr_raw tiff_YCbCr_tiff_lzw tiff_I_tiff_lzw tiff_F_tiff_lzw
tiff_I16B_raw tiff_pages tiff_[1248]_0_[im] tiff_2_fill2 tiff_palette_[124] tiff_palette_unspecified
tiff_palette_straight tiff_grey_unspecified tiff_rgba_untold_m tiff_rgba_unspecified_i tiff_rgba_premultiplied_m
tiff_rgba_corel_i tiff_rgba_5_premultiplied_i tiff_rgba_6_straight_m tiff_rgb16_i tiff_rgb16_deflate_m
tiff_rgba16_untold_m tiff_rgba16_premultiplied_i tiff_cmyk16_m tiff_cmyk_5_i tiff_grey16_deflate_m
tiff_signed16_? tiff_signed32_? tiff_float_?_? tiff_grey16_0 tiff_grey12 tiff_unsigned32 tiff_signed8 tiff_planes_8
tiff_strips_1 tiff_plane_strips_8 tiff_tiles_8 tiff_tiles_grey_8 tiff_plane_tiles tiff_planes_rgba
tiff_planes_premultiplied tiff_planes_rgbx tiff_planes_cmyk tiff_planes_16 tiff_ycbcr_420_deflate tiff_ycbcr_untold tiff_big
tiff_orientation_la tiff_orientation_[0369]
png_0_[24]_key png_0_16_key_i png_2_8_key_i png_2_16_key png_3_1_one png_3_4_alpha_i png_3_8_alpha png_4_16_i
png_6_16_i png_0_1_key_i png_0_2_i png_frames png_RGBA_1x40 png_I16_40x1 png_P_1x40 png_LA_300x37 png_1_33x250
jpeg_ycck jpeg_440 jpeg_411 jpeg_arithmetic_progressive jpeg_restart jpeg_rgb jpeg_grey_True jpeg_size_40x1
pnm_little pnm_big pnm_p pnm_rgba pnm_cmyk0 webp_frames_RGBA_False webp_lossy_RGBA webp_size_1x40
""".split()
ORIENTED = ["exif_[0-9]_II.jpg", "exif_6_MM.jpg", "exif_[57].png", "exif_[68].webp", "xmp_*.jpg", "xmp_6_True.webp",
            "exif_and_xmp.jpg", "exif_4.tif"]
MODERN = ["RGB_37x29.*", "RGBA_37x29.*", "L.*", "444.heic", "422.avif", "turned_6.*", "RGB_lossy.jxl",
          "RGBA_container.jxl", "LA_lossless.jxl", "L_progressive.jxl", "jpeg.jxl"]

openai = Compose([Resize(SIZE, InterpolationMode.BICUBIC), CenterCrop(SIZE)])
hf = CLIPImageProcessorPil(size={"shortest_edge": SIZE}, crop_size={"height": SIZE, "width": SIZE},
                           do_rescale=False, do_normalize=False)
RECIPES = {"shortest": lambda im: np.asarray(openai(im).convert("RGB")),
           "hf": lambda im: np.moveaxis(hf(im)["pixel_values"][0], 0, -1).astype(np.uint8)}


def write(folder, files, read):
    """files (name, bytes); read(name, data) opens one."""
    folder = f"tests/golden/{folder}"
    os.makedirs(folder, exist_ok=True)
    for name in os.listdir(folder):
        os.remove(f"{folder}/{name}")
    crops, index = io.BytesIO(), []
    for name, data in files:
        with open(f"{folder}/{name}", "wb") as f:
            f.write(data)
        for recipe, crop in RECIPES.items() if read else ():
            index.append(f"{name} {SIZE} {SIZE} {recipe} bicubic 0 {crops.tell()}\n")
            crops.write(crop(read(name, data)).tobytes())
    if read:
        open(f"{folder}/crops.bin", "wb").write(crops.getvalue())
        open(f"{folder}/index.txt", "w").writelines(index)


def some(files, patterns):
    found = [(name, data) for *_, name, data in files if any(fnmatch.fnmatchcase(name, p) for p in patterns)]
    missing = [p for p in patterns if not any(fnmatch.fnmatchcase(n, p) for n, _ in found)]
    assert not missing, missing
    return found


def opened(name, data):
    return Image.open(io.BytesIO(data))


def main():
    write("modes", some(pictures.all_pictures(), [p + ".*" for p in MODES]), opened)
    write("oriented", some(pictures.oriented(), ORIENTED), lambda n, d: ImageOps.exif_transpose(opened(n, d)))
    write("modern", some([*pictures.heifs(), *pictures.jxls()], MODERN), pictures.decoded)
    write("claims", pictures.claims(), None)


main()
