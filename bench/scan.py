"""The exact scan against FAISS (flat) and usearch (exact): 1 million unit vectors of 512 numbers,
the 10 best by inner product, of 1 query and of 64, in turn.  In float32 all must find the same;
float16 and int8 are told with how many of those they find.  Prints medians and ratios.

usage: python bench/scan.py BENCH_SCAN [--rows N] [--rounds N] [--threads N,N]
(from the project's root; needs faiss-cpu and usearch, and 8 GB of memory)
"""
import argparse
import statistics
import subprocess
import time

import faiss
import numpy as np
import usearch.index

from scan_rows import DIM, WORK, rows_file

K = 10


class Ours:
    def __init__(self, program, rows, n):
        self.process = subprocess.Popen(
            [program, f"{WORK}/index-{n}", rows, str(DIM), f"{WORK}/queries.f32"], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def search(self, kind, q, threads):
        self.process.stdin.write(f"{kind} {q} {threads} {K}\n")
        self.process.stdin.flush()
        seconds, *slots = self.process.stdout.readline().split()
        return float(seconds), np.array(slots, int).reshape(q, K)


def timed(call):
    begin = time.perf_counter()
    out = call()
    return time.perf_counter() - begin, np.asarray(out).astype(int)


def contenders(ours, index, queries, q, threads):
    base = faiss.rev_swig_ptr(index.get_xb(), index.ntotal * DIM).reshape(-1, DIM)

    def by_faiss():
        faiss.omp_set_num_threads(threads)
        return timed(lambda: index.search(queries[:q], K)[1])

    def by_usearch():
        return timed(lambda: usearch.index.search(
            base, queries[:q], K, usearch.index.MetricKind.IP, exact=True,
            threads=threads).keys.reshape(q, K))
    found = {f"clipc {kind}": lambda kind=kind: ours.search(kind, q, threads)
             for kind in ("f32", "f16", "i8")}
    return {**found, "faiss flat": by_faiss, "usearch exact": by_usearch}


def overlap(a, b):
    return sum(len(set(x) & set(y)) for x, y in zip(a, b)) / a.size


def race(calls, rounds):
    """Each in turn, another first in each round; the first round warms up."""
    seconds, slots = {name: [] for name in calls}, {}
    for i in range(rounds + 1):
        names = list(calls)[i % len(calls):] + list(calls)[:i % len(calls)]
        for name in names:
            t, slots[name] = calls[name]()
            seconds[name] += [t] * (i > 0)
    return seconds, slots


def main():
    p = argparse.ArgumentParser(usage=__doc__)
    p.add_argument("program")
    p.add_argument("--rows", type=int, default=1_000_000)
    p.add_argument("--rounds", type=int, default=9)
    p.add_argument("--threads", default="1,2")
    a = p.parse_args()
    path = rows_file(a.rows)
    queries = np.fromfile(f"{WORK}/queries.f32", np.float32).reshape(-1, DIM)
    ours = Ours(a.program, path, a.rows)
    index = faiss.IndexFlatIP(DIM)
    index.add(np.memmap(path, np.float32, "r", shape=(a.rows, DIM)))
    for threads in map(int, a.threads.split(",")):
        for q in (1, 64):
            seconds, slots = race(contenders(ours, index, queries, q, threads), a.rounds)
            best = min(("faiss flat", "usearch exact"), key=lambda n: statistics.median(seconds[n]))
            print(f"{a.rows} x {DIM}, {q} queries, {threads} threads; the better peer: {best}")
            for name, t in seconds.items():
                ratios = sorted(b / x for b, x in zip(seconds[best], t))
                print(f"  {name:14} {1e3 * statistics.median(t):8.1f} ms "
                      f"({1e3 * min(t):.1f} to {1e3 * max(t):.1f}), ratio "
                      f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f}), "
                      f"finds {100 * overlap(slots[name], slots[best]):.1f} %", flush=True)


main()
