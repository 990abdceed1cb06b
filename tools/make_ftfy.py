"""Writes src/text/mojibake_data.c and src/text/split_data.c: what the Python packages ftfy and
regex say of characters.  Both are data; see ATTRIBUTION.md.

usage: python3 tools/make_ftfy.py      (packages: tests/golden/requirements.txt)

ftfy's expressions become tables: characters that no expression tells apart are one class, and
an expression is, for each of its positions, the set of classes that fit there.
"""
import html
import html.entities
import re
from importlib.metadata import version

import ftfy.badness
import ftfy.chardata as chardata
import regex

EVERY = "".join(map(chr, range(0x110000)))
WORD = 64


def tokens(pattern):
    """The parts of a verbose expression: sets, escapes, characters, '|', '?', '^'."""
    at = 0
    while at < len(pattern):
        c = pattern[at]
        if c.isspace():
            at += 1
        elif c == "#":
            at = pattern.index("\n", at)
        else:
            end = {"[": pattern.find("]", at + 1) + 1, "\\": at + 2}.get(c, at + 1)
            yield pattern[at:end]
            at = end


def alternatives(pattern):
    """Each as (its parts, whether it stands at the start only); optional parts both ways."""
    rules = [[]]
    for t in tokens(pattern):
        if t == "|":
            rules.append([])
        else:
            rules[-1].append(t)
    for parts in rules:
        anchored = parts[0] == "^"
        parts = parts[anchored:]
        if "?" in parts:
            at = parts.index("?")
            yield parts[:at - 1] + parts[at + 1:], anchored
            parts = parts[:at] + parts[at + 1:]
        yield parts, anchored


def members(part):
    return frozenset(m.start() for m in re.finditer(part, EVERY))


def classes(sets):
    """The class of each code point, and the classes in each set."""
    signature = [()] * 0x110000
    for i, s in enumerate(sets):
        for c in s:
            signature[c] += (i,)
    number = {(): 0}
    of = [number.setdefault(s, len(number)) for s in signature]
    return of, [[k for s, k in number.items() if i in s] for i in range(len(sets))]


def ranges(of):
    return [(c, k) for c, k in enumerate(of) if c == 0 or of[c - 1] != k]


def rows(items, width=90, indent="    "):
    line, out = indent, []
    for item in items:
        if len(line) + len(item) + 2 > width:
            out.append(line.rstrip())
            line = indent
        line += item + ", "
    return "\n".join(out + [line.rstrip()]) + "\n"


def octal(text):
    return "".join(f"\\{b:03o}" for b in text.encode())


def bad_rules(f):
    rules = list(alternatives(ftfy.badness.BADNESS_RE.pattern))
    parts = sorted({p for rule, _ in rules for p in rule})
    clues = ["utf8_first_of_2", "utf8_first_of_3", "utf8_first_of_4", "utf8_continuation",
             "utf8_continuation_strict"]
    clue_sets = [members(f"[{chardata.UTF8_CLUES[k]}]") for k in clues]
    assert not (clue_sets[0] & clue_sets[1] | clue_sets[0] & clue_sets[2] |
                clue_sets[1] & clue_sets[2]), "a match would depend on the order tried"
    of, within = classes([members(p) for p in parts] + clue_sets + [members(r"\d")])
    n_classes = max(of) + 1
    assert n_classes <= 256

    fits = [[0, 0] for _ in range(n_classes)]
    first, start, end = [0, 0], [0, 0], [0, 0]
    at = 0
    for rule, anchored in rules:
        marks = [start] if anchored else [start, first]
        for m in marks:
            m[at // WORD] |= 1 << at % WORD
        for part in rule:
            for k in within[parts.index(part)]:
                fits[k][at // WORD] |= 1 << at % WORD
            at += 1
        end[(at - 1) // WORD] |= 1 << (at - 1) % WORD
    assert at <= 2 * WORD, at

    def pair(words):
        return "{" + ", ".join(f"0x{w:016x}" for w in words) + "}"

    f.write(f"const bits128 bad_start = {pair(start)};\n"
            f"const bits128 bad_anywhere = {pair(first)};\n"
            f"const bits128 bad_end = {pair(end)};\n\n"
            f"const bits128 bad_fits[] = {{\n" + rows(map(pair, fits)) + "};\n\n")
    flags = [sum(1 << i for i, _ in enumerate(clues + ["digit"])
                 if k in within[len(parts) + i]) for k in range(n_classes)]
    f.write("const uint8_t mojibake_clues[] = {\n" + rows(map(str, flags)) + "};\n\n")
    f.write("const class_range mojibake_classes[] = {\n" +
            rows(f"{{0x{c:x}, {k}}}" for c, k in ranges(of)) + "};\n"
            f"const size_t n_mojibake_classes = {len(ranges(of))};\n\n")


def charmaps(f):
    """Every character beyond ASCII that some encoding but Latin-1 has, with its bytes."""
    encodings = chardata.CHARMAP_ENCODINGS[1:]
    found = {}
    for e, name in enumerate(encodings):
        for byte in [*range(0x80, 0x100), 0x1a]:
            c = ord(bytes([byte]).decode(name))
            if c != 0x1a:
                found.setdefault(c, {})[e] = byte
    f.write("/* " + ", ".join(encodings) + " */\n"
            "const charmap_row charmap[] = {\n")
    f.write(rows(f"{{0x{c:04x}, 0x{sum(1 << e for e in by):03x}, "
                 f"{{{', '.join(str(by.get(e, 0)) for e in range(len(encodings)))}}}}}"
                 for c, by in sorted(found.items())))
    f.write(f"}};\nconst size_t n_charmap = {len(found)};\n\n")


def spellings(f):
    f.write("const ligature ligatures[] = {\n" +
            rows(f'{{0x{c:04x}, "{octal(s)}"}}' for c, s in sorted(chardata.LIGATURES.items())) +
            f"}};\nconst size_t n_ligatures = {len(chardata.LIGATURES)};\n\n")
    capitals = sorted((name[1:], value) for name, value in chardata.HTML_ENTITIES.items()
                      if name[1:] not in html.entities.html5)
    f.write("const entity capital_entities[] = {\n" +
            rows(f'{{"{name}", "{octal(value)}"}}' for name, value in capitals) +
            f"}};\nconst size_t n_capital_entities = {len(capitals)};\n")


def pieces(f):
    """What the split pattern makes of each character: 0 its third kind, 1 a letter, 2 a number,
    3 nothing."""
    kinds = [regex.compile(p, regex.IGNORECASE) for p in
             (r"[^\s\p{L}\p{N}]+", r"[\p{L}]+", r"[\p{N}]")]
    of = [next((i for i, kind in enumerate(kinds) if kind.fullmatch(c)), 3) for c in EVERY]
    f.write("const class_range split_classes[] = {\n" +
            rows(f"{{0x{c:x}, {k}}}" for c, k in ranges(of)) + "};\n"
            f"const size_t n_split_classes = {len(ranges(of))};\n")


def main():
    with open("src/text/mojibake_data.c", "w") as f:
        f.write(f"/* Made by tools/make_ftfy.py from ftfy {version('ftfy')} (Apache-2.0), Robyn "
                'Speer. */\n#include "text/mojibake_data.h"\n\n')
        bad_rules(f)
        charmaps(f)
        spellings(f)
    with open("src/text/split_data.c", "w") as f:
        f.write("/* Made by tools/make_ftfy.py: characters as the Python package regex "
                f'{version("regex")} has them. */\n#include "text/split_data.h"\n\n')
        pieces(f)


main()
