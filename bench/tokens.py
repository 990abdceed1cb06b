"""Plain captions through our tokenizer and through Hugging Face's Rust `tokenizers`, by turns,
each on one thread, into rows of 77 ids, by processor time. Ours repairs texts as ftfy does, theirs has no such step.

usage: python3 bench/tokens.py      (from the project's root, build/release-gcc/bench_tokens built)
"""
import gzip
import os
import random
import statistics
import subprocess
import tempfile
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
import open_clip.tokenizer as open_clip_tokenizer
from open_clip.zero_shot_metadata import IMAGENET_CLASSNAMES, OPENAI_IMAGENET_TEMPLATES
from transformers import CLIPTokenizer

ROUNDS, TEXTS = 9, 40000


def captions():
    every = [template(name) for template in OPENAI_IMAGENET_TEMPLATES for name in IMAGENET_CLASSNAMES]
    random.Random(1).shuffle(every)
    return every[:TEXTS]


def rust():
    reference = open_clip_tokenizer.SimpleTokenizer()
    vocab = {k: i for k, i in reference.encoder.items() if not k.endswith("_of_text>")}
    vocab |= {"<|startoftext|>": 49406, "<|endoftext|>": 49407}
    lines = gzip.open(open_clip_tokenizer.default_bpe()).read().decode().split("\n")
    merges = [tuple(line.split()) for line in lines[1:48895]]
    tokenizer = CLIPTokenizer(vocab=vocab, merges=merges).backend_tokenizer
    tokenizer.enable_truncation(77)
    tokenizer.enable_padding(length=77, pad_id=49407)
    return tokenizer


def main():
    texts, theirs, ours = captions(), [], []
    tokenizer = rust()
    tokenizer.encode_batch_fast(texts)
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as f:
        f.write("\n".join(texts) + "\n")
        f.flush()
        for _ in range(ROUNDS):
            begin = time.process_time()
            tokenizer.encode_batch_fast(texts)
            theirs.append(len(texts) / (time.process_time() - begin))
            out = subprocess.check_output(["build/release-gcc/bench_tokens", f.name], text=True)
            ours.append(float(out.split()[0]))
    ratios = [a / b for a, b in zip(ours, theirs)]
    print(f"captions, one thread: clipc {statistics.median(ours):,.0f} texts a second, Hugging Face's "
          f"Rust tokenizers {statistics.median(theirs):,.0f}: {statistics.median(ratios):.1f} times "
          f"({min(ratios):.1f} to {max(ratios):.1f})")


main()
