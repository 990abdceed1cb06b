"""Photographs without photographs: pooled features of the image tower as a photograph of each
ImageNet class might have them, with the class's names for captions.  A ground, what the tower
sees in anything, is drawn from the statistics of its last batch norm; on it lie the classifier's
direction of the class and, weaker, that of another.

    M = E[relu6(N(beta, gamma^2))]                            a channel's mean
    f = clamp(M exp(.5 n) Bernoulli(.7) + .05 |n'| + s w_c/|w_c| + r s w_d/|w_d|, 0, 6)
    n, n' normal; s in 4..18, r in 0..0.25 uniform

usage: python3 madeup.py WEIGHTS WORDNET SYNSETS OUT     (needs numpy)
Writes OUT.npy, float32 [N,1280], and OUT.txt, a caption a line.  Same numpy, same files."""
import sys
import numpy as np
from torch_tensors import load
from wordnet import WordNet

PER_CLASS, NEAR = 40, 4     # NEAR: how far above a class its captions may be taken from
WEIGHTS, WORDNET, SYNSETS, OUT = sys.argv[1:]


def article(words):
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def channel_means(gamma, beta, rng):
    normal = rng.standard_normal((4096, 1), np.float32)
    return np.clip(beta + np.abs(gamma) * normal, 0, 6).mean(0)


def features(c, mean, direction, rng):
    """[n,1280] of classes c [n]."""
    n, f = len(c), direction.shape[1]
    other = rng.integers(len(direction), size=n)
    s = rng.uniform(4, 18, (n, 1)).astype(np.float32)
    r = rng.uniform(0, .25, (n, 1)).astype(np.float32)
    ground = mean * np.exp(.5 * rng.standard_normal((n, f), np.float32)) * (rng.random((n, f)) < .7)
    noise = .05 * np.abs(rng.standard_normal((n, f), np.float32))
    return np.clip(ground + noise + s * direction[c] + r * s * direction[other], 0, 6)


def caption(noun, above, rng):
    """A name half of the time, else "a photo of" it, its gloss, or the name of what it is."""
    words, chance = noun.words[rng.integers(len(noun.words))], rng.random()
    if chance < .2:
        return noun.gloss
    if chance < .3 and above:
        return above[rng.integers(len(above))]
    return f"a photo of {article(words)}" if chance < .5 else words


def main():
    rng, wordnet, weights = np.random.default_rng(1), WordNet(WORDNET), load(WEIGHTS)
    direction = weights["_fc.weight"]
    direction = direction / np.linalg.norm(direction, axis=1, keepdims=True)
    mean = channel_means(weights["_bn1.weight"], weights["_bn1.bias"], rng)
    nouns = [wordnet.nouns[line.strip()[1:]] for line in open(SYNSETS)]
    above = [[n.words[0] for d, n in wordnet.above(noun) if d <= NEAR] for noun in nouns]
    out = np.lib.format.open_memmap(f"{OUT}.npy", "w+", np.float32,
                                    (PER_CLASS * len(nouns), direction.shape[1]))
    with open(f"{OUT}.txt", "w") as captions:
        for at in range(0, len(out), len(nouns)):
            out[at:at + len(nouns)] = features(np.arange(len(nouns)), mean, direction, rng)
            for noun, names in zip(nouns, above):
                captions.write(caption(noun, names, rng) + "\n")
    print(f"{OUT}.npy: {len(out)} made-up photographs of {len(nouns)} classes")


main()
