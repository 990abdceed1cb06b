"""Prints what `make bench` left in build/bench.jsonl as Markdown, a table for each kind of machine,
for SPEED.md: of each row the newest measurement, void ones left out and named; drift is 1 - the
smallest cosine to float32.  Quick runs do not count.

usage: python3 bench/table.py [FILE.jsonl]
"""
import json
import sys

HEAD = ("| work | threads | batch | clipc | of the peak | against | ratio (rounds) | wanted | |\n"
        "|---|---|---|---|---|---|---|---|---|")


def read(path):
    """{kind: (machine, {row: line})}"""
    kinds, machine = {}, None
    with open(path) as f:
        for line in map(json.loads, f):
            if "machine" in line:
                machine = line["machine"]
                kinds[machine["kind"]] = (machine, kinds.get(machine["kind"], (None, {}))[1])
            elif not line["quick"]:
                kinds[line["kind"]][1][line["row"]] = line
    return kinds


def time_of(ms):
    return f"{ms / 1e3:.1f} s" if ms >= 1e4 else f"{ms:.0f} ms" if ms >= 100 else f"{ms:.1f} ms"


def share(line, p):
    if p["name"] not in line.get("gflop", {}):
        return ""
    rate = 1e3 * line["gflop"][p["name"]] / p["median"]
    return f"{100 * rate / (max(line['peaks']) * line['threads']):.0f} %"


def program(p):
    drift = f", drift {1 - p['cosine']:.1e}" if "cosine" in p else ""
    return time_of(p["median"]) + drift


def peer(p):
    name = f"{p['name']} ({p['setting']})" if p["setting"] else p["name"]
    return f"{name} {program(p)}"


def verdict(line):
    return {True: "reached", False: "missed", None: "not measured"}[line["reached"]]


def lines_of(line):
    """One for each peer that was timed in the rounds; the wanted ratio beside the one it is of."""
    work = f"| {line['title']} | {line['threads']} | {line['batch']} "
    if "unit" in line:
        yield (f"{work}| {line['value']:.1f} {line['unit']} | | | | {line['goal']} {line['unit']} "
               f"| {verdict(line)} |")
        return
    ours, *peers = line["programs"]
    for p in peers:
        wanted = f"{line['goal']} | {verdict(line)}" if p["name"] == line["against"] else "|"
        ratio = line.get("ratios", {}).get(p["name"])
        ratio = f"{ratio[0]:.2f} ({ratio[1]:.2f} to {ratio[2]:.2f})" if ratio else "a trial alone"
        yield (f"{work}| {program(ours)} | {share(line, ours)} | {peer(p)} "
               f"| {ratio} | {wanted} |")


def main():
    for kind, (machine, rows) in read(*sys.argv[1:] or ["build/bench.jsonl"]).items():
        print(f"## {kind}\n\n{machine['name']}, {machine['cores']} cores, "
              f"{' '.join(machine['flags'])}; measured on {machine['date']}, "
              f"FMA peak of a core {machine['peak']:.0f} GFLOP/s.\n\n{HEAD}")
        left_out = {n: r["void"] for n, r in rows.items() if r["void"]}
        for name, row in rows.items():
            if name not in left_out:
                print("\n".join(lines_of(row)))
        if left_out:
            print("\nNot counted: " + "; ".join(f"{n}: {why}" for n, why in left_out.items()) + ".")
        print()


main()
