"""The drawings held out by style as a set for `clipc eval`: each told apart by its caption, among
all.  usage: python3 held_out.py SHARD... OUT     (needs pillow)"""
import io, json, os, sys, tarfile
from PIL import Image

*shards, out = sys.argv[1:]
os.makedirs(f"{out}/png", exist_ok=True)
classes, samples = {}, []
for shard in shards:
    tar = tarfile.open(shard)
    members = {m.name: m for m in tar}
    for name in sorted(n for n in members if n.endswith(".json")):
        caption = json.load(tar.extractfile(members[name]))["caption"]
        drawing = Image.open(io.BytesIO(tar.extractfile(members[name[:-4] + "png"]).read()))
        ground = Image.new("RGBA", drawing.size, "white")
        ground.alpha_composite(drawing.convert("RGBA"))
        picture = f"png/{len(samples):04}.png"
        ground.convert("RGB").save(f"{out}/{picture}")
        samples.append(f"{picture}\t{classes.setdefault(caption, len(classes))}\n")
with open(f"{out}/samples.tsv", "w") as f:
    f.writelines(samples)
with open(f"{out}/spec.json", "w") as f:
    json.dump({"name": os.path.basename(out), "task": "zeroshot", "templates": ["{}"],
               "classes": list(classes), "samples": "samples.tsv"}, f, ensure_ascii=False, indent=0)
print(f"{out}: {len(samples)} pictures, {len(classes)} classes")
