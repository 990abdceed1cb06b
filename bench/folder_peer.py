"""Pictures' files into vectors as one would with Pillow and OpenVINO: processes that each decode
exactly, preprocess as OpenAI's CLIP does, and embed with one thread."""
import multiprocessing
import os

import numpy as np

import models

BATCH = 8
state = {}


def start(path):
    import openvino
    net = openvino.Core().read_model(path)
    net.reshape([-1, 3, 224, 224])
    state["net"] = openvino.Core().compile_model(net, "CPU", {
        "INFERENCE_NUM_THREADS": 1, "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32"})


def preprocess(path):
    from PIL import Image
    picture = Image.open(path)
    scale = 224 / min(picture.size)
    w, h = (int(scale * side) for side in picture.size)
    left, top = (round((side - 224) / 2) for side in (w, h))
    picture = picture.resize((w, h), Image.BICUBIC).crop((left, top, left + 224, top + 224))
    pixels = np.asarray(picture.convert("RGB"), np.float32) / 255
    return ((pixels - np.float32(models.MEAN)) / np.float32(models.STD)).transpose(2, 0, 1)


def embed(paths):
    return state["net"]([np.stack([preprocess(p) for p in paths])])[0].copy()


class Pool:
    def __init__(self, path, processes):
        context = multiprocessing.get_context("spawn")
        self.pool = context.Pool(processes, start, (path,))

    def builds(self, folder):
        paths = sorted(os.path.join(folder, name) for name in os.listdir(folder))

        def setting(size):
            parts = [paths[i:i + size] for i in range(0, len(paths), size)]
            return lambda: lambda: np.concatenate(self.pool.map(embed, parts, chunksize=1))
        return {f"parts of {size}": setting(size) for size in (BATCH, 1)}

    def close(self):
        self.pool.close()
        self.pool.join()
