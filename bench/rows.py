"""What each kind of row does: (row) -> a dict of results.  Results are checked to agree before
anything is timed."""
import functools
import io
import json
import os
import subprocess
import tempfile
from dataclasses import replace

import numpy as np
from PIL import Image

import folder_peer
import models
import programs
import timing
import train_step

AGREES = 1e-4         # max|a-b| / max|b| in float32
AGREES_COSINE = 0.98  # to float32, of bf16 and int8; to exact decoding, of --fast
AGREES_STEP = 1e-3    # loss and gradient's norm
CLASSES, PROMPTS = 1000, 1000  # of the classifier; of them OpenVINO embeds
PHOTOGRAPHS = 48


def error(out, want):
    return float(np.abs(out - want).max() / np.abs(want).max())


def smallest_cosine(out, want):
    norms = np.linalg.norm(out, axis=1) * np.linalg.norm(want, axis=1)
    return float(((out * want).sum(1) / norms).min())


def agreement(row, out, want):
    """What is reported of an output, and whether it agrees."""
    if row.precision == "f32" and not row.fast:
        e = error(out, want)
        return {"error": e}, e <= AGREES
    cosine = smallest_cosine(out, want)
    return {"cosine": cosine}, cosine >= AGREES_COSINE


def contenders(row, builds, missing):
    """The best setting of each program; builds: {name: () -> {setting: build}}."""
    found = []
    for name, settings in builds.items():
        try:
            found.append(timing.best_setting(name, settings(), row.quick))
        except ImportError as e:
            missing[name] = str(e)
        except Exception as e:  # a peer that cannot run this is told, not fatal
            if name.startswith("clipc"):
                raise
            missing[name] = f"{type(e).__name__}: {e}".split("\n")[0][:200]
    return found


def result_of(c, agrees):
    ms = [1e3 * s for s in c.seconds]
    return {"name": c.name, "setting": c.setting, "ms": ms, "median": 1e3 * c.median,
            "trial_only": not ms, **agrees}


def race(row, builds, agree):
    """Checks, times, compares.  agree(contender) -> (what to report, whether it agrees)."""
    missing = {}
    ours, *peers = contenders(row, builds, missing)
    agrees = {c.name: agree(c) for c in [ours] + peers}
    if not agrees[ours.name][1]:
        raise RuntimeError(f"results disagree: {agrees[ours.name][0]}")
    for c in peers:
        if not agrees[c.name][1]:
            missing[c.name] = f"results disagree: {agrees[c.name][0]}"
    peers = [c for c in peers if c.name not in missing]
    timing.interleave(timing.worth_timing(ours, peers), row.quick)
    result = {"programs": [result_of(c, agrees[c.name][0]) for c in [ours] + peers],
              "missing": missing, "rounds": len(ours.seconds)}
    for c in peers:
        if c.seconds:
            result.setdefault("ratios", {})[c.name] = timing.ratio(ours, c)
    return result


def encode(row):
    want = models.reference(row.model, row.kind, row.batch)
    builds = {"clipc": lambda: programs.clipc(row)}
    for name in row.peers:
        builds[name] = functools.partial(programs.PEERS[name], row)
    result = race(row, builds, lambda c: agreement(row, c.out, want))
    if row.kind == "image" and row.precision == "f32":
        result["gflop"] = {p["name"]: row.batch * models.gflop(row.model)
                           for p in result["programs"]}
        result["gflop"]["clipc"] = row.batch * models.gflop_of_ours(row.model)
        if row.model == "rn50":  # Winograd's convolutions execute fewer
            del result["gflop"]["clipc"]
    return result


def from_file(row):
    """faster-clip takes files: a PNG of the size that the tower sees costs both next to nothing
    to decode.  It keeps int8 weights, so it agrees as those do."""
    blots = (models.inputs(row.model, "image", 1)[0].transpose(1, 2, 0) * 40 + 128).clip(0, 255)
    png = io.BytesIO()
    Image.fromarray(blots.astype(np.uint8)).save(png, "PNG")
    context = programs.context(row)
    builds = {"clipc": lambda: {"": lambda: functools.partial(context.file_bytes, png.getvalue())},
              "faster-clip": lambda: programs.faster_clip(row, png.getvalue())}
    want = context.file_bytes(png.getvalue())

    def agree(c):
        cosine = smallest_cosine(c.out, want)
        return {"cosine": cosine}, cosine >= AGREES_COSINE
    return race(row, builds, agree)


