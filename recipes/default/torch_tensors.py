"""Tensors of a checkpoint that PyTorch wrote before version 1.6 (a pickle, then the storages),
without PyTorch; nothing in the file is run."""
import pickle, struct
from collections import OrderedDict
import numpy as np

STORAGES = {"FloatStorage": "<f4", "LongStorage": "<i8"}


class Unpickler(pickle.Unpickler):
    def find_class(self, module, name):
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda key, offset, size, stride, *rest: (key, offset, size, stride)
        if module == "torch" and name in STORAGES:
            return name
        raise pickle.UnpicklingError(f"{module}.{name}")

    def persistent_load(self, what):
        _, storage, key, *_ = what
        return key, STORAGES[storage]


def load(path):
    """{name: array}"""
    with open(path, "rb") as f:
        for _ in range(3):      # magic number, version, sizes of integers
            Unpickler(f).load()
        tensors, keys, data = Unpickler(f).load(), Unpickler(f).load(), {}
        types = dict(key for key, *_ in tensors.values())
        for key in keys:
            n, = struct.unpack("<q", f.read(8))
            data[key] = np.frombuffer(f.read(n * np.dtype(types[key]).itemsize), types[key])
    return {name: strided(data[key][offset:], size, stride)
            for name, ((key, _), offset, size, stride) in tensors.items()}


def strided(data, size, stride):
    steps = [n * data.itemsize for n in stride]
    return np.lib.stride_tricks.as_strided(data, size, steps, writeable=False)
