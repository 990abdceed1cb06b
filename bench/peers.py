"""clipc against its peers, in one run: each row's results are checked to agree, then all are timed
in turn.  Prints each row and appends it to build/bench.jsonl (bench/table.py makes a table of it).

usage: python bench/peers.py [--rows PREFIX,PREFIX..] [--goals] [--quick] [--list]
(from the project's root, after `make`; bench/run.sh installs what it needs)

--goals: against the peer of each row's goal alone.
--quick: two rounds, each program's first setting, shorter work: to try the script, not to report.
"""
import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass

import machine

RESULTS = "build/bench.jsonl"


@dataclass
class Row:
    name: str
    title: str
    run: str                 # a function of rows.py
    goal: float = None       # the ratio wanted; of a row with a unit, what is allowed
    threads: int = 1
    batch: int = 1
    model: str = "vit-b32"
    kind: str = "image"
    precision: str = "f32"
    against: str = "openvino"
    peers: tuple = ("openvino", "onnxruntime", "torch")
    isa: str = None          # CLIPC_ISA
    fast: bool = False       # decoding by --fast
    quick: bool = False


def image_rows():
    for model, title, goal in (("vit-b32", "ViT-B/32", 1.15), ("vit-b16", "ViT-B/16", 1.05),
                               ("vit-l14", "ViT-L/14", 1.05), ("rn50", "RN50", 0.95)):
        for batch in (1, 32):
            for threads in (1, 2):
                if model == "vit-l14" and batch == 32 and threads == 1:
                    continue  # a quarter of an hour for nothing that two threads do not show
                want = 1.05 if batch == 32 and model != "rn50" else goal
                peers = ("openvino", "onnxruntime", "torch")
                if batch == 32 and model != "vit-b32":
                    peers = peers[:2]
                yield Row(f"{model}-b{batch}-t{threads}", f"{title} image, f32", "encode", want,
                          threads, batch, model, peers=peers)


def smaller_rows():
    for name, goals in (("bf16", (1.1, 1.0)), ("int8", (1.1, 1.0))):
        peers = ("openvino", "torch") if name == "bf16" else ("openvino",)
        for batch, goal in zip((1, 32), goals):
            for threads in (1, 2):
                yield Row(f"{name}-b{batch}-t{threads}", f"ViT-B/32 image, {name}", "encode", goal,
                          threads, batch, precision=name, peers=peers)


ROWS = [
    *image_rows(),
    Row("text-b1-t1", "text of 8 to 12 tokens, f32", "encode", 3, kind="text"),
    Row("text-b256-t1", "text of 8 to 12 tokens, f32", "encode", 3, batch=256, kind="text",
        peers=("openvino", "onnxruntime")),
    Row("lite0-b1-t1", "EfficientNet-Lite0 image, f32", "encode", 1.0, model="lite0"),
    Row("minilm-b1-t1", "MiniLM-L6 text of 10 tokens, peers' padded to 128", "encode", 3, model="minilm",
        kind="text"),
    Row("classifier-t2", "classifier of 1,000 classes, 80 templates", "classifier", 8, threads=2,
        batch=256, kind="text"),
    *smaller_rows(),
    Row("int8-avx2-b1-t1", "ViT-B/32 image, int8 on AVX2 against our f32", "int8_against_f32", 1.25,
        precision="int8", against="clipc f32", isa="avx2"),
    Row("file-b1-t1", "ViT-B/32 image from a PNG, f32", "from_file", 1, against="faster-clip"),
    Row("start-t2", "from exec to the first ViT-B/32 image vector", "first_vector", 150, threads=2),
    Row("memory", "memory of one ViT-B/32 context beside the weights", "context_memory", 40),
    Row("folder-fast-t2", "folder of 12-megapixel JPEGs to vectors, --fast", "folder", 2.5,
        threads=2, fast=True),
    Row("folder-fast-int8-t2", "folder of 12-megapixel JPEGs to vectors, --fast, int8", "folder",
        2.5, threads=2, precision="int8", fast=True),
    Row("folder-exact-t2", "folder of 12-megapixel JPEGs to vectors", "folder", 1.2, threads=2),
    Row("train-full-t2", "training step, ViT-B/32, texts of 77 tokens, f32", "train", 1.6,
        threads=2, batch=32, kind="full", against="torch"),
    Row("train-natural-t2", "training step, ViT-B/32, texts of natural length, f32", "train", 2.5,
        threads=2, batch=32, kind="natural", against="torch"),
    Row("train-drawings-t2", "training step, recipes/drawings, texts of natural length, f32",
        "train", 2.5, threads=2, batch=256, model="drawings", kind="natural", against="torch"),
]


def reached(row, result):
    """Whether the goal is; None: there is nothing to compare with."""
    if "unit" in result:
        return result["value"] <= row.goal
    ratio = result.get("ratios", {}).get(row.against)
    if ratio is None:
        return None
    by_name = {p["name"]: p for p in result["programs"]}
    drifts = [1 - by_name[n].get("cosine", 1) for n in ("clipc", row.against)]
    # Of one picture alone a cosine says little.
    less_exact = row.batch > 1 and row.against == "openvino" and drifts[0] > drifts[1]
    return ratio[0] >= row.goal and not less_exact


