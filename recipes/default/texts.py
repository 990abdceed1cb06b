"""More captions for listed drawings: to the tags go, of the commonest meaning that WordNet has
of the caption, the other words and the nearest name above it.
usage: python3 texts.py WORDNET < list.jsonl > more.jsonl"""
import json, sys
from wordnet import WordNet

MOST = 4        # from WordNet


def from_wordnet(wordnet, caption):
    noun = wordnet.sense(caption)
    if not noun:
        return []
    above = [n.words[0] for d, n in wordnet.above(noun) if d == 1]
    return ([w for w in noun.words if w != caption] + above[:1])[:MOST]


wordnet = WordNet(sys.argv[1])
for line in sys.stdin:
    d = json.loads(line)
    d["tags"] += from_wordnet(wordnet, d["caption"])
    print(json.dumps(d, ensure_ascii=False))
