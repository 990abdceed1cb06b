"""A sentence-transformers BERT without what English texts do not need, to save a megabyte: tokens
that are unused or have letters other than Latin ones, positions beyond POSITIONS.  What is left
of a text gives the same vector.  usage: python3 english.py FOLDER OUT     (needs numpy)"""
import json, os, re, shutil, struct, sys
import numpy as np

POSITIONS = 128
TYPES = {"F32": "<f4", "I64": "<i8"}


def is_wanted(token):
    is_latin = all(ord(c) < 0x250 or not c.isalpha() for c in token)
    return is_latin and not re.fullmatch(r"\[unused\d+\]", token)


def read(path):
    with open(path, "rb") as f:
        header = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
        data = f.read()
    header.pop("__metadata__", None)
    return {name: np.frombuffer(data[t["data_offsets"][0]:t["data_offsets"][1]],
                                TYPES[t["dtype"]]).reshape(t["shape"])
            for name, t in header.items()}


def write(path, tensors):
    """float32 alone."""
    header, at = {}, 0
    for name, t in tensors.items():
        header[name] = {"dtype": "F32", "shape": t.shape, "data_offsets": [at, at + t.nbytes]}
        at += t.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        f.writelines(t.tobytes() for t in tensors.values())


def change(path, to, **values):
    with open(to, "w") as f:
        json.dump({**json.load(open(path)), **values}, f, indent=2)


def main(folder, out):
    os.makedirs(out, exist_ok=True)
    tokens = open(f"{folder}/vocab.txt", encoding="utf-8").read().rstrip("\n").split("\n")
    kept = [i for i, token in enumerate(tokens) if is_wanted(token)]
    with open(f"{out}/vocab.txt", "w", encoding="utf-8") as f:
        f.writelines(tokens[i] + "\n" for i in kept)
    tensors = {n: t for n, t in read(f"{folder}/model.safetensors").items() if t.dtype == "<f4"}
    for name, t in tensors.items():
        if name.endswith("word_embeddings.weight"):
            tensors[name] = t[kept]
        if name.endswith("position_embeddings.weight"):
            tensors[name] = t[:POSITIONS]
    write(f"{out}/model.safetensors", tensors)
    change(f"{folder}/config.json", f"{out}/config.json", vocab_size=len(kept),
           max_position_embeddings=POSITIONS)
    change(f"{folder}/tokenizer_config.json", f"{out}/tokenizer_config.json",
           model_max_length=POSITIONS)
    change(f"{folder}/sentence_bert_config.json", f"{out}/sentence_bert_config.json",
           max_seq_length=POSITIONS)
    for name in ("modules.json", "special_tokens_map.json"):
        shutil.copy(f"{folder}/{name}", f"{out}/{name}")
    shutil.copytree(f"{folder}/1_Pooling", f"{out}/1_Pooling", dirs_exist_ok=True)
    print(f"{out}: {len(kept)} of {len(tokens)} tokens")


main(*sys.argv[1:])
