"""The library through ctypes, as far as the benchmarks need it (include/clipc.h)."""
import ctypes as c

import numpy as np

LIBRARY = "build/release-gcc/libclipc.so"
PRECISIONS = {"f32": 0, "bf16": 1, "int8": 2}


class Error(c.Structure):
    _fields_ = [("code", c.c_int), ("msg", c.c_char * 248)]


class Options(c.Structure):
    """clipc_ctx_options; what newer versions add behind it is zero, which means default."""
    _fields_ = [("threads", c.c_size_t), ("max_batch", c.c_size_t), ("max_megapixels", c.c_double),
                ("auto_orient", c.c_int), ("compat", c.c_int), ("raw", c.c_int), ("long_texts", c.c_int),
                ("precision", c.c_int), ("fast_decode", c.c_int),
                ("newer", c.c_char * 64)]


lib = c.CDLL(LIBRARY)


def check(rc, err):
    if rc != 0:
        raise RuntimeError(err.msg.decode())


def about():
    line = c.create_string_buffer(512)
    lib.clipc_about(line, c.c_size_t(len(line)))
    return line.value.decode()


def strings(items):
    return (c.c_char_p * len(items))(*[s.encode() for s in items])


class Model:
    def __init__(self, path):
        self.handle, err = c.c_void_p(), Error()
        check(lib.clipc_model_open(c.byref(self.handle), path.encode(), c.byref(err)), err)


class Context:
    """Embeddings as the tower gives them, unless raw is 0: then of unit length."""

    def __init__(self, model, dim, threads=1, max_batch=0, precision="f32", raw=1):
        options = Options(threads=threads, max_batch=max_batch, raw=raw,
                          precision=PRECISIONS[precision])
        self.model, self.dim, self.handle, err = model, dim, c.c_void_p(), Error()
        check(lib.clipc_ctx_new(c.byref(self.handle), model.handle, c.byref(options),
                                c.byref(err)), err)

    def run(self, function, rows, *args):
        out, err = np.empty((rows, self.dim), np.float32), Error()
        check(function(self.handle, out.ctypes.data_as(c.c_void_p), *args, c.byref(err)), err)
        return out

    def images(self, pixels):
        """pixels: float32 [n,3,H,W], normalised."""
        return self.run(lib.clipc_encode_image_tensors, len(pixels),
                        pixels.ctypes.data_as(c.c_void_p), c.c_size_t(len(pixels)))

    def ids(self, ids):
        """ids: int32 [n,context_length]."""
        return self.run(lib.clipc_encode_ids, len(ids), ids.ctypes.data_as(c.c_void_p),
                        c.c_size_t(len(ids)))

    def file_bytes(self, data):
        """data: what a picture's file holds."""
        return self.run(lib.clipc_encode_image_memory, 1, data, c.c_size_t(len(data)), b"bench")

    def classifier(self, labels, templates):
        return self.run(lib.clipc_classifier, len(labels), strings(labels),
                        c.c_size_t(len(labels)), strings(templates), c.c_size_t(len(templates)))