def classifier(row):
    """Ours makes the whole classifier; OpenVINO embeds some of its prompts, tokens at hand."""
    labels = models.LABELS[:CLASSES // (20 if row.quick else 1)]
    n_prompts = PROMPTS // (10 if row.quick else 1)
    scale = len(labels) * len(models.TEMPLATES) / n_prompts
    every = [t.replace("{}", label) for label in labels for t in models.TEMPLATES]
    x, whole = models.token_rows(every[:n_prompts]), n_prompts // len(models.TEMPLATES)
    context = programs.context(row)
    builds = {"clipc": lambda: {"": lambda: functools.partial(
        context.classifier, labels, models.TEMPLATES)},
        "openvino": lambda: programs.openvino(row, x)}

    def rows_of(c):
        if c.name == "clipc":
            return c.out[:whole]
        out = c.out[:whole * len(models.TEMPLATES)]
        out = out / np.linalg.norm(out, axis=1, keepdims=True)
        out = out.reshape(whole, len(models.TEMPLATES), -1).mean(1)
        return out / np.linalg.norm(out, axis=1, keepdims=True)
    first = {}

    def agree(c):
        e = error(rows_of(c), first.setdefault("clipc", rows_of(c)))
        return {"error": e}, e <= AGREES
    result = race(row, builds, agree)
    for p in result["programs"][1:]:
        p["ms"], p["median"] = [scale * t for t in p["ms"]], scale * p["median"]
        p["setting"] += f"; {n_prompts} prompts, times {scale:.0f}"
    result["ratios"] = {k: [scale * r for r in v] for k, v in result.get("ratios", {}).items()}
    return result


def int8_against_f32(row):
    """Our bytes against our own float32."""
    want = models.reference(row.model, row.kind, row.batch)
    builds = {"clipc": lambda: programs.clipc(row),
              "clipc f32": lambda: programs.clipc(replace(row, precision="f32"))}
    return race(row, builds, lambda c: agreement(row, c.out, want))


def first_vector(row):
    """The command, from its start to its end, with one picture; the file is in the page cache."""
    with tempfile.TemporaryDirectory() as work:
        Image.fromarray(np.zeros((224, 224, 3), np.uint8) + 77).save(f"{work}/x.png")
        command = [models.CLIPC, "embed", "-m", models.own(row.model), "-t", str(row.threads),
                   f"{work}/x.png"]
        c = timing.best_setting("clipc", {"": lambda: lambda: subprocess.check_output(command)})
        if len(json.loads(c.out)["embedding"]) != models.embed_dim(row.model):
            raise RuntimeError("no embedding")
        timing.interleave([c], row.quick)
    return {"programs": [result_of(c, {})], "rounds": len(c.seconds), "unit": "ms",
            "value": 1e3 * c.median}


def anonymous_megabytes():
    with open("/proc/self/status") as f:
        return next(int(x.split()[1]) for x in f if x.startswith("RssAnon")) / 1e3


def context_memory(row):
    """What a process holds for itself once a context of default size has embedded a picture and a
    text, weights mapped; opening the model and its vocabulary are counted too."""
    path, dim = models.own(row.model), models.embed_dim(row.model)
    picture, ids = (models.inputs(row.model, kind, 1) for kind in ("image", "text"))
    before = anonymous_megabytes()
    context = programs.library.Context(programs.library.Model(path), dim, row.threads)
    context.images(picture), context.ids(ids.astype("int32"))
    return {"unit": "MB", "value": anonymous_megabytes() - before}


def write_photographs(folder, n):
    """JPEGs of 12 megapixels, each another."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:3000, 0:4000]
    waves = [127 + 90 * np.sin(x / (50 + c)) * np.cos(y / (40 + c)) for c in range(3)]
    base = (np.stack(waves, -1) + rng.normal(0, 6, (3000, 4000, 3))).clip(0, 255).astype(np.uint8)
    os.makedirs(folder)
    for i in range(n):
        Image.fromarray(np.roll(base, 71 * i, axis=1)).save(f"{folder}/{i:03}.jpg", quality=90)


def folder(row):
    """A folder of photographs into vectors: the command, and a pool of processes that decode with
    Pillow and embed with OpenVINO, started before the clock is.  All against our exact vectors."""
    with tempfile.TemporaryDirectory() as work:
        write_photographs(f"{work}/in", PHOTOGRAPHS // (3 if row.quick else 1))

        def ours(*options):
            subprocess.run([models.CLIPC, "embed", "-t", str(row.threads), "--no-normalize", "-f",
                            "-o", f"{work}/out.npy", f"{work}/in", *options],
                           check=True, capture_output=True)
            with open(f"{work}/out.npy.jsonl") as f:
                names = [json.loads(line)["image"] for line in f]
            return np.load(f"{work}/out.npy")[np.argsort(names)]
        peer = folder_peer.Pool(models.onnx(row.model, "image"), row.threads)
        want = ours("-m", models.own(row.model))
        options = ["-m", models.own(row.model, row.precision), "--precision", row.precision]
        options += ["--fast"] * row.fast
        try:
            return race(row, {"clipc": lambda: {"": lambda: functools.partial(ours, *options)},
                              "openvino": lambda: peer.builds(f"{work}/in")},
                        lambda c: agreement(row, c.out, want))
        finally:
            peer.close()


def train(row):
    if row.model == "drawings":
        with open("recipes/drawings/train.json") as f:
            model = json.load(f)["model"]
    else:
        model = models.config(row.model)
    caption = train_step.FULL if row.kind == "full" else train_step.CAPTION
    with tempfile.TemporaryDirectory(dir="build") as work:
        off = train_step.disagreement(model, work, caption)
    keep, builds = train_step.builds(model, row.batch, row.threads, caption)
    result = race(row, {name: functools.partial(dict, b) for name, b in builds.items()},
                  lambda c: ({"error": off}, off <= AGREES_STEP))
    keep.cleanup()
    return result
