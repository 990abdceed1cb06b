"""Pictures with dates in their EXIF and of every shape, and what Pillow says of them:
dated/index.txt, a line each: file, width and height as shown, DateTimeOriginal or "-".
And burst/: two pictures taken two seconds apart, a third a year later, and copies of the
first: smaller, and compressed harder."""
import os
import sys

from PIL import Image, ImageDraw, ImageOps

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "dated")
DATE_TIME_ORIGINAL, EXIF_DIRECTORY, ORIENTATION = 36867, 34665, 274


def picture(width, height):
    im = Image.new("RGB", (width, height))
    im.putdata([(x * 5 % 256, y * 7 % 256, (x + y) % 256) for y in range(height) for x in range(width)])
    return im


def make(name, width, height, date=None, orientation=1, **options):
    exif = Image.Exif()
    if date or orientation != 1:
        exif[ORIENTATION] = orientation
    if date:
        exif.get_ifd(EXIF_DIRECTORY)[DATE_TIME_ORIGINAL] = date
    if len(exif):
        options["exif"] = exif
    picture(width, height).save(os.path.join(FOLDER, name), **options)


def burst():
    folder = os.path.join(os.path.dirname(FOLDER), "burst")
    os.makedirs(folder, exist_ok=True)

    def scene(shift):
        im = Image.new("RGB", (96, 64), (90, 140, 200))
        draw = ImageDraw.Draw(im)
        draw.rectangle((0, 40, 96, 64), fill=(60, 120, 40))
        draw.ellipse((10 + shift, 18, 40 + shift, 48), fill=(200, 60, 30))
        return im

    def save(im, name, date, quality):
        exif = Image.Exif()
        exif[ORIENTATION] = 1
        if date:
            exif.get_ifd(EXIF_DIRECTORY)[DATE_TIME_ORIGINAL] = date
        im.save(os.path.join(folder, name), exif=exif, quality=quality)

    save(scene(0), "first.jpg", "2020:06:06 10:00:00", 90)
    save(scene(24), "second.jpg", "2020:06:06 10:00:02", 90)
    save(scene(48), "later.jpg", "2021:06:06 10:00:00", 90)
    save(scene(0).resize((48, 32), Image.BICUBIC), "small.jpg", None, 90)
    save(scene(0), "hard.jpg", None, 30)


def line(name):
    with Image.open(os.path.join(FOLDER, name)) as im:
        im.load()  # a PNG may have it behind its pixels
        date = im.getexif().get_ifd(EXIF_DIRECTORY).get(DATE_TIME_ORIGINAL) or "-"
        width, height = ImageOps.exif_transpose(im).size
    return f"{name}\t{width}\t{height}\t{date}\n"


def main():
    os.makedirs(FOLDER, exist_ok=True)
    make("summer.jpg", 40, 24, "2021:07:04 12:30:05", quality=80)
    make("turned.jpg", 40, 24, "2019:12:31 23:59:59", 6, quality=80)
    make("progressive.jpg", 25, 25, quality=80, progressive=True)
    make("winter.png", 20, 30, "2022:01:15 08:00:00")
    make("lossy.webp", 33, 17, "2023:03:03 03:03:03", quality=60)
    make("lossless.webp", 18, 35, lossless=True)
    make("plain.gif", 31, 12)
    make("plain.bmp", 13, 29)
    with open(os.path.join(FOLDER, "index.txt"), "w") as out:
        out.writelines(line(n) for n in sorted(os.listdir(FOLDER)) if n != "index.txt")
    burst()
    print("dated: Pillow", Image.__version__, "Python", sys.version.split()[0])


if __name__ == "__main__":
    main()
