"""Checkpoint goldens: tests/golden/torch/NAME.pt and, for those that are to be read,
NAME.safetensors with what PyTorch itself reads from the same file.  bad_*.pt are refused.
Also the seeds of fuzz/corpus/torch.

usage: python3 tests/golden/make_torch.py       (from the project's root; requirements.txt)
"""
import argparse, collections, datetime, io, os, pickle, struct, sys, types, warnings, zipfile
import numpy
import torch
import safetensors.torch

warnings.filterwarnings("ignore")
OUT, SEEDS = "tests/golden/torch", "fuzz/corpus/torch"


class Inner(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.ln = torch.nn.LayerNorm(4)
        self.fc = torch.nn.Linear(4, 4, bias=False)

    def forward(self, x):
        return self.fc(self.ln(x))


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = torch.nn.Sequential(Inner(), Inner())
        self.scale = torch.nn.Parameter(torch.tensor(2.5))
        self.register_buffer("ids", torch.arange(5))
        self.input_resolution = 224
        self.kind = "tiny"

    def forward(self, x):
        return self.blocks(x) * self.scale + self.ids.sum() + self.input_resolution


def path(name, end="pt"):
    return f"{OUT}/{name}.{end}"


def expect(name, tensors):
    data = safetensors.torch.save({k: v.detach().clone().contiguous()
                                   for k, v in tensors.items()})
    with open(path(name, "safetensors"), "wb") as f:
        f.write(data)


def save(name, obj, pick=lambda o: o, drop="", **options):
    """pick: from the object loaded again to its dict of tensors."""
    torch.save(obj, path(name), **options)
    tensors = pick(torch.load(path(name), weights_only=False))
    expect(name, {k.removeprefix(drop): v for k, v in tensors.items()
                  if isinstance(v, torch.Tensor)})


# ---- what is read ----------------------------------------------------------------------

def views():
    base = torch.arange(20, dtype=torch.float32)
    return {"whole": base, "part": base[3:9].view(2, 3), "third": base[10:20:3],
            "turned": base.view(4, 5).t(), "one": base[7], "same": base[6:7].expand(2, 3),
            "cube": base[:12].view(2, 3, 2).permute(2, 0, 1), "none": base[:0].view(0, 3),
            "again": base, "row": base.as_strided((1, 3), (7, 1), 5)}


def typed():
    x = torch.tensor([[0, 1, -2], [3, 100, -128]])
    kinds = "float64 float32 float16 bfloat16 int64 int32 int16 int8 uint8 bool".split()
    return {kind: x.to(getattr(torch, kind)) for kind in kinds}


def training(model):
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(1, 4)).sum().backward()
    optimizer.step()
    return {"epoch": 3, "loss": [1.5, float("nan")], "name": "run", "big": 1 << 100,
            "args": argparse.Namespace(lr=1e-3, tags=("a", None), where={"x", "y"}),
            "when": datetime.datetime(2024, 1, 2), "score": numpy.float64(0.25),
            "array": numpy.arange(3), "optimizer": optimizer.state_dict(),
            "step": torch.tensor(7), "device": torch.device("cpu"),
            "shape": torch.Size([1, 2]), "dtype": torch.float16, "raw": b"\0\1",
            "state_dict": collections.OrderedDict(
                ("module." + k, v) for k, v in model.state_dict().items())}


def wrapped():
    with_state = torch.nn.Parameter(torch.ones(2))
    with_state.note = "kept by _rebuild_parameter_with_state"
    tensor = torch.arange(3)
    tensor.note = "kept by _rebuild_from_type_v2"
    return {"plain": torch.nn.Parameter(torch.zeros(2, 2)), "with_state": with_state,
            "typed": tensor, "text": "skipped", "dict": {"inner": torch.ones(1)}}


def without_traces(name):
    """Drops what torch.jit.save notes about source files on this machine."""
    with zipfile.ZipFile(path(name)) as z:
        kept = [(i, z.read(i)) for i in z.infolist()
                if not i.filename.endswith(".debug_pkl") and "traced_inputs" not in i.filename]
    with zipfile.ZipFile(path(name), "w") as z:
        for info, data in kept:
            z.writestr(zipfile.ZipInfo(info.filename), data, info.compress_type)


def save_script(name, module):
    module.save(path(name))
    without_traces(name)
    expect(name, torch.jit.load(path(name)).state_dict())


def make_read():
    torch.manual_seed(1)
    model = Model()
    save("plain", model.state_dict())
    save("views", views())
    save("typed", typed())
    save("wrapped", wrapped())
    save("training", training(model), lambda o: o["state_dict"], "module.")
    save("compiled", {"model": {"_orig_mod.module." + k: v
                                for k, v in model.state_dict().items()}},
         lambda o: o["model"], "_orig_mod.module.", pickle_protocol=5)
    old = {"_use_new_zipfile_serialization": False}
    save("old", {"model_state_dict": model.state_dict(), "optimizer": training(model)},
         lambda o: o["model_state_dict"], **old)
    save("old_views", views(), pickle_protocol=4, **old)
    save("old_typed", typed(), **old)
    save_script("script", torch.jit.script(Model().half()))
    save_script("trace", torch.jit.trace(Model().eval(), torch.ones(1, 4)))


