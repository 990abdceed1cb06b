"""GGUF goldens by ggml's own Python package: tests/golden/gguf/types.gguf, a file with every
type of value and of tensor that is read, expected.safetensors, its tensors as float32
(gguf.quants.dequantize for the block types), and expected.json, its key-value pairs less
"test.bytes", which JSON cannot hold.  Also the seeds in fuzz/corpus/gguf/.

usage: python3 tests/golden/make_gguf.py      (from the project's root; gguf 0.19.0,
numpy 2.4.6, safetensors 0.8.0)
"""
import json, os
import numpy as np
from gguf import GGMLQuantizationType as Q, GGUFValueType as V, GGUFWriter, quants
from safetensors.numpy import save_file

ROOT, SEEDS = "tests/golden/gguf", "fuzz/corpus/gguf"
rng = np.random.default_rng(11)

TYPED = [  # (key, value, type)
    ("u8", 255, V.UINT8), ("i8", -128, V.INT8), ("u16", 65535, V.UINT16),
    ("i16", -32768, V.INT16), ("u32", 2**32 - 1, V.UINT32), ("i32", -2**31, V.INT32),
    ("u64", 2**63 - 1, V.UINT64), ("i64", -2**63, V.INT64), ("f32", 0.1, V.FLOAT32),
    ("f64", -1.0e-300, V.FLOAT64), ("yes", True, V.BOOL), ("no", False, V.BOOL),
    ("text", "a photo of a café 🙂", V.STRING),
    ("ints", [1, -2, 2**31 - 1], V.ARRAY), ("bools", [True, False], V.ARRAY),
    ("floats", [0.48145466, 0.4578275, 0.40821073], V.ARRAY),
    ("texts", ["", "</w>", "Ġ", "line\nline"], V.ARRAY),
    ("nested", [[1, 2], [3], [4, 5, 6]], V.ARRAY),
    ("deep", [[["a"], ["b", "c"]], [["d"]]], V.ARRAY),
]
# What JSON spells otherwise: no integer as large as this, no infinity, no NaN.
ODD = [("u64_large", 2**64 - 1, V.UINT64, 2.0**64), ("inf", float("inf"), V.FLOAT32, None),
       ("nan", float("nan"), V.FLOAT64, None)]


def as_stored(v):
    """Floats of arrays and of type FLOAT32 have 24 bits."""
    if isinstance(v, list):
        return [as_stored(x) for x in v]
    return float(np.float32(v)) if isinstance(v, float) else v


def write_pairs(w):
    want = {"general.architecture": "clip", "general.alignment": 64}
    w.add_custom_alignment(64)
    for name, value, kind in TYPED:
        w.add_key_value("test." + name, value, kind)
        want["test." + name] = value if kind == V.FLOAT64 else as_stored(value)
    for name, value, kind, json_value in ODD:
        w.add_key_value("test." + name, value, kind)
        want["test." + name] = json_value
    w.add_key_value("test.bytes", b"\xff\xc0a\x00b", V.STRING)
    want["tokenizer.ggml.tokens"] = [chr(33 + i % 90) * (1 + i % 5) + "</w>" for i in range(200)]
    w.add_token_list(want["tokenizer.ggml.tokens"])
    return want


def plain():
    yield "f32.matrix", rng.normal(size=(3, 5)).astype(np.float32)
    yield "f32.scalar", np.array(4.6052, np.float32)
    yield "f16.patches", rng.normal(size=(2, 3, 4, 5)).astype(np.float16)
    yield "f64", rng.normal(size=(7,))
    for t in (np.int8, np.int16, np.int32, np.int64):
        i = np.iinfo(t)
        yield np.dtype(t).name, np.array([[i.min, -1, 0], [1, 77, i.max]], t)


def blocks(kind):
    """Rows of two blocks; the last rows' scales are subnormal in half precision, and 0."""
    x = rng.normal(size=(2, 4, 64)).astype(np.float32)
    x[1, 2] *= 1e-5
    x[1, 3] = 0
    return quants.quantize(x, kind)


def write_types():
    w, tensors = GGUFWriter(ROOT + "/types.gguf", "clip"), {}
    want = write_pairs(w)
    for name, x in plain():
        w.add_tensor(name, x)
        tensors[name] = x.astype(np.float32)
    for kind in (Q.Q8_0, Q.Q5_0, Q.Q5_1, Q.Q4_0, Q.Q4_1, Q.BF16):
        packed = blocks(kind)
        w.add_tensor(kind.name.lower(), packed, raw_dtype=kind)
        tensors[kind.name.lower()] = quants.dequantize(packed, kind)
    finish(w)
    save_file(tensors, ROOT + "/expected.safetensors")
    with open(ROOT + "/expected.json", "w") as f:
        json.dump(want, f, indent=0, ensure_ascii=False)


def finish(w):
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def write_seeds():
    w = GGUFWriter(SEEDS + "/values", "clip")
    w.add_bool("clip.use_gelu", True)
    w.add_float32("eps", 1e-5)
    w.add_key_value("b", b"\xff", V.STRING)
    w.add_array("n", [[1], [2, 3]])
    w.add_token_list(["a", "b</w>"])
    finish(w)
    w = GGUFWriter(SEEDS + "/tensors", "clip")
    w.add_custom_alignment(8)
    w.add_tensor("f", np.ones((2, 3), np.float16))
    w.add_tensor("q", quants.quantize(np.ones((2, 32), np.float32), Q.Q5_1), raw_dtype=Q.Q5_1)
    finish(w)
    w = GGUFWriter(SEEDS + "/unknown_type", "clip")
    w.add_tensor("k", np.zeros((1, 84), np.uint8), raw_dtype=Q.Q2_K)
    finish(w)


if __name__ == "__main__":
    os.makedirs(ROOT, exist_ok=True)
    os.makedirs(SEEDS, exist_ok=True)
    write_types()
    write_seeds()
