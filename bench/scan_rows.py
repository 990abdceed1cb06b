"""Rows and queries for the benchmarks of search, made once and kept."""
import os

import numpy as np

DIM, WORK = 512, "build/bench-scan"


def make_rows(n):
    """Clusters, as pictures have them, not a ball: hits differ from the rest."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((1000, DIM), np.float32)
    path = f"{WORK}/{n}.f32"
    os.makedirs(WORK, exist_ok=True)
    rows = np.memmap(path, np.float32, "w+", shape=(n, DIM))
    for i in range(0, n, 10000):
        m = min(10000, n - i)
        part = centres[rng.integers(0, 1000, m)] + rng.standard_normal((m, DIM), np.float32)
        rows[i:i + m] = part / np.linalg.norm(part, axis=1, keepdims=True)
    queries = centres[:64] + rng.standard_normal((64, DIM), np.float32)
    (queries / np.linalg.norm(queries, axis=1, keepdims=True)).tofile(f"{WORK}/queries.f32")
    return path


def rows_file(n):
    path = f"{WORK}/{n}.f32"
    if not os.path.exists(path):
        make_rows(n)
    return path