def earlier_peaks():
    """Of this run: the lines from its machine's on."""
    peaks = []
    with open(RESULTS) as f:
        for line in map(json.loads, f):
            peaks = [] if "machine" in line else peaks + line["peaks"]
    return peaks


def measure(row):
    """In a process of its own, with its threads alone."""
    import rows  # here alone: it loads all programs
    about = machine.describe()
    begin, peaks = machine.clocks(), [machine.peak()]
    result = getattr(rows, row.run)(row)
    peaks.append(machine.peak())
    others = machine.others(begin, machine.clocks())
    line = {"row": row.name, "title": row.title, "kind": about["kind"], "threads": row.threads,
            "batch": row.batch, "precision": row.precision, "goal": row.goal,
            "against": row.against, "quick": row.quick, "peaks": peaks, "others": others,
            **result}
    line["reached"] = reached(row, result)
    openvino = [p["median"] for p in result.get("programs", []) if p["name"] == "openvino"]
    line["void"] = machine.void(about["kind"], row.name, peaks, max(peaks + earlier_peaks()),
                                openvino[0] if openvino else None, others)
    with open(RESULTS, "a") as f:
        f.write(json.dumps(line) + "\n")
    show(line)


def show(line):
    batch = f", batch {line['batch']}" if line["batch"] > 1 else ""
    threads = f"{line['threads']} thread" + "s" * (line["threads"] > 1)
    print(f"\n{line['row']}: {line['title']}{batch}, {threads}; FMA peak of a core "
          f"{line['peaks'][0]:.0f} before, {line['peaks'][1]:.0f} GFLOP/s after")
    peak = max(line["peaks"]) * line["threads"]
    for p in line.get("programs", []):
        text = f"  {p['name'] + ' ' + p['setting']:40} {p['median']:10.1f} ms"
        text += " (a trial alone)" if p["trial_only"] else (
            f" ({min(p['ms']):.1f} to {max(p['ms']):.1f})")
        if p["name"] in line.get("gflop", {}):
            rate = 1e3 * line["gflop"][p["name"]] / p["median"]
            text += f"  {rate:.0f} GFLOP/s, {100 * rate / peak:.0f} % of the peak"
        text += f"  error {p['error']:.1e}" if "error" in p else ""
        text += f"  1 - cosine {1 - p['cosine']:.1e}" if "cosine" in p else ""
        print(text)
    for name, why in line.get("missing", {}).items():
        print(f"  {name}: missing: {why}")
    for name, (r, low, high) in line.get("ratios", {}).items():
        print(f"  {r:.2f} times as fast as {name} ({low:.2f} to {high:.2f})")
    verdict = {True: "reached", False: "missed", None: "not measured"}[line["reached"]]
    if "unit" in line:
        print(f"  {line['value']:.1f} {line['unit']}, allowed {line['goal']}: {verdict}")
    else:
        print(f"  wanted {line['goal']} times {line['against']}: {verdict}")
    if line["void"]:
        print(f"  void: {line['void']}")


def in_child(row, options):
    """Threads of one row do not spin beside another's, and its memory is given back."""
    env = os.environ | {"OMP_NUM_THREADS": str(row.threads), "RAYON_NUM_THREADS": str(row.threads)}
    if row.isa:
        env["CLIPC_ISA"] = row.isa
    command = [sys.executable, "-W", "ignore", __file__, "--one", row.name]
    begin = time.time()
    rc = subprocess.run(command + options, env=env).returncode
    print(f"  {row.name}: {time.time() - begin:.0f} s" + (", failed" if rc else ""), flush=True)
    return rc == 0


def begin_run():
    about = machine.describe() | {"date": time.strftime("%Y-%m-%d"), "peak": machine.peak()}
    print(f"{about['kind']} ({about['name']}, family {about['family']}, model {about['model']}), "
          f"{about['cores']} cores, {' '.join(about['flags'])}; FMA peak of a core "
          f"{about['peak']:.0f} GFLOP/s")
    os.makedirs("build", exist_ok=True)
    with open(RESULTS, "a") as f:
        f.write(json.dumps({"machine": about}) + "\n")


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--rows", default="", help="prefixes of rows' names, with commas between")
    p.add_argument("--goals", action="store_true", help="the peers of the goals alone")
    p.add_argument("--quick", action="store_true", help="to try the script")
    p.add_argument("--list", action="store_true", help="the rows' names")
    p.add_argument("--one", help=argparse.SUPPRESS)
    args = p.parse_args()
    if args.one:
        row = next(r for r in ROWS if r.name == args.one)
        row.quick = args.quick
        if args.goals:
            row.peers = tuple(p for p in row.peers if p == row.against)
        return measure(row)
    rows = [r for r in ROWS if r.name.startswith(tuple(args.rows.split(",")))]
    if args.list:
        return print("\n".join(f"{r.name:20} {r.title}" for r in rows))
    if not rows:
        sys.exit(f"peers.py: no row begins with {args.rows}")
    begin_run()
    options = ["--goals"] * args.goals + ["--quick"] * args.quick
    failed = [r.name for r in rows if not in_child(r, options)]
    if failed:
        sys.exit(f"peers.py: failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
