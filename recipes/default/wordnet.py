"""WordNet 3.0 as Debian's wordnet-base has it (wndb(5WN)): nouns alone."""
import re


class Noun:
    """A synset: its words (the commonest first, lower case), its gloss without examples, the
    offsets of those above it."""

    def __init__(self, line):
        left, gloss = line.split("|", 1)
        field = left.split()
        n = int(field[3], 16)
        self.words = [w.replace("_", " ").lower() for w in field[4:4 + 2 * n:2]]
        at = 4 + 2 * n
        pointers = field[at + 1:at + 1 + 4 * int(field[at])]
        self.above = [o for kind, o in zip(pointers[::4], pointers[1::4]) if kind in ("@", "@i")]
        self.gloss = re.split(r'; "|; --', gloss.strip())[0]


class WordNet:
    def __init__(self, folder):
        """folder: where data.noun and index.noun lie."""
        self.nouns, self.senses, self.plurals = {}, {}, {}
        for line in open(f"{folder}/data.noun", encoding="latin-1"):
            if not line.startswith("  "):
                self.nouns[line[:8]] = Noun(line)
        for line in open(f"{folder}/index.noun", encoding="latin-1"):
            if not line.startswith("  "):
                field = line.split()
                self.senses[field[0].replace("_", " ")] = field[-int(field[2]):]
        for line in open(f"{folder}/noun.exc", encoding="latin-1"):
            plural, *singular = line.split()
            self.plurals.setdefault(singular[0].replace("_", " "), plural.replace("_", " "))

    def sense(self, word):
        """The commonest meaning of a noun, or None."""
        offsets = self.senses.get(word)
        return self.nouns[offsets[0]] if offsets else None

    def above(self, noun):
        """Those above a noun with their distance, nearest first, each once."""
        level, seen, distance = [noun], set(), 0
        while level:
            distance += 1
            offsets = [o for n in level for o in n.above if o not in seen]
            seen.update(offsets)
            level = [self.nouns[o] for o in dict.fromkeys(offsets)]
            for n in level:
                yield distance, n

    def plural(self, words):
        """Of a name's last word: the exceptions, then the rules."""
        *first, last = words.split()
        if last in self.plurals:
            last = self.plurals[last]
        elif last in ("sheep", "deer", "moose", "fish") or re.search(r"[^su]s$", last):
            pass    # the same, or plural already
        elif re.search(r"(wo|police|fire|snow|sports|^)man$", last):
            last = last[:-2] + "en"
        elif re.search(r"(s|x|z|ch|sh)$", last):
            last += "es"
        elif re.search(r"[^aeiou]y$", last):
            last = last[:-1] + "ies"
        else:
            last += "s"
        return " ".join([*first, last])