# ---- archives by hand ------------------------------------------------------------------

class Call:
    """Pickled as the call of a function."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


class Storage:
    """Pickled as a persistent id."""

    def __init__(self, kind, key, count, *view):
        self.id = ("storage", kind, key, "cpu", count, *view)


class Pickler(pickle.Pickler):
    def persistent_id(self, obj):
        return obj.id if isinstance(obj, Storage) else None


def pickled(obj, protocol=2):
    out = io.BytesIO()
    Pickler(out, protocol).dump(obj)
    return out.getvalue()


def tensor(count=6, offset=0, shape=(2, 3), stride=(3, 1), kind=torch.FloatStorage, key="0",
           rebuild="_rebuild_tensor_v2", more=(), view=()):
    return Call(getattr(torch._utils, rebuild), Storage(kind, key, count, *view), offset, shape,
                stride, False, collections.OrderedDict(), *more)


SIX = struct.pack("<6f", *range(6))


def archive(where, obj, protocol=2, method=zipfile.ZIP_STORED, **records):
    data = obj if isinstance(obj, bytes) else pickled(obj, protocol)
    with zipfile.ZipFile(where, "w") as z:
        z.writestr(zipfile.ZipInfo("a/data.pkl"), data, method)
        usual = {"version": b"3\n", "data/0": SIX, "byteorder": b"little"}
        for name, content in (usual | records).items():
            z.writestr(zipfile.ZipInfo("a/" + name), content)


def archive64(where, obj):
    """All sizes and offsets in 64 bits, as for archives beyond 4 GiB."""
    body, directory = b"", b""
    records = {"a/data.pkl": pickled(obj), "a/version": b"3\n", "a/data/0": SIX}
    for name, data in records.items():
        crc, n = zipfile.crc32(data), name.encode()
        wide = struct.pack("<HHQQQ", 1, 24, len(data), len(data), len(body))
        directory += struct.pack("<IHHHHHHIIIHHHHHII", 0x02014b50, 45, 45, 0, 0, 0, 33, crc,
                                 0xffffffff, 0xffffffff, len(n), len(wide), 0, 0, 0, 0,
                                 0xffffffff) + n + wide
        body += struct.pack("<IHHHHHIIIHH", 0x04034b50, 45, 0, 0, 0, 33, crc, len(data),
                            len(data), len(n), 0) + n + data
    end64 = struct.pack("<IQHHIIQQQQ", 0x06064b50, 44, 45, 45, 0, 0, len(records), len(records),
                        len(directory), len(body))
    locator = struct.pack("<IIQI", 0x07064b50, 0, len(body) + len(directory), 1)
    end = struct.pack("<IHHHHIIH", 0x06054b50, 0, 0, 0xffff, 0xffff, 0xffffffff, 0xffffffff, 0)
    with open(where, "wb") as f:
        f.write(body + directory + end64 + locator + end)


def old_file(where, obj, keys=("0",), protocol=1001, little=True, data=SIX):
    """A file as before 1.6."""
    magic, machine = 0x1950a86a20f9469cfc6c, {"protocol_version": 1001, "little_endian": little}
    with open(where, "wb") as f:
        for part in (magic, protocol, machine, obj, list(keys)):
            f.write(pickled(part))
        for _ in keys:
            f.write(struct.pack("<q", len(data) // 4) + data)


class M:
    """Pickled as an object of a class that TorchScript compiled."""

    def __init__(self, **attributes):
        self.__dict__.update(attributes)


class Packed(M):
    pass


for cls, module in (M, "__torch__"), (Packed, "__torch__.torch.classes.quantized"):
    cls.__module__ = module
    sys.modules[module] = types.ModuleType(module)
    setattr(sys.modules[module], cls.__name__, cls)


def shared_modules(depth):
    m = M(x=tensor())
    for _ in range(depth):
        m = M(**{f"m{i}": m for i in range(4)})
    return m


def make_by_hand():
    six = {"x": torch.arange(6.).view(2, 3)}
    archive64(path("zip64"), {"x": tensor()})
    with zipfile.ZipFile(path("zip64")) as z:
        assert z.testzip() is None
    expect("zip64", torch.load(path("zip64")))
    # PyTorch would run this one: what it reads without is known.
    evil = Call(os.system, "touch build/torch_test_ran")
    archive(path("system"), {"evil": evil, "x": tensor()})
    expect("system", six)
    untyped = tensor(24, kind=torch.UntypedStorage, rebuild="_rebuild_tensor_v3",
                     more=(torch.float32,))
    archive(path("untyped"), {"x": untyped}, 4)
    old_file(path("old_by_hand"), {"x": tensor(view=(None,))})
    expect("untyped", torch.load(path("untyped"), weights_only=False))
    expect("old_by_hand", torch.load(path("old_by_hand"), weights_only=False))


# ---- what is refused -------------------------------------------------------------------

def make_bad():
    def bad(name, obj, **options):
        archive(path("bad_" + name), obj, **options)

    bad("system", {"evil": Call(os.system, "touch build/torch_test_ran")})
    bad("system4", Call(os.system, "touch build/torch_test_ran"), protocol=4)
    bad("offset", {"x": tensor(offset=1)})
    bad("stride", {"x": tensor(stride=(4, 1))})
    bad("overflow", {"x": tensor(stride=(1 << 62, 1 << 62), shape=(9, 9))})
    bad("huge", {"x": tensor(shape=(1 << 40, 1 << 40), stride=(0, 0))})
    bad("negative", {"x": tensor(shape=(-1, 3))})
    bad("dims", {"x": tensor(shape=(1,) * 9, stride=(1,) * 9)})
    bad("count", {"x": tensor(count=7)})
    bad("missing", {"x": tensor(key="1")})
    bad("order", {"x": tensor()}, byteorder=b"big")
    bad("name", {"x\n": tensor()})
    bad("long_name", {"x" * 600: tensor()})
    bad("packed", {"x": tensor()}, method=zipfile.ZIP_DEFLATED)
    bad("memo", b"\x80\x02}r\xff\xff\xff\x7f.")
    bad("protocol", b"\x80\x06}.")
    bad("opcode", b"\x80\x02I1\n.")
    bad("stack", b"\x80\x02}R.")
    bad("cut", pickled({"x": tensor()})[:-9])
    bad("shared", shared_modules(12))
    cycle = M()
    cycle.m = cycle
    bad("cycle", cycle)
    deep = M(x=tensor())
    for _ in range(70):
        deep = M(m=deep)
    bad("deep", deep)
    long = M(**{"x" * 480: tensor()})
    bad("long_names", M(**{f"m{i}": long for i in range(400)}))
    bad("packed_linear", M(p=Packed(weight=1)))
    bad("twice", {"x": tensor()})
    with zipfile.ZipFile(path("bad_twice"), "a") as z:
        z.writestr(zipfile.ZipInfo("a/data/0"), SIX)
    bad("beyond", {"x": tensor()})
    with open(path("bad_beyond"), "r+b") as f:
        whole = f.read().replace(struct.pack("<II", 24, 24), struct.pack("<II", 4000, 4000))
        f.seek(0)
        f.write(whole)
    x = {"x": tensor()}
    old_file(path("bad_old_protocol"), x, protocol=1000)
    old_file(path("bad_old_big"), x, little=False)
    old_file(path("bad_old_twice"), x, keys=("0", "0"))
    old_file(path("bad_old_unknown"), x, keys=("0", "1"))
    old_file(path("bad_old_part"), {"x": tensor(view=(("1", 0, 6),))})
    old_file(path("bad_old_types"), {"x": tensor(), "y": tensor(kind=torch.HalfStorage)})
    for name, x in {"expand": torch.zeros(1).expand(1000, 1000),
                    "minus": torch._neg_view(torch.ones(2)),
                    "complex": torch.zeros(2, dtype=torch.complex64),
                    "uint16": torch.zeros(2, dtype=torch.uint16),
                    "sparse": torch.eye(2).to_sparse(),
                    "csr": torch.eye(2).to_sparse_csr(),
                    "quantised": torch.quantize_per_tensor(torch.ones(2), 1.0, 0,
                                                           torch.qint8)}.items():
        torch.save({"x": x}, path("bad_" + name))
    torch.save({"x": torch.zeros(2, dtype=torch.complex64)}, path("bad_old_complex"),
               _use_new_zipfile_serialization=False)
    torch.save(torch.nn.Linear(1, 1), path("bad_object"))


# ---- seeds -----------------------------------------------------------------------------

def make_seeds():
    archive(f"{SEEDS}/two", {"state_dict": {"module.x": tensor(), "module.y": tensor(
        offset=1, shape=(2, 2), stride=(1, 2))}, "n": [1, 2.5, "s", None, True, 1 << 80]})
    archive(f"{SEEDS}/four", collections.OrderedDict(x=tensor(3, shape=(3,), stride=(1,))), 4)
    archive(f"{SEEDS}/module", M(x=tensor(), m=M(y=tensor()), n=7, s="t"))
    archive(f"{SEEDS}/system", {"x": Call(os.system, "true")})
    archive64(f"{SEEDS}/zip64", {"x": tensor()})
    for protocol in (2, 4):
        torch.save({"x": torch.arange(4.).view(2, 2).t(), "y": torch.ones(1, dtype=torch.int64)},
                   f"{SEEDS}/old{protocol}", pickle_protocol=protocol,
                   _use_new_zipfile_serialization=False)


if __name__ == "__main__":
    os.makedirs(OUT, exist_ok=True)
    os.makedirs(SEEDS, exist_ok=True)
    make_read()
    make_by_hand()
    make_bad()
    make_seeds()
