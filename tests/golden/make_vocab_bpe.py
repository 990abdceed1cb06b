"""Goldens of learned vocabularies in tests/golden/vocab/, by the BPE trainer of `tokenizers`:

  words.tsv        a word, a tab, how often it occurs
  words.merges     all merges of these words, words3.merges those of pairs that occur 3 times
  captions.txt     a caption a line
  captions.merges  of the words that transformers' CLIPTokenizer makes of them, 700 tokens
  captions.jsonl   {"text", "ids"} by CLIPTokenizer with those

Symbols are CLIP's: 256 bytes, the same at the end of a word (as special tokens, so that they have
their numbers, on which ties depend, and not those of a hash table's order), merges, start, end.

usage: python3 tests/golden/make_vocab_bpe.py      (from the project's root; requirements.txt)
"""
import json
import os
import random
import sys
import tempfile
from importlib.metadata import version

sys.path.insert(0, "tests/golden")
import transformers
from make_wordpiece import SENTENCES
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

HERE = "tests/golden/vocab/"
PRINTABLE = [*range(33, 127), *range(161, 173), *range(174, 256)]
OTHERS = [b for b in range(256) if b not in PRINTABLE]
LETTER = {b: chr(b) for b in PRINTABLE} | {b: chr(256 + i) for i, b in enumerate(OTHERS)}
BYTES = [LETTER[b] for b in PRINTABLE + OTHERS]
START = BYTES + [b + "</w>" for b in BYTES]
SPECIAL = ["<|startoftext|>", "<|endoftext|>"]


def train(texts, size, least, like=None):
    """The merges; texts of blank-separated words, or whatever the tokenizer `like` splits."""
    t = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    t.pre_tokenizer = like.pre_tokenizer if like else pre_tokenizers.WhitespaceSplit()
    if like:
        t.normalizer = like.normalizer
    t.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=size, min_frequency=least, special_tokens=START + SPECIAL,
        end_of_word_suffix="</w>", show_progress=False))
    return json.loads(t.to_str())["model"]["merges"]


def write_merges(name, merges):
    with open(HERE + name, "w") as f:
        f.write("#version: 0.2\n" + "".join(" ".join(m) + "\n" for m in merges))


def words():
    """Known words, ties, single characters, other scripts, runs that overlap themselves."""
    counts = {w: 1 + i % 4 for i, w in enumerate(" ".join(SENTENCES).split())}
    counts |= {"low": 5, "lower": 2, "newest": 6, "widest": 3, "a": 9, "é": 4, "!": 7, "字": 3,
               "aa": 2, "aaa": 3, "aaaaaaa": 2, "abababa": 4, "ﬁ": 1, "🙂🙂🙂": 5, "x" * 70: 1}
    r = random.Random(3)
    for _ in range(120):
        counts["".join(r.choice("abc") for _ in range(r.randint(1, 14)))] = r.randint(1, 3)
    return counts


def clip_tokenizer(folder, merges):
    symbols = START + ["".join(m) for m in merges] + SPECIAL
    with open(f"{folder}/vocab.json", "w") as f:
        json.dump({s: i for i, s in enumerate(symbols)}, f)
    with open(f"{folder}/merges.txt", "w") as f:
        f.write("#version: 0.2\n" + "".join(" ".join(m) + "\n" for m in merges))
    return transformers.CLIPTokenizer.from_pretrained(folder)


def main():
    os.makedirs(HERE, exist_ok=True)
    counts = words()
    with open(HERE + "words.tsv", "w") as f:
        f.writelines(f"{w}\t{n}\n" for w, n in counts.items())
    spelt = [" ".join(["".join(LETTER[b] for b in w.encode())] * n) for w, n in counts.items()]
    write_merges("words.merges", train(spelt, 49408, 0))
    write_merges("words3.merges", train(spelt, 49408, 3))

    captions = [s for i, s in enumerate(SENTENCES) for _ in range(1 + i % 3)]
    captions += ["I\u0307ndigo  <|endoftext|> e\u0301te\u0301", "it's   you'll THEY'RE 1234", "&amp; &lt;b&gt; don’t"]
    with open(HERE + "captions.txt", "w") as f:
        f.writelines(c + "\n" for c in captions)
    with tempfile.TemporaryDirectory() as folder:
        merges = train(captions, 700, 2, clip_tokenizer(folder, []).backend_tokenizer)
        write_merges("captions.merges", merges)
        learned = clip_tokenizer(folder, merges)
    texts = SENTENCES + ["", "a", "ε", "unknowable-ness", "<|startoftext|>a<|endoftext|>", "x" * 99, "🙂é字"]
    with open(HERE + "captions.jsonl", "w") as f:
        for t in texts:
            ids = learned(t, add_special_tokens=False)["input_ids"]
            f.write(json.dumps({"text": t, "ids": ids}, ensure_ascii=False) + "\n")
    with open(HERE + "MANIFEST", "w") as f:
        f.write("python3 tests/golden/make_vocab_bpe.py; " +
                ", ".join(f"{p} {version(p)}" for p in ("tokenizers", "transformers")) + "\n")


if __name__ == "__main__":
    main()
