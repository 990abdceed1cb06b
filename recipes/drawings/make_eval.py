"""Makes the evaluation sets from the fetched packages: PNG pictures, samples.tsv and the SPEC
that `clipc eval` reads.  The lists in eval/*.tsv fix pictures (by SHA-256) and labels.

usage: python3 make_eval.py WORK OUT     (needs pillow; node for OpenMoji's SVG)
"""
import csv, gzip, hashlib, json, os, subprocess, sys
from PIL import Image

HERE = os.path.dirname(os.path.abspath(__file__))
WORK, OUT = sys.argv[1], sys.argv[2]
STAMPS = f"{WORK}/deb/tuxpaint-stamps-default/usr/share/tuxpaint/stamps"
FASHION = f"{WORK}/deb/dataset-fashion-mnist/usr/share/datasets/fashion-mnist"
FASHION_NAMES = ["t-shirt", "trousers", "sweater", "dress", "coat", "sandal", "shirt",
                 "sneaker", "bag", "ankle boot"]


def checked(path, sha):
    data = open(path, "rb").read()
    if hashlib.sha256(data).hexdigest() != sha:
        sys.exit(f"{path}: SHA-256 differs from the list")
    return data


def write_spec(name, classes, samples, templates):
    folder = f"{OUT}/{name}"
    with open(f"{folder}/samples.tsv", "w") as f:
        f.writelines(f"{path}\t{label}\n" for path, label in samples)
    spec = {"name": name, "task": "zeroshot", "templates": templates, "classes": classes,
            "samples": "samples.tsv"}
    with open(f"{folder}/spec.json", "w") as f:
        json.dump(spec, f, ensure_ascii=False, indent=0)
    print(f"{name}: {len(samples)} pictures, {len(classes)} classes")


def rows(tsv):
    return list(csv.DictReader(open(f"{HERE}/eval/{tsv}.tsv"), delimiter="\t",
                               quoting=csv.QUOTE_NONE))


def on_white(im):
    """Centred in a white square 1.1 times the longer side."""
    im = im.convert("RGBA")
    side = round(1.1 * max(im.size))
    ground = Image.new("RGBA", (side, side), "white")
    ground.alpha_composite(im, ((side - im.width) // 2, (side - im.height) // 2))
    return ground.convert("RGB")


def tuxpaint(name):
    os.makedirs(f"{OUT}/{name}/png", exist_ok=True)
    listed, samples = rows(name), []
    classes = list(dict.fromkeys(r["label"] for r in listed))
    for i, r in enumerate(listed):
        path = f"{STAMPS}/{r['path']}"
        checked(path, r["sha256"])
        on_white(Image.open(path)).save(f"{OUT}/{name}/png/{i:04}.png")
        samples.append((f"png/{i:04}.png", classes.index(r["label"])))
    write_spec(name, classes, samples, ["{}"])


def openmoji():
    os.makedirs(f"{OUT}/openmoji/png", exist_ok=True)
    listed = rows("openmoji")
    for r in listed:
        checked(f"{WORK}/npm/openmoji/{r['path']}", r["sha256"])
    script = """
      const fs = require('fs');
      const {Resvg} = require('module').createRequire(fs.realpathSync(process.argv[1]) + '/x.js')('@resvg/resvg-js');
      for (const line of fs.readFileSync(0, 'utf8').split('\\n').filter(Boolean)) {
        const [from, to] = line.split('\\t');
        const r = new Resvg(fs.readFileSync(from, 'utf8'),
            {fitTo: {mode: 'width', value: 144}, background: 'white'});
        fs.writeFileSync(to, r.render().asPng());
      }"""
    jobs = "".join(f"{WORK}/npm/openmoji/{r['path']}\t{OUT}/openmoji/png/{i:04}.png\n"
                   for i, r in enumerate(listed))
    subprocess.run(["node", "-e", script, WORK], input=jobs.encode(), check=True)
    classes = [r["label"] for r in listed]
    write_spec("openmoji", classes, [(f"png/{i:04}.png", i) for i in range(len(listed))],
               ["{}"])


def fashion():
    os.makedirs(f"{OUT}/fashion-mnist/png", exist_ok=True)
    pixels = gzip.open(f"{FASHION}/t10k-images-idx3-ubyte.gz").read()[16:]
    labels = gzip.open(f"{FASHION}/t10k-labels-idx1-ubyte.gz").read()[8:]
    samples = []
    for i, label in enumerate(labels):
        dark_on_white = bytes(255 - p for p in pixels[784 * i:784 * (i + 1)])
        Image.frombytes("L", (28, 28), dark_on_white).save(f"{OUT}/fashion-mnist/png/{i:05}.png")
        samples.append((f"png/{i:05}.png", label))
    write_spec("fashion-mnist", FASHION_NAMES, samples, ["{}"])


os.makedirs(OUT, exist_ok=True)
tuxpaint("tuxpaint-photos")
tuxpaint("tuxpaint-drawings")
openmoji()
fashion()
