"""The approximate search by FAISS against the exact scan of the same float16 vectors: clusters of
512 numbers, as scan.py's.  Prints a line of a table for each kind: seconds to build, the file,
memory while it was built (with the vectors, mapped), recall of the 10 best as the build says and
of 64 other queries, and milliseconds of a query: in an index just opened (its file is then in
the page cache), later ones, and the exact scan.

usage: python bench/near.py BENCH_NEAR [--rows N] [--kinds K,K] [--type T] [--threads N]
(from the project's root; needs numpy)
"""
import argparse
import subprocess

from scan_rows import DIM, WORK, rows_file


def main():
    p = argparse.ArgumentParser(usage=__doc__)
    p.add_argument("program")
    p.add_argument("--rows", type=int, default=100_000)
    p.add_argument("--kinds", default="hnsw,ivf-pq")
    p.add_argument("--type", default="f16", choices=("f32", "f16", "i8"))
    p.add_argument("--threads", type=int, default=2)
    a = p.parse_args()
    rows = rows_file(a.rows)
    print("| vectors | kind | build, s | file, MB | memory, MB | recall said | recall | first, ms "
          "| later, ms | exact, ms |\n|---|---|---|---|---|---|---|---|---|---|")
    for kind in a.kinds.split(","):
        out = subprocess.run(
            [a.program, f"{WORK}/near-{a.type}-{a.rows}", rows, str(DIM), f"{WORK}/queries.f32",
             a.type, kind, str(a.threads)], check=True, text=True, stdout=subprocess.PIPE).stdout
        build, size, memory, said, recall, first, exact, later = out.split()
        print(f"| {a.rows} x {DIM} {a.type} | {kind} | {build} | {size} | {memory} | {said} | "
              f"{recall} | {first} | {later} | {exact} |", flush=True)


main()
