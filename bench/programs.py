"""The programs that are measured, each as settings to choose from: {setting: build}, where build()
loads the model and gives a function that runs the row's inputs and returns embeddings [n,E].  A
program that is not installed raises ImportError."""
import functools
import os
import shutil

import numpy as np

import clipc as library
import models


def context(row):
    return library.Context(library.Model(models.own(row.model, row.precision)),
                           models.embed_dim(row.model), row.threads, row.batch, row.precision)


def clipc(row):
    x = models.inputs(row.model, row.kind, row.batch)
    if row.kind == "text":
        return {"": lambda: functools.partial(context(row).ids, x.astype(np.int32))}
    return {"": lambda: functools.partial(context(row).images, x)}


def openvino_model(row, rows):
    import openvino
    path = models.onnx(row.model, row.kind)
    if row.precision == "int8":
        path = models.openvino_int8(row.model)
    model = openvino.Core().read_model(path)
    model.reshape([rows, *model.input(0).partial_shape[1:]])
    return model


def openvino_config(row, hint):
    return {"INFERENCE_NUM_THREADS": row.threads, "PERFORMANCE_HINT": hint,
            "INFERENCE_PRECISION_HINT": "bf16" if row.precision == "bf16" else "f32"}


def openvino_whole(row, x):
    """All rows in one request, which gets all threads."""
    import openvino
    request = openvino.Core().compile_model(
        openvino_model(row, len(x)), "CPU", openvino_config(row, "LATENCY")).create_infer_request()
    return lambda: request.infer([x], share_inputs=True)[0].copy()


def openvino_parts(row, x, size):
    """Parts of `size` rows, as many at a time as the hint for throughput asks for."""
    import openvino
    queue = openvino.AsyncInferQueue(openvino.Core().compile_model(
        openvino_model(row, size), "CPU", openvino_config(row, "THROUGHPUT")))
    out = {}
    queue.set_callback(
        lambda request, at: out.update({at: request.get_output_tensor().data.copy()}))

    def call():
        for at in range(0, len(x), size):
            queue.start_async([x[at:at + size]], at, share_inputs=True)
        queue.wait_all()
        return np.concatenate([out[at] for at in sorted(out)])
    return call


def openvino(row, x=None):
    import openvino  # noqa: F401 (missing is told before models are made for it)
    x = models.inputs(row.model, row.kind, row.batch) if x is None else x
    builds = {"latency": lambda: openvino_whole(row, x)}
    for size in (1, 8, 16, 32, 40):
        if len(x) % size == 0 and 1 < len(x) // size <= 32:
            builds[f"throughput, parts of {size}"] = functools.partial(openvino_parts, row, x, size)
    return builds


def onnxruntime(row):
    import onnxruntime

    def build():
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = row.threads
        options.add_free_dimension_override_by_name("batch", row.batch)
        session = onnxruntime.InferenceSession(models.onnx(row.model, row.kind), options,
                                               providers=["CPUExecutionProvider"])
        x = models.inputs(row.model, row.kind, row.batch)
        return lambda: session.run(None, {"x": x})[0]
    return {"": build}


def torch(row):
    import torch
    import torch._inductor.config
    torch._inductor.config.freezing = True
    torch.backends.mha.set_fastpath_enabled(True)
    torch.set_num_threads(row.threads)
    dtype = torch.bfloat16 if row.precision == "bf16" else torch.float32

    def build(layout=torch.contiguous_format, compiled=False):
        net = models.tower(row.model, row.kind).to(dtype).to(memory_format=layout)
        x = torch.from_numpy(models.inputs(row.model, row.kind, row.batch))
        if row.kind == "image":
            x = x.to(dtype).to(memory_format=layout)
        net = torch.compile(net) if compiled else net
        # Freezing wants no_grad; without it inference mode is the faster one.
        mode = torch.no_grad if compiled else torch.inference_mode

        def call():
            with mode():
                return net(x).float().numpy()
        return call
    builds = {"eager": build}
    if row.kind == "image":
        builds["channels_last"] = functools.partial(build, torch.channels_last)
    if shutil.which("c++"):
        builds["compile"] = functools.partial(build, compiled=True)
    return builds


PEERS = {"openvino": openvino, "onnxruntime": onnxruntime, "torch": torch}


def faster_clip(row, png):
    """It takes pictures' files alone, and weights from its cache: ours are laid there."""
    import faster_clip as program
    cache = os.path.abspath(f"{models.HOME}/faster-clip")
    place = f"{cache}/sentence-transformers__clip-ViT-B-32/0_CLIPModel"
    weights = os.path.abspath(f"{models.huggingface(row.model)}/model.safetensors")
    os.makedirs(place, exist_ok=True)
    if not os.path.exists(f"{place}/model.safetensors"):
        os.symlink(weights, f"{place}/model.safetensors")
    os.environ["FASTER_CLIP_CACHE"] = cache

    def build():
        model = program.ClipModel()
        return lambda: np.array(model.encode_image([png]), np.float32)
    return {"": build}
